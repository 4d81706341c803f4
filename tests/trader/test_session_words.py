"""What a session says of its protection: given, stored, shown, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from supervisor.messages import Event
from supervisor.process.store import SqliteStore
from tests.trader.session_world import NAME, SESSION
from tests.trader.test_money_commands import CONFIG
from trader.cli.main import main
from trader.cli.session import protection_lines
from trader.cli.stored import uncovered_line
from trader.manager.journal import SCHEMA, Journal
from trader.sessions import journal_path
from trader.store import desk

SAID = msgspec.structs.replace(
    SESSION, stop_passed="page", inert_stop="close", flat_at_close_min=15, extended_hours=True
)


def test_the_words_are_stored_and_those_of_an_older_row_are_the_defaults(tmp_path: Path) -> None:
    store: Any = SqliteStore(tmp_path / "desk.db", "trader.store.desk:migrations")
    with store.transaction():
        desk.write_session(store, SAID)
    assert desk.read_session(store, NAME) == SAID
    row = store.query("SELECT * FROM session")[0]
    words = ("stop_passed", "inert_stop", "flat_at_close_min", "extended_hours")
    read = desk._session({name: value for name, value in row.items() if name not in words})
    assert [getattr(read, name) for name in words] == ["exit", "page", 0, False]


def test_session_show_prints_them() -> None:
    assert protection_lines(SESSION) == [
        "a stop that the market has passed  executed as an exit at once",
        "a stop that does not fire  paged",
        "flat at the close  no: kept over the close",
        "stops and takes  for regular hours",
    ]
    assert protection_lines(SAID)[2] == "flat at the close  15 min before each close"
    assert protection_lines(SAID)[3] == "stops and takes  for extended hours too"


def test_the_time_without_a_stop_is_shown_to_the_millisecond(tmp_path: Path) -> None:
    assert uncovered_line(tmp_path, NAME) == "never"
    path = tmp_path / journal_path(NAME)
    path.parent.mkdir()
    journal = Journal(SqliteStore(path, SCHEMA), lambda: "0123456789abcdefghijkl")
    with journal.transaction():
        for seconds in (0.1004, 2.0316):
            data = {"machine_s": seconds, "market_s": seconds}
            journal.write_event(Event("uncovered.over", "LOG", "s", "text", 1.0, 1.0, data=data))
    assert uncovered_line(tmp_path, NAME) == "2 times, 2.132 s in all, longest 2.032 s"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--symbol", "ZWZ13", "--flat-at-close"], 78, "nobody knows when its market closes"),
        (["--symbol", "SPY", "--flat-at-close", "0"], 2, "0 is not in the range"),
        (["--symbol", "SPY", "--stop-passed", "hope"], 2, "is not one of 'exit', 'page'"),
        (["--symbol", "SPY", "--flat-at-close"], 3, "no desk runs"),
        (["--symbol", "SPY", "--symbol", "ESZ13", "--extended-hours"], 2, "ESZ13: a future has no extended hours"),
        (["--symbol", "@ES", "--extended-hours"], 2, "a future has no extended hours"),
        (["--symbol", "SPY", "--symbol", "IBM", "--extended-hours"], 78, "IBM: its bars before and after"),
        (["--symbol", "SPY", "--extended-hours"], 3, "no desk runs"),
    ],
)
def test_what_cannot_be_kept_is_refused_when_it_is_said(tmp_path: Path, words: list[str], code: int, text: str) -> None:
    (tmp_path / "nightdesk.toml").write_text(CONFIG + '\n[market_hours]\nextended = ["SPY"]\n')
    said = ["--home", str(tmp_path), "session", "add", "x", "--strategy", "breakout", "--account", "A", *words]
    done = CliRunner().invoke(main, said)
    told = done.output + str(getattr(done.exception, "message", ""))
    assert (done.exit_code, text in told) == (code, True), (done.exit_code, told)
