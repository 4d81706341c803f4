"""Publishing and subscribing over ZeroMQ, without gaps. What is said again and when is in ``rings.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import zmq

from supervisor.messages import Message, Missed, Since
from supervisor.wire.codec import encode
from supervisor.wire.envelope import Envelope, Kind, pack, unpack
from supervisor.wire.names import endpoint
from supervisor.wire.peers import Bound, Context, new_socket
from supervisor.wire.rings import Following, Rings

TOPICS_MAX = 1024
TOPIC_LENGTH_MAX = 200
"""Of one publisher: an orders feed has one for each symbol of its account. Who may open the socket may subscribe to
anything, and each topic asked for is kept."""
HEAD_LENGTH_BYTES = 2


def joined(topic: str, head: bytes, body: bytes) -> bytes:
    """One frame: ``topic NUL length-of-head head body``. (Of three frames each costs both sides as much as one.)"""
    return b"%b\0%b%b%b" % (topic.encode(), len(head).to_bytes(HEAD_LENGTH_BYTES), head, body)


def parted(frame: bytes) -> tuple[str, bytes, bytes]:
    """Topic, head and body. What is none of ours gives a head that is no envelope."""
    topic, _, rest = frame.partition(b"\0")
    end = HEAD_LENGTH_BYTES + int.from_bytes(rest[:HEAD_LENGTH_BYTES])
    return topic.decode(errors="replace"), rest[HEAD_LENGTH_BYTES:end], rest[end:]


class Publisher:
    """Our own publications. The loop must read ``socket`` (XPUB): a new subscription is answered with a welcome."""

    def __init__(self, context: Context, runtime_dir: Path, name: str, incarnation: int) -> None:
        self._name = name
        self._incarnation = incarnation
        self._rings = Rings(incarnation)
        self.socket = new_socket(context, zmq.XPUB)
        self.socket.set(zmq.XPUB_VERBOSE, 1)
        self.bound = Bound(self.socket, endpoint(runtime_dir, name, "pub"))

    def publish(self, topic: str, message: Message) -> None:
        body = encode(message)
        self._send(topic, "published", self._rings.add(topic, body), body)

    def on_subscription(self) -> None:
        """Read what subscribers ask for and welcome them."""
        while self.socket.poll(0, zmq.POLLIN):
            (frame,) = self.socket.recv_multipart()[:1]
            if frame[:1] == b"\x01" and frame.endswith(b"\0"):
                topic = frame[1:-1].decode(errors="replace")
                known = topic in self._rings.topics
                if known or (len(self._rings.topics) < TOPICS_MAX and len(topic) <= TOPIC_LENGTH_MAX):
                    self._restate(topic)

    def restate_all(self) -> None:
        """Once a second: a lost last publication is not seen by a gap."""
        for topic in self._rings.topics:
            self._restate(topic)

    def missed(self, request: Since) -> Missed:
        return self._rings.missed(request)

    def _restate(self, topic: str) -> None:
        self._send(topic, "restated", self._rings.last(topic), b"")

    def _send(self, topic: str, kind: Kind, number: int, body: bytes) -> None:
        head = pack(Envelope(kind, self._name, self._incarnation, number))
        self.socket.send(joined(topic, head, body), zmq.NOBLOCK)


class Subscription:
    """What we follow of one publisher."""

    def __init__(
        self,
        context: Context,
        runtime_dir: Path,
        publisher: str,
        fetch: Callable[[str, Since], Missed],
        tell: Callable[[Message], None],
    ) -> None:
        self._following = Following(publisher, fetch, tell)
        self.socket = new_socket(context, zmq.SUB)
        self.socket.connect(endpoint(runtime_dir, publisher, "pub"))

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(self._following.topics)

    def add(self, topic: str) -> None:
        self._following.add(topic)
        self.socket.set(zmq.SUBSCRIBE, topic.encode() + b"\0")

    def remove(self, topic: str) -> None:
        if self._following.remove(topic):
            self.socket.set(zmq.UNSUBSCRIBE, topic.encode() + b"\0")

    def take(self) -> None:
        """The next one, if it has come."""
        try:
            frame = self.socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        topic, head, body = parted(frame)
        envelope = unpack(head)
        if envelope.kind == "published":
            self._following.published(topic, envelope.incarnation, envelope.number, body)
        else:
            self._following.restated(topic, envelope.incarnation, envelope.number)
