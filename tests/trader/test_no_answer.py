"""A desk that runs and does not answer is told as that: not as one that does not run, and what its files and its other
processes know is shown all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from supervisor.control.client import Client
from supervisor.errors import NoPeer, OutcomeUnknown, Refused
from supervisor.messages import Message, ReadTree, Request
from supervisor.process.store import SqliteStore
from trader.cli.main import main
from trader.doctor import machine
from trader.sessions import Session, Wanted
from trader.store import desk

PID = 4711
CONFIG = """
[connections.sim]
api_url = "http://127.0.0.1:9"
signin_url = "http://127.0.0.1:9"
client_id = "c"
login_file = "login.json"
"""
AWAY = [
    NoPeer("ReadTree to control: nobody is there; nothing was sent"),
    OutcomeUnknown("ReadTree to control: no reply within 10 s; it may or may not have happened"),
    Refused("ending: control is ending and did nothing of it"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A desk with one session that trades."""
    (tmp_path / "nightdesk.toml").write_text(CONFIG)
    store = SqliteStore(tmp_path / desk.DESK_DB, "trader.store.desk:migrations")
    session = Session(
        name="es", strategy="x", class_name="X", code_sha256="0", account="SIM1", symbols=("ESZ13",), connection="sim",
        wanted=Wanted.TRADE,
    )  # fmt: skip
    desk.write_session(store, session)
    store.close()
    return tmp_path


@pytest.fixture(params=AWAY, ids=lambda error: type(error).__name__)
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervising process has the home's lock; control fails like that, and nobody else is there."""
    answered(monkeypatch, request.param)
    owned(monkeypatch, PID)


def answered(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def call(self: Client, request: Request[Any], timeout_s: float = 5.0, to: str = "control") -> Message:
        raise failure if isinstance(request, ReadTree) else NoPeer(f"{to}: nobody is there; nothing was sent")

    monkeypatch.setattr(Client, "call", call)


def owned(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    owner: Callable[[str], int] = lambda home: pid  # noqa: E731
    for module in ("trader.cli.common", "trader.cli.halt", "trader.cli.stored", "trader.doctor.machine"):
        monkeypatch.setattr(f"{module}.owner_of", owner)


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), *words])


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("tree",)])
def test_it_is_not_told_as_one_that_does_not_run(home: Path, words: tuple[str, ...]) -> None:
    result = run(home, *words)
    assert result.exit_code == 7, result.output
    assert f"the desk on {home} runs (pid {PID}) but does not answer" in result.stderr
    assert f"`kill -9 {PID}`" in result.stderr
    assert "may or may not have happened" not in result.stderr


@pytest.mark.usefixtures("away")
def test_what_the_files_know_is_shown_all_the_same(home: Path) -> None:
    positions = run(home, "positions")
    assert (positions.exit_code, positions.stdout.split("\t")[:5]) == (0, ["es", "SIM", "SIM1", "ESZ13", "not read"])
    assert "its books are not there" in positions.stderr, "they were asked"
    shown = run(home, "session", "show", "es")
    assert shown.exit_code == 0, shown.output
    assert f"  processes  not known: the desk on {home} runs (pid {PID})" in shown.stdout


@pytest.mark.usefixtures("away")
def test_flatten_of_all_asks_its_question_without_waiting_for_it(home: Path) -> None:
    """On a terminal; here there is none, so it ends there. It ended before the question, and nothing was halted."""
    result = run(home, "halt", "--flatten")
    assert result.exit_code == 2, result.output
    assert "SIM es: its account manager does not answer" in result.stderr


@pytest.mark.usefixtures("away")
def test_a_halt_that_nobody_confirms_is_not_told_as_one_of_a_desk_that_does_not_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trader.cli.halt.NOBODY_S", 0.1)
    result = run(home, "halt")
    assert result.exit_code == 7, result.output
    assert f"the desk runs (pid {PID}), and none of its account managers answers" in result.stderr
    assert (home / "halt").exists()


@pytest.mark.usefixtures("away")
def test_doctor_calls_it_an_error_and_does_not_say_to_start_one(home: Path) -> None:
    found, pid = machine.desk(home)
    assert (found.state, pid) == ("error", PID)
    assert f"runs (pid {PID}) but does not answer" in found.text
    assert "run" not in found.fix.split()


def test_without_an_owner_no_desk_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, AWAY[0])
    owned(monkeypatch, 0)
    result = run(home, "status")
    assert (result.exit_code, "no desk runs on" in result.stderr) == (3, True)
    assert "  processes  none: no desk runs on" in run(home, "session", "show", "es").stdout
    assert machine.desk(home)[0].state == "skipped"


def test_where_no_desk_has_ever_run_the_disk_is_not_suspected(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.toml").write_text(CONFIG)
    result = run(tmp_path, "positions")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"nightdesk: no desk has ever run on {tmp_path}")
    assert "disk" not in result.stderr
