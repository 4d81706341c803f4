"""What a subscriber makes of numbered publications. PURE.

Each publication carries the publisher's incarnation and a number; the last number is restated every second, and is
the welcome. A fresh subscription may have missed the first, and a lost *last* one is only seen by the restatement.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["new", "deliver", "repeat", "gap"]


class Followed(msgspec.Struct, frozen=True):
    """Where we are with one publisher and topic; incarnation 0 is *not welcomed yet*."""

    incarnation: int = 0
    number: int = 0


def heard(state: Followed, incarnation: int, number: int) -> tuple[Followed, Verdict]:
    """A publication has come. ``new``: tell the server that it is subscribed, then deliver. ``gap``: it missed some,
    so this one is not taken: fetch from ``state.number`` on."""
    if incarnation == state.incarnation:
        if number == state.number + 1:
            return Followed(incarnation, number), "deliver"
        return state, "gap" if number > state.number else "repeat"
    if incarnation > state.incarnation:
        return Followed(incarnation, number), "new"
    return state, "repeat"


def restated(state: Followed, incarnation: int, number: int) -> tuple[Followed, Verdict]:
    """The publisher says what its last number is."""
    if incarnation < state.incarnation:
        return state, "repeat"
    if incarnation > state.incarnation:
        return Followed(incarnation, number), "new"
    return state, "gap" if number > state.number else "repeat"
