"""What others ask of a process and tell it: its ROUTER socket, from frames to messages, and the answers back.

Bytes from outside are not trusted: what is no call of ours is dropped and complained of, a call that makes no sense is
refused as well, so that its sender need not wait for its limit. Nothing here knows what a message is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import zmq

from supervisor.errors import BadMessage, OtherProtocol
from supervisor.messages import Message, Request
from supervisor.process.server import Caller
from supervisor.wire.codec import decode, encode, refusal_of
from supervisor.wire.door import Door
from supervisor.wire.envelope import Envelope, pack, unpack
from supervisor.wire.limits import SocketLimits
from supervisor.wire.names import endpoint
from supervisor.wire.peers import Bound, Context, new_socket, send


class RealCaller(Caller, frozen=True):
    """With the way back."""

    identity: bytes = b""


Complain = Callable[..., None]
"""``complain(kind, text, **fields)``: of what others do to us as often as they like."""
Heard = tuple[Message, RealCaller | None]
"""A message and who waits for its reply; None: it was cast."""


class Inbox:
    """Where the name of a process is to be reached, from its making until ``close``."""

    def __init__(
        self, context: Context, folder: Path, name: str, incarnation: int, limits: SocketLimits, complain: Complain
    ) -> None:
        self._name = name
        self._incarnation = incarnation
        self._complain = complain
        self._queue_max = limits.queue_max
        self.socket = new_socket(context, zmq.ROUTER, limits)
        self.socket.set(zmq.ROUTER_MANDATORY, 1)  # or it drops a reply without a word
        address = endpoint(folder, name, "sock")
        self.door = Door(self.socket, address, limits.connections_max) if limits.connections_max else None
        self.bound = Bound(self.socket, address)

    def look_at_door(self) -> None:
        if self.door and (gone := self.door.look()):
            most = self.door.guests.most
            self._complain("connections", "hung up on the most silent of too many connections", limit=most, gone=gone)

    def take(self, at_most: int, wait_s: float = 0.0) -> Iterator[Heard]:
        """What has come, message by message; each is read when it is asked for, so the rest stays for the next time.
        ``wait_s``: for the first."""
        if wait_s:
            self.socket.poll(int(wait_s * 1000), zmq.POLLIN)
        for _ in range(at_most):
            try:
                frames, last = self._receive()
            except zmq.Again:
                return
            try:
                heard = self._heard(frames, last)
            except BadMessage as error:
                pid = _about(last, "Peer-Address").rpartition(":")[2]
                self._complain("message", "dropped what is no message of ours", error=str(error), pid=pid)
                continue
            yield heard

    def reply(self, caller: Caller, message: Message) -> None:
        self._send_back(caller, Envelope("reply", self._name, self._incarnation, caller.number), encode(message))

    def refuse(self, caller: Caller, reason: str) -> None:
        self._send_back(caller, Envelope("refusal", self._name, self._incarnation, caller.number, 0.0, reason), b"")

    def close(self, linger_s: float) -> None:
        if self.door:
            self.door.close()
        self.socket.close(linger=int(linger_s * 1000))

    def _receive(self) -> tuple[list[bytes], zmq.Frame | None]:
        """The frames of one message; where there is a door, also the last as ZeroMQ has it, which knows who sent it. (A
        frame that is taken like that costs twice as much.)"""
        if not self.door:
            return self.socket.recv_multipart(zmq.NOBLOCK), None
        frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        return [frame.bytes for frame in frames], frames[-1]

    def _heard(self, frames: list[bytes], last: zmq.Frame | None) -> Heard:
        if len(frames) != 3:
            raise BadMessage(f"{len(frames)} frames, wanted 3")
        identity, head, body = frames
        try:
            envelope = unpack(head)
        except OtherProtocol as other:
            if other.kind == "call":
                self.refuse(RealCaller("", 0, other.number, 0.0, identity), str(other))
            raise
        caller = RealCaller(envelope.sender, envelope.incarnation, envelope.number, envelope.deadline_s, identity)
        try:
            message = _meant(envelope, body)
        except BadMessage as error:
            if envelope.kind == "call":
                self.refuse(caller, refusal_of(error))
            raise
        if self.door:
            self.door.guests.spoke(int(_about(last, zmq.SRCFD) or -1))
        return message, caller if envelope.kind == "call" else None

    def _send_back(self, caller: Caller, envelope: Envelope, body: bytes) -> None:
        assert isinstance(caller, RealCaller)
        frames = (caller.identity, pack(envelope), body)
        try:
            try:
                send(self.socket, *frames)
            except zmq.Again:
                # Of what the peer has taken since, ZeroMQ hears once in 3 million ticks (a millisecond) when busy,
                # and calls a queue of 16 full that is empty (seen: the seventeenth of 20 quick calls). Asked, it looks.
                self.socket.get(zmq.EVENTS)
                send(self.socket, *frames)
        except zmq.ZMQError as error:
            why = f"{self._queue_max} replies wait for it" if isinstance(error, zmq.Again) else str(error)
            self._complain("reply", "a reply has no way back", to=caller.name, error=why)


def _meant(envelope: Envelope, body: bytes) -> Message:
    message = decode(body)
    if envelope.kind not in ("call", "cast"):
        raise BadMessage(f"{envelope.kind} of {type(message).__name__}, wanted a call or a cast")
    if envelope.kind == "call" and not isinstance(message, Request):
        raise BadMessage(f"{type(message).__name__} is not a request")
    return message


def _about(frame: zmq.Frame | None, what: str | int) -> str:
    """What ZeroMQ knows of a frame's sender, "" where it knows nothing."""
    if frame is None:
        return ""
    try:
        return str(frame.get(what))
    except zmq.ZMQError:
        return ""
