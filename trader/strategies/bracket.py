"""Bracket: buy a close above the average of the last bars, with a stop and a take around it, both held by the venue.

Long only. Once in, it says nothing more: stop or take end it at the broker, whether this desk lives or not. It is an
example of the desk's verbs, not a way to earn money.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trader.strategies.breakout import average_range
from trader.strategy import Bar, Strategy


class Bracket(Strategy):
    """Distances are multiples of the average true range, as in ``breakout``. With ``trails`` the stop follows."""

    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1
        """Units (shares, contracts) a trade."""
        bars: int = 10
        """Bars of the average close and of the average true range."""
        stop_ranges: Decimal = Decimal("1.5")
        take_ranges: Decimal = Decimal("1.5")
        """Distances of the stop below and of the take above the close, in average ranges."""
        trails: bool = False
        """The stop is a trail: it begins as far below the close, and follows."""
        minutes: int = 1

    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol, minutes=self.parameters.minutes, warm_up=self.parameters.bars + 1)

    def on_bar(self, bar: Bar) -> None:
        p: Bracket.Parameters = self.parameters
        past = self.bars(bar.symbol, p.bars + 1, minutes=p.minutes)
        if len(past) <= p.bars or self.position(bar.symbol).quantity:
            return
        distance = average_range(past)
        if not distance or bar.close <= sum((each.close for each in past), Decimal(0)) / len(past):
            return
        take = bar.close + p.take_ranges * distance
        if p.trails:
            self.target(bar.symbol, p.quantity, take=take, trail=p.stop_ranges * distance)
        else:
            self.target(bar.symbol, p.quantity, take=take, stop=bar.close - p.stop_ranges * distance)
