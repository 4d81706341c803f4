"""The ceiling of a child's memory: when to look, who is over it, and which deaths are its doing. PURE.

Two guards. The supervisor looks at the resident memory of those that have a ceiling, and kills who is above it. Between
two looks a limit of the kernel stands: one allocation of gigabytes fails in the child, with ``MemoryError``, rather
than taking the machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from supervisor.core.tree import NEVER_S, Exit

K = TypeVar("K")

LOOK_EVERY_S = 0.5
"""Python touches fresh memory at 1 to 2 GiB a second: a child can be so much above its ceiling when it is found."""
BURST_FACTOR = 2.0
"""Data that a child may map above what it was born with, in ceilings: the look finds who grows steadily, well before;
mapped is not touched (8 MiB of stack a thread), so less would fail a child that is within its ceiling."""
BURST_LEAST_MIB = 256.0
"""At least so much: ZeroMQ's threads, a few more and their stacks have room under the smallest ceiling."""
MIB = 1024 * 1024


def next_look_s(looked_s: float, anybody: bool) -> float:
    """Nobody with a ceiling: never, the loop is not woken for it."""
    return looked_s + LOOK_EVERY_S if anybody else NEVER_S


def over(sizes: Iterable[tuple[K, float, float]]) -> list[tuple[K, float]]:
    """Of ``(who, MiB resident, ceiling in MiB)`` those above, and their size."""
    return [(who, mib) for who, mib, ceiling in sizes if mib > ceiling]


def data_limit(born_bytes: int, ceiling_mib: float) -> int:
    """Bytes for RLIMIT_DATA of a child that has ``born_bytes`` of data mapped at its birth."""
    return born_bytes + int(max(BURST_LEAST_MIB, BURST_FACTOR * ceiling_mib) * MIB)


def understood(exit: Exit, last_words: str, ceiling_mib: float | None) -> Exit:
    """A child with a ceiling that dies of ``MemoryError`` has met the second guard, and its end says so."""
    if ceiling_mib is None or exit.how != "abnormal" or not last_words.startswith("MemoryError"):
        return exit
    return replace(exit, why=f"memory: an allocation was refused, ceiling {ceiling_mib:g} MiB ({last_words})")
