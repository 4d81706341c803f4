"""The account manager of a session: the only process that sends its orders, and the one writer of its journal.

Thin: each message becomes one step, that is one transaction in which the pure parts decide (turns, execution, truth)
and intents are written; after the commit the reply goes out, then the intents are sent, and each outcome is a step of
its own. It goes on minding the position when trading is done, and ends the session when nothing of it is left.
"""

from __future__ import annotations

from typing import Any

import msgspec

from brokers.model import ZERO, GroupOutcome, Instrument, Outcome
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
from trader.arguments import SessionArguments
from trader.holds import HALT_FILE, InForce, in_force
from trader.manager import guarding
from trader.manager.account import Account, Now
from trader.manager.account_status import session_status
from trader.manager.ending import Minding, TerminateTrader
from trader.manager.execution import (
    doubt_after_restart,
    expire,
    follow_bar,
    hold_back,
    outcome,
    overdue,
    pending_plans,
    send_again,
    write_plans,
)
from trader.manager.halting import follow_flatten, impose, take, unconfirmed
from trader.manager.hours_watch import HoursWatch
from trader.manager.inquiry import Inquiry
from trader.manager.journal import SCHEMA, Journal
from trader.manager.key_numbers import number_keys
from trader.manager.order_frames import frames
from trader.manager.protection import protective
from trader.manager.reserving import Reserving
from trader.manager.settlement import held_when_overdue, overdue_since_s, settle_by_history
from trader.manager.step import Step
from trader.manager.truth import coverage, page_due, read, recount_uncovered
from trader.manager.turns import attach, declare, finish, release, turn
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
    TradingDone,
    Turn,
    TurnDone,
)
from trader.minding.rolling import notice_utc
from trader.orders.intents import Intent, IntentState, Kind, Purpose, change, placing
from trader.sessions import data_source_name, journal_path, trader_name
from trader.store import desk
from trader.store.holds import HoldsReader

SENDS_AT_ONCE = 20
"""Instructions sent before the mailbox is read again: far above what one step of a session needs."""
HOURS_LEAST_S = 0.001
"""Between two looks at a phase that is just about to change, as far as the clocks can say."""
INSTRUMENT_EVERY_S = 5.0
"""While the tick size of a symbol is not known, the books are asked this often."""
INSTRUMENTS_AT_ONCE = 20
"""Tick sizes asked for before the mailbox is read again: of a session of hundreds of symbols each is a call, and a
thousand of them would be longer than a process may be silent."""


class Tick(Message, frozen=True):
    """Timer: look again."""


class LookAtHours(Message, frozen=True):
    """Timer: a market changes its phase now."""


class ComparePositions(Message, frozen=True):
    """Timer: does the positions stream still differ from our book?"""


class AccountManager(Server):
    """``sessions/<name>/account_manager``."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, SessionArguments)
        self.timing = settings.timing
        stored = self.world.store(desk.DESK_DB)
        session = desk.read_session(stored, settings.session)
        self.holds, self.halt_file = HoldsReader(stored), self.world.file(HALT_FILE)
        self.journal = Journal(self.world.store(journal_path(session.name), schema=SCHEMA), self.world.new_id)
        self.key_numbers = number_keys(self.world, self.journal, session.name)
        self.broker = open_broker(self.world, settings.connection, self.timing)
        capabilities, protection = self.broker.capabilities, settings.protection
        self.account = Account(session, self.journal, self.timing, settings.limits, capabilities, protection)
        self.account.live_connection = settings.connection.environment == "LIVE"
        notices = ((symbol, about.first_notice) for symbol, about in settings.symbols.items())
        self.account.first_notice_utc = {symbol: notice_utc(day) for symbol, day in notices if day is not None}
        self.trader, self.data_source = trader_name(session.name), data_source_name(session.name)
        self.books = paths.books(settings.connection.name, session.account)
        self.inquiry = Inquiry()
        self.positions_seen: PositionsSeen | None = None
        self.to_send: list[Intent] = []
        self.rows_told = self.journal.newest_row
        self.minding = Minding(self.world, self.account, self.timing)
        self.no_plans_before_s = self.next_ask_s = self.next_read_s = 0.0
        self.hours = HoursWatch(self.world, self.account, settings.market_hours)
        self._take_up(settings)
        self._limit(settings)

    def _take_up(self, settings: SessionArguments) -> None:
        """What the last incarnation left without outcome is unknown until a read settles it."""
        with self._step(plans=False) as now:
            self.account.began_s, self.account.began_utc = now.s, now.utc
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
        """Where the account has limits of its own, entries ask. Prices are known from the closes of bars."""
        of_account = settings.connection.account_limits.get(self.account.session.account)
        self.reserving: Reserving | None = None
        if of_account is not None:
            self.reserving = Reserving(self.world, self.account, settings.connection)
            self.reserving.start()
        self.world.subscribe(self.data_source, "bars")

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
            return msgspec.structs.replace(session_status(self.account, self._now()), flattening=waits)
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
            if self.account.watches:
                self._follow_bars(message)
            if not self._look_after(message.symbol) and not self.account.watches:
                return
        elif self.lease.handle_info(message):
            return
        elif isinstance(message, AccountSeen):
            self.account.seen = message
            return
        elif isinstance(message, Snapshot):
            self.account.unread.pop(self.account.session.account, None)
            with self._step() as now:
                guarding.told_by_read(self.account, message, now)
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
        elif isinstance(message, Subscribed) and message.publisher == self.data_source:
            self.minding.need_bars()
        elif isinstance(message, TerminateTrader):
            self.minding.terminate_trader(message)
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
            self.minding.begins_again()
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
            self.minding.stop_trader(request)
        return Ok()

    # -- one step ----------------------------------------------------------------------------------------------------

    def _step(self, *, plans: bool = True) -> Step:
        return Step(self, self._now(), plans)

    def follow(self, now: Now, plans: bool) -> None:
        """What follows from what happened: intents, and the record of where cover ends and begins. Where nothing does
        (a refused entry is an event too), the account is at rest until something changes."""
        self.account.stir()
        impose(self.account)
        guarding.mind(self.account, now)
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
        self.minding.tell_wanted()

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

    def _instruct(self, intent: Intent) -> Outcome | GroupOutcome:
        if intent.kind is Kind.PLACE:
            self.key_numbers.reserve(intent.number)
            instrument = self.journal.instruments.get(intent.symbol)
            duration = protective(self.account, intent.symbol)
            order = placing(intent, self.account.session.account, instrument, duration)
            return self.broker.place_with_children(order) if order.children else self.broker.place(order)
        if intent.kind is Kind.CANCEL:
            return self.broker.cancel(intent.order_id)
        frame, own = self.account.as_told(intent.order_id), self.journal.orders[intent.order_id]
        sure = own.group > 0 or own.on_its_way is None  # else a size that was given up may arrive before this one
        return self.broker.replace(frame, change(intent, frame.quantity if sure else None))

    def _pause_unless_sent(self, result: Outcome | GroupOutcome) -> None:
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
        self._look_after()
        waits = self.account.in_doubt or self.account.flattening or guarding.wants_read(self.account, now)
        if waits and now.s >= self.next_read_s:
            self._ask_for_read(0.0)
        if overdue_since_s(self.account, now):
            with self._step() as now:
                held_when_overdue(self.account, now)
        self._inquire(now)
        self._read_instruments(now)
        self._look_at_hours(now)

    def _look_after(self, *symbols: str) -> bool:
        """Prices and time alone can make the rules of minding want something: of these symbols, or of all."""
        if guarding.due(self.account, self._now(), symbols or self.account.session.symbols):
            self.account.stir()
            with self._step():
                return True
        return False

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
            return in_force(self.holds.read(), self.halt_file.read(), session)
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
        and well within the venue's quota. Where only history can tell, they leave it room in that quota."""
        now_s = self.world.now_s()
        fresh = any(now_s < one.since_s + self.timing.settle_s for one in self.account.settling.values())
        every_s = self.timing.settle_s * (0.5 if fresh else 1.0 if self.account.search_since_utc is None else 4.0)
        self.next_read_s = now_s + every_s
        self.world.cast(self.books, ReadSnapshot(after_s))

    def _read_instruments(self, now: Now) -> None:
        """Tick sizes, once; entries wait for them. Those that could not be had are asked for after the others."""
        missing = [s for s in self.account.session.symbols if s not in self.journal.instruments]
        if not missing or now.s < self.next_ask_s:
            return
        found: list[Instrument] = []
        tried = {about: number for number, about in enumerate(self.account.unread)}
        asked = sorted(missing, key=lambda each: tried.get(each, -1))[:INSTRUMENTS_AT_ONCE]
        for symbol in asked:
            try:
                told = self.world.call(self.books, ReadInstrument(symbol), timeout_s=self.timing.http_limit_s)
            except Refused as refused:
                self._hindered(symbol, str(refused))
                continue
            except CallFailed as failed:
                self._hindered(symbol, f"the books do not answer: {failed}")
                break
            if told.instrument.symbol != symbol:
                self._hindered(symbol, f"the venue trades it as {told.instrument.symbol}: orders need that symbol")
                continue
            self.account.unread.pop(symbol, None)
            found.append(told.instrument)
        if len(found) < len(asked):
            self.next_ask_s = now.s + INSTRUMENT_EVERY_S
        if found:
            with self._step():
                for instrument in found:
                    self.journal.write_instrument(instrument)

    def _hindered(self, about: str, why: str) -> None:
        """``status`` shows it; the log has it when it changes."""
        before = self.account.unread.pop(about, None)
        self.account.unread[about] = why
        if before != why:
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

    # -- takes and trails that the desk holds -----------------------------------------------------------------------

    def _follow_bars(self, message: CleanBars) -> None:
        """Only the newest counts: what was true earlier is no reason to close at the market now."""
        if message.warm_up or not message.bars or message.symbol not in self.account.session.symbols:
            return
        with self._step() as now:
            follow_bar(self.account, message.symbol, message.bars[-1].bar.close, now)

    def _trading_done(self, request: TradingDone, now: Now) -> None:
        if request.start_no >= self.account.start_no:
            self.minding.trader_finished = True
            finish(self.account, request.start_no, request.reason, now)
            self.journal.set_state(request.state)
            declare(self.account, request.declarations, now, now.utc)

    def _now(self) -> Now:
        world = self.world
        return Now(world.now_s(), world.now_utc(), world.market_rate())
