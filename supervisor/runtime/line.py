"""A child's end of its socketpair to the supervisor: words up, requests with replies, and what is told from above."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from supervisor.calls import SupervisorCalls
from supervisor.errors import BadMessage, OutcomeUnknown, Refused
from supervisor.messages import (
    Answered,
    ChildRequest,
    FollowRecord,
    JoinGroup,
    LeaveGroup,
    Message,
    Ready,
    Request,
    Stop,
    SupervisorReply,
    Watch,
)
from supervisor.runtime.frames import Unframer, frame
from supervisor.wire.codec import decode, encode

R = TypeVar("R", bound=Message)
ANSWER_LIMIT_S = 30.0
"""The supervisor answers a start when the child is ready, so this exceeds any start limit in use."""
READ_BYTES = 65536


class Blocks(Protocol):
    def blocking(self, limit_s: float) -> AbstractContextManager[None]: ...


class Asks(Protocol):
    """A way to the supervisor: ``Line``, or the simulated one."""

    def ask(self, request: Request[R], limit_s: float) -> R: ...

    def ask_later(self, request: Request[Any]) -> int: ...


class Line:
    """Blocking for us; the supervisor never blocks on it."""

    def __init__(self, sock: socket.socket, after_ready: Callable[[], None] | None = None) -> None:
        """``after_ready``: what can wait until nobody waits for us any more."""
        self._after_ready = after_ready
        self._sock = sock
        self._sock.setblocking(True)
        self.fd = sock.fileno()
        self._unframer = Unframer()
        self._waiting: list[Message] = []
        self._number = 0
        self._later: dict[int, Request[Any]] = {}

    def send(self, message: Message) -> None:
        self._sock.sendall(frame(message))

    def ready(self) -> None:
        """The start handshake; said once more it is nothing new."""
        self.send(Ready())
        if self._after_ready is not None:
            self._after_ready()
            self._after_ready = None

    @property
    def waiting(self) -> bool:
        """Something was told together with a reply: it is here already, and the descriptor will not say so."""
        return bool(self._waiting)

    def read(self) -> list[Message]:
        """What has been told to us since the last time; never waits. Late replies are dropped."""
        while select.select([self.fd], [], [], 0)[0]:
            self._receive()
        told, self._waiting = self._waiting, []
        heard = (self._answered(message) if isinstance(message, SupervisorReply) else message for message in told)
        return [message for message in heard if message is not None]

    def ask_later(self, request: Request[Any]) -> int:
        """The number that the answer will have, which ``read`` gives."""
        self._number += 1
        self.send(ChildRequest(self._number, encode(request)))
        self._later[self._number] = request
        return self._number

    def _answered(self, reply: SupervisorReply) -> Answered | None:
        request = self._later.pop(reply.number, None)
        return None if request is None else answered(reply, request)

    def ask(self, request: Request[R], limit_s: float) -> R:
        """Raises ``Refused`` with the supervisor's reason, ``OutcomeUnknown`` where it does not answer in time."""
        self._number += 1
        self.send(ChildRequest(self._number, encode(request)))
        until_s = time.monotonic() + limit_s
        while (left_s := until_s - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left_s)[0]:
                self._receive()
                reply = self._reply(request)
                if reply is not None:
                    return reply
        raise OutcomeUnknown(f"the supervisor did not answer {type(request).__name__} within {limit_s:g} s")

    def client(self, blocks: Blocks) -> LineClient:
        return LineClient(self, blocks)

    def _receive(self) -> None:
        data = self._sock.recv(READ_BYTES)
        if not data:
            # The supervisor is gone; the parent-death signal is on its way to us.
            raise SystemExit("the supervisor is gone")
        self._waiting.extend(self._unframer.feed(data))

    def _reply(self, request: Request[R]) -> R | None:
        if any(isinstance(message, Stop) for message in self._waiting):
            raise Refused("stopping: this process is told to stop while it waits for the supervisor")
        for message in self._waiting:
            if isinstance(message, SupervisorReply) and message.number == self._number:
                self._waiting.remove(message)
                if message.error:
                    raise Refused(message.error)
                return checked(decode(message.body), request)
        return None


def answered(reply: SupervisorReply, request: Request[Any]) -> Answered:
    if reply.error:
        return Answered(reply.number, None, reply.error)
    return Answered(reply.number, checked(decode(reply.body), request))


def checked(reply: Message, request: Request[R]) -> R:
    if not isinstance(reply, request.REPLY):
        raise BadMessage(f"the supervisor answered {type(request).__name__} with {type(reply).__name__}")
    return reply  # type: ignore[return-value]


class LineClient(SupervisorCalls):
    """``World.supervisor``."""

    def __init__(self, line: Asks, blocks: Blocks) -> None:
        self._line = line
        self._blocks = blocks

    def ask(self, request: Request[R]) -> R:
        with self._blocks.blocking(ANSWER_LIMIT_S):
            return self._line.ask(request, ANSWER_LIMIT_S)

    def ask_later(self, request: Request[Any]) -> int:
        return self._line.ask_later(request)

    def join(self, group: str) -> None:
        self.ask(JoinGroup(group=group))

    def leave(self, group: str) -> None:
        self.ask(LeaveGroup(group=group))

    def watch(self, under: str) -> None:
        self.ask(Watch(under=under))

    def follow_record(self, after: int) -> None:
        self.ask(FollowRecord(after=after))
