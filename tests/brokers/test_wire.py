"""TradeStation's answers in our words: golden samples, and what is odd about them."""

import json
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BadAnswer, NotAllowed, Unavailable
from brokers.model import ZERO, Bar, Duration, Instrument, Order, OrderStatus, OrderType, Position, Side
from brokers.tradestation import wire
from brokers.tradestation.shapes import (
    AccountsPage,
    BalancesPage,
    BarsPage,
    OrderShape,
    OrdersPage,
    PositionShape,
    PositionsPage,
    SymbolsPage,
    decoded,
)
from tests.brokers import golden


def order_with(leg: dict[str, Any] | None = None, **changes: Any) -> Order:
    content = json.loads(golden.ORDER_LINE)
    content["Legs"][0].update(leg or {})
    content.update(changes)
    content = {name: value for name, value in content.items() if value is not None}
    (order,) = wire.orders(decoded(json.dumps(content).encode(), OrderShape))
    return order


def test_a_filled_stop_order_is_understood() -> None:
    page = decoded(golden.ORDERS, OrdersPage)
    assert wire.orders(page.orders[0]) == (
        Order(
            order_id="1200000001",
            account="SIM100001F",
            symbol="ESZ26",
            side=Side.BUY,
            type=OrderType.STOP_MARKET,
            quantity=Decimal(1),
            status=OrderStatus.FILLED,
            venue_status="FLL",
            opened_utc=1795186867.0,
            filled_quantity=Decimal(1),
            average_fill_price=Decimal("6025.5"),
            stop_price=Decimal("6025.25"),
            duration=Duration.GTC,
            closed_utc=1795187062.0,
            commission_usd=Decimal("1.25"),
            good_till_utc=1802908800.0,
        ),
    )


def test_the_margin_over_night_is_known_of_futures_and_no_read_fails_by_it() -> None:
    (shape,) = decoded(golden.BALANCES, BalancesPage).balances
    assert wire.balance(shape).overnight_margin_usd == Decimal(15_500)
    for told in (b"null", b'"n/a"', b"{}"):
        body = golden.BALANCES.replace(b'"InitialMargin":"15500"', b'"InitialMargin":' + told)
        (shape,) = decoded(body, BalancesPage).balances
        assert wire.balance(shape).overnight_margin_usd is None
        assert wire.balance(shape).equity_usd == Decimal(100_125)


@pytest.mark.parametrize(
    ("kind", "told", "free_usd"),
    [
        (b"Margin", b'"-1250.5"', Decimal("-1250.5")),
        (b"Margin", b'"n/a"', None),
        (b"Margin", b"null", None),
        (b"Cash", b'"0"', None),  # all of its cash is invested: no trouble
    ],
)
def test_what_may_be_held_over_night_is_known_of_stocks_on_margin(
    kind: bytes, told: bytes, free_usd: Decimal | None
) -> None:
    body = golden.BALANCES.replace(b'"Futures"', b'"%s"' % kind)
    body = body.replace(b'"InitialMargin":"15500"', b'"OvernightBuyingPower":' + told, 1)
    (shape,) = decoded(body, BalancesPage).balances
    assert wire.balance(shape).overnight_free_usd == free_usd
    assert wire.balance(shape).overnight_margin_usd is None


def test_a_position_is_understood() -> None:
    page = decoded(golden.POSITIONS, PositionsPage)
    assert wire.position(page.positions[0]) == Position(
        account="SIM100001F", symbol="ESZ26", quantity=Decimal(1), average_price=Decimal("6018.25")
    )


@pytest.mark.parametrize("told", [b'""', b'"N/A"', b'"NaN"', b'"0"', b"null", b"[1]", b"true"])
def test_a_last_price_that_is_none_is_left_out_and_the_position_is_read_all_the_same(told: bytes) -> None:
    page = decoded(golden.POSITIONS, PositionsPage)
    assert wire.last_prices(page.positions) == {"ESZ26": Decimal("6020.75")}
    page = decoded(golden.POSITIONS.replace(b'"Last":"6020.75"', b'"Last":' + told), PositionsPage)
    assert wire.last_prices(page.positions) == {}
    assert wire.position(page.positions[0]).quantity == 1


def test_a_short_position_has_a_negative_quantity() -> None:
    line = golden.POSITION_LINE.replace(b'"Quantity":"1"', b'"Quantity":"-3"').replace(b'"Long"', b'"Short"')
    assert wire.position(decoded(line, PositionShape)).quantity == -3


def test_a_position_whose_sign_and_word_differ_is_no_answer() -> None:
    line = golden.POSITION_LINE.replace(b'"Long"', b'"Short"')
    with pytest.raises(BadAnswer, match="64000001"):
        wire.position(decoded(line, PositionShape))


def test_accounts_and_balances_are_understood() -> None:
    margin, futures = (wire.account(shape) for shape in decoded(golden.ACCOUNTS, AccountsPage).accounts)
    assert (margin.account, margin.kind) == ("SIM100001M", "Margin")
    assert (futures.account, futures.kind, futures.status, futures.currency) == (
        "SIM100001F",
        "Futures",
        "Active",
        "USD",
    )
    balance = wire.balance(decoded(golden.BALANCES, BalancesPage).balances[0])
    assert (balance.cash_usd, balance.equity_usd) == (Decimal(100000), Decimal(100125))


def test_a_bar_is_named_by_its_close() -> None:
    bars = wire.closed_bars("ESZ26", 60, decoded(golden.BARS, BarsPage).bars)
    assert bars == (
        Bar(
            symbol="ESZ26",
            interval_s=60,
            closed_utc=1795186860,
            open=Decimal(6020),
            high=Decimal("6021.25"),
            low=Decimal("6019.5"),
            close=Decimal("6020.75"),
            volume=1834,
        ),
    )


def test_the_forming_bar_at_the_end_of_history_is_left_out() -> None:
    body = golden.BARS.replace(b'"Closed"', b'"Open"')
    assert wire.closed_bars("ESZ26", 60, decoded(body, BarsPage).bars) == ()


def test_bars_come_once_each_and_in_order() -> None:
    first = json.loads(golden.BAR_LINE)
    later = first | {"TimeStamp": "2026-11-20T15:02:00Z"}
    page = decoded(json.dumps({"Bars": [later, first, later]}).encode(), BarsPage)
    assert [bar.closed_utc for bar in wire.closed_bars("ESZ26", 60, page.bars)] == [1795186860, 1795186920]


def test_an_instrument_is_understood() -> None:
    (shape,) = decoded(golden.SYMBOLS, SymbolsPage).symbols
    assert wire.instrument(shape) == Instrument(
        symbol="ESZ26",
        kind="FUTURE",
        tick_size=Decimal("0.25"),
        point_value_usd=Decimal(50),
        expires_utc=1_797_552_000.0,  # 2026-12-18
    )


def test_a_continuous_symbol_is_resolved_to_the_contract_in_front() -> None:
    body = golden.SYMBOLS.replace(b'"Symbol":"ESZ26"', b'"Symbol":"@ES"')
    body = body.replace(b'"Underlying":"ES"', b'"Underlying":"ESZ26"')
    assert wire.instrument(decoded(body, SymbolsPage).symbols[0]).symbol == "ESZ26"


def test_a_tick_size_by_schedule_is_refused_and_not_guessed() -> None:
    body = golden.SYMBOLS.replace(b'"Increment":"0.25",', b"")
    with pytest.raises(NotAllowed, match="tick size"):
        wire.instrument(decoded(body, SymbolsPage).symbols[0])


@pytest.mark.parametrize("told", ["0", "-0.25", "NaN"])
@pytest.mark.parametrize("name", [b'"Increment":"0.25"', b'"PointValue":"50"', b'"Increment":"1"'])
def test_a_tick_size_point_value_or_step_that_is_not_above_zero_is_no_answer(name: bytes, told: str) -> None:
    """Whoever rounds to it would divide by nothing, at each plan and after each restart. (A step of 0 is none said.)"""
    field = name.partition(b":")[0]
    body = golden.SYMBOLS.replace(name, field + b':"' + told.encode() + b'"')
    assert body != golden.SYMBOLS
    if (name, told) == (b'"Increment":"1"', "0"):
        assert wire.instrument(decoded(body, SymbolsPage).symbols[0]).quantity_step == 1
        return
    with pytest.raises(BadAnswer):
        wire.instrument(decoded(body, SymbolsPage).symbols[0])


# -- orders: what is odd -------------------------------------------------------------------------------------------


def test_an_expired_order_that_shows_an_executed_quantity_has_no_fill() -> None:
    expired = order_with({"ExecQuantity": "1", "ExecutionPrice": "0"}, Status="EXP", FilledPrice="0")
    assert (expired.status, expired.filled_quantity) == (OrderStatus.EXPIRED, ZERO)
    assert expired.average_fill_price is None


def test_filled_without_a_price_is_not_believed_yet() -> None:
    order = order_with({"ExecQuantity": "1", "ExecutionPrice": "0"}, Status="FLL", FilledPrice="0")
    assert (order.status, order.average_fill_price) == (OrderStatus.UNKNOWN, None)


def test_the_first_day_of_the_calendar_is_no_date() -> None:
    """Else an order that lives would be closed, a stop would have ended long ago, a contract, too."""
    never = "0001-01-01T00:00:00Z"
    order = order_with(
        {"ExecQuantity": "0", "ExecutionPrice": "0"}, Status="OUT", ClosedDateTime=never, GoodTillDate=never
    )
    assert (order.closed_utc, order.good_till_utc, order.working) == (None, None, True)
    body = golden.SYMBOLS.replace(b'"ExpirationDate":"2026-12-18T00:00:00Z"', f'"ExpirationDate":"{never}"'.encode())
    assert body != golden.SYMBOLS
    assert wire.instrument(decoded(body, SymbolsPage).symbols[0]).expires_utc is None


@pytest.mark.parametrize("code", ["ACK", "DON", "STP", "XYZ"])
def test_a_fill_that_rides_on_another_status_counts(code: str) -> None:
    order = order_with(Status=code)
    assert (order.filled_quantity, order.average_fill_price) == (Decimal(1), Decimal("6025.5"))
    assert order.working


def test_an_unknown_code_is_open() -> None:
    order = order_with({"ExecQuantity": "0", "ExecutionPrice": "0"}, Status="NEW1", FilledPrice="0")
    assert order.status is OrderStatus.UNKNOWN
    assert order.working
    assert order.venue_status == "NEW1"


@pytest.mark.parametrize(
    ("code", "closed", "status"),
    [
        ("OUT", None, OrderStatus.CANCELLING),
        ("OUT", "2026-11-20T15:04:22Z", OrderStatus.CANCELLED),
        ("UCH", None, OrderStatus.UNKNOWN),
        ("UCH", "2026-11-20T15:04:22Z", OrderStatus.CANCELLED),
        ("STP", "2026-11-20T15:04:22Z", OrderStatus.WORKING),
        ("FLL", None, OrderStatus.FILLED),
        ("DON", None, OrderStatus.RECEIVED),
        ("UCN", None, OrderStatus.CANCELLING),
        ("RJC", None, OrderStatus.WORKING),
        ("LAT", None, OrderStatus.WORKING),
        ("RJR", "2026-11-20T15:04:22Z", OrderStatus.UNKNOWN),
        ("TSC", None, OrderStatus.CANCELLED),
        ("REJ", None, OrderStatus.REJECTED),
    ],
)
def test_status_codes_mean_what_the_vendor_means(code: str, closed: str | None, status: OrderStatus) -> None:
    assert order_with(Status=code, ClosedDateTime=closed).status is status


def test_a_part_filled_order_whose_rest_is_cancelled_is_over_and_has_a_fill() -> None:
    order = order_with({"QuantityOrdered": "3"}, Status="FLP")
    assert (order.status, order.filled_quantity, order.remaining) == (OrderStatus.CANCELLED, Decimal(1), ZERO)


def test_filled_with_less_than_the_whole_quantity_is_looked_up() -> None:
    assert order_with({"QuantityOrdered": "3"}, Status="FLL").status is OrderStatus.UNKNOWN


def test_a_spread_gives_an_order_a_leg() -> None:
    content = json.loads(golden.ORDER_LINE)
    content["Legs"].append(content["Legs"][0] | {"Symbol": "ESH27", "BuyOrSell": "SellShort"})
    orders = wire.orders(decoded(json.dumps(content).encode(), OrderShape))
    assert [(order.order_id, order.symbol, order.side) for order in orders] == [
        ("1200000001", "ESZ26", Side.BUY),
        ("1200000001/2", "ESH27", Side.SELL),
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"OrderType": "Pegged"}, "Pegged"),
        ({"Legs": []}, "no legs"),
        ({"OpenedDateTime": "yesterday"}, "yesterday"),
        ({"CommissionFee": "NaN"}, "NaN"),
    ],
)
def test_nothing_is_concluded_from_an_order_that_is_no_sense(changes: dict[str, Any], named: str) -> None:
    content = json.loads(golden.ORDER_LINE) | changes
    with pytest.raises(BadAnswer, match=named):
        wire.orders(decoded(json.dumps(content).encode(), OrderShape))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"Orders":null}', b'{"Orders":[{}]}', b"\xff"])
def test_what_is_no_page_of_orders_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decoded(body, OrdersPage)


def test_a_200_with_errors_is_no_answer_at_all() -> None:
    with pytest.raises(NotAllowed, match="Request not supported for account type"):
        wire.whole(decoded(golden.PARTIAL, BalancesPage).errors)


def test_a_passing_error_inside_a_200_may_be_asked_again() -> None:
    body = golden.PARTIAL.replace(b"Forbidden", b"GatewayTimeout")
    with pytest.raises(Unavailable):
        wire.whole(decoded(body, BalancesPage).errors)
