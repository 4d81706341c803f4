"""What the supervising process looks after besides liveness: memory, freshness, what children leave, its home.

Pure functions of ``core/`` decide; this reads /proc and the page for them, and feeds what they say to the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from supervisor.core import freshness
from supervisor.core.tree import BecameFresh, BecameStale, Record, TooBig, TreeEvent
from supervisor.runtime.ceiling import Ceilings
from supervisor.runtime.kid import Kid
from supervisor.runtime.mark import supervisor_id
from supervisor.runtime.orphans import Orphans
from supervisor.runtime.page import Page
from supervisor.runtime.place import Place


class Watches:
    """Of one ``Runtime``; ``kids`` are its living children by name, ``feed`` and ``record`` lead back to it."""

    def __init__(
        self,
        home: str,
        page: Page,
        kids: Mapping[str, Kid],
        feed: Callable[[TreeEvent], None],
        record: Callable[[Record], None],
    ) -> None:
        self.orphans = Orphans(supervisor_id(home), record)
        self.place = Place(home, record)
        self._ceilings: Ceilings[Kid] = Ceilings()
        self._fresh = freshness.Watch()
        self._page = page
        self._kids = kids
        self._feed = feed

    def born(self, kid: Kid) -> None:
        self._ceilings.add(kid)

    def died(self, kid: Kid) -> None:
        self._ceilings.drop(kid)
        self.orphans.child_gone(kid.pid, kid.name)

    def next_look_s(self, now_s: float) -> float:
        """Never before now: a look that is due at once is no sign that the loop came late."""
        fresh_s = freshness.next_look_s(self._fresh, self._declared(), now_s)
        looks_s = (self.orphans.next_look_s(), self._ceilings.next_look_s(), self.place.next_look_s, fresh_s)
        return max(now_s, min(looks_s))

    def stalled(self, unwatched_s: float) -> None:
        """The judge came late; see ``core/liveness.py``."""
        self._fresh = freshness.stalled(self._fresh, unwatched_s, self._declared())

    def look(self, now_s: float) -> None:
        """At whatever is due. ``now_s`` was read before."""
        self._judge_freshness(now_s)
        if self._ceilings.next_look_s() <= now_s:
            for kid, mib in self._ceilings.look(now_s):
                self._feed(TooBig(kid.name, kid.incarnation, mib))
        if self.orphans.next_look_s() <= now_s:
            self.orphans.look({kid.pid: kid.incarnation for kid in self._kids.values()}, now_s)
        if self.place.next_look_s <= now_s:
            self.place.look(now_s)

    def _judge_freshness(self, now_s: float) -> None:
        page = self._declared()
        if not page and not self._fresh.stale:
            return
        self._fresh, stale, fresh = freshness.judge(self._fresh, page, now_s)
        names = {kid.incarnation: kid.name for kid in self._kids.values()} if stale or fresh else {}
        for incarnation in stale:
            self._feed(BecameStale(names[incarnation], incarnation))
        for incarnation in fresh:
            self._feed(BecameFresh(names[incarnation], incarnation))

    def _declared(self) -> list[tuple[int, float]]:
        """Of those that are ready: who starts has delivered nothing yet. Nearly always nobody has declared anything,
        and that costs one look at the page."""
        numbers = self._page.declared()
        if not numbers:
            return []
        kids: Iterable[Kid] = self._kids.values()
        return [(kid.incarnation, numbers[kid.slot]) for kid in kids if kid.ready and kid.slot in numbers]
