"""The end of a stop: told, and tried away by a replace of itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Trail
from tests.trader.minding_scenes import DECLARED, NOW_UTC, SYMBOL, TICK, at, kind, replace, scene, stop
from trader.hours.market_hours import Moment, Phase
from trader.minding.minded import DAY_S, NOTHING_MINDED, Act, Minded, Renewal, Scene, Words
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
