"""The books of one account: the venue's truth, read by REST every 30 s. The product, not a safety net.

Shares no fate with the streams (order-safety 2). A read is whole or it failed: a failed, partial or contradicting
one is published as ``SnapshotFailed`` and changes nothing (law 6). It judges nothing: account managers reconcile.
It is fresh as long as an entry may rely on what it has read; past that it is *stale*, by night as by day. Beside the
snapshot it reads what account managers miss: orders by id, and history. Many who ask at once are one read.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.broker import AccountSnapshot
from brokers.errors import BrokerError, Unavailable
from brokers.model import Account, Instrument
from feeds.day_start import DayStarts
from feeds.messages import (
    AccountSeen,
    AskHistory,
    AskOrders,
    HistoryRead,
    InstrumentRead,
    LastSnapshot,
    OrdersRead,
    ReadInstrument,
    ReadOrders,
    ReadSnapshot,
    Snapshot,
    SnapshotFailed,
)
from feeds.specs import BooksArguments
from feeds.venue import open_broker
from supervisor.errors import Refused, StoreFailed
from supervisor.messages import Message, Request
from supervisor.process.server import Caller, Server

INSTRUMENT_VALID_S = 3600.0
"""An instrument read is used so long: tick sizes hardly change, but @ES rolls to another contract."""

STATUS_VALID_S = 300.0
"""The account's status (restricted, closing only) is read again so often: every tenth snapshot."""


ASKED_EVERY_S = 5.0
"""At most one read beside the snapshot in so many seconds, whoever asks: the snapshot comes first in the quota."""
IDS_MAX = 200
"""Order ids that wait to be read: four requests. Whoever asked for more asks again."""


READS_APART = 0.5
"""Part of the time after which a disagreement is read again. Fifty sessions that fill at once asked for ten reads in
half a second; each is told to all of them, and comes out of one quota."""


class ReadAsked(Message, frozen=True):
    """Timer: what was asked for is due."""


class ReadBooks(Message, frozen=True):
    """Timer: a read is due that begins at ``due_s`` or later. ``rhythm``: the regular one, which goes on."""

    due_s: float
    rhythm: bool


class Books(Server):
    """``connections/<name>/books/<account>``; publishes ``Snapshot`` or ``SnapshotFailed`` on "snapshot", and
    ``OrdersRead`` and ``HistoryRead`` on "asked"."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, BooksArguments)
        self.timing, self.account = settings.timing, settings.account
        self.broker = open_broker(self.world, settings.config, settings.timing)
        self.reads = 0
        self.requested_s = float("-inf")
        self.not_before_s = 0.0
        self.last: Snapshot | None = None
        self.failing = False
        self.instruments: dict[str, tuple[Instrument, float]] = {}
        self.asked_ids: dict[str, None] = {}
        self.asked_since_utc: float | None = None
        self.asked_not_before_s = 0.0
        self.asked_timer = False
        self.status: Account | None = None
        self.ask_status_s = float("-inf")
        self.days = DayStarts(self.world, settings.config.name, self.account)
        limits = settings.config.account_limits.get(self.account)
        self.risk_limited = limits is not None and limits.max_open_risk_usd is not None
        self.told_trouble = ""
        self.world.fresh(self.timing.agreed_max_age_s)  # books that never come to a read are stale too
        self._read_at(self.world.now_s(), rhythm=True)

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, LastSnapshot):
            return self._last()
        if isinstance(request, ReadOrders):
            return self._orders(request.order_ids)
        if isinstance(request, ReadInstrument):
            return InstrumentRead(self._instrument(request.symbol))
        return super().handle_call(request, caller)

    def handle_cast(self, message: Message) -> None:
        if isinstance(message, ReadSnapshot):
            after_s = min(max(0.0, message.after_s), self.timing.snapshot_every_s)
            self._read_at(self.world.now_s() + after_s, rhythm=False)
        elif isinstance(message, AskOrders):
            self.asked_ids |= dict.fromkeys(message.order_ids[: IDS_MAX - len(self.asked_ids)])
            self._read_asked_soon()
        elif isinstance(message, AskHistory):
            self.asked_since_utc = min(message.since_utc, self.asked_since_utc or message.since_utc)
            self._read_asked_soon()
        else:
            super().handle_cast(message)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, ReadBooks):
            self._due(message)
        elif isinstance(message, ReadAsked):
            self._read_asked()
        else:
            super().handle_info(message)

    # -- the snapshot ----------------------------------------------------------------------------------------

    def _read_at(self, due_s: float, *, rhythm: bool) -> None:
        self.world.after(max(0.0, due_s - self.world.now_s()), ReadBooks(due_s, rhythm))

    def _due(self, due: ReadBooks) -> None:
        """A read that began when this one was due, or later, is this one too: so ten askers cost two reads. And fifty,
        each at its own moment, no more: what is asked for right behind a read waits a little for others."""
        now_s = self.world.now_s()
        if due.rhythm:
            self._read_at(max(due.due_s + self.timing.snapshot_every_s, now_s), rhythm=True)
        if self.requested_s >= due.due_s:
            return
        apart_s = self.requested_s + READS_APART * self.timing.confirm_after_s
        if now_s < apart_s and not due.rhythm:
            self._read_at(apart_s, rhythm=False)
        elif now_s < self.not_before_s:
            self._failed(now_s, f"the venue asked us to wait {self.not_before_s - now_s:.0f} s more")
        else:
            self._read(now_s)

    def _read(self, requested_s: float) -> None:
        self.requested_s = requested_s
        try:
            content = self.broker.snapshot(self.account)
        except BrokerError as error:
            if isinstance(error, Unavailable) and error.retry_after_s > 0.0:
                self._wait(error.retry_after_s)
            self._failed(requested_s, f"{type(error).__name__}: {error}")
        else:
            self._succeeded(requested_s, content)

    def _wait(self, wait_s: float) -> None:
        """A read held up by the venue's word or by our part of its quota is made up for at once when it may be: the
        rhythm alone would lose half a minute."""
        self.not_before_s = self.world.now_s() + wait_s
        self._read_at(self.not_before_s, rhythm=False)

    def _succeeded(self, requested_s: float, content: AccountSnapshot) -> None:
        self.reads += 1
        self.last = Snapshot(self.reads, requested_s, content)
        self.world.publish("snapshot", self.last)
        self.world.fresh(requested_s + self.timing.agreed_max_age_s - self.world.now_s())
        if self.failing:
            self.failing = False
            text = f"{self.account}: orders, positions and balance are read again"
            self.world.event("books.read_again", "DIGEST", text, incident=self._incident, resolved=True)
        self._tell_account(content)

    def _tell_account(self, content: AccountSnapshot) -> None:
        """What limits need beside the snapshot, after it: nothing of this may hold the snapshot up or fail it. While
        the status was never read nothing is told, and entries wait."""
        self._read_status()
        if self.status is None:
            return
        try:
            start = self.days.of(content.balance.equity_usd, self.status.kind)
        except StoreFailed as error:
            self._trouble(f"{self.account}: the day's loss cannot be measured, entries wait: {error}")
            return
        self._trouble("")
        points = self._point_values(content) if self.risk_limited else {}
        self.world.publish("snapshot", AccountSeen(self.status, start.equity_usd, points))

    def _read_status(self) -> None:
        """A failed read leaves what was known: unknown is not restricted, and not active either."""
        now_s = self.world.now_s()
        if self.status is not None and now_s < self.ask_status_s:
            return
        try:
            found = [each for each in self.broker.accounts() if each.account == self.account]
        except BrokerError as error:
            self.world.log.warning("the account's status was not read", error=str(error))
            return
        if not found:
            self.world.log.warning("the login does not have this account", account=self.account)
            return
        self.status, self.ask_status_s = found[0], now_s + STATUS_VALID_S

    def _point_values(self, content: AccountSnapshot) -> dict[str, Decimal]:
        symbols = {each.symbol for each in content.positions} | {o.symbol for o in content.orders if o.working}
        points: dict[str, Decimal] = {}
        for symbol in sorted(symbols):
            try:
                points[symbol] = self._instrument(symbol).point_value_usd
            except Refused as refused:
                self.world.log.warning("a point value is missing, the open risk is not known", why=str(refused))
        return points

    def _trouble(self, text: str) -> None:
        if text != self.told_trouble:
            self.told_trouble = text
            if text:
                self.world.event("books.day_start", "NOTIFY", text)

    def _failed(self, requested_s: float, reason: str) -> None:
        self.reads += 1
        self.world.log.warning("snapshot failed", read=self.reads, reason=reason)
        self.world.publish("snapshot", SnapshotFailed(self.reads, requested_s, reason))
        if not self.failing:
            self.failing = True
            text = f"{self.account}: not read, nothing is concluded from it: {reason}"
            self.world.event("books.unread", "DIGEST", text, incident=self._incident, opened=True)

    @property
    def _incident(self) -> str:
        return f"unread:{self.world.name}"

    # -- beside the snapshot ----------------------------------------------------------------------------------

    def _read_asked_soon(self) -> None:
        if not self.asked_timer:
            self.asked_timer = True
            due_s = max(self.asked_not_before_s, self.not_before_s)
            self.world.after(max(0.0, due_s - self.world.now_s()), ReadAsked())

    def _read_asked(self) -> None:
        """One read; the rest waits its turn. What fails is forgotten: who still misses it asks again. What is held up
        is made up for when it may be: who asks every ten seconds for what is due in ten would never be answered."""
        self.asked_timer = False
        requested_s = self.world.now_s()
        self.asked_not_before_s = requested_s + ASKED_EVERY_S
        ids, since_utc = tuple(self.asked_ids), self.asked_since_utc
        try:
            if ids:
                self.asked_ids = {}
                self.world.publish("asked", OrdersRead(requested_s, self.broker.orders_by_id(self.account, ids)))
            elif since_utc is not None:
                self.asked_since_utc = None
                orders = self.broker.historical_orders(self.account, since_utc)
                self.world.publish("asked", HistoryRead(requested_s, since_utc, orders))
        except BrokerError as error:
            self.world.log.warning("what was asked for was not read", reason=f"{type(error).__name__}: {error}")
            if isinstance(error, Unavailable) and error.retry_after_s > 0.0:
                self.asked_ids, self.asked_since_utc = dict.fromkeys(ids), since_utc
                self.asked_not_before_s = requested_s + max(ASKED_EVERY_S, error.retry_after_s)
        if self.asked_ids or self.asked_since_utc is not None:
            self._read_asked_soon()

    # -- answers ---------------------------------------------------------------------------------------------

    def _last(self) -> Snapshot:
        if self.last is None:
            raise Refused(f"{self.account}: no snapshot was read yet")
        return self.last

    def _orders(self, order_ids: tuple[str, ...]) -> OrdersRead:
        requested_s = self.world.now_s()
        try:
            return OrdersRead(requested_s, self.broker.orders_by_id(self.account, order_ids))
        except BrokerError as error:
            raise Refused(f"{self.account}: orders were not read: {error}") from error

    def _instrument(self, symbol: str) -> Instrument:
        known, until_s = self.instruments.get(symbol, (None, 0.0))
        if known is not None and self.world.now_s() < until_s:
            return known
        try:
            instrument = self.broker.instrument(symbol)
        except BrokerError as error:
            raise Refused(f"{symbol} was not read: {type(error).__name__}: {error}") from error
        self.instruments[symbol] = (instrument, self.world.now_s() + INSTRUMENT_VALID_S)
        return instrument
