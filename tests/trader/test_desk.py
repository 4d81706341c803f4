"""The whole desk with real processes, used as its user does: by the command line, against the emulator."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trader.demo.stage import Stage

LIMIT_S = 25.0
ROOT = Path(__file__).resolve().parents[2]


class Desk(Stage):
    """An emulator and a running desk on a scratch home, and the command `nightdesk`."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        super().__init__(home, rate=60)
        self.start_emulator()
        self.start_desk()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trader.cli", "--home", str(self.home), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def until(self, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {limit_s} s:\n{self.run('status').stdout}"
            time.sleep(0.05)

    def show(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.ok("session", "show", name, "--json"))
        return shown

    def killed_and_back(self, name: str) -> None:
        """kill -9 the process of that name, and wait for its successor."""
        before = self.pid(name)
        assert before, name
        os.kill(before, signal.SIGKILL)
        self.until(lambda: self.pid(name) not in (0, before) and self.state(name).endswith("up"))

    def pid(self, name: str) -> int:
        return next((child.pid for child in self.tree().children if child.name == name), 0)

    def state(self, name: str) -> str:
        found = [child.state for child in self.tree().children if child.name == name]
        return found[0] if found else "gone"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk") / "home")
    yield made
    made.close()


@pytest.fixture(scope="module")
def es(desk: Desk) -> str:
    """A trading session."""
    desk.ok("session", "add", "es", "--strategy", "breakout", "--account", "SIM100001F", "--symbol", "ESZ13")
    desk.ok("session", "start", "es")
    return "es"


def test_started_session_trades_and_status_says_all_is_well(desk: Desk, es: str) -> None:
    desk.until(lambda: desk.show(es)["account_manager"]["cursors"])
    done = desk.run("status")
    assert done.returncode == 0, done.stdout
    assert "es  ESZ13  SIM100001F  wanted trade, trader up" in done.stdout
    all_up = re.compile(r"processes  (\d+) up of \1 ")
    desk.until(
        lambda: all_up.search(desk.run("status").stdout)
    )  # what has written the market hours and ended is no loss


def test_names_of_the_tree_stand_in_the_process_list(desk: Desk, es: str) -> None:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    for name in ("control", "recorder", "connections/sim/connection", "sessions/es/trader"):
        assert f"nightdesk: {name}" in listed


def test_no_process_of_the_desk_has_loaded_the_command_line_or_a_web_server() -> None:
    """What is preloaded is in every child; the rest is imported where it is used."""
    probe = (
        "import sys; import trader.specs; [__import__(m) for m in trader.specs.PRELOAD]; print(*sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"click", "rich", "starlette", "uvicorn", "sqlite_utils", "pandas"} & set(loaded.stdout.split())


def test_second_session_on_the_same_account_and_symbol_is_refused(desk: Desk, es: str) -> None:
    done = desk.run("session", "add", "es2", "--strategy", "breakout", "--account", "SIM100001F", "--symbol", "ESZ13")
    assert done.returncode == 1
    assert "session es owns ESZ13 on account SIM100001F" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("session", "start", "nobody"), 4, "no session is called 'nobody'"),
        (("session", "show", "nobody"), 4, "no session is called 'nobody'"),
        (("session", "rm", "nobody"), 4, "no session is called 'nobody'"),
        (("session", "rm", "es"), 1, "session es is not off"),
        (("session", "add", "Bad Name", "--strategy", "breakout", "--account", "A", "--symbol", "B"), 2, "Bad Name"),
        (("session", "add", "x", "--strategy", "nope.py", "--account", "A", "--symbol", "B"), 2, "cannot be read"),
        (("session", "add", "x", "--strategy", "breakout", "--account", "A"), 2, "--symbol"),
        (
            ("session", "add", "x", "--strategy", "breakout", "--account", "A", "--symbol", "B", "--connection", "no"),
            2,
            "no connection is called 'no'",
        ),
        (("session", "add", "x", "--strategy", "breakout", "--account", "A", "--symbol", "B", "--set", "x"), 2, "KEY"),
        (("logs", "nobody"), 4, "nothing is logged under"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)
def test_bad_command_gets_one_clear_message_and_its_exit_code(
    desk: Desk, es: str, words: tuple[str, ...], status: int, complaint: str
) -> None:
    done = desk.run(*words)
    assert done.returncode == status, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import no_such_library\n", "No module named 'no_such_library' ({path}:2)"),
        ("raise SystemExit(3)\n", "ended the interpreter that imported it (exit 3)"),
        ("from . import helpers\n", "{path}:2: it imports . from its own folder"),
    ],
)
def test_strategy_that_does_not_import_is_refused_with_its_line_before_anything_is_stored(
    desk: Desk, es: str, source: str, complaint: str
) -> None:
    path = desk.home / "absent.py"
    path.write_text(f"from trader.strategy import Strategy\n{source}class S(Strategy): pass\n")
    done = desk.run("session", "add", "absent", "--strategy", str(path), "--account", "SIM100001M", "--symbol", "ESZ13")
    assert done.returncode == 2
    assert complaint.format(path=path) in done.stderr
    assert "Traceback" not in done.stderr
    assert "absent" not in desk.ok("session", "list")


def test_after_divergence_is_a_word_of_the_session_and_shown(desk: Desk, es: str) -> None:
    words = ("--strategy", "breakout", "--account", "SIM100001M", "--symbol", "ESZ13")
    assert desk.run("session", "add", "word", *words, "--after-divergence", "perhaps").returncode == 2
    desk.ok("session", "add", "word", *words, "--after-divergence", "follow")
    assert "after a divergence  follow" in desk.ok("session", "show", "word")
    assert desk.show(es)["session"]["after_divergence"] == "hold"
    desk.ok("session", "rm", "word")


def test_stored_copy_of_the_code_runs_after_the_file_was_changed(desk: Desk, es: str) -> None:
    path = desk.home / "mine.py"
    good = "from trader.strategy import Strategy\nclass Mine(Strategy):\n    def setup(self) -> None: pass\n"
    path.write_text(good)
    desk.ok("session", "add", "mine", "--strategy", str(path), "--account", "SIM100001M", "--symbol", "SPY")
    desk.ok("session", "start", "mine")
    assert "changed since" not in desk.run("status").stdout
    path.write_text("this is a half-saved edit (")
    assert "file unreadable since" in desk.run("status").stdout
    path.write_text(good + "    # more\n")
    assert "file changed since start" in desk.run("status").stdout
    path.write_text("this is a half-saved edit (")
    desk.killed_and_back("sessions/mine/trader")
    done = desk.run("session", "restart", "mine")
    assert done.returncode == 2, "a person's restart takes the new code, which is no Python"
    assert desk.state("sessions/mine/trader") == "up"
    path.write_text(good)
    desk.ok("session", "stop", "mine")
    desk.until(lambda: desk.state("sessions/mine") == "gone")
    desk.ok("session", "rm", "mine")


def test_hand_trade_holds_entries_until_a_person_releases_them(desk: Desk, es: str) -> None:
    nothing = desk.run("session", "release", es)
    assert nothing.returncode == 1
    assert "nothing is held" in nothing.stderr
    desk.tell_emulator("trade", account="SIM100001F", symbol="ESZ13", quantity=1)
    desk.until(lambda: desk.show(es)["account_manager"]["holds"])
    assert "entries of ESZ13 held: divergence" in desk.run("status").stdout
    desk.ok("session", "release", es)
    assert desk.show(es)["account_manager"]["holds"] == []


def test_stopped_session_minds_its_position_or_ends_flat_and_starts_again(desk: Desk, es: str) -> None:
    desk.ok("session", "stop", es)
    assert desk.state("sessions/es/trader") in ("ended", "gone")
    first = desk.show(es)["session"]["start_no"]
    desk.ok("session", "start", es)
    assert desk.state("sessions/es/trader") == "up"
    assert desk.show(es)["session"]["start_no"] == first + 1


def test_sessions_come_back_after_the_supervisor_was_killed(desk: Desk, es: str) -> None:
    desk.kill_desk()
    done = desk.run("status")
    assert done.returncode == 3
    assert "no desk runs on" in done.stderr
    assert json.loads(desk.ok("session", "list", "--json"))["sessions"][0]["wanted"] == "trade"
    desk.start_desk()
    desk.until(lambda: desk.state("sessions/es/trader") == "up")


def test_second_desk_on_the_same_home_is_refused(desk: Desk, es: str) -> None:
    done = desk.run("run")
    assert done.returncode == 1
    assert "is in use by a running supervisor" in done.stderr
    assert desk.state("sessions/es/trader") == "up"


def test_broken_configuration_is_exit_code_78(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.toml").write_text("[desk\n")
    command = [sys.executable, "-m", "trader.cli", "run", "--home", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78
    assert "nightdesk.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_stands_in_any_log_or_store(desk: Desk, es: str) -> None:
    token = json.loads((desk.home / "login.json").read_text())
    secrets = [token["client_secret"], token["refresh_token"], token["access_token"]]
    assert (desk.home / "login.json").stat().st_mode & 0o077 == 0
    files = [*desk.home.glob("logs/**/*.log"), *desk.home.glob("*.db*"), *desk.home.glob("sessions/*.db*")]
    assert len(files) > 8
    for path in [*files, desk.home / "run.log"]:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path


def test_logs_of_a_name_show_its_lines_and_those_below_it(desk: Desk, es: str) -> None:
    assert "starts incarnation=" in desk.ok("logs", "sessions/es/trader")
    below = desk.ok("logs", "sessions/es")
    assert "sessions/es/trader: " in below
    assert "sessions/es/account_manager: " in below


def test_interrupted_demo_leaves_no_process() -> None:
    command = [sys.executable, "-m", "trader.cli", "demo", "--for", "60s"]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert demo.stdout is not None
    home = next(line for line in demo.stdout if "home " in line).split("home ")[1].split(";")[0]
    next(line for line in demo.stdout if "session spy-ema" in line)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(LIMIT_S) == 130
    demo.stdout.close()
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if home.encode() in _read(path)]
    assert not left
    assert not os.path.exists(home)


def test_short_demo_passes_and_tells_it_as_json() -> None:
    command = [sys.executable, "-m", "trader.cli", "demo", "--for", "20s", "--seed", "3", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["bars_missing"] == told["bars_doubled"] == told["orders_twice"] == 0
    assert told["books_agree"] is True
    assert told["bars_seen"] == told["bars_expected"] > 20
    assert told["faults"] == 7
    assert told["holds"] == 1
    (lost,) = told["lost_stops"]
    assert lost["told"] is True
    assert 0 < lost["bare_s"] <= lost["noticed_s"] + lost["recorded_s"] + 0.005
    assert told["gaps"] >= 1
    assert re.search(r"the venue rejects the stop of (ESZ13|SPY)", done.stderr)
    assert re.search(r"recorded as bare for \d+ ms; by the venue's book \d+ ms", done.stderr)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_the_market_hours_are_written_by_a_process_that_ends_and_the_session_knows_them(desk: Desk, es: str) -> None:
    desk.until(lambda: desk.state("market_hours") == "ended")
    desk.until(lambda: desk.show(es)["account_manager"]["markets"][0]["phase"] == "open")
    assert "market open, until 2013-10-07T2" in desk.run("session", "show", es).stdout
    for child in desk.tree().children:
        if child.pid:
            assert "pandas" not in Path(f"/proc/{child.pid}/maps").read_text(), child.name
