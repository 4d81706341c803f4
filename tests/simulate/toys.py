"""Small servers for the tests of the simulated world, and a machine that is connected to nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from supervisor.errors import CallFailed
from supervisor.messages import ChildSpec, Done, Message, ReadGroup, Request, SupervisorFlags
from supervisor.process.server import Caller, Server
from supervisor.process.world import HttpReply
from supervisor.sim.desk import SimDesk
from supervisor.sim.kernel import Calm, Kernel, Opened, Output
from tests.supervisor.toys import Add, Number, listener, worker

SCHEMA = "tests.simulate.toys:migrations"
migrations = ("CREATE TABLE said (text TEXT NOT NULL) STRICT",)


class Ask(Message, frozen=True):
    """To an Asker: add this number at ``to``, and tell in our log what came of it."""

    to: str
    number: int
    limit_s: float


class Asker(Server):
    """Calls whom it is told to call."""

    def init(self) -> None:
        self.outcomes: list[str] = []

    def handle_cast(self, message: Message) -> None:
        assert isinstance(message, Ask)
        try:
            reply = self.world.call(message.to, Add(message.number), timeout_s=message.limit_s)
            outcome = f"{reply.total}"
        except CallFailed as failed:
            outcome = type(failed).__name__
        self.world.log.info(f"{outcome} at {self.world.now_s():.3f}")


class Put(Message, frozen=True):
    """To a Client: put this request to control, and tell in our log what came of it."""

    request: Any


class Client(Server):
    """Asks control what it is told to ask."""

    def handle_cast(self, message: Message) -> None:
        assert isinstance(message, Put)
        try:
            outcome = type(self.world.call("control", message.request, timeout_s=10.0)).__name__
        except CallFailed as failed:
            outcome = getattr(failed, "word", type(failed).__name__)
        self.world.log.info(f"{outcome} at {self.world.now_s():.3f}")


class SlowStarter(Server):
    """Ready after ``start_s``: it waits for somebody who never answers."""

    def init(self) -> None:
        if "start_s" in self.arguments:
            with suppress(CallFailed):
                self.world.call("control", ReadGroup("none"), timeout_s=1.0)
                self.world.call(self.world.name, Wait(), timeout_s=self.arguments["start_s"])


class Stubborn(Server):
    """Asks a peer that never answers, and tries everything on its way out when it is killed meanwhile."""

    def init(self) -> None:
        self.store = self.world.store("said.db", schema=SCHEMA)
        self.world.after(0.0, Number(1))

    def handle_info(self, message: Message) -> None:
        try:
            with self.store.transaction():
                self.store.execute("INSERT INTO said VALUES ('before')")
                self.world.call("silent", Wait(), timeout_s=100.0)
        finally:
            for attempt in (self.say, self.write, self.tell, self.ask_again):
                self.try_it(attempt)

    def try_it(self, attempt: Any) -> None:
        try:
            attempt()
        except BaseException:  # noqa: BLE001 - the ruder the better: nothing of it may have an effect
            return

    def say(self) -> None:
        self.world.publish("numbers", Number(13))

    def write(self) -> None:
        with self.store.transaction():
            self.store.execute("INSERT INTO said VALUES ('after')")

    def tell(self) -> None:
        self.world.cast("counter", Number(13))

    def ask_again(self) -> None:
        self.world.call("counter", Add(13), timeout_s=1.0)


class Wait(Request[Done], frozen=True):
    REPLY = Done


class Silent(Server):
    """Keeps its callers waiting."""

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        return None


class Nowhere:
    """``supervisor.sim.kernel.Outside``: no network, and market time that is machine time."""

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> HttpReply | None:
        raise ConnectionRefusedError("there is no network")

    def open(self, url: str, headers: dict[str, str], now_s: float) -> Opened:
        raise AssertionError("nobody opens a stream here")

    def close(self, stream: int) -> None: ...

    def advance(self, now_s: float) -> Sequence[Output]:
        return []

    def next_due_s(self, now_s: float) -> float:
        return float("inf")

    def market_utc(self, now_s: float) -> float:
        return now_s

    def rate(self) -> float:
        return 1.0


class Losing(Calm):
    """Loses the publications whose turn is in ``lost`` (from 1 on)."""

    def __init__(self, *lost: int) -> None:
        self.lost = lost
        self.published = 0

    def loses_publication(self, draw: random.Random) -> bool:
        self.published += 1
        return self.published in self.lost


class Jittery(Calm):
    """Each message is delayed by chance."""

    def delay_s(self, draw: random.Random) -> float:
        return draw.random()


def toy(child_id: str, start: str, **fields: Any) -> ChildSpec:
    return worker(child_id, start=f"tests.simulate.toys:{start}", **fields)


def desk(*children: ChildSpec, seed: int = 1, chances: Calm | None = None, life: int = 1) -> SimDesk:
    """Booted, and 0.1 s old."""
    root = ChildSpec(
        id="toys",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=50, period_s=60.0),
        children=children,
    )
    built = SimDesk(Kernel(seed, Nowhere(), chances), root, life, keep_log=True)
    built.boot()
    run(built, 0.1)
    return built


def run(sim: SimDesk, seconds: float) -> None:
    sim.kernel.run(sim.kernel.now_s + seconds)


def cast(sim: SimDesk, to: str, message: Message) -> None:
    sim.kids[to].put("cast", message)


def call(sim: SimDesk, to: str, request: Request[Any]) -> None:
    """Nobody waits for the reply."""
    sim.kids[to].put("call", request, Caller("test", 0, 1, sim.kernel.now_s + 60.0))


def told(sim: SimDesk, name: str) -> list[str]:
    """What a process has logged, without time and level."""
    assert sim.log_lines is not None
    marks = f"INFO {name}: "
    return [line.partition(marks)[2] for line in sim.log_lines if marks in line]


COUNTER = worker("counter")
LISTENER = listener("listener", "counter")
