"""All that is traded, by symbol; and the continuous symbols, each one contract after the other. PURE."""

from __future__ import annotations

import datetime

from brokers.tradestation.emulator.instruments import ROOTS, instrument
from brokers.tradestation.emulator.series import (
    DAY_S,
    MINUTE_S,
    QUARTER_S,
    Bar,
    Forming,
    Interval,
    Print,
    Quote,
    Quotes,
    Series,
)

__all__ = ["MINUTE_S", "QUARTER_S", "Bar", "Forming", "Interval", "Market", "Print", "Quote", "Quotes", "Series"]


class Market:
    """All series that the emulator serves, by symbol. A continuous one (@ES) is its contracts one after the other, each
    while it is in front, prices as they were traded."""

    def __init__(self, series: list[Series]) -> None:
        self._by_symbol = {one.symbol: one for one in series}
        self._continuous: dict[str, Series | None] = {}

    @property
    def symbols(self) -> list[str]:
        return sorted(self._by_symbol)

    def series(self, symbol: str) -> Series | None:
        """What is traded: a stock or a dated contract."""
        return self._by_symbol.get(symbol)

    def charted(self, symbol: str) -> Series | None:
        """What has a chart: also a continuous symbol."""
        if not symbol.startswith("@"):
            return self._by_symbol.get(symbol)
        if symbol not in self._continuous:
            self._continuous[symbol] = self._joined(symbol)
        return self._continuous[symbol]

    def resolve(self, symbol: str, at_utc: float) -> str | None:
        """A symbol that is served, or for a continuous one (@ES) the contract in front: the first that has not been
        rolled out of, else the last. None: not known here."""
        if not symbol.startswith("@"):
            return symbol if symbol in self._by_symbol else None
        rolls = self._rolls(symbol)
        return next((name for name, until in rolls if until > at_utc), rolls[-1][0] if rolls else None)

    def _rolls(self, symbol: str) -> list[tuple[str, float]]:
        """Contracts by expiry, each with the moment up to which it is in front: its root's days before the expiry
        [infer], not before the next one's bars begin, and not after its own have ended."""
        contracts = sorted(
            (about.expires, name)
            for name in self._by_symbol
            if (about := instrument(name)) is not None and about.root == symbol[1:] and about.is_future
        )
        rolls: list[tuple[str, float]] = []
        for n, (expires, name) in enumerate(contracts):
            until = float(self._by_symbol[name].stamps[-1])
            if n + 1 < len(contracts):
                following = self._by_symbol[contracts[n + 1][1]].stamps[0] - MINUTE_S
                until = min(until, max(_day_utc(expires) - ROOTS[symbol[1:]].roll_days * DAY_S, following))
            rolls.append((name, until))
        return rolls

    def _joined(self, symbol: str) -> Series | None:
        bars: list[Bar] = []
        for name, until in self._rolls(symbol):
            bars += self._by_symbol[name].closed(1, bars[-1].stamp_utc if bars else 0, until)
        return Series(symbol, tuple(bars)) if bars else None


def _day_utc(day: str) -> float:
    return datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()
