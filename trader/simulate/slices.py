"""One symbol's part of a session's journal, so that each (session, symbol) is judged as if it were alone.

Of a session of one symbol that is its journal. Of another it is a copy without what concerns its other symbols alone:
the oracle asks of one symbol what is promised of each. What concerns the session (a flatten, its turns: a bar of one
symbol may say something about the other) is in each part.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.process.store import SqliteStore
from supervisor.sim.disk import Disk, new_disk

OF_SESSION = ("turns",)
"""Tables with a column ``symbol`` that are kept whole."""
ABOUT = "incident LIKE '%:' || ? OR text LIKE ? || ':%' OR text LIKE ? || ' %'"
"""Of an event: what it concerns ends its incident's name, or begins its text."""


def part(path: str, disk: Disk, others: Iterable[str]) -> SqliteStore:
    """``others``: the symbols of the session that are to be left out."""
    others = tuple(others)
    if not others:
        return SqliteStore(path, None, disk)
    copy = new_disk()
    disk.backup(copy)
    names = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    for name in names:
        columns = {row[1] for row in copy.execute(f"PRAGMA table_info({name})").fetchall()}
        for symbol in others if "symbol" in columns and name not in OF_SESSION else ():
            copy.execute(f"DELETE FROM {name} WHERE symbol = ?", (symbol,))
    for symbol in others:
        copy.execute(f"DELETE FROM events WHERE {ABOUT}", (symbol, symbol, symbol))
    return SqliteStore(path, None, copy)
