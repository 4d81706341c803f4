"""The words of the market and of accounts: what all venues are translated into. PURE, frozen, never changed.

Prices, quantities and money are exact (``Decimal``); a price can be negative. Times that end in ``_utc`` are
epoch seconds UTC of market time; ``_s`` are machine seconds.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

ZERO = Decimal(0)


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of the values of this file. They hold values only, so no circle of references ever goes through one: the
    garbage collector need not look at them (``gc``)."""


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"


class Duration(StrEnum):
    """``EXTENDED``: also in the hours before and after the regular ones. GTD: to a date (``good_till_utc``). IOC and
    FOK: what does not fill at once is cancelled; FOK: all of it or nothing."""

    DAY = "day"
    GTC = "gtc"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"
    DAY_EXTENDED = "day_extended"
    GTC_EXTENDED = "gtc_extended"
    GTD_EXTENDED = "gtd_extended"

    @property
    def dated(self) -> bool:
        return self in (Duration.GTD, Duration.GTD_EXTENDED)


class OrderStatus(StrEnum):
    """Ours, not the venue's. ``UNKNOWN``: a code that tells us nothing; the order counts as open, is looked up."""

    RECEIVED = "received"
    WORKING = "working"
    CANCELLING = "cancelling"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"

    terminal: bool
    """Nothing follows any more. (Found out once: it is asked of every order at every turn.)"""

    def __new__(cls, text: str) -> OrderStatus:
        status = str.__new__(cls, text)
        status._value_ = text
        status.terminal = text in ("filled", "cancelled", "expired", "rejected")
        return status


class Bar(Value, frozen=True):
    """One bar of one symbol. ``closed_utc`` is its END and its name: (symbol, interval, stamp) is its key."""

    symbol: str
    interval_s: int
    closed_utc: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class Trail(Value, frozen=True):
    """How far a stop follows its market behind: money (``amount``, of price) or percent, one of the two."""

    amount: Decimal | None = None
    percent: Decimal | None = None

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.percent is None):
            raise ValueError("a trail is an amount or a percentage: one of them, and not both")


class Link(Value, frozen=True):
    """What an order is to another one, in the venue's word: ``OCO``, ``BRK``, ``OSP`` (its parent), ``OSO`` (child)."""

    relation: str
    order_id: str


class Order(Value, frozen=True):
    """An order as the broker tells it: whole and cumulative. ``filled_quantity`` is the total so far, no delta.

    It counts only what surely was executed (an expired order of TradeStation shows an executed quantity too).
    """

    order_id: str
    account: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    status: OrderStatus
    venue_status: str
    opened_utc: float
    filled_quantity: Decimal = ZERO
    average_fill_price: Decimal | None = None
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    duration: Duration = Duration.DAY
    closed_utc: float | None = None
    reject_reason: str = ""
    commission_usd: Decimal | None = None
    """What was charged for it so far; None where that is not told."""
    trail: Trail | None = None
    good_till_utc: float | None = None
    """When it expires by itself, where the venue says so."""
    links: tuple[Link, ...] = ()

    @property
    def working(self) -> bool:
        return not self.status.terminal

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity if self.working else ZERO


class Position(Value, frozen=True):
    """A position at the broker. ``quantity`` is signed: negative is short. A flat symbol has no Position."""

    account: str
    symbol: str
    quantity: Decimal
    average_price: Decimal


class Balance(Value, frozen=True):
    """``day_trades``: in the last five business days, where the venue counts them. ``overnight_margin_usd``: what all
    that is held needs over night, where the venue tells it (of futures). ``overnight_free_usd``: what may be held over
    night beyond that, where the venue tells it (of stocks on margin); 0 or less: as much as may be is held, or more."""

    account: str
    cash_usd: Decimal
    equity_usd: Decimal
    day_trades: int | None = None
    overnight_margin_usd: Decimal | None = None
    overnight_free_usd: Decimal | None = None


class Account(Value, frozen=True):
    """``status``: the venue's own word. ``day_trading_qualified``: None where the venue does not say."""

    account: str
    kind: str
    status: str
    currency: str
    day_trading_qualified: bool | None = None


class Instrument(Value, frozen=True):
    """``symbol`` is the dated contract: for a continuous symbol (@ES) it is the one now in front. ``expires_utc``: the
    date on which it ends, as the venue tells it; None where it tells none."""

    symbol: str
    kind: str
    tick_size: Decimal
    point_value_usd: Decimal
    quantity_step: Decimal = Decimal(1)
    expires_utc: float | None = None


class Quote(Value, frozen=True):
    """The market in one symbol; None where the venue said nothing. Nobody may trade on what is ``delayed``."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    volume: Decimal | None = None
    traded_utc: float | None = None
    delayed: bool | None = None
    halted: bool | None = None

    def merged(self, change: Quote) -> Quote:
        """This quote with what ``change`` (of the same symbol) says; what it leaves out stays."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(change, name)) is not None}
        return msgspec.structs.replace(self, **told)


class GroupKind(StrEnum):
    """``OCO``: one fill cancels the others. ``BRACKET``: the same, closing only, and sizes shrink with part fills.
    ``NORMAL``: sent together, otherwise alone."""

    OCO = "oco"
    BRACKET = "bracket"
    NORMAL = "normal"


class Group(Value, frozen=True):
    kind: GroupKind
    placings: tuple[Placing, ...]


class Placing(Value, frozen=True):
    """A new order to be sent. ``key``: the client key, the same on a retry, never used for another order. ``kind``: of
    the instrument. ``short``: the position that it opens, adds to or closes is short; some venues want that said.
    ``trail``: of a stop-market order, instead of its price. ``children``: sent by the venue once this one is filled.
    ``good_till_utc``: the moment whose date ends a GTD order."""

    key: str
    account: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    duration: Duration = Duration.DAY
    kind: str = ""
    short: bool = False
    trail: Trail | None = None
    children: tuple[Group, ...] = ()
    good_till_utc: float | None = None

    @property
    def whole(self) -> tuple[Placing, ...]:
        """Itself, then its children and theirs."""
        return (self, *(one for group in self.children for child in group.placings for one in child.whole))


class Estimate(Value, frozen=True):
    """What the venue expects of an order that was not placed. ``text``: the order in its words."""

    account: str
    price: Decimal
    cost_usd: Decimal
    commission_usd: Decimal
    text: str


class Route(Value, frozen=True):
    """A way to the market. ``kinds``: of the instruments that go there."""

    route_id: str
    name: str
    kinds: tuple[str, ...]


class Trigger(Value, frozen=True):
    """What a venue can watch a price by, before it acts on it."""

    key: str
    name: str
    text: str


class Change(Value, frozen=True):
    """A replace of a working order: what is None stays. ``to_market`` makes it a market order (an exit)."""

    quantity: Decimal | None = None
    stop_price: Decimal | None = None
    to_market: bool = False
    limit_price: Decimal | None = None
    trail: Trail | None = None


# Outcomes of an instruction (order-safety 3.1): three kinds, and unknown is never treated as refused.


class Accepted(Value, frozen=True, tag="accepted"):
    order_id: str


class RefusedByVenue(Value, frozen=True, tag="refused"):
    """The venue said no, in words. ``duplicate``: because this key was used before, so an order of it exists.
    ``dead``: because the order to change or cancel is open no longer: read it, it may be filled."""

    reason: str
    order_id: str = ""
    duplicate: bool = False
    dead: bool = False


class Unknown(Value, frozen=True, tag="unknown"):
    """Time-out, reset, 5xx, unparsable: it may or may not have happened. ``sent`` False: surely it did not."""

    reason: str
    sent: bool = True


Outcome = Accepted | RefusedByVenue | Unknown


class Grouped(Value, frozen=True, tag="grouped"):
    """What a venue said to several orders at once: some may be accepted and others refused. Which id belongs to which
    leg it does not say; reading the orders does. ``legs`` were asked for; what is in neither list is unknown."""

    legs: int
    order_ids: tuple[str, ...]
    refusals: tuple[RefusedByVenue, ...]

    @property
    def whole(self) -> bool:
        """All were accepted."""
        return len(self.order_ids) == self.legs and not self.refusals

    @property
    def missing(self) -> int:
        """Legs that the answer does not account for."""
        return max(0, self.legs - len(self.order_ids) - len(self.refusals))


GroupOutcome = Grouped | Unknown
