"""The market clock: origin + rate x (wall - anchor), kept in clock.json beside the book. EDGE (the file).

It outlives the emulator: while that is dead the market goes on. Others read the same file.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from brokers.tradestation.emulator.errors import ClockError

FILE_NAME = "clock.json"
RATE_MAX = 100_000.0


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``stopped_at_utc``: market time stands there for good."""

    origin_utc: float
    rate: float
    anchor_wall_s: float
    stopped_at_utc: float | None = None

    def market_utc(self, wall_s: float) -> float:
        if self.stopped_at_utc is not None:
            return self.stopped_at_utc
        return self.origin_utc + self.rate * (wall_s - self.anchor_wall_s)

    def wall_s(self, market_utc: float) -> float | None:
        """When the market gets there; None for a stopped clock."""
        if self.stopped_at_utc is not None:
            return None
        return self.anchor_wall_s + (market_utc - self.origin_utc) / self.rate


class ClockFile:
    """The clock of a book: the kept one, whatever origin and rate are asked for now, else a new one."""

    def __init__(self, path: Path, origin_utc: float, rate: float, wall_s: float) -> None:
        self._path = path
        if path.exists():
            self.clock = read_clock(path)
            return
        if not 0 < rate <= RATE_MAX:
            raise ClockError(f"rate must be above 0 and at most {RATE_MAX:g}, got {rate:g}")
        self.clock = Clock(origin_utc, rate, wall_s)
        write_clock(path, self.clock)

    def stop(self, at_utc: float) -> None:
        """For good. A second stop changes nothing."""
        if self.clock.stopped_at_utc is None:
            self.clock = msgspec.structs.replace(self.clock, stopped_at_utc=at_utc)
            write_clock(self._path, self.clock)


def read_clock(path: Path) -> Clock:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Clock)
    except (OSError, msgspec.MsgspecError) as error:
        raise ClockError(
            f"{path}: not a market clock ({error}). It is left as it is; move it away to begin anew."
        ) from error


def write_clock(path: Path, clock: Clock) -> None:
    """Whole or not at all: readers never see half a file."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(clock) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
