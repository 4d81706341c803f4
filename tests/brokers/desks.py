"""Three ways from the client to a venue, for the contract: the emulator over real HTTP, the same in the simulated
world, and a double that says what the venue's pages and captures say. A behaviour does not know which one it has."""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import requests

from brokers.broker import HttpReply, StreamItem, StreamRequest
from brokers.errors import Unavailable
from brokers.tradestation import oauth
from brokers.tradestation.client import TradeStation
from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.server import ORIGIN_UTC
from brokers.tradestation.emulator.state import Settings
from feeds.lines import LineSplitter
from supervisor.errors import HttpFailed
from supervisor.messages import ChildSpec, Message, StreamData, StreamEnded, SupervisorFlags
from supervisor.process.server import Server
from supervisor.sim.desk import SimDesk
from supervisor.sim.kernel import Kernel
from tests.brokers import golden
from tests.supervisor.toys import worker
from tests.trader.scripted_venue import CUT, ScriptedVenue
from trader.simulate.outside import URL, EmulatorOutside

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0
RATE = 60.0
HEARTBEAT_S = 0.3
ACCOUNT = "SIM100001F"
RUN = """
import sys, msgspec
from brokers.tradestation.emulator.server import Options, serve
serve(msgspec.json.decode(sys.argv[1], type=Options))
"""
Scripts = Mapping[str, tuple[int, bytes]]
"""Answers by method and path."""


class Desk(ABC):
    """What a process lends to its broker, in short: HTTP and tokens."""

    symbol = "ESZ13"
    url = ""

    def __init__(self) -> None:
        self.token = ""
        self.keys = 0
        self.client = TradeStation(self.url, self.send, self.current, DEADLINE_S)

    @abstractmethod
    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply: ...

    @abstractmethod
    def lines(self, request: StreamRequest) -> Iterator[bytes]:
        """Of a stream, as they come; without end."""

    def script(self, answers: Scripts) -> None:
        """What a double is to answer from now on; the others answer for themselves."""
        self.expected = answers

    def lose(self, when: str = "after") -> None:
        """The next placing request gets no answer."""
        self.tell("order_reply", {"lose": 1, "when": when})

    def fault(self, **rule: Any) -> None:
        self.tell("fault", rule)

    def tell(self, name: str, body: dict[str, Any]) -> None:
        content = msgspec.json.encode(body)
        reply = self.send("POST", f"{self.url}/emulator/{name}", headers={}, body=content, timeout_s=DEADLINE_S)
        assert reply.status == 200, reply.body

    def key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def current(self, refused: str = "") -> str:
        if not self.token or refused:
            request = oauth.refresh_request(self.url, "demo-client", "demo-secret", "demo-refresh")
            reply = self.send("POST", request.url, headers=request.headers, body=request.body, timeout_s=DEADLINE_S)
            self.token = oauth.granted(reply.status, reply.body).access_token
        return self.token

    def account_items(self, request: StreamRequest) -> Iterator[StreamItem | None]:
        return (self.client.account_item(line) for line in self.lines(request))

    @property
    def last(self) -> Decimal:
        price = self.client.quotes([self.symbol])[0].last
        assert price is not None
        return price


class Answered(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes


# -- over real HTTP -----------------------------------------------------------------------------------------------


class HttpDesk(Desk):
    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        super().__init__()

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        try:
            reply = self.http.request(method, url, headers=dict(headers), data=body, timeout=timeout_s)
        except requests.RequestException as error:
            raise Unavailable(str(error)) from error
        return Answered(reply.status_code, {k.lower(): v for k, v in reply.headers.items()}, reply.content)

    def lines(self, request: StreamRequest) -> Iterator[bytes]:
        splitter = LineSplitter()
        with self.http.get(request.url, headers=request.headers, stream=True, timeout=DEADLINE_S) as reply:
            assert reply.status_code == 200, reply.text
            for data in reply.iter_content(None):
                yield from splitter.push(data)


@contextmanager
def emulated(folder: Path) -> Iterator[Desk]:
    options = {"book": str(folder / "book.jsonl"), "rate": RATE, "heartbeat_s": HEARTBEAT_S}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, msgspec.json.encode(options).decode()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield HttpDesk(process.stdout.readline().split()[-1])
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


# -- in the simulated world ----------------------------------------------------------------------------------------


class Act(Message, frozen=True):
    """To an Actor: do this."""

    act: Any


class Actor(Server):
    """A process of the simulated world that does what the test tells it, and keeps what its streams bring."""

    def init(self) -> None:
        self.data: dict[int, list[bytes]] = {}
        self.ended: set[int] = set()

    def handle_cast(self, message: Message) -> None:
        assert isinstance(message, Act)
        message.act(self)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, StreamData):
            self.data.setdefault(message.stream, []).append(message.data)
        elif isinstance(message, StreamEnded):
            self.ended.add(message.stream)


class SimulatedDesk(Desk):
    """Each request goes through the ``world.http`` of a simulated process; virtual time goes on only while we wait."""

    url = URL

    def __init__(self) -> None:
        settings = Settings(heartbeat_s=HEARTBEAT_S)
        outside = EmulatorOutside(settings, load_market(("ESZ13", "SPY")), ORIGIN_UTC, RATE)
        root = ChildSpec(
            id="toys",
            type="supervisor",
            supervisor=SupervisorFlags(),
            children=(worker("actor", start="tests.brokers.desks:Actor"),),
        )
        self.sim = SimDesk(Kernel(1, outside), root, 1)
        self.sim.boot()
        self.run(0.1)
        super().__init__()

    def run(self, seconds: float) -> None:
        self.sim.kernel.run(self.sim.kernel.now_s + seconds)

    def does(self, act: Callable[[Actor], Any]) -> Any:
        """What comes of it in the process, waited for in virtual time."""
        done: list[Any] = []

        def noted(actor: Actor) -> None:
            try:
                done.append(act(actor))
            except HttpFailed as error:
                done.append(error)

        self.sim.kids["actor"].put("cast", Act(noted))
        until_s = self.sim.kernel.now_s + 3 * DEADLINE_S
        while not done:
            assert self.sim.kernel.now_s < until_s, "the process of the simulated world came to no end"
            self.run(0.05)
        if isinstance(done[0], HttpFailed):
            raise Unavailable(str(done[0]), sent=done[0].sent)
        return done[0]

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        reply: HttpReply = self.does(
            lambda actor: actor.world.http(method, url, headers=headers, body=body, timeout_s=timeout_s)
        )
        return reply

    def lines(self, request: StreamRequest) -> Iterator[bytes]:
        splitter = LineSplitter()
        opened: list[tuple[Actor, int]] = []

        def listen(actor: Actor) -> int:
            stream = actor.world.stream(request.url, headers=request.headers)
            opened.append((actor, stream))
            return stream

        self.does(listen)
        actor, stream = opened[0]
        until_s = self.sim.kernel.now_s + 100 * DEADLINE_S
        try:
            while stream not in actor.ended:
                assert self.sim.kernel.now_s < until_s, "the stream brought nothing that the test was content with"
                self.run(0.1)
                while parts := actor.data.get(stream):
                    yield from splitter.push(parts.pop(0))
        finally:
            self.does(lambda actor: actor.world.close_stream(stream))


@contextmanager
def simulated(folder: Path) -> Iterator[Desk]:
    yield SimulatedDesk()


# -- the double ----------------------------------------------------------------------------------------------------

STREAM = "GET /v3/brokerage/stream/accounts/SIM100001F"
BARS_PATH = "marketdata/stream/barcharts/ESZ26"
PAGES: Scripts = {
    "POST /v3/orderexecution/orders": (200, golden.PLACED),
    "PUT /v3/orderexecution/orders/1200000002": (200, golden.REPLACED),
    "DELETE /v3/orderexecution/orders/1200000002": (200, golden.CANCELLED),
    "POST /v3/orderexecution/ordergroups": (200, golden.GROUP_PLACED),
    "GET /v3/marketdata/barcharts/ESZ26": (200, golden.BARS),
    f"{STREAM}/orders": (200, golden.ORDER_LINE + b"\n" + golden.END_SNAPSHOT + b"\n" + golden.HEARTBEAT + b"\n"),
    f"{STREAM}/positions": (200, golden.POSITION_LINE + b"\n" + golden.END_SNAPSHOT + b"\n" + golden.HEARTBEAT + b"\n"),
    f"GET /v3/{BARS_PATH}": (200, golden.BAR_LINE + b"\n" + golden.HEARTBEAT + b"\n"),
}


class Double(HttpDesk):
    """Says what was written down, whatever it is asked."""

    symbol = "ESZ26"

    def __init__(self, venue: ScriptedVenue) -> None:
        self.venue = venue
        super().__init__(venue.url)
        self.script({})

    def script(self, answers: Scripts) -> None:
        self.venue.answers |= {**PAGES, **answers}

    def lose(self, when: str = "after") -> None:
        self.script({"POST /v3/orderexecution/orders": CUT, "POST /v3/orderexecution/ordergroups": CUT})

    def fault(self, **rule: Any) -> None:
        """Faults of the venue are scripted."""


@contextmanager
def scripted(folder: Path) -> Iterator[Desk]:
    venue = ScriptedVenue()
    try:
        yield Double(venue)
    finally:
        venue.close()


MAKERS: dict[str, Callable[[Path], AbstractContextManager[Desk]]] = {
    "http": emulated,
    "simulated": simulated,
    "double": scripted,
}
