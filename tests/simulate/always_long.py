"""Declares the same on every bar, whatever has happened: one unit long, its stop where the first bar put it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from trader.strategy import Bar, Strategy


class AlwaysLong(Strategy):
    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1
        stop_percent: Decimal = Decimal(5)
        """Far enough that the market never reaches it."""
        trails: bool = False
        """The stop is moved on every bar, so that replaces are always on their way."""
        without_stop: bool = False

    def setup(self) -> None:
        self.subscribe(self.symbols[0])

    def on_bar(self, bar: Bar) -> None:
        p = self.parameters
        self.state["bars"] = self.state.get("bars", 0) + 1
        stop = bar.close * (1 - p.stop_percent / 100)
        self.state["stop"] = stop if p.trails else self.state.get("stop") or stop
        self.target(bar.symbol, p.quantity, stop=None if p.without_stop else self.state["stop"])
