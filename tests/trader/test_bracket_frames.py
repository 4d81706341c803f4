"""What the venue tells of orders that it ties, in any sequence."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.model import OrderStatus, OrderType
from supervisor.errors import HttpFailed
from tests.trader.bracket_words import bar, declare, held, long_with_take, tell, view
from tests.trader.session_world import SYMBOL, Desk


def lose_cancels(desk: Desk) -> None:
    def lost(request: Any) -> Any:
        raise HttpFailed("time-out", sent=True)

    desk.world.answer_http("DELETE", "/orderexecution/orders/", lost)


# -- what the venue tells, in any sequence -----------------------------------------------------------------------------


def test_a_leg_that_waits_for_its_entry_is_no_closing_order_and_no_orphan(desk: Desk) -> None:
    declare(desk, 2, stop=166)
    desk.stream()
    desk.world.advance(3.0)
    assert desk.sent() == ["POST"]
    assert desk.orders["2"].working


def test_what_is_part_filled_waits_for_the_leg_and_not_too_long(desk: Desk) -> None:
    """The leg is of the whole entry: a second stop beside it would close more than there is."""
    declare(desk, 3, stop=166)
    desk.fill("1", quantity=1)
    desk.stream()
    assert held(desk) == 1
    assert desk.sent() == ["POST"]
    desk.world.advance(12.0)
    assert desk.orders["1"].status is OrderStatus.CANCELLED, "the rest goes"
    declare(desk, 5, stop=166)
    assert desk.rows()[-1].gate == "part_filled"
    declare(desk, 1, stop=166)
    desk.stream()
    desk.stream()
    working = [(o.type, o.quantity) for o in desk.orders.values() if o.working]
    assert working == [(OrderType.STOP_MARKET, 1)], "and what is held has a stop of its own"


def test_what_is_waited_for_is_forgotten_when_it_came(desk: Desk) -> None:
    """A session that enters for months keeps nothing of it."""
    declare(desk, 1, stop=166)
    tell(desk, "1")
    desk.orders, shown = {"1": desk.orders["1"]}, desk.orders
    desk.read()
    assert desk.manager.account.settling
    desk.orders = shown
    for _ in range(2):
        desk.read()
    assert not desk.manager.account.settling


def test_a_leg_too_old_to_be_remembered_is_not_taken_for_a_new_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream tells all orders of the day anew at each opening; memory has the newest ones."""
    declare(desk, 1, stop=166)
    desk.fill("1")
    desk.fill("2", "166")
    desk.stream()
    monkeypatch.setattr("trader.manager.image.DEAD_ORDERS_KEPT", 1)
    desk.restart()
    assert list(desk.manager.journal.orders) == ["1"]
    desk.stream()
    desk.read()
    assert held(desk) == desk.position == 0
    assert [row.purpose for row in desk.rows()] == ["entry", "stop"]


def test_a_leg_told_filled_before_its_entry_counts_only_with_it(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.stream()
    desk.fill("1")
    desk.fill("2", "166")
    tell(desk, "2")
    assert held(desk) == 0
    assert desk.sent() == ["POST"], "no exit of a position that never was"
    desk.read()
    assert held(desk) == 0
    assert [row.purpose for row in desk.rows()] == ["entry", "stop"]


def test_what_legs_fill_while_their_entry_still_works_is_counted_by_the_read_that_shows_both(desk: Desk) -> None:
    """Some venues send the legs at the entry's first part. What is left out of our book would be adopted as somebody
    else's doing, and counted a second time when the entry has ended."""
    declare(desk, 3, stop=166, take=170)
    desk.fill("1", quantity=2)
    for leg in ("2", "3"):
        desk.change(leg, status=OrderStatus.WORKING, venue_status="ACK")
    desk.stream()
    desk.fill("2", "166", quantity=1)
    desk.stream()
    for _ in range(2):
        desk.read()
        desk.world.advance(1.5)
    assert held(desk) == desk.position == 1
    desk.change("1", status=OrderStatus.CANCELLED)
    desk.stream()
    desk.read()
    assert held(desk) == desk.position == 1
    assert not {"divergence.adopted", "order.changed_by_other"}.intersection(desk.events())


def test_a_take_that_is_told_before_its_stop_is_not_cancelled_for_one(desk: Desk) -> None:
    declare(desk, 1, stop=166, take=170)
    desk.fill("1")
    tell(desk, "1", "3")
    desk.world.advance(2.0)
    assert desk.sent() == ["POST"]
    tell(desk, "2")
    assert {each.order_id for each in desk.manager.journal.working.values()} == {"2", "3"}


def test_a_take_first_heard_of_when_its_stop_has_filled_was_ended_by_its_group(desk: Desk) -> None:
    long_with_take(desk)
    declare(desk, 3, stop=166, take=170)
    desk.fill("4")
    desk.fill("5", "166")
    assert desk.orders["6"].status is OrderStatus.CANCELLED
    desk.stream()
    assert held(desk) == 1
    assert "order.cancelled_by_other" not in desk.events()
    assert desk.manager.journal.declaration(SYMBOL).take_by_person == ""


def test_the_take_that_fills_ends_the_stop_at_the_venue_and_nobody_removed_it(desk: Desk) -> None:
    long_with_take(desk)
    desk.fill("3", "170")
    tell(desk, "2")
    assert "order.cancelled_by_other" not in desk.events(), "its group's doing, perhaps: a read tells"
    tell(desk, "3")
    desk.read()
    assert held(desk) == 0
    assert desk.manager.journal.working == {}
    assert "order.cancelled_by_other" not in desk.events()
    assert desk.rows()[-1].purpose == "take"
    desk.world.advance(5.0)
    assert desk.sent() == ["POST"], "flat is what is declared now"


def test_a_part_of_the_take_shrinks_the_stop_and_we_ask_for_nothing(desk: Desk) -> None:
    long_with_take(desk, 3)
    desk.fill("3", "170", quantity=1)
    tell(desk, "3")
    assert (held(desk), desk.sent()) == (2, ["POST"]), "the venue shrinks it, we only have not been told"
    tell(desk, "2")
    assert desk.orders["2"].quantity == 2
    assert desk.sent() == ["POST"]
    assert "order.changed_by_other" not in desk.events()


def test_a_stop_of_a_pair_that_a_person_cancels_stays_away(desk: Desk) -> None:
    long_with_take(desk)
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.stream()
    desk.read()
    desk.world.advance(3.0)
    desk.stream()
    desk.world.advance(3.0)
    assert "order.cancelled_by_other" in desk.events()
    assert [o.type for o in desk.orders.values() if o.working] == [OrderType.LIMIT], "and the take stays"


def test_a_take_that_a_person_cancels_stays_away_and_the_desk_does_not_take_instead(desk: Desk) -> None:
    long_with_take(desk)
    desk.change("3", status=OrderStatus.CANCELLED)
    desk.read()
    declare(desk, 1, take=171)
    bar(desk, "172")
    assert desk.sent() == ["POST"]
    assert view(desk).take_held_by == ""


def test_a_take_that_a_person_moved_is_left_where_it_is(desk: Desk) -> None:
    long_with_take(desk)
    desk.change("3", limit_price=Decimal(169))
    desk.read()
    assert "order.changed_by_other" in desk.events()
    declare(desk, 1, take=171)
    assert desk.sent() == ["POST"]
    assert desk.orders["3"].limit_price == 169


def test_a_leg_that_is_rejected_later_pages_and_its_stop_is_placed_once_by_itself(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.change("2", status=OrderStatus.REJECTED, reject_reason="no")
    desk.fill("1")
    desk.stream()
    assert "stop.refused" in desk.events()
    assert [(o.type, o.stop_price) for o in desk.orders.values() if o.working] == [(OrderType.STOP_MARKET, 166)]


def test_a_stop_that_a_person_cancels_long_after_we_withdrew_its_take_stays_away_too(desk: Desk) -> None:
    """Night 59: some venues end a group with one of it; what has outlived that by a read was ended by somebody else."""
    long_with_take(desk)
    declare(desk, 1, off=("take",))
    desk.stream()
    desk.world.advance(1.0)
    desk.read()
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.stream()
    desk.read()
    desk.world.advance(3.0)
    assert "order.cancelled_by_other" in desk.events()
    assert not [o for o in desk.orders.values() if o.working and o.type is OrderType.STOP_MARKET]


def test_a_stop_that_a_person_cancels_beside_our_own_cancel_that_was_lost_stays_away(desk: Desk) -> None:
    """Nights 158 and 316: the take that we wanted to end works on, so no end of it has ended the group."""
    long_with_take(desk)
    lose_cancels(desk)
    declare(desk, 1, off=("take",))
    desk.change("2", status=OrderStatus.CANCELLED)
    tell(desk, "2")
    assert "order.cancelled_by_other" not in desk.events(), "the take may have ended with it: a read tells"
    desk.read()
    assert "order.cancelled_by_other" in desk.events()
    desk.world.advance(3.0)
    assert not [o for o in desk.orders.values() if o.working and o.type is OrderType.STOP_MARKET]


def test_a_stop_that_ends_with_the_take_that_we_withdrew_was_removed_by_nobody(desk: Desk) -> None:
    """The venue ends a group with one of it, and tells of the other one first."""
    long_with_take(desk)
    lose_cancels(desk)
    declare(desk, 1, off=("take",))
    for order_id in ("2", "3"):
        desk.change(order_id, status=OrderStatus.CANCELLED)
    tell(desk, "2")
    desk.read()
    desk.world.advance(3.0)
    assert "order.cancelled_by_other" not in desk.events()
    assert [o.stop_price for o in desk.orders.values() if o.working] == [166], "it is placed again"


def test_an_exit_is_made_of_the_stop_and_leaves_its_take_to_the_group(desk: Desk) -> None:
    long_with_take(desk)
    desk.declare(0, None)
    assert desk.sent() == ["POST", "PUT"]
    desk.fill("2", "168")
    desk.stream()
    desk.read()
    assert (held(desk), desk.manager.journal.working) == (0, {})
