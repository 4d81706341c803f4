"""The log of a process: where it goes after a fork, and that both ways to write a line write the same one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.process.logs import SwitchedFile, open_log, plain_line, switch_log
from supervisor.process.printable import printable
from supervisor.runtime.settings import Settings

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


def test_a_plain_line_reads_like_one_of_loguru(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path))
    open_log(tmp_path / "a.log", settings).info("starts", incarnation=7, why="two\nlines")
    (line,) = (tmp_path / "a.log").read_bytes().splitlines(keepends=True)
    plain = plain_line(settings, 0.123, "starts", incarnation=7, why="two\nlines")
    assert plain.startswith(b"1970-01-01T00:00:00.123Z ")
    assert STAMP.sub("", line.decode()) == STAMP.sub("", plain.decode())


def test_a_plain_line_of_json_has_the_same_fields(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), log_json=True)
    open_log(tmp_path / "a.log", settings).info("starts", incarnation=7)
    theirs = json.loads((tmp_path / "a.log").read_text())
    ours = json.loads(plain_line(settings, 0.5, "starts", incarnation=7))
    assert theirs | {"time": ""} == ours | {"time": ""}
    assert ours["time"] == "1970-01-01T00:00:00.500+00:00"


def test_after_the_switch_nothing_more_goes_to_the_old_file(tmp_path: Path) -> None:
    log = open_log(tmp_path / "a.log", Settings(home=str(tmp_path)))
    log.info("before")
    switch_log(str(tmp_path / "deep" / "b.log")).info("after")
    assert "after" not in (tmp_path / "a.log").read_text()
    assert (tmp_path / "deep" / "b.log").read_text().endswith("after\n")


def test_a_file_that_is_full_is_rotated_and_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.process.logs.ROTATE_BYTES", 1000)
    monkeypatch.setattr("supervisor.process.logs.KEEP_FILES", 2)
    assert SwitchedFile(tmp_path / "x.log").maxBytes == 1000
    log = open_log(tmp_path / "a.log", Settings(home=str(tmp_path)))
    for number in range(100):
        log.info("a line of some length", number=number)
    assert {path.name for path in tmp_path.iterdir()} == {"a.log", "a.log.1", "a.log.2"}
    assert "number=99" in (tmp_path / "a.log").read_text()


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A log on a disk that is full."""
    path = tmp_path / "a.log"
    path.symlink_to("/dev/full")
    return path


def test_a_full_disk_ends_nobody_and_is_told_once_and_so_is_its_end(
    full: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_log(full, Settings(home=str(full.parent)))
    for _ in range(5):
        log.info("lost")
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"nightdesk: {full} cannot be written, its lines are lost until it can: [Errno 28]")
    full.unlink()
    log.info("room again")
    log.info("and on")
    assert [line.split()[-1] for line in full.read_text().splitlines()] == ["again", "on"]
    assert capsys.readouterr().err == f"nightdesk: {full} is written again\n"


def test_a_child_of_a_supervisor_whose_log_is_full_starts_and_inherits_no_line_of_it(full: Path) -> None:
    """What could not be written stayed in the copied buffer: closing that failed, and with it each child's start."""
    log = open_log(full, Settings(home=str(full.parent)))
    log.info("lost")
    switch_log(str(full.parent / "b.log")).info("after")
    assert [line.split()[-1] for line in (full.parent / "b.log").read_text().splitlines()] == ["after"]


def test_a_file_that_somebody_moves_or_removes_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.log"
    log = open_log(path, Settings(home=str(tmp_path)))
    log.info("first")
    path.rename(tmp_path / "moved.log")
    log.info("second")
    path.unlink()
    path.parent.rmdir()
    log.info("third")
    assert (tmp_path / "moved.log").read_text().split()[-1] == "first"
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["third"]


@given(st.text())
def test_what_is_shown_of_others_is_one_line_that_commands_no_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert len(printable(text)) == len(text)


def test_a_line_of_the_log_holds_no_control_character(tmp_path: Path) -> None:
    """A venue's garbage made the log a binary file to grep, and could clear the screen of who reads it."""
    open_log(tmp_path / "a.log", Settings(home=str(tmp_path))).info("garbage: \x1b[2J\r\x00", why="two\nlines\x9b")
    (line,) = (tmp_path / "a.log").read_text().splitlines()
    assert line.endswith(
        "garbage: \N{REPLACEMENT CHARACTER}[2J"
        + "\N{REPLACEMENT CHARACTER}" * 2
        + " why=two lines\N{REPLACEMENT CHARACTER}"
    )


def test_of_a_home_that_is_moved_the_log_goes_along_and_stands_in_nobodys_way_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = home / "logs" / "a.log"
    log = open_log(path, Settings(home=str(home)))
    log.info("first")
    home.rename(tmp_path / "moved")
    log.info("second")
    assert not home.exists()
    unused = open_log(home / "logs" / "b.log", Settings(home=str(home)))
    unused.info("has no file open yet")
    assert not home.exists()
    log = open_log(path, Settings(home=str(home)))
    (tmp_path / "moved").rename(home)
    log.info("third")
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["first", "second", "third"]
