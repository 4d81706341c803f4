"""Forking, and nothing else. The only file that knows ``multiprocess``.

``multiprocess`` starts the process; then it is told to forget it: its bookkeeping polls all children at each start
and takes their exit status from whoever waits for it. A child is known by pid and pidfd, and its death is read once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import multiprocess
import multiprocess.process

_FORK = multiprocess.get_context("fork")


def spawn(run: Callable[[], None]) -> tuple[int, int]:
    """Fork a child that runs ``run`` (which must not return); its pid and pidfd.

    All signals are blocked over the fork; the child unblocks them when it has its own handlers. Call it in the main
    thread only: the parent-death signal fires when the forking *thread* ends.
    """
    everything = signal.valid_signals()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    try:
        process: Any = _FORK.Process(target=run)
        process.start()
        pid = int(process.pid)
        process._popen.finalizer()
        multiprocess.process._children.discard(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid, os.pidfd_open(pid)


def reap(pid: int, pidfd: int) -> str:
    """Read a death, once, and end what is left of the child's process group. "" for exit status 0.

    The group is killed before the child is reaped: as long as it is a zombie its number belongs to nobody else.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # It died before its setsid, or its group is empty but for the zombie: nothing is left to end.
        left_over = False
    else:
        left_over = True
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    assert result is not None, f"waitid on pidfd of {pid} gave nothing, left_over={left_over}"
    return exit_text(result.si_code == os.CLD_EXITED, result.si_status)


def exit_text(exited: bool, status: int) -> str:
    """One line for people; "" for exit status 0."""
    if exited:
        return "" if status == 0 else f"exit status {status}"
    try:
        name = signal.Signals(status).name
    except ValueError:
        name = f"signal {status}"
    return f"killed by {name}"
