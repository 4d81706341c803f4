"""Bars by market time: what has closed, what is forming, the last price, when a price is next reached. PURE.

From a 1-minute bar only four prices are known, so the emulator trades exactly four prints a minute, one at the start
of each quarter: open, one extreme, the other, close (a bar that rises makes its low first). Everything follows
from that path: the forming bar, quotes, fills and stops, for any caller at any moment alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from brokers.tradestation.emulator.instruments import instrument

MINUTE_S = 60
QUARTER_S = 15
_BLOCK = 64  # bars; a stop that is never reached costs one look per block, not per bar


class Bar(msgspec.Struct, frozen=True, gc=False):
    """``stamp_utc`` is the END of the bar."""

    stamp_utc: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int

    def prints(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        extremes = (self.low, self.high) if self.close >= self.open else (self.high, self.low)
        return (self.open, *extremes, self.close)


class Print(msgspec.Struct, frozen=True, gc=False):
    """A trade in the market: at this moment the price became this."""

    at_utc: float
    price: Decimal


class Forming(msgspec.Struct, frozen=True):
    """A bar not yet closed, as far as it goes. ``step`` grows with every change of it."""

    bar: Bar
    step: int


class Series:
    """The 1-minute bars of one symbol, in order. Longer intervals are cut from the epoch (of UTC) on and cached."""

    def __init__(self, symbol: str, bars: tuple[Bar, ...]) -> None:
        self.symbol = symbol
        self.bars = bars
        self.stamps = [bar.stamp_utc for bar in bars]
        blocks = [bars[i : i + _BLOCK] for i in range(0, len(bars), _BLOCK)]
        self._highs = [bar.high for bar in bars]
        self._lows = [bar.low for bar in bars]
        self._block_highs = [max(bar.high for bar in block) for block in blocks]
        self._block_lows = [min(bar.low for bar in block) for block in blocks]
        self._longer: dict[int, Series] = {}

    # What is known at a moment

    def last_print(self, at_utc: float) -> Print | None:
        """The newest print at or before this moment."""
        i = bisect_right(self.stamps, at_utc)
        step = self._step(i, at_utc)
        if step:
            return self._print(i, step - 1)
        return self._print(i - 1, 3) if i else None

    def next_print(self, after_utc: float) -> Print | None:
        i = bisect_right(self.stamps, after_utc)
        step = self._step(i, after_utc)
        if step == 4:
            i, step = i + 1, 0
        return self._print(i, step) if i < len(self.bars) else None

    def next_through(self, after_utc: float, level: Decimal, *, upward: bool) -> Print | None:
        """The first print after this moment at or beyond the level. The price is the level itself where the market
        went through it inside a minute, the open where it opened beyond."""
        i = bisect_right(self.stamps, after_utc)
        step = self._step(i, after_utc)
        if step:
            for n in range(step, 4):
                if _beyond(self._print(i, n).price, level, upward):
                    return Print(self._print(i, n).at_utc, level)
            i += 1
        i = self._first_bar_beyond(i, level, upward)
        return self._through_in_bar(i, level, upward) if i < len(self.bars) else None

    def closed(self, interval: int, after_utc: float, until_utc: float) -> list[Bar]:
        """Bars with after < stamp <= until, oldest first."""
        series = self.at_interval(interval)
        return list(series.bars[bisect_right(series.stamps, after_utc) : bisect_right(series.stamps, until_utc)])

    def last_closed(self, interval: int, count: int, until_utc: float) -> list[Bar]:
        series = self.at_interval(interval)
        end = bisect_right(series.stamps, until_utc)
        return list(series.bars[max(0, end - count) : end])

    def forming(self, interval: int, at_utc: float) -> Forming | None:
        """None while no minute of the bar has traded yet."""
        length_s = interval * MINUTE_S
        start = int(at_utc // length_s) * length_s
        first, i = bisect_right(self.stamps, start), bisect_right(self.stamps, at_utc)
        parts = list(self.bars[first:i])
        step = self._step(i, at_utc)
        if step:
            parts.append(_so_far(self.bars[i], step))
        return Forming(_merge(parts, start + length_s), 4 * (i - first) + step) if parts else None

    def next_change(self, interval: int, after_utc: float) -> float | None:
        """When a stream of this interval next has something to say: a print, or the close of a bar."""
        upcoming, close_utc = self.next_print(after_utc), self.next_close(interval, after_utc)
        if upcoming is None or close_utc is None:
            return upcoming.at_utc if upcoming else close_utc
        return min(upcoming.at_utc, close_utc)

    def next_close(self, interval: int, after_utc: float) -> float | None:
        stamps = self.at_interval(interval).stamps
        i = bisect_right(stamps, after_utc)
        return float(stamps[i]) if i < len(stamps) else None

    def at_interval(self, interval: int) -> Series:
        if interval == 1:
            return self
        if interval not in self._longer:
            self._longer[interval] = Series(self.symbol, tuple(_longer(self.bars, interval * MINUTE_S)))
        return self._longer[interval]

    # The path

    def _step(self, i: int, at_utc: float) -> int:
        """How many prints of bar i have happened: 0 when it has not opened yet (or there is no such bar)."""
        if i >= len(self.bars):
            return 0
        since_open_s = at_utc - (self.stamps[i] - MINUTE_S)
        return int(since_open_s // QUARTER_S) + 1 if since_open_s >= 0 else 0

    def _print(self, i: int, n: int) -> Print:
        return Print(self.stamps[i] - MINUTE_S + n * QUARTER_S, self.bars[i].prints()[n])

    def _first_bar_beyond(self, i: int, level: Decimal, upward: bool) -> int:
        """Its own block bar by bar, then the blocks, then the bars of the first block that goes beyond."""
        extremes, blocks = (self._highs, self._block_highs) if upward else (self._lows, self._block_lows)
        next_block = -(-i // _BLOCK)
        border = min(next_block * _BLOCK, len(extremes))
        within = _first_beyond(extremes, i, border, level, upward)
        if within < border:
            return within
        block = _first_beyond(blocks, next_block, len(blocks), level, upward)
        begin = min(block * _BLOCK, len(extremes))
        return _first_beyond(extremes, begin, len(extremes), level, upward)

    def _through_in_bar(self, i: int, level: Decimal, upward: bool) -> Print:
        n = next(n for n in range(4) if _beyond(self._print(i, n).price, level, upward))
        there = self._print(i, n)
        return there if n == 0 else Print(there.at_utc, level)


class Market:
    """All series that the emulator serves, by symbol."""

    def __init__(self, series: list[Series]) -> None:
        self._by_symbol = {one.symbol: one for one in series}

    @property
    def symbols(self) -> list[str]:
        return sorted(self._by_symbol)

    def series(self, symbol: str) -> Series | None:
        return self._by_symbol.get(symbol)

    def resolve(self, symbol: str, at_utc: float) -> str | None:
        """A symbol that is served, or for a continuous one (@ES) the contract in front: the first to expire whose
        bars have not ended, else the last. None: not known here."""
        if not symbol.startswith("@"):
            return symbol if symbol in self._by_symbol else None
        contracts = sorted(
            (about.expires, name)
            for name in self._by_symbol
            if (about := instrument(name)) is not None and about.root == symbol[1:] and about.is_future
        )
        alive = [name for _, name in contracts if self._by_symbol[name].stamps[-1] > at_utc]
        return next(iter(alive), contracts[-1][1] if contracts else None)


def _first_beyond(prices: list[Decimal], begin: int, end: int, level: Decimal, upward: bool) -> int:
    """The first place from ``begin`` on whose price is at or beyond the level; ``end`` where there is none."""
    for i in range(begin, end):
        if prices[i] >= level if upward else prices[i] <= level:
            return i
    return end


def _beyond(price: Decimal, level: Decimal, upward: bool) -> bool:
    return price >= level if upward else price <= level


def _so_far(bar: Bar, step: int) -> Bar:
    """What a chart shows of a bar after so many of its four prints; the volume comes in quarters."""
    seen = bar.prints()[:step]
    return Bar(bar.stamp_utc, seen[0], max(seen), min(seen), seen[-1], bar.volume * step // 4)


def _merge(parts: list[Bar], stamp_utc: int) -> Bar:
    return Bar(
        stamp_utc,
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        sum(bar.volume for bar in parts),
    )


def _longer(bars: tuple[Bar, ...], length_s: int) -> Iterator[Bar]:
    stamps = [bar.stamp_utc for bar in bars]
    i = 0
    while i < len(bars):
        end = -(-stamps[i] // length_s) * length_s
        j = bisect_left(stamps, end + 1)
        yield _merge(list(bars[i:j]), end)
        i = j
