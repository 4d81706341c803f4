"""The account as one session sees it: journal, session, limits, and what is known from reads of this life only.

What decides is pure and lies elsewhere (target, orders, reconcile, risk, intents); here the pieces are put before it.
``turns``, ``execution`` and ``truth`` act on an Account inside a transaction of its journal; none of them knows a
process, a clock or a socket: time comes in as ``Now``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from brokers.broker import Capabilities
from brokers.model import ZERO, GroupKind, Order, Side
from feeds.config import Timing
from feeds.messages import AccountSeen
from feeds.trading_day import began_utc
from supervisor.messages import Event, Level
from trader.arguments import Protection
from trader.holds import NOTHING_STANDS
from trader.hours.market_hours import UNKNOWN_HOURS, HoursConfig, MarketHours, Moment
from trader.hours.market_hours import entry_refusal as market_refusal
from trader.manager.journal import Journal
from trader.manager.protection import stop_becomes_exit, view
from trader.messages import (
    CleanBar,
    PositionView,
    RejectRow,
)
from trader.minding.minded import Past, Price
from trader.minding.rolling import entry_refusal as expiry_refusal
from trader.minding.stop_watch import reached
from trader.orders.intents import AGAIN, Intent, IntentState, Kind, Settling
from trader.orders.lifecycle import OwnOrder
from trader.orders.target import Declaration, Place, Situation, clamped, promised
from trader.risk.exposure import Exposure, open_risk_usd
from trader.risk.gates import EntryGates, entry_refusal
from trader.risk.limits import Limits
from trader.risk.usage import MINUTE_S
from trader.sessions import Session

REJECTS = "rejects"
"""Why entries are held: refusals in a loop."""
DIVERGENCE = "divergence"
"""Why entries are held: the broker differed, or somebody else has decided about an order of ours."""
replace = msgspec.structs.replace


class Now(msgspec.Struct, frozen=True):
    """Machine time, market time, and the market's rate, read once for a whole step."""

    s: float
    utc: float
    rate: float


Reserve = Callable[[str, Place], tuple[str, str] | None]
"""Asks for a part of the account's own limits for an entry of this symbol; gives the gate and reason of a refusal."""


class Account:
    """State of one session. The journal outlives the process; the rest is learned again from the broker.

    ``agreed_s``: when the newest read was requested that agreed with us, by symbol. ``shown``: what the last read said;
    ``differed``: the same where it did not agree. ``differs_since``: since when reads differ, and the level it was told
    at. ``changed_s``: our newest fill, acknowledgement or instruction. ``not_ours``: symbols in which a new journal
    found a position. ``streamed``: positions as the stream tells them. ``looked``: symbols that a person released after
    their position had vanished. ``told_by_history``: other people's orders that may have closed it; ``history_next_s``:
    when it is asked again. ``want_read``: somebody should read the account soon. ``search_since_utc``: an order of ours
    may have closed since then and be in history. ``missing``: working orders of ours that the newest read did not show,
    with the moment since which history is to be searched for them (None: it was). ``unread``: what the venue said
    instead of the newest read, by what was asked for (the account, a symbol). ``repeats``: the gate that refuses a
    symbol's declarations over and over, and how often it did since that was recorded. ``in_force``: what a person has
    stopped; ``flatten_since_s``: when this life took up the flatten that is under way. ``seen``, ``equity_usd`` and
    ``day_trades``: the venue's account as the books last told it. ``prices``: last closes, where a limit needs them.
    ``reserve``: asks for a part of the account's own limits before an entry is written; None where it has none.
    ``hours``: by symbol, missing where they are unknown; ``extended_hours``: with what is before and
    after regular ones, where the session is for these; ``closing_s``: so long before a close no entry goes.
    ``last_word``: of this trader's turns that consumed nothing. ``market``: the newest price known, by symbol;
    ``unconfirmed``: symbols of which a fill of ours was told after an adoption that may contain it already, since when;
    ``past``: stops that it has passed; ``read_utc``: when the newest good read was asked for; ``margin_usd``: what the
    account's positions need over night, ``overnight_free_usd``: what may be held then beyond them.
    ``first_notice_utc``: of contracts, as a person says.
    ``began_s``, ``began_utc``: when this life began.
    """

    def __init__(
        self,
        session: Session,
        journal: Journal,
        timing: Timing,
        limits: Limits,
        capabilities: Capabilities,
        protection: Protection = "venue",
    ) -> None:
        self.session = session
        self.journal = journal
        self.timing = timing
        self.limits = limits
        self.capabilities = capabilities
        at_venue = protection == "venue"
        self.takes_native = at_venue and capabilities.children and GroupKind.BRACKET in capabilities.groups
        self.trails_native = at_venue and capabilities.trailing_native
        self.start_no = session.start_no
        self.began_s = self.began_utc = float("-inf")
        self.agreed_s: dict[str, float] = {}
        self.shown: dict[str, Decimal] = {}
        self.differed: dict[str, Decimal] = {}
        self.changed_s: dict[str, float] = {}
        self.not_ours: set[str] = set()
        self.settling: dict[int, Settling] = {}
        self.foreign_working: tuple[Order, ...] = ()
        self.want_read = False
        self.search_since_utc: float | None = None
        self.missing: dict[str, float | None] = {}
        self.differs_since: dict[str, tuple[float, Level]] = {}
        self.streamed: dict[str, Decimal] = {}
        self.looked: set[str] = set()
        self.told_by_history: dict[str, Order] = {}
        self.history_next_s = 0.0
        self.unconfirmed: dict[str, float] = {}
        self.last_word = 0
        self.committed: list[Event] = []
        self.unread: dict[str, str] = {}
        self.repeats: dict[str, tuple[str, int]] = {}
        self.hours: dict[str, MarketHours] = {}
        self.extended_hours: dict[str, MarketHours] = {}
        self.closing_s = HoursConfig().closing_s
        self.in_force = NOTHING_STANDS
        self.flatten_since_s = 0.0
        self.live_connection = False
        self.seen: AccountSeen | None = None
        self.equity_usd: Decimal | None = None
        self.day_trades: int | None = None
        self.prices: dict[str, Decimal] = {}
        self.price_utc: dict[str, int] = {}
        self.market: dict[str, Price] = {}
        self.past: dict[str, Past] = {}
        self.read_utc = 0.0
        self.margin_usd: Decimal | None = None
        self.overnight_free_usd: Decimal | None = None
        self.first_notice_utc: dict[str, float] = {}
        self.reserve: Reserve | None = None
        self._resting = False
        self._differed_at_rest: dict[str, Decimal] = {}
        self._views: tuple[PositionView, ...] = ()
        self._views_agreed = 0

    # -- what the pure parts look at ---------------------------------------------------------------------------------

    @property
    def trading_done(self) -> bool:
        return self.journal.done.start_no >= self.start_no

    @property
    def over(self) -> bool:
        """Trading is done, and by an agreeing read nothing of ours is left at the broker (DESIGN 3)."""
        flat = all(symbol in self.not_ours or self._flat(symbol) for symbol in self.session.symbols)
        idle = not (self.journal.open_intents or self.journal.working or self.journal.awaiting)
        return self.trading_done and flat and idle and not self.flattening

    def _flat(self, symbol: str) -> bool:
        """A symbol of which no read was ever compared has no order of ours either: entries wait for the first."""
        if symbol not in self.journal.holdings and symbol not in self.differed:
            return True
        agreed = self.agreed_s.get(symbol, -1.0) >= self.changed_s.get(symbol, 0.0) and symbol not in self.differed
        return agreed and self.journal.holding(symbol).quantity == 0

    @property
    def flattening(self) -> bool:
        """A person wants the position closed, and the broker has not confirmed it flat since."""
        return self.in_force.halted and self.in_force.flatten > self.journal.taken.over

    def holds_of(self, symbol: str) -> tuple[str, ...]:
        """Why entries of the symbol are held: by a person, and by what was found at the broker."""
        return (*self.in_force.reasons(), *self.journal.holds_of(symbol))

    def working_of(self, symbol: str) -> tuple[OwnOrder, ...]:
        return tuple([order for order in self.journal.working.values() if order.symbol == symbol])

    def unsettled(self, symbol: str, without: Intent | None = None) -> bool:
        """A placing of this symbol has no outcome yet (but for this one)."""
        for intent in self.journal.open_intents.values():
            if intent.kind is Kind.PLACE and intent.symbol == symbol and intent is not without:
                return True
        return any(order.symbol == symbol for order in self.journal.awaiting.values())

    def unsettled_quantities(self, symbol: str) -> tuple[Decimal, ...]:
        """What the placings of this symbol without outcome may fill, signed (legs fill only after their entry); legs of
        known entries of which no frame has come; and its orders that no read shows, with the legs of such entries, or
        that have ended and nobody knows as what."""
        opened = [i for i in self.journal.open_intents.values() if i.symbol == symbol]
        changed = {i.order_id for i in opened}
        gone = {order_id for order_id, since_utc in self.missing.items() if since_utc is not None}
        lost = [
            o for o in self.working_of(symbol) if gone & {o.order_id, o.parent} or (o.out and o.order_id in changed)
        ]
        sent = [i for i in opened if i.state is not IntentState.UNSENT or i.reason == AGAIN]
        placings = [i.side.sign * i.quantity for i in sent if i.kind is Kind.PLACE]
        legs = [-e.side.sign * e.quantity for e in self.journal.awaiting.values() if e.symbol == symbol]
        return (*placings, *legs, *(order.side.sign * order.remaining_at_most for order in lost))

    def doubtful(self, symbol: str) -> bool:
        """An order of this symbol that we do not know may be ours."""
        opened = any(intent.symbol == symbol for intent in self.journal.open_intents.values())
        return opened or any(entry.symbol == symbol for entry in self.journal.awaiting.values())

    def lately(self, now: Now) -> list[Intent]:
        """Intents whose request may still be on its way: of unknown fate, or given up not long ago."""
        on_its_way_s = self.timing.on_its_way_s * now.rate
        unknown = [i for i in self.journal.open_intents.values() if i.state is IntentState.UNKNOWN]
        given_up = self.journal.given_up.values()
        return unknown + [i for i in given_up if now.utc <= (i.settled_utc or now.utc) + on_its_way_s]

    @property
    def in_doubt(self) -> bool:
        """Something has no outcome yet that only a read can tell."""
        unknown = any(i.state is IntentState.UNKNOWN for i in self.journal.open_intents.values())
        return unknown or bool(self.journal.awaiting) or any(o.unsure for o in self.journal.working.values())

    def as_told(self, order_id: str) -> Order:
        """An order of ours in the broker's words, to be replaced."""
        own = self.journal.orders[order_id]
        return Order(
            order_id=order_id,
            account=self.session.account,
            symbol=own.symbol,
            side=own.side,
            type=own.type,
            quantity=own.quantity,
            status=own.status,
            venue_status="",
            opened_utc=0.0,
            filled_quantity=own.filled_quantity,
            stop_price=own.stop_price,
            limit_price=own.limit_price,
            trail=own.trail,
        )

    def situation(self, symbol: str, now: Now, without: Intent | None = None) -> Situation:
        """``without``: an intent that is not counted, to see whether it would be planned again. Before the first read
        of this life nobody knows what is left of the position, so nothing new is placed; what works may be changed."""
        declaration, held = self.journal.declaration(symbol), self.journal.holding(symbol).quantity
        unsettled = self.unsettled(symbol, without) or symbol not in self.shown
        missing = not unsettled and clamped(declaration.quantity, held) != declaration.quantity
        return Situation(
            declaration=declaration,
            position=held,
            orders=self.working_of(symbol),
            instrument=self.journal.instruments.get(symbol),
            now_utc=now.utc,
            seen=self.differed.get(symbol, ZERO if self._may_be_twice(symbol, now) else None),
            unsettled=unsettled,
            entry_refusal=self.refusal(declaration, now, late=declaration.late) if missing else None,
            entry_waits=missing and self._begins(symbol),
            replace_to_market=stop_becomes_exit(self, symbol),
            children=self.capabilities.children,
            takes_native=self.takes_native,
            uncovered_s=self._uncovered_s(symbol, now),
            renew=self._to_renew(symbol),
            unpriced=self._unpriced(symbol, now),
        )

    def _to_renew(self, symbol: str) -> str:
        renewal = self.journal.minded(symbol).renewal
        return renewal.order_id if renewal is not None and renewal.wanted else ""

    def price_of(self, symbol: str) -> Price | None:
        """The newest price known, if it is no older than the position."""
        price = self.market.get(symbol)
        old = price is not None and price.at_utc < self.journal.holding(symbol).as_of_utc
        return None if old or self._untold(symbol) else price

    def _untold(self, symbol: str) -> bool:
        """A new life is told old bars first. Before its first read only what has traded since it began counts, or what
        a gap has passed would be judged by the price before the gap."""
        price = self.market.get(symbol)
        return not self.read_utc and (price is None or price.at_utc < self.began_utc)

    def _unpriced(self, symbol: str, now: Now) -> bool:
        """So a stop that may be passed, and then is to be paged, is not sent yet."""
        young = now.s < self.began_s + self.timing.settle_s
        return young and self.session.stop_passed == "page" and self._untold(symbol)

    def _begins(self, symbol: str) -> bool:
        """This life has not read yet what the gates look at: what was declared before it waits as long as it is valid,
        lest each death between an exit and the entry that follows it leave the session flat."""
        priced = self.limits.max_open_risk_usd is None or symbol in self.prices
        return symbol not in self.agreed_s or self.seen is None or not priced

    def _may_be_twice(self, symbol: str, now: Now) -> bool:
        """What we hold may contain a fill twice, until a read agrees. Where none comes an exit does not wait for it."""
        since_s = self.unconfirmed.get(symbol)
        return since_s is not None and now.s < since_s + self.timing.snapshot_every_s

    def _uncovered_s(self, symbol: str, now: Now) -> float:
        bare = self.journal.uncovered.get(symbol)
        return 0.0 if bare is None else now.s - bare.since_s

    def _part_filled_s(self, symbol: str, now: Now) -> float:
        bare_s = self._uncovered_s(symbol, now)
        return bare_s if bare_s and promised(self.working_of(symbol)) else 0.0

    def moment(self, symbol: str, now: Now) -> Moment:
        """The phase of the symbol's market."""
        return self.hours.get(symbol, UNKNOWN_HOURS).moment(now.utc, self.closing_s)

    def refusal(self, wanted: Declaration, now: Now, *, late: bool = False) -> tuple[str, str] | None:
        """The gate that forbids an entry towards this declaration now."""
        symbol, limits, seen = wanted.symbol, self.limits, self.seen
        agreed_s = self.agreed_s.get(symbol)
        usage = self.journal.usage
        day_utc = began_utc(now.utc, seen.account.kind) if seen is not None else 0.0
        gates = EntryGates(
            limits=limits,
            agreed_max_age_s=self.timing.agreed_max_age_s,
            position_after=abs(wanted.quantity),
            live_connection=self.live_connection,
            live_session=self.session.live,
            account=seen.account if seen is not None else None,
            day_trades=self.day_trades,
            equity_usd=self.equity_usd,
            day_start_usd=seen.day_start_usd if seen is not None else None,
            placed_in_minute=usage.placed.since(now.utc - MINUTE_S),
            placed_today=usage.placed.since(day_utc),
            round_trips_today=usage.trips.since(day_utc),
            part_filled_s=self._part_filled_s(symbol, now),
            open_risk_usd=self.open_risk_usd(wanted) if limits.max_open_risk_usd is not None else None,
            trading_done=self.trading_done,
            holds=self.holds_of(symbol),
            agreed_age_s=None if agreed_s is None else now.s - agreed_s,
            differs=symbol in self.differed,
            late=late,
            stop_given=wanted.stop is not None,
            quantity=self._entry_quantity(wanted),
            instrument=self.journal.instruments.get(symbol),
            market=market_refusal(symbol, self.moment(symbol, now)),
            expiry=self._expiry(symbol, now),
            stop_passed=self._stop_passed(wanted),
        )
        return entry_refusal(gates)

    def _expiry(self, symbol: str, now: Now) -> str:
        instrument, notice_utc = self.journal.instruments.get(symbol), self.first_notice_utc.get(symbol)
        return expiry_refusal(instrument, notice_utc, self.limits.last_days_without_entry, now.utc)

    def open_risk_usd(self, wanted: Declaration) -> Decimal | None:
        """Of all that this session holds or is entering, with this declaration as the symbol's; None: no bound."""
        return open_risk_usd(
            self.exposure(wanted if symbol == wanted.symbol else self._on_the_way(symbol))
            for symbol in self.session.symbols
        )

    def _on_the_way(self, symbol: str) -> Declaration:
        """What is declared where it adds to what is held, else what is held."""
        declared = self.journal.declaration(symbol)
        if self._entry_missing(symbol):
            return declared
        return replace(declared, quantity=self.journal.holding(symbol).quantity)

    def exposure(self, wanted: Declaration) -> Exposure:
        symbol = wanted.symbol
        journal = self.journal
        instrument, last = journal.instruments.get(symbol), self.prices.get(symbol)
        return Exposure(wanted.quantity, journal.holding(symbol), wanted.stop, last, instrument)

    def price_seen(self, bars: Iterable[CleanBar]) -> None:
        """Closed bars of one of the session's series: of several the newest close counts."""
        for each in bars:
            bar = each.bar
            if bar.closed_utc >= self.price_utc.get(bar.symbol, 0):
                self.prices[bar.symbol], self.price_utc[bar.symbol] = bar.close, bar.closed_utc
                self.price_told(bar.symbol, Price(bar.close, bar.closed_utc))

    def price_told(self, symbol: str, price: Price) -> None:
        if symbol not in self.market or price.at_utc >= self.market[symbol].at_utc:
            self.market[symbol] = price

    def _stop_passed(self, wanted: Declaration) -> bool:
        """The stop declared with this exposure is behind the market already."""
        price, side = self.market.get(wanted.symbol), Side.BUY if wanted.quantity > 0 else Side.SELL
        instrument = self.journal.instruments.get(wanted.symbol)
        return price is not None and wanted.stop is not None and reached(price.price, wanted.stop, side, instrument)

    def _entry_quantity(self, wanted: Declaration) -> Decimal:
        held = self.journal.holding(wanted.symbol).quantity
        return abs(wanted.quantity - held) if held * wanted.quantity > 0 else abs(wanted.quantity)

    @property
    def watches(self) -> bool:
        """Whether closed bars are looked at here: a symbol has a take or a trail."""
        return any(d.take is not None or d.trail is not None for d in self.journal.declarations.values())

    # -- at rest -----------------------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """There was nothing to do, whatever the time, and this step has written nothing but history: most turns."""
        return self._resting and not self.journal.state_changed and self.differed == self._differed_at_rest

    def stir(self) -> None:
        """Something has changed, or time decides."""
        self._resting, self._views = False, ()

    def rest(self) -> None:
        """There is nothing to do now. It stays so while no entry and no cover is missing, of which time decides, and no
        first read, before which nothing is placed."""
        missing = any(self._entry_missing(each) or each not in self.shown for each in self.session.symbols)
        self._resting = not (missing or self.journal.uncovered or self.flattening or self.unconfirmed)
        self._differed_at_rest = dict(self.differed)

    def _entry_missing(self, symbol: str) -> bool:
        declared, held = self.journal.declaration(symbol).quantity, self.journal.holding(symbol).quantity
        return clamped(declared, held) != declared

    # -- the record --------------------------------------------------------------------------------------------------

    def event(
        self,
        now: Now,
        kind: str,
        level: Level,
        text: str,
        *,
        incident: str = "",
        state: Literal["", "opened", "resolved"] = "",
        **data: Any,
    ) -> None:
        """Into the journal, in the transaction of what it tells about."""
        event = Event(
            kind=kind,
            level=level,
            subject=f"sessions/{self.session.name}",
            text=text,
            machine_s=now.s,
            market_utc=now.utc,
            incident=f"{self.session.name}:{incident}" if incident else "",
            incident_state=state,
            data={name: _plain(value) for name, value in data.items()},
        )
        self.journal.write_event(event)
        self.committed.append(event)

    def reject(self, now: Now, symbol: str, gate: str, text: str, quantity: Decimal, *, row: bool = True) -> None:
        """A refusal goes to the record and, as a row, to the strategy."""
        self.event(now, "order.refused", "DIGEST", f"{symbol}: {text}", gate=gate, quantity=quantity)
        if row:
            self._tell_refusal(symbol, gate, text, quantity, now)

    def _tell_refusal(self, symbol: str, gate: str, text: str, quantity: Decimal, now: Now) -> None:
        self.journal.add_row(RejectRow(symbol=symbol, gate=gate, text=text, quantity=quantity, refused_utc=now.utc))
        self._hold_after_rejects(now)

    def _hold_after_rejects(self, now: Now) -> None:
        """A session that is refused over and over goes round in a loop: it enters nothing more before a person looks
        (order-safety 4). One incident for all its symbols."""
        most, minutes = self.limits.max_rejects, self.limits.rejects_within_minutes
        if most is None or minutes is None or self.journal.usage.rejects.since(now.utc - minutes * MINUTE_S) < most:
            return
        held = [symbol for symbol in self.session.symbols if self.journal.add_hold(symbol, REJECTS, now.utc)]
        if held:
            text = f"{most} refusals within {minutes} market minutes: entries of {', '.join(held)} are held"
            self.event(now, "hold.rejects", "PAGE", text, incident=REJECTS, state="opened")

    def refuse_again(self, now: Now, symbol: str, gate: str, text: str, quantity: Decimal, *, row: bool) -> None:
        """A declaration refused. A strategy that says the same on each bar makes one event, then a count."""
        before, times = self.repeats.get(symbol, ("", 0))
        if before == gate:
            self.repeats[symbol] = (gate, times + 1)
            if row:
                self._tell_refusal(symbol, gate, text, quantity, now)
            return
        self.end_repeats(now, symbol)
        self.repeats[symbol] = (gate, 0)
        self.reject(now, symbol, gate, text, quantity, row=row)

    def end_repeats(self, now: Now, symbol: str) -> None:
        """The symbol's refusals are over, or another gate goes on with them: how many there were goes to the record."""
        gate, times = self.repeats.pop(symbol, ("", 0))
        if times:
            text = f"{symbol}: refused {times} times more by the gate {gate!r}"
            self.event(now, "order.refused_again", "DIGEST", text, gate=gate, times=times)

    # -- views -------------------------------------------------------------------------------------------------------

    def views(self) -> tuple[PositionView, ...]:
        """Made anew where something has changed, or was agreed for the first time."""
        if not self._views or self._views_agreed != len(self.agreed_s):
            self._views = tuple([view(self, symbol) for symbol in self.session.symbols])
            self._views_agreed = len(self.agreed_s)
        return self._views


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
