"""Nights of a strategy that declares anything at any moment, at a venue that fills in parts: all invariants hold."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from feeds.config import AccountLimits
from tests.simulate.regressions import night as plan_of
from trader.risk.limits import LimitsSection
from trader.simulate import cast, night

STRATEGY = str(Path(__file__).with_name("chaos.py"))
SEEDS = (4, 104, 107, 200, 214, 317)


def rules(draw: random.Random) -> Rules:
    return Rules(
        print_quantity_futures=draw.choice((50, 1, 2)),
        print_quantity_stocks=draw.choice((5000, 1, 2)),
        limit_needs_through=draw.random() < 0.3,
        group_cancel_status=draw.choice(("OUT", "CAN", "TSC", "BRC")),
        cancel_ends_group=draw.random() < 0.2,
        stop_hit_frames=draw.random() < 0.7,
    )


def words(draw: random.Random) -> dict[str, Any]:
    said = {
        "after_divergence": draw.choice(("hold", "follow")),
        "stop_passed": draw.choice(("exit", "page")),
        "inert_stop": draw.choice(("page", "close")),
    }
    of_account = AccountLimits(max_position_quantity=Decimal(draw.choice((2, 4))))
    limits = LimitsSection(accounts=dict.fromkeys(("SIM100001F", "SIM100001M"), of_account))
    return {**said, "limits": limits if draw.random() < 0.4 else None}


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_declared_all_invariants_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, stands, session = random.Random(f"chaos {seed}"), cast.stands, cast.session

    def seeded(*who: Any, **said: Any) -> Any:
        made, code = session(*who, **said)
        return msgspec.structs.replace(made, parameters={"seed": seed}), code

    monkeypatch.setattr(cast, "session", seeded)
    changed = rules(draw)
    monkeypatch.setattr(
        cast, "stands", lambda count: tuple(msgspec.structs.replace(s, strategy=STRATEGY) for s in stands(count))
    )
    monkeypatch.setattr(night, "Settings", lambda **named: Settings(**{**named, "rules": changed}))
    level = draw.choice(("light", "heavy"))
    count = night.Night(plan_of(seed, hours=0.5, level=level), **words(draw)).play()
    assert count.passed, count.problems
    assert count.intents > 0
