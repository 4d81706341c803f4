"""Code of the user's is broken off where it is when it computes for too long, so that its error has a line.

The last resort is the supervisor's, which kills a process whose loop does not turn; it cannot say where it hung. Time
is counted in ticks: a machine that stood still for a minute has had one tick, and nobody is broken off for it.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import ClassVar

TICKS = 5
"""Of a limit. The alarm repeats itself after that: code that swallows it once is broken off again a tick later."""


class TooLong(BaseException):
    """Raised inside the code that computes for too long. No ``Exception``: a loop that catches those would go on."""


class Alarm:
    """``with alarm:`` raises ``TooLong`` in what runs inside, ``limit_s`` machine seconds after it began. Not nested.

    Outside of a process's main thread, where Python hears no signal, there is no such limit. (A class that asks the
    kernel twice: as a generator that also hands the signal on it would cost each turn of a strategy 7 microseconds.)
    """

    __slots__ = ("_armed", "_tick_s", "_ticks")
    _heard: ClassVar[Alarm | None] = None
    """Whose ticks the process hears."""

    def __init__(self, limit_s: float) -> None:
        self._tick_s = limit_s / TICKS
        self._ticks = 0
        self._armed = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if self._armed:
            self._ticks = 0
            if Alarm._heard is not self:
                Alarm._heard = self
                signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, self._tick_s, self._tick_s)

    def __exit__(self, *_: object) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        self._ticks += 1
        if self._ticks >= TICKS:
            raise TooLong
