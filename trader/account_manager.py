"""The account manager of a session: the only process that sends its orders, and the one writer of its journal.

Thin: each message becomes one step, that is one transaction in which the pure parts decide (turns, execution, truth)
and intents are written; after the commit the reply goes out, then the intents are sent, and each outcome is a step of
its own. It goes on minding the position when trading is done, and ends the session when nothing of it is left.
"""

from __future__ import annotations

from typing import Any

import msgspec

from brokers.model import ZERO, Outcome
from feeds import paths
from feeds.lease import Lease
from feeds.messages import (
    AccountSeen,
    AskHistory,
    AskOrders,
    HistoryRead,
    OrdersRead,
    OrdersSeen,
    PositionsSeen,
    ReadInstrument,
    ReadSnapshot,
    Snapshot,
    SnapshotFailed,
)
from feeds.venue import open_broker
from supervisor.errors import CallFailed, Refused, StoreFailed
from supervisor.messages import Done as Ok
from supervisor.messages import Down, Message, Request, Subscribed, Up
from supervisor.process.server import Caller, Server
from trader.account import Account, Now
from trader.arguments import SessionArguments
from trader.execution import (
    doubt_after_restart,
    expire,
    frames,
    hold_back,
    outcome,
    overdue,
    pending_plans,
    send_again,
    write_plans,
)
from trader.halting import follow_flatten, impose, take, unconfirmed
from trader.holds import HALT_FILE, InForce, in_force
from trader.hours_watch import HoursWatch
from trader.inquiry import Inquiry
from trader.intents import Intent, IntentState, Kind, Purpose, change, placing
from trader.journal import SCHEMA, Journal
from trader.key_numbers import number_keys
from trader.messages import (
    Attach,
    BeginSeries,
    BeginTimers,
    CleanBars,
    EndTrading,
    HoldsChanged,
    ReadRows,
    ReadSessionStatus,
    ReleaseHold,
    Rows,
    RowsWaiting,
    SetWanted,
    StopTrading,
    TradingDone,
    Turn,
    TurnDone,
)
from trader.reserving import Reserving
from trader.sessions import data_source_name, journal_path, trader_name
from trader.settlement import held_when_overdue, overdue_since_s, settle_by_history
from trader.store import desk
from trader.store.holds import HoldsReader
from trader.truth import coverage, page_due, read, recount_uncovered
from trader.turns import attach, declare, finish, release, turn

SENDS_AT_ONCE = 20
"""Instructions sent before the mailbox is read again: far above what one step of a session needs."""
RECORDER_LIMIT_S = 2.0
"""The recorder commits one row; if it is away or slow, the next tick asks again."""
HOURS_LEAST_S = 0.001
"""Between two looks at a phase that is just about to change, as far as the clocks can say."""
INSTRUMENT_EVERY_S = 5.0
"""While the tick size of a symbol is not known, the books are asked this often."""


class Tick(Message, frozen=True):
    """Timer: look again."""


class LookAtHours(Message, frozen=True):
    """Timer: a market changes its phase now."""


class ComparePositions(Message, frozen=True):
    """Timer: does the positions stream still differ from our book?"""


class TerminateTrader(Message, frozen=True):
    """Timer: a trader that was told to stop has had its time."""

    start_no: int


class Step:
    """``with``: one transaction. What happened (the body), what follows from it, how it is covered, and the record of
    all that. (A class: as a generator it would cost more than the decisions of a calm turn.)"""

    __slots__ = ("_manager", "_now", "_plans")

    def __init__(self, manager: AccountManager, now: Now, plans: bool) -> None:
        self._manager, self._now, self._plans = manager, now, plans

    def __enter__(self) -> Now:
        return self._now

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        manager = self._manager
        account, journal = manager.account, manager.journal
        if error is not None:
            journal.forget()
            return
        if not account.at_rest:
            manager.follow(self._now, self._plans)
        journal.commit()
        if account.committed:
            manager.log_committed()


class AccountManager(Server):
    """``sessions/<name>/account_manager``."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, SessionArguments)
        self.timing = settings.timing
        stored = self.world.store(desk.DESK_DB)
        session = desk.read_session(stored, settings.session)
        self.holds = HoldsReader(stored)
        self.journal = Journal(self.world.store(journal_path(session.name), schema=SCHEMA), self.world.new_id)
        self.key_numbers = number_keys(self.world, self.journal, session.name)
        self.broker = open_broker(self.world, settings.connection, self.timing)
        self.account = Account(session, self.journal, self.timing, settings.limits, self.broker.capabilities)
        self.account.live_connection = settings.connection.environment == "LIVE"
        self.trader = trader_name(session.name)
        self.books = paths.books(settings.connection.name, session.account)
        self.inquiry = Inquiry()
        self.positions_seen: PositionsSeen | None = None
        self.to_send: list[Intent] = []
        self.rows_told = self.journal.newest_row
        self.wanted_told = ""
        self.trader_finished = False
        self.no_plans_before_s = self.next_ask_s = self.next_read_s = 0.0
        self.hours = HoursWatch(self.world, self.account, settings.market_hours)
        self._take_up(settings)
        self._limit(settings)

    def _take_up(self, settings: SessionArguments) -> None:
        """What the last incarnation left without outcome is unknown until a read settles it."""
        with self._step(plans=False) as now:
            doubt_after_restart(self.account, now)
            recount_uncovered(self.account, now)
            take(self.account, self._what_stands(), now)
        session, connection = self.account.session, settings.connection.name
        feeds = (paths.orders(session.account), paths.positions(session.account))
        self.lease = Lease(self.world, settings.connection, self.timing, feeds=feeds, accounts=(session.account,))
        self.lease.start()
        self.world.subscribe(self.books, "snapshot")
        self.world.subscribe(self.books, "asked")
        for feed, topic in zip(feeds, ("orders", "positions"), strict=True):
            self.world.subscribe(paths.feed(connection, feed), topic)
        self.world.after(self.timing.look_every_s, Tick())

    def _limit(self, settings: SessionArguments) -> None:
        """Where the account has limits of its own, entries ask; where risk is limited, prices must be known."""
        of_account = settings.connection.account_limits.get(self.account.session.account)
        self.reserving: Reserving | None = None
        if of_account is not None:
            self.reserving = Reserving(self.world, self.account, settings.connection)
            self.reserving.start()
        risk_limits = settings.limits.max_open_risk_usd, of_account and of_account.max_open_risk_usd
        if any(limit is not None for limit in risk_limits):
            self.world.subscribe(data_source_name(self.account.session.name), "bars")

    # -- messages ----------------------------------------------------------------------------------------------------

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, Turn):
            self.reply(caller, self._turn(request))
            self._after_commit()
            return None
        if isinstance(request, ReadRows):
            return Rows(rows=self.journal.rows_after(request.after), positions=self.account.views())
        if isinstance(request, ReadSessionStatus):
            waits = unconfirmed(self.account) if self.account.flattening else ""
            return msgspec.structs.replace(self.account.status(self._now()), flattening=waits)
        if isinstance(request, Attach | BeginSeries | BeginTimers | TradingDone | EndTrading | ReleaseHold):
            self.reply(caller, self._attach(request) if isinstance(request, Attach) else self._committed(request))
            self._after_commit()
            return None
        return super().handle_call(request, caller)

    def handle_cast(self, message: Message) -> None:
        if not isinstance(message, HoldsChanged):
            super().handle_cast(message)
            return
        self._look_at_holds()
        self._after_commit()

    def handle_info(self, message: Message) -> None:
        if isinstance(message, OrdersSeen):
            with self._step() as now:
                frames(self.account, message.orders, now)
        elif isinstance(message, PositionsSeen | ComparePositions):
            self._compare_positions(message)
        elif isinstance(message, CleanBars):
            self.account.price_seen(message.bars)
            return
        elif self.lease.handle_info(message):
            return
        elif isinstance(message, AccountSeen):
            self.account.seen = message
            return
        elif isinstance(message, Snapshot):
            self.account.unread.pop(self.account.session.account, None)
            balance = message.content.balance
            self.account.equity_usd, self.account.day_trades = balance.equity_usd, balance.day_trades
            with self._step() as now:
                read(self.account, message, now)
        elif isinstance(message, SnapshotFailed):
            self._hindered(self.account.session.account, message.reason)
        elif isinstance(message, OrdersRead):
            with self._step() as now:
                frames(self.account, message.orders, now, message.requested_s)
        elif isinstance(message, HistoryRead):
            with self._step() as now:
                settle_by_history(self.account, message.orders, message.since_utc, now)
        elif isinstance(message, Tick):
            self._tick()
        elif isinstance(message, LookAtHours):
            self._look_at_hours(self._now())
        elif isinstance(message, TerminateTrader):
            self._terminate_trader(message)
        elif isinstance(message, Subscribed) and message.publisher == self.books:
            self._ask_for_read(0.0)
        elif isinstance(message, Up) and self.reserving is not None:
            self.reserving.handle_info(message)
        elif not isinstance(message, Subscribed | Up | Down):
            super().handle_info(message)
        self._after_commit()

    def _attach(self, request: Attach) -> Message:
        with self._step() as now:
            attached = attach(self.account, request, now)
        if not attached.done:
            self.trader_finished, self.wanted_told = False, ""
        return attached

    def _turn(self, request: Turn) -> Message:
        with self._step() as now:
            turn(self.account, request, now)
        return TurnDone(rows=self.journal.rows_after(self.journal.last_row), positions=self.account.views())

    def _committed(self, request: BeginSeries | BeginTimers | TradingDone | EndTrading | ReleaseHold) -> Message:
        """One step; its reply is given when it is on disk, and before anything is sent."""
        with self._step() as now:
            if isinstance(request, BeginSeries):
                self.journal.begin(request.after)
            elif isinstance(request, BeginTimers):
                self.journal.begin_timers(request.timers)
            elif isinstance(request, TradingDone):
                self._trading_done(request, now)
            elif isinstance(request, EndTrading):
                finish(self.account, request.start_no, request.reason, now)
            else:
                release(self.account, request.symbol, now)
        if isinstance(request, EndTrading):
            self._stop_trader(request)
        return Ok()

    # -- one step ----------------------------------------------------------------------------------------------------

    def _step(self, *, plans: bool = True) -> Step:
        return Step(self, self._now(), plans)

    def follow(self, now: Now, plans: bool) -> None:
        """What follows from what happened: intents, and the record of where cover ends and begins. Where nothing does
        (a refused entry is an event too), the account is at rest until something changes."""
        self.account.stir()
        impose(self.account)
        planning = plans and now.s >= self.no_plans_before_s
        planned = write_plans(self.account, now) if planning else []
        self.to_send += planned
        coverage(self.account, now)
        follow_flatten(self.account, now)
        if planning and not planned and not self.account.committed:
            self.account.rest()

    def log_committed(self) -> None:
        for event in self.account.committed:
            say = self.world.log.warning if event.level in ("PAGE", "NOTIFY") else self.world.log.info
            say(event.text, kind=event.kind)
        self.account.committed.clear()

    def _after_commit(self) -> None:
        """What follows a step: intents are sent, rows are told of, the broker is asked, minding goes on."""
        self._send()
        if self.journal.newest_row > self.rows_told:
            self.rows_told = self.journal.newest_row
            self.world.cast(self.trader, RowsWaiting(newest=self.rows_told))
        if self.account.want_read:
            self.account.want_read = False
            self._ask_for_read(self.timing.confirm_after_s)
        if self.reserving is not None:
            self.reserving.tell_over()
        self._mind()

    def _send(self) -> None:
        """Each intent once: written before, its outcome committed after; what follows from that is sent too."""
        for _ in range(SENDS_AT_ONCE):
            if not self.to_send:
                return
            intent = self.journal.open_intents.get(self.to_send.pop(0).number)
            if intent is None or intent.state is not IntentState.WRITTEN:
                continue
            if intent.kind is Kind.PLACE and intent.purpose is Purpose.ENTRY and self._entry_is_off(intent):
                continue
            result = self._instruct(intent)
            self._pause_unless_sent(result)
            with self._step() as now:
                outcome(self.account, intent, result, now)
        if self.to_send:
            self.world.log.error("instructions wait: too many at once", limit=SENDS_AT_ONCE, waiting=len(self.to_send))
            self.no_plans_before_s = self.world.now_s() + self.timing.look_every_s

    def _entry_is_off(self, intent: Intent) -> bool:
        """Holds are read once more before each entry: what is stored or laid out by now stops it."""
        self._look_at_holds()
        late = overdue(intent, self._now())
        if not late and not self.account.holds_of(intent.symbol):
            return False
        with self._step() as now:
            if late:
                expire(self.account, intent, now)
            else:
                hold_back(self.account, intent, now)
        return True

    def _instruct(self, intent: Intent) -> Outcome:
        if intent.kind is Kind.PLACE:
            self.key_numbers.reserve(intent.number)
            instrument = self.journal.instruments.get(intent.symbol)
            return self.broker.place(placing(intent, self.account.session.account, instrument))
        if intent.kind is Kind.CANCEL:
            return self.broker.cancel(intent.order_id)
        frame = self.account.as_told(intent.order_id)
        return self.broker.replace(frame, change(intent))

    def _pause_unless_sent(self, result: Outcome) -> None:
        """The venue cannot be reached: plan again at a later tick, not in a circle."""
        if getattr(result, "sent", True) is False:
            self.no_plans_before_s = self.world.now_s() + self.timing.look_every_s

    # -- what no message tells ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.world.after(self.timing.look_every_s, Tick())
        self._look_at_holds()
        now = self._now()
        self.next_tick_s = now.s + self.timing.look_every_s
        if any(i.state is IntentState.UNSENT for i in self.journal.open_intents.values()):
            with self._step() as now:
                self.to_send += send_again(self.account, now)
        due = any(not u.paged and page_due(self.account, s, u, now) for s, u in self.journal.uncovered.items())
        if due or self.account.flattening or pending_plans(self.account, now):
            with self._step():
                pass
        if (self.account.in_doubt or self.account.flattening) and now.s >= self.next_read_s:
            self._ask_for_read(0.0)
        if overdue_since_s(self.account, now):
            with self._step() as now:
                held_when_overdue(self.account, now)
        self._inquire(now)
        self._read_instruments(now)
        self._look_at_hours(now)

    def _look_at_hours(self, now: Now) -> None:
        """At each tick; and where a phase changes before the next one, at that very moment: a tick may be long."""
        if moments := self.hours.look(now):
            with self._step():
                self.hours.tell(moments)
        change_s = self.hours.changes_in_s(now)
        if change_s < self.next_tick_s - now.s:
            self.world.after(max(change_s, HOURS_LEAST_S), LookAtHours())

    def _look_at_holds(self) -> None:
        """What a person has stopped. Cheap: a number of desk.db, and whether there is a file."""
        now_stands = self._what_stands()
        if now_stands != self.account.in_force:
            with self._step() as now:
                take(self.account, now_stands, now)

    def _what_stands(self) -> InForce:
        """What cannot be read holds entries; what was known of it stands on."""
        before, session = self.account.in_force, self.account.session.name
        try:
            return in_force(self.holds.read(), self.world.file(HALT_FILE).read(), session)
        except StoreFailed as failed:
            return msgspec.structs.replace(before, unread=f"holds cannot be read: {failed}")

    def _inquire(self, now: Now) -> None:
        """What a snapshot does not show is asked for; the answers come as publications."""
        ask = self.inquiry.due(self.account, now)
        if ask.order_ids:
            self.world.cast(self.books, AskOrders(ask.order_ids))
        if ask.since_utc is not None:
            self.world.cast(self.books, AskHistory(ask.since_utc))

    def _ask_for_read(self, after_s: float) -> None:
        """In doubt, the next one comes by itself; over the time that a request can be on its way that is a few reads,
        and well within the venue's quota."""
        now_s = self.world.now_s()
        fresh = any(now_s < one.since_s + self.timing.settle_s for one in self.account.settling.values())
        self.next_read_s = now_s + (self.timing.settle_s / 2 if fresh else self.timing.settle_s)
        self.world.cast(self.books, ReadSnapshot(after_s))

    def _read_instruments(self, now: Now) -> None:
        """Tick sizes, once; entries wait for them."""
        missing = [s for s in self.account.session.symbols if s not in self.journal.instruments]
        if not missing or now.s < self.next_ask_s:
            return
        self.next_ask_s = now.s + INSTRUMENT_EVERY_S
        for symbol in missing:
            try:
                told = self.world.call(self.books, ReadInstrument(symbol), timeout_s=self.timing.http_limit_s)
            except Refused as refused:
                self._hindered(symbol, str(refused))
                continue
            except CallFailed as failed:
                self._hindered(symbol, f"the books do not answer: {failed}")
                return
            if told.instrument.symbol != symbol:
                self._hindered(symbol, f"the venue trades it as {told.instrument.symbol}: orders need that symbol")
                continue
            self.account.unread.pop(symbol, None)
            with self._step():
                self.journal.write_instrument(told.instrument)

    def _hindered(self, about: str, why: str) -> None:
        """``status`` shows it; the log has it when it changes."""
        if self.account.unread.get(about) != why:
            self.account.unread[about] = why
            self.world.log.warning("entries wait", about=about, why=why)

    def _compare_positions(self, message: PositionsSeen | ComparePositions) -> None:
        """The stream is only a reason to read: if it still differs a moment later, the books are asked."""
        if isinstance(message, PositionsSeen):
            self.positions_seen = message
            told = {position.symbol: position.quantity for position in message.positions}
            self.account.streamed = {symbol: told.get(symbol, ZERO) for symbol in self.account.session.symbols}
            if self._stream_differs(message):
                self.world.after(self.timing.confirm_after_s, ComparePositions())
        elif self.positions_seen is not None and self._stream_differs(self.positions_seen):
            self._ask_for_read(0.0)

    def _stream_differs(self, seen: PositionsSeen) -> bool:
        theirs = {position.symbol: position.quantity for position in seen.positions}
        symbols = self.account.session.symbols
        return any(theirs.get(s, ZERO) != self.journal.holding(s).quantity for s in symbols)

    # -- the end of trading ------------------------------------------------------------------------------------------

    def _trading_done(self, request: TradingDone, now: Now) -> None:
        if request.start_no >= self.account.start_no:
            self.trader_finished = True
            finish(self.account, request.start_no, request.reason, now)
            self.journal.set_state(request.state)
            declare(self.account, request.declarations, now, now.utc)

    def _stop_trader(self, request: EndTrading) -> None:
        if self.account.trading_done and not self.trader_finished:
            self.world.cast(self.trader, StopTrading(request.reason))
            self.world.after(request.limit_s, TerminateTrader(request.start_no))

    def _terminate_trader(self, message: TerminateTrader) -> None:
        if self.trader_finished or message.start_no != self.account.start_no:
            return
        try:
            self.world.supervisor.terminate_child(self.trader)
        except CallFailed as failed:
            self.world.log.warning("the trader was not terminated", error=str(failed))

    def _mind(self) -> None:
        """From ``done`` on wanted is ``mind``; when nothing of the session is left it is ``off``, and this ends."""
        if not self.account.trading_done:
            return
        wanted: Any = "off" if self.account.over else "mind"
        if wanted == self.wanted_told:
            return
        session, reason = self.account.session.name, self.journal.done.reason
        request = SetWanted(name=session, wanted=wanted, start_no=self.account.start_no, reason=reason)
        try:
            self.world.call("recorder", request, timeout_s=RECORDER_LIMIT_S)
        except Refused as refused:
            self.world.log.info("not applied: the session was started again", wanted=wanted, why=str(refused))
        except CallFailed as failed:
            self.world.log.warning("the recorder is asked again", wanted=wanted, error=str(failed))
            return
        else:
            if wanted == "off":
                self.world.end("trading is done, the account is flat, no order works")
        self.wanted_told = wanted

    def _now(self) -> Now:
        world = self.world
        return Now(world.now_s(), world.now_utc(), world.market_rate())
