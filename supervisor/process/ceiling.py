"""A ceiling of what a process may allocate, kept by the kernel: it cannot be overrun between two looks at it."""

from __future__ import annotations

import resource
from pathlib import Path

MIB = 1024 * 1024


def limit_memory(growth_mib: int) -> None:
    """Writable memory beyond what there is now; past it an allocation fails. 0: no ceiling.

    Whoever runs into it may die by abort (libzmq does). No core is written: it would be as large as the ceiling.
    """
    if not growth_mib:
        return
    now = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    ceiling = int(now.split()[1]) * 1024 + growth_mib * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or ceiling < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
