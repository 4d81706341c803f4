"""Children that grow, allocate at once, declare what they deliver, and fail: ``python -m tests.supervisor.watch_toys
HOME``. Each is told what to do at its start; what is done on request is a ``Server``'s (``toys.py``)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from supervisor import Child, ChildSpec, SupervisorFlags
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings

MIB = 1024 * 1024
CEILING_MIB = 150.0


def grower(child: Child, mib_a_second: int, up_to_mib: int) -> None:
    """Grows, the first time only: its successor is content."""
    child.ready()
    kept: list[bytes] = []
    while not child.wait(0.1):
        if child.predecessor is None and len(kept) * mib_a_second / 10 < up_to_mib:
            kept.append(b"x" * (mib_a_second * MIB // 10))


def burster(child: Child, mib: int) -> None:
    """Asks for a lot at once, the first time only."""
    child.ready()
    kept = bytearray(mib * MIB) if child.predecessor is None else bytearray()
    while not child.wait(0.1):
        kept[:1] = b"x"


def deliverer(child: Child, folder: str) -> None:
    """Is fresh for half a second from each delivery; delivers while the file ``deliver`` is there."""
    child.ready()
    while not child.wait(0.05):
        if (Path(folder) / "deliver").exists():
            child.fresh(0.5)


def failer(child: Child) -> None:
    child.ready()
    time.sleep(0.3)
    [][1]


def spec(child_id: str, function: str, memory_max_mib: float | None = None, **arguments: object) -> ChildSpec:
    start = f"tests.supervisor.watch_toys:{function}"
    return ChildSpec(id=child_id, start=start, arguments=arguments, memory_max_mib=memory_max_mib)


def desk(folder: str) -> ChildSpec:
    return ChildSpec(
        id="watched",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=50, period_s=60.0),
        children=(
            ChildSpec(id="control", start="supervisor.control.server:ControlServer"),
            spec("deliverer", "deliverer", folder=folder),
            ChildSpec(id="spare", type="supervisor", supervisor=SupervisorFlags(dynamic=True, intensity=50)),
        ),
    )


if __name__ == "__main__":
    sys.exit(run(desk(sys.argv[1]), Settings(home=sys.argv[1], title="watched")))
