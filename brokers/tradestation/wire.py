"""TradeStation's answers in our words: shapes become brokers/model.py. PURE; knows no HTTP, no address.

Trailing zeros are dropped on the wire, so prices are numbers here and never compared as text. What contradicts
itself raises ``BadAnswer``. Lines of streams are in frames.py, what we send in instructions.py, status codes in
statuses.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from brokers.errors import BadAnswer, BrokerError, NotAllowed, Unavailable
from brokers.model import (
    ZERO,
    Account,
    Balance,
    Bar,
    Duration,
    Estimate,
    Instrument,
    Link,
    Order,
    OrderStatus,
    OrderType,
    Position,
    Quote,
    Side,
    Trail,
)
from brokers.tradestation.shapes import (
    AccountShape,
    BalanceShape,
    BarShape,
    ConfirmationShape,
    Failure,
    Leg,
    OrderShape,
    PositionShape,
    QuoteShape,
    SymbolShape,
)
from brokers.tradestation.statuses import row_of, status_of

ORDER_TYPES = {
    "Market": OrderType.MARKET,
    "Limit": OrderType.LIMIT,
    "StopMarket": OrderType.STOP_MARKET,
    "StopLimit": OrderType.STOP_LIMIT,
}
DURATIONS = {
    "DAY": Duration.DAY,
    "DYP": Duration.DAY_EXTENDED,
    "GTC": Duration.GTC,
    "GCP": Duration.GTC_EXTENDED,
    "GTD": Duration.GTD,
    "GDP": Duration.GTD_EXTENDED,
    "IOC": Duration.IOC,
    "FOK": Duration.FOK,
}
"""All others (OPG, CLO, minutes) protect no longer than the day, so to us they are DAY."""

PASSING_ERRORS = frozenset({"TooManyRequests", "InternalServerError", "ServiceUnavailable", "GatewayTimeout"})
"""Error names after which the same read may go well."""


NUMBER_EXPONENT_MAX = 30
"""A price, a quantity or an amount has no more digits than this before or behind its point."""


def whole(failures: Iterable[Failure] | None) -> None:
    """A 200 with ``Errors`` is a partial answer, so it is none (law 6): raises ``Unavailable`` or ``NotAllowed``."""
    for failure in failures or ():
        kind: type[BrokerError] = Unavailable if failure.error in PASSING_ERRORS else NotAllowed
        told = " ".join(filter(None, (failure.error, failure.message, f"({failure.about})" if failure.about else "")))
        raise kind(f"the venue answered in part: {told}")


def account(shape: AccountShape) -> Account:
    detail = shape.account_detail
    return Account(
        account=shape.account_id,
        kind=shape.account_type,
        status=shape.status,
        currency=shape.currency,
        day_trading_qualified=detail.day_trading_qualified if detail is not None else None,
    )


MARGIN = "Margin"
"""The type of account that may owe something over night: in a cash account to have nothing left is no trouble."""
DAY_TRADES_DIGITS = 6
"""Of a count of five days; what is longer is no count."""


def balance(shape: BalanceShape) -> Balance:
    detail = shape.balance_detail
    told = str(detail.day_trades) if detail is not None else ""
    on_margin = detail is not None and shape.account_type == MARGIN
    return Balance(
        account=shape.account_id,
        cash_usd=finite(shape.cash_balance),
        equity_usd=finite(shape.equity),
        day_trades=int(told) if told.isascii() and told.isdigit() and len(told) <= DAY_TRADES_DIGITS else None,
        overnight_margin_usd=_if_number(detail.initial_margin) if detail is not None else None,
        overnight_free_usd=_if_number(detail.overnight_buying_power) if detail is not None and on_margin else None,
    )


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


def last_prices(shapes: Iterable[PositionShape]) -> dict[str, Decimal]:
    """Of the positions that come with one; what is no price is left out, and so is 0: a venue that has none says that
    as well."""
    told = {shape.symbol: _if_number(shape.last) for shape in shapes}
    return {symbol: price for symbol, price in told.items() if price}


def _if_number(told: object) -> Decimal | None:
    """Of what nothing depends on so much that a read should fail by it."""
    try:
        return finite(Decimal(str(told)))
    except (InvalidOperation, BadAnswer):
        return None


def orders(shape: OrderShape) -> tuple[Order, ...]:
    """One ``Order`` a leg. The first keeps the id; further legs (spreads, never ours) get ``/2``, ``/3``."""
    if not shape.legs:
        raise BadAnswer(f"order {shape.order_id} has no legs")
    if len(shape.legs) == 1:
        return (order(shape, shape.legs[0], shape.order_id),)
    ids = [shape.order_id, *(f"{shape.order_id}/{number}" for number in range(2, len(shape.legs) + 1))]
    return tuple(order(shape, leg, order_id) for leg, order_id in zip(shape.legs, ids, strict=True))


def order(shape: OrderShape, leg: Leg, order_id: str) -> Order:
    ordered, executed_so_far = finite(leg.quantity_ordered), known(leg.exec_quantity)
    price = known(leg.execution_price) or known(shape.filled_price)
    filled = executed_so_far if price or row_of(shape.status).fill else ZERO
    return Order(
        order_id=order_id,
        account=shape.account_id,
        symbol=leg.symbol,
        side=side(leg.buy_or_sell),
        type=order_type(shape),
        quantity=ordered,
        status=order_status(shape, executed_so_far if price else ZERO, ordered),
        venue_status=shape.status,
        opened_utc=epoch_utc(shape.opened_date_time),
        filled_quantity=filled,
        average_fill_price=price if filled and price else None,
        stop_price=optional(shape.stop_price),
        limit_price=optional(shape.limit_price),
        duration=DURATIONS.get((shape.duration or "").upper(), Duration.DAY),
        closed_utc=said_utc(shape.closed_date_time),
        reject_reason=shape.reject_reason or "",
        commission_usd=optional(shape.commission_fee),
        trail=trail(shape),
        good_till_utc=said_utc(shape.good_till_date),
        links=tuple([Link(each.relationship, each.order_id) for each in shape.conditional_orders or ()]),
    )


def order_status(shape: OrderShape, executed: Decimal, ordered: Decimal) -> OrderStatus:
    """By the table; but a "filled" that is not the whole quantity, or has no price, is not believed: it is to be looked
    up.

    ExecQuantity itself counts as a fill only with a price or a status that tells of one: an expired order shows it too.
    """
    status = status_of(shape.status, closed=said_utc(shape.closed_date_time) is not None)
    if status is OrderStatus.FILLED and executed < ordered:
        return OrderStatus.UNKNOWN
    return status


def trail(shape: OrderShape) -> Trail | None:
    told = shape.trailing_stop
    if told is None:
        return None
    amount, percent = optional(told.amount), optional(told.percent)
    if (amount is None) == (percent is None):
        raise BadAnswer(f"order {shape.order_id}: a trailing stop of amount {amount} and percent {percent}")
    return Trail(amount, percent)


def quote(shape: QuoteShape) -> Quote:
    flags = shape.market_flags
    return Quote(
        symbol=shape.symbol,
        bid=optional(shape.bid),
        ask=optional(shape.ask),
        last=optional(shape.last),
        bid_size=optional(shape.bid_size),
        ask_size=optional(shape.ask_size),
        volume=optional(shape.volume),
        traded_utc=said_utc(shape.trade_time),
        delayed=flags.is_delayed if flags else None,
        halted=flags.is_halted if flags else None,
    )


def estimate(shape: ConfirmationShape) -> Estimate:
    return Estimate(
        account=shape.account_id,
        price=known(shape.estimated_price),
        cost_usd=known(shape.estimated_cost),
        commission_usd=known(shape.estimated_commission),
        text=shape.summary_message or "",
    )


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
    quantities = shape.quantity_format
    return Instrument(
        symbol=(shape.underlying or "") if continuous else shape.symbol,
        kind=shape.asset_type,
        tick_size=above_zero(f"{shape.symbol}: tick size", shape.price_format.increment),
        point_value_usd=above_zero(f"{shape.symbol}: point value", shape.price_format.point_value),
        quantity_step=above_zero(
            f"{shape.symbol}: quantity step", known(quantities.increment if quantities else None) or Decimal(1)
        ),
        expires_utc=said_utc(shape.expiration_date),
    )


def finite(number: Decimal) -> Decimal:
    """A JSON string "NaN" or "Infinity" is a Decimal too, and no price; nor is one of a million digits."""
    if not number.is_finite() or abs(number.adjusted()) > NUMBER_EXPONENT_MAX:
        raise BadAnswer(f"{str(number)[:40]} where a number belongs")
    return number


def above_zero(what: str, number: Decimal) -> Decimal:
    """Of what everything is divided by or multiplied with."""
    if finite(number) <= 0:
        raise BadAnswer(f"{what} {number}, and it must be above 0")
    return number


def known(number: Decimal | None) -> Decimal:
    """What is left out or null is 0."""
    return ZERO if number is None else finite(number)


def optional(number: Decimal | None) -> Decimal | None:
    return None if number is None else finite(number)


def epoch_utc(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; one without a zone is UTC, as all times of the venue are."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadAnswer(f"{text[:40]!r} is no time") from None


def said_utc(text: str | None) -> float | None:
    """A time that need not be there. A date before 1970 is how some programs write that there is none."""
    moment = epoch_utc(text) if text else 0.0
    return moment if moment > 0 else None


def time_text(epoch: float) -> str:
    """UTC, RFC 3339 with Z, in whole seconds."""
    return f"{datetime.fromtimestamp(epoch, UTC).isoformat()[:19]}Z"
