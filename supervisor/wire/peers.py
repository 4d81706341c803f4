"""Calls and casts over ZeroMQ: one DEALER for each peer, one ROUTER of our own.

A full or absent peer is an error now, never a queue: a request that waited would be executed by the peer's next
incarnation (measured). ``IMMEDIATE`` gives that: nothing is accepted for a connection that is not complete.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import zmq

from supervisor.errors import BadMessage, NoPeer, OutcomeUnknown, Refused
from supervisor.messages import Message, Request
from supervisor.wire.codec import MESSAGE_BYTES_MAX, decode, encode
from supervisor.wire.envelope import Envelope, pack, unpack
from supervisor.wire.names import endpoint

CONNECT_S = 0.2
"""How long a call waits for a peer that is not connected: an ipc connect takes under a millisecond, a restart 20."""
CAST_CONNECT_S = 0.05
QUEUE_MAX = 1000
"""Messages in one direction to or from one peer: a second of the busiest desk. Full means absent."""


def new_socket(context: Any, kind: int) -> Any:
    """A socket with this project's limits."""
    socket = context.socket(kind)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.SNDHWM, QUEUE_MAX)
    socket.set(zmq.RCVHWM, QUEUE_MAX)
    socket.set(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.set(zmq.RECONNECT_IVL, 50)
    socket.set(zmq.RECONNECT_IVL_MAX, 2000)
    return socket


class Peers:
    """The calling side of one process. ``extend_life(seconds)`` is told of each wait before it begins."""

    def __init__(self, context: Any, runtime_dir: Path, name: str, incarnation: int) -> None:
        self._context = context
        self._runtime_dir = runtime_dir
        self._name = name
        self._incarnation = incarnation
        self._sockets: dict[str, Any] = {}
        self._number = 0

    def call(self, to: str, request: Request[Any], timeout_s: float) -> Message:
        """The reply. ``NoPeer``: nothing was sent; ``OutcomeUnknown``: no reply in time; ``Refused``: the reason."""
        what = f"{type(request).__name__} to {to}"
        deadline_s = time.monotonic() + timeout_s
        socket = self._connected(to, min(CONNECT_S, timeout_s))
        if socket is None:
            raise NoPeer(f"{what}: nobody is there; nothing was sent")
        self._number += 1
        if not self._send(socket, "call", request, deadline_s):
            raise NoPeer(f"{what}: its queue of {QUEUE_MAX} is full; nothing was sent")
        while (left_s := deadline_s - time.monotonic()) > 0:
            if socket.poll(int(left_s * 1000) + 1, zmq.POLLIN):
                reply = self._take_reply(socket, what)
                if reply is not None:
                    return reply
        raise OutcomeUnknown(f"{what}: no reply within {timeout_s:g} s; it may or may not have happened")

    def cast(self, to: str, message: Message, wait_s: float = CAST_CONNECT_S) -> bool:
        socket = self._connected(to, wait_s)
        return socket is not None and self._send(socket, "cast", message, 0.0)

    def _send(self, socket: Any, kind: Any, message: Message, deadline_s: float) -> bool:
        head = pack(Envelope(kind, self._name, self._incarnation, self._number, deadline_s))
        try:
            socket.send_multipart([head, encode(message)], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _take_reply(self, socket: Any, what: str) -> Message | None:
        """None for the late reply to an earlier call, which nobody waits for any more."""
        head, body = socket.recv_multipart()
        envelope = unpack(head)
        if envelope.number != self._number:
            return None
        if envelope.kind == "refusal":
            raise Refused(envelope.error)
        try:
            return decode(body)
        except BadMessage as error:
            raise OutcomeUnknown(f"{what}: the reply makes no sense: {error}") from error

    def _connected(self, to: str, wait_s: float) -> Any:
        """The socket to a peer that is there; a stale one is made anew, since it would wait for its reconnect."""
        socket = self._sockets.get(to)
        if socket is not None and socket.poll(0, zmq.POLLOUT):
            return socket
        if socket is not None and wait_s > 0:
            socket.close()
            socket = None
        if socket is None:
            socket = self._sockets[to] = new_socket(self._context, zmq.DEALER)
            socket.set(zmq.IMMEDIATE, 1)
            socket.connect(endpoint(self._runtime_dir, to, "sock"))
        return socket if socket.poll(int(wait_s * 1000), zmq.POLLOUT) else None
