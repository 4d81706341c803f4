"""Nights of heavy faults with every limit on: what the desk was allowed is never passed, and nothing else breaks."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from feeds.config import AccountLimits
from feeds.trading_day import began_utc
from trader.demo.script import STANDS
from trader.risk.limits import LimitsSection
from trader.sessions import journal_path
from trader.simulate.night import Night, Plan

ORDERS_A_DAY = 40
TRIPS_A_DAY = 12
OF_ACCOUNT = AccountLimits(
    max_order_quantity=Decimal(5),
    max_position_quantity=Decimal(5),
    max_orders_per_day=ORDERS_A_DAY,
    max_orders_per_minute=6,
    max_open_risk_usd=Decimal(5_000),
    max_daily_loss_usd=Decimal(3_000),
)
LIMITS = LimitsSection(
    max_round_trips_per_day=TRIPS_A_DAY,
    max_orders_per_minute=6,
    max_orders_per_day=ORDERS_A_DAY,
    max_open_risk_usd=Decimal(5_000),
    max_daily_loss_usd=Decimal(3_000),
    accounts={stand.account: OF_ACCOUNT for stand in STANDS},
)
KIND = {"F": "Futures", "M": "Margin"}


def played(seed: int, limits: LimitsSection) -> Night:
    night = Night(Plan(days=0.25, sessions=2, level="heavy", seed=seed), limits=limits)
    count = night.play()
    assert count.passed, (seed, count)
    return night


@pytest.mark.parametrize("seed", [1, 2, 4, 5, 8, 11])
def test_no_entry_is_written_beyond_what_was_allowed(seed: int) -> None:
    night = played(seed, LIMITS)
    entries = 0
    for stand in STANDS:
        journal = night.machine.store(journal_path(stand.name))
        placed = journal.query("SELECT purpose, written_utc FROM intents WHERE kind = 'place' ORDER BY number")
        trips = [
            row["at_utc"]
            for row in journal.query(
                "SELECT json_extract(body, '$.content.filled_utc') AS at_utc FROM rows"
                " WHERE json_extract(body, '$.content.position') = '0'"
            )
        ]
        for number, row in enumerate(placed):
            if row["purpose"] != "entry":
                continue
            entries += 1
            began = began_utc(row["written_utc"], KIND[stand.account[-1]])
            before = [each["written_utc"] for each in placed[:number]]
            assert sum(at_utc > began for at_utc in before) < ORDERS_A_DAY
            assert sum(at_utc > row["written_utc"] - 60 for at_utc in before) < 6
            assert sum(began < at_utc < row["written_utc"] for at_utc in trips) < TRIPS_A_DAY
    assert entries


def test_limits_that_bind_end_entries_and_leave_no_position_alone() -> None:
    tight = msgspec.structs.replace(LIMITS, max_round_trips_per_day=1)
    night = played(4, tight)
    gates: set[str] = set()
    for stand in STANDS:
        journal = night.machine.store(journal_path(stand.name))
        told = journal.query("SELECT json_extract(body, '$.content.gate') AS gate FROM rows")
        gates |= {row["gate"] for row in told if row["gate"]}
    assert "max_round_trips_per_day" in gates


def test_a_limited_night_is_the_same_night_again() -> None:
    assert played(2, LIMITS).fingerprint() == played(2, LIMITS).fingerprint()
