"""Both ends of a publication without the sockets between them: what a publisher keeps, what a subscriber makes of it.

The rules are in ``follow.py``. Used by the real world over ZeroMQ and by the simulated one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

import msgspec

from supervisor.errors import BadMessage, CallFailed
from supervisor.messages import Message, Missed, Since, Subscribed
from supervisor.wire.codec import decode, encode
from supervisor.wire.follow import Followed, heard, restated

RING_MAX = 1024
"""Publications of one topic that can be asked for again: minutes of the busiest feed. Beyond it: a new snapshot."""
RING_BYTES_MAX = 2 * 1024 * 1024
"""Of them together. They are asked for in one message, and twice as much would be too large to be decoded; and a feed
that has passed on a burst stays small."""


Body = bytes | Message
"""A publication on its way. A calm simulated world leaves the message as it is: it is never changed, and needs no bytes
before somebody asks for what he missed."""


class Topic(msgspec.Struct):
    number: int = 0
    ring: deque[tuple[int, Body]] = msgspec.field(default_factory=deque)
    size: int = 0

    def add(self, body: Body) -> int:
        self.number += 1
        self.ring.append((self.number, body))
        self.size += len(body) if isinstance(body, bytes) else 0
        while len(self.ring) > RING_MAX or self.size > RING_BYTES_MAX:
            old = self.ring.popleft()[1]
            self.size -= len(old) if isinstance(old, bytes) else 0
        return self.number


class Rings:
    """A publisher's topics: the last number of each, and what was said lately."""

    def __init__(self, incarnation: int) -> None:
        self._incarnation = incarnation
        self.topics: defaultdict[str, Topic] = defaultdict(Topic)

    def add(self, topic: str, body: Body) -> int:
        """The number of this publication."""
        return self.topics[topic].add(body)

    def last(self, topic: str) -> int:
        return self.topics[topic].number

    def missed(self, request: Since) -> Missed:
        state = self.topics.get(request.topic, Topic())
        wanted = [(number, body) for number, body in state.ring if number > request.number]
        first = wanted[0][0] if wanted else state.number + 1
        bodies = tuple(body if isinstance(body, bytes) else encode(body) for _, body in wanted)
        return Missed(self._incarnation, first, bodies)


class Following:
    """A subscriber's side of one publisher. ``fetch`` asks it for what was missed; ``tell`` gives to the server."""

    def __init__(self, publisher: str, fetch: Callable[[str, Since], Missed], tell: Callable[[Message], None]) -> None:
        self.publisher = publisher
        self._fetch = fetch
        self._tell = tell
        self.topics: dict[str, Followed] = {}

    def add(self, topic: str) -> None:
        self.topics.setdefault(topic, Followed())

    def remove(self, topic: str) -> bool:
        """Whether it was followed."""
        return self.topics.pop(topic, None) is not None

    def published(self, topic: str, incarnation: int, number: int, body: Body) -> None:
        before = self.topics.get(topic)
        if before is None:
            return
        self.topics[topic], verdict = heard(before, incarnation, number)
        if verdict == "gap":
            self._fill(topic, before)
        elif verdict != "repeat":
            if verdict == "new":
                self._tell(Subscribed(self.publisher, topic, incarnation))
            self._tell(decode(body) if isinstance(body, bytes) else body)

    def restated(self, topic: str, incarnation: int, number: int) -> None:
        before = self.topics.get(topic)
        if before is None:
            return
        self.topics[topic], verdict = restated(before, incarnation, number)
        if verdict == "new":
            self._tell(Subscribed(self.publisher, topic, incarnation))
        elif verdict == "gap":
            self._fill(topic, before)

    def _fill(self, topic: str, at: Followed) -> None:
        """Fetch what was missed. Failing that, the next restatement tries again: nothing later is taken before."""
        try:
            missed = self._fetch(self.publisher, Since(topic, at.number))
        except (CallFailed, BadMessage):
            return
        last = missed.first + len(missed.bodies) - 1
        self.topics[topic] = Followed(missed.incarnation, last)
        if missed.incarnation != at.incarnation or missed.first > at.number + 1:
            self._tell(Subscribed(self.publisher, topic, missed.incarnation))
        for body in missed.bodies:
            self._tell(decode(body))
