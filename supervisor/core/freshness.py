"""Who has become stale, and who is fresh again? PURE. Reads numbers, never a clock.

A child declares until when what it delivers is recent enough; 0 is no declaration. The judge's own lateness is excused
as it is for liveness (``liveness.py``): a child that could not deliver while the machine stood still is not called
stale for it. Nobody is killed here, so a wrong word costs an alarm, and a missing one a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from supervisor.core import liveness
from supervisor.core.tree import NEVER_S

RECHECK_S = 1.0
"""While somebody is stale the page is read this often, to see that it delivers again."""


class Watch(msgspec.Struct, frozen=True):
    """``stale``: the incarnations that were told to be. An incarnation is never used twice."""

    judge: liveness.Judge = liveness.Judge()
    stale: frozenset[int] = frozenset()


def stalled(watch: Watch, unwatched_s: float, page: Iterable[tuple[int, float]]) -> Watch:
    """``page``: ``(incarnation, fresh_until_s)`` of those that are ready."""
    return msgspec.structs.replace(watch, judge=liveness.stalled(watch.judge, unwatched_s, declared(page)))


def judge(watch: Watch, page: Iterable[tuple[int, float]], now_s: float) -> tuple[Watch, list[int], list[int]]:
    """Who has become stale, and who fresh: each is told once. ``now_s`` was read before the page was."""
    told = declared(page)
    late = {incarnation for incarnation, _ in liveness.overdue(watch.judge, told, now_s)}
    known = watch.stale & {incarnation for incarnation, _ in told}
    fresh = [incarnation for incarnation, until_s in told if incarnation in known and until_s > now_s]
    became = [incarnation for incarnation, _ in told if incarnation in late and incarnation not in known]
    stale = known.difference(fresh).union(became)
    return msgspec.structs.replace(watch, stale=stale), became, fresh


def next_look_s(watch: Watch, page: Iterable[tuple[int, float]], now_s: float) -> float:
    """Infinity where nobody has declared anything."""
    told = declared(page)
    waiting = [(incarnation, until_s) for incarnation, until_s in told if incarnation not in watch.stale]
    first_s = liveness.next_look_s(watch.judge, waiting, now_s, NEVER_S) if waiting else NEVER_S
    return min(first_s, now_s + RECHECK_S) if len(waiting) < len(told) else first_s


def declared(page: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(incarnation, until_s) for incarnation, until_s in page if until_s]
