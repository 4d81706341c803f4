"""A venue whose positions know of a fill that its orders do not show yet: nobody's doing, and counted once."""

from brokers.model import OrderStatus, OrderType
from tests.trader.bracket_words import declare
from tests.trader.session_world import SYMBOL, TIMING, Desk, reply
from trader.messages import ReleaseHold
from trader.orders.reconcile import LAG_S


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
    reads(desk, 25.0)
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
    reads(desk, LAG_S + 3.0)
    assert "divergence.adopted" in desk.events()
    told(desk, "2", 3)
    assert desk.sent() == ["POST", "PUT"]
    reads(desk, 3.0)
    assert desk.sent() == ["POST", "PUT"]
    assert "order.filled" in desk.events()


def test_an_entry_that_was_adopted_first_is_not_sold_again(desk: Desk) -> None:
    desk.declare(1)
    desk.position = 1
    reads(desk, LAG_S + 3.0)
    assert "divergence.adopted" in desk.events()
    desk.change("1", status=OrderStatus.WORKING)
    sent = desk.sent()
    told(desk, "1", 0)
    reads(desk, 3.0)
    assert desk.sent() == sent
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 1


def test_what_was_adopted_before_it_was_told_counts_once_and_the_rows_agree(desk: Desk) -> None:
    desk.declare(2)
    desk.position = 2
    reads(desk, LAG_S + 3.0)
    told(desk, "1", 0)
    journal = desk.manager.journal
    assert journal.holding(SYMBOL).quantity == desk.position == 2, "before any read"
    assert "fill.adopted_before" in desk.events()
    assert [row["quantity"] for row in desk.query("SELECT quantity FROM fills")] == ["2"]
    adopted = desk.query("SELECT before_quantity, after_quantity, after_fill FROM adoptions ORDER BY number")
    assert [tuple(row.values()) for row in adopted] == [("0", "2", 0), ("4", "2", 1)]
    desk.restart()
    reads(desk, 3.0)
    assert desk.events().count("divergence.adopted") == 1


def test_so_does_a_stop_of_which_nothing_was_told_when_a_person_released_its_position(desk: Desk) -> None:
    """The position had vanished, and so had what closed it."""
    desk.long_and_covered()
    desk.position = 0
    reads(desk, 3.0)
    assert "hold.unexplained" in desk.events()
    desk.world.ask(ReleaseHold(SYMBOL))
    reads(desk, 3.0)
    told(desk, "2", 1)
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 0


def test_beside_legs_that_may_be_out_no_stop_is_placed_and_none_grows(desk: Desk) -> None:
    """Of an entry that lags the legs do: the desk's own stop would close what they close."""
    desk.long_and_covered()
    declare(desk, 2, stop=166)
    dead = reply({"Error": "BadRequest", "Message": "Not an open order."}, 400)
    desk.world.answer_http("DELETE", "/orderexecution/orders/", dead)
    desk.position = 2
    reads(desk, LAG_S + 8.0)
    assert "divergence.adopted" in desk.events()
    assert desk.sent() == ["POST", "POST", "DELETE"]
    told(desk, "3", 1)
    reads(desk, 3.0)
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 2
    assert desk.sent() == ["POST", "POST", "DELETE"]
    assert sorted(desk.manager.journal.working) == ["2", "4"]


def test_what_stays_unsaid_for_a_minute_is_somebody_elses_and_is_protected(desk: Desk) -> None:
    desk.long_and_covered()
    declare(desk, 2, stop=166)
    dead = reply({"Error": "BadRequest", "Message": "Not an open order."}, 400)
    desk.world.answer_http("DELETE", "/orderexecution/orders/", dead)
    desk.position = 2
    reads(desk, LAG_S + TIMING.on_its_way_s + 5.0)
    assert "PUT" in desk.sent(), "its stop has grown"


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
