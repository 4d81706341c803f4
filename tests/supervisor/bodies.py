"""Children that are plain functions, for the tests of real processes."""

from __future__ import annotations

import os
import threading
import time

from supervisor import Child
from supervisor.messages import Down, Stop, Up


def beating(child: Child, note: str = "") -> None:
    """Is ready and beats until it is told to stop."""
    child.note(note)
    child.ready()
    while not child.wait(3600.0):
        pass


def crashing(child: Child, after_s: float = 0.0) -> None:
    child.ready()
    child.wait(after_s)
    raise ZeroDivisionError("on purpose")


def leaving(child: Child, how: str = "normal", status: int = 0) -> None:
    """Ends at once after it was ready, in the way that is named."""
    child.ready()
    if how in ("shutdown", "expected"):
        child.declare(how, "it was time")  # type: ignore[arg-type]
    if status:
        raise SystemExit(status)


def ignoring(child: Child) -> None:
    child.ignore("not today")


def never_ready(child: Child, first_s: float = 0.0) -> None:
    time.sleep(first_s)


def back_late(child: Child, after_s: float) -> None:
    """Is ready at once; its successors are so only that long after they began."""
    if child.predecessor is not None:
        time.sleep(after_s)
    child.ready()
    child.wait(3600.0)


def spinning(child: Child) -> None:
    """An endless loop."""
    child.ready()
    while True:
        pass


def deadlocked(child: Child) -> None:
    child.ready()
    lock = threading.Lock()
    with lock, lock:
        pass


def declaring_a_long_call(child: Child, seconds: float) -> None:
    child.ready()
    with child.blocking(seconds):
        time.sleep(seconds)
    child.wait(3600.0)


def stubborn(child: Child) -> None:
    """Does not end when it is told to, and beats."""
    child.ready()
    while True:
        child.beat()
        time.sleep(0.05)


def watching(child: Child, under: str, into: str) -> None:
    """Writes down what it is told of a name."""
    child.supervisor.watch(under)
    child.ready()
    with open(into, "a", buffering=1) as file:
        while not child.stopping:
            for message in child.receive(3600.0):
                if isinstance(message, Up | Down):
                    file.write(f"{type(message).__name__} {message.name}\n")
                assert isinstance(message, Up | Down | Stop)


def counting_fds(child: Child, into: str) -> None:
    """Writes how many descriptors it has once it is ready."""
    child.ready()
    with open(into, "w") as file:
        file.write(str(len(os.listdir("/proc/self/fd")) - 2))  # not the folder's and not this file's
    child.wait(3600.0)
