"""SQLite as a process sees it: WAL, synchronous=FULL, BEGIN IMMEDIATE; one writer a file.

Schemas are tuples of SQL scripts, applied by sqlite-utils; ``PRAGMA user_version`` counts those that were.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from supervisor.errors import StoreFailed
from supervisor.process.lean import sqlite_utils
from supervisor.process.writes import Writes

BUSY_S = 5.0
"""A reader or a checkpoint may hold the file for moments; longer is somebody stopped inside a transaction."""


class SqliteStore:
    """See ``World.store``. ``connection``: one that is open already (the simulated world's stores are in memory)."""

    def __init__(self, path: Path | str, schema: str | None, connection: sqlite3.Connection | None = None) -> None:
        self._path = str(path)
        self._writes = schema is not None
        try:
            self._connection = connection or _connect(self._path, readonly=schema is None)
            if schema is not None:
                scripts = migrations(schema)
                refuse_newer(self._path, _version(self._connection), scripts)
                if connection is None:
                    _make_durable(self._connection)
                migrate(self._connection, scripts)
        except (sqlite3.Error, OSError) as error:
            raise self.failed("cannot be opened", error) from error

    def transaction(self) -> Transaction:
        return Transaction(self)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The number of rows changed."""
        try:
            return self._connection.execute(sql, parameters).rowcount
        except sqlite3.Error as error:
            raise self.failed("cannot be written", error) from error

    def write(self, writes: Writes) -> None:
        """All of it or nothing. (One statement is a transaction by itself: no BEGIN, no COMMIT.)"""
        statements = writes.statements()
        if len(statements) == 1:
            self.execute(*statements[0])
            return
        with Transaction(self):
            for sql, parameters in statements:
                self.execute(sql, parameters)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        try:
            cursor = self._connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except sqlite3.Error as error:
            raise self.failed("cannot be read", error) from error

    def roll_back(self) -> None:
        """Nothing that the open transaction did has happened."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def failed(self, what: str, error: sqlite3.Error | OSError) -> StoreFailed:
        follows = " and its process is started again by itself" if self._writes else ""
        return StoreFailed(
            f"store {self._path} {what}: {error}. Nothing was changed in it{follows}. "
            "Look at the disk (space, rights) and at the file."
        )


class Transaction:
    """``with store.transaction()``: BEGIN IMMEDIATE .. COMMIT, or ROLLBACK after an exception. (A class: as a generator
    it would cost more than its two statements, in each step of a desk.)"""

    __slots__ = ("_store",)

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store.execute("BEGIN IMMEDIATE")

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._store.execute("COMMIT")
        except BaseException:
            self._store.roll_back()
            raise
        if error is not None:
            self._store.roll_back()
            if isinstance(error, sqlite3.Error):
                raise self._store.failed("cannot be written", error) from error


def _connect(path: str, *, readonly: bool) -> sqlite3.Connection:
    if readonly:
        return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)


def _make_durable(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrations(schema: str) -> tuple[str, ...]:
    """The tuple of scripts that ``"package.module:name"`` names."""
    module, _, name = schema.partition(":")
    scripts: tuple[str, ...] = getattr(import_module(module), name)
    return scripts


def migrate(connection: sqlite3.Connection, scripts: tuple[str, ...]) -> None:
    """Apply what is missing.

    ``user_version`` tells at once that nothing is to be done; sqlite-utils (which costs 180 ms and loads click) is
    imported only where something is: a process that starts on its own store does not pay for it.
    """
    if _version(connection) < len(scripts):
        _apply(connection, scripts)


def refuse_newer(path: str, version: int, scripts: tuple[str, ...]) -> None:
    """Raises ``StoreFailed`` for a store that a newer program has written: this one would not understand it. Readers
    use it too."""
    if version > len(scripts):
        raise StoreFailed(
            f"store {path} has version {version}, this program knows up to {len(scripts)}. "
            "It was written by a newer nightdesk: nothing was changed; run the newer one."
        )


def _apply(connection: sqlite3.Connection, scripts: tuple[str, ...]) -> None:
    """Each script in a transaction of its own, together with the note that it was applied."""
    library = sqlite_utils()
    migrations = library.Migrations("nightdesk")
    for number, script in enumerate(scripts, start=1):
        migrations(name=f"{number:04}")(_runner(script, number))
    migrations.apply(library.Database(connection))


def _runner(script: str, number: int) -> Callable[[Any], None]:
    def run(database: Any) -> None:
        for statement in script.split(";"):
            if statement.strip():
                database.execute(statement)
        database.execute(f"PRAGMA user_version={number}")

    return run
