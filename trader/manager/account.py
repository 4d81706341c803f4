"""The account as one session sees it: journal, session, limits, and what is known from reads of this life only.

What decides is pure and lies elsewhere (target, orders, reconcile, risk, intents); here the pieces are put before it.
``turns``, ``execution`` and ``truth`` act on an Account inside a transaction of its journal; none of them knows a
process, a clock or a socket: time comes in as ``Now``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from brokers.broker import Capabilities
from brokers.model import GroupKind, Order
from feeds.config import Timing
from feeds.messages import AccountSeen
from supervisor.messages import Event, IncidentState, Level
from trader.arguments import Protection
from trader.holds import NOTHING_STANDS
from trader.hours.market_hours import UNKNOWN_HOURS, HoursConfig, MarketHours, Moment
from trader.manager.journal import Journal
from trader.messages import CleanBar, PositionView
from trader.minding.minded import Overrun, Price
from trader.orders.intents import AGAIN, Intent, IntentState, Kind, Settling
from trader.orders.own_order import OwnOrder
from trader.orders.position import clamped
from trader.orders.target import Place
from trader.risk.limits import Limits
from trader.sessions import Session

DIVERGENCE = "divergence"
"""Why entries are held: the broker differed, or somebody else has decided about an order of ours."""


class Now(msgspec.Struct, frozen=True):
    """Machine time, market time, and the market's rate, read once for a whole step."""

    s: float
    utc: float
    rate: float


Reserve = Callable[[str, Place], tuple[str, str] | None]
"""Asks for a part of the account's own limits for an entry of this symbol; gives the gate and reason of a refusal."""


class Account:
    """State of one session. The journal outlives the process; the rest is learned again from the broker. A dictionary
    or set of ``str`` is by symbol, where nothing else is said."""

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
        self.live_connection = False
        self.first_notice_utc: dict[str, float] = {}
        """Of contracts, as a person says."""
        self.reserve: Reserve | None = None
        """None: the account has no limits of its own."""

        # This life.
        self.start_no = session.start_no
        self.began_s = self.began_utc = float("-inf")
        self.last_word = 0
        """Of this trader's turns that consumed nothing."""
        self.committed: list[Event] = []
        """Events of this step, which are to be logged when they are on disk."""

        # What reads of the account have said.
        self.agreed_s: dict[str, float] = {}
        """When the newest read was requested that agreed with us."""
        self.shown: dict[str, Decimal] = {}
        """The position in the last read."""
        self.differed: dict[str, Decimal] = {}
        """The same, where it did not agree."""
        self.differs_since: dict[str, tuple[float, Level]] = {}
        """Since when reads differ (machine seconds), and the level it was told at."""
        self.changed_s: dict[str, float] = {}
        """Our newest fill, acknowledgement or instruction: older reads tell nothing."""
        self.unconfirmed: dict[str, float] = {}
        """Since when a fill of ours is known that was told after an adoption, which may contain it already."""
        self.not_ours: set[str] = set()
        """A new journal found a position there."""
        self.looked: set[str] = set()
        """A person released it after its position had vanished."""
        self.foreign_working: tuple[Order, ...] = ()
        self.streamed: dict[str, Decimal] = {}
        """Positions as the stream tells them."""
        self.read_utc = 0.0
        """When the newest good read was asked for; 0 before the first."""
        self.unread: dict[str, str] = {}
        """What the venue said instead of the newest read, by what was asked for (the account, a symbol)."""
        self.want_read = False
        """Somebody should read the account soon."""

        # What is searched for.
        self.settling: dict[int, Settling] = {}
        """By the number of an intent of unknown fate."""
        self.missing: dict[str, float | None] = {}
        """Working orders of ours, by id, that the newest read did not show, with the moment (UTC) since which history
        is to be searched for them; None: it was."""
        self.search_since_utc: float | None = None
        """An order of ours may have closed since then and be in history."""
        self.told_by_history: dict[str, Order] = {}
        """By id, other people's orders that may have closed a position that vanished."""
        self.history_next_s = 0.0
        """When it is asked again."""

        # The venue's account as the books last told it.
        self.seen: AccountSeen | None = None
        self.equity_usd: Decimal | None = None
        self.day_trades: int | None = None
        self.margin_usd: Decimal | None = None
        """What the account's positions need over night."""
        self.overnight_free_usd: Decimal | None = None
        """What may be held then beyond them."""

        # The market.
        self.closes: dict[str, Price] = {}
        """Of the newest closed bars, where a limit needs them."""
        self.market: dict[str, Price] = {}
        """The newest price known."""
        self.overrun: dict[str, Overrun | None] = {}
        """Stops that it has passed."""
        self.hours: dict[str, MarketHours] = {}
        """Missing where they are unknown."""
        self.extended_hours: dict[str, MarketHours] = {}
        """With what is before and after regular ones, where the session is for these."""
        self.closing_s = HoursConfig().closing_s
        """So long before a close no entry goes."""

        # What a person has stopped, and what is refused.
        self.in_force = NOTHING_STANDS
        self.flatten_since_s = 0.0
        """When this life took up the flatten that is under way."""
        self.repeats: dict[str, tuple[str, int]] = {}
        """The gate that refuses a declaration over and over, and how often it did since that was recorded."""

        self._resting = False
        self._differed_at_rest: dict[str, Decimal] = {}
        self.kept_views: tuple[PositionView, ...] = ()
        """As long as nothing stirs (``protection.views``)."""

    # -- what the pure parts look at ---------------------------------------------------------------------------------

    @property
    def trading_done(self) -> bool:
        return self.journal.done.start_no >= self.start_no

    @property
    def over(self) -> bool:
        """Trading is done, and by an agreeing read nothing of ours is left at the broker."""
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

    def price_of(self, symbol: str) -> Price | None:
        """The newest price known, if it is no older than the position."""
        price = self.market.get(symbol)
        old = price is not None and price.at_utc < self.journal.holding(symbol).as_of_utc
        return None if old or self.untold(symbol) else price

    def untold(self, symbol: str) -> bool:
        """A new life is told old bars first. Before its first read only what has traded since it began counts, or what
        a gap has passed would be judged by the price before the gap."""
        price = self.market.get(symbol)
        return not self.read_utc and (price is None or price.at_utc < self.began_utc)

    def uncovered_s(self, symbol: str, now: Now) -> float:
        bare = self.journal.uncovered.get(symbol)
        return 0.0 if bare is None else now.s - bare.since_s

    def moment(self, symbol: str, now: Now) -> Moment:
        """The phase of the symbol's market."""
        return self.hours.get(symbol, UNKNOWN_HOURS).moment(now.utc, self.closing_s)

    def price_seen(self, bars: Iterable[CleanBar]) -> None:
        """Closed bars of one of the session's series: of several the newest close counts."""
        for each in bars:
            bar = each.bar
            before = self.closes.get(bar.symbol)
            if before is None or bar.closed_utc >= before.at_utc:
                self.closes[bar.symbol] = close = Price(bar.close, bar.closed_utc)
                self.price_told(bar.symbol, close)

    def price_told(self, symbol: str, price: Price) -> None:
        if symbol not in self.market or price.at_utc >= self.market[symbol].at_utc:
            self.market[symbol] = price

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
        self._resting, self.kept_views = False, ()

    def rest(self) -> None:
        """There is nothing to do now. It stays so while no entry and no cover is missing, of which time decides, and no
        first read, before which nothing is placed."""
        missing = any(self.entry_missing(each) or each not in self.shown for each in self.session.symbols)
        self._resting = not (missing or self.journal.uncovered or self.flattening or self.unconfirmed)
        self._differed_at_rest = dict(self.differed)

    def entry_missing(self, symbol: str) -> bool:
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
        state: IncidentState = "",
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


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
