"""desk.db: sessions, the stored copies of their code, holds (``holds.py``), and everybody's events. Written by the
recorder alone.

Functions over a ``Store``; the recorder's is writable, all others open it for reading.
"""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor.messages import Event
from supervisor.process.store import refuse_newer
from supervisor.process.world import Store
from trader.sessions import Code, Session, Wanted

DESK_DB = "desk.db"

migrations = (
    """
    CREATE TABLE session (
        name TEXT PRIMARY KEY, strategy TEXT NOT NULL, class_name TEXT NOT NULL, code_sha256 TEXT NOT NULL,
        account TEXT NOT NULL, symbols TEXT NOT NULL, connection TEXT NOT NULL, parameters TEXT NOT NULL,
        wanted TEXT NOT NULL, start_no INTEGER NOT NULL, take_over INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE code (sha256 TEXT PRIMARY KEY, filename TEXT NOT NULL, source TEXT NOT NULL) STRICT;
    CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        sender TEXT NOT NULL, sender_incarnation INTEGER NOT NULL, sender_number INTEGER NOT NULL,
        kind TEXT NOT NULL, level TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
        machine_s REAL NOT NULL, market_utc REAL NOT NULL,
        incident TEXT NOT NULL, incident_state TEXT NOT NULL, data TEXT NOT NULL,
        UNIQUE (sender, sender_incarnation, sender_number)
    ) STRICT
    """,
    """
    CREATE TABLE holds (
        session TEXT PRIMARY KEY, level TEXT NOT NULL, set_by TEXT NOT NULL, why TEXT NOT NULL,
        since_utc REAL NOT NULL, number INTEGER NOT NULL, file TEXT NOT NULL, released INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE flattens (number INTEGER PRIMARY KEY, session TEXT NOT NULL, asked_with TEXT NOT NULL) STRICT
    """,
    "ALTER TABLE session ADD COLUMN live INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE calendar (
        name TEXT PRIMARY KEY, from_utc INTEGER NOT NULL, until_utc INTEGER NOT NULL,
        source TEXT NOT NULL, written_utc REAL NOT NULL
    ) STRICT;
    CREATE TABLE market_hours (
        calendar TEXT NOT NULL, opens_utc INTEGER NOT NULL, closes_utc INTEGER NOT NULL,
        PRIMARY KEY (calendar, opens_utc)
    ) STRICT, WITHOUT ROWID
    """,
    "ALTER TABLE session ADD COLUMN after_divergence TEXT NOT NULL DEFAULT 'hold'",
    "ALTER TABLE session ADD COLUMN data_connection TEXT NOT NULL DEFAULT ''",
    """
    ALTER TABLE session ADD COLUMN stop_passed TEXT NOT NULL DEFAULT 'exit';
    ALTER TABLE session ADD COLUMN inert_stop TEXT NOT NULL DEFAULT 'page';
    ALTER TABLE session ADD COLUMN flat_at_close_min INTEGER NOT NULL DEFAULT 0
    """,
    "ALTER TABLE session ADD COLUMN extended_hours INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE session ADD COLUMN removed INTEGER NOT NULL DEFAULT 0",
)


def read_session(store: Store, name: str) -> Session:
    """KeyError where there is no such session."""
    for session in read_sessions(store):
        if session.name == name:
            return session
    raise KeyError(name)


def read_sessions(store: Store) -> list[Session]:
    """``StoreFailed`` also where a newer program has written it: it may mean more than we would read."""
    return [_session(row) for row in _session_rows(store) if not row.get("removed", 0)]


def read_removed(store: Store) -> list[Session]:
    """Those that a person has removed: what they have made is still the account's. A new one of that name takes the
    row."""
    return [_session(row) for row in _session_rows(store) if row.get("removed", 0)]


def _session_rows(store: Store) -> list[dict[str, Any]]:
    refuse_newer(DESK_DB, store.query("PRAGMA user_version")[0]["user_version"], migrations)
    return store.query("SELECT * FROM session ORDER BY name")


def read_code(store: Store, sha256: str) -> Code:
    """KeyError where that copy is not stored."""
    for row in store.query("SELECT * FROM code WHERE sha256 = ?", (sha256,)):
        return Code(**row)
    raise KeyError(sha256)


def write_session(store: Store, session: Session) -> None:
    row = msgspec.structs.asdict(session)
    row |= {
        "symbols": _json(session.symbols),
        "parameters": _json(session.parameters),
        "wanted": session.wanted.value,
        "take_over": int(session.take_over),
        "live": int(session.live),
        "extended_hours": int(session.extended_hours),
    }
    marks = ", ".join("?" for _ in row)
    store.execute(f"INSERT OR REPLACE INTO session ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def write_code(store: Store, code: Code) -> None:
    store.execute("INSERT OR IGNORE INTO code VALUES (?, ?, ?)", (code.sha256, code.filename, code.source))


def remove_session(store: Store, name: str) -> None:
    """Its row stays: it says whose the money in its journal is."""
    store.execute("UPDATE session SET removed = 1 WHERE name = ?", (name,))


def write_event(store: Store, sender: str, incarnation: int, number: int, event: Event) -> None:
    """Once, however often it is sent."""
    store.execute(
        "INSERT OR IGNORE INTO events (sender, sender_incarnation, sender_number, kind, level, subject, text,"
        " machine_s, market_utc, incident, incident_state, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(sender, incarnation, number, event.kind, event.level, event.subject, event.text),
            *(event.machine_s, event.market_utc, event.incident, event.incident_state, _json(event.data)),
        ),
    )


def open_incidents(store: Store, sender: str, before_incarnation: int) -> list[dict[str, Any]]:
    """Incidents that incarnations of ``sender`` older than this one have opened and nobody has resolved."""
    return store.query(
        "SELECT incident, kind, level, subject FROM events AS opened WHERE sender = ? AND sender_incarnation < ?"
        " AND incident_state = 'opened' AND NOT EXISTS (SELECT 1 FROM events AS later WHERE"
        " later.incident = opened.incident AND later.incident_state = 'resolved' AND later.number > opened.number)",
        (sender, before_incarnation),
    )


def last_event_number(store: Store, sender: str, incarnation: int) -> int:
    rows = store.query(
        "SELECT coalesce(max(sender_number), 0) AS last FROM events WHERE sender = ? AND sender_incarnation = ?",
        (sender, incarnation),
    )
    return int(rows[0]["last"])


def _session(row: dict[str, Any]) -> Session:
    return Session(
        **{
            **{name: value for name, value in row.items() if name != "removed"},
            "symbols": tuple(msgspec.json.decode(row["symbols"], type=list[str])),
            "parameters": msgspec.json.decode(row["parameters"]),
            "wanted": Wanted(row["wanted"]),
            "take_over": bool(row["take_over"]),
            "live": bool(row.get("live", 0)),  # a reader may come before the recorder has brought it up to date
            "extended_hours": bool(row.get("extended_hours", 0)),
        }
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
