"""Opening range: buy a close above the first half hour's high, trail the stop, be flat at the close. One trade a day.

It shows what the two others do not: market hours (``on_session``), a day's plan kept in ``self.state`` over restarts, a
stop that trails by ``move_stop``, and what to do when somebody else has traded (``on_sync``). It is an example of the
desk's verbs, not a way to earn money.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trader.strategy import Bar, Fill, Phase, Position, Strategy


class OpeningRange(Strategy):
    """``self.state[symbol]`` is the day: until when the range is made, its high and low, and whether it was traded."""

    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1
        """Units (shares, contracts) a trade."""
        range_minutes: int = 30
        """From the opening on."""
        trail_bars: int = 60
        """The stop follows the lowest low of so many bars."""

    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol, minutes=1)

    def on_session(self, symbol: str, phase: Phase) -> None:
        if phase == "open":
            until_utc = self.now + 60 * self.parameters.range_minutes
            self.state[symbol] = {"until_utc": until_utc, "high": None, "low": None, "traded": False}
        elif phase == "closing":
            self.state.pop(symbol, None)
            self.close(symbol)

    def on_bar(self, bar: Bar) -> None:
        day = self.state.get(bar.symbol)
        if day is None:
            return
        if bar.closed_utc <= day["until_utc"]:
            day["high"] = max(bar.high, day["high"] or bar.high)
            day["low"] = min(bar.low, day["low"] or bar.low)
        elif self.position(bar.symbol).quantity > 0:
            self.move_stop(bar.symbol, self._trailed(bar.symbol, day["low"]))
        elif day["high"] is not None and bar.close > day["high"] and not day["traded"]:
            self.target(bar.symbol, self.parameters.quantity, stop=day["low"])

    def on_fill(self, fill: Fill) -> None:
        if fill.symbol in self.state:
            self.state[fill.symbol]["traded"] = True

    def on_sync(self, before: Position, after: Position) -> None:
        """Whoever has traded by hand has decided for today: what is held is kept covered, nothing is bought back."""
        if before.symbol in self.state:
            self.state[before.symbol]["traded"] = True

    def _trailed(self, symbol: str, low: Decimal) -> Decimal:
        """Never lower than it was."""
        lows = min(bar.low for bar in self.bars(symbol, self.parameters.trail_bars))
        return max(low, lows, self.position(symbol).stop or low)
