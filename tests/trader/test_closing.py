"""Flat at the close, and what is held over night."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import OrderType
from tests.trader.minding_scenes import DECLARED, NOW_UTC, SYMBOL, kind, replace, scene, stop
from trader.minding.closing import MINUTE_S, flat_at_close, overnight_margin
from trader.minding.closing import wants_read as close_wants_read
from trader.minding.minded import DAY_S, NOTHING_MINDED, Minded, Scene, Words
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose

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
