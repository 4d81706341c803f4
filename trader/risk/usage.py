"""What of a session's limits is used up: new orders, round trips, refusals, by their market times. PURE.

Made again from the journal's rows at each start, so that no restart begins a new count. Market time is the clock: rows
carry it, it goes on over a reboot, and a limit means the same at any rate. Where the clock was set back, what it had
stamped with a later time still counts.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple

from trader.messages import FillRow, RejectRow, Row
from trader.risk.gates import WAITING_GATES

STAMPS_KEPT = 10_000
"""Of each kind, the newest: as many as a limit can allow (``limits.COUNT_MAX``)."""
MINUTE_S = 60.0


class Stamps:
    """Market times, in their sequence: how many lie behind a moment is asked for each entry, of thousands."""

    __slots__ = ("_at_utc",)

    def __init__(self) -> None:
        self._at_utc: list[float] = []

    def add(self, at_utc: float, times: int = 1) -> None:
        for _ in range(times):
            insort(self._at_utc, at_utc)
        del self._at_utc[:-STAMPS_KEPT]

    def since(self, from_utc: float) -> int:
        """How many lie behind ``from_utc``."""
        return len(self._at_utc) - bisect_right(self._at_utc, from_utc)

    def clear(self) -> None:
        self._at_utc.clear()

    def __iter__(self) -> Iterator[float]:
        return iter(self._at_utc)

    def __len__(self) -> int:
        return len(self._at_utc)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stamps) and self._at_utc == other._at_utc

    __hash__ = None  # type: ignore[assignment]


class Usage(NamedTuple):
    """``placed``: when the intent of each new order was written. ``trips``: when a position came back to flat.
    ``rejects``: refusals since a person last released the hold that they made."""

    placed: Stamps
    trips: Stamps
    rejects: Stamps


def nothing_used() -> Usage:
    return Usage(Stamps(), Stamps(), Stamps())


def count_row(usage: Usage, row: Row, counted_from: int) -> None:
    """``counted_from``: the row at which a person last released the hold that refusals had made."""
    told = row.content
    if isinstance(told, FillRow) and told.position == 0:
        usage.trips.add(told.filled_utc)
    elif isinstance(told, RejectRow) and row.number > counted_from and told.gate not in WAITING_GATES:
        usage.rejects.add(told.refused_utc)
