"""What /proc tells of processes. Each function answers for a process that may be gone at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec


class Stat(msgspec.Struct, frozen=True):
    """``/proc/PID/stat``, as far as it is used here. ``state`` is the kernel's letter: Z is dead and not reaped."""

    pid: int
    comm: str
    state: str
    parent: int
    session: int

    def __str__(self) -> str:
        return f"{self.comm} ({self.pid})"


def stat(pid: int) -> Stat | None:
    """None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    comm, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Stat(pid, comm, fields[0], parent=int(fields[1]), session=int(fields[3]))


def own_children() -> list[int]:
    """Living and dead ones that are not reaped. Where the kernel keeps no list, all processes are asked."""
    try:
        with open("/proc/thread-self/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:
        me = os.getpid()
        return [pid for pid in all_pids() if (found := stat(pid)) is not None and found.parent == me]


def all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def is_own(pid: int) -> bool:
    """Whether it is this user's."""
    try:
        return os.stat(f"/proc/{pid}").st_uid == os.geteuid()
    except (FileNotFoundError, ProcessLookupError):
        return False


def self_and_ancestors() -> set[int]:
    line, pid = set[int](), os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        found = stat(pid)
        pid = found.parent if found else 0
    return line
