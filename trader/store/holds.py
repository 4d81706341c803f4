"""The holds of desk.db: what a person has stopped. Written by the recorder, read by account managers and commands.

A released row stays, marked, and each change has the next number: who has seen the newest number has seen them all.
"""

from __future__ import annotations

from supervisor.process.world import Store
from trader.holds import EVERYBODY, Holds, Level, PersonHold

SEEN = (
    "SELECT max((SELECT coalesce(max(number), 0) FROM holds), (SELECT coalesce(max(number), 0) FROM flattens)) AS seen"
)


def newest_change(store: Store) -> int:
    return int(store.query(SEEN)[0]["seen"])


def read_holds(store: Store) -> Holds:
    """Raises ``StoreFailed``."""
    rows = store.query(
        "SELECT session, level, set_by AS by, why, since_utc, number, file FROM holds WHERE released = 0"
        " ORDER BY session"
    )
    standing = tuple(PersonHold(**{**row, "level": Level(row["level"])}) for row in rows)
    flattens = store.query("SELECT session, max(number) AS number FROM flattens GROUP BY session")
    return Holds(newest_change(store), standing, {row["session"]: row["number"] for row in flattens})


class HoldsReader:
    """The same for who looks all the time: read again only where something has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holds = Holds(seen=-1)

    def read(self) -> Holds:
        """Raises ``StoreFailed``."""
        if newest_change(self._store) != self._holds.seen:
            self._holds = read_holds(self._store)
        return self._holds


def put_hold(store: Store, hold: PersonHold) -> PersonHold:
    """Stored under the next number."""
    number = newest_change(store) + 1
    store.execute(
        "INSERT OR REPLACE INTO holds (session, level, set_by, why, since_utc, number, file, released)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        (hold.session, hold.level.value, hold.by, hold.why, hold.since_utc, number, hold.file),
    )
    return PersonHold(hold.session, hold.level, hold.by, hold.why, hold.since_utc, number, hold.file)


def mark_file(store: Store, file: str) -> None:
    """The halt of all sessions stands already; it is from this file too."""
    store.execute(
        "UPDATE holds SET file = ?, number = ? WHERE session = ?", (file, newest_change(store) + 1, EVERYBODY)
    )


def put_flatten(store: Store, session: str, asked_with: str) -> None:
    """``asked_with``: the session of the hold whose release ends it."""
    number = newest_change(store) + 1
    store.execute("INSERT INTO flattens (number, session, asked_with) VALUES (?, ?, ?)", (number, session, asked_with))


def lift(store: Store, session: str) -> None:
    """Release the hold of this session (or of all), and end the flattens that came with it."""
    number = newest_change(store) + 1
    store.execute("DELETE FROM flattens WHERE asked_with = ?", (session,))
    store.execute("UPDATE holds SET released = 1, number = ? WHERE session = ?", (number, session))
