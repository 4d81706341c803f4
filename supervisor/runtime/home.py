"""A home and who owns it: one supervising process at a time, by a lock that cannot outlive it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from supervisor.errors import HomeTaken
from supervisor.runtime.settings import Settings

LOCK_FILE = "supervisor.lock"
"""The count of the home's lives and the pid of the one that has it."""
LOCKS = Path("/proc/locks")


def take_home(settings: Settings) -> tuple[int, int]:
    """The lock's descriptor and the number of this life."""
    path = Path(settings.home) / LOCK_FILE
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 64, 0).decode(errors="replace").split()
        os.close(fd)
        who = f"pid {owner[1]}" if len(owner) > 1 else "another process"
        raise HomeTaken(
            f"home {settings.home} is in use by a running supervisor ({who}); this one was not started. "
            "Stop that one, or give another --home."
        ) from None
    words = os.pread(fd, 64, 0).decode(errors="replace").split()
    life = int(words[0]) + 1 if words and words[0].isdigit() else 1
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{life} {os.getpid()}\n".encode(), 0)
    os.fsync(fd)
    return fd, life


def owner_of(home: str, locks: Path = LOCKS) -> int:
    """The pid of the supervising process that has the home's lock, whatever state it is in; 0: none has it, or the
    kernel does not say. It only reads: to try the lock would refuse a supervisor that starts in that moment."""
    path = Path(home) / LOCK_FILE
    try:
        words, inode = path.read_text(errors="replace").split(), path.stat().st_ino
        held = [line.split() for line in locks.read_text().splitlines()]
    except OSError:
        return 0
    # "3: FLOCK ADVISORY WRITE 18406 fe:00:2318628 0 EOF"; who waits for one has "->" behind the number
    for line in held:
        if line[1:2] == ["FLOCK"] and line[4:5] == words[1:2] and line[5].rpartition(":")[2] == str(inode):
            return int(line[4])
    return 0
