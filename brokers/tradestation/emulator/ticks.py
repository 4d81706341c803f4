"""A series whose minutes are traded print by print, where the data has the ticks. PURE."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby

import msgspec

from brokers.tradestation.emulator.series import DAY_S, MINUTE_S, Bar, Print, Quotes, Series


class Tick(msgspec.Struct, frozen=True, gc=False):
    at_utc: float
    price: Decimal
    size: int


class TickSeries(Series):
    """Minutes that have ticks are made of them, the others of their bar's four prices. A stop fills at the price of the
    tick that reached it."""

    def __init__(
        self, symbol: str, bars: tuple[Bar, ...], ticks: dict[int, list[Tick]], quotes: Quotes | None = None
    ) -> None:
        super().__init__(symbol, bars, quotes)
        self._ticks = [ticks.get(bar.stamp_utc, []) for bar in bars]
        self._times = [[tick.at_utc for tick in path] for path in self._ticks]

    def _step(self, i: int, at_utc: float) -> int:
        if i >= len(self.bars) or not self._ticks[i]:
            return super()._step(i, at_utc)
        return bisect_right(self._times[i], at_utc)

    def _count(self, i: int) -> int:
        return len(self._ticks[i]) or super()._count(i)

    def _print(self, i: int, n: int) -> Print:
        if not self._ticks[i]:
            return super()._print(i, n)
        tick = self._ticks[i][n]
        return Print(tick.at_utc, tick.price)

    def last_size(self, at_utc: float) -> int:
        i = bisect_right(self.stamps, at_utc)
        step = self._step(i, at_utc)
        i, step = (i, step) if step else (i - 1, self._count(i - 1) if i else 0)
        return self._ticks[i][step - 1].size if step and self._ticks[i] else 0

    def path(self, i: int) -> list[tuple[Print, bool]]:
        return [(there, False) for there, _ in super().path(i)] if self._ticks[i] else super().path(i)

    def _met(self, i: int, n: int, level: Decimal) -> Print:
        return self._print(i, n) if self._ticks[i] else super()._met(i, n, level)

    def _so_far(self, i: int, step: int) -> Bar:
        if not self._ticks[i]:
            return super()._so_far(i, step)
        return bar_of(self.bars[i].stamp_utc, self._ticks[i][:step])


def by_minute(ticks: Iterable[Tick]) -> dict[int, list[Tick]]:
    """Stamp (end) of the minute -> its ticks. A trade on the full minute belongs to the next one."""
    return {stamp: list(group) for stamp, group in groupby(ticks, key=_stamp)}


def bars_of(ticks: dict[int, list[Tick]]) -> Iterator[Bar]:
    return (bar_of(stamp, path) for stamp, path in ticks.items())


def bar_of(stamp_utc: int, path: list[Tick]) -> Bar:
    prices = [tick.price for tick in path]
    return Bar(stamp_utc, prices[0], max(prices), min(prices), prices[-1], sum(tick.size for tick in path))


def joined(bars: tuple[Bar, ...], ticks: dict[int, list[Tick]]) -> tuple[Bar, ...]:
    """Bars of the days (UTC) that have ticks are made of these alone; the other days' bars stay."""
    days = {stamp // DAY_S for stamp in ticks}
    kept = [bar for bar in bars if bar.stamp_utc // DAY_S not in days]
    return tuple(sorted([*kept, *bars_of(ticks)], key=lambda bar: bar.stamp_utc))


def _stamp(tick: Tick) -> int:
    return (int(tick.at_utc) // MINUTE_S + 1) * MINUTE_S
