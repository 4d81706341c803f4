"""What an account manager asks of its books: reads, what no read shows, tick sizes; and what hinders an answer.

Reads come back as publications. Writes no journal: what was found is given back to whoever makes the step.
"""

from __future__ import annotations

from brokers.model import ZERO, Instrument
from feeds.config import Timing
from feeds.messages import AskHistory, AskOrders, PositionsSeen, ReadInstrument, ReadSnapshot
from supervisor.errors import CallFailed, Refused
from supervisor.messages import Message
from supervisor.process.world import World
from trader.manager.account import Account, Now
from trader.manager.inquiry import Inquiry

INSTRUMENT_EVERY_S = 5.0
"""While the tick size of a symbol is not known, the books are asked this often."""
INSTRUMENTS_AT_ONCE = 20
"""Tick sizes asked for before the mailbox is read again: of a session of hundreds of symbols each is a call, and a
thousand of them would be longer than a process may be silent."""
IN_DOUBT_LATER = 0.5
IN_HISTORY_LATER = 4.0
"""Of ``settle_s``, between two reads in doubt: soon after it began, and where only history can tell."""


class ComparePositions(Message, frozen=True):
    """Timer: does the positions stream still differ from our book?"""


class Asking:
    """``books``: the process that reads the account."""

    def __init__(self, world: World, account: Account, timing: Timing, books: str) -> None:
        self._world, self._account, self._timing, self._books = world, account, timing, books
        self._inquiry = Inquiry()
        self._streamed: PositionsSeen | None = None
        self._next_read_s = self._next_instruments_s = 0.0

    def read(self, after_s: float) -> None:
        """In doubt, the next one comes by itself; over the time that a request can be on its way that is a few reads,
        and well within the venue's quota. Where only history can tell, they leave it room in that quota."""
        now_s, settle_s = self._world.now_s(), self._timing.settle_s
        fresh = any(now_s < one.since_s + settle_s for one in self._account.settling.values())
        in_history = self._account.search_since_utc is not None
        self._next_read_s = now_s + settle_s * (IN_DOUBT_LATER if fresh else IN_HISTORY_LATER if in_history else 1.0)
        self._world.cast(self._books, ReadSnapshot(after_s))

    def read_if_due(self, now: Now) -> None:
        """The read in doubt that comes by itself."""
        if now.s >= self._next_read_s:
            self.read(0.0)

    def inquire(self, now: Now) -> None:
        """What a snapshot does not show is asked for; the answers come as publications."""
        ask = self._inquiry.due(self._account, now)
        if ask.order_ids:
            self._world.cast(self._books, AskOrders(ask.order_ids))
        if ask.since_utc is not None:
            self._world.cast(self._books, AskHistory(ask.since_utc))

    def hindered(self, about: str, why: str) -> None:
        """``status`` shows it; the log has it when it changes."""
        before = self._account.unread.pop(about, None)
        self._account.unread[about] = why
        if before != why:
            self._world.log.warning("entries wait", about=about, why=why)

    # -- instruments -------------------------------------------------------------------------------------------------

    def instruments(self, now: Now) -> list[Instrument]:
        """Tick sizes, once; entries wait for them. Those that could not be had are asked for after the others."""
        missing = [s for s in self._account.session.symbols if s not in self._account.journal.instruments]
        if not missing or now.s < self._next_instruments_s:
            return []
        found: list[Instrument] = []
        tried = {about: number for number, about in enumerate(self._account.unread)}
        asked = sorted(missing, key=lambda each: tried.get(each, -1))[:INSTRUMENTS_AT_ONCE]
        for symbol in asked:
            try:
                told = self._world.call(self._books, ReadInstrument(symbol), timeout_s=self._timing.http_limit_s)
            except Refused as refused:
                self.hindered(symbol, str(refused))
                continue
            except CallFailed as failed:
                self.hindered(symbol, f"the books do not answer: {failed}")
                break
            if told.instrument.symbol != symbol:
                self.hindered(symbol, f"the venue trades it as {told.instrument.symbol}: orders need that symbol")
                continue
            self._account.unread.pop(symbol, None)
            found.append(told.instrument)
        if len(found) < len(asked):
            self._next_instruments_s = now.s + INSTRUMENT_EVERY_S
        return found

    # -- the positions stream: only a reason to read -----------------------------------------------------------------

    def streamed(self, seen: PositionsSeen) -> None:
        """If it still differs a moment later, the books are asked."""
        self._streamed = seen
        told = {position.symbol: position.quantity for position in seen.positions}
        self._account.streamed = {symbol: told.get(symbol, ZERO) for symbol in self._account.session.symbols}
        if self._stream_differs():
            self._world.after(self._timing.confirm_after_s, ComparePositions())

    def compare(self) -> None:
        if self._streamed is not None and self._stream_differs():
            self.read(0.0)

    def _stream_differs(self) -> bool:
        holding = self._account.journal.holding
        return any(quantity != holding(symbol).quantity for symbol, quantity in self._account.streamed.items())
