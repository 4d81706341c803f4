"""What a person sees of a running demo: a live tree on a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from supervisor.errors import StoreFailed
from supervisor.messages import Tree
from supervisor.process.store import SqliteStore
from trader.cli.status import tree_lines
from trader.store import desk

DRAW_EVERY_S = 0.5
EVENTS_EVERY_S = 1.0
LINES_KEPT = 12
"""Lines of news under the live tree."""


class Show:
    """``quiet``: nothing but the end is printed on stdout (for ``--json``); talk goes to stderr."""

    def __init__(self, quiet: bool) -> None:
        self._began_s = time.monotonic()
        self._out = sys.stderr if quiet else sys.stdout
        self._live: Any = None
        self._news: deque[str] = deque(maxlen=LINES_KEPT)
        self._drawn_s = self._events_s = 0.0
        self._event = 0
        self._lines: list[str] = []
        if self._out.isatty():
            self._live = _live(self._out)

    def say(self, text: str) -> None:
        self._line(f"  {text}")

    def fault(self, text: str) -> None:
        self._line(f"✖ {text}")

    def _line(self, text: str) -> None:
        stamped = f"{time.monotonic() - self._began_s:6.1f}s {text}"
        self._news.append(stamped)
        if self._live is None:
            self._out.write(stamped + "\n")
            self._out.flush()
        else:
            self._draw()

    def tree(self, tree: Tree) -> None:
        """Drawn on a terminal twice a second; when piped, the events tell the story."""
        if self._live is None or time.monotonic() - self._drawn_s < DRAW_EVERY_S:
            return
        self._drawn_s = time.monotonic()
        self._lines = tree_lines(tree) or ["(no desk answers)"]
        self._draw()

    def _draw(self) -> None:
        self._live.update("\n".join([*self._lines, "", *self._news]), refresh=True)

    def events(self, home: Path) -> None:
        """What the desk has recorded since the last look, at most once a second."""
        if time.monotonic() - self._events_s < EVENTS_EVERY_S:
            return
        self._events_s = time.monotonic()
        for row in _events_after(home, self._event):
            self._event = row["number"]
            self._line(f"→ {row['text']}")

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()


def _events_after(home: Path, number: int) -> list[dict[str, Any]]:
    try:
        store = SqliteStore(home / desk.DESK_DB, None)
    except StoreFailed:
        # The desk has just been started for the first time and has recorded nothing yet.
        return []
    try:
        return store.query(
            "SELECT number, text FROM events WHERE number > ? AND level <> 'LOG' ORDER BY number", (number,)
        )
    finally:
        store.close()


def _live(out: Any) -> Any:
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(file=out, markup=False, highlight=False), auto_refresh=False)
    live.start()
    return live
