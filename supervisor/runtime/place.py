"""The home of a supervisor that runs: is the folder still the one that it was started in, and the lock in it ours?

A folder that is moved or removed takes sockets, stores and logs along, and all goes on with what it has open; but no
command finds the desk, and no child that starts again finds its peers. Nobody can mend that but who has done it. A
lock that was removed is another matter: a second supervisor would start beside this one. So it is made again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from supervisor.core.tree import Record
from supervisor.runtime.home import LOCK_FILE

LOOK_EVERY_S = 10.0
"""Two files are looked at: microseconds. Whoever moves a home should hear of it before he has walked away."""
INCIDENT = "home"
Identity = tuple[int, int]


class Place:
    """Of one supervisor. ``record`` tells what was found. A home without a lock is nobody's to defend."""

    def __init__(self, home: str, record: Callable[[Record], None]) -> None:
        self._home, self._lock_path = Path(home), Path(home) / LOCK_FILE
        self._record = record
        self._folder = identity(self._home)
        self._lock = identity(self._lock_path)
        self._words = self._lock_path.read_bytes() if self._lock else b""
        self._lost = False
        self._told_taken = False
        self._new_lock = -1
        self.next_look_s = 0.0

    def look(self, now_s: float) -> None:
        self.next_look_s = now_s + LOOK_EVERY_S
        lost = identity(self._home) != self._folder
        if lost != self._lost:
            self._lost = lost
            self._tell()
        if not lost and self._lock is not None and identity(self._lock_path) != self._lock:
            self._lock_again()

    def refuses(self) -> str:
        """Why nothing may be started now, "" if it may: a child would make its stores and its log anew where nobody
        looks for them, and go on with them when the home is back."""
        return "" if identity(self._home) == self._folder else f"the home {self._home} is not there: nothing is started"

    def close(self) -> None:
        if self._new_lock >= 0:
            os.close(self._new_lock)
            self._new_lock = -1

    def _tell(self) -> None:
        if not self._lost:
            text = f"the home {self._home} is there again: commands reach what runs in it"
            self._record(Record("home.found", "NOTIFY", "", text, INCIDENT, "resolved"))
            return
        text = (
            f"the home {self._home} is not there, or another folder has its name (moved, removed, or made anew): "
            f"no command reaches what runs (pid {os.getpid()}), and nothing is started again. It goes on with the "
            "files that it has open. Move the folder back to its name, and any other one there away first. If it is "
            f"gone for good: `kill {os.getpid()}` ends all in order, and look at what is left open elsewhere"
        )
        self._record(Record("home.lost", "PAGE", "", text, INCIDENT, "opened"))

    def _lock_again(self) -> None:
        """Not waited for: whoever has a new one by now is another supervisor on this home."""
        try:
            fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._taken(f"it cannot be made again: {error}")
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 64, 0).decode(errors="replace").split()[1:2]
            os.close(fd)
            self._taken(f"another supervisor has one there now (pid {', '.join(owner) or 'unknown'}): end one of both")
            return
        os.ftruncate(fd, 0)
        os.pwrite(fd, self._words, 0)
        os.fsync(fd)
        self.close()
        self._new_lock, self._lock = fd, identity(self._lock_path)
        self._told_taken = False
        text = f"somebody has removed {self._lock_path}, which keeps a second supervisor away: it was made again"
        self._record(Record("home.lock_renewed", "NOTIFY", "", text))

    def _taken(self, why: str) -> None:
        if not self._told_taken:
            self._told_taken = True
            self._record(Record("home.lock_lost", "PAGE", "", f"somebody has removed {self._lock_path}, and {why}"))


def identity(path: Path) -> Identity | None:
    """None where nothing is there, or nobody may look."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
