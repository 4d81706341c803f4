"""What systemd is told, over a real datagram socket: by the sender alone, and by a real supervising process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.control.client import Client
from supervisor.runtime.systemd import RETRY_S, Systemd, address, watchdog_every_s
from tests.supervisor.core_edge import Edge, worker

LIMIT_S = 15.0
ROOT = Path(__file__).resolve().parents[2]
WATCHDOG_S = 0.6


class Manager:
    """The receiving end: a bound socket, and all words that came, with their machine time."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address(where))
        self.socket.setblocking(False)
        self.heard: list[tuple[float, str]] = []

    def words(self) -> list[str]:
        while True:
            try:
                message = self.socket.recv(4096).decode()
            except BlockingIOError:
                return [word for _, word in self.heard]
            self.heard += [(time.monotonic(), word) for word in message.split("\n")]

    def count(self, word: str) -> int:
        return self.words().count(word)

    def status(self) -> str:
        return [word for word in self.words() if word.startswith("STATUS=")][-1].removeprefix("STATUS=")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def until(condition: Callable[[], object], what: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what()}"
        time.sleep(0.01)


# -- the sender alone -------------------------------------------------------------------------------------------------


def test_without_a_notify_socket_nothing_is_done_and_nothing_is_ever_due() -> None:
    edge = Edge(worker("a"))
    systemd = Systemd({"PATH": "/bin", "WATCHDOG_USEC": "1000000"})
    systemd.turn(edge.tree, edge.now_s)
    assert systemd.due_s == float("inf")


def test_the_variables_are_taken_out_of_the_environment_and_no_others(manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": manager.where, "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1", "HOME": "/"}
    Systemd(environment)
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize("abstract", [False, True])
def test_a_turn_sends_what_is_due_as_one_datagram(tmp_path: Path, abstract: bool) -> None:
    manager = Manager(f"@nightdesk-test-{os.getpid()}" if abstract else str(tmp_path / "s"))
    edge = Edge(worker("a"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.where, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
    systemd.turn(edge.tree, edge.now_s)
    assert manager.socket.recv(4096) == b"READY=1\nSTATUS=ok: 1 of 1 up\nWATCHDOG=1"
    assert systemd.due_s == edge.now_s + 1.0, "a third of the limit"
    systemd.turn(edge.tree, edge.now_s + 0.9)
    assert manager.words() == []
    systemd.turn(edge.tree, edge.now_s + 1.0)
    assert manager.words() == ["WATCHDOG=1"]
    manager.socket.close()


def test_a_manager_that_is_away_raises_nothing_and_is_told_when_it_is_back(tmp_path: Path) -> None:
    edge = Edge(worker("a"))
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "later")})
    systemd.turn(edge.tree, edge.now_s)
    assert systemd.due_s == edge.now_s + RETRY_S
    manager = Manager(str(tmp_path / "later"))
    systemd.turn(edge.tree, systemd.due_s)
    assert manager.words() == ["READY=1", "STATUS=ok: 1 of 1 up"]
    manager.socket.close()


def test_a_manager_that_does_not_read_never_blocks_the_loop(manager: Manager) -> None:
    edge = Edge(worker("a"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.where, "WATCHDOG_USEC": "30"})
    now_s = edge.now_s
    for _ in range(5000):  # far more than a socket's queue holds
        systemd.turn(edge.tree, now_s)
        now_s = systemd.due_s
    assert manager.count("READY=1") == 1


def test_a_forked_child_cannot_send(manager: Manager) -> None:
    edge = Edge(worker("a"))
    systemd = Systemd({"NOTIFY_SOCKET": manager.where})
    child = os.fork()
    if child == 0:
        systemd.turn(edge.tree, edge.now_s)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert manager.words() == []


@pytest.mark.parametrize(
    ("limit_us", "pid", "every_s"),
    [
        pytest.param("30000000", str(os.getpid()), 10.0, id="ourselves"),
        ("30000000", "", 10.0),
        ("30000000", "1", float("inf")),
        ("", "", float("inf")),
        ("0", "", float("inf")),
        ("soon", "", float("inf")),
    ],
)
def test_the_watchdog_watches_this_process_or_nobody(limit_us: str, pid: str, every_s: float) -> None:
    assert watchdog_every_s(limit_us, pid) == every_s


@pytest.mark.parametrize("where", ["", "vsock:2:1", "relative"])
def test_what_is_no_unix_socket_is_nobody_s_address(where: str) -> None:
    assert address(where) == ""


# -- a real supervising process ---------------------------------------------------------------------------------------


class Service:
    """A supervising process as systemd starts it; its gate is shut."""

    def __init__(self, home: Path, manager: Manager) -> None:
        home.mkdir()
        self.home = home
        self.manager = manager
        # As systemd does, and as `nightdesk run` does: the pid in the variable is that of who reads it, over an exec.
        command = 'export WATCHDOG_PID=$$; exec "$0" -m tests.supervisor.notified_desk "$1"'
        environment = {**os.environ, "NOTIFY_SOCKET": manager.where, "WATCHDOG_USEC": f"{WATCHDOG_S * 1e6:.0f}"}
        with (home / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", command, sys.executable, str(home)],
                cwd=ROOT,
                env=environment,
                stderr=stderr,
                start_new_session=True,
            )

    def until(self, condition: Callable[[], object]) -> None:
        until(condition, self.manager.words)

    def open_gate(self) -> None:
        (self.home / "gate").touch()
        self.until(lambda: self.manager.count("READY=1"))


@pytest.fixture
def service(tmp_path: Path, manager: Manager) -> Iterator[Service]:
    made = Service(tmp_path / "home", manager)
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGCONT)
        made.process.kill()
    made.process.wait(LIMIT_S)


def test_ready_comes_after_the_last_child_is_ready_and_not_before(service: Service, manager: Manager) -> None:
    service.until(lambda: "STATUS=starting: 2 of 3 up, waiting for gated" in manager.words())
    before = manager.count("WATCHDOG=1")
    service.until(lambda: manager.count("WATCHDOG=1") > before + 2)
    assert manager.count("READY=1") == 0
    service.open_gate()
    assert manager.status() == "ok: 3 of 3 up"
    assert manager.count("READY=1") == 1


def test_neither_a_child_nor_what_it_starts_has_the_variables(service: Service) -> None:
    service.open_gate()
    for name in ("child.env", "grandchild.env"):
        text = (service.home / name).read_text()
        assert "PATH" in text
        assert "NOTIFY_SOCKET" not in text
        assert "WATCHDOG" not in text


def test_the_watchdog_hears_of_an_idle_tree_and_nothing_of_a_stuck_one(service: Service, manager: Manager) -> None:
    service.open_gate()
    before = manager.count("WATCHDOG=1")
    service.until(lambda: manager.count("WATCHDOG=1") >= before + 4)
    beats_s = [at_s for at_s, word in manager.heard if word == "WATCHDOG=1"][-4:]
    assert beats_s[-1] - beats_s[0] < 3 * WATCHDOG_S, "each is due after a third"
    service.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, service.process.pid, os.WSTOPPED)
    silent = manager.count("WATCHDOG=1")
    deadline = time.monotonic() + 2 * WATCHDOG_S
    while time.monotonic() < deadline:  # a silence has no condition to wait for
        assert manager.count("WATCHDOG=1") == silent
        time.sleep(0.05)
    service.process.send_signal(signal.SIGCONT)
    service.until(lambda: manager.count("WATCHDOG=1") > silent)


def test_an_aborted_loop_tells_where_it_was_and_takes_its_children_along(service: Service) -> None:
    service.open_gate()
    with Client(str(service.home)) as client:
        children = [child.pid for child in client.tree().children if child.pid]
    assert len(children) == 3
    service.process.send_signal(signal.SIGABRT)  # systemd's first word to a process that its watchdog gave up
    assert service.process.wait(LIMIT_S) == -signal.SIGABRT
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in children), lambda: children)
    told = (service.home / "stderr").read_text()
    assert "Fatal Python error: Aborted" in told
    assert "supervisor/runtime/loop.py" in told


def test_an_orderly_end_says_so_first_and_last(service: Service, manager: Manager) -> None:
    service.open_gate()
    assert manager.count("STOPPING=1") == 0
    service.process.terminate()
    assert service.process.wait(LIMIT_S) == 0
    words = manager.words()
    stopping = words.index("STOPPING=1")
    assert words[stopping + 1].startswith("STATUS=stopping: waiting for ")
    assert [word for word in words[stopping:] if word.startswith("EXTEND_TIMEOUT_USEC=")]
    assert manager.status() == "ended: told to stop"
    assert manager.count("READY=1") == 1
