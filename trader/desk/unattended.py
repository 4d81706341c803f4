"""A session that is slowed down while it holds something: who is told of it, and how loud. PURE.

A page is for what somebody has to do within minutes (docs/decisions/0034). With its stop at work, and an account
manager that minds it, a loss is bounded and the session may well be back in a moment: that is told at once and paged
when it lasts. A position without one, or that nobody minds, or of which nobody knows, is paged at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from supervisor.messages import ChildInfo, Level
from trader.sessions import manager_name

PAGED_AFTER_S = 60.0
"""Machine seconds that a covered, minded position is without its strategy before somebody is woken. (A feed that is
away as long, with a position, is the same thing to its owner.)"""
UP = ("held, up", "held, up, stale")

Exposure = Mapping[str, tuple[Decimal, Decimal]]
"""By symbol: what is held, and for how much of it a stop works."""


class Attention(msgspec.Struct, frozen=True):
    """What is open: since when, and how loud it was told."""

    since_s: float
    level: Level


class Told(msgspec.Struct, frozen=True):
    kind: str
    level: Level
    text: str


def slowed_down(children: Sequence[ChildInfo], session: str) -> list[ChildInfo]:
    """Its processes that die too often, up on trial or not; the rest of a group that waits for one is not named."""
    below = f"sessions/{session}/"
    return [child for child in children if child.name.startswith(below) and child.state.startswith("held")]


def look_after(
    session: str, slowed: Sequence[ChildInfo], exposure: Exposure | None, before: Attention | None, now_s: float
) -> tuple[Told | None, Attention | None]:
    """What is to be told, if anything; and what is open from now on. ``exposure`` None: its journal cannot be read.

    One that is up on trial is left alone, and what was told is not over: a strategy that dies of each bar is up between
    two of them."""
    if not slowed or exposure == {}:
        return (_over(session, slowed, before), None) if before else (None, None)
    down = [child for child in slowed if child.state not in UP]
    if not down:
        return None, before
    since_s = before.since_s if before else now_s
    minded = all(child.name != manager_name(session) for child in down)
    calm = exposure is not None and minded and all(stops >= abs(held) for held, stops in exposure.values())
    level: Level = "NOTIFY" if calm and now_s - since_s < PAGED_AFTER_S else "PAGE"
    if before is not None and (before.level == level or before.level == "PAGE"):
        return None, before
    what = " and ".join(f"{child.name} is slowed down ({child.why})" for child in down)
    text = f"{session}: {what}. {_held(exposure, minded=minded)} → nightdesk session flatten {session}"
    return Told("session.unattended", level, text), Attention(since_s, level)


def _held(exposure: Exposure | None, *, minded: bool) -> str:
    """Position and protection during the outage, and what does not happen."""
    if exposure is None:
        return "What it holds is not known, as its journal cannot be read."
    parts = []
    for symbol, (held, stops) in exposure.items():
        stop = f"a stop works for {stops:f}" if stops else "NO STOP works"
        parts.append(f"{held:f} {symbol} is held, {stop}")
    who = "its account manager minds it" if minded else "nobody minds it"
    return f"{'; '.join(parts)}; {who}, exits and stop moves of the strategy do not happen."


def _over(session: str, slowed: Sequence[ChildInfo], before: Attention) -> Told:
    text = f"{session}: flat, by its books" if slowed else f"{session}: its processes are well again"
    return Told("session.attended", "NOTIFY" if before.level == "PAGE" else "DIGEST", text)
