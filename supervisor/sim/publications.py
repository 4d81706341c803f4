"""Publications in the simulated world: who hears what of whom, without gaps but those that chance makes.

One process's side, both ways: its own publications, and what it follows of others. What is said again and when is in
``wire/rings.py``, as in the real world; here are only the ways between.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from supervisor.errors import NoPeer
from supervisor.messages import Message, Missed, Since
from supervisor.sim.kernel import HOP_S
from supervisor.wire.codec import encode
from supervisor.wire.rings import Body, Following, Rings

if TYPE_CHECKING:
    from supervisor.sim.process import SimProcess

RESTATE_S = 1.0
"""What was lost is said again after so long."""


class SimPublications:
    """Of ``process``, for as long as it lives."""

    def __init__(self, process: SimProcess) -> None:
        self._process = process
        self._kernel = process.kernel
        self._name, self._incarnation = process.name, process.incarnation
        self._rings = Rings(process.incarnation)
        self._followed: dict[str, Following] = {}
        self._heard_by: dict[str, tuple[int, list[SimProcess]]] = {}

    # -- our own -----------------------------------------------------------------------------------------------------

    def publish(self, topic: str, message: Message) -> None:
        kernel = self._kernel
        body = message if kernel.calm else encode(message)
        number = self._rings.add(topic, body)
        lost = False
        for peer in self._subscribers(topic):
            heard = peer.world.publications.on_published
            if kernel.calm:
                kernel.post(HOP_S, heard, self._name, topic, self._incarnation, number, body)
            elif kernel.chances.loses_publication(kernel.draw):
                lost = True
            else:
                lane = (self._name, peer.name, "publication")
                kernel.hop(lane, heard, self._name, topic, self._incarnation, number, body)
        if lost:
            kernel.post(RESTATE_S, self._restate, topic)

    def greet(self) -> None:
        """We have just begun: those who have subscribed to our name before reach us now."""
        for peer in list(self._kernel.processes.values()):
            for topic in peer.world.publications.topics_of(self._name):
                self._kernel.hop((peer.name, self._name, "subscribe"), self.welcome, peer, topic)

    def welcome(self, subscriber: SimProcess, topic: str) -> None:
        if not self._process.dead:
            self._restate_to(subscriber, topic)

    def missed(self, request: Since) -> Missed:
        return self._rings.missed(request)

    def _restate(self, topic: str) -> None:
        if not self._process.dead:
            for peer in self._subscribers(topic):
                self._restate_to(peer, topic)

    def _restate_to(self, peer: SimProcess, topic: str) -> None:
        lane, number = (self._name, peer.name, "publication"), self._rings.last(topic)
        heard = peer.world.publications.on_restated
        self._kernel.hop(lane, heard, self._name, topic, self._incarnation, number)

    def _subscribers(self, topic: str) -> list[SimProcess]:
        """Looked up when somebody has come, gone or subscribed since."""
        topology, found = self._heard_by.get(topic, (-1, []))
        if topology != self._kernel.topology:
            processes = self._kernel.processes.values()
            found = [peer for peer in processes if topic in peer.world.publications.topics_of(self._name)]
            self._heard_by[topic] = (self._kernel.topology, found)
        return found

    # -- what we follow ----------------------------------------------------------------------------------------------

    def subscribe(self, to: str, topic: str) -> None:
        tell = partial(self._process.put, "info")
        self._followed.setdefault(to, Following(to, self._fetch, tell)).add(topic)
        self._kernel.topology += 1
        peer = self._kernel.processes.get(to)
        if peer is not None and not peer.dead:
            self._kernel.hop((self._name, to, "subscribe"), peer.world.publications.welcome, self._process, topic)

    def unsubscribe(self, to: str, topic: str) -> None:
        following = self._followed.get(to)
        if following is not None:
            following.remove(topic)
            self._kernel.topology += 1

    def topics_of(self, publisher: str) -> tuple[str, ...]:
        following = self._followed.get(publisher)
        return tuple(following.topics) if following is not None else ()

    def on_published(self, publisher: str, topic: str, incarnation: int, number: int, body: Body) -> None:
        following = self._followed.get(publisher)
        if following is not None and not self._process.dead:
            following.published(topic, incarnation, number, body)

    def on_restated(self, publisher: str, topic: str, incarnation: int, number: int) -> None:
        following = self._followed.get(publisher)
        if following is not None and not self._process.dead:
            following.restated(topic, incarnation, number)

    def _fetch(self, to: str, request: Since) -> Missed:
        """The kernel runs this, not the process: the base fetches what was missed without the server's knowing."""
        peer = self._kernel.processes.get(to)
        if peer is None or peer.dead:
            raise NoPeer(f"{to} is not there")
        missed: Missed = peer.world.publications.missed(request)
        return missed
