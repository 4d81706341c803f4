"""A child's own side of its slot on the liveness page: alive until when, fresh until when, doing what."""

from __future__ import annotations

import time

from supervisor.runtime.page import Page


class Pulse:
    """Written by the child's one loop, never by a helper thread: a thread would beat for a loop that hangs."""

    def __init__(self, page: Page, slot: int, limit_s: float) -> None:
        self._page = page
        self._slot = slot
        self.limit_s = limit_s

    def beat(self) -> None:
        """The loop has turned."""
        self._page.write(self._slot, time.monotonic() + self.limit_s)

    def blocking(self, limit_s: float) -> Blocking:
        """``with``: the loop may not turn for so long."""
        return Blocking(self._page, self._slot, self.limit_s, limit_s)

    def fresh(self, for_s: float) -> None:
        """What is delivered now is recent enough for so long."""
        self._page.write_fresh(self._slot, time.monotonic() + for_s)

    def note(self, text: str) -> None:
        """What it is doing, for its successor."""
        self._page.write_note(self._slot, text)


class Blocking:
    """The number never goes back by a shorter wait inside a longer one. (A class: as a generator it would take three
    times as long, in each call and each request.)"""

    __slots__ = ("_before_s", "_limit_s", "_page", "_slot", "_wait_s")

    def __init__(self, page: Page, slot: int, limit_s: float, wait_s: float) -> None:
        self._page, self._slot, self._limit_s, self._wait_s = page, slot, limit_s, wait_s
        self._before_s = 0.0

    def __enter__(self) -> None:
        self._before_s = self._page.read(self._slot)
        self._page.write(self._slot, max(self._before_s, time.monotonic() + self._wait_s + self._limit_s))

    def __exit__(self, *_: object) -> None:
        self._page.write(self._slot, max(self._before_s, time.monotonic() + self._limit_s))
