"""Who is hung? PURE. Reads numbers, never a clock.

The judge first looks at his own lateness. If his turn came late, the whole machine (or the process group)
may have stood still, since any moment after his last turn; the children had no chance to write. So he excuses them
for all the time that he did not watch, and accuses nobody but for time that he did.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

STALL_S = 0.125
"""A turn that comes later than this after its planned time may have been a stall: a busy loop is late by less."""
POLL_MIN_S = 0.125
"""The page is not read more often than this, so that a child near its limit does not make the judge spin."""
LOOKS_A_LIMIT = 4
"""The page is read at least so often within the smallest liveness limit."""
MARGIN_S = STALL_S + POLL_MIN_S
"""How long past its number a child is let be. A first look can come so late without being called late; only at the
next one it is certain that the child had its chance."""
NOBODY_S = 60.0
"""The next look where there is nobody to look at."""


class Judge(msgspec.Struct, frozen=True):
    """``excused``: for a slot the number that was on the page when a stall ended, and by how much it was moved."""

    excused: dict[int, tuple[float, float]] = {}


def stalled(judge: Judge, unwatched_s: float, page: Iterable[tuple[int, float]]) -> Judge:
    """The judge after a turn that came late: ``unwatched_s`` is all the time since his last turn in time.

    His lateness alone would not do: a child that was stopped 1 s after the judge fell asleep for 10 s had 9 s left.
    """
    return Judge({slot: (until_s, _excuse_s(judge, slot, until_s) + unwatched_s) for slot, until_s in page})


def overdue(judge: Judge, page: Iterable[tuple[int, float]], now_s: float) -> list[tuple[int, float]]:
    """The slots whose number lies in the past, and by how many seconds. ``now_s`` was read before the page was."""
    late = ((slot, now_s - until_s - _excuse_s(judge, slot, until_s)) for slot, until_s in page)
    return [(slot, by_s) for slot, by_s in late if by_s >= MARGIN_S]


def next_look_s(judge: Judge, page: Iterable[tuple[int, float]], now_s: float, limit_s: float) -> float:
    """When to read the page again: as soon as somebody is past his number, and again when he is past the margin.

    And several times within ``limit_s``, the smallest limit there is: who declares a long call and comes back early has
    a nearer number than the one that was read.
    """
    first_s = min((until_s + _excuse_s(judge, slot, until_s) for slot, until_s in page), default=now_s + NOBODY_S)
    past_s = first_s if first_s > now_s else first_s + MARGIN_S
    return max(min(past_s, now_s + limit_s / LOOKS_A_LIMIT), now_s + POLL_MIN_S)


def _excuse_s(judge: Judge, slot: int, until_s: float) -> float:
    """Only for the very number that was on the page then: who has written since was not stopped any more."""
    number_s, by_s = judge.excused.get(slot, (0.0, 0.0))
    return by_s if number_s == until_s else 0.0
