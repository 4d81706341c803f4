"""The kernel of the simulated world: virtual machine time, what happens next, who runs, what outlives a process.

One greenlet a process; the kernel itself is the hub that they all switch to when they wait. Nothing here reads a real
clock or asks the machine for chance: the same seed gives the same run, in every interpreter.

A killed process has no further effect: its greenlet is unwound at once by ``WorldEnded``, and its world refuses every
call that the unwinding code still makes (a real process's ``finally`` blocks would not run at all).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from heapq import heappop, heappush
from typing import Any, Literal, Protocol

from supervisor.process.world import HttpReply
from supervisor.sim.disk import Disk

START_S = 1000.0
"""Machine time at which a simulation begins: not 0, so that "never" and "at the start" differ."""
HOP_S = 0.0001
"""Between two processes of one machine (measured: p50 80 to 90 us)."""
FORK_S = 0.005
"""From the decision to the first instruction of a child (measured: 3 to 6 ms)."""
DEATH_S = 0.001
"""From a death to the supervisor's knowing."""
NET_S = 0.004
"""From a process to the venue, one way."""


Moment = Literal[
    "commits", "committed", "writes", "written", "sends", "sent", "booked", "answered", "calls", "called", "replied",
    "publishes",
]  # fmt: skip
"""Where a death tells most: just before and just after something that lasts or leaves (a store's commit, a small file,
a request to the venue, a call). "booked": the venue has acted on it, its answer is on the way."""


class WorldEnded(BaseException):
    """This process is dead. A BaseException, so that no ``except Exception`` of process code catches it."""


class Opened(Protocol):
    """Answer to the opening of a stream: ``stream`` 0 where it was refused with ``status`` and ``body``; ``status`` 0
    where the connection itself did not come about."""

    @property
    def stream(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Output(Protocol):
    """What a stream sends: ``data``, or its end (``end``: "end" or "reset")."""

    @property
    def stream(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def end(self) -> str: ...


class Outside(Protocol):
    """What the simulated machine is connected to. Pure in its own time: the kernel tells it when."""

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> HttpReply | None:
        """The answer; None where the connection is cut without one. ConnectionRefusedError: nobody listens there."""

    def open(self, url: str, headers: dict[str, str], now_s: float) -> Opened: ...
    def close(self, stream: int) -> None: ...
    def advance(self, now_s: float) -> Sequence[Output]: ...

    def next_due_s(self, now_s: float) -> float:
        """When ``advance`` has something to do next."""

    def market_utc(self, now_s: float) -> float: ...
    def rate(self) -> float: ...


Item = list[Any]
"""What is to happen: at_s, its place in the sequence of decisions, act, arguments. A list, so that heapq compares it
without our code and a cancelled one can be blanked."""


class Entry:
    """Something that can be cancelled. Most things cannot be: those are no Entry (``Kernel.post``)."""

    __slots__ = ("_item",)

    def __init__(self, item: Item) -> None:
        self._item = item

    def cancel(self) -> None:
        self._item[2:] = (_nothing, ())


def _nothing() -> None:
    """What is left of something cancelled."""


class Chances(Protocol):
    """What goes wrong by chance in the machine itself; every draw comes from the kernel's one generator."""

    def delay_s(self, draw: random.Random) -> float:
        """Added to a hop."""

    def net_delay_s(self, draw: random.Random) -> float:
        """Added to the way of one request to the venue, or of its answer."""

    def loses_publication(self, draw: random.Random) -> bool: ...

    def dies_at_boundary(self, name: str, draw: random.Random) -> bool: ...

    def at_moment(self, name: str, moment: Moment, about: str) -> None:
        """This process is at it. ``about``: the store's or file's path, the method, the message. Whoever wants it dead
        kills it here and now."""


class Calm:
    """A machine on which nothing goes wrong: the tester's."""

    def delay_s(self, draw: random.Random) -> float:
        return 0.0

    def net_delay_s(self, draw: random.Random) -> float:
        return 0.0

    def loses_publication(self, draw: random.Random) -> bool:
        return False

    def dies_at_boundary(self, name: str, draw: random.Random) -> bool:
        return False

    def at_moment(self, name: str, moment: Moment, about: str) -> None: ...


class Kernel:
    """Time, events, and what is on disk."""

    def __init__(self, seed: int, outside: Outside, chances: Chances | None = None) -> None:
        self.seed = seed
        self.now_s = START_S
        self.draw = random.Random(seed)
        self.outside = outside
        self.chances = chances or Calm()
        self.calm = chances is None
        """Nothing goes wrong by chance: no draw is made, and messages need not become bytes on their way."""
        self.disks: dict[str, Disk] = {}
        self.files: dict[str, bytes] = {}
        self.locks: dict[str, object] = {}
        self.processes: dict[str, Any] = {}
        self.streams: dict[int, tuple[Any, int]] = {}
        self.topology = 0
        """Raised by whoever changes ``processes`` or who follows whom: what was learned of it before is to be looked up
        again."""
        self._heap: list[Item] = []
        """By time, then by the sequence in which it was decided."""
        self._order = 0
        self._arrived_s: dict[Hashable, float] = {}
        self._outside_due: Entry | None = None
        self._outside_due_s = float("inf")

    # -- time ------------------------------------------------------------------------------------------

    def after(self, delay_s: float, act: Callable[..., None], *arguments: Any) -> Entry:
        """Can be cancelled; what surely happens is posted."""
        self._order += 1
        item = [self.now_s + delay_s, self._order, act, arguments]
        heappush(self._heap, item)
        return Entry(item)

    def post(self, delay_s: float, act: Callable[..., None], *arguments: Any) -> None:
        """``act(*arguments)`` after so long. (Nearly all that happens comes this way: no object is made of it.)"""
        self._order += 1
        heappush(self._heap, [self.now_s + delay_s, self._order, act, arguments])

    def at(self, at_s: float, act: Callable[..., None], *arguments: Any) -> None:
        """``act(*arguments)`` at this moment exactly."""
        self._order += 1
        heappush(self._heap, [at_s, self._order, act, arguments])

    def hop(self, lane: Hashable, act: Callable[..., None], *arguments: Any) -> None:
        """A message between two processes of this machine. ``lane``: its way; on one way nothing overtakes, however
        much something is delayed (a socket keeps the sequence)."""
        if self.calm:
            self._order += 1
            heappush(self._heap, [self.now_s + HOP_S, self._order, act, arguments])
            return
        delay_s = HOP_S + self.chances.delay_s(self.draw)
        arrives_s = max(self.now_s + delay_s, self._arrived_s.get(lane, 0.0))
        self._arrived_s[lane] = arrives_s
        self.post(arrives_s - self.now_s, act, *arguments)

    def cross(self, act: Callable[..., None], *arguments: Any) -> None:
        """A request on its way to the venue, or its answer on the way back."""
        self.post(NET_S + self.chances.net_delay_s(self.draw), act, *arguments)

    def run(self, until_s: float, stop: Callable[[], bool] | None = None) -> bool:
        """Let time pass up to ``until_s``, or until ``stop`` says so (True then); it is asked after each event."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            self.now_s, _, act, arguments = heappop(heap)
            act(*arguments)
            if stop is not None and stop():
                return True
        self.now_s = max(self.now_s, until_s)
        return False

    def stand_still(self, seconds: float) -> None:
        """The host is paused: nothing of the machine runs meanwhile, and all that was due happens at once afterwards,
        in the sequence in which it was due."""
        self.now_s += seconds
        due: list[Item] = []
        while self._heap and self._heap[0][0] < self.now_s:
            due.append(heappop(self._heap))
        for item in due:
            self._order += 1
            item[:2] = (self.now_s, self._order)
            heappush(self._heap, item)

    # -- the outside -------------------------------------------------------------------------------------

    def let_outside_go_on(self) -> None:
        """Pass on what its streams have sent by now, and come back when it has more."""
        for output in self.outside.advance(self.now_s):
            owner = self.streams.get(output.stream)
            if owner is not None:
                world, number = owner
                self.post(NET_S, world.on_stream, number, output)
                if output.end:
                    del self.streams[output.stream]
        self._plan_outside()

    def _plan_outside(self) -> None:
        due_s = self.outside.next_due_s(self.now_s)
        if due_s == self._outside_due_s and due_s > self.now_s:
            return
        if self._outside_due is not None:
            self._outside_due.cancel()
            self._outside_due = None
        self._outside_due_s = due_s
        if due_s != float("inf"):
            self._outside_due = self.after(max(0.0, due_s - self.now_s), self._outside_wakes)

    def _outside_wakes(self) -> None:
        self._outside_due, self._outside_due_s = None, float("inf")
        self.let_outside_go_on()
