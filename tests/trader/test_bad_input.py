"""Bad input into a running desk: one clear message, the right exit code, nothing overwritten, everything else runs."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trader.test_desk import Desk
from trader.store import desk as desk_store
from trader.store import journal as journal_store

GARBAGE = b"this is no database, " * 500


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("bad") / "home")
    made.ok("session", "add", "es", "--strategy", "breakout", "--account", "SIM100001F", "--symbol", "ESZ13")
    made.ok("session", "start", "es")
    yield made
    made.close()


def pids(desk: Desk, *names: str) -> dict[str, int]:
    return {child.name: child.pid for child in desk.tree().children if child.name in names}


def why(desk: Desk, name: str) -> str:
    found = [child.why for child in desk.tree().children if child.name == name]
    return found[0] if found else ""


def added(desk: Desk, name: str, *words: str, account: str = "SIM100001M", symbol: str = "SPY") -> None:
    desk.ok("session", "add", name, "--strategy", "ema_cross", "--account", account, "--symbol", symbol, *words)


def removed(desk: Desk, name: str) -> None:
    desk.ok("session", "stop", name)
    desk.until(lambda: desk.state(f"sessions/{name}") == "gone")
    desk.ok("session", "rm", name)


# -- a session that cannot trade --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "symbol", "cause"),
    [
        ("SIM999", "SPY", "SIM999: NotAllowed: the venue answered in part: Forbidden Invalid Account ID"),
        ("SIM100001M", "ESZ99", "ESZ99: ESZ99 was not read: NotAllowed"),
    ],
)
def test_start_of_a_session_that_the_venue_does_not_know_tells_its_words_once(
    desk: Desk, account: str, symbol: str, cause: str
) -> None:
    es = pids(desk, "sessions/es/trader", "sessions/es/account_manager")
    added(desk, "lost", account=account, symbol=symbol)
    done = desk.run("session", "start", "lost")
    assert done.returncode == 1
    assert done.stderr.count(cause) == 1
    assert len(done.stderr.splitlines()) == 1
    assert "It goes on trying by itself" in done.stderr
    status = desk.run("status")
    assert status.returncode == 5
    assert cause in status.stdout
    assert cause in desk.ok("session", "show", "lost")
    assert pids(desk, *es) == es
    removed(desk, "lost")


def test_wrong_parameter_types_are_told_by_start_with_what_was_given_and_what_fits(desk: Desk) -> None:
    added(desk, "typed", "--set", "fast=soon")
    began_s = time.monotonic()
    done = desk.run("session", "start", "typed")
    assert time.monotonic() - began_s < 15
    assert done.returncode == 1
    assert "parameters of EmaCross: Expected `int`, got `str` - at `$.fast`; given: fast='soon'" in done.stderr
    assert "it has: quantity: int, fast: int" in done.stderr
    assert "Traceback" not in done.stderr
    removed(desk, "typed")


# -- stores -----------------------------------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(GARBAGE)


def half(path: Path) -> None:
    """A good store, cut in the middle."""
    with sqlite3.connect(path) as store:
        store.executescript(";".join(journal_store.migrations))
        store.execute(f"PRAGMA user_version = {len(journal_store.migrations)}")
    store.close()
    path.write_bytes(path.read_bytes()[:6000])


def folder(path: Path) -> None:
    path.mkdir()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as store:
        store.execute("PRAGMA user_version = 999")
    store.close()


def closed(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (garbage, "file is not a database"),
        (half, "malformed"),
        (folder, "unable to open database file"),
        (newer, "has version 999, this program knows up to 1"),
        pytest.param(closed, "unable", marks=pytest.mark.skipif(os.getuid() == 0, reason="root may read all")),
    ],
)
def test_journal_that_cannot_be_used_holds_its_account_manager_and_harms_nobody(
    desk: Desk, harm: Callable[[Path], None], says: str
) -> None:
    es = pids(desk, "sessions/es/trader", "sessions/es/account_manager", "recorder", "control")
    name = f"j-{harm.__name__}"
    path = desk.home / "sessions" / f"{name}.db"
    harm(path)
    before = None if path.is_dir() else path.read_bytes()
    added(desk, name)
    try:
        done = desk.run("session", "start", name, "--timeout", "5")
        assert done.returncode == 1
        manager = f"sessions/{name}/account_manager"
        desk.until(lambda: desk.state(manager).startswith("held"))
        assert says in why(desk, manager)
        assert str(path) in why(desk, manager)
        status = desk.run("status")
        assert status.returncode == 5
        assert says in status.stdout
        assert "Traceback" not in status.stderr + done.stderr
        assert before is None or path.read_bytes() == before
        assert pids(desk, *es) == es
    finally:
        path.rmdir() if path.is_dir() else path.unlink()
        desk.until(lambda: desk.state(f"sessions/{name}/account_manager") in ("up", "held, up"), 60)
        removed(desk, name)


@pytest.mark.parametrize(("harm", "says"), [(garbage, "not a database"), (folder, "cannot be opened"), (newer, "999")])
def test_desk_db_that_cannot_be_used_holds_the_recorder_and_what_trades_goes_on(
    desk: Desk, harm: Callable[[Path], None], says: str
) -> None:
    es = pids(desk, "sessions/es/trader", "sessions/es/account_manager")
    path, aside = desk.home / "desk.db", desk.home / "aside"
    aside.mkdir()
    for each in desk.home.glob("desk.db*"):
        each.rename(aside / each.name)
    harm(path)
    before = None if path.is_dir() else path.read_bytes()
    try:
        for _ in range(6):
            desk.kill("recorder")
            time.sleep(0.3)
        desk.until(lambda: desk.state("recorder").startswith("held") and says in why(desk, "recorder"))
        status = desk.run("status")
        assert status.returncode == 5
        assert says in status.stdout
        listed = desk.run("session", "list")
        assert listed.returncode == 1
        assert says in listed.stderr
        assert "Traceback" not in status.stderr + listed.stderr
        assert before is None or path.read_bytes() == before
        assert pids(desk, *es) == es
    finally:
        path.rmdir() if path.is_dir() else path.unlink()
        for each in desk.home.glob("desk.db*"):
            each.unlink()
        for each in aside.iterdir():
            each.rename(desk.home / each.name)
        aside.rmdir()
        desk.until(lambda: desk.state("recorder") in ("up", "held, up"), 60)
