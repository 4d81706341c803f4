"""A venue that sends an entry's legs at its first part-fill, of its whole size: they would open the other side."""

from decimal import Decimal

import pytest

from brokers.model import OrderStatus, OrderType, Side
from tests.trader.bracket_words import declare, held, tell
from tests.trader.session_world import SYMBOL, Desk
from tests.trader.situations import order, pair, replace, situation, with_take
from trader.orders.intents import Purpose
from trader.orders.target import Cancel, Place, ReplaceStop, plan


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.early_children = True
    made.ready()
    return made


def working(desk: Desk) -> list[tuple[OrderType, int]]:
    return [(each.type, int(each.quantity)) for each in desk.orders.values() if each.working]


def told(desk: Desk) -> None:
    desk.stream()
    desk.world.advance(1.0)
    desk.read()
    desk.stream()


def test_what_is_out_at_the_first_part_is_made_as_large_as_what_is_held_and_grows_with_it(desk: Desk) -> None:
    declare(desk, 3, stop=166, take=170)
    desk.fill("1", quantity=1)
    told(desk)
    told(desk)
    assert working(desk) == [(OrderType.MARKET, 3), (OrderType.STOP_MARKET, 1)]
    assert "bracket.early" in desk.events()
    desk.fill("1")
    told(desk)
    told(desk)
    assert held(desk) == desk.position == 3
    assert working(desk) == [(OrderType.STOP_MARKET, 3)]
    assert not {"order.changed_by_other", "order.cancelled_by_other"}.intersection(desk.events())


def test_the_rest_of_its_entry_may_be_cancelled_and_the_stop_fill_first(desk: Desk) -> None:
    declare(desk, 3, stop=166)
    desk.fill("1", quantity=1)
    told(desk)
    desk.fill("2", "166")
    desk.change("1", status=OrderStatus.CANCELLED)
    told(desk)
    assert held(desk) == desk.position == 0


def test_entries_that_can_fill_in_part_go_without_legs_from_then_on_also_in_the_next_life(desk: Desk) -> None:
    declare(desk, 2, stop=166)
    desk.fill("1", quantity=1)
    told(desk)
    desk.fill("1")
    told(desk)
    desk.fill("2", "166")
    told(desk)
    desk.restart()
    desk.ready()
    declare(desk, 2, stop=166)
    assert desk.events().count("bracket.early") == 1
    assert working(desk) == [(OrderType.MARKET, 2)]
    desk.fill("3", quantity=1)
    told(desk)
    assert working(desk) == [(OrderType.MARKET, 2), (OrderType.STOP_MARKET, 1)], "what is held is protected at once"
    desk.fill("3")
    told(desk)
    assert working(desk) == [(OrderType.STOP_MARKET, 2)]


def test_an_entry_of_the_smallest_quantity_cannot_fill_in_part_and_keeps_its_legs() -> None:
    """The same where the venue is known to do it before anything was seen (``Capabilities.children_early``)."""
    for declared, legs in ((1, 2), (2, 0)):
        (entry,) = plan(with_take(replace(situation(declared, 0), early_children=True)))
        assert isinstance(entry, Place)
        assert len(entry.legs) == legs


def test_a_leg_that_a_stream_tells_before_the_rest_of_its_entry_is_no_sign_of_it(desk: Desk) -> None:
    desk.early_children = False
    declare(desk, 3, stop=166, take=170)
    desk.fill("1", quantity=1)
    tell(desk, "1")
    desk.fill("1")
    tell(desk, "2", "3", "1")
    told(desk)
    assert working(desk) == [(OrderType.STOP_MARKET, 3), (OrderType.LIMIT, 3)]
    assert desk.sent() == ["POST"]
    assert not desk.manager.journal.minded(SYMBOL).early_children


def test_of_a_pair_that_is_out_early_the_take_goes_first_and_then_the_stop_shrinks() -> None:
    entry = order(Purpose.ENTRY, Side.BUY, 3, order_id="e", filled_quantity=Decimal(1))
    stop, take = (replace(each, parent="e", early=True) for each in pair(3))
    assert plan(with_take(situation(3, 1, entry, stop, take))) == (Cancel(take),)
    alone = replace(stop, group=0)
    assert plan(with_take(situation(3, 1, entry, alone))) == (ReplaceStop(alone, Decimal(1), Decimal(166)),)


def test_an_exit_waits_for_the_end_of_an_entry_that_works_on_after_the_position_has_turned() -> None:
    """Both buy: together they would be too much."""
    entry = order(Purpose.ENTRY, Side.BUY, 3, order_id="e", filled_quantity=Decimal(1))
    assert plan(situation(0, -2, entry)) == (Cancel(entry),)
    assert plan(situation(0, -2, replace(entry, status=OrderStatus.CANCELLING))) == ()
    assert plan(situation(0, -2)) == (Place(Purpose.EXIT, Side.BUY, Decimal(2), OrderType.MARKET),)
