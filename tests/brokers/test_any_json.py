"""Whatever JSON the venue sends: a typed result or an error of the brokers room, never another exception."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokers.errors import BadAnswer, BrokerError
from brokers.tradestation import frames, oauth, wire
from brokers.tradestation.instructions import group_outcome, outcome
from brokers.tradestation.shapes import (
    AccountsPage,
    BalancesPage,
    BarsPage,
    OrdersPage,
    PositionsPage,
    QuotesPage,
    SymbolsPage,
    decoded,
)
from tests.brokers import golden

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        (
            *("", "NaN", "sNaN", "Infinity", "-Infinity", "1e999999999", "-1E+400", "0", "-1", "ZZZ", "FLL", "OUT"),
            *(
                "0001-01-01T00:00:00+23:59",
                "9999-12-31T23:59:59-23:59",
                "Open",
                "Short",
                "GoAway",
                "EndSnapshot",
                "@ES",
            ),
        )
    ),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"Error": None, "Message": None, "Symbol": None}),
    st.just([{"Relationship": None}]),
)


@st.composite
def mutated(draw: Any, sample: bytes) -> bytes:
    """The sample with some of its values replaced, fields dropped and fields added, at any depth."""
    value = json.loads(sample)
    for _ in range(draw(st.integers(1, 4))):
        value = changed(draw, value)
    return json.dumps(value).encode()


def changed(draw: Any, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        what = draw(st.integers(0, 6))
        if what == 0:
            return {name: each for name, each in value.items() if name != key}
        if what == 1:
            return {**value, draw(st.text(max_size=5)): draw(ODD)}
        return {**value, key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [changed(draw, each) if at == place else each for at, each in enumerate(value)]
    if isinstance(value, str) and draw(st.integers(0, 3)) == 0:
        try:
            return float(value)  # a number where the venue sends its text
        except ValueError:
            return value
    return draw(ODD)


def read_orders(body: bytes) -> None:
    for shape in decoded(body, OrdersPage).orders:
        for order in wire.orders(shape):
            assert order.remaining is not None
            assert all(number.is_finite() for number in (order.quantity, order.filled_quantity))
            for told in (order.stop_price, order.limit_price, order.average_fill_price, order.commission_usd):
                assert told is None or told.is_finite()


def read_balances(body: bytes) -> None:
    page = decoded(body, BalancesPage)
    wire.whole(page.errors)
    for shape in page.balances:
        assert wire.balance(shape).equity_usd.is_finite()


def read_bars(body: bytes) -> None:
    for bar in wire.closed_bars("ESZ26", 60, decoded(body, BarsPage).bars):
        assert bar.close.is_finite()


READERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (read_orders, golden.ORDERS),
    (read_orders, b'{"Orders":[' + golden.TRAILING_ORDER_LINE + b"]}"),
    (read_balances, golden.BALANCES),
    (read_balances, golden.PARTIAL),
    (read_bars, golden.BARS),
    (lambda body: [wire.position(each) for each in decoded(body, PositionsPage).positions], golden.POSITIONS),
    (lambda body: [wire.account(each) for each in decoded(body, AccountsPage).accounts], golden.ACCOUNTS),
    (lambda body: [wire.instrument(each) for each in decoded(body, SymbolsPage).symbols], golden.SYMBOLS),
    (lambda body: [wire.quote(each) for each in decoded(body, QuotesPage).quotes], golden.QUOTES),
    (frames.account_item, golden.ORDER_LINE),
    (frames.account_item, golden.POSITION_LINE),
    (frames.account_item, golden.POSITION_DELETED),
    (frames.account_item, golden.HEARTBEAT),
    (frames.account_item, golden.END_SNAPSHOT),
    (lambda line: frames.bars_item("ESZ26", 60, line), golden.BAR_LINE),
    (lambda line: frames.bars_item("ESZ26", 60, line), golden.GOAWAY_V2),
    (frames.quotes_item, golden.QUOTE_CHANGE),
    (frames.quotes_item, golden.DUAL_LOGON),
    (lambda body: oauth.granted(200, body), golden.TOKEN_ROTATED),
    (lambda body: oauth.granted(403, body), golden.INVALID_GRANT),
]
WRITERS: list[tuple[Callable[[int, bytes], object], bytes]] = [
    (outcome, golden.PLACED),
    (outcome, golden.PLACING_DUPLICATE),
    (outcome, golden.CANCELLED),
    (lambda status, body: group_outcome(status, body, 2), golden.GROUP_MIXED),
]


@pytest.mark.parametrize(("read", "sample"), READERS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_answer_is_read_or_is_an_error_of_ours(
    read: Callable[[bytes], object], sample: bytes, data: st.DataObject
) -> None:
    body = data.draw(mutated(sample))
    try:
        read(body)
    except BrokerError:
        return


@pytest.mark.parametrize(("read", "sample"), READERS)
@settings(max_examples=50, deadline=None)
@given(body=st.one_of(st.binary(max_size=60), ODD.map(lambda value: json.dumps(value).encode())))
@example(b"[" * 3000)
@example(b'{"a":' * 3000)
@example(b'{"Orders":[{"Legs":"\\ud800"}]}')
@example(b"\xff\xfe")
def test_any_bytes_are_read_or_are_an_error_of_ours(
    read: Callable[[bytes], object], sample: bytes, body: bytes
) -> None:
    try:
        read(body)
    except BrokerError:
        return


@pytest.mark.parametrize(("tell", "sample"), WRITERS)
@settings(max_examples=200, deadline=None)
@given(data=st.data(), status=st.sampled_from([200, 201, 302, 400, 401, 404, 408, 429, 500, 503]))
def test_any_answer_to_an_instruction_has_an_outcome(
    tell: Callable[[int, bytes], object], sample: bytes, data: st.DataObject, status: int
) -> None:
    assert tell(status, data.draw(st.one_of(mutated(sample), st.binary(max_size=40)))) is not None


@pytest.mark.parametrize("price", ["sNaN", "NaN", "Infinity", "1e999999999"])
@pytest.mark.parametrize("field", [b'"6025.25","UnbundledRouteFee"', b'"1","ExecutionPrice"'])
def test_no_number_is_no_price_and_no_quantity(price: str, field: bytes) -> None:
    body = golden.ORDERS.replace(field, field.replace(field[: field.index(b",")], f'"{price}"'.encode()))
    with pytest.raises(BadAnswer):
        read_orders(body)
