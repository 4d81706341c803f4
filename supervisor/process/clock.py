"""The civil clock of a desk: the wall clock, or a scaled one that is described by a small file.

``time = origin + rate * (wall - anchor)``, frozen at ``stopped_at``. Whoever runs a market faster than life keeps the
file; each process re-reads it every second.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from supervisor.errors import NightdeskError

RATE_MAX = 100_000.0
"""A market day in a second; more is a slip of the pen."""
YEAR_10000_UTC = 253_402_300_800
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


def wall_utc() -> float:
    """The wall clock, for stamps of logs. Market time is a ``Clock``'s."""
    return time.time()


WALL = ClockFile(origin_utc=0.0, rate=1.0, anchor_wall_s=0.0)


def read_clock(path: str) -> ClockFile:
    """Raises ``BadClock`` naming the file and what is wrong with it."""
    try:
        file = msgspec.json.decode(Path(path).read_bytes(), type=ClockFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadClock(f"clock file {path}: {error}. Is the emulator running, and is desk.clock right?") from error
    if not 0 < file.rate <= RATE_MAX:
        raise BadClock(f"clock file {path}: rate {file.rate:g}, wanted: above 0 and at most {RATE_MAX:g}. Mend it.")
    shown = file.utc(time.time())
    if not 0 <= shown < YEAR_10000_UTC:
        raise BadClock(f"clock file {path}: it shows {shown:g} s since 1970, which is no date. Mend origin and anchor.")
    return file


class Clock:
    """Re-reads its file every second. A file that is unreadable leaves the clock as it was; ``trouble`` says why."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = read_clock(path) if path else WALL
        self._read_s = time.monotonic()
        self.trouble = self._told = ""

    def market_utc(self) -> float:
        self._refresh()
        return self._file.utc(time.time())

    def rate(self) -> float:
        return self._file.rate

    def news(self) -> str:
        """What is to be told about the file now: once that it cannot be read any more, once that it can; else ""."""
        self._refresh()
        if self.trouble == self._told:
            return ""
        self._told = self.trouble
        return (
            f"{self.trouble} The time goes on as it was last described." if self.trouble else "the clock is read again"
        )

    def _refresh(self) -> None:
        if not self._path or time.monotonic() - self._read_s < REREAD_S:
            return
        self._read_s = time.monotonic()
        try:
            self._file = read_clock(self._path)
            self.trouble = ""
        except BadClock as error:
            # A wrong time is worse than an old description; the next second reads it again.
            self.trouble = str(error)
