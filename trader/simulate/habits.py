"""How the venue of a night behaves where nobody knows: drawn by the seed, so that the desk is right either way. PURE.

Not drawn: the quotas nobody published (the desk's own pace stays below what is); the lives of rotating tokens (the
login of a night has a fixed one). Rules of orders are drawn in ``tempers.py``.
"""

from __future__ import annotations

import random
from typing import Any

from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.switches import Switches, Turned, turned

CHOICES: dict[str, tuple[Any, ...]] = {
    "order_snapshot": ("today", "open"),
    "confirm_id_memory": ("forever", "day", "none"),
    "replace_keeps_id": (True, False),
    "refusal_status": (400, 400, 403, 404, 422, 500),
    "stream_ends_with_token": (False, True),
    "stream_age_max_s": (0.0, 0.0, 40.0, 600.0),
    "goaway_every_s": (0.0, 0.0, 45.0, 300.0),
    "goaway_form": ("status", "error"),
    "idle_end_s": (0.0, 0.0, 20.0, 60.0),
    "heartbeat_counts": (True, False),
    "timestamp_skew_s": (0.0, -7200.0, 7200.0),
    "chunks": ("whole", "random"),
    "empty_minute_bars": (False, True),
    "closed_frame": ("timer", "next_tick"),
    "default_session": ("all", "regular"),
    "quota": ("rolling", "fixed", "off"),
}
"""A value that stands twice is drawn twice as often."""


def drawn(seed: int) -> Switches:
    """The habits of this seed's venue. (The faults of a night are drawn apart: either can change alone.)"""
    draw = random.Random(f"habits {seed}")
    changes = {name: draw.choice(values) for name, values in CHOICES.items()}
    return turned(Turned(Switches(), Rules()), changes).switches
