"""Telling systemd how the tree is (sd_notify): a datagram now and then, from the loop's own turn.

No library: the protocol is one datagram of ``NAME=value`` lines to a unix socket. What is said is decided in
``core/notices.py``. Nothing here may harm the loop: the socket never blocks and no failure is raised; what could not be
sent is said again a second later.

The watchdog is tied to the loop: no thread and no timer signal ever sends for it. So a loop that does not turn is
silent, and systemd kills and restarts the whole.
"""

from __future__ import annotations

import faulthandler
import os
import socket
from collections.abc import MutableMapping

from supervisor.core.notices import Told, notices
from supervisor.core.tree import NEVER_S, TreeState

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
BEATS_A_LIMIT = 3
"""WATCHDOG=1 comes after each third of the watchdog's time: two may be late."""
RETRY_S = 1.0


class Systemd:
    """``due_s``: the loop must turn by then. Without NOTIFY_SOCKET it does nothing, for ever.

    The variables are taken out of the environment at once: a child, or what a child starts, must neither notify nor
    believe that it is watched. (``/proc/PID/environ`` goes on showing what a process was started with.)
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        where, watchdog_us, watchdog_pid = (environment.pop(name, "") for name in VARIABLES)
        self.due_s = NEVER_S
        self._pid = os.getpid()
        self._told = Told()
        self._seen: TreeState | None = None
        self._address = address(where)
        # One socket for ever, not one a message: a supervisor that is short of descriptors must not fall silent.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        self._watchdog_every_s = NEVER_S
        if self._socket is not None:
            self._socket.setblocking(False)
            self._watchdog_every_s = watchdog_every_s(watchdog_us, watchdog_pid)
        if self._watchdog_every_s < NEVER_S:
            faulthandler.enable()  # systemd's SIGABRT then leaves in the journal where the loop was stuck

    def turn(self, tree: TreeState, now_s: float) -> None:
        """Say what is to be said now. Called once in each turn of the loop, and by nobody else."""
        if self._socket is None or os.getpid() != self._pid or (tree is self._seen and now_s < self.due_s):
            return
        due = notices(self._told, tree.nodes, now_s, self._watchdog_every_s)
        if not due.words or self._send(due.words):
            self._told, self._seen, self.due_s = due.told, tree, due.due_s
        else:
            self._seen, self.due_s = tree, now_s + RETRY_S

    def _send(self, words: tuple[str, ...]) -> bool:
        assert self._socket is not None
        try:
            self._socket.sendto("\n".join(words).encode(errors="replace"), self._address)
        except OSError:
            return False
        return True


def address(where: str) -> str:
    """Of a unix socket: a path, or ``@name`` for one in the abstract namespace. "" for what is neither."""
    if where.startswith("@"):
        return "\0" + where[1:]
    return where if where.startswith("/") else ""


def watchdog_every_s(limit_us: str, pid: str) -> float:
    """How often the watchdog wants to hear of this process; infinity where it watches nobody, or somebody else."""
    if not limit_us.isdecimal() or int(limit_us) == 0 or pid not in ("", str(os.getpid())):
        return NEVER_S
    return int(limit_us) / 1e6 / BEATS_A_LIMIT
