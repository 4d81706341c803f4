"""Stream against books: what the stream has omitted is an event of its own, told once; a race is none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.broker import AccountSnapshot, OrderItem
from brokers.model import Balance, Order, OrderStatus, Position
from brokers.tradestation.frames import account_item
from feeds.messages import Snapshot, SnapshotFailed
from feeds.omissions import OrdersTold, PositionsTold
from supervisor.messages import Subscribed
from tests.brokers import golden
from tests.feeds.streams import NL, opened, order_line, position_line
from tests.scripted_world import ScriptedWorld

ACCOUNT = "SIM100001F"
BOOKS = f"connections/sim/books/{ACCOUNT}"
GRACE_S = 5.0


def order(order_id: str = "1", filled: int = 0, status: OrderStatus = OrderStatus.WORKING) -> Order:
    item = account_item(golden.ORDER_LINE)
    assert isinstance(item, OrderItem)
    changed = {"order_id": order_id, "filled_quantity": Decimal(filled), "status": status}
    return Order(**({name: getattr(item.orders[0], name) for name in Order.__struct_fields__} | changed))


def held(quantity: int, symbol: str = "ESZ26") -> Position:
    return Position(ACCOUNT, symbol, Decimal(quantity), Decimal(1))


def read(world: ScriptedWorld, orders: tuple[Order, ...] = (), positions: tuple[Position, ...] = ()) -> None:
    content = AccountSnapshot(ACCOUNT, orders, positions, Balance(ACCOUNT, Decimal(1), Decimal(1)))
    world.deliver(Snapshot(1, world.now_s(), content))


# -- the decision --------------------------------------------------------------------------------------------------


def test_a_fill_that_the_stream_does_not_tell_is_sure_with_the_second_read() -> None:
    told = OrdersTold(GRACE_S)
    told.heard([order()])
    assert told.judge([order(filled=1)], 100.0) == []
    (omission,) = told.judge([order(filled=1)], 130.0)
    assert "a fill of order 1" in omission.what
    assert told.judge([order(filled=1)], 160.0) == [], "told once"


def test_a_confirming_read_right_after_the_first_proves_nothing() -> None:
    told = OrdersTold(GRACE_S)
    told.heard([order()])
    assert told.judge([order(filled=1)], 100.0) == []
    assert told.judge([order(filled=1)], 101.0) == []


def test_a_stream_that_was_only_slower_is_right_and_one_that_is_ahead_too() -> None:
    told = OrdersTold(GRACE_S)
    told.heard([order()])
    told.judge([order(filled=1)], 100.0)
    told.heard([order(filled=2)])
    assert told.judge([order(filled=1)], 130.0) == []


def test_an_end_and_a_whole_order_can_be_omitted_as_well() -> None:
    told = OrdersTold(GRACE_S)
    told.heard([order("1")])
    gone = [order("1", status=OrderStatus.REJECTED)]
    told.judge(gone, 100.0)
    told.judge([*gone, order("2")], 130.0)
    omitted = told.judge([*gone, order("2")], 160.0)
    assert [each.subject for each in omitted] == ["2"]
    assert "altogether" in omitted[0].what


def test_orders_of_the_first_read_that_the_replay_does_not_name_are_not_held_against_it() -> None:
    told = OrdersTold(GRACE_S)
    for at_s in (100.0, 130.0, 160.0):
        assert told.judge([order("old", filled=1, status=OrderStatus.FILLED)], at_s) == []


def test_an_order_told_before_it_is_booked_is_not_forgotten() -> None:
    told = OrdersTold(GRACE_S)
    told.judge([], 90.0)
    told.heard([order("1")])
    for at_s in (100.0, 130.0):
        assert told.judge([], at_s) == []
    for at_s in (160.0, 190.0):
        assert told.judge([order("1")], at_s) == []


def test_positions_that_differ_while_neither_side_moves() -> None:
    told = PositionsTold(GRACE_S)
    assert told.judge([held(1)], [held(2)], 100.0) == []
    assert told.judge([held(1)], [held(3)], 130.0) == [], "the books moved: the stream may still follow"
    (omission,) = told.judge([held(1)], [held(3)], 160.0)
    assert omission.subject == "ESZ26"
    assert told.judge([held(1)], [held(3)], 190.0) == []
    assert told.judge([], [], 220.0) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20))
def test_a_stream_that_tells_everything_before_the_next_read_is_never_accused(steps: list[tuple[int, bool]]) -> None:
    told, filled, at_s = OrdersTold(GRACE_S), 0, 0.0
    told.heard([order()])
    for more, quick in steps:
        filled += more
        if quick:
            told.heard([order(filled=filled)])
        assert told.judge([order(filled=filled)], at_s) == []
        told.heard([order(filled=filled)])
        at_s += 30.0


# -- the feeds -----------------------------------------------------------------------------------------------------


def test_an_omitted_fill_is_an_event_of_its_own() -> None:
    world = opened("orders")
    assert (BOOKS, "snapshot") in world.subscriptions
    world.deliver(Subscribed(BOOKS, "snapshot", 1))
    working = order_line("1").replace(b'"ExecQuantity":"1"', b'"ExecQuantity":"0"').replace(b'"FLL"', b'"ACK"')
    for gone in (
        b'"ClosedDateTime":"2026-11-20T15:04:22Z",',
        b'"FilledPrice":"6025.5",',
        b'"ExecutionPrice":"6025.5",',
    ):
        working = working.replace(gone, b"")
    world.feed(working + golden.END_SNAPSHOT + NL)
    filled = order("1", filled=1, status=OrderStatus.FILLED)
    read(world, (filled,))
    world.advance(10.0)
    world.deliver(SnapshotFailed(2, world.now_s(), "503"))
    world.feed(golden.HEARTBEAT + NL)
    assert world.events == []
    read(world, (filled,))
    assert [(event.kind, event.level) for event in world.events] == [("feed.omitted", "NOTIFY")]
    assert "the stream omitted a fill of order 1" in world.events[0].text
    world.advance(0.1)
    assert [stream.closed for stream in world.streams] == [True, False], "it lied, so it is opened anew"


def test_what_the_next_stream_leaves_out_as_well_is_told_once_and_opens_no_third() -> None:
    world = opened("positions")
    for _ in range(3):
        world.feed(position_line("1") + golden.END_SNAPSHOT + NL)
        for _ in range(2):
            read(world, positions=(held(2),))
            world.advance(10.0)
            world.feed(golden.HEARTBEAT + NL)
    assert world.event_kinds() == ["feed.omitted"]
    assert len(world.streams) == 2


def test_an_omitted_change_of_a_position_is_told_too() -> None:
    world = opened("positions")
    world.feed(position_line("1") + golden.END_SNAPSHOT + NL)
    read(world, positions=(held(2),))
    world.advance(10.0)
    world.feed(golden.HEARTBEAT + NL)
    read(world, positions=(held(2),))
    assert world.event_kinds() == ["feed.omitted"]


@pytest.mark.parametrize("kind", ["orders", "positions"])
def test_before_the_replay_is_over_nothing_is_held_against_the_stream(kind: str) -> None:
    world = opened(kind)
    world.feed(golden.HEARTBEAT + NL)
    for _ in range(3):
        read(world, (order("1", filled=1),), (held(2),))
        world.advance(10.0)
        world.feed(golden.HEARTBEAT + NL)
    assert world.events == []
