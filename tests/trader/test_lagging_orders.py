"""A venue whose positions know of a fill that its orders do not show yet: nobody's doing, and counted once."""

from brokers.model import OrderStatus, OrderType
from tests.trader.session_world import SYMBOL, Desk


def reads(desk: Desk, seconds: float) -> None:
    """So long the account is read once a second, as it is while something differs."""
    for _ in range(int(seconds)):
        desk.read()
        desk.world.advance(1.0)


def told(desk: Desk, order_id: str, shown_position: int) -> None:
    """The orders come to show the fill that the position has had for long."""
    desk.position = shown_position
    desk.fill(order_id)
    desk.stream()


def test_a_fill_that_orders_show_some_seconds_later_is_no_divergence(desk: Desk) -> None:
    desk.declare(1)
    desk.position = 1
    reads(desk, 4.0)
    assert "divergence.adopted" not in desk.events()
    told(desk, "1", 0)
    reads(desk, 2.0)
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 1
    assert desk.sent() == ["POST"]
    assert not desk.manager.journal.holds


def test_what_nobodys_order_and_no_order_of_ours_explains_is_adopted_by_the_second_read(desk: Desk) -> None:
    desk.long_and_covered()
    desk.position = 2
    reads(desk, 2.0)
    assert "divergence.adopted" in desk.events()


def test_a_part_of_the_exit_that_was_adopted_first_makes_no_order_to_the_other_side(desk: Desk) -> None:
    """Else the book is short by what it had counted already, and buying that back opens a position."""
    desk.declare(3)
    told(desk, "1", 0)
    desk.read()
    desk.declare(0)
    desk.position = 2
    reads(desk, 8.0)
    assert "divergence.adopted" in desk.events()
    told(desk, "2", 3)
    assert desk.sent() == ["POST", "PUT"]
    reads(desk, 3.0)
    assert desk.sent() == ["POST", "PUT"]
    assert "order.filled" in desk.events()


def test_an_entry_that_was_adopted_first_is_not_sold_again(desk: Desk) -> None:
    desk.declare(1)
    desk.position = 1
    reads(desk, 8.0)
    assert "divergence.adopted" in desk.events()
    desk.change("1", status=OrderStatus.WORKING)
    sent = desk.sent()
    told(desk, "1", 0)
    reads(desk, 3.0)
    assert desk.sent() == sent
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 1


def test_an_entry_that_fills_over_the_cancel_of_a_divergence_is_kept(desk: Desk) -> None:
    """No exit follows from a divergence."""
    desk.declare(3)
    desk.fill("1", quantity=1)
    desk.stream()
    desk.by_hand(1)
    reads(desk, 2.0)
    assert "divergence.adopted" in desk.events()
    desk.change("1", status=OrderStatus.WORKING)
    desk.fill("1")
    desk.stream()
    reads(desk, 3.0)
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 4
    assert {order.type for order in desk.orders.values() if order.working} == {OrderType.STOP_MARKET}
