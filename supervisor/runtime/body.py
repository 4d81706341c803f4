"""A child that is a plain function: ``start="package.module:function"``, called with a ``Child`` and its arguments.

It needs no ZeroMQ and no message types of its own: what it says to its supervisor goes over the socketpair. For
processes that talk to each other subclass ``supervisor.process.server.Server`` instead.
"""

from __future__ import annotations

import select
import time
from contextlib import AbstractContextManager
from typing import Literal

from supervisor.messages import Ending, Message, Predecessor, Stop
from supervisor.process.logs import FieldLog
from supervisor.process.server import IgnoreStart
from supervisor.runtime.line import Line, LineClient
from supervisor.runtime.pulse import Pulse

TURNS_PER_LIMIT = 4
"""A child that waits turns this often within its liveness limit."""


class Child:
    """What a function knows of its own process, and what it says to its supervisor.

    It must say ``ready`` within the spec's ``start_limit_s``, and afterwards ``beat`` (or ``wait``) more often than its
    ``liveness_limit_s``. Returning is exit status 0; an exception is its death, told with its line.
    """

    def __init__(
        self, name: str, incarnation: int, predecessor: Predecessor | None, line: Line, pulse: Pulse, log: FieldLog
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.predecessor = predecessor
        """How the last incarnation of this name ended and the note it left; None for the first."""
        self.log = log
        self.stopping = False
        """It was told to stop."""
        self.supervisor: LineClient = line.client(pulse)
        self._line = line
        self._pulse = pulse

    def ready(self) -> None:
        """The start handshake: who waits for our start goes on now."""
        self._pulse.beat()  # first: from now on we are judged by the liveness limit, no more by the start's
        self._line.ready()

    def ignore(self, why: str = "nothing to do") -> None:
        """Instead of ``ready``: there is nothing to do here. Ends this process with 0; it is not restarted (OTP)."""
        raise IgnoreStart(why)

    def beat(self) -> None:
        """We are alive for another ``liveness_limit_s``."""
        self._pulse.beat()

    def blocking(self, limit_s: float) -> AbstractContextManager[None]:
        """Declare that nothing may be heard of us for so many seconds beyond the limit."""
        return self._pulse.blocking(limit_s)

    def fresh(self, for_s: float) -> None:
        """What we deliver now is recent enough for so many seconds; past them ``tree`` says *stale*."""
        self._pulse.fresh(for_s)

    def note(self, text: str) -> None:
        """What we are doing, at most 111 bytes: told to the next incarnation if this one dies."""
        self._pulse.note(text)

    def wait(self, seconds: float) -> bool:
        """Beat and wait; True as soon as we are told to stop. Other words are dropped: ``receive`` has them."""
        until_s = time.monotonic() + seconds
        while not self.stopping and (left_s := until_s - time.monotonic()) > 0:
            self.receive(left_s)
        return self.stopping

    def receive(self, limit_s: float) -> list[Message]:
        """Beat, and wait for words of the supervisor: ``Stop``, and ``Up`` and ``Down`` of what is watched."""
        until_s = time.monotonic() + limit_s
        while True:
            self._pulse.beat()
            left_s = max(0.0, until_s - time.monotonic())
            slice_s = 0.0 if self._line.waiting else min(left_s, self._pulse.limit_s / TURNS_PER_LIMIT)
            heard = select.select([self._line.fd], [], [], slice_s)[0] or self._line.waiting
            told = self._line.read() if heard else []
            self.stopping = self.stopping or any(isinstance(each, Stop) for each in told)
            if told or left_s == 0.0:
                return told

    def declare(self, how: Literal["shutdown", "expected"], reason: str) -> None:
        """How our coming exit with 0 is meant: ``shutdown`` is an orderly stop, ``expected`` is routine: restarted
        unless temporary, at most once a second, not charged. Return soon; nothing takes this back."""
        self._line.send(Ending(how, reason))
