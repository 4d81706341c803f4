"""The disk of a simulated machine: one SQLite database in memory a path, which outlives the processes that write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from supervisor.process.world import Statement

WAITING_MAX = 512
"""Statements that a disk keeps before it executes them, one after the other."""


class Disk(sqlite3.Connection):
    """``write_later`` is for a machine on which nothing dies: there, nobody can tell what is written from what is about
    to be. It costs half of what it does between the decisions of a desk, and whoever looks finds it written."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting: list[Statement] = []

    def write_later(self, statements: Sequence[Statement]) -> None:
        self._waiting += statements
        if len(self._waiting) >= WAITING_MAX:
            self._write_out()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self._waiting:
            self._write_out()
        return super().execute(sql, parameters)

    def _write_out(self) -> None:
        waiting, self._waiting = self._waiting, []
        cursor = self.cursor()
        cursor.execute("BEGIN")
        for sql, parameters in waiting:
            cursor.execute(sql, parameters)
        cursor.execute("COMMIT")


def new_disk() -> Disk:
    return sqlite3.connect(":memory:", isolation_level=None, factory=Disk)
