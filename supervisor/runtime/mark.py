"""The mark by which a process is known as one of a supervisor's, whatever became of its parents.

``/proc/PID/environ`` shows the memory in which the environment lay when the process was *executed*. So the mark is put
where both kinds of descendants take it from:

* into ``os.environ``: whatever a child executes (``subprocess``) has it, unless it is given another environment;
* into the last bytes of that memory: whatever a child *forks* has a copy. ``setproctitle`` writes titles over the
  beginning of the same memory (which is why a name in ``os.environ`` alone would not be seen in a forked process).

Limits: a process that is executed with an emptied environment carries no mark. Where the supervisor itself was executed
with hardly any environment (``env -i``) there is no room for it in forked processes.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

import setproctitle

from supervisor.core.orphans import Mark

SUPERVISOR = "NIGHTDESK_SUPERVISOR"
INCARNATION = "NIGHTDESK_INCARNATION"
CHILD = "NIGHTDESK_CHILD"
_ENV_START, _ENV_END = 47, 48
"""Places in /proc/PID/stat, counted from the one behind the name (proc(5): fields 50 and 51)."""

_room = [0, 0]
"""Where the environment lay at the exec. The same in every forked child."""


@cache
def supervisor_id(home: str) -> str:
    """Of a home that exists: its folder's device and inode. Its path would not do: two units with a ``/tmp`` of their
    own (systemd's PrivateTmp) can have different homes under one path, and one would end the other's processes."""
    found = os.stat(home)
    return f"{found.st_dev:x}-{found.st_ino:x}"


def make_room() -> None:
    """In the supervising process, before its first fork. Afterwards nobody reads the environment from the memory that
    is written over: ``setproctitle`` has found it (it looks for it at its first call), then each name moves."""
    setproctitle.getproctitle()
    for name, value in os.environ.items():
        os.putenv(name, value)
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    _room[:] = int(fields[_ENV_START]), int(fields[_ENV_END])


def mark_self(home: str, name: str = "", incarnation: int = 0) -> None:
    """In a child just forked, after its title is set; and in a process that is nothing but a supervisor, so that it is
    not taken for one of another supervisor's below which it runs."""
    mark = Mark(supervisor_id(home), incarnation, name)
    os.environ[SUPERVISOR] = mark.supervisor
    os.environ[INCARNATION] = str(mark.incarnation)
    os.environ[CHILD] = mark.child
    start, end = _room
    text = written(mark, end - start)
    if text:
        ctypes.memmove(end - len(text), text, len(text))


def written(mark: Mark, room: int) -> bytes:
    """As it lies in memory; the name, which only people need, is cut to the room. Empty: no room for the rest."""
    head = f"\0{SUPERVISOR}={mark.supervisor}\0{INCARNATION}={mark.incarnation}\0{CHILD}=".encode()
    left = room - len(head) - 1
    return head + mark.child.encode()[:left] + b"\0" if left >= 0 else b""


def read_mark(pid: int) -> Mark | None:
    """Of this user's processes. None: it has none, it is gone, or it is not to be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return parse(file.read())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def parse(environ: bytes) -> Mark | None:
    """The last of several counts: what a supervisor inside another one's child has written over the first."""
    found: dict[str, str] = {}
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name.startswith(b"NIGHTDESK_"):
            found[name.decode(errors="replace")] = value.decode(errors="replace")
    if not found.get(SUPERVISOR):
        return None
    number = found.get(INCARNATION, "")
    return Mark(found[SUPERVISOR], int(number) if number.isdecimal() else 0, found.get(CHILD, ""))
