"""SQLite as a process sees it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from supervisor.errors import StoreFailed
from supervisor.process.store import SqliteStore

migrations = (
    "CREATE TABLE one (a INTEGER); CREATE TABLE two (b TEXT)",
    "ALTER TABLE one ADD COLUMN c INTEGER DEFAULT 7",
)
first_only = migrations[:1]
broken = (*migrations, "CREATE TABLE three (x); CREATE TABLE one (again)")
HERE = "tests.supervisor.test_store:"


def test_schema_is_applied_step_by_step_over_program_versions(tmp_path: Path) -> None:
    old = SqliteStore(tmp_path / "x.db", HERE + "first_only")
    with old.transaction():
        old.execute("INSERT INTO one VALUES (1)")
    old.close()
    new = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    assert new.query("SELECT * FROM one") == [{"a": 1, "c": 7}]
    again = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    assert again.query("PRAGMA user_version") == [{"user_version": 2}]


def test_failing_migration_changes_nothing(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "x.db", HERE + "migrations").close()
    with pytest.raises(StoreFailed, match="table one already exists"):
        SqliteStore(tmp_path / "x.db", HERE + "broken")
    kept = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    assert kept.query("SELECT name FROM sqlite_master WHERE name = 'three'") == []


def test_store_of_a_newer_program_is_refused_and_untouched(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "x.db", HERE + "migrations").close()
    with pytest.raises(StoreFailed, match="version 2, this program knows up to 1"):
        SqliteStore(tmp_path / "x.db", HERE + "first_only")


def test_exception_inside_a_transaction_rolls_it_back(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "x.db", HERE + "migrations")

    def half() -> None:
        with store.transaction():
            store.execute("INSERT INTO one VALUES (1, 2)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert store.query("SELECT * FROM one") == []


def test_reader_sees_what_is_committed_and_cannot_write(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    reader = SqliteStore(tmp_path / "x.db", None)
    with writer.transaction():
        writer.execute("INSERT INTO two VALUES ('x')")
        assert reader.query("SELECT * FROM two") == []
    assert reader.query("SELECT * FROM two") == [{"b": "x"}]
    with pytest.raises(StoreFailed, match="readonly"):
        reader.execute("INSERT INTO two VALUES ('y')")


def test_what_is_no_store_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is not sqlite" * 100)
    with pytest.raises(StoreFailed, match=r"x\.db cannot be opened.*not a database"):
        SqliteStore(tmp_path / "x.db", HERE + "migrations")
    with pytest.raises(StoreFailed, match=r"absent\.db cannot be opened"):
        SqliteStore(tmp_path / "absent.db", None)


def test_commit_is_synced_and_the_log_is_ahead(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    assert store.query("PRAGMA synchronous") == [{"synchronous": 2}]
    assert store.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert sqlite3.connect(tmp_path / "x.db").execute("SELECT count(*) FROM _sqlite_migrations").fetchone() == (2,)
