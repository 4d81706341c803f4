"""The trader of a session: runs the user's strategy, one turn at a time, rows before bars.

A turn is a hook and one call to the account manager, which commits what the hook consumed, its state and what it
declared. Nothing is lost with this process: what was not committed comes again. An exception in the strategy ends it
abnormally, and its supervisor starts it again with the same copy of the code.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from feeds import paths
from feeds.lease import Lease
from feeds.messages import QuoteSeen
from supervisor.errors import CallFailed, Refused
from supervisor.messages import Down, Message, Subscribed, Up
from supervisor.process.server import IgnoreStart, Server
from supervisor.process.world import Timer
from trader.arguments import SessionArguments
from trader.hosting.hooks import Hooks
from trader.hosting.loader import load, parameters
from trader.hosting.notes import died_on, note_of
from trader.hosting.state import decode, encode
from trader.hosting.timers import Timers
from trader.hosting.waiting import WaitingBars
from trader.hosting.words import Word, Words
from trader.messages import (
    Attach,
    Attached,
    BarsAfter,
    BeginSeries,
    BeginTimers,
    CleanBar,
    CleanBars,
    Cursor,
    DataAge,
    FillRow,
    NeedBars,
    PositionView,
    ReadRows,
    RejectRow,
    Row,
    RowNumber,
    RowsWaiting,
    StopTrading,
    SyncRow,
    TimerDue,
    TradingDone,
    Turn,
)
from trader.sessions import data_source_name, manager_name
from trader.store import desk
from trader.strategy import RESUME, Bar, attach

RETRY_S = 0.25
"""A peer of the session that is not there is asked again after so many machine seconds."""
MANAGER_LIMIT_S = 5.0
"""Machine seconds, beyond an instruction to the venue that may be under way, for a commit and its reply."""
LOOK_EVERY_S = 5.0
"""Machine seconds after which a timer is looked at again at the latest: market time may be set, or stand still."""


class Go(Message, frozen=True):
    """Timer: take the next turn."""


class Begin(Message, frozen=True):
    """Timer: attach, then ask for bars."""


class LookAtTimers(Message, frozen=True):
    """Timer: is a timer of the strategy due?"""


class Trader(Server):
    """``sessions/<name>/trader``."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, SessionArguments)
        self.limit_s = 2 * settings.timing.http_limit_s + settings.timing.connect_limit_s + MANAGER_LIMIT_S
        store = self.world.store(desk.DESK_DB)
        self.session = desk.read_session(store, settings.session)
        code = desk.read_code(store, self.session.code_sha256)
        self.strategy = load(code, self.session.class_name)
        self.hooks = Hooks(self.strategy, code.filename, self.world, settings.timing.hook_limit_s)
        self.connection, self.timing = settings.connection, settings.timing
        self.parameters = parameters(self.strategy, self.session.parameters)
        self.manager, self.data_source = manager_name(self.session.name), data_source_name(self.session.name)
        self.rows: deque[Row] = deque()
        self.bars = WaitingBars({})
        self.timers = Timers((), {})
        self.unbegun_timers: tuple[TimerDue, ...] = ()
        self.words = Words()
        self.words_told = 0
        self.lease: Lease | None = None
        self.last_row = 0
        self.positions_told: tuple[PositionView, ...] | None = None
        self.state = b""
        self.open_turn: Turn | None = None
        self.looking: Timer | None = None
        self.attached = self.going = self.refused = False
        self.stopping: TradingDone | None = None
        if not self._attach():
            self.world.after(RETRY_S, Begin())

    # -- beginning ---------------------------------------------------------------------------------------------------

    def _attach(self) -> bool:
        """False where the account manager is not there yet: asked again. A start number that is done: nothing to do."""
        request = Attach(self.session.start_no, self.world.incarnation, died_on(self.world.predecessor))
        try:
            told = self.world.call(self.manager, request, timeout_s=MANAGER_LIMIT_S)
        except CallFailed as failed:
            self.world.log.info("the account manager is not there yet", error=str(failed))
            return False
        if told.done:
            raise IgnoreStart(f"start {self.session.start_no} is done")
        self._set_up(told)
        return True

    def _set_up(self, told: Attached) -> None:
        self.state, self.last_row = told.state, told.last_row
        self.desk = attach(self.strategy, self.session.symbols, self.parameters, decode(told.state))
        self.strategy.now = self.world.now_utc()
        self._take(told.rows, told.positions)
        self.bars = WaitingBars({(each.symbol, each.interval_s): each.closed_utc for each in told.cursors})
        self.hooks.about = ""
        self.hooks.call("setup")
        self.timers = Timers(self.desk.timers.values(), {due.name: due.due_utc for due in told.timers})
        begun = self.timers.begin(self.strategy.now)
        self.unbegun_timers = tuple(TimerDue(name, at_utc) for name, at_utc in begun.items())
        self.attached = True
        self.world.subscribe(self.data_source, "bars")
        self._subscribe_quotes()
        self._go_on()

    def _subscribe_quotes(self) -> None:
        """Straight from their feeds: there is nothing in a quote that a data source could put right."""
        if not self.desk.quotes:
            return
        feeds = tuple(map(paths.quotes, sorted(self.desk.quotes)))
        self.lease = Lease(self.world, self.connection, self.timing, feeds=feeds)
        self.lease.start()
        for feed in feeds:
            self.world.subscribe(paths.feed(self.connection.name, feed), "quotes")

    def _begin_timers(self) -> bool:
        """Where new timers begin is durable before anything of them is told."""
        if self.unbegun_timers:
            try:
                self.world.call(self.manager, BeginTimers(self.unbegun_timers), timeout_s=self.limit_s)
            except CallFailed as failed:
                self.world.log.warning("the timers' beginning is told again", error=str(failed))
                self.world.after(RETRY_S, Begin())
                return False
            self.unbegun_timers = ()
        return True

    def _need_bars(self) -> None:
        """From our cursors on; the data source goes on by itself once it knows."""
        if not self._begin_timers():
            return
        self._look_at_timers()
        newest = self.bars.newest
        needs = [msgspec.structs.replace(need, after_utc=newest.get(key)) for key, need in self.desk.needs.items()]
        try:
            self.world.call(self.data_source, NeedBars(tuple(needs)), timeout_s=self.limit_s)
        except Refused:
            raise
        except CallFailed as failed:
            self.world.log.info("the data source is asked again", error=str(failed))
            self.world.after(RETRY_S, Begin())

    # -- messages ----------------------------------------------------------------------------------------------------

    def handle_cast(self, message: Message) -> None:
        if isinstance(message, RowsWaiting):
            self._read_rows(message)
        elif isinstance(message, StopTrading):
            self._stop(message.reason)
        else:
            super().handle_cast(message)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, CleanBars):
            self._take_bars(message)
            self._go_at_once()
        elif isinstance(message, LookAtTimers):
            self._look_at_timers()
        elif isinstance(message, QuoteSeen):
            age_s = (self.world.now_s() - message.received_s) * self.world.market_rate()
            self.words.quote(message.quote, self.world.now_utc() - age_s)
            self._go_at_once()
        elif isinstance(message, DataAge):
            self.words.age(message, self.world.now_utc())
            self._go_at_once()
        elif self.lease is not None and self.lease.handle_info(message):
            return
        elif isinstance(message, Go):
            self.going = False
            self._go()
        elif isinstance(message, Begin):
            self._begin_again()
        elif isinstance(message, Subscribed):
            if message.publisher == self.data_source:
                self._need_bars()
        elif not isinstance(message, Up | Down):
            super().handle_info(message)

    def _begin_again(self) -> None:
        if self.attached:
            self._need_bars()
            return
        try:
            attached = self._attach()
        except IgnoreStart as ignore:
            self.world.end(str(ignore))
            return
        if not attached:
            self.world.after(RETRY_S, Begin())

    def _read_rows(self, message: RowsWaiting) -> None:
        if not self.attached or message.newest <= self.last_row:
            return
        try:
            told = self.world.call(self.manager, ReadRows(self.last_row), timeout_s=self.limit_s)
        except CallFailed as failed:
            self.world.log.info("rows are read with the next turn", error=str(failed))
            return
        self._take(told.rows, told.positions)
        self._go_at_once()

    def _take(self, rows: tuple[Row, ...], positions: tuple[PositionView, ...]) -> None:
        if rows or self.rows:
            self.rows = deque(row for row in rows if row.number > self.last_row)
        if positions is not self.positions_told:
            self.positions_told = positions
            self.desk.positions = {position.symbol: position for position in positions}

    def _take_bars(self, message: CleanBars) -> None:
        if not message.warm_up:
            self.bars.take(message)
            return
        for clean in message.bars:
            self.desk.keep(_bar(clean))

    def _read_bars(self) -> None:
        """What was dropped while too much waited."""
        for key in list(self.bars.behind):
            request = BarsAfter(symbol=key[0], interval_s=key[1], after_utc=self.bars.newest[key])
            try:
                told = self.world.call(self.data_source, request, timeout_s=self.limit_s)
            except CallFailed as failed:
                self.world.log.warning("bars are asked for again", symbol=key[0], error=str(failed))
                self._go_on(RETRY_S)
                return
            self.bars.caught_up(told)

    # -- turns -------------------------------------------------------------------------------------------------------

    def _go_on(self, after_s: float = 0.0) -> None:
        """One turn at a time, with the mailbox read in between."""
        if not self.going and self.attached:
            self.going = True
            self.world.after(after_s, Go())

    def _go_at_once(self) -> None:
        """What has just come is the first there is to do; what more there is follows in its turn."""
        if self.attached and not self.going and (self.rows or self.bars or self.bars.behind or self.words):
            self._go()

    def _go(self) -> None:
        if self.stopping is not None:
            self._finish(self.stopping)
            return
        if self.refused or (self.open_turn is not None and not self._commit(self.open_turn)):
            return
        if self.rows:
            self._row_turn(self.rows.popleft())
        elif self.timers.timers and not self.unbegun_timers and (due := self.timers.due(self.world.now_utc())):
            self._timer_turn(TimerDue(*due))
        elif self.bars and self.bars.unbegun and not self._begin_series():
            return
        elif self.bars:
            self._bar_turn(self.bars.next())
        elif self.bars.behind:
            self._read_bars()
        elif self.words:
            self._word_turn(self.words.take())
        if self.rows or self.bars or self.words:
            self._go_on()

    def _begin_series(self) -> bool:
        """Where a fresh series begins is durable before its first turn: a bar that kills us comes again."""
        for key, after_utc in list(self.bars.unbegun.items()):
            try:
                self.world.call(self.manager, BeginSeries(Cursor(*key, after_utc)), timeout_s=self.limit_s)
            except CallFailed as failed:
                self.world.log.warning("the beginning is told again", symbol=key[0], error=str(failed))
                self._go_on(RETRY_S)
                return False
            del self.bars.unbegun[key]
        return True

    def _bar_turn(self, clean: CleanBar) -> None:
        bar = _bar(clean)
        self.desk.keep(bar)
        cursor = Cursor(symbol=bar.symbol, interval_s=bar.interval_s, closed_utc=bar.closed_utc)
        self._begin_turn(note_of(cursor))
        self.hooks.call("on_bar", bar)
        self._end_turn(bar=cursor, late=bar.late, rows_seen=self.last_row)

    def _row_turn(self, row: Row) -> None:
        self._begin_turn(note_of(RowNumber(row.number)))
        resume: tuple[str, ...] = ()
        content = row.content
        if isinstance(content, FillRow):
            self.hooks.call("on_fill", content)
        elif isinstance(content, SyncRow):
            resume = self._sync(content)
        elif isinstance(content, RejectRow):
            self.hooks.call("on_reject", content)
        else:
            self.hooks.call("on_session", content.symbol, content.phase)
        self._end_turn(row=row.number, resume=resume, rows_seen=row.number)

    def _sync(self, row: SyncRow) -> tuple[str, ...]:
        before = PositionView(symbol=row.symbol, quantity=row.before)
        after = PositionView(
            symbol=row.symbol,
            quantity=row.after,
            average_price=row.average_price,
            as_of_utc=row.adopted_utc,
            agreed=True,
        )
        return (row.symbol,) if self.hooks.call("on_sync", before, after) == RESUME else ()

    def _timer_turn(self, due: TimerDue) -> None:
        self._begin_turn(note_of(due))
        self.hooks.call("on_timer", due.name)
        self.timers.consumed(due.name, due.due_utc)
        self._end_turn(timer=due, rows_seen=self.last_row)
        self._look_at_timers()

    def _look_at_timers(self) -> None:
        """Due ones have their turn; then again when the next is due, as far as the clocks can say now."""
        if self.looking is not None:
            self.looking.cancel()
        if not self.timers.timers:
            return
        wait_utc = self.timers.next_due() - self.world.now_utc()
        if wait_utc <= 0:
            self._go_on()
            return
        wait_s = wait_utc / max(self.world.market_rate(), wait_utc / LOOK_EVERY_S)
        self.looking = self.world.after(wait_s, LookAtTimers())

    def _word_turn(self, word: Word) -> None:
        """It consumes nothing: what it was told is never told again."""
        self._begin_turn(word.about)
        self.hooks.call(word.hook, *word.told)
        self.words_told += 1
        self._end_turn(word=self.words_told, as_of_utc=word.as_of_utc, rows_seen=self.last_row)

    def _begin_turn(self, about: str) -> None:
        """The note tells the next incarnation what killed us, if this does."""
        self.world.note(about)
        self.hooks.about = about
        self.desk.declared.clear()
        self.strategy.now = self.world.now_utc()

    def _end_turn(self, **consumed: Any) -> None:
        turn = Turn(
            start_no=self.session.start_no,
            state=encode(self.strategy.state),
            declarations=tuple(self.desk.declared.values()),
            **consumed,
        )
        self.open_turn = turn
        self._commit(turn)

    def _commit(self, turn: Turn) -> bool:
        """False: not known to be committed. The same turn is sent again, which changes nothing if it was."""
        try:
            done = self.world.call(self.manager, turn, timeout_s=self.limit_s)
        except Refused as refused:
            self.world.log.warning("no more turns", why=str(refused))
            self.refused = True
            return False
        except CallFailed as failed:
            self.world.log.warning("the turn is sent again", error=str(failed))
            self._go_on(RETRY_S)
            return False
        self.open_turn, self.state = None, turn.state
        self.last_row = max(self.last_row, turn.row)
        self.world.note("")
        self._take(done.rows, done.positions)
        return True

    # -- the end -----------------------------------------------------------------------------------------------------

    def _stop(self, reason: str) -> None:
        """The last hook, then the last act: what it declares goes along with ``done``."""
        if self.stopping is not None:
            return
        if not self.attached:
            self.world.end(reason)
            return
        self._begin_turn("stop")
        self.hooks.call("on_stop", reason)
        uncommitted = self.open_turn is not None
        self.stopping = TradingDone(
            start_no=self.session.start_no,
            reason=reason,
            state=self.state if uncommitted else encode(self.strategy.state),
            declarations=tuple(self.desk.declared.values()),
        )
        self._finish(self.stopping)

    def _finish(self, done: TradingDone) -> None:
        try:
            self.world.call(self.manager, done, timeout_s=self.limit_s)
        except Refused as refused:
            self.world.log.warning("done was refused", why=str(refused))
        except CallFailed as failed:
            self.world.log.warning("done is said again", error=str(failed))
            self._go_on(RETRY_S)
            return
        self.world.end(done.reason)


def _bar(clean: CleanBar) -> Bar:
    bar = clean.bar
    return Bar(
        bar.symbol,
        bar.interval_s,
        bar.closed_utc,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        late=clean.late,
    )
