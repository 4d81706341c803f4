"""Whose is a process that the supervisor has adopted? PURE: what was read of it comes in as values.

A child's own children become the supervisor's when the child is gone, and when whoever started them in between is
(a daemon's double fork). Those of a child that lives stay; those of one that is gone are ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

Verdict = Literal["keep", "end", "unknown", "foreign"]


class Mark(msgspec.Struct, frozen=True):
    """What a process's environment says of where it comes from. ``incarnation`` 0: of the supervisor itself."""

    supervisor: str
    incarnation: int = 0
    child: str = ""


def verdict(
    mark: Mark | None, session: int, supervisor: str, incarnations: Collection[int], pids: Collection[int]
) -> Verdict:
    """``incarnations`` and ``pids`` are those of the living children; each child is the leader of its session.

    An incarnation is never used twice in a home, so one that does not live is one that is gone. A session's number
    is not given to a new process as long as somebody is in that session. Who carries no mark and has a session of its
    own cannot be put down to anybody: it is kept until the supervisor ends.
    """
    if mark is not None and mark.supervisor != supervisor:
        return "foreign"
    if mark is not None and mark.incarnation:
        return "keep" if mark.incarnation in incarnations else "end"
    return "keep" if session in pids else "unknown"


def named(processes: Collection[str]) -> str:
    """``"3 processes: sleep (12), sh (13) and 1 more"``."""
    shown = list(processes)[:NAMED_MAX]
    more = len(processes) - len(shown)
    count = f"{len(processes)} process{'es' if len(processes) != 1 else ''}"
    return f"{count}: {', '.join(shown)}" + (f" and {more} more" if more else "")


NAMED_MAX = 10
