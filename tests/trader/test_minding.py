"""The rules of minding, each by itself: what they see, what they want done, what they remember."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Duration, Instrument, OrderStatus, OrderType, Side, Trail
from trader.hours.market_hours import Moment, Phase
from trader.minding.closing import MINUTE_S, flat_at_close, overnight_margin
from trader.minding.closing import wants_read as close_wants_read
from trader.minding.cover import bare_outside, covered_for
from trader.minding.minded import DAY_S, NOTHING_MINDED, Act, Minded, Past, Price, Renewal, Scene, Words, beyond
from trader.minding.renewal import (
    CALM_PRICE_S,
    CALM_TICKS,
    LATER_S,
    RENEW_DAYS,
    RENEWAL_READS,
    TOLD_DAYS,
    asked,
    ends_utc,
    not_sent,
    refused,
    renew,
    stop_expires,
)
from trader.minding.renewal import under_way as is_under_way
from trader.minding.rolling import contract_ends, entry_refusal, last_day, notice_utc
from trader.minding.stop_watch import INERT_S, INERT_TICKS, overdue_utc, past, stop_inert, stop_passed, wants_read
from trader.orders.intents import Purpose
from trader.orders.lifecycle import OwnOrder
from trader.orders.target import Declaration

SYMBOL, NOW_UTC = "ES", 1_000_000.0
TICK = Decimal("0.25")
ES = Instrument(SYMBOL, "FUTURE", TICK, Decimal(50))
OPEN = Moment(Phase.OPEN, NOW_UTC - 3600, NOW_UTC + 3600)
DECLARED = Declaration(SYMBOL, Decimal(1), Decimal(100))
replace = msgspec.structs.replace


def stop(price: str = "100", **changes: Any) -> OwnOrder:
    made = OwnOrder(
        order_id="7", intent=1, purpose=Purpose.STOP, symbol=SYMBOL, side=Side.SELL, type=OrderType.STOP_MARKET,
        quantity=Decimal(1), stop_price=Decimal(price), status=OrderStatus.WORKING, opened_utc=NOW_UTC - 60,
    )  # fmt: skip
    return replace(made, **changes)


def scene(**changes: Any) -> Scene:
    """Long one, its stop at 100 declared; nothing works."""
    made = Scene(
        words=Words(gtc_days_max=90), declaration=DECLARED, held=Decimal(1), orders=(), now_utc=NOW_UTC,
        instrument=ES, moment=OPEN, closes_utc=NOW_UTC + 3600, read_utc=NOW_UTC - 5,
    )  # fmt: skip
    return replace(made, **changes)


def at(price: str, at_utc: float = NOW_UTC) -> Price:
    return Price(Decimal(price), at_utc)


def kind(act: Act | None) -> str:
    return "" if act is None or act.told is None else act.told.kind


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
    passed = Past("7", Decimal(100), NOW_UTC)
    now = NOW_UTC + seconds
    told: dict[str, Any] = {"orders": (stop(),), "past": passed, "price": at(price, now), "now_utc": now}
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
    assert past(scene(**working, price=at("99.75")), None) is None
    first = past(scene(**working, price=at(str(100 - INERT_TICKS * TICK))), None)
    assert first == Past("7", Decimal(100), NOW_UTC)
    assert past(scene(**working, price=at("99", NOW_UTC + 9), now_utc=NOW_UTC + 9), first) == first
    assert past(scene(**working, price=at("100.5", NOW_UTC + 9)), first) is None


def test_a_stop_that_was_moved_is_watched_anew_and_none_while_its_market_is_closed() -> None:
    first = Past("7", Decimal(100), NOW_UTC - 60)
    moved = past(scene(orders=(stop("102"),), price=at("99")), first)
    assert moved == Past("7", Decimal(102), NOW_UTC)
    closed = Moment(Phase.CLOSED, NOW_UTC - 60, NOW_UTC + 60)
    assert past(scene(orders=(stop(),), price=at("90"), moment=closed), first) is None


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


# -- the close ---------------------------------------------------------------------------------------------------------

FIVE = Words(flat_at_close_min=5)
CLOSES_UTC = NOW_UTC + 5 * MINUTE_S


def near(**changes: Any) -> Scene:
    return scene(**{"words": FIVE, "closes_utc": CLOSES_UTC, "not_flat": "1 is still open", **changes})


def test_so_many_minutes_before_the_close_the_position_is_closed() -> None:
    assert flat_at_close(near(closes_utc=CLOSES_UTC + 1), NOTHING_MINDED) is None
    act = flat_at_close(near(), NOTHING_MINDED)
    assert act is not None
    assert act.declaration is not None
    assert (kind(act), act.declaration.quantity, act.minded.close_utc) == ("close.begun", 0, CLOSES_UTC)


def test_a_session_that_does_not_say_so_keeps_its_position() -> None:
    assert flat_at_close(near(words=Words()), NOTHING_MINDED) is None


def test_an_entry_that_is_only_declared_ends_too_and_a_flat_symbol_is_left_alone() -> None:
    flat = near(held=Decimal(0))
    act = flat_at_close(flat, NOTHING_MINDED)
    assert act is not None
    assert act.declaration is not None
    assert act.declaration.quantity == 0
    nothing = replace(flat, declaration=Declaration(SYMBOL, Decimal(0)))
    assert flat_at_close(nothing, NOTHING_MINDED) is None


def test_what_the_strategy_declares_on_is_taken_back_until_the_close() -> None:
    act = flat_at_close(near(now_utc=NOW_UTC + 60), Minded(close_utc=CLOSES_UTC))
    assert act is not None
    assert act.declaration is not None
    assert (act.declaration.quantity, act.told) == (0, None)


def test_flat_is_the_brokers_word_and_it_is_asked_for() -> None:
    minded = Minded(close_utc=CLOSES_UTC)
    unread = near(held=Decimal(0), declaration=Declaration(SYMBOL, Decimal(0)), not_flat="not read since the close")
    assert flat_at_close(unread, minded) is None
    assert close_wants_read(unread, minded)
    act = flat_at_close(replace(unread, not_flat=""), minded)
    assert act is not None
    assert (kind(act), act.minded) == ("close.flat", Minded(flat_utc=CLOSES_UTC))


def test_not_confirmed_flat_at_the_close_pages_once_and_what_is_left_is_kept_under_its_stop() -> None:
    zero = replace(DECLARED, quantity=Decimal(0))
    missed = near(now_utc=CLOSES_UTC, closes_utc=None, declaration=zero)
    act = flat_at_close(missed, Minded(close_utc=CLOSES_UTC))
    assert act is not None
    assert act.told is not None
    assert (act.told.kind, act.told.level, act.told.state) == ("close.missed", "PAGE", "opened")
    assert act.declaration == DECLARED, "so that the planner places the stop again"
    assert flat_at_close(replace(missed, declaration=DECLARED), act.minded) is None
    fired = flat_at_close(replace(missed, held=Decimal(0), not_flat=""), act.minded)
    assert fired is not None
    assert fired.told is not None
    assert (fired.told.kind, fired.told.state) == ("close.flat", "resolved")
    assert fired.minded == Minded(flat_utc=CLOSES_UTC)


def test_while_an_exit_still_works_nothing_is_kept_beside_it() -> None:
    """Two full-size orders never work side by side (order-safety 3.9)."""
    zero = replace(DECLARED, quantity=Decimal(0))
    leaving = stop(purpose=Purpose.EXIT, type=OrderType.MARKET, stop_price=None)
    missed = near(now_utc=CLOSES_UTC, closes_utc=None, declaration=zero, orders=(leaving,))
    act = flat_at_close(missed, Minded(close_utc=CLOSES_UTC))
    assert act is not None
    assert (kind(act), act.declaration, act.minded.kept) == ("close.missed", None, False)
    ended = flat_at_close(replace(missed, orders=()), act.minded)
    assert ended is not None
    assert (ended.declaration, ended.told, ended.minded.kept) == (DECLARED, None, True)


@pytest.mark.parametrize(("held", "to_close"), [(3, 1), (-1, 1), (2, 0)])
def test_what_a_person_makes_of_a_position_while_it_is_closed_is_told_and_left(held: int, to_close: int) -> None:
    """Adopted beyond what was held when the close began, or on the other side."""
    adopted = Declaration(SYMBOL, Decimal(held), voided=True)
    bought = near(now_utc=NOW_UTC + 60, held=Decimal(held), declaration=adopted)
    act = flat_at_close(bought, Minded(close_utc=CLOSES_UTC, to_close=Decimal(to_close)))
    assert act is not None
    assert act.told is not None
    assert (act.told.kind, act.told.level, act.declaration) == ("close.left", "PAGE", None)
    assert flat_at_close(bought, act.minded) is None, "once"


def test_what_a_person_leaves_of_it_is_still_closed() -> None:
    rest = near(now_utc=NOW_UTC + 60, declaration=Declaration(SYMBOL, Decimal(1), voided=True))
    act = flat_at_close(rest, Minded(close_utc=CLOSES_UTC, to_close=Decimal(3)))
    assert act is not None
    assert act.declaration is not None
    assert (act.declaration.quantity, act.minded.to_close) == (0, 1)


def test_the_next_close_is_tried_again() -> None:
    kept = Minded(close_utc=CLOSES_UTC, close_missed=True, kept=True)
    following = CLOSES_UTC + DAY_S
    act = flat_at_close(near(now_utc=following - 60, closes_utc=following), kept)
    assert act is not None
    assert (kind(act), act.minded.close_utc, act.minded.kept) == ("close.begun", following, False)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 600), st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1]), st.booleans(), st.booleans()
        ),
        max_size=12,
    )
)
def test_in_the_minutes_before_the_close_nothing_stays_declared(
    history: list[tuple[int, int, int, bool, bool]],
) -> None:
    """Whatever the strategy declares and the market does: after the rule nothing is declared before the close; after
    it no exposure is declared that is not held; what was begun ends only with the broker's word."""
    minded, before_utc = NOTHING_MINDED, NOW_UTC
    for seconds, declared, held, exits, says_flat in history:
        before_utc = now = before_utc + seconds / 4
        orders = (stop(purpose=Purpose.EXIT, type=OrderType.MARKET, stop_price=None),) if exits else ()
        seen = near(
            now_utc=now,
            closes_utc=CLOSES_UTC if now < CLOSES_UTC else None,
            declaration=replace(DECLARED, quantity=Decimal(declared)),
            held=Decimal(held),
            orders=orders,
            not_flat="" if says_flat and not held and not orders else "not flat",
        )
        act = flat_at_close(seen, minded)
        after = seen.declaration if act is None or act.declaration is None else act.declaration
        if now < CLOSES_UTC and (held or orders or (act is not None and minded.close_utc)):
            assert after.quantity == 0 or (act is not None and kind(act) == "close.flat")
        if act is not None and act.declaration is not None:
            assert after.quantity in (0, seen.held)
        if act is not None and minded.close_utc and not act.minded.close_utc:
            assert not seen.not_flat
        minded = act.minded if act is not None else minded


def test_margin_that_the_account_does_not_have_over_night_pages_before_the_close_once() -> None:
    short = {"closes_utc": NOW_UTC + 600, "margin_usd": Decimal(15_500), "equity_usd": Decimal(9_000)}
    act = overnight_margin(scene(**short), NOTHING_MINDED)
    assert act is not None
    assert act.told is not None
    assert (act.told.kind, act.told.level) == ("margin.overnight", "PAGE")
    assert overnight_margin(scene(**short), act.minded) is None
    for enough in ({"equity_usd": Decimal(15_500)}, {"margin_usd": None}, {"held": Decimal(0)}, {"closes_utc": None}):
        assert overnight_margin(scene(**{**short, **enough}), NOTHING_MINDED) is None


def test_of_stocks_the_buying_power_over_night_tells_it() -> None:
    near_utc = {"closes_utc": NOW_UTC + 600, "equity_usd": Decimal(9_000)}
    for lacking in ("-1250.5", "0"):
        act = overnight_margin(scene(**near_utc, overnight_free_usd=Decimal(lacking)), NOTHING_MINDED)
        assert act is not None
        assert act.told is not None
        assert lacking in act.told.text
    for enough in (None, Decimal("0.01")):
        assert overnight_margin(scene(**near_utc, overnight_free_usd=enough), NOTHING_MINDED) is None


# -- the ends of stops and contracts -----------------------------------------------------------------------------------


def test_a_stops_end_is_the_venues_word_else_its_rule() -> None:
    assert ends_utc(stop(good_till_utc=NOW_UTC + 5), 90) == NOW_UTC + 5
    assert ends_utc(stop(), 90) == NOW_UTC - 60 + 90 * DAY_S
    assert ends_utc(stop(), None) is None


def test_the_end_of_a_stop_is_told_days_before_and_is_over_with_that_order() -> None:
    ends = NOW_UTC + TOLD_DAYS * DAY_S
    assert stop_expires(scene(orders=(stop(good_till_utc=ends + 1),)), NOTHING_MINDED) is None
    act = stop_expires(scene(orders=(stop(good_till_utc=ends),)), NOTHING_MINDED)
    assert act is not None
    assert (kind(act), act.minded.expiring) == ("stop.expires", "7")
    assert stop_expires(scene(orders=(stop(good_till_utc=ends),)), act.minded) is None
    anew = stop(order_id="8", good_till_utc=ends + 90 * DAY_S)
    assert kind(stop_expires(scene(orders=(anew,)), act.minded)) == "stop.expiry_over"


NEAR_END = NOW_UTC + RENEW_DAYS * DAY_S
CALM = {"price": at(str(100 + CALM_TICKS * TICK)), "orders": (stop(good_till_utc=NEAR_END),)}


def wanted(**changes: Any) -> Renewal | None:
    act = renew(scene(**{**CALM, **changes}), NOTHING_MINDED)
    return None if act is None else act.minded.renewal


def test_days_before_its_end_at_a_calm_moment_a_stop_is_to_be_replaced_by_itself() -> None:
    assert wanted() == Renewal("7", NEAR_END)
    assert RENEW_DAYS > TOLD_DAYS


@pytest.mark.parametrize(
    "why",
    [
        {"now_utc": NOW_UTC - 1},
        {"price": None},
        {"price": at("104.75")},
        {"price": at("200", NOW_UTC - CALM_PRICE_S - 6)},
        {"moment": Moment(Phase.CLOSED)},
        {"moment": Moment(Phase.CLOSING)},
        {"moment": Moment(Phase.UNKNOWN)},
        {"held": Decimal(0)},
        {"unsettled": True},
        {"flattening": True},
        {"declaration": replace(DECLARED, quantity=Decimal(0))},
        {"declaration": replace(DECLARED, stop_by_person="changed")},
        {"orders": (stop(good_till_utc=NEAR_END, pending="replace"),)},
        {"orders": (stop(good_till_utc=NEAR_END, trail=Trail(amount=Decimal(5))),)},
        {"words": Words(gtc_days_max=90, renews_by_replace=False)},
    ],
)
def test_at_no_other_moment_and_never_one_that_a_person_moved_or_the_venue_trails(why: dict[str, Any]) -> None:
    assert wanted(**why) is None


def test_what_is_no_calm_moment_any_more_before_it_was_asked_waits_for_the_next() -> None:
    act = renew(scene(**{**CALM, "price": at("101")}), Minded(renewal=Renewal("7", NEAR_END)))
    assert act == Act(NOTHING_MINDED)


def under_way(**changes: Any) -> Scene:
    return scene(**{**CALM, "read_utc": NOW_UTC - 1, **changes})


ASKED = Minded(renewal=Renewal("7", NEAR_END, NOW_UTC - 5))


def test_a_later_end_in_a_read_is_the_proof() -> None:
    later = stop(good_till_utc=NEAR_END + LATER_S)
    act = renew(under_way(orders=(later,)), ASKED)
    assert (kind(act), act and act.minded) == ("stop.renewed", NOTHING_MINDED)
    renamed = stop(order_id="8", renews="7", good_till_utc=NEAR_END + 80 * DAY_S)
    assert kind(renew(under_way(orders=(renamed,)), ASKED)) == "stop.renewed"
    assert renew(under_way(orders=(replace(later, pending="replace"),)), ASKED) is None


def test_reads_that_show_the_old_end_say_that_it_was_kept_and_it_is_tried_once_a_stop() -> None:
    minded = ASKED
    for read in range(RENEWAL_READS):
        seen = under_way(read_utc=NOW_UTC + read, now_utc=NOW_UTC + read)
        act = renew(seen, minded)
        assert act is not None
        assert kind(act) == ("stop.not_renewed" if read == RENEWAL_READS - 1 else "")
        minded = act.minded
        assert renew(seen, minded) is None, "one read is counted once"
    tomorrow = under_way(now_utc=NOW_UTC + DAY_S, read_utc=NOW_UTC + DAY_S)
    assert renew(tomorrow, minded) is None
    told = under_way(now_utc=NEAR_END - TOLD_DAYS * DAY_S)
    assert kind(stop_expires(told, minded)) == "stop.expires", "as where nothing can be renewed"
    anew = renew(under_way(orders=(stop(order_id="9"),)), minded)
    assert anew == Act(NOTHING_MINDED), "the next stop is another one"
    after_all = under_way(orders=(stop(good_till_utc=NEAR_END + 80 * DAY_S),))
    assert kind(renew(after_all, minded)) == "stop.renewed", "the strategy has moved it since, say"


def test_a_venue_that_is_said_to_renew_is_tried_each_day() -> None:
    words = Words(gtc_days_max=90, renews_by_replace=True)
    failed = Minded(renewal=Renewal("7", NEAR_END, NOW_UTC - DAY_S, failed=True))
    assert renew(under_way(words=words), failed) == Act(NOTHING_MINDED)
    assert renew(under_way(words=words, now_utc=NOW_UTC - 1), failed) is None


HAPPENS = ["waits", "near", "far", "asks", "answers", "renews", "refuses", "fails", "reads", "moves", "ends"]


@given(st.sampled_from([None, False, True]), st.lists(st.sampled_from(HAPPENS), max_size=40))
def test_whatever_happens_a_stop_is_asked_once_at_a_calm_moment_and_nothing_is_said_that_no_read_shows(
    known: bool | None, history: list[str]
) -> None:
    minded, now, read_utc, price = NOTHING_MINDED, NOW_UTC, 0.0, "200"
    order, declared, asks = stop(good_till_utc=NEAR_END), DECLARED, 0
    for number, happens in enumerate(history):
        now += 3600.0 if happens == "waits" else 1.0
        if happens in ("near", "far"):
            price = "101" if happens == "near" else "200"
        elif happens == "asks" and minded.renewal is not None and minded.renewal.wanted:
            assert known is not False
            assert (declared.stop_by_person, price, order.pending) == ("", "200", "")
            minded, order, asks = asked(minded, order.order_id, now), replace(order, pending="replace"), asks + 1
        elif happens in ("answers", "renews") and order.pending:
            later_s = 80 * DAY_S if happens == "renews" else 0.0
            order = replace(order, pending="", good_till_utc=(order.good_till_utc or 0.0) + later_s)
        elif happens in ("refuses", "fails") and order.pending:
            assert is_under_way(minded, order.order_id)
            order, sent = replace(order, pending=""), happens == "refuses"
            minded = refused(minded, SYMBOL, "no").minded if sent else not_sent(minded, order.order_id)
            asks -= not sent
        elif happens == "reads":
            read_utc = now
        elif happens == "moves":
            declared = replace(declared, stop_by_person="changed")
        elif happens == "ends":
            order, declared, asks = stop(order_id=f"next{number}", good_till_utc=now + 9 * DAY_S), DECLARED, 0
        words = Words(gtc_days_max=90, renews_by_replace=known)
        seen = scene(words=words, now_utc=now, read_utc=read_utc, orders=(order,), declaration=declared)
        seen = replace(seen, price=at(price, now))
        while (act := renew(seen, minded)) is not None:
            assert (act.declaration, act.hold) == (None, ""), "it changes nothing that is declared"
            assert act.minded != minded
            if kind(act) == "stop.renewed":
                assert minded.renewal is not None
                assert (order.good_till_utc or 0.0) >= minded.renewal.ends_utc + LATER_S
            minded = act.minded
        assert asks <= (1 if known is None else 0 if known is False else len(history))


def test_any_replace_of_it_is_the_one_that_was_wanted() -> None:
    want = Minded(renewal=Renewal("7", NEAR_END))
    assert asked(want, "7", NOW_UTC).renewal == Renewal("7", NEAR_END, NOW_UTC)
    assert asked(want, "8", NOW_UTC) is want
    assert asked(ASKED, "7", NOW_UTC) is ASKED


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
