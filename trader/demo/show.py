"""What a person sees of a running demo: a live tree on a terminal, plain lines when piped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from supervisor.errors import StoreFailed
from supervisor.messages import Tree
from supervisor.process.store import SqliteStore
from trader.store import desk
from trader.view import tree_lines

DRAW_EVERY_S = 0.5
EVENTS_EVERY_S = 1.0
LINES_KEPT = 12
"""Lines of news under the live tree."""


class Show:
    """``out``: where plain lines go. ``draw``: given on a terminal, it replaces what was drawn before."""

    def __init__(self, out: TextIO, draw: Callable[[str], None] | None) -> None:
        self._began_s = time.monotonic()
        self._out = out
        self._draw_text = draw
        self._news: deque[str] = deque(maxlen=LINES_KEPT)
        self._drawn_s = self._events_s = 0.0
        self._told: dict[Path, int] = {}
        self._lines: list[str] = []

    def say(self, text: str) -> None:
        self._line(f"  {text}")

    def fault(self, text: str) -> None:
        self._line(f"✖ {text}")

    def _line(self, text: str) -> None:
        stamped = f"{time.monotonic() - self._began_s:6.1f}s {text}"
        self._news.append(stamped)
        if self._draw_text is None:
            self._out.write(stamped + "\n")
            self._out.flush()
        else:
            self._draw()

    def tree(self, tree: Tree) -> None:
        """Drawn on a terminal twice a second; when piped, the events tell the story."""
        if self._draw_text is None or time.monotonic() - self._drawn_s < DRAW_EVERY_S:
            return
        self._drawn_s = time.monotonic()
        self._lines = tree_lines(tree) or ["(no desk answers)"]
        self._draw()

    def _draw(self) -> None:
        if self._draw_text is not None:
            self._draw_text("\n".join([*self._lines, "", *self._news]))

    def events(self, home: Path) -> None:
        """What the desk and its sessions have recorded since the last look, at most once a second."""
        if time.monotonic() - self._events_s < EVENTS_EVERY_S:
            return
        self._events_s = time.monotonic()
        news = sorted((row for path in stores(home) for row in self._news_of(path)), key=lambda row: row["machine_s"])
        for text in dict.fromkeys(row["text"] for row in news):  # what is told to the strategy and to a person, once
            self._line(f"→ {text}")

    def _news_of(self, path: Path) -> list[dict[str, Any]]:
        rows = _events_after(path, self._told.get(path, 0))
        if rows:
            self._told[path] = rows[-1]["number"]
        return rows


def stores(home: Path) -> list[Path]:
    """Wherever events stand: the desk's store and the sessions' journals."""
    return [home / desk.DESK_DB, *sorted((home / "sessions").glob("*.db"))]


def _events_after(path: Path, number: int) -> list[dict[str, Any]]:
    try:
        store = SqliteStore(path, None)
    except StoreFailed:
        # It has just been started for the first time, and its schema is not written yet.
        return []
    try:
        return store.query(
            "SELECT number, text, machine_s FROM events"
            " WHERE number > ? AND (level <> 'LOG' OR kind = 'uncovered.over') ORDER BY number",
            (number,),
        )
    finally:
        store.close()
