"""Bars by market time: what has closed, what is forming, the last price, when a price is next reached. PURE.

From a 1-minute bar only four prices are known, so the emulator trades exactly four prints a minute, one at the start
of each quarter: open, one extreme, the other, close (a bar that rises makes its low first). Everything follows
from that path: the forming bar, quotes, fills and stops, for any caller at any moment alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from brokers.tradestation.emulator import minute_bars, trading_days
from brokers.tradestation.emulator.instruments import Instrument, instrument

MINUTE_S = 60
QUARTER_S = 15
DAY_S = 86_400
HOLE_S_MAX = 30 * 60  # a longer hole in the bars is a closed market, not minutes without trades
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


class Quote(msgspec.Struct, frozen=True, gc=False):
    """A side is None where it had no quote."""

    bid: Decimal | None
    bid_size: int
    ask: Decimal | None
    ask_size: int


class Quotes(msgspec.Struct, frozen=True):
    """Bid and ask by minute, as each opened and closed; ``stamps`` are ends of minutes."""

    stamps: tuple[int, ...]
    opens: tuple[Quote, ...]
    closes: tuple[Quote, ...]

    def at(self, at_utc: float) -> Quote | None:
        """As the minute opened it, and from its last quarter on as it closed it."""
        i = bisect_right(self.stamps, at_utc)
        if i < len(self.stamps) and at_utc >= self.stamps[i] - MINUTE_S:
            return self.closes[i] if at_utc >= self.stamps[i] - QUARTER_S else self.opens[i]
        return self.closes[i - 1] if i else None


class Forming(msgspec.Struct, frozen=True):
    """A bar not yet closed, as far as it goes. ``step`` grows with every change of it."""

    bar: Bar
    step: int


Interval = int | str
"""So many minutes, or the unit of a longer bar: Daily, Weekly, Monthly."""


class Series:
    """The 1-minute bars of one symbol, in order. Longer intervals are cut by minute_bars.py, days and longer where
    they end in New York; both are cached. ``quotes``: bid and ask by minute, where the data has them."""

    def __init__(self, symbol: str, bars: tuple[Bar, ...], quotes: Quotes | None = None) -> None:
        self.symbol = symbol
        self.bars = bars
        self.quotes = quotes
        self.stamps = [bar.stamp_utc for bar in bars]
        blocks = [bars[i : i + _BLOCK] for i in range(0, len(bars), _BLOCK)]
        self._highs = [bar.high for bar in bars]
        self._lows = [bar.low for bar in bars]
        self._block_highs = [max(bar.high for bar in block) for block in blocks]
        self._block_lows = [min(bar.low for bar in block) for block in blocks]
        self._longer: dict[Interval, Series] = {}
        self._charts: dict[tuple[str, bool], Series] = {}

    # What is known at a moment

    def last_print(self, at_utc: float) -> Print | None:
        """The newest print at or before this moment."""
        i = bisect_right(self.stamps, at_utc)
        step = self._step(i, at_utc)
        if step:
            return self._print(i, step - 1)
        return self._print(i - 1, self._count(i - 1) - 1) if i else None

    def last_size(self, at_utc: float) -> int:
        """How much was traded at the last print; 0: minute bars do not tell."""
        return 0

    def next_print(self, after_utc: float) -> Print | None:
        i = bisect_right(self.stamps, after_utc)
        step = self._step(i, after_utc)
        if step and step >= self._count(i):
            i, step = i + 1, 0
        return self._print(i, step) if i < len(self.bars) else None

    def next_through(self, after_utc: float, level: Decimal, *, upward: bool) -> Print | None:
        """The first print after this moment at or beyond the level. The price is the level itself where the market
        went through it inside a minute, the open where it opened beyond."""
        i = bisect_right(self.stamps, after_utc)
        step = self._step(i, after_utc)
        if step:
            for n in range(step, self._count(i)):
                if _beyond(self._print(i, n).price, level, upward):
                    return self._met(i, n, level)
            i += 1
        i = self._first_bar_beyond(i, level, upward)
        return self._through_in_bar(i, level, upward) if i < len(self.bars) else None

    def closed(self, interval: Interval, after_utc: float, until_utc: float) -> list[Bar]:
        """Bars with after < stamp <= until, oldest first."""
        series = self.at_interval(interval)
        return list(series.bars[bisect_right(series.stamps, after_utc) : bisect_right(series.stamps, until_utc)])

    def last_closed(self, interval: Interval, count: int, until_utc: float) -> list[Bar]:
        series = self.at_interval(interval)
        end = bisect_right(series.stamps, until_utc)
        return list(series.bars[max(0, end - count) : end])

    def forming(self, interval: Interval, at_utc: float) -> Forming | None:
        """None while no minute of the bar has traded yet."""
        start, end = self._around(interval, at_utc)
        first, i = bisect_right(self.stamps, start), bisect_right(self.stamps, at_utc)
        parts = list(self.bars[first:i])
        step = self._step(i, at_utc)
        if step:
            parts.append(self._so_far(i, step))
        if not parts:
            return None
        steps = sum(self._count(n) for n in range(first, i)) + step
        return Forming(_merge(parts, end or self._cutter(interval)(parts[0].stamp_utc)), steps)

    def _around(self, interval: Interval, at_utc: float) -> tuple[int, int]:
        """Begin and end of the bar of this moment. A day begins where the last one that closed has ended; its own end
        is known by its trades (0)."""
        if isinstance(interval, int):
            return minute_bars.bounds(self._about, int(at_utc // MINUTE_S + 1) * MINUTE_S, interval * MINUTE_S)
        stamps = self.at_interval(interval).stamps
        i = bisect_right(stamps, at_utc)
        return (stamps[i - 1] if i else 0), 0

    @property
    def _about(self) -> Instrument | None:
        """None for a continuous symbol, which is a future's."""
        return instrument(self.symbol)

    @property
    def is_future(self) -> bool:
        about = self._about
        return self.symbol.startswith("@") or (about is not None and about.is_future)

    def next_change(self, interval: Interval, after_utc: float) -> float | None:
        """When a stream of this interval next has something to say: a print, or the close of a bar."""
        upcoming, close_utc = self.next_print(after_utc), self.next_close(interval, after_utc)
        if upcoming is None or close_utc is None:
            return upcoming.at_utc if upcoming else close_utc
        return min(upcoming.at_utc, close_utc)

    def next_close(self, interval: Interval, after_utc: float) -> float | None:
        stamps = self.at_interval(interval).stamps
        i = bisect_right(stamps, after_utc)
        return float(stamps[i]) if i < len(stamps) else None

    def at_interval(self, interval: Interval) -> Series:
        if interval == 1:
            return self
        if interval not in self._longer:
            self._longer[interval] = Series(self.symbol, tuple(_longer(self.bars, self._cutter(interval))))
        return self._longer[interval]

    def _cutter(self, interval: Interval) -> Callable[[int], int]:
        """From the stamp of a minute to that of the longer bar that holds it."""
        if isinstance(interval, str):
            future = self.is_future
            return lambda stamp: trading_days.bar_end(stamp, interval, future=future)
        about, length_s = self._about, interval * MINUTE_S
        return lambda stamp: minute_bars.bounds(about, stamp, length_s)[1]

    def chart(self, session: str, *, empty_minutes: bool) -> Series:
        """These bars as a chart shows them: of a session's hours ("": all), with or without minutes of no trade."""
        if not session and not empty_minutes:
            return self
        key = (session, empty_minutes)
        if key not in self._charts:
            bars = [bar for bar in self.bars if not session or trading_days.in_session(bar.stamp_utc, session)]
            shown = tuple(_without_holes(bars)) if empty_minutes else tuple(bars)
            self._charts[key] = Series(self.symbol, shown, self.quotes)
        return self._charts[key]

    # The path

    def path(self, i: int) -> list[tuple[Print, bool]]:
        """The prints of bar i, each with whether a level that lies between it and the one before is met as such (else
        the print's own price is the first one beyond)."""
        return [(self._print(i, n), n > 0) for n in range(self._count(i))]

    def _step(self, i: int, at_utc: float) -> int:
        """How many prints of bar i have happened: 0 when it has not opened yet (or there is no such bar)."""
        if i >= len(self.bars):
            return 0
        since_open_s = at_utc - (self.stamps[i] - MINUTE_S)
        return int(since_open_s // QUARTER_S) + 1 if since_open_s >= 0 else 0

    def _count(self, i: int) -> int:
        """How many prints bar i has."""
        return 4

    def _print(self, i: int, n: int) -> Print:
        return Print(self.stamps[i] - MINUTE_S + n * QUARTER_S, self.bars[i].prints()[n])

    def _met(self, i: int, n: int, level: Decimal) -> Print:
        """At what price print n of bar i reaches a level that the one before had not: at the level itself, but the
        open comes from outside the minute."""
        there = self._print(i, n)
        return there if n == 0 else Print(there.at_utc, level)

    def _so_far(self, i: int, step: int) -> Bar:
        """What a chart shows of a bar after so many of its four prints; the volume comes in quarters."""
        bar = self.bars[i]
        seen = bar.prints()[:step]
        return Bar(bar.stamp_utc, seen[0], max(seen), min(seen), seen[-1], bar.volume * step // 4)

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
        n = next(n for n in range(self._count(i)) if _beyond(self._print(i, n).price, level, upward))
        return self._met(i, n, level)


def _first_beyond(prices: list[Decimal], begin: int, end: int, level: Decimal, upward: bool) -> int:
    """The first place from ``begin`` on whose price is at or beyond the level; ``end`` where there is none."""
    for i in range(begin, end):
        if prices[i] >= level if upward else prices[i] <= level:
            return i
    return end


def _beyond(price: Decimal, level: Decimal, upward: bool) -> bool:
    return price >= level if upward else price <= level


def _merge(parts: list[Bar], stamp_utc: int) -> Bar:
    return Bar(
        stamp_utc,
        parts[0].open,
        max(bar.high for bar in parts),
        min(bar.low for bar in parts),
        parts[-1].close,
        sum(bar.volume for bar in parts),
    )


def _longer(bars: tuple[Bar, ...], end_of: Callable[[int], int]) -> Iterator[Bar]:
    """Ends never go back, so what lies before the end of a bar is in it: asked for are only the others."""
    stamps = [bar.stamp_utc for bar in bars]
    i = 0
    while i < len(bars):
        end = end_of(stamps[i])
        j = bisect_right(stamps, end, i + 1)
        while j < len(bars) and end_of(stamps[j]) == end:
            j += 1
        yield _merge(list(bars[i:j]), end)
        i = j


def _without_holes(bars: list[Bar]) -> Iterator[Bar]:
    """With a flat bar of no volume for each minute without trades, unless the market was closed."""
    before: Bar | None = None
    for bar in bars:
        if before is not None and bar.stamp_utc - before.stamp_utc <= HOLE_S_MAX:
            close = before.close
            for stamp in range(before.stamp_utc + MINUTE_S, bar.stamp_utc, MINUTE_S):
                yield Bar(stamp, close, close, close, close, 0)
        yield bar
        before = bar
