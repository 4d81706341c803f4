"""What a night's sessions, limits and venue are like: drawn by the seed, all of it, and always the same."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from brokers.model import Trail
from brokers.tradestation.emulator.fault_rules import FAULTS
from brokers.tradestation.emulator.rules import Rules
from tests.simulate.regressions import night
from trader.messages import Declared, PositionView
from trader.simulate import cast, tempers
from trader.simulate.faults import QUIRK_S, QUIRKS, Fault, quirks
from trader.simulate.gambler import Gambler
from trader.simulate.night import Night, Plan
from trader.strategy import Bar, attach

SEEDS = range(200)
SYMBOL = "ESZ13"


def test_every_value_is_drawn_in_more_than_two_of_a_hundred_nights_and_always_the_same() -> None:
    stands = cast.stands(2)
    drawn = [tempers.temper(seed, stands) for seed in SEEDS]
    assert drawn == [tempers.temper(seed, stands) for seed in SEEDS]
    often = len(SEEDS) / 50
    for name, values in tempers.WORDS.items():
        for value in set(values):
            assert sum(one.words[name] == value for one in drawn) > often, (name, value)
    for name, values in tempers.RULES.items():
        for value in set(values):
            assert sum(getattr(tempers.rules(seed), name) == value for seed in SEEDS) > often, (name, value)
    assert sum(one.protection == "desk" for one in drawn) > often
    assert sum(bool(one.limits.accounts) for one in drawn) > often
    assert sum(bool(one.left) and one.words["take_over"] for one in drawn) > often
    assert sum(bool(one.left) and not one.words["take_over"] for one in drawn) > often
    gamblers = [len(one.parameters) for one in drawn]
    assert all(gamblers.count(number) > often for number in range(3))


def test_the_venue_as_it_is_believed_to_be_has_the_emulators_own_rules() -> None:
    assert Night(night(3, believed=True)).machine.outside.state.settings.rules == Rules()


def test_quirks_follow_from_seed_level_and_length_and_each_is_one_that_the_emulator_knows() -> None:
    drawn = [each for seed in SEEDS for each in quirks(seed, "heavy", 180.0)]
    assert drawn == [each for seed in SEEDS for each in quirks(seed, "heavy", 180.0)]
    assert {each.role for each in drawn} == set(QUIRKS)
    assert set(QUIRKS) <= {*FAULTS, "hand_move"}
    assert all(each.at_s < 180.0 - QUIRK_S for each in drawn), "the last bar is told"
    assert quirks(3, "heavy", 180.0) == []


def bars(count: int) -> list[Bar]:
    close = Decimal("1700.25")
    return [Bar(SYMBOL, 60, 60 * number, close, close, close, close, volume=1) for number in range(1, count + 1)]


def said_by(seed: int, held: int) -> list[Declared]:
    """All that a gambler who holds so much declares over some hours."""
    gambler = Gambler()
    desk = attach(gambler, (SYMBOL,), Gambler.Parameters(seed=seed), {})
    said: list[Declared] = []
    for bar in bars(400):
        desk.positions[SYMBOL] = PositionView(symbol=SYMBOL, quantity=Decimal(held))
        desk.keep(bar)
        gambler.on_bar(bar)
        said += desk.declared.values()
        desk.declared.clear()
    return said


def test_a_gambler_says_all_that_can_be_said_and_the_same_again_after_a_death() -> None:
    flat, long = said_by(1, 0), said_by(1, 2)
    assert (flat, long) == (said_by(1, 0), said_by(1, 2))
    assert {each.quantity for each in flat} == {Decimal(number) for number in (-3, -2, -1, 1, 2, 3)}
    assert {each.quantity for each in long if not each.relative} == {Decimal(n) for n in (-3, -2, -1, 0, 1, 2, 3)}
    assert any(each.take is not None and each.stop is not None for each in flat)
    assert any(each.trail is not None and each.stop is None for each in flat)
    assert any(each.trail is not None and each.stop is not None for each in flat)
    assert any(isinstance(each.trail, Trail) and each.trail.percent is not None for each in flat)
    assert any(each.relative for each in long), "the stop is moved"
    assert {name for each in long for name in each.off} == {"take", "trail"}
    behind = [each for each in flat if each.stop is not None and (each.stop - Decimal("1700.25")) * each.quantity > 0]
    assert 0 < len(behind) < len(flat) / 10, "careless, now and then"


def lost_later(after_s: float) -> Any:
    """The answer to a placing so long after a fault has said that the next is lost."""
    friday_utc = datetime(2013, 10, 11, 22, tzinfo=UTC).timestamp()
    finished = Night(Plan(0.1, 1, "light", 2, friday_utc))
    finished._new_life()
    finished._run(30.0)
    finished._inject(Fault(0.0, "lose_reply", 0.0, "POST /v3/orderexecution/*", "before"))
    finished._run(after_s)
    outside, kernel = finished.machine.outside, finished.machine.kernel
    url = "http://venue.invalid/v3/orderexecution/orders"
    return outside.request("POST", url, {}, b"{}", kernel.now_s)


@pytest.mark.parametrize(("after_s", "lost"), [(QUIRK_S - 1.0, True), (QUIRK_S + 1.0, False)])
def test_an_answer_that_is_lost_is_lost_within_a_minute_and_none_adds_up_over_a_weekend(
    after_s: float, lost: bool
) -> None:
    assert (lost_later(after_s) is None) == lost
