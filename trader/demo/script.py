"""What breaks in a demo, and when: a function of the seed and the length.

Every run has each kind once; the seed draws moment, target and form. The supervisor goes last: after it, the record
of the night must still be whole. In the middle of it a person holds a session, and releases it. And the venue rejects
a stop that works: no fault of the desk's own, and not at a moment but in the first one in which there is such a stop.
"""

from __future__ import annotations

import random
from typing import Literal

import msgspec

Kind = Literal[
    "goaway",
    "stall",
    "kill_trader",
    "kill_account_manager",
    "kill_connection",
    "hand_trade",
    "kill_supervisor",
    "hold",
    "release",
    "reject_stop",
]
BY_A_PERSON: tuple[Kind, Kind] = ("hold", "release")
"""What is no fault."""
BY_THE_VENUE: Kind = "reject_stop"
"""What waits for its moment: a position whose stop works, and nothing else just broken."""
HELD = (0.4, 0.55)
"""Parts of the run between which a session is held: things break in it."""
FIRST, LAST = 0.15, 0.72
"""Parts of the run between which things break: before, it opens positions; after, it must be well again."""
REJECTS = (0.3, 0.6)
"""Parts of the run between which the venue begins to look for a stop to reject: earlier, no position is open."""
SPREAD = 0.5
"""Part of the gap between two faults within which the seed moves each."""


class Stand(msgspec.Struct, frozen=True):
    """One session of the demo; in a simulated night one symbol of a session, which may have two of them.
    ``data_connection``: where its bars come from, where that is not its ``connection``."""

    name: str
    symbol: str
    account: str
    strategy: str
    connection: str = "sim"
    data_connection: str = ""


STANDS = (
    Stand("es-breakout", "ESZ13", "SIM100001F", "breakout"),
    Stand("spy-ema", "SPY", "SIM100001M", "ema_cross"),
)


class Fault(msgspec.Struct, frozen=True):
    """``at_s``: machine seconds from the start of trading. ``form``: of a GoAway; ``feed``: which stream."""

    at_s: float
    kind: Kind
    stand: Stand
    form: str = ""
    feed: str = ""
    quantity: int = 0


def script(seed: int, length_s: float) -> list[Fault]:
    """What happens in a run that lasts ``length_s``, in order: its faults, what a person does, and what the venue."""
    stand = STANDS[seed % len(STANDS)]
    person = [Fault(length_s * part, kind, stand) for part, kind in zip(HELD, BY_A_PERSON, strict=True)]
    rejects_s = length_s * random.Random(f"venue {seed}").uniform(*REJECTS)
    venue = Fault(rejects_s, BY_THE_VENUE, STANDS[(seed + 1) % len(STANDS)])
    return sorted([*faults(seed, length_s), *person, venue], key=lambda each: each.at_s)


def faults(seed: int, length_s: float) -> list[Fault]:
    """The faults of a run that lasts ``length_s``, in order."""
    draw = random.Random(seed)
    kinds: list[Kind] = ["goaway", "stall", "kill_trader", "kill_account_manager", "kill_connection", "hand_trade"]
    draw.shuffle(kinds)
    kinds.append("kill_supervisor")
    gap = (LAST - FIRST) / (len(kinds) - 1)
    moments = [FIRST + gap * (place + SPREAD * (draw.random() - 0.5)) for place in range(len(kinds))]
    return [_fault(draw, kind, length_s * moment) for kind, moment in zip(kinds, moments, strict=True)]


def _fault(draw: random.Random, kind: Kind, at_s: float) -> Fault:
    stand = draw.choice(STANDS)
    form = draw.choice(("status", "error")) if kind == "goaway" else ""
    feed = {"goaway": "bars", "stall": draw.choice(("bars", "orders", "positions"))}.get(kind, "")
    quantity = draw.choice((-1, 1)) if kind == "hand_trade" else 0
    return Fault(at_s, kind, stand, form, feed, quantity)


def told(fault: Fault) -> str:
    """One line for people."""
    who, feed = fault.stand, f"{fault.feed} feed of {fault.stand.symbol}"
    lines: dict[Kind, str] = {
        "goaway": f"the venue sends GoAway ({fault.form}) on the {feed}",
        "stall": f"the {feed if fault.feed == 'bars' else fault.feed + ' feed of ' + who.account} goes silent",
        "kill_trader": f"kill -9 sessions/{who.name}/trader",
        "kill_account_manager": f"kill -9 sessions/{who.name}/account_manager",
        "kill_connection": "kill -9 connections/sim/connection",
        "hand_trade": f"a person trades {fault.quantity:+d} {who.symbol} by hand at the broker",
        "kill_supervisor": "kill -9 the supervisor; a fresh `nightdesk run` follows",
        "hold": f"a person holds session {who.name}: no new entries",
        "release": f"the person releases session {who.name}",
        "reject_stop": f"the venue rejects a working stop in the next quiet moment (of {who.symbol}, if there is one)",
    }
    return lines[fault.kind]
