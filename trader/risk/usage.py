"""What of a session's limits is used up: new orders, round trips, refusals, by their market times. PURE.

Made again from the journal's rows at each start, so that no restart begins a new count. Market time is the clock: rows
carry it, it goes on over a reboot, and a limit means the same at any rate. Where the clock was set back, what it had
stamped with a later time still counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from trader.messages import FillRow, RejectRow, Row
from trader.risk.gates import WAITING_GATES

STAMPS_KEPT = 10_000
"""Of each kind, the newest: as many as a limit can allow (``limits.COUNT_MAX``)."""
MINUTE_S = 60.0


class Usage(NamedTuple):
    """``placed``: when the intent of each new order was written. ``trips``: when a position came back to flat.
    ``rejects``: refusals since a person last released the hold that they made."""

    placed: deque[float]
    trips: deque[float]
    rejects: deque[float]


def nothing_used() -> Usage:
    return Usage(*(deque(maxlen=STAMPS_KEPT) for _ in Usage._fields))


def since(stamps: Iterable[float], from_utc: float) -> int:
    """How many lie behind ``from_utc``."""
    return sum(at_utc > from_utc for at_utc in stamps)


def count_row(usage: Usage, row: Row, counted_from: int) -> None:
    """``counted_from``: the row at which a person last released the hold that refusals had made."""
    told = row.content
    if isinstance(told, FillRow) and told.position == 0:
        usage.trips.append(told.filled_utc)
    elif isinstance(told, RejectRow) and row.number > counted_from and told.gate not in WAITING_GATES:
        usage.rejects.append(told.refused_utc)
