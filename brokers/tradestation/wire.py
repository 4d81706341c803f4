"""TradeStation's answers in our words: shapes become brokers/model.py. PURE; knows no HTTP, no address.

Trailing zeros are dropped on the wire, so prices are numbers here and never compared as text. What contradicts
itself raises ``BadAnswer``. Lines of streams are in frames.py, what we send in instructions.py, status codes in
statuses.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from brokers.errors import BadAnswer, BrokerError, NotAllowed, Unavailable
from brokers.model import (
    ZERO,
    Account,
    Balance,
    Bar,
    Duration,
    Instrument,
    Order,
    OrderStatus,
    OrderType,
    Position,
    Side,
)
from brokers.tradestation.shapes import (
    AccountShape,
    BalanceShape,
    BarShape,
    Failure,
    Leg,
    OrderShape,
    PositionShape,
    SymbolShape,
)
from brokers.tradestation.statuses import row_of, status_of

ORDER_TYPES = {
    "Market": OrderType.MARKET,
    "Limit": OrderType.LIMIT,
    "StopMarket": OrderType.STOP_MARKET,
    "StopLimit": OrderType.STOP_LIMIT,
}
DURATIONS = {"GTC": Duration.GTC, "GCP": Duration.GTC}
"""All others (DAY, GTD to a date, IOC, minutes) protect no longer than the day, so to us they are DAY."""

PASSING_ERRORS = frozenset({"TooManyRequests", "InternalServerError", "ServiceUnavailable", "GatewayTimeout"})
"""Error names after which the same read may go well."""


def whole(failures: Iterable[Failure]) -> None:
    """A 200 with ``Errors`` is a partial answer, so it is none (law 6): raises ``Unavailable`` or ``NotAllowed``."""
    for failure in failures:
        kind: type[BrokerError] = Unavailable if failure.error in PASSING_ERRORS else NotAllowed
        raise kind(f"the venue answered in part: {failure.error} {failure.message}".strip())


def account(shape: AccountShape) -> Account:
    return Account(account=shape.account_id, kind=shape.account_type, status=shape.status, currency=shape.currency)


def balance(shape: BalanceShape) -> Balance:
    return Balance(account=shape.account_id, cash_usd=finite(shape.cash_balance), equity_usd=finite(shape.equity))


def position(shape: PositionShape) -> Position:
    """Quantity is negative when short and LongShort agrees; where they differ the answer is no sense."""
    quantity = finite(shape.quantity)
    if quantity and (quantity < 0) != (shape.long_short == "Short"):
        raise BadAnswer(f"position {shape.position_id}: quantity {quantity}, but {shape.long_short!r}")
    return Position(
        account=shape.account_id,
        symbol=shape.symbol,
        quantity=quantity,
        average_price=finite(shape.average_price),
    )


def orders(shape: OrderShape) -> tuple[Order, ...]:
    """One ``Order`` a leg. The first keeps the id; further legs (spreads, never ours) get ``/2``, ``/3``."""
    if not shape.legs:
        raise BadAnswer(f"order {shape.order_id} has no legs")
    if len(shape.legs) == 1:
        return (order(shape, shape.legs[0], shape.order_id),)
    ids = [shape.order_id, *(f"{shape.order_id}/{number}" for number in range(2, len(shape.legs) + 1))]
    return tuple(order(shape, leg, order_id) for leg, order_id in zip(shape.legs, ids, strict=True))


def order(shape: OrderShape, leg: Leg, order_id: str) -> Order:
    filled = executed(shape, leg)
    price = leg.execution_price or shape.filled_price
    return Order(
        order_id=order_id,
        account=shape.account_id,
        symbol=leg.symbol,
        side=side(leg.buy_or_sell),
        type=order_type(shape),
        quantity=finite(leg.quantity_ordered),
        status=order_status(shape, leg),
        venue_status=shape.status,
        opened_utc=epoch_utc(shape.opened_date_time),
        filled_quantity=filled,
        average_fill_price=finite(price) if filled and price else None,
        stop_price=shape.stop_price,
        limit_price=shape.limit_price,
        duration=DURATIONS.get(shape.duration.upper(), Duration.DAY),
        closed_utc=epoch_utc(shape.closed_date_time) if shape.closed_date_time else None,
        reject_reason=shape.reject_reason,
        commission_usd=finite(shape.commission_fee),
    )


def executed(shape: OrderShape, leg: Leg) -> Decimal:
    """ExecQuantity counts with a status that tells of a fill or with a price: an expired order shows it too."""
    priced = bool(leg.execution_price or shape.filled_price)
    return finite(leg.exec_quantity) if priced or row_of(shape.status).fill else ZERO


def order_status(shape: OrderShape, leg: Leg) -> OrderStatus:
    """By the table; but a "filled" that is not the whole quantity is not believed: it is to be looked up."""
    status = status_of(shape.status, closed=bool(shape.closed_date_time))
    if status is OrderStatus.FILLED and leg.exec_quantity < leg.quantity_ordered:
        return OrderStatus.UNKNOWN
    return status


def order_type(shape: OrderShape) -> OrderType:
    try:
        return ORDER_TYPES[shape.order_type]
    except KeyError:
        raise BadAnswer(f"order {shape.order_id}: order type {shape.order_type!r} is unknown") from None


@lru_cache(32)
def side(text: str) -> Side:
    """Buy, BuyToCover, BUYTOOPEN ... are buys."""
    for sort in Side:
        if text.lower().startswith(sort.value):
            return sort
    raise BadAnswer(f"a leg's side is {text!r}, neither buy nor sell")


def bar(symbol: str, interval_s: int, shape: BarShape) -> Bar:
    """TimeStamp is the bar's close."""
    return Bar(
        symbol=symbol,
        interval_s=interval_s,
        closed_utc=int(epoch_utc(shape.time_stamp)),
        open=finite(shape.open),
        high=finite(shape.high),
        low=finite(shape.low),
        close=finite(shape.close),
        volume=int(finite(shape.total_volume)),
    )


def closed_bars(symbol: str, interval_s: int, shapes: Iterable[BarShape]) -> tuple[Bar, ...]:
    """The closed ones, once each, in order. A read that reaches "now" can end with the forming bar."""
    bars = (bar(symbol, interval_s, shape) for shape in shapes if is_closed(shape))
    by_stamp = {one.closed_utc: one for one in bars}
    return tuple(by_stamp[stamp] for stamp in sorted(by_stamp))


def is_closed(shape: BarShape) -> bool:
    if shape.bar_status not in ("Closed", "Open"):
        raise BadAnswer(f"bar {shape.time_stamp}: BarStatus {shape.bar_status!r} is unknown")
    return shape.bar_status == "Closed"


def instrument(shape: SymbolShape) -> Instrument:
    """For a continuous symbol (@ES), ``Underlying`` is the contract now in front."""
    if shape.price_format.increment is None:
        raise NotAllowed(f"{shape.symbol}: its tick size depends on the price, which is not supported")
    continuous = shape.symbol.startswith("@")
    if continuous and not shape.underlying:
        raise BadAnswer(f"{shape.symbol}: the venue does not say which contract is in front")
    return Instrument(
        symbol=shape.underlying if continuous else shape.symbol,
        kind=shape.asset_type,
        tick_size=finite(shape.price_format.increment),
        point_value_usd=finite(shape.price_format.point_value),
        quantity_step=finite(shape.quantity_format.increment),
    )


def finite(number: Decimal) -> Decimal:
    """A JSON string "NaN" or "Infinity" is a Decimal too, and no price."""
    if not number.is_finite():
        raise BadAnswer(f"{number} where a number belongs")
    return number


def epoch_utc(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; one without a zone is UTC, as all times of the venue are."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadAnswer(f"{text!r} is no time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def time_text(epoch: float) -> str:
    """UTC, RFC 3339 with Z, in whole seconds."""
    return f"{datetime.fromtimestamp(epoch, UTC).isoformat()[:19]}Z"
