"""The supervisor with real processes: forks, deaths, hangs, orphans. Each test waits for a condition, with a limit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.control.client import Client
from supervisor.errors import CallFailed, NoPeer, OutcomeUnknown, Refused
from supervisor.messages import ChildInfo, RestartChild, StartChild, TerminateChild
from tests.supervisor.toys import Add, Do, ReadHeard, Say, worker

LIMIT_S = 15.0
ROOT = Path(__file__).resolve().parents[2]


class Desk:
    """A supervising process on a scratch home, and a client of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = self.start()
        self.client = Client(str(home))
        self.until(lambda: self.state("held/failing") == "up")

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.supervisor.toy_desk", str(self.home)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)

    def child(self, name: str) -> ChildInfo | None:
        try:
            found = self.client.tree(name).children
        except CallFailed:
            return None
        return found[0] if found else None

    def state(self, name: str) -> str:
        child = self.child(name)
        return child.state if child else "gone"

    def pid(self, name: str) -> int:
        child = self.child(name)
        assert child is not None, name
        assert child.pid, name
        return child.pid

    def pids(self) -> list[int]:
        return [child.pid for child in self.client.tree().children if child.pid]

    def until(self, condition: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {limit_s} s: {self.client.tree()}"
            time.sleep(0.01)

    def again(self, name: str, before: int) -> None:
        """Wait until the process of that name is up with another pid."""
        self.until(lambda: (child := self.child(name)) and child.state == "up" and child.pid not in (0, before))

    def do(self, name: str, what: str, gate: str = "") -> None:
        self.client.call(Do(what=what, gate=gate), to=name)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "home")
    yield made
    made.client.close()
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGCONT)
        made.process.terminate()
        assert made.process.wait(LIMIT_S) == 0
    assert made.process.stderr is not None
    made.process.stderr.close()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_names_are_paths_in_the_process_list(desk: Desk) -> None:
    title = Path(f"/proc/{desk.pid('all/a')}/cmdline").read_bytes().rstrip(b"\0").decode()
    assert title == "toys: all/a"


def test_killed_child_is_started_again_and_has_forgotten_its_state(desk: Desk) -> None:
    assert desk.client.call(Add(number=5), to="one/permanent").total == 5
    before = desk.pid("one/permanent")
    os.kill(before, signal.SIGKILL)
    desk.again("one/permanent", before)
    answer = desk.client.call(Add(number=1), to="one/permanent")
    assert answer.total == 1
    assert answer.predecessor == "killed by SIGKILL|"


def test_one_for_all_restarts_every_sibling_and_nobody_else(desk: Desk) -> None:
    before = {name: desk.pid(name) for name in ("all/a", "all/b", "all/c", "one/permanent")}
    os.kill(before["all/b"], signal.SIGKILL)
    for name in ("all/a", "all/b", "all/c"):
        desk.again(name, before[name])
    assert desk.pid("one/permanent") == before["one/permanent"]


def test_transient_child_is_not_restarted_after_clean_exit(desk: Desk) -> None:
    desk.do("one/transient", "normal")
    desk.until(lambda: desk.state("one/transient") == "ended")
    child = desk.child("one/transient")
    assert child is not None
    assert child.why == "exit status 0"


def test_transient_child_is_restarted_after_a_crash_that_names_its_line(desk: Desk) -> None:
    before = desk.pid("one/transient")
    desk.do("one/transient", "crash")
    desk.again("one/transient", before)
    child = desk.child("one/transient")
    assert child is not None
    assert "ZeroDivisionError: on purpose at toys.py:" in child.why
    answer = desk.client.call(Add(number=1), to="one/transient")
    assert answer.predecessor.endswith("|doing crash")


def test_expected_ending_is_restarted_and_counted_apart(desk: Desk) -> None:
    before = desk.pid("one/permanent")
    desk.do("one/permanent", "expected")
    desk.again("one/permanent", before)
    child = desk.child("one/permanent")
    assert child is not None
    assert (child.restarts, child.expected_restarts) == (0, 1)


def test_hung_child_is_found_within_its_limit_and_killed(desk: Desk) -> None:
    before = desk.pid("one/permanent")
    os.kill(before, signal.SIGSTOP)
    desk.again("one/permanent", before)
    child = desk.child("one/permanent")
    assert child is not None
    silent = re.match(r"hung: its loop did not turn for ([0-9.]+) s, killed", child.why)
    assert silent, child.why
    assert 2.0 < float(silent[1]) < 2.0 + 1.5, "its limit is 2 s of what was watched"


def test_child_in_a_declared_blocking_call_is_not_hung(desk: Desk) -> None:
    before = desk.pid("one/permanent")
    answer = desk.client.call(Add(number=1, sleep_s=4.0), to="one/permanent", timeout_s=8.0)
    assert answer.total == 1
    assert desk.pid("one/permanent") == before


def test_whole_desk_stopped_and_continued_restarts_nobody(desk: Desk) -> None:
    before = desk.pids()
    everybody = [desk.process.pid, *before]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5.0)  # longer than every liveness limit of this desk; a stopped desk has no condition to wait for
    for pid in reversed(everybody):
        os.kill(pid, signal.SIGCONT)
    desk.until(lambda: len(desk.pids()) == len(before))
    settled = time.monotonic() + 3.0
    while time.monotonic() < settled:
        assert desk.pids() == before
        time.sleep(0.1)


def test_children_die_with_a_killed_supervisor_within_a_second(desk: Desk) -> None:
    children = desk.pids()
    os.kill(children[0], signal.SIGSTOP)
    desk.process.kill()
    desk.process.wait()
    deadline = time.monotonic() + 1.0
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline, [pid for pid in children if alive(pid)]
        time.sleep(0.01)
    second = desk.start()
    desk.until(lambda: desk.state("held/failing") == "up")
    second.terminate()
    assert second.wait(LIMIT_S) == 0
    assert second.stderr is not None
    second.stderr.close()


def test_second_supervisor_on_the_same_home_is_refused(desk: Desk) -> None:
    second = desk.start()
    _, words = second.communicate(timeout=LIMIT_S)
    assert second.returncode != 0
    assert b"is in use by a running supervisor" in words
    assert desk.state("all/a") == "up"


def test_shutdown_leaves_no_process(desk: Desk) -> None:
    children = desk.pids()
    desk.process.terminate()
    assert desk.process.wait(LIMIT_S) == 0
    assert not [pid for pid in children if alive(pid)]


def test_held_child_leaves_its_elder_alone(desk: Desk) -> None:
    os.kill(desk.pid("held/failing"), signal.SIGKILL)
    desk.until(lambda: (child := desk.child("held/failing")) and child.restarts == 1 and child.state == "up")
    elder = desk.pid("held/elder")
    for count in (2, 3, 4):
        os.kill(desk.pid("held/failing"), signal.SIGKILL)
        desk.until(
            lambda count=count: (
                (child := desk.child("held/failing")) and child.restarts == count and child.state == "held, up"
            )
        )
    assert desk.pid("held/elder") == elder


def test_dynamic_child_comes_and_goes_by_command(desk: Desk) -> None:
    desk.client.call(StartChild(under="spare", spec=worker("new/one", restart="transient")))
    assert desk.client.call(Add(number=2), to="spare/new/one").total == 2
    with pytest.raises(Refused, match="already_started"):
        desk.client.call(StartChild(under="spare", spec=worker("new/one")))
    desk.client.call(TerminateChild(name="spare/new/one"))
    assert desk.state("spare/new/one") == "gone"
    with pytest.raises(Refused, match="not_found"):
        desk.client.call(RestartChild(name="spare/new/one"))


def test_child_that_cannot_start_is_refused_with_its_reason_and_one_that_ignores_is_not(desk: Desk) -> None:
    with pytest.raises(Refused, match="no_such_module"):
        desk.client.call(StartChild(under="spare", spec=worker("bad", start="no_such_module:Thing")))
    started = desk.client.call(StartChild(under="spare", spec=worker("idle", arguments={"ignore": True})))
    assert started.incarnation == 0
    assert [desk.state(name) for name in ("spare/bad", "spare/idle")] == ["gone", "gone"]


def test_child_that_does_not_end_in_time_is_killed(desk: Desk) -> None:
    spec = worker("slow", shutdown_s=0.3, arguments={"slow_stop_s": 30.0})
    desk.client.call(StartChild(under="spare", spec=spec))
    began = time.monotonic()
    desk.client.call(TerminateChild(name="spare/slow"))
    assert time.monotonic() - began > 0.25, "and the call has its answer within its 5 s, not after the 30 of the child"


def test_call_to_an_absent_peer_fails_at_once_and_is_never_executed_later(desk: Desk) -> None:
    with pytest.raises(NoPeer):
        desk.client.call(Add(number=7), to="spare/late")
    desk.client.call(StartChild(under="spare", spec=worker("late")))
    assert desk.client.call(Add(number=1), to="spare/late").total == 1


def test_call_that_times_out_is_unknown_and_its_late_reply_is_not_taken_for_another(desk: Desk) -> None:
    with pytest.raises(OutcomeUnknown):
        desk.client.call(Add(number=1, sleep_s=1.5), to="one/permanent", timeout_s=1.0)
    assert desk.client.call(Add(number=10), to="one/permanent").total == 11


def test_expired_request_is_dropped_by_its_receiver(desk: Desk) -> None:
    gate = desk.home / "gate"
    with Client(str(desk.home)) as hasty:
        assert hasty.call(Add(number=1), to="one/permanent").total == 1
        desk.do("one/permanent", "wait", str(gate))
        with pytest.raises(OutcomeUnknown):
            hasty.call(Add(number=100), to="one/permanent", timeout_s=0.3)
        gate.touch()
        assert hasty.call(Add(number=1), to="one/permanent").total == 2


def test_subscriber_misses_nothing_over_a_burst_and_a_restart_of_the_publisher(desk: Desk) -> None:
    desk.until(lambda: desk.client.call(ReadHeard(), to="pubsub/listener").welcomes == 1)
    desk.client.call(Say(first=1, count=900), to="pubsub/speaker")
    desk.until(lambda: desk.client.call(ReadHeard(), to="pubsub/listener").numbers == tuple(range(1, 901)))
    before = desk.pid("pubsub/speaker")
    os.kill(before, signal.SIGKILL)
    desk.again("pubsub/speaker", before)
    desk.until(lambda: desk.client.call(ReadHeard(), to="pubsub/listener").welcomes == 2)
    desk.client.call(Say(first=901, count=10), to="pubsub/speaker")
    desk.until(lambda: desk.client.call(ReadHeard(), to="pubsub/listener").numbers == tuple(range(1, 911)))


def test_garbage_on_the_control_socket_is_dropped_and_the_tree_does_not_notice(desk: Desk) -> None:
    import zmq

    before = desk.pids()
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(f"ipc://{desk.home}/run/control.sock")
    for frames in ([b""], [b"x"], [b"\x00" * 100, b"garbage"], [b"a", b"b", b"c", b"d"], [os.urandom(5000)] * 2):
        socket.send_multipart(frames)
    socket.send(b"z" * 5_000_000)
    assert desk.client.tree().pid == desk.process.pid
    context.destroy(linger=0)
    assert desk.pids() == before


def test_home_and_sockets_belong_to_the_user_alone(desk: Desk) -> None:
    run = desk.home / "run"
    assert run.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.iterdir())


def test_log_has_one_line_an_event_under_the_name_s_path(desk: Desk) -> None:
    desk.do("one/transient", "crash")
    log = desk.home / "logs" / "one" / "transient.log"
    desk.until(lambda: "dies of ZeroDivisionError: on purpose" in log.read_text())


def test_no_descriptor_is_left_by_a_hundred_restarts(desk: Desk) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{desk.process.pid}/fd"))

    spec = worker("passing", restart="temporary")
    desk.client.call(StartChild(under="spare", spec=spec))
    desk.client.call(TerminateChild(name="spare/passing"))
    before = descriptors()
    for _ in range(100):
        desk.client.call(StartChild(under="spare", spec=spec))
        desk.client.call(TerminateChild(name="spare/passing"))
    desk.until(lambda: descriptors() <= before)  # the answer comes before the last one's are closed


def test_caller_of_a_process_that_is_killed_learns_it_at_once_and_not_at_its_limit(desk: Desk) -> None:
    pid = desk.pid("one/permanent")

    def kill_in_its_handler() -> None:
        with Client(str(desk.home)) as watching:
            until_s = time.monotonic() + LIMIT_S
            while (watching.tree("one/permanent").children[0].alive_for_s or 0.0) < 10.0 and time.monotonic() < until_s:
                time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_in_its_handler)
    killer.start()
    with pytest.raises(OutcomeUnknown, match="ended before it replied"):
        desk.client.call(Add(number=1, sleep_s=60.0), to="one/permanent", timeout_s=60.0)
    killer.join()
    desk.again("one/permanent", pid)
    assert desk.client.call(Add(number=1), to="one/permanent").total == 1


def test_call_that_waits_in_the_mailbox_of_an_ending_process_is_refused(desk: Desk) -> None:
    desk.client.call(StartChild(under="spare", spec=worker("leaving", restart="temporary")))
    desk.do("spare/leaving", "leave_unheard")
    with pytest.raises(Refused, match="is ending and did nothing of it"):
        desk.client.call(Add(number=1), to="spare/leaving", timeout_s=10.0)


def test_frozen_sibling_does_not_make_its_group_wait_for_its_whole_shutdown_limit(desk: Desk) -> None:
    for name in ("patient", "dying"):
        desk.client.call(StartChild(under="all", spec=worker(name, shutdown_s=60.0)))
    before = {name: desk.pid(f"all/{name}") for name in ("patient", "dying")}
    os.kill(before["patient"], signal.SIGSTOP)
    os.kill(before["dying"], signal.SIGKILL)
    for name, pid in before.items():
        desk.again(f"all/{name}", pid)  # within 15 s: its liveness limit is 2 s, its shutdown limit 60 s


def test_last_words_may_take_the_whole_shutdown_limit(desk: Desk) -> None:
    spec = worker("talkative", shutdown_s=20.0, restart="temporary", arguments={"slow_stop_s": 4.0})
    desk.client.call(StartChild(under="spare", spec=spec))
    began = time.monotonic()
    desk.client.call(TerminateChild(name="spare/talkative"), timeout_s=15.0)
    assert time.monotonic() - began > 3.9, "it was let finish, beyond its liveness limit of 2 s"
