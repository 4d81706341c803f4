"""Publishing and subscribing over ZeroMQ, without gaps (DESIGN 5). The rules are in ``follow.py``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq

from supervisor.errors import BadMessage, CallFailed
from supervisor.messages import Message, Missed, Since, Subscribed
from supervisor.wire.codec import decode, encode
from supervisor.wire.envelope import Envelope, pack, unpack
from supervisor.wire.follow import Followed, heard, restated
from supervisor.wire.names import endpoint
from supervisor.wire.peers import new_socket

RING_MAX = 1024
"""Publications of one topic that can be asked for again: minutes of the busiest feed. Beyond it: a new snapshot."""
FETCH_LIMIT_S = 1.0


class Topic(msgspec.Struct):
    number: int = 0
    ring: deque[tuple[int, bytes]] = msgspec.field(default_factory=lambda: deque(maxlen=RING_MAX))


class Publisher:
    """Our own publications. The loop must read ``socket`` (XPUB): a new subscription is answered with a welcome."""

    def __init__(self, context: Any, runtime_dir: Path, name: str, incarnation: int) -> None:
        self._name = name
        self._incarnation = incarnation
        self._topics: dict[str, Topic] = {}
        self.socket = new_socket(context, zmq.XPUB)
        self.socket.set(zmq.XPUB_VERBOSE, 1)
        self.socket.bind(endpoint(runtime_dir, name, "pub"))

    def publish(self, topic: str, message: Message) -> None:
        state = self._topics.setdefault(topic, Topic())
        state.number += 1
        body = encode(message)
        state.ring.append((state.number, body))
        self._send(topic, "published", state.number, body)

    def on_subscription(self) -> None:
        """Read what subscribers ask for and welcome them."""
        while self.socket.poll(0, zmq.POLLIN):
            (frame,) = self.socket.recv_multipart()[:1]
            if frame[:1] == b"\x01" and frame.endswith(b"\0"):
                topic = frame[1:-1].decode(errors="replace")
                self._restate(topic, self._topics.setdefault(topic, Topic()))

    def restate_all(self) -> None:
        """Once a second: a lost last publication is not seen by a gap."""
        for topic, state in self._topics.items():
            self._restate(topic, state)

    def missed(self, request: Since) -> Missed:
        state = self._topics.get(request.topic, Topic())
        wanted = [(number, body) for number, body in state.ring if number > request.number]
        first = wanted[0][0] if wanted else state.number + 1
        return Missed(self._incarnation, first, tuple(body for _, body in wanted))

    def _restate(self, topic: str, state: Topic) -> None:
        self._send(topic, "restated", state.number, b"")

    def _send(self, topic: str, kind: Any, number: int, body: bytes) -> None:
        head = pack(Envelope(kind, self._name, self._incarnation, number))
        self.socket.send_multipart([topic.encode() + b"\0", head, body], zmq.NOBLOCK)


class Subscription:
    """What we follow of one publisher. ``fetch`` asks it for what was missed; ``tell`` gives to the server."""

    def __init__(
        self,
        context: Any,
        runtime_dir: Path,
        publisher: str,
        fetch: Callable[[str, Since], Missed],
        tell: Callable[[Message], None],
    ) -> None:
        self.publisher = publisher
        self._fetch = fetch
        self._tell = tell
        self._followed: dict[str, Followed] = {}
        self.socket = new_socket(context, zmq.SUB)
        self.socket.connect(endpoint(runtime_dir, publisher, "pub"))

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(self._followed)

    def add(self, topic: str) -> None:
        self._followed.setdefault(topic, Followed())
        self.socket.set(zmq.SUBSCRIBE, topic.encode() + b"\0")

    def remove(self, topic: str) -> None:
        if self._followed.pop(topic, None) is not None:
            self.socket.set(zmq.UNSUBSCRIBE, topic.encode() + b"\0")

    def on_readable(self, at_most: int) -> None:
        while at_most > 0 and self.socket.poll(0, zmq.POLLIN):
            at_most -= 1
            topic, head, body = self.socket.recv_multipart()
            self._on_frame(topic[:-1].decode(errors="replace"), unpack(head), body)

    def _on_frame(self, topic: str, envelope: Envelope, body: bytes) -> None:
        before = self._followed.get(topic)
        if before is None:
            return
        judge = heard if envelope.kind == "published" else restated
        after, verdict = judge(before, envelope.incarnation, envelope.number)
        self._followed[topic] = after
        if verdict == "new":
            self._tell(Subscribed(self.publisher, topic, envelope.incarnation))
        if verdict == "gap":
            self._fill(topic, before)
        elif envelope.kind == "published" and verdict in ("new", "deliver"):
            self._tell(decode(body))

    def _fill(self, topic: str, at: Followed) -> None:
        """Fetch what was missed. Failing that, the next restatement tries again: nothing later is taken before."""
        try:
            missed = self._fetch(self.publisher, Since(topic, at.number))
        except (CallFailed, BadMessage):
            return
        last = missed.first + len(missed.bodies) - 1
        self._followed[topic] = Followed(missed.incarnation, last)
        if missed.incarnation != at.incarnation or missed.first > at.number + 1:
            self._tell(Subscribed(self.publisher, topic, missed.incarnation))
        for body in missed.bodies:
            self._tell(decode(body))
