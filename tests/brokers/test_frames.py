"""Lines of TradeStation's streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from brokers.tradestation.frames import account_item, bars_item, bars_read
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


LINES = [
    golden.BAR_LINE,
    golden.BAR_LINE.replace(b'"Closed"', b'"Open"'),
    golden.BAR_LINE.replace(b'"Closed"', b'"Odd"'),
    golden.BAR_LINE.replace(b'"6020.75"', b'"Infinity"'),
    golden.BAR_LINE.replace(b'"6020.75"', b"6020.75"),
    golden.BAR_LINE.replace(b'"1834"', b'"1834.0"'),
    golden.BAR_LINE.replace(b"15:01:00Z", b"15:01:00"),
    golden.BAR_LINE.replace(b"15:01:00Z", b"15:01:00.500+01:00"),
    golden.BAR_LINE.replace(b",", b",\n", 1),
    golden.BAR_LINE * 2,
    golden.HEARTBEAT,
    b"",
    b"  ",
    b"[]",
    b"null",
    b"garbage",
    b"\xff",
]


@given(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from([b"\n", b"\r\n", b" \n"]))
def test_bars_that_are_read_at_once_are_what_they_are_one_by_one(lines: list[bytes], end: bytes) -> None:
    sent = b"".join(line + end for line in lines)
    read = bars_read("ESZ26", 60, sent)
    if read is None:
        return
    items = [bars_item("ESZ26", 60, line) for line in sent.split(b"\n")[:-1]]
    bars = [item for item in items if isinstance(item, BarItem)]
    assert len(bars) == len(items)
    assert read.closed == tuple(item.bar for item in bars if item.closed)
    assert read.forming_utc == max([item.bar.closed_utc for item in bars if not item.closed], default=0)


def test_plain_bars_are_read_at_once() -> None:
    read = bars_read("ESZ26", 60, LINES[0] + b"\n" + LINES[1] + b"\n")
    assert read is not None
    assert (len(read.closed), read.forming_utc) == (1, read.closed[0].closed_utc)
