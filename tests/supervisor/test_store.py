"""SQLite as a process sees it."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supervisor.errors import StoreFailed
from supervisor.process.store import SqliteStore
from supervisor.process.writes import Writes
from supervisor.sim.disk import new_disk

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


def cut(path: Path) -> None:
    SqliteStore(path, HERE + "migrations").close()
    path.write_bytes(path.read_bytes()[:6000])


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.write_bytes(b"this is no database, " * 500), "file is not a database"),
        (cut, "malformed"),
        (lambda path: path.mkdir(), "unable to open database file"),
    ],
)
def test_what_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path, harm: Any, says: str) -> None:
    path = tmp_path / "x.db"
    harm(path)
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(StoreFailed) as failed:
        SqliteStore(path, HERE + "migrations").query("SELECT * FROM one")
    assert says in str(failed.value)
    assert str(path) in str(failed.value)
    assert before is None or path.read_bytes() == before


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("not a folder")
    with pytest.raises(StoreFailed, match="cannot be opened"):
        SqliteStore(tmp_path / "sessions" / "x.db", HERE + "migrations")


def test_store_of_a_newer_program_keeps_each_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 9")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match="version 9, this program knows up to 2"):
        SqliteStore(path, HERE + "migrations")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x.db"]


def test_a_write_that_the_disk_refuses_leaves_what_was(tmp_path: Path) -> None:
    """By a limit of the file's size: an error of the disk as SQLite sees it."""
    store = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    with store.transaction():
        store.execute("INSERT INTO one VALUES (1, 2)")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    try:
        with pytest.raises(StoreFailed, match="cannot be written"), store.transaction():
            store.execute("INSERT INTO two SELECT hex(randomblob(100000))")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.query("SELECT * FROM one") == [{"a": 1, "c": 2}]
    assert store.query("SELECT * FROM two") == []


def itself(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row


def test_writes_are_all_there_or_nothing_of_them(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "x.db", HERE + "migrations")
    writes = Writes()
    writes.add("INSERT INTO one (a) VALUES (?)", (1,))
    for word in ("before", "last"):
        writes.put("word", "INSERT INTO two VALUES (?)", itself, (word,))
    store.write(writes)
    assert store.query("SELECT a FROM one") == [{"a": 1}]
    assert store.query("SELECT b FROM two") == [{"b": "last"}]
    writes.add("INSERT INTO nowhere VALUES (?)", (1,))
    with pytest.raises(StoreFailed, match="cannot be written"):
        store.write(writes)
    assert store.query("SELECT a FROM one") == [{"a": 1}]


def test_who_looks_at_a_simulated_disk_that_takes_its_time_finds_all_written() -> None:
    disk = new_disk()
    disk.execute("CREATE TABLE words (name TEXT PRIMARY KEY, word TEXT)")
    disk.execute("CREATE TABLE said (word TEXT)")
    for word in ("one", "two", "three"):
        writes = Writes()
        writes.add("INSERT INTO said VALUES (?)", (word,))
        writes.put("newest", "INSERT OR REPLACE INTO words VALUES ('newest', ?)", itself, (word,))
        disk.write_later(writes)
    assert disk.execute("SELECT word FROM words").fetchall() == [("three",)]
    assert disk.execute("SELECT word FROM said").fetchall() == [("one",), ("two",), ("three",)]


def test_a_store_that_is_written_does_not_load_what_its_library_would_take_along(tmp_path: Path) -> None:
    """pandas and numpy are installed, for the one process that needs them; no other pays for that."""
    code = (
        "import sys; from importlib.util import find_spec; from supervisor.process.store import SqliteStore\n"
        "assert find_spec('pandas') and find_spec('numpy'), 'nothing is proved where they are not installed'\n"
        f"SqliteStore({str(tmp_path / 'x.db')!r}, 'trader.store.desk:migrations').close()\n"
        "loaded = {'pandas', 'numpy'} & set(sys.modules); assert not loaded, loaded\n"
        "import numpy; assert numpy.array([1]).sum() == 1, 'and who wants them later gets them'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
