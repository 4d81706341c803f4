"""The kill-switch where the home itself is broken: a full disk, on which a file with content cannot be written and an
empty one can; a desk.db that is none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from trader.cli.halt import write_halt_file
from trader.cli.main import main
from trader.holds import HALT_FILE, digest


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(fd: int) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("supervisor.process.files.os.fsync", no_room)


@pytest.mark.usefixtures("full")
def test_an_empty_file_halts_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "halt", "--why", "x"])
    assert result.exit_code == 3, result.output
    assert "NOT HALTED" not in result.stderr
    assert "No space left on device" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [HALT_FILE]
    assert (tmp_path / HALT_FILE).read_bytes() == b""


@pytest.mark.usefixtures("full")
def test_an_earlier_halt_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / HALT_FILE).write_bytes(b'{"by": "ann"}')
    assert write_halt_file(tmp_path, "x", flatten=False) == digest(b'{"by": "ann"}')


@pytest.mark.usefixtures("full")
def test_where_not_even_that_is_possible_it_says_not_halted(tmp_path: Path) -> None:
    (tmp_path / HALT_FILE).mkdir()
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "halt"])
    assert result.exit_code == 1
    assert "NOT HALTED" in result.stderr


@pytest.fixture
def garbled(tmp_path: Path) -> Path:
    """Nobody can read which sessions there are; two have journals, one of which is none either."""
    (tmp_path / "sessions").mkdir()
    for name in ("desk.db", "sessions/es.db", "sessions/spy.db"):
        (tmp_path / name).write_bytes(b"garbage" * 1000)
    return tmp_path


def test_a_desk_db_that_cannot_be_read_does_not_keep_a_halt_from_being_written_and_told(garbled: Path) -> None:
    result = CliRunner().invoke(main, ["--home", str(garbled), "halt"])
    assert result.exit_code == 3, result.output
    assert "desk.db cannot be read" in result.stderr
    assert "The halt stands over restarts and reboots" in result.stderr
    assert (garbled / HALT_FILE).exists()


def test_flatten_asks_for_the_sessions_that_have_a_journal_there(garbled: Path) -> None:
    result = CliRunner().invoke(main, ["--home", str(garbled), "halt", "--flatten"])
    assert result.exit_code == 2, result.output
    for name in ("es", "spy"):
        assert f"SIM or LIVE? {name}: its account manager does not answer" in result.stderr
    flattened = CliRunner().invoke(main, ["--home", str(garbled), "halt", "--flatten", "--yes", "--timeout", "1"])
    assert flattened.exit_code == 3, flattened.output
    assert (garbled / HALT_FILE).exists()
