"""A connection with all its processes against the emulator: real forks, real streams, kills. Waits for conditions."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from feeds import paths
from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.messages import ChildInfo, TerminateChild
from tests.feeds.real_desk import ACCOUNT, BARS, ORDERS, POSITIONS, ReadSeen, Seen

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0
EMULATOR = """
import sys, msgspec
from brokers.tradestation.emulator.server import Options, serve
serve(msgspec.json.decode(sys.argv[1], type=Options))
"""
DESK = """
import sys
from tests.feeds.real_desk import main
sys.exit(main(*sys.argv[1:]))
"""
CONNECTION = paths.process("sim")
BARS_FEED = paths.feed("sim", BARS)
ALL = [CONNECTION, BARS_FEED, paths.feed("sim", ORDERS), paths.feed("sim", POSITIONS), paths.books("sim", ACCOUNT)]


def started(*command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


class Desk:
    def __init__(self, home: Path) -> None:
        home.mkdir()
        options = {"book": str(home / "book.jsonl"), "rate": 60.0, "heartbeat_s": 0.3}
        self.emulator = started("-c", EMULATOR, msgspec.json.encode(options).decode())
        assert self.emulator.stdout is not None
        self.url = self.emulator.stdout.readline().split()[-1]
        self.login = home / "login.json"
        self.login.touch(mode=0o600)
        self.login.write_text(json.dumps({"client_secret": "demo-secret", "refresh_token": "demo-refresh"}))
        self.supervisor = started("-c", DESK, str(home), self.url)
        self.client = Client(str(home))

    def stop(self) -> None:
        self.client.close()
        for process in (self.supervisor, self.emulator):
            process.terminate()
            process.wait(LIMIT_S)
            assert process.stdout is not None
            process.stdout.close()

    def child(self, name: str) -> ChildInfo | None:
        try:
            return next((child for child in self.client.tree(name).children if child.name == name), None)
        except CallFailed:
            return None

    def pid(self, name: str) -> int:
        child = self.child(name)
        return child.pid if child and child.state == "up" else 0

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in ALL}

    def seen(self) -> Seen:
        return self.client.call(ReadSeen(), to="holder")

    def tell(self, what: str, **body: Any) -> None:
        reply = requests.post(f"{self.url}/emulator/{what}", json=body, timeout=LIMIT_S)
        assert reply.status_code == 200, reply.text

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, f"not within {LIMIT_S} s: {self.client.tree()}"
            time.sleep(0.02)

    def until_all_up(self) -> dict[str, int]:
        """And bars come: a feed is up before its stream is open."""
        self.until(lambda: all(self.pids().values()) and self.delivers(BARS_FEED))
        return self.pids()

    def delivers(self, name: str) -> bool:
        child = self.child(name)
        return child is not None and child.fresh_for_s is not None


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("feeds") / "home")
    yield made
    made.stop()


def test_a_lease_brings_up_the_connection_its_feeds_and_books(desk: Desk) -> None:
    desk.until_all_up()
    desk.until(lambda: len(desk.seen().stamps) >= 3 and desk.seen().snapshots >= 2)
    assert desk.login.stat().st_mode & 0o777 == 0o600
    assert json.loads(desk.login.read_text())["access_token"]


def test_a_trade_at_the_broker_is_seen_on_the_streams(desk: Desk) -> None:
    orders = desk.seen().orders
    desk.tell("trade", account=ACCOUNT, symbol="ESZ13", quantity=2)
    desk.until(lambda: desk.seen().held == (2,) and desk.seen().orders > orders)


@pytest.mark.parametrize("form", ["status", "error"])
def test_goaway_is_expected_and_not_charged_and_no_bar_is_lost(desk: Desk, form: str) -> None:
    before = desk.until_all_up()
    info = desk.child(BARS_FEED)
    assert info is not None
    time.sleep(0.4)  # a stream that has lived for less than a heartbeat of 0.3 s ends by no routine
    desk.tell("goaway", symbol="ESZ13", form=form)
    desk.until(lambda: desk.pid(BARS_FEED) not in (0, before[BARS_FEED]))
    after = desk.child(BARS_FEED)
    assert after is not None
    assert (after.expected_restarts, after.restarts) == (info.expected_restarts + 1, info.restarts)
    count = len(desk.seen().stamps)
    desk.until(lambda: len(desk.seen().stamps) > count + 3)
    stamps = sorted(set(desk.seen().stamps))
    assert stamps == list(range(stamps[0], stamps[-1] + 60, 60))


def test_a_silent_stream_is_ended_by_name_and_started_again(desk: Desk) -> None:
    before = desk.until_all_up()
    desk.tell("stall", symbol="ESZ13", seconds=60)
    desk.until(lambda: desk.pid(BARS_FEED) not in (0, before[BARS_FEED]))
    log = (desk.login.parent / "logs" / f"{BARS_FEED}.log").read_text()
    assert "silence: not a byte for 0.9 s (3 heartbeats)" in log


def test_a_killed_connection_learns_its_feeds_again_and_ends_none(desk: Desk) -> None:
    before = desk.until_all_up()
    os.kill(before[CONNECTION], signal.SIGKILL)
    desk.until(lambda: desk.pid(CONNECTION) not in (0, before[CONNECTION]))
    count = len(desk.seen().stamps)
    desk.until(lambda: len(desk.seen().stamps) > count + 4)  # longer than it listens, prunes and leases last
    after = desk.pids()
    assert {name: pid for name, pid in after.items() if name != CONNECTION} == {
        name: pid for name, pid in before.items() if name != CONNECTION
    }


def test_no_token_is_in_any_log(desk: Desk) -> None:
    secrets = json.loads(desk.login.read_text())
    logs = "".join(path.read_text() for path in (desk.login.parent / "logs").rglob("*.log"))
    assert logs
    for name in ("client_secret", "refresh_token", "access_token"):
        assert secrets[name] not in logs


def test_a_connection_that_nobody_needs_ends_and_is_forgotten(desk: Desk) -> None:
    desk.until_all_up()
    desk.client.call(TerminateChild("holder"))
    desk.until(lambda: not desk.client.tree("connections").children[1:])
