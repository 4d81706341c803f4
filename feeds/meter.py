"""Meter: this process's part of the venue's quotas, as the connection divides them.

The connection knows for whom it keeps books and feeds, so it says into how many parts each quota goes. It is asked
once a minute at the most, before a read, and never waited for: a process that cannot ask goes on with what it knew.
"""

from __future__ import annotations

from collections.abc import Mapping

from brokers.budget import Budget, Quota, Resource
from brokers.errors import Unavailable
from feeds import paths
from feeds.messages import ReadShares, Shares
from supervisor.errors import CallFailed
from supervisor.process.world import World

ASK_EVERY_S = 60.0
ASK_LIMIT_S = 1.0
"""The connection answers from memory. If it is away, the read is not."""


class ProcessMeter:
    """A ``brokers.broker.Meter`` for one process of a connection."""

    def __init__(self, world: World, connection: str, quotas: Mapping[Resource, Quota]) -> None:
        self.world, self.quotas = world, quotas
        self.connection = paths.process(connection)
        self.asked_s = float("-inf")
        self.budget = Budget(parts_of(quotas, Shares(books=1, bars=1)))
        if world.predecessor is not None:
            self.budget = self.budget.restarted(world.now_s())

    def before(self, resource: Resource, *, goes_on: bool = False) -> None:
        """Counts a request that goes out now; raises ``Unavailable`` where it has to wait."""
        self._ask()
        now_s = self.world.now_s()
        wait_s = self.budget.wait_s(resource, now_s, goes_on=goes_on)
        if wait_s > 0.0:
            text = f"{resource}: not asked for {wait_s:.1f} s more, the venue failed lately or our part is spent"
            raise Unavailable(text, retry_after_s=wait_s, sent=False)
        self.budget = self.budget.sent(resource, now_s)

    def after(self, resource: Resource, *, well: bool, wait_s: float = 0.0) -> None:
        if wait_s:
            self.world.log.warning("the venue wants to be left alone", resource=str(resource), wait_s=wait_s)
        chance = self.world.random()
        self.budget = self.budget.answered(resource, self.world.now_s(), well=well, wait_s=wait_s, chance=chance)

    def _ask(self) -> None:
        now_s = self.world.now_s()
        if now_s - self.asked_s < ASK_EVERY_S:
            return
        self.asked_s = now_s
        try:
            shares = self.world.call(self.connection, ReadShares(), timeout_s=ASK_LIMIT_S)
        except CallFailed as error:
            self.world.log.debug("our part of the quotas is what it was", error=str(error))
            return
        self.budget = self.budget.with_quotas(parts_of(self.quotas, shares))


def parts_of(quotas: Mapping[Resource, Quota], shares: Shares) -> dict[Resource, Quota]:
    """Bars are asked for by their feeds, everything else by the books of the accounts."""
    return {
        resource: quota.part(shares.bars if resource is Resource.BARS else shares.books)
        for resource, quota in quotas.items()
    }
