"""What a night's sessions are like, what limits they have, how their venue treats orders: drawn by the seed. PURE.

Four sessions in ten are the demo's own; the others gamble (gambler.py), so that what the examples never say is said
too: shorts, additions, reversals, takes, trails, stops behind the market. What happens in less than two of a hundred
nights is tested by none of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.switches import Switches, Turned, turned
from feeds.config import AccountLimits
from trader.arguments import Protection
from trader.demo.script import Stand
from trader.risk.limits import LimitsSection

GAMBLER = "trader.simulate.gambler"
GAMBLERS = 0.6
"""Part of the sessions."""
LIMITED = 0.25
"""Part of the nights in which the desk and its accounts have limits, so tight that they bind."""
LEFT = 0.15
"""Part of the nights at whose beginning a position lies there already, which the session takes over or not."""
WORDS: dict[str, tuple[Any, ...]] = {
    "after_divergence": ("hold", "follow"),
    "stop_passed": ("exit", "page"),
    "inert_stop": ("page", "close"),
    "flat_at_close_min": (0, 0, 5),
}
"""Of sessions."""
PROTECTION: tuple[Protection, ...] = ("venue", "venue", "desk")
UNITS = (1, 2, 3)
RULES: dict[str, tuple[Any, ...]] = {
    "print_quantity_futures": (50, 50, 1),
    "print_quantity_stocks": (5_000, 5_000, 1),
    "limit_needs_through": (False, True),
    "cancel_s": (0.0, 0.0, 15.0),
    "replace_s": (0.0, 0.0, 15.0),
    "replace_shows_out": (False, False, True),
    "group_cancel_status": ("OUT", "CAN", "TSC", "BRC"),
    "oso_sends_on_part_fill": (False, False, True),
    "expired_shows_executed": (True, False),
    "stop_hit_frames": (True, False),
}
"""How the venue treats orders where nobody knows; seconds are market time. A value that stands twice is drawn twice as
often."""

DELAYS_MAX_S = {name: max(RULES[name]) for name in ("cancel_s", "replace_s")}


class Temper(msgspec.Struct, frozen=True):
    """``words``: what all sessions say of themselves. ``parameters``: of those that gamble, by name. ``left``: the
    account's position at the beginning, of the first session."""

    words: dict[str, Any]
    parameters: dict[str, dict[str, Any]]
    protection: Protection
    limits: LimitsSection
    left: int = 0


def temper(seed: int, stands: Sequence[Stand]) -> Temper:
    draw = random.Random(f"temper {seed}")
    words = {name: draw.choice(values) for name, values in WORDS.items()}
    protection = draw.choice(PROTECTION)
    limited, left = draw.random() < LIMITED, draw.choice((-1, 1)) if draw.random() < LEFT else 0
    words["take_over"] = bool(left) and draw.random() < 1 / 2
    gamblers = {}
    for name in dict.fromkeys(stand.name for stand in stands):
        parameters = {
            "seed": seed,
            "units": draw.choice(UNITS),
            "shorts": draw.random() < 1 / 2,
            "resumes": draw.random() < 1 / 3,
        }
        if draw.random() < GAMBLERS:
            gamblers[name] = parameters
    return Temper(words, gamblers, protection, limits(stands) if limited else LimitsSection(), left)


def limits(stands: Sequence[Stand]) -> LimitsSection:
    """Two sessions on one account share them."""
    of_account = AccountLimits(max_position_quantity=Decimal(2), max_orders_per_minute=2, max_orders_per_day=60)
    return LimitsSection(
        max_position_quantity=Decimal(2),
        max_round_trips_per_day=15,
        max_rejects=4,
        rejects_within_minutes=10,
        accounts={stand.account: of_account for stand in stands},
    )


def rules(seed: int) -> Rules:
    """How the venue of this seed treats orders."""
    draw = random.Random(f"rules {seed}")
    changes = {name: draw.choice(values) for name, values in RULES.items()}
    return turned(Turned(Switches(), Rules()), changes).rules
