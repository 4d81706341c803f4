"""A child as the supervising process holds it: pid, pidfd, the supervisor's end of the socketpair, liveness slot."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from array import array
from collections.abc import Callable, Iterator

from supervisor.messages import Message
from supervisor.runtime.child import FIRST_HIGH_FD, Birth, live
from supervisor.runtime.frames import Unframer, frame
from supervisor.runtime.page import Page
from supervisor.runtime.performer import Kin

UNSENT_BYTES_MAX = 8 * 1024 * 1024
"""What may wait for a child that does not read: two trees of the largest size. More is a child that hangs."""
READ_BYTES = 65536


class Kid(Kin):
    """One living child."""

    def __init__(self, birth: Birth, pid: int, pidfd: int, sock: socket.socket, slot: int) -> None:
        super().__init__(birth.name, birth.incarnation, birth.spec)
        self.pid = pid
        self.pidfd = pidfd
        self.slot = slot
        self.unsent = b""
        self.closed = False
        self._sock = sock
        self.sock_fd = sock.fileno()
        self._unframer = Unframer()

    @classmethod
    def born(
        cls, birth: Birth, page: Page, others: array[int], fork: Callable[[Callable[[], None]], tuple[int, int]]
    ) -> Kid:
        """Fork it. ``others``: what we hold of its siblings. OSError when the machine has no room for a process."""
        slot = page.take(time.monotonic() + birth.spec.start_limit_s)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            pid, pidfd = fork(lambda: live(birth, theirs, page, slot, others))
        except OSError:
            page.release(slot)
            ours.close()
            raise
        finally:
            theirs.close()
        ours = socket.socket(fileno=moved_up(ours.detach()))
        ours.setblocking(False)
        return cls(birth, pid, moved_up(pidfd), ours, slot)

    def read(self) -> Iterator[Message]:
        """All that has come; ``closed`` is set at the end of the stream. Raises ``BadMessage``."""
        while not self.closed:
            try:
                data = self._sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                return
            yield from self._unframer.feed(data)

    def send(self, message: Message) -> bool:
        """Send without blocking; what does not fit waits. False: too much waits already."""
        if self.closed:
            return True
        self.unsent += frame(message)
        self.flush()
        return len(self.unsent) <= UNSENT_BYTES_MAX

    def flush(self) -> None:
        while self.unsent and not self.closed:
            try:
                sent = self._sock.send(self.unsent)
            except BlockingIOError:
                return
            except ConnectionError:
                # It has closed its end, so it is dying: the pidfd will tell. What waits has no reader any more.
                self.unsent = b""
                return
            self.unsent = self.unsent[sent:]

    def close(self) -> None:
        self._sock.close()


def moved_up(fd: int) -> int:
    """The same descriptor under a high number. So what we hold of the children lies apart from all else, and a child
    closes its copies of it after it is ready: with 500 siblings that takes 3 ms, a third of its start."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_HIGH_FD)
    except OSError:  # a limit of open files that is lower: it stays, and is closed with the low ones
        return fd
    os.close(fd)
    return high
