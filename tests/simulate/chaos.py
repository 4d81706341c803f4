"""Declares what nobody would: any exposure, any stop, take or trail, in any hook; drawn, the same again for one seed.

What it is told decides what it draws, so that a turn that comes again declares the same.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import Trail
from trader.strategy import OFF, RESUME, Bar, Fill, Position, Reject, Strategy

TICKS = {"ESZ13": Decimal("0.25"), "SPY": Decimal("0.01")}
VERBS = (
    ("target",),
    ("buy", "sell"),
    ("flip",),
    ("target", "close", "move_stop"),
    ("target", "bare"),
    ("target", "buy", "sell", "close", "move_stop", "flip", "off"),
)


class Chaos(Strategy):
    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        seed: int = 1

    def setup(self) -> None:
        draw = self._draw("habits")
        self.share = draw.choice((0.2, 0.5, 0.9))
        self.units = draw.choice((1, 2, 3, 5))
        self.ticks = draw.choice((2, 6, 20, 100))
        self.verbs = draw.choice(VERBS)
        self.in_rows = draw.random() < 0.4
        self.resumes = draw.random() < 0.4
        for symbol in self.symbols:
            self.subscribe(symbol, warm_up=5)
        if draw.random() < 0.3:
            self.timer("again", every_s=33)

    def on_bar(self, bar: Bar) -> None:
        self.state["bars"] = self.state.get("bars", 0) + 1
        self._say(bar.symbol, self.share, bar.symbol, bar.closed_utc)

    def on_fill(self, fill: Fill) -> None:
        self._say(fill.symbol, 0.5 if self.in_rows else 0.0, fill.order_id, fill.position)

    def on_reject(self, reject: Reject) -> None:
        self._say(reject.symbol, 0.5 if self.in_rows else 0.0, reject.gate, reject.refused_utc)

    def on_sync(self, before: Position, after: Position) -> Any:
        return RESUME if self.resumes else None

    def on_timer(self, name: str) -> None:
        for symbol in self.symbols:
            self._say(symbol, 0.3, name, symbol, len(self.bars(symbol, 5000)))

    def _draw(self, *told: object) -> random.Random:
        return random.Random(f"{self.parameters.seed} {told}")

    def _say(self, symbol: str, share: float, *told: object) -> None:
        draw, bars = self._draw(*told), self.bars(symbol, 1)
        if not bars or draw.random() >= share:
            return
        close, tick, held = bars[-1].close, TICKS[symbol], self.position(symbol).quantity
        units, side = draw.randint(1, self.units), draw.choice((-1, 1))
        verb = draw.choice(self.verbs)
        if verb == "flip":
            side = -1 if held > 0 else 1
        elif verb in ("buy", "sell"):
            side = 1 if verb == "buy" else -1
        away = tick * draw.randint(0, self.ticks) + draw.choice((Decimal(0), tick / 3))
        words: dict[str, Any] = {"stop": close - side * away} if draw.random() < 0.9 else {}
        if draw.random() < 0.5:
            words["take"] = close + side * tick * draw.randint(1, self.ticks)
        if draw.random() < 0.3:
            words["trail"] = draw.choice((away + tick, Trail(percent=Decimal("0.1"))))
        if verb in ("target", "flip"):
            self.target(symbol, side * units, **words)
        elif verb in ("buy", "sell"):
            getattr(self, verb)(symbol, units, **words)
        elif verb == "move_stop":
            self.move_stop(symbol, close - (1 if held >= 0 else -1) * away)
        elif verb == "off":
            self.target(symbol, held, take=OFF, trail=OFF)
        elif verb == "bare":
            self.target(symbol, side * units)
        else:
            self.close(symbol)
