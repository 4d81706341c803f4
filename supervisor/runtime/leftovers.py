"""Processes of an earlier life of this home, found by their mark and ended before anything is started.

A child dies with its supervisor; what a child has started does not, unless a cgroup (systemd's unit) holds it. Whoever
calls this owns the home (its lock), so no living supervisor of it is there, and whoever carries its mark is left over.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

import msgspec

from supervisor.core.orphans import named
from supervisor.core.tree import Record
from supervisor.runtime.mark import read_mark, supervisor_id
from supervisor.runtime.procfs import all_pids, is_own, self_and_ancestors, stat

LIMIT_S = 5.0
"""The start is not held up longer by one that the kernel does not let die (state D)."""


class Leftovers(msgspec.Struct, frozen=True):
    """``name (pid)`` of each. ``ended`` are surely gone, ``stuck`` were killed and are still there."""

    ended: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()

    def records(self) -> list[Record]:
        found = []
        if self.ended:
            text = f"the last life of this home had left {named(self.ended)}; killed before anything was started"
            data: dict[str, object] = {"processes": len(self.ended)}
            found.append(Record("supervisor.leftovers", "DIGEST", "", text, data=data))
        if self.stuck:
            text = f"the last life of this home had left {named(self.stuck)}; killed, and not dead within {LIMIT_S:g} s"
            found.append(Record("child.unkillable", "NOTIFY", "", text, data={"processes": len(self.stuck)}))
        return found


NOTHING_LEFT = Leftovers()


def end_leftovers(home: str, limit_s: float = LIMIT_S) -> Leftovers:
    """Kill them, and look again until none is left: one may have forked another in the moment before its death."""
    wanted, spared = supervisor_id(home), self_and_ancestors()
    names: dict[int, str] = {}
    until_s = time.monotonic() + limit_s
    while True:
        held = {pid: pidfd for pid in marked(wanted, spared) if (pidfd := hold(pid, wanted)) is not None}
        try:
            for pid, pidfd in held.items():
                names.setdefault(pid, str(stat(pid) or pid))
                with suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            alive = wait_for_deaths(held, until_s)
        finally:
            for pidfd in held.values():
                os.close(pidfd)
        if not held or alive or time.monotonic() >= until_s:
            ended = tuple(name for pid, name in names.items() if pid not in alive)
            return Leftovers(ended, tuple(names[pid] for pid in alive))


def marked(wanted: str, spared: set[int]) -> list[int]:
    """This user's processes with that mark. Never ourselves or who has started us."""
    found = []
    for pid in all_pids():
        if pid not in spared and is_own(pid):
            mark = read_mark(pid)
            if mark is not None and mark.supervisor == wanted:
                found.append(pid)
    return found


def hold(pid: int, wanted: str) -> int | None:
    """A pidfd, and the mark read again: now it is this process, and will not be another with its number."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    mark = read_mark(pid)
    if mark is not None and mark.supervisor == wanted:
        return pidfd
    os.close(pidfd)
    return None


def wait_for_deaths(held: dict[int, int], until_s: float) -> list[int]:
    """The pids that are alive at ``until_s``."""
    poll = select.poll()
    left = {pidfd: pid for pid, pidfd in held.items()}
    for pidfd in left:
        poll.register(pidfd, select.POLLIN)
    while left:
        dead = poll.poll(max(0.0, until_s - time.monotonic()) * 1000)
        if not dead:
            break
        for pidfd, _ in dead:
            poll.unregister(pidfd)
            del left[pidfd]
    return list(left.values())
