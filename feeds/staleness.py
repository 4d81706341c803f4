"""When a stream is silent. PURE: who judges looks at his own lateness first.

Any byte is a sign of life, a heartbeat as good as data; a socket that died without a word gives none. A judge whose
turn came late (the machine stood still, a read took long) moves the deadline by that: bytes may be waiting for him.
"""

from __future__ import annotations

import msgspec

MISSED_BEATS = 3
"""The venue beats about every 5 s when idle; three missed beats are silence."""

TURNS_IN_A_BEAT = 5
"""The judge looks this often in the time of a heartbeat: silence is noticed at most a fifth of a beat late."""


class Silence(msgspec.Struct, frozen=True):
    """The watch over one stream; machine seconds. ``alive`` False: no byte has come yet."""

    heartbeat_s: float
    first_byte_s: float
    deadline_s: float
    next_turn_s: float
    alive: bool = False

    @property
    def turn_every_s(self) -> float:
        return self.heartbeat_s / TURNS_IN_A_BEAT

    @property
    def limit_s(self) -> float:
        return MISSED_BEATS * self.heartbeat_s if self.alive else self.first_byte_s

    @property
    def contact_s(self) -> float:
        """So long after a byte the feed is called fresh: twice what a feed that judges its stream lets it live. So
        *stale* is a feed that no longer judges, never one that is about to end."""
        return 2 * MISSED_BEATS * self.heartbeat_s

    def heard(self, now_s: float) -> Silence:
        deadline_s = now_s + MISSED_BEATS * self.heartbeat_s
        return Silence(self.heartbeat_s, self.first_byte_s, deadline_s, self.next_turn_s, alive=True)

    def turn(self, now_s: float) -> Silence:
        """The judge's turn has come, perhaps late."""
        late_s = max(0.0, now_s - self.next_turn_s)
        return msgspec.structs.replace(self, deadline_s=self.deadline_s + late_s, next_turn_s=now_s + self.turn_every_s)

    def silent(self, now_s: float) -> bool:
        return now_s > self.deadline_s

    def __str__(self) -> str:
        if self.alive:
            return f"silence: not a byte for {self.limit_s:g} s ({MISSED_BEATS} heartbeats)"
        return f"no first byte within {self.limit_s:g} s of asking for the stream"


def watch_opened(now_s: float, *, heartbeat_s: float, first_byte_s: float) -> Silence:
    """The watch over a stream that is asked for now."""
    return Silence(
        heartbeat_s=heartbeat_s,
        first_byte_s=first_byte_s,
        deadline_s=now_s + first_byte_s,
        next_turn_s=now_s + heartbeat_s / TURNS_IN_A_BEAT,
    )
