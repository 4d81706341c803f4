"""The bars that a feed has been told lately, to answer from instead of asking the venue again. PURE.

It remembers one unbroken stretch: bars that follow each other, as its stream told them, and what history said between
them. The stream's opening tells the last hundred, so that a start reads nothing else as long as they reach; and what
one session had read, the others of the same symbol are told.

It claims nothing that it does not know. Where two bars of the stream do not follow each other one may be missing: the
stretch begins anew behind the hole, until history has told what is in it. That nothing has traded since the newest bar
was history's word of one moment, by a clock that may go back: it counts for as long as sessions look at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from brokers.model import Bar
from feeds.messages import Bars

KEPT_BARS = 1000
"""Some 0.5 MB; who needs more has it read."""
SAME_LOOK_S = 5.0
"""Machine seconds. Sessions look for an overdue bar once a second, so all of one symbol look within this time."""


class Recent:
    """Of one series. ``after_utc < closed_utc <= until_utc``: of that time all bars are here."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s = interval_s
        self._bars: dict[int, Bar] = {}
        self._after_utc = 0
        self._until_utc = 0
        self._quiet_until_utc = 0
        self._quiet_said_s = float("-inf")

    def told(self, bars: Iterable[Bar]) -> None:
        """Closed bars of the stream, repeats and corrections too."""
        run: list[Bar] = []
        for bar in sorted(bars, key=lambda each: each.closed_utc):
            if run and bar.closed_utc - self.interval_s > run[-1].closed_utc:
                self._join(run[0].closed_utc - self.interval_s, run)
                run = []
            run.append(bar)
        if run:
            self._join(run[0].closed_utc - self.interval_s, run)

    def read(self, after_utc: int, history: Bars, now_s: float) -> None:
        """All bars that closed after a stamp, as the venue's history has them."""
        if history.bars:
            self._join(after_utc, history.bars)
        if after_utc <= self._until_utc < history.complete_until_utc:
            self._quiet_until_utc, self._quiet_said_s = history.complete_until_utc, now_s

    def since(self, after_utc: int, until_utc: int, now_s: float, now_utc: float) -> Bars | None:
        """The bars after a stamp, complete up to another one at least; None: the venue has to be asked."""
        known_utc = self._until_utc
        if now_s - self._quiet_said_s <= SAME_LOOK_S and self._quiet_until_utc <= now_utc:
            known_utc = max(known_utc, self._quiet_until_utc)
        if not self._bars or not self._after_utc <= after_utc <= self._until_utc or until_utc > known_utc:
            return None
        return Bars(tuple(self._bars[each] for each in sorted(self._bars) if each > after_utc), known_utc)

    def last(self, count: int) -> Bars | None:
        """The newest so many; None: there are not enough here."""
        if len(self._bars) < count:
            return None
        return Bars(tuple(self._bars[each] for each in sorted(self._bars)[-count:]), self._until_utc)

    def _join(self, after_utc: int, bars: Iterable[Bar]) -> None:
        """All bars from a stamp to the last of these. What touches our stretch makes it longer; what lies behind a hole
        takes its place, and what lies before one is left."""
        new = {bar.closed_utc: bar for bar in bars}
        until_utc = max(new)
        if not self._bars or after_utc > self._until_utc:
            self._bars, self._after_utc, self._until_utc = new, after_utc, until_utc
        elif until_utc >= self._after_utc:
            self._bars |= new
            self._after_utc, self._until_utc = min(self._after_utc, after_utc), max(self._until_utc, until_utc)
        self._forget()

    def _forget(self) -> None:
        too_many = len(self._bars) - KEPT_BARS
        if too_many > 0:
            for stamp in islice(sorted(self._bars), too_many):
                del self._bars[stamp]
                self._after_utc = stamp
