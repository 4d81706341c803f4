"""The bars that wait for their turn in the trader: in sequence, bounded, and what was dropped known. PURE.

While turns are slower than the market, bars are kept up to a bound; a series beyond it is *behind*, and takes nothing
more before what it misses was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from trader.messages import CleanBar, CleanBars

WAITING_BARS = 2000
"""Bars kept while turns are slower than the market; what is beyond is asked for again later."""

Key = tuple[str, int]
"""A series: symbol and interval in seconds."""


class WaitingBars:
    """``newest``: up to which stamp a series was taken. ``unbegun``: where a series begins that the account manager
    has no cursor of yet. ``behind``: series of which bars were dropped."""

    def __init__(self, cursors: Mapping[Key, int]) -> None:
        self.newest = dict(cursors)
        self.unbegun: dict[Key, int] = {}
        self.behind: set[Key] = set()
        self._bars: deque[CleanBar] = deque()

    def take(self, message: CleanBars) -> None:
        """Bars that follow what we have. A hole means that we dropped some: they are asked for."""
        key = (message.symbol, message.interval_s)
        if key not in self.newest:
            self.unbegun[key] = self.newest[key] = message.after_utc
        if message.after_utc > self.newest[key]:
            self.behind.add(key)
        for clean in message.bars:
            if key not in self.behind and clean.bar.closed_utc > self.newest[key]:
                self._queue(key, clean)

    def caught_up(self, message: CleanBars) -> None:
        """What was asked for has come."""
        self.behind.discard((message.symbol, message.interval_s))
        self.take(message)

    def next(self) -> CleanBar:
        return self._bars.popleft()

    def __bool__(self) -> bool:
        return bool(self._bars)

    def _queue(self, key: Key, clean: CleanBar) -> None:
        if len(self._bars) >= WAITING_BARS:
            self.behind.add(key)
            return
        self._bars.append(clean)
        self.newest[key] = clean.bar.closed_utc
