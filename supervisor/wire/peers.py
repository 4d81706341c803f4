"""Calls and casts over ZeroMQ: one DEALER for each peer, one ROUTER of our own.

A full or absent peer is an error now, never a queue: a request that waited would be executed by the peer's next
incarnation (measured). ZeroMQ's own ``IMMEDIATE`` would give that, but it also throws away a reply that has come when
the connection breaks right behind it (measured: one in ten of a server that answers and exits). So a socket is used
only while its monitor says that it is connected, never reconnects, and is thrown away, with whatever waits in it,
when it broke.
"""

from __future__ import annotations

import math
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

from supervisor.errors import BadMessage, NoPeer, OtherProtocol, OutcomeUnknown, Refused
from supervisor.messages import Message, Request
from supervisor.wire.codec import decode, encode
from supervisor.wire.envelope import Envelope, Kind, pack, unpack
from supervisor.wire.limits import INSIDE, SocketLimits
from supervisor.wire.names import endpoint

CONNECT_S = 0.2
"""How long a call waits for a peer that is not there: an ipc connect takes under a millisecond, a restart 20."""
GREETING_S = 2.0
"""And for one that is there (somebody listens) and has not shaken hands yet. Its own I/O thread does that, whatever its
loop is at; on a busy machine it may take longer than ``CONNECT_S`` all the same, and only a stopped one never does."""
CAST_CONNECT_S = 0.05
CAST_GREETING_S = 0.5
"""The same for a cast, which waits in the middle of other work; once there is a way it never waits."""
TRY_AGAIN_S = 0.01
NEVER_MS = 3_600_000
"""A broken connection is made anew by us when it is needed, long before ZeroMQ would."""
HEARTBEATS_MISSED = 3
Socket = zmq.Socket[bytes]
Context = zmq.Context[zmq.Socket[bytes]]
FIRST_THREAD, OWN_THREAD = 0b01, 0b10
"""Of ZeroMQ's I/O threads, as bits. A socket with a door (``door.py``) has one for itself, which may have to wait."""
EVENT = struct.Struct("=hi")
READABLE, MORE_FOLLOWS = int(zmq.POLLIN), int(zmq.SNDMORE | zmq.NOBLOCK)
"""Plain numbers: what is reckoned of flags goes through Python's enum, and takes longer than to send."""
STATES = {
    zmq.EVENT_CONNECTED: "greeting",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "up",
    zmq.EVENT_DISCONNECTED: "broken",
    zmq.EVENT_CONNECT_RETRIED: "broken",
    zmq.EVENT_CLOSED: "broken",
}


def new_socket(context: Context, kind: int, limits: SocketLimits = INSIDE) -> Socket:
    """A socket with this project's limits."""
    socket = context.socket(kind)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.AFFINITY, OWN_THREAD if limits.connections_max else FIRST_THREAD)
    socket.set(zmq.SNDHWM, limits.queue_max)
    socket.set(zmq.RCVHWM, limits.queue_max)
    socket.set(zmq.MAXMSGSIZE, limits.message_bytes_max)
    socket.set(zmq.HANDSHAKE_IVL, int(limits.handshake_s * 1000))
    if limits.heartbeat_s:
        socket.set(zmq.HEARTBEAT_IVL, int(limits.heartbeat_s * 1000))
        socket.set(zmq.HEARTBEAT_TIMEOUT, int(HEARTBEATS_MISSED * limits.heartbeat_s * 1000))
    socket.set(zmq.RECONNECT_IVL, 50)
    socket.set(zmq.RECONNECT_IVL_MAX, 2000)
    return socket


def send(socket: Socket, *frames: bytes) -> None:
    """One message, now or not at all: raises ``zmq.Again``."""
    *first, last = frames
    for frame in first:
        socket.send(frame, MORE_FOLLOWS)
    socket.send(last, zmq.NOBLOCK)


def readable(socket: Socket) -> bool:
    """Whether a message has come. (To try to take one that has not is an exception, and takes three times as long.)"""
    return bool(int(socket.get(zmq.EVENTS)) & READABLE)


BINDS_MAX = 100
"""Of one socket: each leaves the descriptor of a listener that nobody reaches any more."""


def bind(socket: Socket, address: str) -> None:
    """The umask keeps everybody else out from the first moment on (0700); a socket is nothing to execute: 0600."""
    socket.bind(address)
    Path(address.removeprefix("ipc://")).chmod(0o600)


class Bound:
    """A socket under its name, and under it again where somebody has removed the file. Who is connected stays so."""

    def __init__(self, socket: Socket, address: str) -> None:
        self._socket, self._address = socket, address
        self._path = Path(address.removeprefix("ipc://"))
        self._binds = 1
        bind(socket, address)

    def again(self) -> bool:
        """Whether it had to be. (Bound a second time, not instead: libzmq would hang up on all who are connected.)
        Raises ``OSError`` where that cannot be, as in a home that is gone, or comes too often."""
        if self._path.exists():
            return False
        if self._binds >= BINDS_MAX:
            raise OSError(f"{self._path} was removed {self._binds} times")
        with suppress(FileExistsError):
            self._path.parent.mkdir(mode=0o700)
        if (owner := self._path.parent.stat().st_uid) != os.geteuid():  # in /tmp anybody may have been quicker
            raise OSError(f"{self._path.parent} belongs to uid {owner}")
        try:
            bind(self._socket, self._address)
        except zmq.ZMQError as error:
            raise OSError(f"{self._path} cannot be bound: {error}") from error
        self._binds += 1
        return True


class Peer:
    """The socket to one peer, and the socket that tells what becomes of its connection.

    Without the second, who calls a process that dies would wait for its whole limit; and a group that is restarted
    would wait for the caller (OTP's ``gen_server:call`` monitors its server for the same reason).
    """

    def __init__(self, context: Context, address: str) -> None:
        self.state = "connecting"
        self.socket = new_socket(context, zmq.DEALER)
        self.socket.set(zmq.RECONNECT_IVL, NEVER_MS)
        self._monitor = self.socket.get_monitor_socket(sum(STATES))
        self.socket.connect(address)

    def look(self, wait_s: float = 0.0) -> str:
        """``connecting``, ``greeting`` (somebody listens there), ``up`` or ``broken``, by all that was told so far. As
        long as it is one of the first two, the next word of it is waited for."""
        if self.state in ("connecting", "greeting"):
            self._monitor.poll(math.ceil(wait_s * 1000), zmq.POLLIN)
        while readable(self._monitor):
            event, _ = EVENT.unpack(self._monitor.recv_multipart()[0])
            self.state = STATES[event]
        return self.state

    def wait(self, limit_s: float) -> str:
        """ "reply", "broken", or "" for neither within the limit. A reply that came before the break counts."""
        zmq.zmq_poll([(self.socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)], int(limit_s * 1000) + 1)
        state = self.look()
        if self.socket.poll(0, zmq.POLLIN):
            return "reply"
        return "broken" if state == "broken" else ""

    def close(self) -> None:
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close(0)


class Peers:
    """The calling side of one process."""

    def __init__(
        self, context: Context, runtime_dir: Path, name: str, incarnation: int, limits: SocketLimits = INSIDE
    ) -> None:
        self._context = context
        self._runtime_dir = runtime_dir
        self._limits = limits
        self._name = name
        self._incarnation = incarnation
        self._peers: dict[str, Peer] = {}
        self._number = 0

    def call(self, to: str, request: Request[Any], timeout_s: float) -> Message:
        """The reply. ``NoPeer``: nothing was sent; ``OutcomeUnknown``: no reply in time; ``Refused``: the reason."""
        what = f"{type(request).__name__} to {to}"
        deadline_s = time.monotonic() + timeout_s
        peer = self._connected(to, min(CONNECT_S, timeout_s), min(GREETING_S, timeout_s))
        if peer is None:
            raise NoPeer(f"{what}: {self._absent(to)}; nothing was sent")
        self._number += 1
        if not self._send(peer.socket, "call", request, deadline_s):
            raise NoPeer(f"{what}: its queue of {INSIDE.queue_max} is full; nothing was sent")
        while (left_s := deadline_s - time.monotonic()) > 0:
            came = peer.wait(left_s)
            if came == "broken":
                self._peers.pop(to).close()
                raise OutcomeUnknown(f"{what}: it ended before it replied; it may or may not have happened")
            reply = self._take_reply(peer.socket, what) if came else None
            if reply is not None:
                return reply
        raise OutcomeUnknown(f"{what}: no reply within {timeout_s:g} s; it may or may not have happened")

    def cast(
        self, to: str, message: Message, wait_s: float = CAST_CONNECT_S, greeting_s: float = CAST_GREETING_S
    ) -> bool:
        peer = self._connected(to, wait_s, greeting_s)
        try:
            return peer is not None and self._send(peer.socket, "cast", message, 0.0)
        except Refused:
            return False

    def _send(self, socket: Socket, kind: Kind, message: Message, deadline_s: float) -> bool:
        head = pack(Envelope(kind, self._name, self._incarnation, self._number, deadline_s))
        body = encode(message)
        if len(body) > self._limits.message_bytes_max:
            what = f"{type(message).__name__} has {len(body)} bytes, limit {self._limits.message_bytes_max}"
            raise Refused(f"too_large: {what}; nothing was sent")
        try:
            send(socket, head, body)
        except zmq.Again:
            return False
        return True

    def _take_reply(self, socket: Socket, what: str) -> Message | None:
        """None for the late reply to an earlier call, which nobody waits for any more."""
        head, body = socket.recv_multipart()
        try:
            envelope = unpack(head)
        except OtherProtocol as other:
            if other.number != self._number:
                return None
            raise Refused(str(other)) from other
        if envelope.number != self._number:
            return None
        if envelope.kind == "refusal":
            raise Refused(envelope.error)
        try:
            return decode(body)
        except BadMessage as error:
            raise OutcomeUnknown(f"{what}: the reply makes no sense: {error}") from error

    def _connected(self, to: str, wait_s: float, greeting_s: float) -> Peer | None:
        """The way to a peer that is there. One that is being started is tried again until the first wait is over; one
        that listens is waited for until the second is."""
        began_s = time.monotonic()
        while True:
            peer = self._peers.get(to)
            if peer is None:
                peer = self._peers[to] = Peer(self._context, endpoint(self._runtime_dir, to, "sock"))
            until_s = began_s + (greeting_s if peer.state == "greeting" else wait_s)
            state = peer.look(max(0.0, until_s - time.monotonic()))
            if state == "up":
                return peer
            if state == "broken":
                self._peers.pop(to).close()
            left_s = began_s + (greeting_s if state == "greeting" else wait_s) - time.monotonic()
            if left_s <= 0.0:
                return None
            if state == "broken":
                time.sleep(min(TRY_AGAIN_S, left_s))

    def _absent(self, to: str) -> str:
        """Why there is no way to it."""
        listens = to in self._peers and self._peers[to].state == "greeting"
        return "it is there and shakes no hands: it is stopped, or the machine stands" if listens else "nobody is there"

    def close(self) -> None:
        for peer in self._peers.values():
            peer.close()
