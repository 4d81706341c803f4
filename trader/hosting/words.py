"""What a strategy is told best effort: quotes, and the age of its data. Nothing of it comes again. PURE.

Of each symbol only the newest waits: what is newer takes its place, so that a strategy which is slower than the market
hears of now, and what waits is bounded by the session's symbols.
"""

from __future__ import annotations

from typing import Any

import msgspec

from brokers.model import Quote
from trader.messages import DataAge


class Word(msgspec.Struct, frozen=True):
    """A hook to be called with ``told``; ``as_of_utc`` is when that was true."""

    hook: str
    about: str
    told: tuple[Any, ...]
    as_of_utc: float


class Words:
    """Those that wait, by hook and symbol; the one that has waited longest goes first."""

    def __init__(self) -> None:
        self._waiting: dict[str, Word] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def age(self, age: DataAge, now_utc: float) -> None:
        self._waits(Word("on_data_age", f"age {age.symbol}", (age.symbol, age.age_s), now_utc))

    def quote(self, quote: Quote, as_of_utc: float) -> None:
        self._waits(Word("on_quote", f"quote {quote.symbol}", (quote,), as_of_utc))

    def take(self) -> Word:
        """StopIteration where none waits."""
        return self._waiting.pop(next(iter(self._waiting)))

    def _waits(self, word: Word) -> None:
        """In the place of the older one: a symbol that is quoted without end does not push others back."""
        self._waiting[word.about] = word
