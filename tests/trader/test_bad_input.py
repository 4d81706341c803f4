"""Bad input into a running desk: one clear message, the right exit code, nothing overwritten, everything else runs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trader.test_desk import Desk
from trader.store.journal import migrations

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


def test_wrong_parameter_types_are_told_with_what_was_given_and_what_fits_before_anything_is_stored(desk: Desk) -> None:
    words = ("--strategy", "ema_cross", "--account", "SIM100001M", "--symbol", "SPY", "--set", "fast=soon")
    done = desk.run("session", "add", "typed", *words)
    assert done.returncode == 2
    assert "parameters of EmaCross: Expected `int`, got `str` - at `$.fast`; given: fast='soon'" in done.stderr
    assert "it has: quantity: int = 1, fast: int = 3" in done.stderr
    assert "Traceback" not in done.stderr
    assert "typed" not in desk.ok("session", "list")


def test_parameters_that_the_changed_file_no_longer_takes_are_told_by_start(desk: Desk) -> None:
    path = desk.home / "takes.py"
    source = (
        "import msgspec\nfrom trader.strategy import Strategy\nclass Takes(Strategy):\n"
        "    class Parameters(msgspec.Struct, frozen=True):\n        {name}: int = 1\n"
    )
    path.write_text(source.format(name="fast"))
    words = ("--strategy", str(path), "--account", "SIM100001M", "--symbol", "SPY", "--set", "fast=2")
    desk.ok("session", "add", "takes", *words)
    path.write_text(source.format(name="slow"))
    done = desk.run("session", "start", "takes")
    assert done.returncode == 2
    assert "unknown field `fast`; given: fast=2; it has: slow: int = 1" in done.stderr
    desk.ok("session", "rm", "takes")


# -- stores -----------------------------------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(GARBAGE)


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
        (newer, f"has version 999, this program knows up to {len(migrations)}"),
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


@pytest.mark.parametrize(("harm", "says"), [(folder, "cannot be opened"), (newer, "999")])
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


# -- a disk that is full ----------------------------------------------------------------------------------------------


class SmallDisk(Desk):
    """A desk whose journals and logs lie on disks of a few megabytes of their own: where we may mount such."""

    def __enter__(self) -> SmallDisk:
        self.close_desk()
        self.mounted: list[Path] = []
        for folder in (self.home / "sessions", self.home / "logs"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            made = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
            if subprocess.run(made, capture_output=True, check=False).returncode != 0:
                self.__exit__()
                pytest.skip("no right to mount a small disk here")
            self.mounted.append(folder)
        self.start_desk()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
        for folder in self.mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def newest_turn(journal: Path) -> int:
    store = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        return int(store.execute("SELECT coalesce(max(closed_utc), 0) FROM turns").fetchone()[0])
    finally:
        store.close()


def test_full_disk_is_told_nothing_is_half_written_and_the_desk_heals_when_there_is_room(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "home") as desk:
        manager, journal, fillers = "sessions/es/account_manager", desk.home / "sessions" / "es.db", desk.mounted
        desk.ok("session", "add", "es", "--strategy", "breakout", "--account", "SIM100001F", "--symbol", "ESZ13")
        desk.ok("session", "start", "es")
        others = pids(desk, "recorder", "connections/sim/connection") | {"nightdesk": desk.tree().pid}
        for folder in fillers:
            fill(folder)
        desk.until(lambda: desk.state(manager).startswith("held"), 60)
        assert "cannot be written: database or disk is full" in why(desk, manager)
        assert desk.run("status").returncode == 5
        assert pids(desk, *others) | {"nightdesk": desk.tree().pid} == others
        for folder in fillers:
            (folder / "filler").unlink()
        last_utc = newest_turn(journal)
        desk.until(lambda: newest_turn(journal) > last_utc, 60)
        whole(journal)


def whole(journal: Path) -> None:
    store = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    doubled = "SELECT closed_utc FROM turns WHERE closed_utc NOT NULL GROUP BY 1 HAVING count(*) > 1"
    assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert store.execute(doubled).fetchall() == []
    store.close()
