"""The shapes of TradeStation's JSON, as msgspec decodes them. PURE; what they mean is said in wire.py.

Lax where the vendor may add (unknown fields pass), strict where we count on something: what is missing or is no
number raises ``BadAnswer``, and nothing is concluded from it. All prices, quantities and amounts are JSON strings.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from brokers.errors import BadAnswer
from brokers.model import ZERO

T = TypeVar("T")

NO_SHAPE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding may raise: no JSON, another shape, no UTF-8, nested without end."""

SHOWN_BYTES = 200
"""So much of an unreadable answer is shown in an error."""


def decoded(body: bytes, shape: type[T]) -> T:
    """``body`` as a ``shape``; raises ``BadAnswer`` with its beginning."""
    try:
        value: T = _decoders[shape].decode(body)
        return value
    except NO_SHAPE as error:
        raise BadAnswer(f"no {shape.__name__}: {error}; it begins {body[:SHOWN_BYTES]!r}") from error


class _Decoders(dict[Any, msgspec.json.Decoder[Any]]):
    """One a shape, made when it is first asked for."""

    def __missing__(self, shape: Any) -> msgspec.json.Decoder[Any]:
        made = self[shape] = msgspec.json.Decoder(shape)
        return made


_decoders = _Decoders()


def wire_name(field: str) -> str:
    """account_id -> AccountID, time_stamp -> TimeStamp."""
    return "".join("ID" if word == "id" else word.capitalize() for word in field.split("_"))


class Shape(msgspec.Struct, frozen=True, rename=wire_name):
    """Base of what the venue sends; what we do not name is passed over."""


class Failure(Shape, frozen=True):
    """The error body, an element of ``Errors``, or an order refused inside a 200."""

    error: str | None = ""
    message: str | None = ""
    symbol: str | None = ""
    account_id: str | None = ""

    @property
    def words(self) -> str:
        return self.message or self.error or ""

    @property
    def about(self) -> str:
        return self.symbol or self.account_id or ""


class Page(Shape, frozen=True):
    """What the answers to reads have in common. What the venue need not send may be null as well."""

    errors: tuple[Failure, ...] | None = ()
    next_token: str | None = ""


class AccountDetailShape(Shape, frozen=True):
    day_trading_qualified: bool | None = None


class AccountShape(Shape, frozen=True):
    account_id: str
    account_type: str
    status: str = ""
    currency: str = ""
    account_detail: AccountDetailShape | None = None


class AccountsPage(Page, frozen=True, kw_only=True):
    accounts: tuple[AccountShape, ...]


class BalanceDetailShape(Shape, frozen=True):
    """``day_trades`` and ``overnight_buying_power``: accounts of stocks only; ``initial_margin``: of futures only.
    Taken as they come, so that no read of an account fails by them."""

    day_trades: str | int | float | None = None
    initial_margin: Any = None
    overnight_buying_power: Any = None


class BalanceShape(Shape, frozen=True):
    account_id: str
    cash_balance: Decimal
    equity: Decimal
    account_type: str | None = ""
    balance_detail: BalanceDetailShape | None = None


class BalancesPage(Page, frozen=True, kw_only=True):
    balances: tuple[BalanceShape, ...]


class PositionShape(Shape, frozen=True):
    position_id: str
    account_id: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    long_short: str
    last: Any = None
    """Only shown to people: whatever it is, the position is read."""


class PositionsPage(Page, frozen=True, kw_only=True):
    positions: tuple[PositionShape, ...]


class Leg(Shape, frozen=True):
    symbol: str
    buy_or_sell: str
    quantity_ordered: Decimal
    exec_quantity: Decimal | None = ZERO
    execution_price: Decimal | None = ZERO


class TrailShape(Shape, frozen=True):
    amount: Decimal | None = None
    percent: Decimal | None = None


class LinkShape(Shape, frozen=True):
    relationship: str = ""
    order_id: str = ""


class OrderShape(Shape, frozen=True):
    order_id: str
    account_id: str
    order_type: str
    status: str
    opened_date_time: str
    legs: tuple[Leg, ...]
    duration: str | None = "DAY"
    closed_date_time: str | None = ""
    filled_price: Decimal | None = ZERO
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    reject_reason: str | None = ""
    commission_fee: Decimal | None = None
    trailing_stop: TrailShape | None = None
    good_till_date: str | None = ""
    conditional_orders: tuple[LinkShape, ...] | None = ()


class OrdersPage(Page, frozen=True, kw_only=True):
    orders: tuple[OrderShape, ...]


class BarShape(Shape, frozen=True, kw_only=True):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    time_stamp: str
    total_volume: Decimal = ZERO
    bar_status: str = "Closed"


class BarsPage(Page, frozen=True, kw_only=True):
    bars: tuple[BarShape, ...]


class PriceFormat(Shape, frozen=True):
    point_value: Decimal
    increment: Decimal | None = None


class QuantityFormat(Shape, frozen=True):
    increment: Decimal | None = Decimal(1)


class SymbolShape(Shape, frozen=True):
    symbol: str
    asset_type: str
    price_format: PriceFormat
    quantity_format: QuantityFormat | None = None
    underlying: str | None = ""
    expiration_date: str | None = ""


class SymbolsPage(Page, frozen=True, kw_only=True):
    symbols: tuple[SymbolShape, ...]


class MarketFlags(Shape, frozen=True):
    is_delayed: bool | None = None
    is_halted: bool | None = None


class QuoteShape(Shape, frozen=True):
    """A whole quote, or of the stream the fields that changed."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    volume: Decimal | None = None
    trade_time: str | None = ""
    market_flags: MarketFlags | None = None


class QuotesPage(Page, frozen=True, kw_only=True):
    quotes: tuple[QuoteShape, ...]


class ConfirmationShape(Shape, frozen=True, kw_only=True):
    account_id: str
    estimated_price: Decimal | None = None
    estimated_cost: Decimal | None = None
    estimated_commission: Decimal | None = None
    summary_message: str | None = ""


class ConfirmationsPage(Page, frozen=True, kw_only=True):
    confirmations: tuple[ConfirmationShape, ...]


class RouteShape(Shape, frozen=True):
    """The one object of the venue whose id is spelt ``Id``."""

    route_id: str = msgspec.field(name="Id")
    name: str
    asset_types: tuple[str, ...] | None = ()


class RoutesPage(Page, frozen=True, kw_only=True):
    routes: tuple[RouteShape, ...]


class TriggerShape(Shape, frozen=True):
    key: str
    name: str
    description: str | None = ""


class TriggersPage(Page, frozen=True, kw_only=True):
    activation_triggers: tuple[TriggerShape, ...]


class Frame(Shape, frozen=True):
    """One line of a stream, as far as it tells what kind of line it is."""

    heartbeat: int | float | None = None
    stream_status: str | None = ""
    error: str | None = ""
    message: str | None = ""
    order_id: str | None = ""
    position_id: str | None = ""
    symbol: str | None = ""
    deleted: bool | None = False
