"""Histories that random runs of the two machines of settlement have ended wrongly, one for each cause: what is checked
is what the machines check (one order an intent, a right position, no false alarm, an end with all covered)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from brokers.model import OrderType
from tests.trader.test_settlement_brackets_machine import Brackets
from tests.trader.test_settlement_machine import SYMBOL, Settlement
from trader.manager.turns import release


def single(memory: str = "forever", keeps_id: bool = True, fates: tuple[str, ...] = ()) -> Settlement:
    """A machine that begins with an entry of 2 and its stop at 165, each of them with its fate."""
    machine = Settlement()
    machine.begin(memory=memory, keeps_id=keeps_id, fates=list(fates))
    return machine


def bracket(**habits: Any) -> Brackets:
    """One that begins with a bracket for 2 (order 1) with its stop at 165 (order 2) and its take (order 3)."""
    machine = Brackets()
    machine.begin(**{"memory": "forever", "keeps_id": True, **habits})
    return machine


def declare(machine: Settlement, quantity: int, stop: str, *fates: str, **terms: Any) -> None:
    machine.the_strategy_declares(quantity=quantity, stop=stop, fates=list(fates), **terms)
    always(machine)


def fires(machine: Settlement, order_id: str, quantity: int | None = None) -> None:
    machine.s += 0.1
    machine.venue.fill(order_id, None if quantity is None else Decimal(quantity))
    always(machine)


def arrives(machine: Settlement) -> None:
    machine.a_late_request_arrives(place=0)
    always(machine)


def passes(machine: Settlement, seconds: float, *fates: str) -> None:
    machine.time_passes(seconds=seconds, fates=list(fates))
    always(machine)


def ends_well(machine: Settlement) -> None:
    machine.teardown()
    always(machine)


def always(machine: Settlement) -> None:
    machine.at_most_one_order_comes_of_an_intent()
    machine.the_position_never_crosses_zero_and_never_exceeds_what_was_declared()


def kinds(machine: Settlement) -> set[str]:
    return {row["kind"] for row in machine.store.query("SELECT kind FROM events")}


# -- reads -------------------------------------------------------------------------------------------------------------


def test_a_read_that_was_asked_for_in_a_former_life_does_not_undo_what_was_changed_in_it() -> None:
    machine = single(fates=("answered",))
    machine.the_books_look_and_are_slow_to_tell()
    declare(machine, 2, "166")
    machine.the_books_are_read(fates=[])
    machine.we_die()
    machine.the_slow_read_is_told()
    ends_well(machine)


# -- keys --------------------------------------------------------------------------------------------------------------


def test_that_a_stop_went_before_stays_known_when_its_second_sending_fails() -> None:
    machine = single(fates=("answered", "late"))
    passes(machine, 11.0)
    arrives(machine)
    fires(machine, "2")
    passes(machine, 1.0, "not sent")
    ends_well(machine)


def test_a_key_does_not_go_again_where_the_first_request_may_arrive_after_the_venue_has_forgotten_it() -> None:
    machine = single("short window")
    declare(machine, 2, "166")
    passes(machine, 62.0, "late")
    arrives(machine)
    ends_well(machine)


# -- replaces and cancels of unknown fate ------------------------------------------------------------------------------


def test_an_exit_that_can_be_the_stop_gone_on_under_another_id_is_that_first() -> None:
    machine = single(keeps_id=False, fates=("late",))
    arrives(machine)
    declare(machine, 1, "165", "answer lost", "request lost")
    declare(machine, 0, "165", "killed after")
    ends_well(machine)


def test_what_a_replaced_stop_goes_on_as_is_no_leg_of_an_entry_that_was_lost_with_it() -> None:
    machine = bracket(keeps_id=False, market="part")
    passes(machine, 31.0)
    declare(machine, 2, "166", "answer lost")
    ends_well(machine)


def test_nor_is_it_where_the_venue_names_no_parents_and_the_leg_waits_for_its_entry() -> None:
    machine = bracket(keeps_id=False, names_parents=False, market="part")
    passes(machine, 31.0)
    declare(machine, 2, "166", "answer lost", "answer lost", market="nothing")
    ends_well(machine)


def test_nor_where_the_replaced_stop_had_filled_in_part_and_is_as_large_as_the_leg_by_now() -> None:
    machine = bracket(keeps_id=False, names_parents=False)
    fires(machine, "2", 1)
    declare(machine, 2, "166", "answer lost", "late")
    arrives(machine)
    ends_well(machine)


def test_a_leg_that_is_as_a_lost_stop_is_not_taken_for_it() -> None:
    machine = bracket(ends_group=True, fate="late")
    declare(machine, 1, "166", market="part")
    arrives(machine)
    declare(machine, 2, "166", take="171")
    passes(machine, 1.0, "late", "killed after")
    ends_well(machine)


def a_lost_stop_beside_a_lost_entry(**terms: Any) -> Brackets:
    """Of the same words as the entry's own, at a venue that names no parents."""
    machine = bracket(memory="none", keeps_id=False, names_parents=False)
    declare(machine, 1, "165", "answered", "request lost")
    fires(machine, "3")
    passes(machine, 62.0)
    declare(machine, 2, "165", **terms)
    machine.the_books_answer_what_was_asked()
    machine.the_books_are_read(fates=["late", "answer lost"])
    arrives(machine)
    return machine


def test_nor_are_a_lost_stop_and_the_leg_of_a_lost_entry_by_the_same_words_too_many() -> None:
    """They do the same: whichever is taken for which, both are ours."""
    machine = a_lost_stop_beside_a_lost_entry()
    assert len(machine.venue.working) == 2
    ends_well(machine)


def test_where_the_leg_is_tied_to_a_take_it_matters_which_is_which_and_somebody_is_told() -> None:
    machine = a_lost_stop_beside_a_lost_entry(take="170")
    machine.the_books_are_read(fates=[])
    assert "hold.ambiguous" in kinds(machine)


def test_the_only_one_that_is_there_is_taken_for_what_no_take_is_tied_to_once_the_other_cannot_come() -> None:
    """The bracket's leg may have been refused, or the stop's request been lost. Taken for the leg it might be thought
    tied to a take that it has nothing to do with."""
    machine = bracket(memory="none", keeps_id=False, names_parents=False)
    declare(machine, 1, "165", "answered", "request lost")
    fires(machine, "3")
    passes(machine, 62.0)
    declare(machine, 2, "165", take="170")
    machine.the_books_answer_what_was_asked()
    machine.the_books_are_read(fates=["request lost", "answer lost"])
    machine.the_books_are_read(fates=[])
    assert "5" not in machine.journal.working, "the other may come yet"
    for _ in range(14):
        machine.time_passes(seconds=6.0, fates=[])
        machine.the_books_answer_what_was_asked()
    assert "hold.ambiguous" not in kinds(machine)
    assert not machine.journal.orders["5"].group
    assert working(machine) == [("stop_market", 2)], "the take has gone, and the stop is as large as all"
    ends_well(machine)


def working(machine: Settlement) -> list[tuple[str, int]]:
    return [(str(each.type), int(each.quantity)) for each in machine.venue.working.values()]


BOTH_STOPS = [("stop_market", 1), ("stop_market", 1), ("limit", 1)]


def lost_together() -> Brackets:
    """Of a venue that gives other ids and names no parents: a move of the stop and a bracket, both without answer. The
    bracket's stop (order 7) is tied to a take (8), the moved one (5) is not, and they are alike."""
    machine = bracket(memory="none", keeps_id=False, names_parents=False)
    declare(machine, 1, "165")
    passes(machine, 12.0)
    declare(machine, 2, "166", "answer lost", "answer lost", take="171")
    machine.the_books_are_read(fates=[])
    return machine


def test_which_of_two_a_take_is_tied_to_nobody_guesses_and_nothing_is_placed_beside_them() -> None:
    """Taken for the other, the take was believed tied to a stop that had nothing to do with it: cancelled alone, that
    left a take and a stop that both could fill."""
    machine = lost_together()
    assert kinds(machine).intersection({"hold.ambiguous", "bracket.incomplete"}) == {"hold.ambiguous"}
    passes(machine, 62.0)
    passes(machine, 62.0)
    assert working(machine) == BOTH_STOPS, "nothing was given up, and nothing placed anew"
    assert not {"5", "7"} & set(machine.journal.working)
    ends_well(machine)


def test_what_they_fill_meanwhile_makes_no_order_and_a_person_ends_it() -> None:
    machine = lost_together()
    fires(machine, "5")
    passes(machine, 31.0)
    assert machine.venue.position == 1
    assert working(machine) == BOTH_STOPS[1:]
    ends_well(machine)


def test_after_the_release_the_stops_that_nobody_knows_stay_alone_until_it_is_released_once_more() -> None:
    """A stop of ours beside them would close more than there is."""
    machine = lost_together()
    machine._step(lambda now: release(machine.account, SYMBOL, now))
    passes(machine, 31.0)
    assert working(machine) == BOTH_STOPS
    for order_id in ("5", "7"):
        machine.venue.cancel(order_id)
    machine.the_books_are_read(fates=[])
    machine._step(lambda now: release(machine.account, SYMBOL, now))
    passes(machine, 12.0)
    assert working(machine) == [("stop_market", 2)]


def test_one_alone_is_told_once_the_other_can_come_no_longer() -> None:
    """The bracket never arrived: what is there is the stop that was moved."""
    machine = bracket(memory="none", keeps_id=False, names_parents=False)
    declare(machine, 1, "165")
    passes(machine, 12.0)
    declare(machine, 2, "166", "answer lost", "request lost", take="171")
    machine.the_books_are_read(fates=[])
    assert "5" not in machine.journal.working
    passes(machine, 62.0)
    machine.the_books_answer_what_was_asked()
    passes(machine, 12.0)
    assert "5" in machine.journal.working
    assert not {"hold.ambiguous", "hold.unsettled"} & kinds(machine)
    ends_well(machine)


def test_what_history_shows_without_a_brackets_entry_is_none_of_its_legs() -> None:
    """The moved stop filled and left with the day; the bracket that was written with the move was never sent."""
    machine = bracket(keeps_id=False, names_parents=False)
    fires(machine, "2", 1)
    declare(machine, 2, "166", "killed after", take="170")
    fires(machine, "3", 1)
    machine.the_venues_day_ends()
    ends_well(machine)


@pytest.mark.parametrize(("take", "held"), [("170", True), (None, False)])
def test_a_leg_by_its_looks_is_none_where_a_person_has_one_just_like_it(take: str | None, held: bool) -> None:
    """Of a stop to which nothing is tied it does not matter."""
    machine = bracket(names_parents=False, take=take, fate="killed after")
    machine.venue._new("by hand", machine.venue.orders["2"], machine.now.utc)
    passes(machine, 62.0)
    passes(machine, 31.0)
    assert ("hold.ambiguous" in kinds(machine)) == held
    stops = [order_id for order_id, own in machine.journal.working.items() if own.type is OrderType.STOP_MARKET]
    assert len(stops) == (0 if held else 1)
    assert len([each for each in working(machine) if each[0] == "stop_market"]) == 2, "and none is placed beside them"


def test_what_an_answer_has_named_is_no_lost_stop_that_it_looks_like() -> None:
    """A lost stop was taken for the leg of an entry that was answered, and the leg for it: when the leg ended with its
    entry, somebody else had cancelled the stop."""
    machine = bracket(memory="none", keeps_id=False, names_parents=False)
    declare(machine, 1, "165", "answered", "request lost")
    fires(machine, "3")
    passes(machine, 62.0)
    declare(machine, 2, "165", market="nothing")
    machine.the_books_answer_what_was_asked()
    machine.the_books_are_read(fates=["answer lost", "answered"])
    machine.the_books_are_read(fates=[])
    declare(machine, 1, "165")
    ends_well(machine)


def test_of_two_replaced_stops_the_one_that_is_gone_with_the_day_waits_for_history() -> None:
    machine = bracket(keeps_id=False, names_parents=False)
    declare(machine, 1, "166")
    declare(machine, 2, "165")
    declare(machine, 2, "166", "killed before")
    fires(machine, min(machine._sent))
    machine.the_venues_day_ends()
    passes(machine, 11.0, "killed after")
    ends_well(machine)


def test_a_cancel_that_arrives_after_it_was_given_up_is_ours() -> None:
    machine = bracket(market="nothing")
    declare(machine, 1, "166", "late")
    declare(machine, 2, "165")
    passes(machine, 11.0)
    arrives(machine)
    ends_well(machine)


def test_an_exit_that_arrives_fills_and_leaves_with_the_day_after_history_was_asked_is_found() -> None:
    machine = bracket(memory="none", keeps_id=False)
    declare(machine, 1, "165", "answered", "late")
    fires(machine, "3")
    machine.the_venues_day_ends()
    declare(machine, 0, "166")
    declare(machine, 0, "166")
    machine.the_books_answer_what_was_asked()
    arrives(machine)
    machine.the_venues_day_ends()
    ends_well(machine)


# -- what is tied ------------------------------------------------------------------------------------------------------


def test_a_stop_that_is_replaced_and_ends_may_go_on_though_its_take_was_withdrawn() -> None:
    machine = bracket(keeps_id=False, take="171", market="nothing")
    fires(machine, "1")
    declare(machine, 1, "165")
    declare(machine, 2, "166", "answer lost")
    ends_well(machine)


def test_a_take_ends_with_the_exit_that_its_stop_has_become_under_another_id() -> None:
    machine = bracket(keeps_id=False, take="171", market="nothing")
    fires(machine, "1")
    declare(machine, 0, "166", "answer lost")
    ends_well(machine)


def test_what_a_take_fills_after_it_went_on_under_another_id_is_taken_from_its_stop_by_the_venue() -> None:
    machine = bracket(keeps_id=False, take="171")
    declare(machine, 2, "165", "answer lost", take="170")
    fires(machine, "4", 1)
    machine.the_venues_day_ends()
    ends_well(machine)


def test_a_stop_that_went_on_under_another_id_is_known_though_its_take_has_made_it_smaller() -> None:
    machine = bracket(keeps_id=False, names_parents=False, take="171")
    declare(machine, 2, "166", "answer lost", take="171")
    fires(machine, "3", 1)
    ends_well(machine)


def test_two_stops_that_went_on_under_other_ids_by_the_same_words_are_both_ours() -> None:
    machine = bracket(keeps_id=False, names_parents=False, fate="answered")
    declare(machine, 1, "165")
    declare(machine, 2, "165")
    machine.the_books_are_read(fates=[])
    declare(machine, 2, "166", "answer lost", "answer lost")
    ends_well(machine)


def test_a_stop_whose_group_ended_with_its_take_while_a_replace_was_lost_was_cancelled_by_nobody() -> None:
    machine = bracket(take="171", ends_group=True)
    declare(machine, 2, "166", "request lost")
    declare(machine, 1, "165")
    ends_well(machine)


def test_legs_that_end_with_their_entry_were_cancelled_by_nobody_whichever_is_told_first() -> None:
    machine = bracket(names_parents=False, market="nothing")
    declare(machine, 1, "165")
    ends_well(machine)


def test_a_take_that_history_shows_has_not_vanished() -> None:
    machine = bracket(keeps_id=False, take="171")
    declare(machine, 0, "166", "killed after")
    machine.the_venues_day_ends()
    ends_well(machine)
    assert "hold.vanished" not in kinds(machine)


def test_an_order_whose_end_history_has_told_is_not_taken_for_vanished_before_it_is_settled_as_what() -> None:
    machine = bracket(keeps_id=False, take="171", market="nothing")
    fires(machine, "1")
    declare(machine, 0, "166", "late", market="nothing")
    arrives(machine)
    machine.the_venues_day_ends()
    ends_well(machine)


def test_an_exit_that_the_take_has_ended_was_cancelled_by_nobody() -> None:
    machine = bracket(take="171")
    declare(machine, 0, "166", market="part")
    fires(machine, "3")
    ends_well(machine)


def test_a_take_that_ends_before_its_stop_was_ever_seen_was_cancelled_by_nobody() -> None:
    machine = bracket(take="171")
    fires(machine, "2")
    machine.the_stream_tells_some_of_them_one_by_one(places=[2, 0])
    declare(machine, 1, "165", "killed after", refuses=(OrderType.STOP_MARKET,))
    ends_well(machine)


def test_a_take_that_waits_for_the_rest_of_its_entry_leaves_no_room_for_a_stop_beside_it() -> None:
    machine = bracket(take="170", refuses=(OrderType.STOP_MARKET,), market="nothing")
    fires(machine, "1", 1)
    machine.the_stream_tells_some_of_them_one_by_one(places=[1])
    fires(machine, "1", 1)
    machine.the_venues_day_ends()
    declare(machine, 2, "166")
    fires(machine, "2")
    for order_id in machine._sent:
        fires(machine, order_id)
    ends_well(machine)


# -- days that end between an entry and its legs -----------------------------------------------------------------------


def test_a_leg_that_is_smaller_after_its_entry_has_left_with_the_day_was_changed_by_nobody() -> None:
    machine = bracket(take="171", market="nothing")
    passes(machine, 1.0)
    fires(machine, "1")
    machine.the_venues_day_ends()
    fires(machine, "3", 1)
    ends_well(machine)


def test_what_a_leg_closed_of_an_entry_that_left_with_the_day_is_not_unexplained() -> None:
    machine = bracket(take="170", market="part")
    machine.the_books_are_read(fates=[])
    fires(machine, "1", 1)
    machine.the_venues_day_ends()
    fires(machine, "2")
    passes(machine, 1.0)
    ends_well(machine)
    assert "hold.unexplained" not in kinds(machine)


def test_a_leg_that_filled_and_left_with_the_day_is_looked_for_before_it_is_given_up() -> None:
    machine = bracket(names_parents=False)
    fires(machine, "2")
    machine.the_stream_tells_some_of_them_one_by_one(places=[1])
    machine.the_venues_day_ends()
    ends_well(machine)
    assert "hold.unexplained" not in kinds(machine)


def test_what_a_leg_fills_counts_once_its_entry_has_vanished() -> None:
    machine = bracket(market="nothing")
    machine.the_books_are_read(fates=[])
    fires(machine, "1")
    del machine.venue.orders["1"]
    for _ in range(12):
        passes(machine, 6.0)
        machine.the_books_answer_what_was_asked()
    assert "hold.vanished" in kinds(machine)
    fires(machine, "2")
    machine.the_books_are_read(fates=[])
    assert machine.journal.orders["2"].filled_quantity == 2


# -- a venue that names no parents -------------------------------------------------------------------------------------


def test_a_leg_whose_entry_nobody_has_seen_yet_is_not_somebody_elses() -> None:
    machine = bracket(names_parents=False, fate="killed after")
    machine.the_venues_day_ends()
    fires(machine, "2")
    ends_well(machine)


def test_nor_is_one_that_the_venue_has_made_smaller_by_then() -> None:
    machine = bracket(names_parents=False, take="171", market="part", fate="killed after")
    fires(machine, "1")
    machine.the_venues_day_ends()
    fires(machine, "3", 1)
    fires(machine, "2")
    ends_well(machine)


def test_a_leg_that_is_smaller_by_what_the_other_has_filled_is_known_by_its_looks() -> None:
    machine = bracket(names_parents=False, take="170", fate="killed after")
    fires(machine, "3", 1)
    ends_well(machine)
