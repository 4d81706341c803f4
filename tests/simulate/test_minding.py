"""Nights of the calendar and of stops that do not fire: weekends, half-days, the change of the clocks."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from brokers.tradestation.emulator.book import AccountSpec
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from supervisor.process.world import HttpReply
from tests.simulate import drill_world
from tests.simulate.drill_world import MANAGER, Drill
from trader.demo.script import Stand
from trader.sessions import journal_path
from trader.simulate.night import Night, Plan

FRIDAY = "2013-10-11T19:00:00+00:00"
CLOCKS_CHANGE = "2013-11-01T19:00:00+00:00"
"""Friday; New York puts its clocks back in the night to Sunday."""
OVER_A_WEEKEND = 2.3
"""Days: from an hour before the stocks' close to some hours of the futures' Sunday."""
HALF_DAY = "2013-11-29T14:00:00+00:00"
"""The day after Thanksgiving: stocks close at 13:00 New York."""


def plan(begin: str, days: float, seed: int, level: Any = "light") -> Plan:
    return Plan(days=days, sessions=2, level=level, seed=seed, begin_utc=datetime.fromisoformat(begin).timestamp())


def told(finished: Night, kind: str) -> list[float]:
    found: list[float] = []
    for stand in finished.stands:
        journal = finished.machine.store(journal_path(stand.name))
        rows = journal.query("SELECT market_utc FROM events WHERE kind = ? ORDER BY number", (kind,))
        found += [row["market_utc"] for row in rows]
    return found


@pytest.mark.parametrize("begin", [FRIDAY, CLOCKS_CHANGE])
def test_flat_over_a_weekend_also_when_the_clocks_change(begin: str) -> None:
    finished = Night(plan(begin, OVER_A_WEEKEND, 2), flat_at_close_min=5)
    count = finished.play()
    assert count.passed, count.problems
    assert len(told(finished, "close.flat")) >= 1
    assert told(finished, "close.missed") == []


@pytest.mark.parametrize("seed", range(1, 7))
def test_flat_over_a_close_or_somebody_is_told_whatever_breaks(seed: int) -> None:
    finished = Night(plan("2013-10-10T18:00:00+00:00", 0.25, seed, "heavy"), flat_at_close_min=5)
    count = finished.play()
    assert count.passed, count.problems
    assert told(finished, "close.begun")


def test_on_a_half_day_stocks_are_flat_three_hours_earlier() -> None:
    finished = Night(plan(HALF_DAY, 0.3, 2), flat_at_close_min=5)
    assert finished.play().passed
    closes_utc = datetime.fromisoformat("2013-11-29T18:00:00+00:00").timestamp()
    (spy,) = [stand for stand in finished.stands if stand.symbol == "SPY"]
    journal = finished.machine.store(journal_path(spy.name))
    begun = [row["market_utc"] for row in journal.query("SELECT market_utc FROM events WHERE kind = 'close.begun'")]
    assert all(closes_utc - 300 <= at_utc < closes_utc for at_utc in begun)
    entries = journal.query("SELECT written_utc FROM intents WHERE purpose = 'entry'")
    assert entries
    assert all(row["written_utc"] < closes_utc - 300 for row in entries)


@pytest.mark.parametrize("seed", [2])
def test_over_a_weekend_with_its_gap_positions_are_kept_and_covered(seed: int) -> None:
    """The week's first bar lies far from its last: what a stop does not survive, an exit ends."""
    count = Night(plan(FRIDAY, OVER_A_WEEKEND, seed)).play()
    assert count.passed, count.problems


@pytest.mark.parametrize("policy", ["page", "close"])
def test_stops_that_do_not_fire_are_told_and_closed_where_that_was_asked_for(policy: str) -> None:
    finished = Night(plan("2013-10-08T13:00:00+00:00", 0.3, 2), inert_stop=policy)
    machine = finished.machine
    machine.outside.tell("fault", machine.kernel.now_s, fault="inert_stop", times=0)
    count = finished.play()
    assert count.passed, count.problems
    assert told(finished, "stop.inert")
    if policy == "close":
        assert told(finished, "stop.inert_over")
        fills = machine.outside.state.ledger.fills
        assert fills
        orders = machine.outside.state.ledger.orders
        assert all(orders[fill.order_id].order_type == "Market" for fill in fills)


def test_a_desk_that_told_nobody_of_what_it_kept_over_a_close_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trader.manager.guarding.RULES", ())
    problems = Night(plan(FRIDAY, 0.2, 2), flat_at_close_min=5).play().problems
    assert any("over the close of" in problem for problem in problems), problems


# -- extended hours ---------------------------------------------------------------------------------------------------

AFTERNOON_UTC = datetime.fromisoformat("2013-10-08T19:30:00+00:00").timestamp()
CLOSES_UTC, EVENING_ENDS_UTC = AFTERNOON_UTC + 1800, AFTERNOON_UTC + 4.5 * 3600


@pytest.mark.parametrize("fires", [True, False])
def test_what_is_held_in_the_evening_is_told_as_bare_whatever_the_venues_stops_do_then(
    fires: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether they fire. Once for the stretch, also where the account manager dies in it; the exit of a
    person's order, the stop's form and the books are right either way."""
    monkeypatch.setattr(drill_world, "STAND", Stand("drill", "SPY", "SIM100001M", drill_world.STRATEGY))
    monkeypatch.setattr(drill_world, "ACCOUNT", AccountSpec("SIM100001M", "Margin", Decimal(100_000)))
    settings = Settings(rules=Rules(extended_stops=fires))
    drill = Drill(begin_utc=AFTERNOON_UTC, settings=settings, extended_hours=True)
    drill.until(lambda: drill.theirs == 1 and drill.ours == 1 and drill.stops)
    assert [stop.duration for stop in drill.stops] == ["GCP"]
    drill.until(lambda: drill.events("uncovered.extended"), 120.0)
    drill.desk.kill_process(MANAGER)
    drill.until(lambda: drill.events("uncovered.extended_over"), 1000.0)
    (bare,), (over,) = drill.events("uncovered.extended"), drill.events("uncovered.extended_over")
    assert 0 <= bare["market_utc"] - CLOSES_UTC < 60.0
    assert 0 <= over["market_utc"] - EVENING_ENDS_UTC < 60.0
    assert drill.events("uncovered") == []
    assert drill.deaths
    drill.judge(bars=False)


# -- a stop near its end ----------------------------------------------------------------------------------------------


@pytest.fixture
def near_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stop is near its end from its birth on, and what the venue gives is later by ten days."""
    monkeypatch.setattr("trader.minding.renewal.RENEW_DAYS", 91)
    monkeypatch.setattr("brokers.tradestation.emulator.renewal.GOOD_TILL_DAYS_MAX", 100)


@pytest.mark.usefixtures("near_the_end")
@pytest.mark.parametrize("renews", [True, False])
@pytest.mark.parametrize("keeps_id", [True, False])
@pytest.mark.parametrize("lost", ["", "answer", "manager"])
def test_a_stop_is_renewed_by_replace_or_it_is_told_and_never_are_there_two(
    renews: bool, keeps_id: bool, lost: str
) -> None:
    """Also where the answer to the replace is lost, or the account manager dies while it waits for it."""
    rules, switches = Rules(replace_renews=renews), Switches(replace_keeps_id=keeps_id)
    drill = Drill(settings=Settings(rules=rules, switches=switches))
    puts: list[int] = []

    def spoil(method: str, path: str, answer: HttpReply | None) -> HttpReply | None:
        if method == "PUT":
            puts.append(len(drill.stops))
            if lost == "manager" and len(puts) == 1:
                drill.desk.kill_process(MANAGER)
            return None if lost and len(puts) == 1 else answer
        return answer

    drill.spoil = spoil
    drill.until(lambda: drill.ours == 1)
    drill.until(lambda: drill.events("stop.renewed", "stop.not_renewed"), 400.0)
    drill.run(60.0)
    assert [event["kind"] for event in drill.events("stop.renewed", "stop.not_renewed")] == [
        "stop.renewed" if renews else "stop.not_renewed"
    ]
    assert puts == [1]
    assert len(drill.stops) == 1
    assert drill.theirs == 1
    assert drill.events("uncovered") == []
    assert bool(drill.deaths) == (lost == "manager")
    drill.judge(bars=not lost)
