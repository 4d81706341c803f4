"""Moving averages cross: long while the fast average is above the slow one, with a stop in percent that trails.

Long only. Leaves at the market when the averages cross back, so it shows both ways out: by exit and by stop. It is an
example of the desk's verbs, not a way to earn money.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from trader.strategy import Bar, Fill, Strategy


class EmaCross(Strategy):
    """After a stop-out it waits for the next cross: ``state`` remembers that this one was used."""

    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1
        """Units (shares, contracts) a trade."""
        fast: int = 3
        slow: int = 8
        """Bars of the two averages."""
        stop_percent: Decimal = Decimal("0.06")
        """Distance of the stop from the close, in percent: a few ticks of a liquid index in one minute."""
        minutes: int = 1

    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol, minutes=self.parameters.minutes, warm_up=4 * self.parameters.slow)

    def on_bar(self, bar: Bar) -> None:
        symbol, p = bar.symbol, self.parameters
        closes = [past.close for past in self.bars(symbol, 4 * p.slow, minutes=p.minutes)]
        if len(closes) < 4 * p.slow:
            return
        if ema(closes, p.fast) <= ema(closes, p.slow):
            self.state.pop(symbol, None)
            self.close(symbol)
        elif self.position(symbol).quantity > 0 or symbol not in self.state:
            stop = bar.close * (1 - p.stop_percent / 100)
            self.state[symbol] = max(stop, self.state.get(symbol) or stop)
            self.target(symbol, p.quantity, stop=self.state[symbol])

    def on_fill(self, fill: Fill) -> None:
        if fill.position == 0 and fill.symbol in self.state:
            self.state[fill.symbol] = None


def ema(closes: Sequence[Decimal], bars: int) -> Decimal:
    """The exponential moving average over all that is given, oldest first."""
    weight = Decimal(2) / (bars + 1)
    average = closes[0]
    for close in closes[1:]:
        average += weight * (close - average)
    return average
