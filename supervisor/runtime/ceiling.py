"""The ceiling of a child's memory, at the edge: its size read from /proc, and the kernel's limit in the child."""

from __future__ import annotations

import resource
from collections.abc import Iterable
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
    """The children that have one, and when they were looked at. Nobody has one: nothing is ever due."""

    def __init__(self) -> None:
        self._kids: dict[int, K] = {}
        self._looked_s = 0.0

    def add(self, kid: K) -> None:
        if kid.spec.memory_max_mib is not None:
            self._kids[kid.pid] = kid

    def drop(self, kid: K) -> None:
        self._kids.pop(kid.pid, None)

    def next_look_s(self) -> float:
        return memory.next_look_s(self._looked_s, bool(self._kids))

    def look(self, now_s: float) -> list[tuple[K, float]]:
        """Who is above, and how many MiB it has resident."""
        self._looked_s = now_s
        return memory.over(self._sizes())

    def _sizes(self) -> Iterable[tuple[K, float, float]]:
        for kid in self._kids.values():
            assert kid.spec.memory_max_mib is not None
            yield kid, statm(kid.pid)[_RESIDENT] / memory.MIB, kid.spec.memory_max_mib


def statm(pid: int | str) -> list[int]:
    """Bytes; zeros for one that is gone or dead (its death is told by its pidfd)."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return [int(pages) * PAGE_BYTES for pages in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return [0] * 7


def limit_bursts(ceiling_mib: float | None) -> None:
    """In a child just forked. RLIMIT_DATA, which counts what is private and writable, not RLIMIT_AS: that would also
    count the 64 MiB of address space that glibc reserves for each thread's allocations and hardly uses. The soft limit
    only; what the child executes inherits it."""
    if ceiling_mib is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory.data_limit(statm("self")[_DATA], ceiling_mib)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
