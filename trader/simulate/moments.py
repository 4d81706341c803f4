"""Deaths at the exact moments that count, and who dies at them: a function of seed, level and length. PURE.

Deaths at random hit the few milliseconds between a commit and a send, or between an answer and its commit, once in a
thousand nights; here each is aimed at. Drawn apart from the other faults, whose seeds so keep their meaning.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from supervisor.sim.kernel import Moment
from trader.simulate.faults import Fault, Level


class Point(NamedTuple):
    """``role``: kind of process. ``about``: the method, the message; "" any. ``weight``: how often it is drawn."""

    role: str
    moment: Moment
    about: str = ""
    weight: int = 1

    @property
    def name(self) -> str:
        return f"{self.role} {self.moment} {self.about}".rstrip()


POINTS: tuple[Point, ...] = (
    # An order's way: written, sent, booked, answered, and the outcome written. Also of a replace and of a cancel.
    *(Point("account_manager", "sends", method, 4) for method in ("POST", "PUT", "DELETE")),
    *(Point("account_manager", "sent", method, 2) for method in ("POST", "PUT", "DELETE")),
    *(Point("account_manager", "booked", method, 4) for method in ("POST", "PUT", "DELETE")),
    *(Point("account_manager", "answered", method, 4) for method in ("POST", "PUT", "DELETE")),
    Point("account_manager", "commits", "", 3),
    Point("account_manager", "committed", "", 3),
    # A turn: between the hook and its call, while it is committed, and with its answer unread.
    *(Point("trader", moment, "Turn", 4) for moment in ("calls", "called", "replied")),
    Point("trader", "called", "BeginSeries"),
    # Bars: a hole is being filled. Books: read, and not published. Feeds: told by the venue, and not published.
    *(Point("data_source", moment, "ReadHistory", 2) for moment in ("calls", "called", "replied")),
    Point("books", "answered", "GET", 2),
    Point("books", "publishes", "Snapshot", 2),
    Point("bars", "answered", "GET"),
    Point("bars", "publishes"),
    Point("orders", "publishes"),
    Point("positions", "publishes"),
    # A token is renewed, and what renews it next is not stored yet; a session's or a hold's row is not either.
    *(Point("connection", moment, "POST") for moment in ("booked", "answered")),
    *(Point("connection", moment) for moment in ("writes", "written")),
    *(Point("recorder", moment) for moment in ("commits", "committed")),
)
BY_NAME = {point.name: point for point in POINTS}
EVERY_S = {"light": 900.0, "heavy": 25.0}
"""Mean machine seconds between two of them."""
NTH_MAX = 3
"""It dies at this one or an earlier one from then on: most of them are rare."""
SUPERVISOR = 0.2
"""Part of them in which the supervisor dies at that moment, and all with it."""


def moments(seed: int, level: Level, length_s: float) -> list[Fault]:
    """Of a night that lasts ``length_s`` machine seconds, in order."""
    draw = random.Random(f"moments {seed}")
    weights = [point.weight for point in POINTS]
    drawn: list[Fault] = []
    at_s = draw.expovariate(1 / EVERY_S[level])
    while at_s < length_s:
        point = draw.choices(POINTS, weights)[0]
        seconds = 1.0 + draw.random()
        form = "supervisor" if draw.random() < SUPERVISOR else ""
        place, number = draw.random(), draw.randrange(1, NTH_MAX + 1)
        drawn.append(Fault(at_s, "die_at_moment", place, point.name, form, seconds, number))
        at_s += draw.expovariate(1 / EVERY_S[level])
    return drawn


class Aimed:
    """Who is to die at which of its moments. ``met``: deaths so far, by the name of the point."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._waiting: dict[tuple[str, str], list[tuple[Point, int, Callable[[], None]]]] = {}

    def aim(self, name: str, point: Point, nth: int, kill: Callable[[], None]) -> None:
        """``kill`` is called when the process of this name is there the so-manieth time from now on; it may raise
        ``WorldEnded``, as who runs is unwound by its death."""
        self._waiting.setdefault((name, point.moment), []).append((point, nth, kill))

    def clear(self) -> None:
        self._waiting.clear()

    def at_moment(self, name: str, moment: Moment, about: str) -> None:
        if not self._waiting or (waiting := self._waiting.get((name, moment))) is None:
            return
        due: list[tuple[Point, Callable[[], None]]] = []
        left = []
        for point, nth, kill in waiting:
            meant = point.about in ("", about)
            if meant and nth <= 1:
                due.append((point, kill))
            else:
                left.append((point, nth - meant, kill))
        self._waiting[name, moment] = left
        for point, kill in due[:1]:
            self.met[point.name] += 1
            kill()
