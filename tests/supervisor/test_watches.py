"""Why it died, how much memory it may have, and whether what it delivers is fresh. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.messages import ChildInfo, Death, StartChild, TerminateChild
from tests.supervisor.toys import Add, worker
from tests.supervisor.watch_toys import CEILING_MIB, MIB, spec

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 15.0


class Desk:
    """A supervising process of ``watch_toys``, and a client of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        command = [sys.executable, "-m", "tests.supervisor.watch_toys", str(home)]
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        self.client = Client(str(home))
        self.until(lambda: self.child("deliverer").state == "up")

    def child(self, name: str) -> ChildInfo:
        try:
            found = self.client.tree(name, deaths=10).children
        except CallFailed:
            found = ()
        return found[0] if found else ChildInfo(name=name, type="worker", state="unknown")

    def until(self, condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        deadline_s = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline_s, f"not within {limit_s} s: {self.client.tree(deaths=10)}"
            time.sleep(0.01)

    def start(self, child_id: str, function: str, memory_max_mib: float | None = None, **arguments: object) -> None:
        self.client.call(StartChild(under="spare", spec=spec(child_id, function, memory_max_mib, **arguments)))

    def death(self, name: str) -> Death:
        """Of its first incarnation."""
        self.until(lambda: self.child(name).deaths)
        return self.child(name).deaths[0]

    def log(self) -> str:
        return (self.home / "logs" / "nightdesk.log").read_text()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "home")
    yield made
    made.client.close()
    made.process.terminate()
    assert made.process.wait(LIMIT_S) == 0


# -- why it died ------------------------------------------------------------------------------------------------------


def test_death_tells_exception_line_age_memory_and_what_is_left_of_the_budget(desk: Desk) -> None:
    desk.start("failing", "failer")
    death = desk.death("spare/failing")
    assert death.how == "abnormal"
    assert death.why.startswith("exit status 1: IndexError: list index out of range at watch_toys.py:")
    assert 0.3 <= death.alive_s < LIMIT_S
    assert 5.0 < death.peak_mib < 500.0
    assert death.budget_left == 49


def test_death_by_a_signal_tells_its_name_and_the_memory(desk: Desk) -> None:
    desk.start("killed", "grower", mib_a_second=10, up_to_mib=0)
    os.kill(desk.child("spare/killed").pid, signal.SIGTERM)
    death = desk.death("spare/killed")
    assert death.why == "killed by SIGTERM"
    assert death.peak_mib > 5.0


def test_peak_is_what_the_child_had_at_most_and_not_what_it_had_at_its_end(desk: Desk) -> None:
    desk.start("small", "burster", mib=1)
    small = desk.child("spare/small").pid
    desk.start("grown", "grower", mib_a_second=600, up_to_mib=120)
    grown = desk.child("spare/grown").pid
    desk.until(lambda: resident_mib(grown) > 120)
    for pid in (small, grown):
        os.kill(pid, signal.SIGKILL)
    assert desk.death("spare/grown").peak_mib > desk.death("spare/small").peak_mib + 90


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


# -- the ceiling ------------------------------------------------------------------------------------------------------


def test_child_that_grows_over_its_ceiling_is_killed_and_started_again(desk: Desk) -> None:
    desk.start("growing", "grower", CEILING_MIB, mib_a_second=200, up_to_mib=1000)
    death = desk.death("spare/growing")
    assert death.why.startswith("memory: ")
    assert death.why.endswith(f"ceiling {CEILING_MIB:g} MiB, killed")
    assert CEILING_MIB < death.peak_mib < CEILING_MIB + 200 * 1.5, "found at the next look, 0.5 s"
    desk.until(lambda: desk.child("spare/growing").state == "up")


def test_child_below_its_ceiling_is_let_be(desk: Desk) -> None:
    desk.start("content", "grower", CEILING_MIB, mib_a_second=200, up_to_mib=40)
    pid = desk.child("spare/content").pid
    desk.until(lambda: resident_mib(pid) > 40)
    desk.start("growing", "grower", CEILING_MIB, mib_a_second=200, up_to_mib=1000)
    desk.death("spare/growing")
    assert desk.child("spare/content").pid == pid


def test_child_without_a_ceiling_may_grow(desk: Desk) -> None:
    desk.start("free", "grower", mib_a_second=600, up_to_mib=200)
    pid = desk.child("spare/free").pid
    desk.until(lambda: resident_mib(pid) > 200)
    assert desk.child("spare/free").pid == pid


def test_one_allocation_of_gigabytes_fails_in_the_child_and_is_put_down_to_its_ceiling(desk: Desk) -> None:
    desk.start("bursting", "burster", CEILING_MIB, mib=4096)
    death = desk.death("spare/bursting")
    assert death.why.startswith(f"memory: an allocation was refused, ceiling {CEILING_MIB:g} MiB (MemoryError")
    assert "at watch_toys.py:" in death.why
    assert death.peak_mib < CEILING_MIB, "nothing of it was ever touched"
    desk.until(lambda: desk.child("spare/bursting").state == "up")


def test_server_with_its_sockets_and_threads_lives_under_a_ceiling(desk: Desk) -> None:
    desk.client.call(StartChild(under="spare", spec=worker("server", memory_max_mib=CEILING_MIB)))
    assert desk.client.call(Add(number=2), to="spare/server").total == 2


def test_no_descriptor_is_left_by_children_with_a_ceiling(desk: Desk) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{desk.process.pid}/fd"))

    passing = worker("passing", restart="temporary", memory_max_mib=CEILING_MIB)
    before = descriptors()
    for _ in range(20):
        desk.client.call(StartChild(under="spare", spec=passing))
        desk.client.call(TerminateChild(name="spare/passing"))
    desk.until(lambda: descriptors() <= before)  # the answer comes before the last one's are closed


# -- freshness --------------------------------------------------------------------------------------------------------


def test_child_that_stops_delivering_becomes_stale_and_is_fresh_again_when_it_delivers(desk: Desk) -> None:
    assert desk.child("deliverer").fresh_for_s is None
    (desk.home / "deliver").touch()
    desk.until(lambda: desk.child("deliverer").fresh_for_s is not None)
    pid = desk.child("deliverer").pid
    (desk.home / "deliver").unlink()
    desk.until(lambda: desk.child("deliverer").state == "up, stale")
    (desk.home / "deliver").touch()
    desk.until(lambda: desk.child("deliverer").state == "up")
    assert desk.child("deliverer").pid == pid, "nobody is killed for being stale"
    told = [line for line in desk.log().splitlines() if "child.stale" in line or "child.fresh" in line]
    assert len(told) == 2


def test_desk_that_stood_still_calls_nobody_stale_for_it(desk: Desk) -> None:
    (desk.home / "deliver").touch()
    desk.until(lambda: desk.child("deliverer").fresh_for_s is not None)
    pid = desk.child("deliverer").pid
    for each in (desk.process.pid, pid):
        os.kill(each, signal.SIGSTOP)
    time.sleep(2.0)  # longer than the half second; a stopped desk has no condition to wait for
    for each in (pid, desk.process.pid):
        os.kill(each, signal.SIGCONT)
    desk.until(lambda: "machine.stalled" in desk.log())
    settled_s = time.monotonic() + 1.0
    while time.monotonic() < settled_s:
        assert desk.child("deliverer").state == "up"
        time.sleep(0.05)
    assert "child.stale" not in desk.log()
