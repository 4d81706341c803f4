"""Forking, and nothing else. The only file that knows ``multiprocess``.

``multiprocess`` forks, and keeps no account of it: its bookkeeping polls all children at each start and takes their
exit status from whoever waits for it. A child is known by pid and pidfd, and its death is read once.
"""

from __future__ import annotations

import os
import signal
from _signal import pthread_sigmask  # signal.pthread_sigmask makes 61 enum members each time: 0.1 ms
from collections.abc import Callable
from contextlib import suppress

from multiprocess.popen_fork import Popen

ALL_SIGNALS = signal.valid_signals()


class Launch:
    """What ``multiprocess`` forks: it calls ``_bootstrap`` in the child. Its own ``Process`` would take leave of the
    parent there (closes stdin, resets its registries), which we do ourselves; that is a third of a fork's time."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run

    def _bootstrap(self, parent_sentinel: int) -> int:
        self._run()
        return 1  # it must not return


def spawn(run: Callable[[], None]) -> tuple[int, int]:
    """Fork a child that runs ``run`` (which must not return); its pid and pidfd.

    All signals are blocked over the fork; the child unblocks them when it has its own handlers. Call it in the main
    thread only: the parent-death signal fires when the forking *thread* ends.
    """
    before = pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)
    try:
        started = Popen(Launch(run))
        pid = int(started.pid)
        os.sched_yield()  # the child first: what we still have to do can wait, and would slow its start by a third
        started.close()  # its two pipes; nobody waits by them
    finally:
        pthread_sigmask(signal.SIG_SETMASK, before)
    return pid, os.pidfd_open(pid)


def reap(pid: int, pidfd: int) -> tuple[str, float]:
    """Read a death, once, and end what is left of the child's process group: how it ended ("" for exit status 0), and
    the most memory that it had resident, in MiB.

    The group is killed before the child is reaped: as long as it is a zombie its number belongs to nobody else. So
    it can be reaped by its pid, which alone tells the memory (wait4); that its pidfd is readable says it is dead.
    """
    # It died before its setsid, or its group is empty but for the zombie: nothing is left to end.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    os.close(pidfd)
    exited = os.WIFEXITED(status)
    return exit_text(exited, os.WEXITSTATUS(status) if exited else os.WTERMSIG(status)), used.ru_maxrss / 1024


def exit_text(exited: bool, status: int) -> str:
    """One line for people; "" for exit status 0."""
    if exited:
        return "" if status == 0 else f"exit status {status}"
    try:
        name = signal.Signals(status).name
    except ValueError:
        name = f"signal {status}"
    return f"killed by {name}"
