"""Nothing outlives its parent: children of a dead supervisor, and what children leave behind. Real processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor import ChildSpec, Supervisor, SupervisorFlags
from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.runtime.leftovers import end_leftovers
from supervisor.runtime.mark import CHILD, INCARNATION, SUPERVISOR, read_mark, supervisor_id
from supervisor.runtime.procfs import all_pids, stat
from tests.supervisor.orphan_toys import spec

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 15.0
TRIALS = 15


class Desk:
    """One supervising process of ``orphan_toys``, on a home where its processes tell their pids."""

    def __init__(self, kind: str, home: Path) -> None:
        self.home = home
        self.pids = home / "pids"
        self.pids.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.supervisor.orphan_toys", kind, str(home)]
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)

    def told(self, pattern: str) -> dict[str, int]:
        return {file.name: int(file.read_text()) for file in self.pids.glob(pattern) if file.suffix != ".part"}

    def pid(self, pattern: str) -> int:
        until(lambda: self.told(pattern))
        return next(iter(self.told(pattern).values()))

    def log(self) -> str:
        file = self.home / "logs" / "nightdesk.log"
        return file.read_text() if file.exists() else ""

    def family(self) -> set[int]:
        """Whoever carries the mark of this home, but for the supervisor itself."""
        mine = supervisor_id(str(self.home))
        marks = {pid: read_mark(pid) for pid in all_pids()}
        return {pid for pid, mark in marks.items() if mark and mark.supervisor == mine and pid != self.process.pid}

    def children(self) -> set[int]:
        return {pid for pid in all_pids() if (found := stat(pid)) and found.parent == self.process.pid}

    def tree_pid(self, name: str) -> int:
        with Client(str(self.home)) as client:
            try:
                return next((each.pid for each in client.tree(name).children if each.state == "up"), 0)
            except CallFailed:
                return 0

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(LIMIT_S) == 0
        for pid in self.family():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Desk]]:
    desks: list[Desk] = []

    def start(kind: str) -> Desk:
        desks.append(Desk(kind, tmp_path / "home"))
        return desks[-1]

    yield start
    for desk in reversed(desks):
        desk.end()


def until(condition: Callable[[], object], limit_s: float = LIMIT_S, say: Callable[[], object] = str) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {limit_s} s: {say()}"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def gone(pid: int) -> bool:
    """Dead and reaped."""
    return stat(pid) is None


# -- the supervisor dies ----------------------------------------------------------------------------------------------


def test_supervisor_killed_at_any_moment_of_a_fork_storm_leaves_no_child_after_a_second(tmp_path: Path) -> None:
    draw = random.Random(4)
    forked = 0
    for _ in range(TRIALS):
        desk = Desk("storm", tmp_path / "home")
        until(lambda desk=desk: len(desk.children()) > 1)
        time.sleep(draw.uniform(0.0, 0.3))  # the moment is drawn: there is no condition that it could wait for
        children = desk.children() | desk.family()
        desk.process.kill()
        desk.process.wait()
        until(
            lambda desk=desk, children=children: not desk.family() and not any(map(alive, children)),
            1.0,
            lambda desk=desk, children=children: [str(stat(pid)) for pid in desk.family() | children if alive(pid)],
        )
        forked += len(children)
    assert forked > TRIALS


def test_child_in_the_middle_of_its_fork_does_not_outlive_a_supervisor_that_dies_in_that_moment(
    start: Callable[[str], Desk],
) -> None:
    desk = start("stopped")
    child = desk.pid("stopped")
    until(lambda: (found := stat(child)) and found.state == "T")
    desk.process.kill()
    desk.process.wait()
    assert alive(child), "nothing but a signal reaches it: it has not asked for the parent's death yet"
    os.kill(child, signal.SIGCONT)
    until(lambda: not alive(child), 1.0)


def test_child_that_was_stopped_in_the_middle_of_its_fork_is_found_by_the_next_start(
    start: Callable[[str], Desk],
) -> None:
    desk = start("stopped")
    child = desk.pid("stopped")
    until(lambda: (found := stat(child)) and found.state == "T")
    desk.process.kill()
    desk.process.wait()
    assert [name for name in end_leftovers(str(desk.home)).ended if f"({child})" in name]
    assert not alive(child)


def test_grandchildren_of_a_killed_supervisor_are_ended_by_the_next_start_before_anything_is_started(
    start: Callable[[str], Desk],
) -> None:
    desk = start("leavers")
    until(lambda: desk.tree_pid("tidy"))
    left = [pid for name, pid in desk.told("*").items() if not name.startswith(("bare", "short"))]
    assert len(left) > 7
    desk.process.kill()
    desk.process.wait()
    until(lambda: not alive(desk.process.pid))
    assert all(alive(pid) for pid in left), "they are nobody's now"
    following = start("leavers")
    until(lambda: following.tree_pid("tidy"))
    assert not [pid for pid in left if alive(pid)]
    lines = following.log().splitlines()
    (told,) = [number for number, line in enumerate(lines) if "supervisor.leftovers" in line]
    assert "the last life of this home had left" in lines[told]
    for pid in desk.told("bare*").values():
        os.kill(pid, signal.SIGKILL)  # without environment and without a supervisor nobody can know it: the limit


# -- a child dies -----------------------------------------------------------------------------------------------------


def test_all_that_a_dead_child_left_is_killed_and_reaped_and_the_living_child_keeps_its_own(
    start: Callable[[str], Desk],
) -> None:
    desk = start("leavers")
    until(lambda: desk.tree_pid("tidy"))
    messy, tidy = desk.tree_pid("messy"), desk.pid("daemon-tidy*")
    left = {name: pid for name, pid in desk.told("*").items() if "messy" in name}
    assert len(left) == 10
    os.kill(messy, signal.SIGKILL)
    until(lambda: all(gone(pid) for pid in left.values()), say=lambda: [str(stat(p)) for p in left.values() if stat(p)])
    assert alive(tidy), "its maker lives"
    until(lambda: desk.tree_pid("messy") not in (0, messy))
    assert "messy has ended and left" in desk.log()
    again = {name: pid for name, pid in desk.told("*").items() if "messy" in name and name not in left}
    assert len(again) == 10
    assert all(alive(pid) for pid in again.values()), "the next incarnation has its own"


def test_daemon_that_ends_by_itself_does_not_stay_a_zombie(start: Callable[[str], Desk]) -> None:
    desk = start("leavers")
    until(lambda: desk.told("short_daemon*"))
    until(lambda: gone(desk.pid("short_daemon*")))


def test_end_of_the_tree_leaves_nobody_not_even_one_that_cannot_be_put_down_to_a_child(
    start: Callable[[str], Desk],
) -> None:
    desk = start("nameless")
    pid = desk.pid("nameless_daemon*")
    until(lambda: (found := stat(pid)) and found.parent == desk.process.pid and read_mark(pid) is None)
    desk.process.terminate()
    assert desk.process.wait(LIMIT_S) == 0
    assert not alive(pid)
    assert f"left 1 process: sleep ({pid}); killed" in desk.log()


def test_orderly_end_takes_all_daemons_with_it(start: Callable[[str], Desk]) -> None:
    desk = start("leavers")
    until(lambda: desk.tree_pid("tidy"))
    left = desk.told("*")
    desk.process.terminate()
    assert desk.process.wait(LIMIT_S) == 0
    assert not {name: stat(pid) for name, pid in left.items() if alive(pid)}


# -- the start: whom it must not touch --------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def sleep(**environment: str) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen(["sleep", "600"], env={**os.environ, **environment}))
        deadline_s = time.monotonic() + LIMIT_S
        while not Path(f"/proc/{processes[-1].pid}/environ").read_bytes():  # its caller is back before exec has ended
            assert time.monotonic() < deadline_s
        return processes[-1]

    yield sleep
    for each in processes:
        each.kill()
        each.wait()


def test_the_start_ends_who_carries_this_home_s_mark_and_nobody_else(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]]
) -> None:
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
    mine, other = supervisor_id(str(tmp_path / "mine")), supervisor_id(str(tmp_path / "other"))
    ours = sleeper(**{SUPERVISOR: mine, INCARNATION: "3", CHILD: "a/b"})
    others = sleeper(**{SUPERVISOR: other, INCARNATION: "3", CHILD: "a/b"})
    unmarked = sleeper()
    similar = sleeper(**{f"X_{SUPERVISOR}": mine, "NOTE": f"{SUPERVISOR}={mine}"})
    found = end_leftovers(str(tmp_path / "mine"))
    assert found.ended == (f"sleep ({ours.pid})",)
    assert found.stuck == ()
    assert ours.wait(LIMIT_S) == -signal.SIGKILL
    assert all(each.poll() is None for each in (others, unmarked, similar))


def test_the_start_spares_itself_and_its_ancestors(tmp_path: Path) -> None:
    """A shell of the desk, from which somebody starts it again."""
    code = "import sys; from supervisor.runtime.leftovers import end_leftovers; print(end_leftovers(sys.argv[1]).ended)"
    shell = f"{sys.executable} -c '{code}' {tmp_path}; echo the shell lives"
    environment = {**os.environ, SUPERVISOR: supervisor_id(str(tmp_path)), INCARNATION: "3"}
    ran = subprocess.run(["sh", "-c", shell], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "()\nthe shell lives\n"


def test_the_start_does_not_wait_for_ever_for_one_that_does_not_die(
    tmp_path: Path, sleeper: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test can put a process into the kernel's state D; a kill that does not arrive looks the same."""
    ours = sleeper(**{SUPERVISOR: supervisor_id(str(tmp_path))})
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda pidfd, number: None)
    began_s = time.monotonic()
    found = end_leftovers(str(tmp_path), limit_s=0.2)
    assert time.monotonic() - began_s < 2.0
    assert (found.ended, found.stuck) == ((), (f"sleep ({ours.pid})",))
    assert [(row.kind, row.level) for row in found.records()] == [("child.unkillable", "NOTIFY")]


# -- a supervisor within a program ------------------------------------------------------------------------------------


def test_program_with_a_supervisor_in_it_keeps_its_own_children_and_their_exit_statuses(tmp_path: Path) -> None:
    leaves = ("executed", "daemon", "chain")
    tree = ChildSpec(
        id="tree",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=5),
        children=(spec("messy", str(tmp_path), *leaves), spec("other", str(tmp_path))),
    )
    before = subprocess.Popen(["sleep", "600"])
    with Supervisor(tree, tmp_path / "home") as supervisor:
        during = subprocess.Popen(["sleep", "600"], start_new_session=True)
        short = subprocess.Popen(["sh", "-c", "exit 7"])
        messy = supervisor.tree("messy").children[0].pid
        left = [int(file.read_text()) for file in tmp_path.glob("*-*") if file.suffix != ".part"]
        assert len(left) == 6
        until(lambda: (found := stat(short.pid)) and found.state == "Z")
        os.kill(messy, signal.SIGKILL)
        assert supervisor.until(lambda: all(gone(pid) for pid in left), LIMIT_S)
        assert short.wait() == 7
    assert (before.poll(), during.poll()) == (None, None)
    for each in (before, during):
        each.kill()
        assert each.wait() == -signal.SIGKILL
