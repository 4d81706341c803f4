"""Who is hung? PURE. Reads numbers, never a clock.

The judge first looks at his own lateness: if his turn came late, the whole machine (or the process group) stood
still, and the children had no chance to write. Their deadlines move by as much (DESIGN 4).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

STALL_S = 1.0
"""A turn later than this was a stall of the machine and not a busy loop: a busy one is late by milliseconds."""
POLL_MIN_S = 0.25
"""The page is not read more often than this, so that a child near its limit does not make the judge spin."""


class Judge(msgspec.Struct, frozen=True):
    """``grace_s`` is added to the numbers that were on the page when the stall ended, ``seen``, and to no others."""

    grace_s: float = 0.0
    seen: dict[int, float] = {}


def stalled(judge: Judge, late_s: float, page: Iterable[tuple[int, float]]) -> Judge:
    """The judge after a turn that came ``late_s`` too late."""
    seen = dict(page)
    grace = judge.grace_s if any(judge.seen.get(slot) == until_s for slot, until_s in seen.items()) else 0.0
    return Judge(grace_s=grace + late_s, seen=seen)


def overdue(judge: Judge, page: Iterable[tuple[int, float]], now_s: float) -> list[tuple[int, float]]:
    """The slots whose number lies in the past, and by how many seconds."""
    late = ((slot, now_s - _until(judge, slot, until_s)) for slot, until_s in page)
    return [(slot, by_s) for slot, by_s in late if by_s > 0]


def next_look_s(judge: Judge, page: Iterable[tuple[int, float]], now_s: float) -> float:
    """When to read the page again: at the earliest moment at which somebody could be overdue."""
    first = min((_until(judge, slot, until_s) for slot, until_s in page), default=now_s + 60.0)
    return max(first, now_s + POLL_MIN_S)


def _until(judge: Judge, slot: int, until_s: float) -> float:
    return until_s + judge.grace_s if judge.seen.get(slot) == until_s else until_s
