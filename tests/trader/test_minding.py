"""The rules of minding that look at stops and hours: what they see, what they want done, what they remember."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Duration, Instrument, OrderStatus, Side
from tests.trader.minding_scenes import DECLARED, ES, NOW_UTC, TICK, at, kind, replace, scene, stop
from trader.hours.market_hours import Moment, Phase
from trader.minding.cover import bare_outside, covered_for
from trader.minding.minded import DAY_S, NOTHING_MINDED, Minded, Overrun, Scene, Words, beyond
from trader.minding.rolling import contract_ends, entry_refusal, last_day, notice_utc
from trader.minding.stop_watch import INERT_S, INERT_TICKS, overdue_utc, overrun, stop_inert, stop_passed, wants_read
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder

# -- the stop that cannot be placed ------------------------------------------------------------------------------------


def test_a_stop_that_the_market_has_passed_is_executed_as_an_exit() -> None:
    act = stop_passed(scene(price=at("99.75")), NOTHING_MINDED)
    assert act is not None
    assert kind(act) == "stop.passed"
    assert act.declaration == replace(DECLARED, quantity=Decimal(0))
    assert act.hold == ""


def test_at_the_stops_own_price_it_would_have_fired() -> None:
    assert stop_passed(scene(price=at("100")), NOTHING_MINDED) is not None
    assert stop_passed(scene(price=at("100.25")), NOTHING_MINDED) is None


def test_a_stop_counts_as_passed_where_it_would_be_sent_on_the_tick() -> None:
    """Regression (night 106): 99.91 would go out as 100.00, where the market was, and was sent again and again."""
    at_the_tick = scene(declaration=replace(DECLARED, stop=Decimal("99.91")), price=at("100"))
    assert kind(stop_passed(at_the_tick, NOTHING_MINDED)) == "stop.passed"
    assert stop_passed(replace(at_the_tick, price=at("100.25")), NOTHING_MINDED) is None


@pytest.mark.parametrize(
    "why",
    [
        {"price": None},
        {"orders": (stop(),)},
        {"orders": (stop(status=OrderStatus.RECEIVED),)},
        {"unsettled": True},
        {"declaration": replace(DECLARED, stop=None)},
        {"declaration": replace(DECLARED, stop_by_person="removed")},
        {"declaration": replace(DECLARED, quantity=Decimal(0))},
        {"held": Decimal(0)},
    ],
    ids=["no price", "it works", "it is on its way", "in doubt", "none declared", "a person's", "closing", "flat"],
)
def test_nothing_is_closed_where_the_stop_is_not_simply_missing(why: dict[str, Any]) -> None:
    assert stop_passed(scene(**{"price": at("90"), **why}), NOTHING_MINDED) is None


def test_by_the_policy_page_it_is_held_back_and_told_once() -> None:
    seen = scene(words=Words(stop_passed="page"), price=at("99"))
    act = stop_passed(seen, NOTHING_MINDED)
    assert act is not None
    assert act.told is not None
    assert (act.told.kind, act.told.level, act.told.state, act.hold) == (
        "stop.passed", "PAGE", "opened", "stop_passed",
    )  # fmt: skip
    assert act.declaration is not None
    assert act.declaration.quantity == 1
    assert act.declaration.refused == (Purpose.STOP,)
    waiting = replace(seen, declaration=act.declaration)
    assert stop_passed(waiting, act.minded) is None
    again = stop_passed(seen, act.minded)  # the strategy has declared anew
    assert again is not None
    assert again.told is None
    assert again.declaration == act.declaration


def test_it_is_placed_once_the_market_is_on_its_right_side_again() -> None:
    waits = replace(DECLARED, refused=(Purpose.EXIT, Purpose.STOP))
    act = stop_passed(scene(declaration=waits, price=at("101")), Minded(passed=True))
    assert act is not None
    assert kind(act) == "stop.passed_over"
    assert act.declaration == replace(DECLARED, refused=(Purpose.EXIT,))
    assert not act.minded.passed


def test_while_no_price_is_known_it_goes_on_waiting() -> None:
    waits = scene(declaration=replace(DECLARED, refused=(Purpose.STOP,)), price=None)
    assert stop_passed(waits, Minded(passed=True)) is None
    assert kind(stop_passed(replace(waits, held=Decimal(0)), Minded(passed=True))) == "stop.passed_over"


@given(st.sampled_from([1, -1]), st.integers(-20, 20), st.integers(0, 5))
def test_beyond_is_the_side_where_the_position_loses(side: int, ticks: int, by: int) -> None:
    protects = Side.BUY if side > 0 else Side.SELL
    loses = -side * ticks
    assert beyond(Decimal(100) + ticks, Decimal(100), protects, Decimal(by)) == (loses >= by)


# -- the stop that does not fire ---------------------------------------------------------------------------------------


def watched(price: str, seconds: float, *, read: bool = True, **changes: Any) -> Scene:
    """So long after the market was first seen beyond the working stop, with a read asked for just now."""
    passed = Overrun("7", Decimal(100), NOW_UTC)
    now = NOW_UTC + seconds
    told: dict[str, Any] = {"orders": (stop(),), "overrun": passed, "price": at(price, now), "now_utc": now}
    return scene(**{**told, "read_utc": now if read else NOW_UTC, **changes})


def test_a_stop_that_does_not_fire_is_an_alarm_once_a_read_shows_it_still_working() -> None:
    due_s = INERT_S + Words().machine_allowance_s
    assert stop_inert(watched("99", due_s - 1), NOTHING_MINDED) is None
    unread = watched("99", due_s, read=False)
    assert stop_inert(unread, NOTHING_MINDED) is None
    assert wants_read(unread, NOTHING_MINDED), "and that read is asked for"
    act = stop_inert(watched("99", due_s), NOTHING_MINDED)
    assert act is not None
    assert act.told is not None
    assert (act.told.kind, act.told.level, act.told.state) == ("stop.inert", "PAGE", "opened")
    assert act.declaration is None
    assert act.hold == "", "nothing is done by itself unless it was asked for"
    assert stop_inert(watched("99", due_s + 60), act.minded) is None
    assert not wants_read(watched("99", due_s + 60, read=False), act.minded)


def test_the_machines_allowance_grows_with_the_rate_of_the_market() -> None:
    assert overdue_utc(watched("99", 1.0, rate=20.0)) == NOW_UTC + INERT_S + 20 * Words().machine_allowance_s


def test_it_counts_from_when_it_was_beyond_by_two_ticks_and_ends_with_the_first_price_inside() -> None:
    working = {"orders": (stop(),)}
    assert overrun(scene(**working, price=at("99.75")), None) is None
    first = overrun(scene(**working, price=at(str(100 - INERT_TICKS * TICK))), None)
    assert first == Overrun("7", Decimal(100), NOW_UTC)
    assert overrun(scene(**working, price=at("99", NOW_UTC + 9), now_utc=NOW_UTC + 9), first) == first
    assert overrun(scene(**working, price=at("100.5", NOW_UTC + 9)), first) is None


def test_a_stop_that_was_moved_is_watched_anew_and_none_while_its_market_is_closed() -> None:
    first = Overrun("7", Decimal(100), NOW_UTC - 60)
    moved = overrun(scene(orders=(stop("102"),), price=at("99")), first)
    assert moved == Overrun("7", Decimal(102), NOW_UTC)
    closed = Moment(Phase.CLOSED, NOW_UTC - 60, NOW_UTC + 60)
    assert overrun(scene(orders=(stop(),), price=at("90"), moment=closed), first) is None


@pytest.mark.parametrize(
    "after",
    [{"orders": ()}, {"orders": (stop("99"),)}, {"held": Decimal(0), "orders": (stop(),)}],
    ids=["fired", "moved", "flat"],
)
def test_the_alarm_is_over_when_it_fires_moves_or_nothing_is_held(after: dict[str, Any]) -> None:
    told = Minded(inert="7", inert_price=Decimal(100))
    act = stop_inert(scene(**after), told)
    assert act is not None
    assert (kind(act), act.minded) == ("stop.inert_over", NOTHING_MINDED)


def test_the_alarm_stays_while_the_market_only_comes_back() -> None:
    assert stop_inert(scene(orders=(stop(),), price=at("105")), Minded(inert="7", inert_price=Decimal(100))) is None


def test_where_it_was_asked_for_the_position_is_closed_whatever_is_declared() -> None:
    closing = watched("99", 60.0, words=Words(inert_stop="close"))
    act = stop_inert(closing, NOTHING_MINDED)
    assert act is not None
    assert act.declaration == replace(DECLARED, quantity=Decimal(0))
    assert act.hold == "inert_stop"
    again = stop_inert(closing, act.minded)  # the strategy has declared one again
    assert again is not None
    assert again.declaration is not None
    assert again.declaration.quantity == 0
    gone = replace(closing, held=Decimal(0), orders=())
    assert kind(stop_inert(gone, act.minded)) == "stop.inert_over"


SPY = Instrument("SPY", "STOCK", TICK, Decimal(1))
IN_FORM = stop(duration=Duration.GTC_EXTENDED)


@pytest.mark.parametrize(
    ("stops", "fires", "extended", "told"),
    [
        ([stop()], None, False, "regular hours"),
        ([stop()], True, True, "regular hours; bare in extended hours"),
        ([IN_FORM], True, True, "regular and extended hours"),
        ([IN_FORM, stop()], True, True, "regular hours; bare in extended hours"),
        ([IN_FORM], False, True, "regular hours; bare in extended hours"),
        ([IN_FORM], None, True, "regular hours; bare in extended hours, as far as anybody knows"),
    ],
)
def test_covered_says_for_which_hours(stops: list[OwnOrder], fires: bool | None, extended: bool, told: str) -> None:
    assert covered_for(SPY, stops, fires, extended=extended) == told
    assert covered_for(ES, stops, fires, extended=extended) == "all hours of its market"
    assert covered_for(None, stops, fires, extended=extended) == ""


def outside(fires: bool | None, *stops: OwnOrder, **changes: Any) -> Scene:
    words = Words(gtc_days_max=90, extended_stops=fires)
    return scene(words=words, orders=stops, outside=True, instrument=SPY, moment=Moment(Phase.CLOSED), **changes)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (outside(None, IN_FORM), "is not known to fire now"),
        (outside(False, IN_FORM), "does not fire now"),
        (outside(True, stop()), "is for regular hours"),
        (outside(True), "has no working stop"),
        (outside(True, IN_FORM, held=Decimal(2)), "protects less"),
    ],
)
def test_outside_regular_hours_a_position_is_bare_but_for_stops_that_are_known_to_fire_then(
    seen: Scene, why: str
) -> None:
    act = bare_outside(seen, NOTHING_MINDED)
    assert act is not None
    assert act.told is not None
    assert (act.told.kind, act.told.level, act.told.state) == ("uncovered.extended", "NOTIFY", "opened")
    assert why in act.told.text
    assert bare_outside(replace(seen, now_utc=NOW_UTC + 60), act.minded) is None, "once for each stretch"
    for over in ({"outside": False}, {"held": Decimal(0)}):
        after = bare_outside(replace(seen, now_utc=NOW_UTC + 90.5, **over), act.minded)
        assert after is not None
        assert after.told is not None
        assert (after.told.kind, after.minded) == ("uncovered.extended_over", NOTHING_MINDED)
        assert "90.500 market seconds" in after.told.text


def test_no_such_word_where_the_stop_fires_or_the_session_is_for_regular_hours() -> None:
    assert bare_outside(outside(True, IN_FORM), NOTHING_MINDED) is None
    assert bare_outside(replace(outside(None, IN_FORM), outside=False), NOTHING_MINDED) is None
    assert bare_outside(outside(None, held=Decimal(0)), NOTHING_MINDED) is None


def test_no_entry_in_the_last_days_of_a_contract() -> None:
    ends = replace(ES, expires_utc=NOW_UTC)
    assert entry_refusal(ends, None, 3, NOW_UTC - 3 * DAY_S - 1) == ""
    assert "no entry in the last 3 days" in entry_refusal(ends, None, 3, NOW_UTC - 3 * DAY_S)
    assert entry_refusal(ends, None, 3, NOW_UTC + DAY_S)
    assert entry_refusal(ends, None, None, NOW_UTC) == ""
    assert entry_refusal(ES, None, 3, NOW_UTC) == ""


def test_what_comes_first_of_a_contracts_end_and_its_first_notice_counts() -> None:
    gold = replace(ES, symbol="GCZ13", expires_utc=NOW_UTC + 30 * DAY_S)
    notice = NOW_UTC + 3 * DAY_S
    assert last_day(gold, notice) == (notice, "first notice of GCZ13 is")
    assert last_day(gold, NOW_UTC + 60 * DAY_S) == (NOW_UTC + 30 * DAY_S, "GCZ13 ends")
    assert last_day(ES, None) is None
    assert last_day(ES, notice) is not None, "also where the venue tells no end"
    assert last_day(None, notice) is None
    assert entry_refusal(gold, notice, 3, NOW_UTC).startswith("first notice of GCZ13 is ")
    assert entry_refusal(gold, notice, 3, NOW_UTC - 1) == ""
    held = scene(instrument=gold, first_notice_utc=notice, now_utc=notice - DAY_S)
    act = contract_ends(held, NOTHING_MINDED)
    assert act is not None
    assert act.told is not None
    assert "first notice" in act.told.text
    assert contract_ends(replace(held, now_utc=notice - DAY_S - 1), NOTHING_MINDED) is None
    assert notice_utc(datetime.date(2013, 11, 29)) == 1_385_683_200


def test_a_position_the_day_before_its_contract_ends_pages_once() -> None:
    ends = replace(ES, expires_utc=NOW_UTC + DAY_S)
    assert contract_ends(scene(instrument=ends, now_utc=NOW_UTC - 1), NOTHING_MINDED) is None
    act = contract_ends(scene(instrument=ends), NOTHING_MINDED)
    assert act is not None
    assert (kind(act), act.minded.rolls) == ("contract.ends", True)
    assert contract_ends(scene(instrument=ends), act.minded) is None
    assert kind(contract_ends(scene(instrument=ends, held=Decimal(0)), act.minded)) == "contract.left"
