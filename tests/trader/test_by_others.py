"""What somebody else does with an order of ours is a decision: it stays. And an end that was told wrongly is none."""

from decimal import Decimal

import pytest

from brokers.model import OrderStatus, OrderType
from feeds.messages import ReadSnapshot
from tests.trader.bracket_words import long_with_take
from tests.trader.session_world import BOOKS, SYMBOL, Desk
from trader.messages import RejectRow, ReleaseHold


def working(desk: Desk) -> list[tuple[OrderType, int]]:
    return [(order.type, int(order.quantity)) for order in desk.orders.values() if order.working]


def held(desk: Desk, quantity: int) -> None:
    """Order 1 the entry, 2 its stop."""
    desk.declare(quantity)
    desk.fill("1")
    desk.stream()
    desk.read()


def look(desk: Desk) -> None:
    desk.stream()
    desk.read()
    desk.world.advance(3.0)
    desk.read()


# -- a person's doing --------------------------------------------------------------------------------------------------


def test_a_position_closed_by_phone_with_our_own_stop_is_not_bought_back(desk: Desk) -> None:
    held(desk, 1)
    desk.change("2", type=OrderType.MARKET, stop_price=None)
    look(desk)
    desk.fill("2")
    look(desk)
    assert desk.sent() == ["POST"]
    desk.declare(1)
    assert desk.sent() == ["POST"]
    assert desk.rows()[-1].gate == "diverged"
    desk.world.ask(ReleaseHold(SYMBOL))
    desk.declare(1)
    assert desk.sent() == ["POST", "POST"], "a person has released it"


@pytest.mark.parametrize("stop_lives", [True, False])
def test_a_position_closed_by_phone_with_our_own_take_is_not_bought_back(desk: Desk, stop_lives: bool) -> None:
    long_with_take(desk)
    if not stop_lives:
        desk.change("2", status=OrderStatus.CANCELLED)
        look(desk)
    desk.change("3", type=OrderType.MARKET, limit_price=None)
    look(desk)
    desk.fill("3")
    look(desk)
    desk.declare(1)
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert working(desk) == []
    assert desk.rows()[-1].gate == "diverged"


def test_the_rest_of_an_entry_that_a_person_cancels_is_not_asked_for_on_the_next_bar(desk: Desk) -> None:
    desk.declare(3)
    desk.fill("1", quantity=1)
    desk.stream()
    for order_id in ("1", "2"):
        desk.change(order_id, status=OrderStatus.CANCELLED)
    look(desk)
    desk.declare(3)
    assert desk.rows()[-1].gate == "diverged"
    assert working(desk) == [(OrderType.STOP_MARKET, 1)], "what is held keeps its stop"


@pytest.mark.parametrize("with_stop", [True, False])
def test_an_exit_that_a_person_cancels_is_not_sent_again(desk: Desk, with_stop: bool) -> None:
    held(desk, 1)
    if not with_stop:
        desk.change("2", status=OrderStatus.CANCELLED)
        look(desk)
    desk.declare(0)
    (exit_id,) = [order.order_id for order in desk.orders.values() if order.working]
    desk.change(exit_id, status=OrderStatus.CANCELLED)
    look(desk)
    sent = desk.sent()
    desk.declare(0)
    look(desk)
    assert (OrderType.MARKET, 1) not in working(desk)
    assert "PUT" not in desk.sent()[len(sent) :]
    assert isinstance(desk.rows()[-1], RejectRow)


def test_a_stop_that_a_person_makes_smaller_stays_so_and_what_it_leaves_bare_is_told(desk: Desk) -> None:
    held(desk, 3)
    desk.change("2", quantity=Decimal(1))
    look(desk)
    assert working(desk) == [(OrderType.STOP_MARKET, 1)]
    (told,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "uncovered"]
    assert "smaller by 2" in told
    desk.restart()
    desk.ready()
    desk.declare(3)
    assert working(desk) == [(OrderType.STOP_MARKET, 1)], "also after a restart"
    desk.world.ask(ReleaseHold(SYMBOL))
    assert working(desk) == [(OrderType.STOP_MARKET, 3)]


# -- an end that was none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.EXPIRED])
def test_a_stop_that_works_though_the_venue_has_told_its_end_never_works_beside_another(
    desk: Desk, end: OrderStatus
) -> None:
    held(desk, 1)
    desk.change("2", status=end)
    look(desk)
    desk.change("2", status=OrderStatus.WORKING)
    for _ in range(3):
        desk.world.advance(30.0)
        look(desk)
    assert working(desk) == [(OrderType.STOP_MARKET, 1)]
    assert desk.events().count("order.late") == 1
    assert "uncovered.over" in desk.events()


def test_a_stream_that_shows_a_dead_order_working_has_the_account_read_at_once(desk: Desk) -> None:
    held(desk, 1)
    desk.change("2", status=OrderStatus.CANCELLED)
    look(desk)
    desk.world.advance(30.0)
    desk.change("2", status=OrderStatus.WORKING)
    desk.world.casts.clear()
    desk.stream()
    assert [to for to, message in desk.world.casts if isinstance(message, ReadSnapshot)] == [BOOKS]


def test_a_read_that_lags_behind_the_end_of_an_order_brings_nothing_back(desk: Desk) -> None:
    held(desk, 1)
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.stream()
    desk.change("2", status=OrderStatus.WORKING)
    desk.read()
    desk.change("2", status=OrderStatus.CANCELLED)
    look(desk)
    assert "order.late" not in desk.events()
    assert desk.manager.journal.declaration(SYMBOL).stop_by_person == "removed"


# -- fills that cannot be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order_id", ["1", "2"])
def test_of_a_fill_beyond_the_orders_size_no_order_follows(desk: Desk, order_id: str) -> None:
    """What is beyond is believed where the position shows it, in reads."""
    if order_id == "2":
        held(desk, 1)
    else:
        desk.declare(1)
    sent = desk.sent()
    desk.fill(order_id)
    desk.change(order_id, filled_quantity=Decimal(5))
    look(desk)
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position
    assert desk.sent() == sent
    assert "order.odd" in desk.events()
