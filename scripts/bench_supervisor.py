"""The supervisor's figures, each beside what the bare machine needs for it in the same process and run.

    scripts/bench supervisor [restart|group|many|idle|control] [--json] [--rounds N]
    scripts/bench supervisor soak [--restarts N]     what N restarts leave behind; not part of a run without a name

The floor is a bare ``os.fork`` of the same parent: kill -9, wait, fork, and the child's first instruction by its own
monotonic clock. Children are plain functions; figures that end in "server" are of processes with ZeroMQ sockets.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench_children import STAMPS
from scripts.bench_tools import Figure, figure, run, say
from supervisor import ChildSpec, Client, Supervisor, SupervisorFlags
from supervisor.errors import CallFailed
from supervisor.messages import StartChild
from supervisor.runtime import kid
from supervisor.runtime.main import run as run_tree
from supervisor.runtime.settings import Settings

BENCH = "supervisor"
SIZES = (1, 20, 100, 500)
ROUNDS = 60
"""Kills a size: a median of 60 is steady within a tenth on a machine with others on it."""
LIMIT_S = 60.0
MANY = 500
IDLE_CHILDREN = 100
SERVERS = 20
IDLE_S = 60.0
DEATHS_A_SECOND = 20
ROUND_TRIPS = 1000
NS = 1e9
FORKED, BARE = 1022, 1023
"""Places of stamps that are no child's."""
FUNCTION = "scripts.bench_children:beating"
SERVER = "scripts.bench_children:BeatingServer"
PRELOAD = ("supervisor.process.real", "supervisor.control.server", "feeds.bars", "scripts.bench_children")
"""What a desk's supervisor imports for a feed, so that a fork copies as much."""
PLENTY = SupervisorFlags(intensity=1_000_000, period_s=1.0)


def measure(chosen: argparse.Namespace) -> Iterator[Figure]:
    if chosen.part == "soak":
        yield from soak(chosen.restarts)
        return
    for name in [chosen.part] if chosen.part else list(PARTS):
        say(name)
        yield from PARTS[name](chosen.rounds)


# -- one child dies ---------------------------------------------------------------------------------------------------


def restart(rounds: int) -> Iterator[Figure]:
    for size in SIZES:
        with tree(*(ChildSpec(id=f"c{i}", start=FUNCTION, arguments={"place": i}) for i in range(size))) as supervisor:
            taken, floors = [], []
            for _ in range(rounds):
                taken.append(kill_and_wait(supervisor, "c0"))
                floors.append(bare_restart())
        for name in ("first instruction", "child's own code", "ready"):
            yield figure(BENCH, f"kill to {name}, N={size}", [each[name] for each in taken], "ms", floors)
    with tree(*(ChildSpec(id=f"c{i}", start=SERVER, arguments={"place": i}) for i in range(20))) as supervisor:
        pairs = [(kill_and_wait(supervisor, "c0")["ready"], bare_restart()) for _ in range(rounds)]
    yield figure(BENCH, "kill to ready, N=20, server", [a for a, _ in pairs], "ms", [b for _, b in pairs])


def kill_and_wait(supervisor: Supervisor, name: str, names: tuple[str, ...] = ()) -> dict[str, float]:
    """Milliseconds from kill -9 to its successor's *first instruction* (as of a bare fork: what runs first in it), to
    the first of the *child's own code* (it is a process of its own by then: session, log, descriptors, title), and to
    the last of ``names`` being *ready*, as the supervisor knows it."""
    supervisor.work(0.002)  # what the last round left to do is not this round's
    nodes = supervisor.runtime.tree.nodes
    before = {each: nodes[each].incarnation for each in names or (name,)}
    STAMPS[0] = 0.0
    began_s = time.monotonic()
    os.kill(nodes[name].pid, signal.SIGKILL)

    def again() -> bool:
        now = supervisor.runtime.tree.nodes
        return all(now[each].state == "up" and now[each].incarnation > old for each, old in before.items())

    if not supervisor.until(again, LIMIT_S):
        raise SystemExit(f"bench supervisor: {name} is not back within {LIMIT_S:g} s")
    ready_s = max(supervisor.runtime.tree.nodes[each].since_s for each in before)
    seen_s = {"first instruction": STAMPS[FORKED], "child's own code": STAMPS[0], "ready": ready_s}
    return {what: 1000 * (at_s - began_s) for what, at_s in seen_s.items()}


def bare_restart(children: int = 1) -> float:
    """The floor: so many bare children in sequence, each killed, waited for, forked again; its first instruction."""
    taken = 0.0
    for _ in range(children):
        pid, _ = bare_fork()
        began_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        pid, first_s = bare_fork()
        taken += 1000 * (first_s - began_s)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return taken


def stamped(run: Callable[..., None]) -> Callable[..., None]:
    """What a forked child runs, with a stamp at its first instruction."""

    def first(*birth: object) -> None:
        STAMPS[FORKED] = time.monotonic()
        run(*birth)

    return first


kid.live = stamped(kid.live)  # type: ignore[attr-defined] # the name by which it is forked


def bare_fork() -> tuple[int, float]:
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        STAMPS[BARE] = time.monotonic()
        os.write(write_end, b"x")
        while True:
            signal.pause()
    os.read(read_end, 1)
    os.close(read_end)
    os.close(write_end)
    return pid, STAMPS[BARE]


# -- a group, and many ------------------------------------------------------------------------------------------------


def group(rounds: int) -> Iterator[Figure]:
    children = tuple(ChildSpec(id=id, start=FUNCTION) for id in "abc")
    flags = SupervisorFlags(strategy="one_for_all", intensity=1_000_000, period_s=1.0)
    names = ("a", "b", "c")
    with tree(*children, flags=flags) as supervisor:
        pairs = [(kill_and_wait(supervisor, "a", names)["ready"], bare_restart(3)) for _ in range(rounds)]
    yield figure(BENCH, "one_for_all of 3 ready", [a for a, _ in pairs], "ms", [b for _, b in pairs])


def many(rounds: int) -> Iterator[Figure]:
    taken, floors = [], []
    for _ in range(5):
        with tree(flags=SupervisorFlags(dynamic=True)) as supervisor:
            taken.append(ask_for_many(supervisor))
            supervisor.stop()
            floors.append(bare_many())
    yield figure(BENCH, f"{MANY} ready", taken, "ms", floors, digits=1)


def ask_for_many(supervisor: Supervisor) -> float:
    """Milliseconds from the first request to the last answer: each is given when that child is ready."""
    answers: list[object] = []
    began_s = time.monotonic()
    for i in range(MANY):
        spec = ChildSpec(id=f"c{i}", start=FUNCTION)
        supervisor.runtime.ask(StartChild("", spec), lambda answer, error: answers.append(answer))
    if not supervisor.until(lambda: len(answers) == MANY, LIMIT_S) or None in answers:
        raise SystemExit(f"bench supervisor: {len(answers)} of {MANY} are ready within {LIMIT_S:g} s")
    return 1000 * (time.monotonic() - began_s)


def bare_many() -> float:
    read_end, write_end = os.pipe()
    began_s = time.monotonic()
    pids = []
    for _ in range(MANY):
        pid = os.fork()
        if pid == 0:
            os.write(write_end, b"x")
            while True:
                signal.pause()
        pids.append(pid)
    seen = 0
    while seen < MANY:
        seen += len(os.read(read_end, MANY))
    taken = 1000 * (time.monotonic() - began_s)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)
    os.close(read_end)
    os.close(write_end)
    return taken


@contextmanager
def tree(*children: ChildSpec, flags: SupervisorFlags = PLENTY) -> Iterator[Supervisor]:
    root = ChildSpec(id="bench", type="supervisor", supervisor=flags, children=children)
    with tempfile.TemporaryDirectory() as home, Supervisor(root, home, preload=PRELOAD) as supervisor:
        yield supervisor


# -- a tree of its own, with a control socket -------------------------------------------------------------------------


def idle(rounds: int) -> Iterator[Figure]:
    with daemon() as client:
        everybody = client.tree()
        watched = [everybody.pid, *(row.pid for row in everybody.children if row.name == "control")]
        time.sleep(2.0)  # the start is over
        before = [cpu_s(pid) for pid in watched]
        began_s = time.monotonic()
        time.sleep(IDLE_S)
        for_s = time.monotonic() - began_s
        used = [after - at for after, at in zip((cpu_s(pid) for pid in watched), before, strict=True)]
        say(f"idle: supervisor {1000 * used[0]:.1f} ms, control {1000 * used[1]:.1f} ms of CPU in {for_s:.0f} s")
        yield figure(BENCH, "idle CPU", [100 * sum(used) / for_s], "%", digits=4)
        for name, group in (("child PSS", "many/"), ("child PSS, server", "servers/")):
            sizes = [pss_mib(row.pid) for row in everybody.children if row.name.startswith(group)]
            yield figure(BENCH, name, sizes, "MiB", digits=2)
        yield figure(BENCH, "supervisor PSS", [pss_mib(everybody.pid)], "MiB", digits=2)


def control(rounds: int) -> Iterator[Figure]:
    with daemon() as client:
        # A process of its own: a thread of ours would hold the interpreter's lock while we measure.
        killer = subprocess.Popen([sys.executable, "-m", "scripts.bench_supervisor", "--kill", client.home])
        try:
            wait_for(lambda: any(row.restarts for row in client.tree("many").children))
            yield figure(BENCH, "control round trip", round_trips(client.count_children), "ms")
            yield figure(BENCH, "control round trip, the whole tree", round_trips(client.tree), "ms")
        finally:
            killer.kill()
            killer.wait()


def round_trips(ask: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(ROUND_TRIPS):
        began_s = time.monotonic()
        ask()
        taken.append(1000 * (time.monotonic() - began_s))
        time.sleep(0.01)
    return taken


def kill_some(home: str) -> int:
    """kill -9 of random children, so many a second, by their pids as the tree tells them; until it is killed itself."""
    draw = random.Random(1)
    with Client(home) as client:
        names = [row.name for row in client.which_children("many").children]
        while True:
            time.sleep(1.0 / DEATHS_A_SECOND)
            (row,) = client.tree(draw.choice(names)).children
            if row.pid and row.state == "up":
                os.kill(row.pid, signal.SIGKILL)


@contextmanager
def daemon() -> Iterator[Client]:
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen([sys.executable, "-m", "scripts.bench_supervisor", "--tree", home])
        try:
            with Client(home) as client:
                wait_for(lambda: client.count_children("servers").active == SERVERS)
                yield client
        finally:
            process.terminate()
            process.wait()


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        try:
            if condition():
                return
        except CallFailed:
            time.sleep(0.05)  # it is still coming up
    raise SystemExit(f"bench supervisor: the tree is not up within {LIMIT_S:g} s")


def serve(home: str) -> int:
    functions = tuple(ChildSpec(id=f"c{i}", start=FUNCTION) for i in range(IDLE_CHILDREN))
    servers = tuple(ChildSpec(id=f"c{i}", start=SERVER) for i in range(SERVERS))
    many = ChildSpec(id="many", type="supervisor", supervisor=PLENTY, children=functions)
    few = ChildSpec(id="servers", type="supervisor", supervisor=PLENTY, children=servers)
    control = ChildSpec(id="control", start="supervisor.control.server:ControlServer")
    root = ChildSpec(id="bench", type="supervisor", children=(control, many, few))
    return run_tree(root, Settings(home=home, title="bench"), PRELOAD)


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process so far."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / NS


def pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


# -- what is left behind ----------------------------------------------------------------------------------------------


def soak(restarts: int) -> Iterator[Figure]:
    """Every fifth restart is of a process with ZeroMQ sockets. Counted before and after, with everybody up."""
    names = ("c0", "c1", "c2", "c3", "s0")
    children = tuple(ChildSpec(id=each, start=SERVER if each == "s0" else FUNCTION) for each in names)
    with tree(*children) as supervisor:
        for each in names * 20:  # caches are warm
            kill_and_wait(supervisor, each)
        before = held(supervisor)
        began_s = time.monotonic()
        for number in range(restarts):
            kill_and_wait(supervisor, names[number % len(names)])
            if number % 2000 == 1999:
                say(f"soak: {number + 1} restarts in {time.monotonic() - began_s:.0f} s, {held(supervisor)}")
        after = held(supervisor)
    for what, unit in UNITS.items():
        yield figure(BENCH, f"soak of {restarts}: {what} after", [after[what]], unit, [before[what] or 1e-9])


UNITS = {"descriptors": "1", "resident memory": "MiB", "sockets on disk": "1", "children": "1"}


def held(supervisor: Supervisor) -> dict[str, float]:
    """``children`` are all that the kernel knows of us: those of the tree, and zombies if there were any."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sockets = [each for each in supervisor.settings.runtime_dir.iterdir() if each.is_socket()]
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "sockets on disk": len(sockets),
        "children": len(children),
    }


PARTS = {"restart": restart, "group": group, "many": many, "idle": idle, "control": control}


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench supervisor", description="The supervisor's figures.")
    options.add_argument("part", nargs="?", choices=[*PARTS, "soak"])
    options.add_argument("--restarts", type=int, default=20_000, help="of a soak (default 20000)")
    options.add_argument("--rounds", type=int, default=ROUNDS, help=f"kills a size (default {ROUNDS})")
    return run(measure, options)


if __name__ == "__main__":
    inner = {"--tree": serve, "--kill": kill_some}.get(" ".join(sys.argv[1:2]))
    sys.exit(inner(sys.argv[2]) if inner else main())
