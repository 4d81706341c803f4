"""A strategy's timers: when each is due in market time. PURE.

A timer is due at moments that its definition alone tells (multiples of its seconds, a time of day in a zone), never
"n seconds after the start": so a restart changes nothing about them. What the journal keeps is the newest moment that a
committed turn has consumed; of those that passed meanwhile only the newest is told, once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""A timer's name stands in a note and in the journal."""
EVERY_MIN_S = 1
"""Market seconds: a turn is a commit, and a timer is no price stream."""
EVERY_MAX_S = 86_400
"""A day; what is due more seldom is due at a time of day."""
TIMERS_MAX = 50
"""Of one strategy: each is looked at whenever one may be due."""


class BadTimer(ValueError):
    """A timer that cannot be meant; the message says which value and what is allowed."""


class Timer(msgspec.Struct, frozen=True):
    """``every_s`` market seconds, counted from 1970 on (3600 is each full hour UTC); or, with ``every_s`` 0, each day
    ``at`` this time in ``zone``, which keeps to the clock of the place over summer and winter time."""

    name: str
    every_s: int = 0
    at: time | None = None
    zone: ZoneInfo | None = None

    def newest_due(self, now_utc: float) -> int:
        """The newest moment, up to now, at which it was due."""
        if self.at is None:
            return int(now_utc) // self.every_s * self.every_s
        today = datetime.fromtimestamp(now_utc, self.zone).date()
        return next(moment for moment in map(self._on, (today, _before(today))) if moment <= now_utc)

    def next_due(self, after_utc: float) -> int:
        """The first moment after this one at which it is due."""
        if self.at is None:
            return (int(after_utc) // self.every_s + 1) * self.every_s
        day = _before(datetime.fromtimestamp(after_utc, self.zone).date())
        while self._on(day) <= after_utc:
            day += timedelta(days=1)
        return self._on(day)

    def _on(self, day: date) -> int:
        """A time that the clock change leaves out is an hour later, one that comes twice is the first."""
        assert self.at is not None
        return int(datetime.combine(day, self.at, self.zone).timestamp())


def timer(name: str, every_s: int | None, at: str | None, zone: str) -> Timer:
    """As a strategy declares it. Raises ``BadTimer``."""
    if not NAME.fullmatch(name):
        raise BadTimer(f"timer {name!r}: a name has 1 to 40 of A-Z a-z 0-9 _ -")
    if (every_s is None) == (at is None):
        raise BadTimer(f"timer {name!r}: wanted one of every_s=SECONDS and at='15:55'")
    if every_s is not None:
        if type(every_s) is not int or not EVERY_MIN_S <= every_s <= EVERY_MAX_S:
            raise BadTimer(
                f"timer {name!r}: every_s {every_s!r}, allowed are whole seconds, {EVERY_MIN_S} to {EVERY_MAX_S}"
            )
        return Timer(name, every_s=every_s)
    return Timer(name, at=_time_of_day(name, at or ""), zone=_zone(name, zone))


def _time_of_day(name: str, at: str) -> time:
    try:
        moment = time.fromisoformat(at)
    except ValueError as error:
        raise BadTimer(f"timer {name!r}: at {at!r}, wanted a time of day like 15:55 or 15:55:30") from error
    if moment.microsecond:
        raise BadTimer(f"timer {name!r}: at {at!r}, wanted whole seconds")
    if moment.tzinfo is not None:
        raise BadTimer(f"timer {name!r}: at {at!r} has a zone in it; give it as zone='America/New_York'")
    return moment


def _zone(name: str, zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError of its own
        raise BadTimer(f"timer {name!r}: zone {zone!r}: {error}") from error
    except KeyError as error:
        raise BadTimer(f"timer {name!r}: zone {zone!r} is not known here; like America/New_York or UTC") from error


def _before(day: date) -> date:
    return day - timedelta(days=1)


class Timers:
    """The timers of a strategy and where each stands. ``cursors``: the moments that committed turns have consumed."""

    def __init__(self, timers: Iterable[Timer], cursors: Mapping[str, int]) -> None:
        self.timers = {timer.name: timer for timer in timers}
        self._cursors = {name: cursors[name] for name in self.timers if name in cursors}

    def begin(self, now_utc: float) -> dict[str, int]:
        """Timers that are new begin now: their cursors, to be made durable before the first moment is told."""
        new = {name: int(now_utc) for name in self.timers if name not in self._cursors}
        self._cursors |= new
        return new

    def due(self, now_utc: float) -> tuple[str, int] | None:
        """What is to be told: the timer that is due longest, and the newest of its moments."""
        waiting = [(timer.next_due(self._cursors[name]), name) for name, timer in self.timers.items()]
        first_utc, name = min(waiting, default=(math.inf, ""))
        return None if first_utc > now_utc else (name, self.timers[name].newest_due(now_utc))

    def consumed(self, name: str, due_utc: int) -> None:
        self._cursors[name] = due_utc

    def next_due(self) -> float:
        """When the next one is due; infinity where there is none."""
        return min((timer.next_due(self._cursors[name]) for name, timer in self.timers.items()), default=math.inf)
