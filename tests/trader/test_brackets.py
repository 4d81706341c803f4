"""Entry, stop and take as one: what is refused in part or of unknown fate, what is added, what the desk holds."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import OrderStatus, OrderType, Trail
from brokers.tradestation.client import TradeStation
from supervisor.wire.codec import decode, encode
from tests.trader.bracket_words import bar, declare, held, long_with_take, view
from tests.trader.session_world import SYMBOL, Desk
from trader.messages import Cursor, Declared, PositionView, Turn, TurnDone


def test_what_is_declared_and_seen_passes_the_wire() -> None:
    """In a simulation messages are handed over as they are: only here they are packed."""
    trail = Trail(percent=Decimal(1))
    declared = Declared(SYMBOL, Decimal(1), take=Decimal(170), trail=trail, off=("trail",))
    sent = Turn(1, b"", 0, Cursor(SYMBOL, 60, 1), declarations=(declared,))
    assert decode(encode(sent)) == sent
    seen = PositionView(SYMBOL, Decimal(1), take=Decimal(170), trail=trail, take_held_by="desk")
    told = TurnDone(rows=(), positions=(seen,))
    assert decode(encode(told)) == told


# -- one intent, several orders ----------------------------------------------------------------------------------------


def test_entry_stop_and_take_go_in_one_request_and_the_stop_works_as_soon_as_the_entry_has_filled(desk: Desk) -> None:
    long_with_take(desk, 2)
    assert desk.sent() == ["POST"]
    assert [(o.type, o.quantity, o.working) for o in desk.orders.values()] == [
        (OrderType.MARKET, 2, False),
        (OrderType.STOP_MARKET, 2, True),
        (OrderType.LIMIT, 2, True),
    ]
    assert "uncovered" not in desk.events()
    assert "uncovered.over" not in desk.events()
    seen = view(desk)
    assert (seen.stop, seen.take, seen.stop_held_by, seen.take_held_by) == (166, 170, "venue", "venue")


def test_a_refused_stop_pages_and_is_placed_by_itself_when_the_entry_has_filled(desk: Desk) -> None:
    desk.refuse_leg = "StopMarket"
    declare(desk, 1, stop=166)
    desk.refuse_leg = ""
    desk.fill("1")
    desk.stream()
    assert "stop.refused" in desk.events()
    stop = desk.orders["2"]
    assert (stop.type, stop.stop_price, stop.working) == (OrderType.STOP_MARKET, 166, True)


def test_of_a_refused_stop_the_take_makes_way_and_the_desk_holds_it(desk: Desk) -> None:
    desk.refuse_leg = "StopMarket"
    declare(desk, 1, stop=166, take=170)
    desk.refuse_leg = ""
    desk.fill("1")
    for _ in range(3):
        desk.stream()
    assert [o.type for o in desk.orders.values() if o.working] == [OrderType.STOP_MARKET]
    assert view(desk).take_held_by == "desk"


def test_a_lost_answer_is_settled_for_all_legs_by_a_read(desk: Desk) -> None:
    with desk.answers_lost():
        declare(desk, 1, stop=166, take=170)
    desk.fill("1")
    desk.read()
    assert held(desk) == 1
    assert sorted(desk.manager.journal.working) == ["2", "3"]
    assert desk.sent() == ["POST"], "nothing is placed beside what the venue holds"


def test_the_same_bought_by_hand_is_not_taken_for_a_bracket_whose_legs_are_not_there(desk: Desk) -> None:
    with desk.answers_lost(taken=False):
        declare(desk, 1, stop=166)
    desk.by_hand(1)
    desk.read()
    assert held(desk) == 0, "ours may be on its way yet"
    (request,) = [r for r in desk.world.requests if r.method == "POST"]
    desk.accept(request)
    entry, stop = list(desk.orders)[-2:]
    desk.fill(entry)
    desk.read()
    journal = desk.manager.journal
    assert journal.orders[entry].filled_quantity == 1
    assert sorted(journal.working) == [stop]
    desk.read()
    desk.read()
    assert held(desk) == 2, "what the person bought is adopted"


def test_what_may_be_our_entry_and_shows_no_stop_pages_long_before_it_can_be_settled(desk: Desk) -> None:
    """Its answer was lost and its legs were refused, or somebody bought the same: a person is told before we know."""

    with desk.answers_lost(taken=False):
        declare(desk, 1, stop=166)
    desk.by_hand(1)
    desk.read()
    assert "hold.unsettled" not in desk.events(), "its legs may come with the next read"
    for _ in range(3):
        desk.world.advance(5.0)
        desk.read()
    (told,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "hold.unsettled"]
    assert "has filled, without its stop" in told
    desk.settle()
    assert held(desk) == 1, "nothing else can come: it is ours, and protected"
    assert "unsettled.over" in desk.events()
    assert [order.stop_price for order in desk.manager.journal.working.values()] == [166]


def test_what_shows_up_with_its_stop_is_ours_without_a_page(desk: Desk) -> None:
    with desk.answers_lost(taken=False):
        declare(desk, 1, stop=166)
    for _ in range(3):
        desk.world.advance(1.0)
        desk.read()
    desk.accept(desk.world.requests[-1])
    desk.fill("1")
    desk.read()
    assert held(desk) == 1
    assert "hold.unsettled" not in desk.events()


def test_what_a_read_has_shown_before_it_filled_is_still_taken_for_ours(desk: Desk) -> None:
    """Regression (the machine of brackets): its answer was lost and its stop refused, and a read showed it unfilled. It
    counted as somebody else's from then on: given up, its fill adopted as a divergence, its stop void."""

    desk.refuse_leg = "StopMarket"
    with desk.answers_lost():
        declare(desk, 1, stop=166)
    desk.refuse_leg = ""
    for _ in range(4):
        desk.world.advance(1.0)
        desk.read()
    assert "hold.unsettled" not in desk.events(), "nothing of it has filled"
    desk.fill("1")
    desk.settle()
    assert held(desk) == 1
    assert "divergence.adopted" not in desk.events()
    assert [order.stop_price for order in desk.manager.journal.working.values()] == [166]


def test_buying_more_brings_its_own_stop_and_leaves_take_and_stop_as_they_are(desk: Desk) -> None:
    long_with_take(desk)
    declare(desk, 1, relative=True)
    (declaration,) = desk.manager.journal.declarations.values()
    assert (declaration.quantity, declaration.stop, declaration.take) == (2, 166, 170)
    assert [(o.type, o.stop_price or o.limit_price) for o in list(desk.orders.values())[-2:]] == [
        (OrderType.STOP_MARKET, 166),
        (OrderType.LIMIT, 170),
    ]


# -- what is added, and what moves -------------------------------------------------------------------------------------


def test_what_is_added_brings_its_own_stop_and_the_two_are_the_position(desk: Desk) -> None:
    long_with_take(desk)
    declare(desk, 3, stop=167, take=170)
    desk.fill("4")
    desk.stream()
    desk.stream()
    stops = [o for o in desk.orders.values() if o.working and o.type is OrderType.STOP_MARKET]
    assert [(o.quantity, o.stop_price) for o in stops] == [(1, 167), (2, 167)]
    assert "uncovered.over" not in desk.events()
    declare(desk, 0)
    exits = [o for o in desk.orders.values() if o.working and o.type is OrderType.MARKET]
    assert sum(o.quantity for o in exits) == 3


def test_a_take_moves_by_replace_and_off_ends_it(desk: Desk) -> None:
    long_with_take(desk)
    declare(desk, 1, take="171.001")
    assert desk.orders["3"].limit_price == Decimal("171.01"), "away from the market"
    (body,) = [request.body or b"" for request in desk.world.requests if request.method == "PUT"]
    assert b"Quantity" not in body, "a size that stays is not sent: the venue may have made it smaller"
    desk.stream()
    declare(desk, 1, off=("take",))
    assert desk.orders["3"].status is OrderStatus.CANCELLED
    assert desk.orders["2"].working


# -- what the desk holds -----------------------------------------------------------------------------------------------


def without(monkeypatch: pytest.MonkeyPatch, **abilities: Any) -> Desk:
    able = msgspec.structs.replace(TradeStation.capabilities, **abilities)
    monkeypatch.setattr(TradeStation, "capabilities", able)
    desk = Desk()
    desk.ready()
    return desk


def test_where_the_venue_ties_nothing_the_desk_takes_by_closed_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = without(monkeypatch, groups=())
    declare(desk, 1, stop=166, take=170)
    desk.fill("1")
    desk.stream()
    assert view(desk).take_held_by == "desk"
    bar(desk, "169.99")
    assert desk.sent() == ["POST"]
    bar(desk, "170")
    assert desk.orders["2"].type is OrderType.MARKET, "the stop becomes the exit: never both for the same units"
    assert "take.reached" in desk.events()


def test_the_take_of_a_position_that_a_person_turned_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was declared for the other side: nothing follows from an adoption alone."""
    desk = without(monkeypatch, groups=())
    declare(desk, 1, stop=166, take=170)
    desk.fill("1")
    desk.stream()
    desk.by_hand(-2)
    desk.read()
    desk.world.advance(1.0)
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == -1
    sent = len(desk.sent("POST"))
    bar(desk, "165")
    desk.read()
    assert "take.reached" not in desk.events()
    assert len(desk.sent("POST")) == sent


def test_without_children_the_stop_follows_the_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = without(monkeypatch, children=False)
    declare(desk, 1, stop=166)
    assert len(desk.orders) == 1
    desk.fill("1")
    desk.stream()
    assert desk.orders["2"].type is OrderType.STOP_MARKET


def test_a_trail_without_a_stop_is_left_to_the_venue(desk: Desk) -> None:
    declare(desk, 1, trail=Trail(amount=Decimal(2)), intended_price=168)
    assert desk.orders["2"].trail == Trail(amount=Decimal(2))
    desk.fill("1")
    desk.stream()
    bar(desk, "175")
    assert desk.sent() == ["POST"]
    seen = view(desk)
    assert (seen.trail_held_by, seen.stop_held_by, seen.stop) == ("venue", "venue", None)


def test_a_trail_with_a_stop_is_the_desks_and_only_ever_tighter(desk: Desk) -> None:
    declare(desk, 1, stop=166, trail=Trail(amount=Decimal(2)), intended_price=168)
    desk.fill("1")
    desk.stream()
    assert view(desk).trail_held_by == "desk"
    bar(desk, "170.5")
    assert desk.orders["2"].stop_price == Decimal("168.5")
    desk.stream()
    bar(desk, "169")
    declare(desk, 1, stop=166, trail=Trail(amount=Decimal(2)), intended_price=169)
    assert desk.orders["2"].stop_price == Decimal("168.5")


# -- legs whose entry no read shows ------------------------------------------------------------------------------------


def test_where_history_is_not_to_be_had_legs_are_given_up_all_the_same(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.fill("1")
    del desk.orders["2"]
    for _ in range(15):
        desk.world.advance(5.0)
        desk.read()
    assert "bracket.incomplete" in desk.events()
    assert len(desk.sent()) == 2, "its own stop"
