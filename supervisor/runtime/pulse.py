"""A child's own side of its slot on the liveness page: alive until when, fresh until when, doing what."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

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

    @contextmanager
    def blocking(self, limit_s: float) -> Iterator[None]:
        """The loop may not turn for so long. The number never goes back by a shorter wait inside a longer one."""
        before_s = self._page.read(self._slot)
        self._page.write(self._slot, max(before_s, time.monotonic() + limit_s + self.limit_s))
        try:
            yield
        finally:
            self._page.write(self._slot, max(before_s, time.monotonic() + self.limit_s))

    def fresh(self, for_s: float) -> None:
        """What is delivered now is recent enough for so long."""
        self._page.write_fresh(self._slot, time.monotonic() + for_s)

    def note(self, text: str) -> None:
        """What it is doing, for its successor."""
        self._page.write_note(self._slot, text)
