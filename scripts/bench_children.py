"""The children of the supervisor's bench. A module of its own: a forked child has it, and imports nothing."""

import mmap
import time

from supervisor.process.server import Server
from supervisor.runtime.body import Child

PLACES = 1024
_map = mmap.mmap(-1, PLACES * 8)
STAMPS = memoryview(_map).cast("d")
"""Shared with all children: at which monotonic second the code of the child at this place began."""
FOREVER_S = 3600.0


def beating(child: Child, place: int = 0) -> None:
    """Stamps its first instruction, is ready, beats until it is told to stop."""
    STAMPS[place] = time.monotonic()
    child.ready()
    while not child.wait(FOREVER_S):
        pass


class BeatingServer(Server):
    """The same as a process that others can call: with its ZeroMQ sockets."""

    def init(self) -> None:
        STAMPS[self.arguments.get("place", 0)] = time.monotonic()
