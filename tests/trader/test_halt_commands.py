"""Hold, halt and flatten with real processes: by the command line, against the emulator, with processes killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.trader.test_desk import Desk
from trader.desk.control import COMMIT_LIMIT_S

ACCOUNT, SYMBOL, SESSION = "SIM100001F", "ESZ13", "es"
MANAGER = f"sessions/{SESSION}/account_manager"
STRATEGY = """
from trader.strategy import Strategy

class Eager(Strategy):
    '''Wants two contracts on each bar, whatever happens.'''
    def setup(self) -> None:
        self.subscribe(self.symbols[0], minutes=1)
    def on_bar(self, bar) -> None:
        self.target(bar.symbol, 2, stop=bar.close - 20)
"""


class Eager(Desk):
    """A desk with one session that wants to be long on each bar."""

    def begin(self) -> Eager:
        path = self.home / "eager.py"
        path.write_text(STRATEGY)
        self.ok("session", "add", SESSION, "--strategy", str(path), "--account", ACCOUNT, "--symbol", SYMBOL)
        self.ok("session", "start", SESSION)
        return self

    def long(self) -> Eager:
        self.until(lambda: self.held() == 2 and self.stop_works())
        return self

    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask_emulator("orders")["Orders"]
        return found

    def ours(self) -> list[dict[str, Any]]:
        return [order for order in self.orders() if not order["ByHand"]]

    def stop_works(self) -> bool:
        return any(order["Closed"] is None for order in self.ours())

    def fault(self, **rule: Any) -> None:
        requests.post(f"{self.url}/emulator/fault", json=rule, timeout=5).raise_for_status()

    def held(self) -> int:
        """By the emulator's book."""
        fills = self.ask_emulator("orders")["Fills"]
        return sum(int(fill["Quantity"]) for fill in fills if fill["Symbol"] == SYMBOL)

    def manager(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.show(SESSION)["account_manager"] or {}
        return shown

    def back(self) -> None:
        """The session is up, agreed, and has seen bars since."""
        self.until(lambda: self.state(f"sessions/{SESSION}/trader") == "up")
        self.until(lambda: self.manager().get("agreed_age_s"))
        self.let_bars_pass()

    def let_bars_pass(self) -> None:
        """The strategy declares on, twice."""
        seen = self.newest_bar()
        self.until(lambda: self.newest_bar() >= seen + 120)

    def newest_bar(self) -> int:
        cursors = self.manager().get("cursors") or [{"closed_utc": 0}]
        return int(cursors[0]["closed_utc"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Eager]:
    made = Eager(tmp_path / "home").begin()
    yield made
    made.close()


def code_and_words(desk: Eager, *words: str) -> tuple[int, str]:
    done = desk.run(*words)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def on_a_terminal(desk: Eager, answer: bytes, *words: str) -> tuple[int, str]:
    """The command with a terminal as its input, on which somebody types that."""
    ours, theirs = os.openpty()
    try:
        os.write(ours, answer)
        command = [sys.executable, "-m", "trader.cli", "--home", str(desk.home), *words]
        done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stdout + done.stderr


def test_hold_survives_the_death_of_each_process_and_of_the_supervisor(desk: Eager) -> None:
    desk.long()
    code, told = code_and_words(desk, "session", "hold", SESSION, "--why", "cpi at 8:30")
    assert (code, "1 of 1 confirmed" in told) == (0, True), told
    desk.tell_emulator("trade", account=ACCOUNT, symbol=SYMBOL, quantity=-2)
    desk.until(lambda: desk.manager()["holds"])
    desk.ok("session", "release", SESSION, SYMBOL)
    entries = len(desk.ours())
    for name in ("control", "recorder", MANAGER, f"sessions/{SESSION}/trader", "ensure_sessions"):
        desk.until(lambda name=name: desk.kill(name))  # type: ignore[misc]
        desk.back()
    desk.kill_desk()
    desk.start_desk()
    desk.back()
    assert desk.ours()[entries:] == []
    code, told = code_and_words(desk, "status")
    assert code == 5
    assert "cpi at 8:30" in told
    assert [(each["level"], each["why"]) for each in desk.show(SESSION)["holds"]] == [("hold", "cpi at 8:30")]
    code, told = code_and_words(desk, "session", "release", SESSION)
    assert (code, "cpi at 8:30" in told) == (0, True), told
    desk.until(lambda: desk.held() == 2)


def test_flatten_while_the_strategy_declares_on_ends_flat_and_stays_so(desk: Eager) -> None:
    desk.long()
    theirs = len([order for order in desk.orders() if order["ByHand"]])
    code, told = code_and_words(desk, "session", "flatten", SESSION)
    assert (code, "--yes" in told, desk.held()) == (2, True, 2), "no terminal to ask on"
    code, told = on_a_terminal(desk, b"n\n", "session", "flatten", SESSION)
    assert (code, "close ESZ13 2 at market" in told, "nothing was done" in told) == (1, True, True), told
    assert desk.held() == 2
    ends: list[tuple[int, str]] = []
    both = [
        threading.Thread(target=lambda: ends.append(code_and_words(desk, "session", "flatten", SESSION, "--yes")))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert [code for code, _ in ends] == [0, 0], ends
    assert (desk.held(), desk.stop_works()) == (0, False)
    count = len(desk.ours())
    desk.let_bars_pass()
    assert (desk.held(), len(desk.ours())) == (0, count)
    assert len([order for order in desk.orders() if order["ByHand"]]) == theirs
    desk.ok("session", "release", SESSION)
    desk.until(lambda: desk.held() == 2)


def test_flatten_goes_on_while_the_venue_fails_and_its_processes_die(desk: Eager) -> None:
    desk.long()
    desk.fault(fault="status", status=503, path="PUT */orders/*", times=0, for_s=8, when="before")
    code, told = code_and_words(desk, "session", "flatten", SESSION, "--yes", "--timeout", "0.5")
    assert (code, "goes on" in told) == (7, True), told
    assert "ESZ13 2" in told, told
    assert desk.kill(MANAGER)
    assert desk.kill("recorder")
    desk.until(lambda: desk.held() == 0)
    desk.kill_desk()
    desk.start_desk()
    code, told = code_and_words(desk, "session", "flatten", SESSION, "--yes")
    assert code == 0, told
    assert (desk.held(), desk.stop_works()) == (0, False)


def test_halt_with_the_supervisor_stopped_and_control_and_recorder_dead(desk: Eager) -> None:
    desk.long()
    pids = {child.name: child.pid for child in desk.tree().children}
    assert desk._desk is not None
    supervisor = desk._desk.pid
    desk.tell_emulator("trade", account=ACCOUNT, symbol=SYMBOL, quantity=-2)
    desk.until(lambda: desk.manager()["holds"])
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(pids["control"], signal.SIGKILL)
        os.kill(pids["recorder"], signal.SIGKILL)
        began_s = time.monotonic()
        code, told = code_and_words(desk, "halt", "--why", "fire")
        assert code == 0, told
        assert "held: 1 of 1 confirmed" in told
        assert time.monotonic() - began_s < 15
        orders = len(desk.ours())
    finally:
        os.kill(supervisor, signal.SIGCONT)
    desk.until(lambda: "fire" in desk.run("status").stdout)
    desk.back()
    desk.ok("session", "release", SESSION)
    desk.let_bars_pass()
    assert len(desk.ours()) == orders, "the divergence is released, the halt is not"
    code, told = code_and_words(desk, "release", "--all")
    assert (code, "fire" in told) == (0, True), told
    assert not (desk.home / "halt").exists()
    desk.until(lambda: desk.held() == 2)


def test_hung_recorder_keeps_nobody_from_being_served_and_the_outcome_is_said_to_be_unknown(desk: Eager) -> None:
    desk.long()
    pid = desk.pid("recorder")
    os.kill(pid, signal.SIGSTOP)
    try:
        asking = threading.Thread(target=desk.run, args=("session", "hold", SESSION))
        asking.start()
        longest_s = 0.0
        while asking.is_alive():
            began_s = time.monotonic()
            assert desk.tree().children
            longest_s = max(longest_s, time.monotonic() - began_s)
        assert longest_s < 0.8 * COMMIT_LIMIT_S, "control did not wait for the recorder"
        code, told = code_and_words(desk, "session", "hold", SESSION)
        assert (code, "outcome unknown" in told) == (7, True), told
    finally:
        os.kill(pid, signal.SIGCONT)


def test_halt_is_not_told_as_done_while_the_account_manager_hangs(desk: Eager) -> None:
    desk.long()
    desk.tell_emulator("trade", account=ACCOUNT, symbol=SYMBOL, quantity=-2)
    desk.until(lambda: desk.manager()["holds"])
    desk.ok("session", "release", SESSION)
    orders = len(desk.ours())
    pid = desk.pid(MANAGER)
    os.kill(pid, signal.SIGSTOP)
    held = desk.run("session", "hold", SESSION, "--timeout", "1", "--json")
    assert (held.returncode, json.loads(held.stdout)["sessions"][0]["held"]) == (7, False), held.stderr
    code, told = code_and_words(desk, "halt", "--timeout", "1")
    assert (code, "its account manager does not answer" in told) == (7, True), told
    entries = len(desk.ours()) - orders
    desk.until(lambda: desk.pid(MANAGER) not in (0, pid))  # killed by its liveness limit
    desk.back()
    assert len(desk.ours()) - orders == entries
    desk.until(lambda: desk.run("halt", "--timeout", "5").returncode == 0)


def test_halt_of_a_dead_desk_says_so_and_holds_at_the_next_start(desk: Eager) -> None:
    desk.kill_desk()
    code, told = code_and_words(desk, "halt")
    assert (code, "no desk runs" in told) == (3, True), told
    orders = len(desk.ours())
    desk.start_desk()
    desk.back()
    assert [order for order in desk.ours()[orders:] if order["Type"] == "Market"] == []
    refused, told = code_and_words(desk, "session", "restart", SESSION, "--timeout", "8")
    assert (refused, "halt of all sessions" in told) == (6, True), told
    code, told = code_and_words(desk, "release")
    assert code == 2
    desk.ok("release", "--all")
    code, told = code_and_words(desk, "release", "--all")
    assert (code, "not halted" in told) == (1, True), told


def test_halt_with_flatten_closes_all_and_tells_it_as_json(desk: Eager) -> None:
    desk.long()
    done = desk.run("halt", "--flatten", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (session,) = told["sessions"]
    assert (session["held"], session["flat"], session["positions"], session["entries_working"]) == (True, True, {}, 0)
    assert (desk.held(), desk.stop_works()) == (0, False)
    desk.let_bars_pass()
    assert desk.held() == 0


def test_file_made_by_hand_halts_and_is_stored(desk: Eager) -> None:
    desk.long()
    (desk.home / "halt").touch()
    desk.until(lambda: "HALTED" in desk.run("status").stdout)
    desk.until(lambda: desk.manager()["person_holds"])
    code, told = code_and_words(desk, "release", "--all")
    assert (code, "the halt file" in told) == (0, True), told


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("session", "hold", "nobody"), 4, "no session is called 'nobody'"),
        (("session", "flatten", "nobody", "--yes"), 4, "no session is called 'nobody'"),
        (("session", "release", "nobody"), 4, "no session is called 'nobody'"),
        (("release", "--all"), 1, "not halted"),
        (("halt", "--flatten"), 2, "--yes"),
        (("--home", "/nowhere/at/all", "halt"), 2, "no folder"),
    ],
)
def test_bad_command_gets_one_clear_message_and_its_exit_code(
    idle: Desk, words: tuple[str, ...], status: int, complaint: str
) -> None:
    done = idle.run(*words)
    assert (done.returncode, complaint in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (idle.home / "halt").exists()


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("idle") / "home")
    yield made
    made.close()


def test_hold_without_a_desk_is_exit_code_3(tmp_path: Path) -> None:
    tmp_path.joinpath("nightdesk.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "trader.cli", "--home", str(tmp_path), "session", "hold", "es"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3
