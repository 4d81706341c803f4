"""The civil clock of a desk: the wall clock, or a scaled one that is described by a small file (DESIGN 5).

``time = origin + rate * (wall - anchor)``, frozen at ``stopped_at``. Whoever runs a market faster than life keeps the
file; each process re-reads it every second.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from supervisor.errors import NightdeskError

REREAD_S = 1.0
"""The file is looked at this often: a stopped market is seen within a second."""


class BadClock(NightdeskError):
    """The clock file cannot be read; without it no stamp of this desk is right."""


class ClockFile(msgspec.Struct, frozen=True):
    """Times are UTC epoch seconds; ``anchor_wall_s`` is the wall time at which the clock showed ``origin_utc``."""

    origin_utc: float
    rate: float
    anchor_wall_s: float
    stopped_at_utc: float | None = None

    def utc(self, wall_s: float) -> float:
        """What the clock shows when the wall clock shows ``wall_s``."""
        shown = self.origin_utc + self.rate * (wall_s - self.anchor_wall_s)
        return shown if self.stopped_at_utc is None else min(shown, self.stopped_at_utc)


WALL = ClockFile(origin_utc=0.0, rate=1.0, anchor_wall_s=0.0)


def read_clock(path: str) -> ClockFile:
    """Raises ``BadClock`` naming the file and what is wrong with it."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=ClockFile)
    except (OSError, msgspec.DecodeError) as error:
        raise BadClock(f"clock file {path}: {error}. Is the emulator running, and is desk.clock right?") from error


class Clock:
    """Re-reads its file every second. A file that is unreadable for a moment leaves the clock as it was."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = read_clock(path) if path else WALL
        self._read_s = time.monotonic()

    def market_utc(self) -> float:
        self._refresh()
        return self._file.utc(time.time())

    def rate(self) -> float:
        return self._file.rate

    def _refresh(self) -> None:
        if not self._path or time.monotonic() - self._read_s < REREAD_S:
            return
        self._read_s = time.monotonic()
        try:
            self._file = read_clock(self._path)
        except BadClock:
            # It is being replaced just now; the next second reads it. A wrong time is worse than an old description.
            return
