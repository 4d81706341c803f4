"""Children that leave processes behind, and small desks of them: ``python -m tests.supervisor.orphan_toys KIND HOME``.

Plain functions, each told by ``arguments`` what to do at its start; what they start writes its pid into
``HOME/pids``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from supervisor import Child, ChildSpec, SupervisorFlags
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings


def leaver(child: Child, folder: str, leaves: tuple[str, ...] = (), blocks: bool = False) -> None:
    """Starts what is named in ``leaves``, then waits to be told to stop."""
    if blocks:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for each in leaves:
        LEAVES[each](Path(folder) / f"{each}-{child.name}-{child.incarnation}")
    child.ready()
    while not child.wait(0.5):
        pass


def executed(told: Path) -> None:
    """A program in our session."""
    noted(told, subprocess.Popen(["sleep", "600"]).pid)


def grouped(told: Path) -> None:
    """A program in our session, in a process group of its own."""
    noted(told, subprocess.Popen(["sleep", "600"], process_group=0).pid)


def bare(told: Path) -> None:
    """The same without any environment: only its session tells whose it is."""
    noted(told, subprocess.Popen(["/bin/sleep", "600"], process_group=0, env={}).pid)


def daemon(told: Path) -> None:
    """A forked, never executed, twice forked process with a session of its own."""
    _daemonise(told, lambda: time.sleep(600))


def blocking_daemon(told: Path) -> None:
    def sleep() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(600)

    _daemonise(told, sleep)


def executed_daemon(told: Path) -> None:
    _daemonise(told, lambda: os.execvp("sleep", ["sleep", "600"]))


def nameless_daemon(told: Path) -> None:
    _daemonise(told, lambda: os.execve("/bin/sleep", ["sleep", "600"], {}))


def short_daemon(told: Path) -> None:
    """Ends by itself, soon: it must not stay a zombie."""
    _daemonise(told, lambda: time.sleep(0.2))


def chain(told: Path) -> None:
    """A daemon with a daemon with a daemon: each is the supervisor's only when its parent is gone."""

    def next_one(left: int) -> None:
        if os.fork() == 0:
            os.setsid()
            noted(told.with_name(f"{told.name}-{left}"), os.getpid())
            if left:
                next_one(left - 1)
            time.sleep(600)
            os._exit(0)

    next_one(3)
    while not told.with_name(f"{told.name}-0").exists():
        time.sleep(0.001)


def _daemonise(told: Path, then: Any) -> None:
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            noted(told, os.getpid())
            then()
            os._exit(0)
        os._exit(0)
    os.waitpid(middle, 0)
    while not told.exists():
        time.sleep(0.001)


def noted(told: Path, pid: int) -> None:
    """Whole or not at all."""
    part = told.with_name(f"{told.name}.part")
    part.write_text(str(pid))
    part.rename(told)


LEAVES = {
    each.__name__: each
    for each in (
        *(executed, grouped, bare, daemon, blocking_daemon),
        *(executed_daemon, nameless_daemon, short_daemon, chain),
    )
}


def dying(child: Child) -> None:
    """Is ready and dies at once: a desk of these forks without end."""
    child.ready()
    os.kill(os.getpid(), signal.SIGKILL)


def deaf(child: Child) -> None:
    """Never looks at its line again and blocks what can be blocked: that its supervisor is gone it does not notice."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    child.ready()
    time.sleep(600)


def mute(child: Child) -> None:
    """Says nothing either: it does not even find that nobody is there to hear it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(600)


def spec(child_id: str, folder: str, *leaves: str, **arguments: Any) -> ChildSpec:
    start = "tests.supervisor.orphan_toys:leaver"
    return ChildSpec(id=child_id, start=start, arguments={"folder": folder, "leaves": leaves, **arguments})


def bare_spec(child_id: str, function: str) -> ChildSpec:
    return ChildSpec(
        id=child_id, start=f"tests.supervisor.orphan_toys:{function}", start_limit_s=60.0, liveness_limit_s=60.0
    )


def leavers(folder: str, *, control: bool = True) -> ChildSpec:
    """One that leaves all that can be found, and one that lives on with a daemon of its own."""
    kinds = ("executed", "grouped", "bare", "daemon", "blocking_daemon", "executed_daemon", "chain")
    socket = (ChildSpec(id="control", start="supervisor.control.server:ControlServer"),) if control else ()
    return ChildSpec(
        id="leavers",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=50, period_s=60.0),
        children=(*socket, spec("messy", folder, *kinds, blocks=True), spec("tidy", folder, "daemon", "short_daemon")),
    )


def nameless(folder: str) -> ChildSpec:
    return ChildSpec(id="nameless", type="supervisor", children=(spec("leaver", folder, "nameless_daemon"),))


def storm(folder: str) -> ChildSpec:
    """Twenty children, of which ten die as soon as they are ready."""
    forever = SupervisorFlags(intensity=10**9, period_s=1.0)
    steady = tuple(bare_spec(f"deaf{number}", "deaf") for number in range(10))
    dead = tuple(bare_spec(f"dying{number}", "dying") for number in range(10))
    return ChildSpec(id="storm", type="supervisor", supervisor=forever, children=(*steady, *dead))


def stopped(folder: str) -> ChildSpec:
    """A desk whose child stops itself in the middle of the fork: before it has asked to die with its parent."""

    def stop() -> None:
        noted(Path(folder) / "stopped", os.getpid())
        os.kill(os.getpid(), signal.SIGSTOP)

    os.register_at_fork(after_in_child=stop)
    return ChildSpec(id="stopped", type="supervisor", children=(bare_spec("one", "mute"),))


KINDS = {each.__name__: each for each in (leavers, nameless, storm, stopped)}

if __name__ == "__main__":
    home = Path(sys.argv[2])
    sys.exit(run(KINDS[sys.argv[1]](str(home / "pids")), Settings(home=str(home), title="orphans")))
