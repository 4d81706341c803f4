"""Lines of TradeStation's streams."""

import pytest

from brokers.broker import (
    BarItem,
    EndSnapshot,
    GoAway,
    Heartbeat,
    OrderItem,
    PositionGone,
    PositionItem,
    StreamError,
    StreamItem,
)
from brokers.errors import BadAnswer
from brokers.tradestation.frames import account_item, bars_item
from tests.brokers import golden


def of_bars(line: bytes) -> StreamItem | None:
    return bars_item("ESZ26", 60, line)


def test_a_closed_bar() -> None:
    item = of_bars(golden.BAR_LINE)
    assert isinstance(item, BarItem)
    assert item.closed
    assert (item.bar.symbol, item.bar.closed_utc) == ("ESZ26", 1795186860)


def test_a_forming_bar() -> None:
    item = of_bars(golden.BAR_LINE.replace(b'"Closed"', b'"Open"'))
    assert isinstance(item, BarItem)
    assert not item.closed


def test_orders_and_positions() -> None:
    order, held = account_item(golden.ORDER_LINE), account_item(golden.POSITION_LINE)
    assert isinstance(order, OrderItem)
    assert isinstance(held, PositionItem)
    assert (order.orders[0].order_id, held.position_id) == ("1200000001", "64000001")
    assert account_item(golden.POSITION_DELETED) == PositionGone("64000001")


def test_a_position_of_nothing_is_gone() -> None:
    line = golden.POSITION_LINE.replace(b'"Quantity":"1"', b'"Quantity":"0"')
    assert account_item(line) == PositionGone("64000001")


@pytest.mark.parametrize("read", [of_bars, account_item])
def test_control_frames_are_the_same_on_every_stream(read: object) -> None:
    assert callable(read)
    assert read(golden.HEARTBEAT) == Heartbeat()
    assert read(golden.END_SNAPSHOT) == EndSnapshot()
    assert read(golden.GOAWAY_V3) == GoAway()
    assert read(golden.GOAWAY_V2) == GoAway()
    assert read(b" \r") is None


@pytest.mark.parametrize(
    ("line", "text", "retryable"),
    [
        (b'{"Error":"DualLogon","Message":"another"}', "DualLogon another", False),
        (b'{"Symbol":"AAPL","Error":"DualLogon"}', "DualLogon", False),
        (
            b'{"Error":"Forbidden","Message":"Invalid Account ID.","AccountID":"X"}',
            "Forbidden Invalid Account ID.",
            False,
        ),
        (b'{"Error":"BadRequest"}', "BadRequest", False),
        (b'{"Error":"InternalServerError"}', "InternalServerError", True),
        (b'{"Error":"Failed","OrderID":"1"}', "Failed", True),
    ],
)
def test_errors_in_the_stream(line: bytes, text: str, retryable: bool) -> None:
    assert of_bars(line) == StreamError(text, retryable)
    assert account_item(line) == StreamError(text, retryable)


@pytest.mark.parametrize("line", [b"{}", b"RESET", b"[]", b'{"Something":1}', b'{"Heartbeat":', b"\xff\xfe"])
def test_a_line_that_means_nothing_is_no_answer(line: bytes) -> None:
    for read in (of_bars, account_item):
        with pytest.raises(BadAnswer):
            read(line)


def test_an_order_line_that_speaks_of_an_error_or_a_position_is_looked_at_first() -> None:
    """Order lines are decoded at once; nothing that may be something else is."""
    assert account_item(b'{"OrderID":"1","Error":"GoAway"}') == GoAway()
    assert account_item(b'{"OrderID":"1","PositionID":"2","Deleted":true}') == PositionGone(position_id="2")
    with pytest.raises(BadAnswer):
        account_item(b'{"OrderID":"1"}')
