"""The ceiling of a child's memory, at the edge: its size read from /proc, and the kernel's limit in the child."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from supervisor.core import memory
from supervisor.spec import ChildSpec

PAGE_BYTES = resource.getpagesize()
_RESIDENT, _DATA = 1, 5
"""Places in /proc/PID/statm, in pages (proc(5))."""


class Sized(Protocol):
    pid: int
    spec: ChildSpec


K = TypeVar("K", bound=Sized)


class Ceilings(Generic[K]):
    """The children that have one, and when they were looked at. Nobody has one: nothing is ever due.

    Their files in /proc are kept open: that is a sixth of the cost of opening them each time (3.4 us a child), and
    one that is kept never tells of another process that got the number.
    """

    def __init__(self) -> None:
        self._kids: dict[int, tuple[K, int]] = {}
        self._looked_s = 0.0

    def add(self, kid: K) -> None:
        if kid.spec.memory_max_mib is not None:
            with suppress(FileNotFoundError):
                self._kids[kid.pid] = kid, os.open(f"/proc/{kid.pid}/statm", os.O_RDONLY | os.O_CLOEXEC)

    def drop(self, kid: K) -> None:
        _, fd = self._kids.pop(kid.pid, (kid, -1))
        if fd >= 0:
            os.close(fd)

    def next_look_s(self) -> float:
        return memory.next_look_s(self._looked_s, bool(self._kids))

    def look(self, now_s: float) -> list[tuple[K, float]]:
        """Who is above, and how many MiB it has resident."""
        self._looked_s = now_s
        return memory.over(self._sizes())

    def _sizes(self) -> Iterable[tuple[K, float, float]]:
        for kid, fd in self._kids.values():
            assert kid.spec.memory_max_mib is not None
            yield kid, statm(fd, _RESIDENT) / memory.MIB, kid.spec.memory_max_mib


def statm(fd: int, place: int) -> int:
    """Bytes; 0 for one that is dead (its death is told by its pidfd)."""
    try:
        return int(os.pread(fd, 256, 0).split()[place]) * PAGE_BYTES
    except ProcessLookupError:
        return 0


def limit_bursts(ceiling_mib: float | None) -> None:
    """In a child just forked. RLIMIT_DATA, which counts what is private and writable, not RLIMIT_AS: that would also
    count the 64 MiB of address space that glibc reserves for each thread's allocations and hardly uses. The soft limit
    only; what the child executes inherits it."""
    if ceiling_mib is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/statm", "rb", buffering=0) as file:
        limit = memory.data_limit(statm(file.fileno(), _DATA), ceiling_mib)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
