"""What breaks in a simulated night, and when: a function of seed, level and length. PURE.

The demo has each fault once; here they come at random moments, on whatever runs then, and on each other's heels.
"""

from __future__ import annotations

import random
from typing import Literal, Protocol, TypeVar

import msgspec

from supervisor.sim.kernel import Moment

Level = Literal["light", "heavy"]
Kind = Literal[
    "kill",
    "die_at_boundary",
    "die_at_moment",
    "freeze",
    "kill_supervisor",
    "goaway",
    "stall",
    "end",
    "reset",
    "error",
    "lose_reply",
    "hand_trade",
    "hand_flat",
    "hand_cancel",
    "hand_order",
    "kill_venue",
    "hold",
    "halt",
    "halt_file",
    "flatten",
    "flatten_all",
    "quirk",
    "hand_move",
]
K = TypeVar("K", bound=str)

EVERY_S = {"light": 300.0, "heavy": 12.0}
"""Mean machine seconds between two faults: a bad night, and one in which repairs overlap all the time."""
FIRST_S = 1.0
"""From the start on: a desk that is just coming up is killed too."""
WEIGHTS: dict[Kind, int] = {
    "kill": 30,
    "die_at_boundary": 30,
    "freeze": 10,
    "kill_supervisor": 4,
    "goaway": 5,
    "stall": 5,
    "end": 4,
    "reset": 4,
    "error": 3,
    "lose_reply": 10,
    "hand_trade": 4,
    "hand_flat": 3,
    "hand_cancel": 3,
    "hand_order": 2,
    "kill_venue": 3,
}
STOPS_EVERY_S = {"light": 3000.0, "heavy": 60.0}
"""Mean machine seconds between two times that a person stops something: some are asked while the last still stands."""
STOPS: dict[Kind, int] = {"hold": 3, "halt": 2, "halt_file": 2, "flatten": 3, "flatten_all": 2}
ORDER_PATHS = ("POST /v3/orderexecution/*", "PUT /v3/orderexecution/*", "DELETE /v3/orderexecution/*")
QUIRKS_EVERY_S = {"light": 1500.0, "heavy": 25.0}
"""Mean machine seconds between two quirks of the venue."""
QUIRKS: dict[str, int] = {
    "status": 6,
    "late_booking": 3,
    "drop_order": 3,
    "fill_on_ack": 2,
    "fill_twice": 2,
    "out_after_replace": 2,
    "unknown_status": 2,
    "bars_repeat": 2,
    "bars_late": 2,
    "bars_gap": 2,
    "position_deleted": 2,
    "dual_logon": 1,
    "mute": 1,
    "inert_stop": 3,
    "hand_move": 4,
}
"""What the venue does wrong with one request, frame or bar (its names: emulator/fault_rules.py); and, in their midst, a
person who moves our stop."""
QUIRK_S = 60.0
"""Machine seconds: what found nothing to act on by then is over. (What waited longer would add up while the market is
closed, and the first hour of a week would lose every answer.)"""
STATUSES = (429, 500, 503, 504)
LATE_MAX_S = 20.0
"""An order placed is in no list, or a bar is told, so much later at most."""
ROLES: dict[str, int] = {
    "account_manager": 8,
    "trader": 5,
    "data_source": 4,
    "connection": 3,
    "books": 3,
    "bars": 3,
    "orders": 3,
    "positions": 2,
    "recorder": 2,
    "ensure_sessions": 2,
    "control": 1,
}
"""How often each kind of process is hit."""
INSTRUCTIONS: dict[str, int] = {
    "POST /v3/orderexecution/*": 8,
    "PUT /v3/orderexecution/*": 3,
    "DELETE /v3/orderexecution/*": 2,
}
"""Whose answer is lost: of placings, replaces and cancels."""
BOUNDARY_MAX = 60
"""A process dies at one of its next so many messages sent or handled: within a few turns."""
FREEZE_MAX_S = 25.0
"""Within and past the liveness limit of 10 s."""
STALL_MAX_S = 60.0
"""Within and past three heartbeats."""
DOWN_MAX_S = 8.0
"""How long a killed supervisor or venue stays away: systemd waits a second, an operator longer."""
SLOW_MAX_S = 25.0
"""Of one request to the venue, or of its answer: within and past our limit of 10 s, so that an order can show up after
its intent has been given up."""
DELAY_MAX_S = 0.5
"""Of one message between two processes: a machine under load."""


class Fault(msgspec.Struct, frozen=True):
    """``at_s``: machine seconds from the start. ``place``: 0 to 1, which one of those that can be hit then. ``role``:
    kind of process, or of stream; of a moment, its point's name; of a lost answer, the instruction; of a quirk, its
    fault at the emulator. ``number``: of a boundary or moment, of units traded by hand, of a status or of times, or 1
    for a halt file that asks for a flatten too."""

    at_s: float
    kind: Kind
    place: float
    role: str = ""
    form: str = ""
    seconds: float = 0.0
    number: int = 0


class Odds(msgspec.Struct, frozen=True):
    """What goes wrong by itself: shares of all messages, of all publications to one subscriber, and of all requests to
    the venue or their answers."""

    delayed: float
    lost: float
    slow: float


ODDS = {"light": Odds(delayed=0.002, lost=0.001, slow=0.001), "heavy": Odds(delayed=0.02, lost=0.02, slow=0.01)}


def faults(seed: int, level: Level, length_s: float) -> list[Fault]:
    """The faults of a night that lasts ``length_s`` machine seconds, in order."""
    draw = random.Random(f"faults {seed}")
    drawn: list[Fault] = []
    at_s = FIRST_S + draw.expovariate(1 / EVERY_S[level])
    while at_s < length_s:
        drawn.append(_fault(draw, at_s))
        at_s += draw.expovariate(1 / EVERY_S[level])
    return drawn


def stops(seed: int, level: Level, length_s: float) -> list[Fault]:
    """What a person stops in that night; in every second one nothing, as much of what breaks is only met by who
    trades. (Drawn apart, so that the faults of a seed stay what they are.)"""
    draw = random.Random(f"stops {seed}")
    drawn: list[Fault] = []
    if seed % 2 == 0:
        return drawn
    at_s = draw.expovariate(1 / STOPS_EVERY_S[level])
    while at_s < length_s:
        drawn.append(Fault(at_s, _one(draw, STOPS), draw.random(), number=draw.randrange(2)))
        at_s += draw.expovariate(1 / STOPS_EVERY_S[level])
    return drawn


def quirks(seed: int, level: Level, length_s: float) -> list[Fault]:
    """What the venue does wrong in that night, one request or frame each; in every third one nothing. The last bar
    is told as it should be: that it is missing only market time says, which stands then. (Drawn apart.)"""
    draw = random.Random(f"quirks {seed}")
    drawn: list[Fault] = []
    if seed % 3 == 0:
        return drawn
    at_s = draw.expovariate(1 / QUIRKS_EVERY_S[level])
    while at_s < length_s - QUIRK_S:
        name, path = _one(draw, QUIRKS), draw.choice(ORDER_PATHS)
        form = path if name == "status" else draw.choice(("before", "after"))
        number = draw.choice(STATUSES) if name == "status" else draw.randint(1, 2)
        kind: Kind = "hand_move" if name == "hand_move" else "quirk"
        drawn.append(Fault(at_s, kind, draw.random(), name, form, 1.0 + draw.random() * (LATE_MAX_S - 1.0), number))
        at_s += draw.expovariate(1 / QUIRKS_EVERY_S[level])
    return drawn


def _fault(draw: random.Random, at_s: float) -> Fault:
    kind: Kind = _one(draw, WEIGHTS)
    role = _one(draw, ROLES)
    if kind in ("goaway", "stall", "end", "reset", "error"):
        role = draw.choice(("bars", "orders", "positions"))
    if kind == "lose_reply":
        role = _one(draw, INSTRUCTIONS)
    form = {"goaway": draw.choice(("status", "error")), "lose_reply": draw.choice(("before", "after"))}.get(kind, "")
    longest_s = {"freeze": FREEZE_MAX_S, "stall": STALL_MAX_S}.get(kind, DOWN_MAX_S)
    seconds = 1.0 + draw.random() * (longest_s - 1.0)
    number = draw.choice((-1, 1)) if kind == "hand_trade" else draw.randrange(1, BOUNDARY_MAX + 1)
    return Fault(at_s, kind, draw.random(), role, form, seconds, number)


def _one(draw: random.Random, weights: dict[K, int]) -> K:
    """A key by its weight."""
    return draw.choices(list(weights), list(weights.values()))[0]


class Aim(Protocol):
    """Who is to die at which moment (``trader.simulate.moments.Aimed``)."""

    def at_moment(self, name: str, moment: Moment, about: str) -> None: ...
    def clear(self) -> None: ...


class Mishaps:
    """``supervisor.sim.kernel.Chances``: what goes wrong by itself, and who is to die at which of its messages.
    ``slowed``: requests and answers that were slow so far."""

    def __init__(self, odds: Odds, aim: Aim) -> None:
        self._odds = odds
        self._aim = aim
        self._armed: dict[str, int] = {}
        self.slowed = 0

    def arm(self, name: str, boundaries: int) -> None:
        """The process of this name dies at its so-manieth message from now on."""
        self._armed[name] = boundaries

    def calm_down(self) -> None:
        """From now on nothing goes wrong by itself."""
        self._odds = Odds(0.0, 0.0, 0.0)
        self._armed.clear()
        self._aim.clear()

    def delay_s(self, draw: random.Random) -> float:
        return DELAY_MAX_S * draw.random() if draw.random() < self._odds.delayed else 0.0

    def net_delay_s(self, draw: random.Random) -> float:
        if draw.random() >= self._odds.slow:
            return 0.0
        self.slowed += 1
        return SLOW_MAX_S * draw.random()

    def loses_publication(self, draw: random.Random) -> bool:
        return draw.random() < self._odds.lost

    def dies_at_boundary(self, name: str, draw: random.Random) -> bool:
        left = self._armed.get(name)
        if left is None:
            return False
        if left > 1:
            self._armed[name] = left - 1
            return False
        del self._armed[name]
        return True

    def at_moment(self, name: str, moment: Moment, about: str) -> None:
        self._aim.at_moment(name, moment, about)
