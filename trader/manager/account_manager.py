"""The account manager of a session: the only process that sends its orders, and the one writer of its journal.

Thin: each message becomes one step, that is one transaction in which the pure parts decide (turns, execution, truth)
and intents are written; after the commit they are sent, and each outcome is a step of its own. Of a turn the first is
sent, then its trader is told. It goes on minding the position when trading is done, and ends the session when nothing
of it is left.
"""

from __future__ import annotations

from typing import Any

import msgspec

from feeds import paths
from feeds.lease import Lease
from feeds.messages import (
    AccountSeen,
    HistoryRead,
    OrdersRead,
    OrdersSeen,
    PositionsSeen,
    Snapshot,
    SnapshotFailed,
)
from feeds.venue import open_broker
from supervisor.errors import StoreFailed
from supervisor.messages import Done as Ok
from supervisor.messages import Down, Message, Request, Subscribed, Up
from supervisor.process.server import Caller, Server
from trader.arguments import SessionArguments
from trader.holds import HALT_FILE, InForce, in_force
from trader.manager import guarding
from trader.manager.account import Account, Now
from trader.manager.account_status import session_status
from trader.manager.asking import Asking, ComparePositions
from trader.manager.ending import Minding, TerminateTrader
from trader.manager.execution import (
    doubt_after_restart,
    follow_bar,
    pending_plans,
    send_again,
    write_plans,
)
from trader.manager.halting import follow_flatten, impose, take
from trader.manager.hours_watch import HoursWatch
from trader.manager.journal import SCHEMA, Journal
from trader.manager.key_numbers import number_keys
from trader.manager.order_frames import frames
from trader.manager.protection import views
from trader.manager.reserving import Reserving
from trader.manager.sending import Sending
from trader.manager.settlement import settle_by_history
from trader.manager.step import Step, now_of
from trader.manager.truth import coverage, page_due, read, recount_uncovered
from trader.manager.turns import attach, declare, finish, release, turn
from trader.manager.unsettled import held_when_overdue, overdue_since_s
from trader.messages import (
    Attach,
    BeginSeries,
    BeginTimers,
    CleanBars,
    DataAge,
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
from trader.orders.intents import IntentState
from trader.sessions import data_source_name, journal_path, trader_name
from trader.store import desk
from trader.store.holds import HoldsReader

HOURS_LEAST_S = 0.001
"""Between two looks at a phase that is just about to change, as far as the clocks can say."""


class Tick(Message, frozen=True):
    """Timer: look again."""


class LookAtHours(Message, frozen=True):
    """Timer: a market changes its phase now."""


class AccountManager(Server):
    """``sessions/<name>/account_manager``."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, SessionArguments)
        self.timing = settings.timing
        stored = self.world.store(desk.DESK_DB)
        session = desk.read_session(stored, settings.session)
        self.holds, self.halt_file = HoldsReader(stored), self.world.file(HALT_FILE)
        self.journal = Journal(self.world.store(journal_path(session.name), schema=SCHEMA), self.world.new_id)
        key_numbers = number_keys(self.world, self.journal, session.name)
        broker = open_broker(self.world, settings.connection, self.timing)
        capabilities, protection = broker.capabilities, settings.protection
        self.account = Account(session, self.journal, self.timing, settings.limits, capabilities, protection)
        self.account.live_connection = settings.connection.environment == "LIVE"
        notices = ((symbol, about.first_notice) for symbol, about in settings.symbols.items())
        self.account.first_notice_utc = {symbol: notice_utc(day) for symbol, day in notices if day is not None}
        self.trader, self.data_source = trader_name(session.name), data_source_name(session.name)
        self.books = paths.books(settings.connection.name, session.account)
        self.asking = Asking(self.world, self.account, self.timing, self.books)
        self.sending = Sending(self.world, self.account, broker, key_numbers, self._step, self._look_at_holds)
        self.rows_told = self.journal.newest_row
        self.minding = Minding(self.world, self.account, self.timing)
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
        orders, positions = (paths.feed(connection, feed) for feed in feeds)
        for symbol in dict.fromkeys((*session.symbols, *self.journal.declarations)):  # that it has, and once had
            self.world.subscribe(orders, paths.orders_topic(symbol))
        self.world.subscribe(positions, "positions")
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
            self._turn(request)
            self.sending.send_one()  # nobody has to be told before; what more there is waits, lest the trader wait long
            self.reply(caller, TurnDone(self.journal.rows_after(self.journal.last_row), views(self.account)))
            self._after_commit()
            return None
        if isinstance(request, ReadRows):
            return Rows(rows=self.journal.rows_after(request.after), positions=views(self.account))
        if isinstance(request, ReadSessionStatus):
            return session_status(self.account, now_of(self.world))
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
        elif isinstance(message, PositionsSeen):
            self.asking.streamed(message)
        elif isinstance(message, ComparePositions):
            self.asking.compare()
        elif isinstance(message, DataAge):
            return  # of the same topic as the bars, and for the trader: what is minded here needs prices, not all bars
        elif isinstance(message, CleanBars):
            self.account.price_seen(message.bars)
            if self.account.watches:
                self._follow_bars(message)
            held = self._look_at_holds()  # a turn follows: what is held is refused there, not written and held back
            if not self._look_after(message.symbol) and not held and not self.account.watches:
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
            self.asking.hindered(self.account.session.account, message.reason)
        elif isinstance(message, OrdersRead):
            with self._step() as now:
                frames(self.account, message.orders, now, message.requested_s)
        elif isinstance(message, HistoryRead):
            with self._step() as now:
                settle_by_history(self.account, message.orders, message.since_utc, now)
        elif isinstance(message, Tick):
            self._tick()
        elif isinstance(message, LookAtHours):
            self._look_at_hours(now_of(self.world))
        elif isinstance(message, Subscribed) and message.publisher == self.data_source:
            self.minding.need_bars()
        elif isinstance(message, TerminateTrader):
            self.minding.terminate_trader(message)
        elif isinstance(message, Subscribed) and message.publisher == self.books:
            self.asking.read(0.0)
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

    def _turn(self, request: Turn) -> None:
        with self._step() as now:
            turn(self.account, request, now)

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
        return Step(self, now_of(self.world), plans)

    def follow(self, now: Now, plans: bool) -> None:
        """What follows from what happened: intents, and the record of where cover ends and begins. Where nothing does
        (a refused entry is an event too), the account is at rest until something changes."""
        self.account.stir()
        impose(self.account)
        guarding.mind(self.account, now)
        planning = plans and now.s >= self.sending.paused_until_s
        planned = write_plans(self.account, now) if planning else []
        self.sending.queue(planned)
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
        self.sending.send()
        if self.journal.newest_row > self.rows_told:
            self.rows_told = self.journal.newest_row
            self.world.cast(self.trader, RowsWaiting(newest=self.rows_told))
        if self.account.want_read:
            self.account.want_read = False
            self.asking.read(self.timing.confirm_after_s)
        if self.reserving is not None:
            self.reserving.tell_over()
        self.minding.tell_wanted()

    # -- what no message tells ---------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.world.after(self.timing.look_every_s, Tick())
        self._look_at_holds()
        self.sending.take_ahead()
        now = now_of(self.world)
        self.next_tick_s = now.s + self.timing.look_every_s
        if any(i.state is IntentState.UNSENT for i in self.journal.open_intents.values()):
            with self._step() as now:
                self.sending.queue(send_again(self.account, now))
        due = any(not u.paged and page_due(self.account, s, u, now) for s, u in self.journal.uncovered.items())
        if due or self.account.flattening or pending_plans(self.account, now):
            with self._step():
                pass
        self._look_after()
        waits = self.account.in_doubt or self.account.flattening or guarding.wants_read(self.account, now)
        if waits:
            self.asking.read_if_due(now)
        if overdue_since_s(self.account, now):
            with self._step() as now:
                held_when_overdue(self.account, now)
        self.asking.inquire(now)
        if found := self.asking.instruments(now):
            with self._step():
                for instrument in found:
                    self.journal.write_instrument(instrument)
        self._look_at_hours(now)

    def _look_after(self, *symbols: str) -> bool:
        """Prices and time alone can make the rules of minding want something: of these symbols, or of all."""
        if guarding.due(self.account, now_of(self.world), symbols or self.account.session.symbols):
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

    def _look_at_holds(self) -> bool:
        """What a person has stopped; whether that is news. Cheap: a number of desk.db, and whether there is a file."""
        now_stands = self._what_stands()
        if now_stands == self.account.in_force:
            return False
        with self._step() as now:
            take(self.account, now_stands, now)
        return True

    def _what_stands(self) -> InForce:
        """What cannot be read holds entries; what was known of it stands on."""
        before, session = self.account.in_force, self.account.session.name
        try:
            return in_force(self.holds.read(), self.halt_file.read(), session)
        except StoreFailed as failed:
            return msgspec.structs.replace(before, unread=f"holds cannot be read: {failed}")

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
