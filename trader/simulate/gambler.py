"""Gambler: says whatever a strategy can say, drawn from its seed and the bar. For simulated nights; it earns nothing.

What it draws follows from seed and bar alone, so that a turn that comes again after a death says the same again, as a
strategy's does.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, Literal

import msgspec

from brokers.model import Trail
from trader.strategy import OFF, RESUME, Bar, Position, Reject, Strategy

SAYS = {
    "nothing": 30,
    "open": 16,
    "the same": 8,
    "add": 8,
    "reduce": 7,
    "reverse": 3,
    "close": 8,
    "move the stop": 8,
    "move the take": 4,
    "no take": 2,
    "no trail": 2,
}
"""How often it says what, on a bar."""
FORMS = {"stop": 5, "stop and take": 5, "trail": 3, "trail from a stop": 3, "percent trail and take": 2, "behind": 1}
"""With which protection it opens. ``behind``: a stop that the market has passed already, as a careless one says."""
ACROSS = 0.25
"""Part of the bars of a session of several symbols on which it speaks of another one than the bar's."""
TICK = Decimal("0.0001")


class Gambler(Strategy):
    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        seed: int = 1
        units: int = 3
        """At most held, either way."""
        shorts: bool = True
        resumes: bool = False
        """Goes back to what it had declared when somebody else has traded."""
        distance_percent: Decimal = Decimal("0.05")
        """Of stops, takes and trails: some ticks of a liquid index."""

    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol)

    def on_bar(self, bar: Bar) -> None:
        p: Gambler.Parameters = self.parameters
        draw = random.Random(f"{p.seed} {bar.symbol} {bar.closed_utc}")
        others = [symbol for symbol in self.symbols if symbol != bar.symbol]
        if others and draw.random() < ACROSS:
            bar = (*self.bars(draw.choice(others), 1), bar)[0]
        held = self.position(bar.symbol).quantity
        says = draw.choices(list(SAYS), list(SAYS.values()))[0]
        if not held:
            if says in ("open", "reverse", "the same", "add"):
                side = draw.choice((-1, 1)) if p.shorts else 1
                self._open(bar, Decimal(side * draw.randint(1, p.units)), draw)
            return
        side = 1 if held > 0 else -1
        if says == "the same":
            self.target(bar.symbol, held)
        elif says == "add" and abs(held) < p.units:
            self._open(bar, held + side, draw)
        elif says == "reduce" and abs(held) > 1:
            self.target(bar.symbol, held - side)
        elif says == "reverse" and p.shorts:
            self._open(bar, Decimal(-side * draw.randint(1, p.units)), draw)
        elif says == "close":
            self.close(bar.symbol)
        elif says == "move the stop":
            self.move_stop(bar.symbol, _at(bar, -side * p.distance_percent * draw.choice((1, 2))))
        elif says == "move the take":
            self.target(bar.symbol, held, take=_at(bar, side * p.distance_percent * draw.choice((1, 2))))
        elif says == "no take":
            self.target(bar.symbol, held, take=OFF)
        elif says == "no trail":
            self.target(bar.symbol, held, trail=OFF)

    def on_sync(self, before: Position, after: Position) -> Literal["resume"] | None:
        p: Gambler.Parameters = self.parameters
        return RESUME if p.resumes else None

    def on_reject(self, reject: Reject) -> None:
        """What was refused is told once more, as careless ones do: that must not go round in a circle."""
        if reject.gate == "stop":
            self.close(reject.symbol)

    def _open(self, bar: Bar, quantity: Decimal, draw: random.Random) -> None:
        p: Gambler.Parameters = self.parameters
        side, percent = (1 if quantity > 0 else -1), p.distance_percent * draw.choice((1, 2, 4))
        form = draw.choices(list(FORMS), list(FORMS.values()))[0]
        stop, take = _at(bar, -side * percent), _at(bar, side * percent)
        forms: dict[str, dict[str, Any]] = {
            "stop": {"stop": stop},
            "stop and take": {"stop": stop, "take": take},
            "trail": {"trail": abs(bar.close - stop)},
            "trail from a stop": {"stop": stop, "trail": abs(bar.close - stop)},
            "percent trail and take": {"trail": Trail(percent=percent), "take": take},
            "behind": {"stop": take},
        }
        self.target(bar.symbol, quantity, **forms[form])


def _at(bar: Bar, percent: Decimal) -> Decimal:
    """So far from the close."""
    return (bar.close * (1 + percent / 100)).quantize(TICK)
