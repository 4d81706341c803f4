"""Breakout: buy a close above the highs of the last bars, trail the stop by the average range, leave by the stop only.

Long only, so that it runs on any account. Distances are multiples of the average true range: the same numbers serve a
future at 1670 and a share at 167. It is an example of the desk's verbs, not a way to earn money.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec

from trader.strategy import Bar, Fill, Strategy


class Breakout(Strategy):
    """``target`` is said on each bar while long: the same exposure again, only the stop moves."""

    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1
        """Units (shares, contracts) a trade."""
        lookback: int = 3
        """The close must be above the highs of so many bars before it."""
        range_bars: int = 10
        """Bars of the average true range."""
        stop_ranges: Decimal = Decimal("1.2")
        """Distance of the stop from the close, in average ranges."""
        minutes: int = 1

    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol, minutes=self.parameters.minutes, warm_up=self._bars_needed())

    def on_bar(self, bar: Bar) -> None:
        past = self.bars(bar.symbol, self._bars_needed(), minutes=self.parameters.minutes)
        if len(past) < self._bars_needed():
            return
        stop = bar.close - self.parameters.stop_ranges * average_range(past[-self.parameters.range_bars - 1 :])
        breaks_out = bar.close > max(before.high for before in past[-self.parameters.lookback - 1 : -1])
        if breaks_out or self.position(bar.symbol).quantity > 0:
            self._trail(bar.symbol, stop)

    def on_fill(self, fill: Fill) -> None:
        if fill.position == 0:
            self.state.pop(fill.symbol, None)

    def _trail(self, symbol: str, stop: Decimal) -> None:
        """The stop only ever rises while the position lives."""
        highest = max(stop, self.state.get(symbol, stop))
        self.state[symbol] = highest
        self.target(symbol, self.parameters.quantity, stop=highest)

    def _bars_needed(self) -> int:
        p: Breakout.Parameters = self.parameters
        return max(p.lookback, p.range_bars) + 1


def average_range(bars: Sequence[Bar]) -> Decimal:
    """The average true range: each bar's range, gaps to the close before it included."""
    ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)]
    return sum(ranges, Decimal(0)) / len(ranges)
