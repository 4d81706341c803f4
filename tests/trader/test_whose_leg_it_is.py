"""Whose an order is that the journal does not know: a leg of a bracket of ours, or somebody else's beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import Grouped, Link, Order, OrderStatus, OrderType, RefusedByVenue, Side, Trail, Unknown
from feeds.messages import HistoryRead
from tests.trader.bracket_words import declare, tell
from tests.trader.session_world import Desk
from tests.trader.settling import lose_replaces
from trader.manager.brackets import Answered, answered, claim_by_looks
from trader.manager.step import now_of

replace = msgspec.structs.replace
NO, TWICE = RefusedByVenue("no"), RefusedByVenue("the key exists", duplicate=True)


# -- by the answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Grouped(2, ("1", "2"), ()), Answered(("1", "2"))),
        (Grouped(2, ("1",), (NO,)), Answered(("1",))),
        (Grouped(2, (), (NO, NO)), NO),
        (Grouped(2, (), (NO, TWICE)), TWICE),
        (Grouped(3, ("1",), (NO, TWICE)), TWICE),
        (Grouped(3, ("1",), (NO,)), Unknown("the answer tells of 2 of 3 orders")),
        (Grouped(2, (), ()), Unknown("the answer tells of 0 of 2 orders")),
    ],
    ids=str,
)
def test_an_answer_for_several_is_a_refusal_only_where_all_were_and_leaves_nothing_out(
    answer: Grouped, outcome: object
) -> None:
    """A key that exists already proves that there is an order, whatever the others say."""
    assert answered(answer) == outcome


# -- by its parent -----------------------------------------------------------------------------------------------------


def beside(order: Order, **changes: Any) -> Order:
    """Like an order of ours, and somebody else's."""
    return replace(order, order_id="hand", **changes)


def test_what_a_person_ties_to_our_stop_or_on_our_side_to_our_entry_is_not_touched(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.fill("1")
    desk.stream()
    stop = desk.orders["2"]
    for links, side in (
        ((Link("OSP", "2"),), Side.BUY),
        ((Link("OSP", "1"),), Side.BUY),
        ((Link("OSP", "2"),), Side.SELL),
    ):
        desk.orders["hand"] = beside(stop, links=links, side=side)
        desk.read()
        desk.stream()
        assert list(desk.manager.journal.working) == ["2"]
        desk.world.advance(1.0)
    assert desk.sent() == ["POST"]


@pytest.mark.parametrize(
    ("terms", "leg", "moved"),
    [
        ({"stop": 166}, "2", {"stop_price": Decimal(164)}),
        ({"stop": 166, "take": 170}, "3", {"limit_price": Decimal(169)}),
        ({"trail": Trail(amount=Decimal(2)), "intended_price": 168}, "2", {"trail": Trail(amount=Decimal(3))}),
    ],
    ids=["stop", "take", "trail"],
)
def test_a_leg_that_a_person_moved_before_we_heard_of_it_was_changed_by_somebody_else(
    desk: Desk, terms: dict[str, Any], leg: str, moved: dict[str, Any]
) -> None:
    declare(desk, 1, **terms)
    tell(desk, "1")
    desk.change(leg, **moved)
    desk.fill("1")
    desk.stream()
    desk.read()
    assert "order.changed_by_other" in desk.events()
    declare(desk, 1, **terms)
    assert desk.sent() == ["POST"], "it stays where the person wants it"


def test_a_leg_that_shows_up_after_it_was_given_up_is_ours_as_it_is(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.fill("1")
    leg = desk.orders.pop("2")
    for _ in range(15):
        desk.world.advance(5.0)
        desk.read()
    assert "bracket.incomplete" in desk.events()
    desk.orders["2"] = replace(leg, status=OrderStatus.WORKING)
    desk.read()
    desk.world.advance(1.0)
    desk.read()
    stops = [o.order_id for o in desk.orders.values() if o.type is OrderType.STOP_MARKET and o.working]
    assert len(stops) == 1, "of two stops for the same units one is cancelled"
    assert list(desk.manager.journal.working) == stops


def test_a_take_first_heard_of_while_a_move_of_its_stop_is_in_doubt_is_the_take(desk: Desk) -> None:
    declare(desk, 1, stop=166, take=170)
    tell(desk, "1", "2")
    lose_replaces(desk)
    desk.fill("1")
    tell(desk, "1", "2")
    declare(desk, 1, stop="166.5", take=170)
    tell(desk, "3")
    assert sorted(desk.manager.journal.working) == ["2", "3"]


# -- by its looks, at a venue that names no parents --------------------------------------------------------------------


def claimed(desk: Desk, order: Order, *others: Order) -> bool:
    found = claim_by_looks(desk.manager.account, order, (order, *others), now_of(desk.world))
    assert found is None or found.order.parent == "1"
    return found is not None


def no_parents(desk: Desk, quantity: int = 2, **terms: Any) -> dict[str, Order]:
    """The entry is known, its legs are awaited; they are given as such a venue shows them."""
    declare(desk, quantity, **terms)
    tell(desk, "1")
    return {each: replace(order, links=()) for each, order in desk.orders.items()}


def test_a_leg_that_its_answer_has_named_is_known_by_the_stream_too_whatever_it_looks_like(desk: Desk) -> None:
    no_parents(desk, stop=166)
    desk.change("2", links=(), stop_price=Decimal(164))
    tell(desk, "2")
    assert list(desk.manager.journal.working) == ["1", "2"]


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": "hand"},
        {"symbol": "QQQ"},
        {"side": Side.BUY},
        {"type": OrderType.LIMIT},
        {"stop_price": Decimal("165.99")},
        {"quantity": Decimal(1)},
        {"quantity": Decimal(3)},
        {"opened_utc": 0.0},
        {"links": (Link("BRK", "9"),)},
    ],
    ids=str,
)
def test_an_order_that_differs_in_anything_from_a_leg_that_is_awaited_is_somebody_elses(
    desk: Desk, change: dict[str, Any]
) -> None:
    leg = no_parents(desk, stop=166)["2"]
    assert not claimed(desk, replace(leg, **change))
    assert claimed(desk, leg)


def test_nor_is_one_a_leg_that_has_explained_a_position_as_somebody_elses(desk: Desk) -> None:
    leg = no_parents(desk, stop=166)["2"]
    with desk.manager.journal.transaction():
        desk.manager.journal.account_foreign([replace(leg, filled_quantity=Decimal(1))], desk.world.now_utc())
    assert not claimed(desk, leg)


@pytest.mark.parametrize("known", [False, True], ids=["both unknown", "the take known"])
@pytest.mark.parametrize(
    ("quantity", "filled", "ours"),
    [(3, 0, True), (2, 0, False), (2, 1, True), (1, 1, False), (3, 1, True), (4, 1, False)],
)
def test_a_leg_of_a_pair_may_be_smaller_by_what_the_other_has_filled_and_no_more(
    desk: Desk, known: bool, quantity: int, filled: int, ours: bool
) -> None:
    """The venue has made it smaller by then, or has not yet."""
    legs = no_parents(desk, 3, stop=166, take=170)
    if known:
        tell(desk, "3")
    take = replace(legs["3"], filled_quantity=Decimal(filled))
    assert claimed(desk, replace(legs["2"], quantity=Decimal(quantity)), take) == ours


def test_what_somebody_elses_take_has_filled_makes_no_leg_of_ours_smaller(desk: Desk) -> None:
    legs = no_parents(desk, 3, stop=166, take=170)
    theirs = beside(legs["3"], limit_price=Decimal(171), filled_quantity=Decimal(1))
    assert not claimed(desk, replace(legs["2"], quantity=Decimal(2)), theirs)


def test_a_leg_that_is_tied_to_none_is_made_smaller_by_nothing(desk: Desk) -> None:
    """Nor is it known which of two alike it is, where no answer has told their ids."""
    leg = no_parents(desk, stop=166)["2"]
    journal = desk.manager.journal
    with journal.transaction():
        journal.write_order(replace(journal.orders["1"], told=()))
    assert not claimed(desk, replace(leg, quantity=Decimal(1)), beside(leg, filled_quantity=Decimal(1)))


def test_what_a_replaced_stop_may_have_become_is_not_taken_for_a_leg_that_is_awaited(desk: Desk) -> None:
    """Both are stops of the same size at the same price: which is which the replace tells first."""
    declare(desk, 1, stop=165)
    desk.fill("1")
    desk.stream()
    desk.read()
    lose_replaces(desk)
    declare(desk, 2, stop=166)
    tell(desk, "3")
    (leg,) = [replace(order, links=()) for order in desk.orders.values() if order.order_id == "4"]
    ended = replace(desk.orders["2"], status=OrderStatus.CANCELLED)
    now = now_of(desk.world)
    assert claim_by_looks(desk.manager.account, leg, (leg, ended), now) is None
    tell(desk, "4")
    assert "4" in desk.manager.journal.working, "where its parent is named there is no doubt"


# -- legs that nothing shows -------------------------------------------------------------------------------------------


def test_legs_are_given_up_no_sooner_than_reads_and_time_and_history_allow(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    sent_utc = desk.world.now_utc()
    desk.fill("1")
    del desk.orders["2"]
    account, settle_s = desk.manager.account, desk.manager.timing.settle_s
    desk.read(requested_s=desk.world.now_s() - 1.0)  # from before we waited: it does not count
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, ()))
    desk.world.advance(settle_s)
    desk.read()
    assert account.search_since_utc is None, "one read is not enough"
    desk.read()
    assert account.search_since_utc == pytest.approx(sent_utc, abs=1.0), "history may have it"
    desk.world.deliver(HistoryRead(desk.world.now_s(), sent_utc + 1.0, ()))
    desk.read()
    assert list(desk.manager.journal.awaiting) == ["1"], "that did not reach back so far"
    desk.world.advance(1.0)
    desk.search()
    desk.read()
    assert not desk.manager.journal.awaiting


def test_history_is_asked_about_legs_from_before_the_oldest_of_what_is_looked_for(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.fill("1")
    del desk.orders["2"]
    desk.read()
    desk.world.advance(desk.manager.timing.settle_s)
    desk.manager.account.search_since_utc = 1.0
    desk.read()
    assert desk.manager.account.search_since_utc == 1.0


def test_reads_in_quick_sequence_give_no_leg_up(desk: Desk) -> None:
    declare(desk, 1, stop=166)
    desk.fill("1")
    del desk.orders["2"]
    for _ in range(5):
        desk.read()
    assert desk.manager.account.search_since_utc is None
    assert list(desk.manager.journal.awaiting) == ["1"]
