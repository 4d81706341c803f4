"""The door of a socket that anybody of this user may knock at: how many may be in at once, and who goes for whom.

libzmq has no such limit. It accepts until the process has no descriptor left, and then *aborts* it (4.3.5,
``ipc_listener.cpp``: EMFILE is not among the errors it expects). So we read the socket's monitor, and hang up.

Its queue of about 2,000 events is the second limit: while it is full, because our loop is busy, libzmq's I/O thread
waits and accepts nobody. (So the socket has that thread for itself, see ``process/real.py``: calls of our own go on.)
"""

from __future__ import annotations

import os
import socket
import struct
from collections import OrderedDict
from contextlib import suppress

import zmq

EVENT = struct.Struct("=hi")
EVENTS_A_TURN_MAX = 64
"""Between two looks at the door the guests' messages are read: who has come and asked is known before 128 others, who
came at the same moment, push him out."""


class Guests:
    """Who is in. PURE. A guest who has said something sensible stays longer than one who has not."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._silent: OrderedDict[int, None] = OrderedDict()
        self._known: OrderedDict[int, None] = OrderedDict()
        self._early: set[int] = set()
        """Whose first words we have read before we heard that they came."""

    def __len__(self) -> int:
        return len(self._silent) + len(self._known)

    def came(self, fd: int) -> int | None:
        """A new one; who has to go for it."""
        early = fd in self._early
        self.left(fd)
        (self._known if early else self._silent)[fd] = None
        if len(self) <= self.most:
            return None
        among = self._silent if len(self._silent) > (not early) else self._known
        goes, _ = among.popitem(last=False)
        return goes

    def spoke(self, fd: int) -> None:
        """It has sent a message of ours."""
        if fd not in self._silent and fd not in self._known:
            self._early.add(fd)
            return
        self.left(fd)
        self._known[fd] = None

    def left(self, fd: int) -> None:
        self._silent.pop(fd, None)
        self._known.pop(fd, None)
        self._early.discard(fd)


class Door:
    """Of one bound ROUTER. Its loop reads ``socket`` and calls ``look``."""

    def __init__(self, router: zmq.Socket[bytes], address: str, most: int) -> None:
        self._router = router
        self._path = address.removeprefix("ipc://")
        self.guests = Guests(most)
        self.socket = router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)

    def look(self) -> int:
        """How many were hung up on."""
        hung_up = 0
        for _ in range(EVENTS_A_TURN_MAX):
            if not self.socket.poll(0, zmq.POLLIN):
                break
            event, fd = EVENT.unpack(self.socket.recv_multipart()[0])
            if event == zmq.EVENT_DISCONNECTED:
                self.guests.left(fd)
            elif (goes := self.guests.came(fd)) is not None:
                hung_up += self._hang_up(goes)
        return hung_up

    def _hang_up(self, fd: int) -> bool:
        """libzmq closes the descriptor when it sees the end. By now it may have closed it, and the number may be that
        of something else: only a connection of this very socket is ended. If that is a younger one, so be it."""
        with suppress(OSError), socket.socket(fileno=os.dup(fd)) as guest:
            if guest.family == socket.AF_UNIX and guest.getsockname() == self._path:
                guest.shutdown(socket.SHUT_RDWR)
                return True
        return False

    def close(self) -> None:
        """Read first: libzmq's thread must not wait for room in the monitor while we wait for it."""
        self.look()
        self._router.disable_monitor()
        self.socket.close(0)
