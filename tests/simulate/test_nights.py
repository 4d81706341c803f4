"""Nights of the whole desk that break all the time: all invariants, a hundred times; same seed, same night."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from brokers.tradestation.emulator.hours import is_open, new_york_second
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.orders import place
from brokers.tradestation.emulator.values import Now, Request
from tests.simulate.regressions import MONDAY_UTC, REGRESSIONS, night
from trader.cli.main import main
from trader.demo.verify import Count
from trader.messages import Row, SessionRow
from trader.sessions import journal_path
from trader.simulate.faults import DOWN_MAX_S, faults
from trader.simulate.habits import CHOICES, drawn
from trader.simulate.night import RATE, Night, Plan
from trader.simulate.week import BEGINS_UTC, WEEK_S, market

ROOT = Path(__file__).resolve().parents[2]
NIGHTS = 100
BATCH = 10
WEEK_LIMIT_S = 60.0
"""Of this process's own time, whatever the neighbours do (measured: 26 s)."""
SHORT = ["--days", "0.04", "--faults", "heavy", "--begin", "2013-10-07T14:00:00Z"]


def passed(plan: Plan) -> Count:
    count = Night(plan).play()
    assert count.passed, f"{count.problems}\nagain: {plan.command()}"
    return count


@pytest.mark.parametrize("first", range(1, NIGHTS + 1, BATCH))
def test_short_nights_with_heavy_faults_keep_all_invariants(first: int) -> None:
    counts = [passed(night(seed)) for seed in range(first, first + BATCH)]
    assert sum(count.faults for count in counts) > 5 * BATCH
    assert sum(count.intents for count in counts) > 5 * BATCH


@pytest.mark.parametrize("first", range(1, NIGHTS // 5, BATCH))
def test_the_venue_as_it_is_believed_to_be_is_one_of_them(first: int) -> None:
    for seed in range(first, first + BATCH):
        passed(night(seed, believed=True))


def test_the_seed_draws_every_value_of_what_nobody_knows_and_always_the_same() -> None:
    seen = [drawn(seed) for seed in range(200)]
    assert seen == [drawn(seed) for seed in range(200)]
    for name, values in CHOICES.items():
        assert {getattr(one, name) for one in seen} == set(values)


@pytest.mark.parametrize(("plan", "what"), REGRESSIONS)
def test_nights_that_once_failed_pass(plan: Plan, what: str) -> None:
    passed(plan)


def test_recorded_week_of_two_sessions_passes_in_under_a_minute() -> None:
    began_s = time.process_time()
    count = passed(Plan(days=5.0, sessions=2, level="light", seed=1))
    assert time.process_time() - began_s < WEEK_LIMIT_S
    assert count.bars_seen > 10_000
    assert count.faults > 30


def test_sessions_beyond_the_two_symbols_trade_on_accounts_of_their_own() -> None:
    finished = Night(night(1, sessions=5, level="light"))
    assert finished.play().passed
    accounts = {stand.account for stand in finished.stands}
    assert len(accounts) == 4, "the fourth shares the second's, on another symbol"
    assert len({(stand.account, stand.symbol) for stand in finished.stands}) == 5
    assert accounts == set(finished.machine.outside.state.ledger.accounts)
    fills = {fill.account for fill in finished.machine.outside.state.ledger.fills}
    assert fills == accounts


def test_days_beyond_the_data_repeat_its_week_on_the_same_days_of_the_week() -> None:
    series = market(3).series("ESZ13")
    assert series is not None
    first = series.closed(1, BEGINS_UTC, BEGINS_UTC + WEEK_S)
    third = series.closed(1, BEGINS_UTC + 2 * WEEK_S, BEGINS_UTC + 3 * WEEK_S)
    assert [bar.stamp_utc + 2 * WEEK_S for bar in first] == [bar.stamp_utc for bar in third]
    assert [bar.close for bar in first] == [bar.close for bar in third]


def test_weeks_after_a_change_of_the_clocks_keep_new_yorks_hours() -> None:
    series = market(6).series("SPY")
    assert series is not None
    for week in range(6):
        begin_utc = BEGINS_UTC + week * WEEK_S
        bars = series.closed(1, begin_utc, begin_utc + WEEK_S)
        opening = [bar.stamp_utc for bar in bars if new_york_second(bar.stamp_utc) == 9.5 * 3600 + 60]
        assert len(opening) == 5, "a bar a day ends a minute after the opening"
        assert all(is_open(instrument("SPY"), stamp - 1.0) for stamp in opening)
    stamps = [bar.stamp_utc for bar in series.bars]
    assert stamps == sorted(set(stamps))


NIGHTS_OF_HOURS = [
    ("over the close of stocks, the pause of futures and their opening", 19.0, 4.0),
    ("from before the opening of stocks into their day", 12.0, 3.0),
]


@pytest.mark.parametrize(("what", "utc_hour", "hours"), NIGHTS_OF_HOURS)
def test_nights_over_a_close_and_an_open_keep_all_invariants(what: str, utc_hour: float, hours: float) -> None:
    """No entry of a closed or closing market, each phase told once, whatever dies in between."""
    told: set[str] = set()
    for seed in range(1, 7):
        finished = Night(night(seed, hours=hours, begin_utc=MONDAY_UTC + (utc_hour - 14.0) * 3600))
        count = finished.play()
        assert count.passed, f"{what}: {count.problems}\nagain: {finished.plan.command()}"
        for stand in finished.stands:
            rows = finished.machine.store(journal_path(stand.name)).query("SELECT body FROM rows ORDER BY number")
            contents = [msgspec.json.decode(row["body"], type=Row).content for row in rows]
            told |= {f"{each.symbol} {each.phase}" for each in contents if isinstance(each, SessionRow)}
    assert told >= {"SPY closed", "SPY open"}
    assert utc_hour < 15 or told >= {"ESZ13 closing", "ESZ13 closed", "ESZ13 open", "SPY closing"}


def test_an_entry_of_a_closed_market_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its gate a night over the hours fails, so the check does look."""
    monkeypatch.setattr("trader.manager.entering.market_refusal", lambda symbol, moment: "")
    problems: list[str] = []
    for seed in range(1, 4):
        problems += Night(night(seed, hours=3.0, level="light", begin_utc=MONDAY_UTC - 4 * 3600)).play().problems
    assert any("was written while the market was closed" in each for each in problems), problems


def test_night_in_the_second_week_trades() -> None:
    assert passed(night(3, begin_utc=MONDAY_UTC + WEEK_S)).broker_orders > 0


# -- determinism -------------------------------------------------------------------------------------------------------


def simulated(hash_seed: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "trader.cli", "simulate", *SHORT, "--sessions", "3", "--seed", "7", "--json"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def test_two_interpreters_with_different_hash_seeds_write_the_same_record() -> None:
    one, other = simulated("1"), simulated("2")
    assert one.pop("seconds") > 0
    assert other.pop("seconds") > 0
    assert one == other
    assert one["faults"] > 0


def test_other_seed_writes_another_record() -> None:
    records = []
    for seed in (1, 2):
        finished = Night(night(seed, hours=0.25))
        finished.play()
        records.append(finished.record())
    assert records[0] != records[1]


def test_faults_follow_from_seed_level_and_length_alone() -> None:
    assert faults(1, "heavy", 3600.0) == faults(1, "heavy", 3600.0)
    assert faults(1, "heavy", 3600.0) != faults(2, "heavy", 3600.0)
    assert len(faults(1, "light", 36_000.0)) < len(faults(1, "heavy", 36_000.0)) / 10


# -- the command -------------------------------------------------------------------------------------------------------


def test_command_tells_the_demos_keys_and_its_own() -> None:
    ran = CliRunner().invoke(main, ["simulate", *SHORT, "--seed", "2", "--json"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout.splitlines()[-1])
    own = {"schema", "days", "sessions", "fault_level", "seed", "max_divergence_s", "record_sha256", "repeat"}
    assert set(told) == {*Count.__struct_fields__, *own}
    assert told["repeat"] == ""


def test_failing_night_exits_1_and_names_the_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that books an order twice under two keys: what the count must never miss."""
    play = Night.play

    def broken(self: Night) -> Count:
        self.machine.kernel.after(60.0, lambda: twice(self))
        return play(self)

    monkeypatch.setattr(Night, "play", broken)
    ran = CliRunner().invoke(main, ["simulate", *SHORT, "--seed", "2", "--json"])
    assert ran.exit_code == 1, ran.output
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["orders_twice"] == 1
    assert told["repeat"] == (
        "nightdesk simulate --days 0.04 --sessions 2 --faults heavy --seed 2 --begin 2013-10-07T14:00:00Z"
    )


def twice(finished: Night) -> None:
    """An order with a key of nobody's intent, far from the market."""
    outside, now_s = finished.machine.outside, finished.machine.kernel.now_s
    body = (
        b'{"AccountID": "SIM100001F", "Symbol": "ESZ13", "Quantity": "1", "OrderType": "StopMarket", "StopPrice": "1",'
        b' "TradeAction": "SELL", "TimeInForce": {"Duration": "GTC"}, "OrderConfirmID": "nobody"}'
    )
    place(outside.state, Request("POST", "/v3/orderexecution/orders", body=body), Now(now_s, outside.market_utc(now_s)))
    outside.advance(now_s)


def test_short_night_is_longer_than_a_dead_supervisor_stays_away() -> None:
    assert 3600 / RATE > 10 * DOWN_MAX_S
