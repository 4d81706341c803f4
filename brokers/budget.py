"""How many requests one process may send, by resource, and when it has to wait. PURE: time and chance are arguments.

A venue counts by resource over all processes of a login; each process keeps to a part of that by itself, so nobody has
to be asked before a read. A part is spent so that it cannot be exceeded in *any* window of the venue's period: half of
it may go out at once, the other half comes back evenly. (So a part of 62 in 300 s never holds a read up for longer than
10 s: the account's rhythm of 30 s goes on whatever was spent before.)

After a failure the same resource is left alone for a while, longer each time, with jitter: many processes that lost the
venue together do not come back together. The venue's own word (429, nothing remaining) is obeyed to the second.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import msgspec

LEAST_PARTS = 4
"""A process takes a quarter of a quota at the most, also when it is alone: the rest is for who comes after it, for
other programs of the same key, and for a person's own client. Its rhythm needs less than a tenth; the rest of its part
is for a bad hour: a tenth held up the read that confirms a divergence for 40 s (simulated night 34)."""

BACK_OFF_S = 0.5
BACK_OFF_MAX_S = 15.0
"""First and longest pause after reads that failed one after another; below the rhythm of the books."""


AT_RESTART = 16
"""Requests of a resource that a process may send at once after a restart: what its predecessor spent is not known, so
all of it counts as spent but these. Books that come up while an order is in doubt read and search history for two
minutes; with six they had nothing left to settle it by (simulated night 17)."""


class Resource(StrEnum):
    """What venues count reads by. Instructions are of none: they are never held up."""

    ACCOUNTS = "accounts"
    ORDERS = "orders"
    POSITIONS = "positions"
    BALANCES = "balances"
    SYMBOLS = "symbols"
    QUOTES = "quotes"
    BARS = "bars"


def admitted(wanted: Iterable[tuple[str, str]], running: Collection[str], at_once: Mapping[str, int]) -> set[str]:
    """Of streams (name, kind) those that may be open together. What runs goes before what is new; then by name."""
    left = dict(at_once)
    names = set[str]()
    for name, kind in sorted(wanted, key=lambda each: (each[0] not in running, each[0])):
        if kind in left:
            left[kind] -= 1
        if left.get(kind, 0) >= 0:
            names.add(name)
    return names


class Quota(msgspec.Struct, frozen=True):
    """``limit`` requests in any ``period_s`` machine seconds."""

    limit: int
    period_s: float

    def part(self, parts: int) -> Quota:
        """One of ``parts``; two requests are the least that a part can be."""
        return Quota(max(2, self.limit // max(LEAST_PARTS, parts)), self.period_s)

    def shared(self, sharers: int) -> Quota:
        """One connection's part, where others use the same key."""
        return Quota(max(2, self.limit // sharers), self.period_s)

    @property
    def burst(self) -> int:
        return self.limit // 2

    @property
    def every_s(self) -> float:
        """One more request so often."""
        return self.period_s / (self.limit - self.burst)


class Lane(msgspec.Struct, frozen=True):
    """Of one resource. ``paid_until_s``: what was sent is evened out by then; ``closed_until_s``: nothing before."""

    paid_until_s: float = float("-inf")
    closed_until_s: float = float("-inf")
    failures: int = 0


class Budget(msgspec.Struct, frozen=True):
    """Of one process. A resource without a quota is not counted, but pauses after failures all the same."""

    quotas: Mapping[Resource, Quota]
    lanes: Mapping[Resource, Lane] = {}

    def wait_s(self, resource: Resource, now_s: float, *, goes_on: bool = False) -> float:
        """So long until the next request may go out; 0.0: now. ``goes_on``: a further page of a read that has begun is
        counted, and so holds the next read up: held up itself, the read is spent for nothing, each time anew."""
        lane = self.lanes.get(resource, Lane())
        open_s = lane.closed_until_s
        quota = self.quotas.get(resource)
        if quota is not None and not goes_on:
            open_s = max(open_s, lane.paid_until_s - (quota.burst - 1) * quota.every_s)
        return max(0.0, open_s - now_s)

    def sent(self, resource: Resource, now_s: float) -> Budget:
        """A request goes out now."""
        quota = self.quotas.get(resource)
        if quota is None:
            return self
        lane = self.lanes.get(resource, Lane())
        paid_until_s = max(lane.paid_until_s, now_s) + quota.every_s
        return self._with(resource, msgspec.structs.replace(lane, paid_until_s=paid_until_s))

    def answered(self, resource: Resource, now_s: float, *, well: bool, wait_s: float, chance: float) -> Budget:
        """``well``: the venue answered the question, if only by a no. ``wait_s``: for how long it wants to be left
        alone. ``chance``: a random number from 0 to 1, for the jitter."""
        lane = self.lanes.get(resource, Lane())
        failures = 0 if well else lane.failures + 1
        pause_s = 0.0
        if failures:
            pause_s = min(BACK_OFF_MAX_S, BACK_OFF_S * 2.0 ** min(failures - 1, 10)) * (0.5 + chance / 2)
        closed_until_s = max(lane.closed_until_s, now_s + max(pause_s, wait_s))
        if well and not wait_s:
            closed_until_s = lane.closed_until_s
        return self._with(resource, Lane(lane.paid_until_s, closed_until_s, failures))

    def restarted(self, now_s: float) -> Budget:
        """Of a process that follows another one: as if that had just spent what may go out at once, but for a few."""
        lanes = {
            resource: Lane(paid_until_s=now_s + max(0, quota.burst - AT_RESTART) * quota.every_s)
            for resource, quota in self.quotas.items()
        }
        return Budget(self.quotas, lanes)

    def with_quotas(self, quotas: Mapping[Resource, Quota]) -> Budget:
        """Other parts from now on; what was sent is kept."""
        return Budget(quotas, self.lanes)

    def _with(self, resource: Resource, lane: Lane) -> Budget:
        return Budget(self.quotas, {**self.lanes, resource: lane})
