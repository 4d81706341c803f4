"""The disk of a simulated machine: one SQLite database in memory a path, which outlives the processes that write it."""

from __future__ import annotations

import sqlite3
from typing import Any

from supervisor.process.writes import Writes

WAITING_MAX = 2000
"""Rows that a disk keeps before it writes them, one after the other."""


class Disk(sqlite3.Connection):
    """``write_later`` is for a machine on which nothing dies: there, nobody can tell what is written from what is about
    to be. In one go it costs a third of what it does between the decisions of a desk, and a value that has changed ten
    times meanwhile is written once. Whoever looks finds all of it written."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting = Writes()

    def write_later(self, writes: Writes) -> None:
        self._waiting.follow_with(writes)
        if len(self._waiting) >= WAITING_MAX:
            self._write_out()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if self._waiting:
            self._write_out()
        return super().execute(sql, parameters)

    def _write_out(self) -> None:
        waiting, self._waiting = self._waiting, Writes()
        cursor = self.cursor()
        cursor.execute("BEGIN")
        for sql, parameters in waiting.statements():
            cursor.execute(sql, parameters)
        cursor.execute("COMMIT")


def new_disk() -> Disk:
    return sqlite3.connect(":memory:", isolation_level=None, factory=Disk)
