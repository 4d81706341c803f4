"""What the account managers have confirmed, read from their journals: also where nobody answers on a socket.

A journal is the account manager's word: what stands there is committed. So a command that stops trading needs neither
control nor the supervisor to know that it has worked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from supervisor.errors import StoreFailed
from supervisor.process.store import SqliteStore
from trader.holds import Taken
from trader.sessions import journal_path

POLL_S = 0.1
ENTRIES = (
    "SELECT (SELECT count(*) FROM orders WHERE working = 1 AND purpose = 'entry') AS working,"
    " (SELECT count(*) FROM intents WHERE kind = 'place' AND purpose = 'entry'"
    " AND state IN ('written', 'unsent', 'unknown')) AS unsettled"
)


class Word(msgspec.Struct, frozen=True):
    """What one journal says. ``entries``: orders and intents of entries that may still fill; of them ``unsettled`` have
    no outcome. ``orders``: ids of all orders of ours that work. ``positions``: by symbol, as our book has them."""

    session: str
    taken: Taken = Taken()
    entries: int = 0
    orders: tuple[str, ...] = ()
    positions: dict[str, str] = {}
    unread: str = ""
    unsettled: int = 0

    def told(self) -> str:
        """What is known, in words."""
        if self.unread:
            return f"{self.session}: {self.unread}"
        held = ", ".join(f"{symbol} {quantity}" for symbol, quantity in self.positions.items()) or "nothing"
        works = f"{len(self.orders)} orders work, {self.entries - self.unsettled} of them entries"
        unknown = f", {self.unsettled} entries without outcome" if self.unsettled else ""
        return f"{self.session}: holds {held}; {works}{unknown}"


Condition = Callable[[Word], bool]


def word(home: Path, session: str) -> Word:
    """One that cannot be read confirms nothing."""
    try:
        journal = SqliteStore(home / journal_path(session), None)
    except StoreFailed as failed:
        return Word(session, unread=str(failed))
    try:
        taken = journal.query("SELECT value FROM meta WHERE name = 'holds_taken'")
        orders = journal.query("SELECT order_id FROM orders WHERE working = 1 ORDER BY intent")
        positions = journal.query("SELECT symbol, quantity FROM positions ORDER BY symbol")
        entries = journal.query(ENTRIES)[0]
        return Word(
            session,
            msgspec.json.decode(taken[0]["value"], type=Taken) if taken else Taken(),
            entries["working"] + entries["unsettled"],
            tuple(row["order_id"] for row in orders),
            {row["symbol"]: row["quantity"] for row in positions if row["quantity"] != "0"},
            unsettled=entries["unsettled"],
        )
    except StoreFailed as failed:
        return Word(session, unread=str(failed))
    finally:
        journal.close()


def wait(home: Path, sessions: Iterable[str], wanted: Condition, until_s: float) -> tuple[list[Word], list[Word]]:
    """Those that have confirmed by then (machine time), and those that have not."""
    done: dict[str, Word] = {}
    left = list(sessions)
    while True:
        words = [word(home, name) for name in left]
        done |= {each.session: each for each in words if not each.unread and wanted(each)}
        left = [name for name in left if name not in done]
        if not left or time.monotonic() > until_s:
            return list(done.values()), [each for each in words if each.session in left]
        time.sleep(POLL_S)
