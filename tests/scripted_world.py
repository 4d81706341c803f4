"""ScriptedWorld: a World for unit tests of one process: one thread, virtual clocks, all recorded.

A test makes a world, scripts what the outside answers, ``start``s a Server, tells it what happens
(``deliver``, ``ask``, ``tell``, ``advance``, ``feed``) and reads what it did: ``casts``, ``published``,
``events``, ``calls``, ``requests``, ``ended``, and ``trace``: all effects in sequence.
What is not scripted is absent: call raises NoPeer, http raises HttpFailed(sent=False), cast gives False.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pkgutil import resolve_name
from typing import Any, TypeVar, cast

import sqlite_utils

from supervisor.errors import HttpFailed, NoPeer, Refused
from supervisor.messages import (
    Event,
    Level,
    Message,
    Predecessor,
    Request,
    StreamData,
    StreamEnded,
    StreamOpened,
)
from supervisor.process.alarm import Alarm
from supervisor.process.server import Caller, Server
from supervisor.process.world import HttpReply, World
from tests.scripted_parts import (
    Answer,
    Ended,
    HttpRequest,
    MemoryFile,
    MemoryStore,
    OpenStream,
    RecordedLog,
    ScriptedSupervisor,
    ScriptedTimer,
    answer_of,
)

R = TypeVar("R", bound=Message)
S = TypeVar("S", bound=Server)


class ScriptedWorld:
    """See the module's text. Answers may be scripted at any time; the newest match wins."""

    def __init__(
        self,
        name: str = "process",
        *,
        now_s: float = 1000.0,
        now_utc: float = 1_381_154_400.0,  # 2013-10-07T14:00:00Z, where the demo begins
        rate: float = 1.0,
        incarnation: int = 1,
        predecessor: Predecessor | None = None,
    ) -> None:
        self.name, self.incarnation, self.predecessor = name, incarnation, predecessor
        self.log = RecordedLog()
        self.supervisor = ScriptedSupervisor(self)
        self.server: Server | None = None
        self.ended: Ended | None = None
        self.peers: set[str] = set()  # who is there to receive casts
        self.casts: list[tuple[str, Message]] = []
        self.published: list[tuple[str, Message]] = []
        self.subscriptions: list[tuple[str, str]] = []
        self.events: list[Event] = []
        self.calls: list[tuple[str, Request[Any]]] = []
        self.requests: list[HttpRequest] = []
        self.streams: list[OpenStream] = []
        self.notes: list[str] = []
        self.fresh_until_s = 0.0
        self.replies: dict[int, Message | Refused] = {}
        self.trace: list[tuple[str, str]] = []
        self.files: dict[str, bytes] = {}
        self.secrets: dict[str, str] = {}
        self.modes: dict[str, str] = {}
        self.locked_files: set[str] = set()
        self.stores: dict[str, MemoryStore] = {}
        self.answers: list[tuple[str, type[Request[Any]], Answer]] = []
        self.http_answers: list[tuple[str, str, Answer]] = []
        self.random_value = 0.5
        self._now_s, self._now_utc, self._rate = now_s, now_utc, rate
        self._timers: list[tuple[float, int, ScriptedTimer]] = []
        self._numbers = itertools.count(1)

    # -- the test's side -------------------------------------------------------------------------------------

    def start(self, server: type[S], arguments: dict[str, Any]) -> S:
        started = server(cast(World, self), arguments)
        started.replier = self
        self.server = started
        started.init()
        return started

    def next_incarnation(self, predecessor: Predecessor | None = None) -> ScriptedWorld:
        """The world after this process has died: same clock, stores and files, everything else new."""
        following = ScriptedWorld(
            self.name,
            now_s=self._now_s,
            now_utc=self._now_utc,
            rate=self._rate,
            incarnation=self.incarnation + 1,
            predecessor=predecessor,
        )
        following.files, following.stores, following.trace = self.files, self.stores, self.trace
        following.modes = self.modes
        following.answers, following.http_answers = self.answers, self.http_answers
        following.supervisor.children, following.peers = self.supervisor.children, self.peers
        following.supervisor.dynamic = self.supervisor.dynamic
        return following

    def answer(self, to: str, request: type[Request[Any]], answer: Answer) -> None:
        """``call(to, request)`` gives this: a reply, an exception, or a function of the request."""
        self.answers.insert(0, (to, request, answer))

    def answer_http(self, method: str, part_of_url: str, answer: Answer) -> None:
        """A request whose URL holds this part gives this: an HttpReply, an error, or a function of it."""
        self.http_answers.insert(0, (method, part_of_url, answer))

    def deliver(self, message: Message) -> None:
        """handle_info(message); nothing after the end."""
        self._turn(lambda server: server.handle_info(message))

    def tell(self, message: Message) -> None:
        """A cast arrives."""
        self._turn(lambda server: server.handle_cast(message))

    def ask(self, request: Request[R], caller: str = "tester", timeout_s: float = 5.0, incarnation: int = 1) -> Any:
        """A call arrives; its reply, or None where the server will answer later (then see ``replies``)."""
        number = next(self._numbers)
        asking = Caller(name=caller, incarnation=incarnation, number=number, deadline_s=self._now_s + timeout_s)

        def handle(server: Server) -> None:
            answer = server.handle_call(request, asking)
            if answer is not None:
                self.reply(asking, answer)

        self._turn(handle)
        reply = self.replies.get(number)
        if isinstance(reply, Refused):
            raise reply
        return reply

    def advance(self, seconds: float) -> None:
        """Time passes and each timer is told when it is due."""
        until = self._now_s + seconds
        while self._timers and self._timers[0][0] <= until and self.ended is None:
            self._pass_until(max(self._timers[0][0], self._now_s))
            self._fire_next()
        self._pass_until(max(until, self._now_s))

    def stall(self, seconds: float) -> None:
        """The machine stands still for so long; what was due meanwhile is told late, now."""
        self._pass_until(self._now_s + seconds)
        while self._timers and self._timers[0][0] <= self._now_s and self.ended is None:
            self._fire_next()

    def opened(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The venue answers the opening of the newest stream."""
        self.deliver(StreamOpened(stream=len(self.streams), status=status, headers=dict(headers or {})))

    def feed(self, data: bytes) -> None:
        """Bytes come in on the newest stream."""
        assert not self.streams[-1].closed, "the process has closed this stream: nothing may come of it"
        self.deliver(StreamData(stream=len(self.streams), data=data))

    def stream_ended(self, how: Any = "end", status: int = 200, detail: str = "") -> None:
        self.deliver(StreamEnded(stream=len(self.streams), how=how, status=status, detail=detail))

    def published_on(self, topic: str) -> list[Any]:
        return [message for at, message in self.published if at == topic]

    def event_kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def _turn(self, handle: Callable[[Server], None]) -> None:
        assert self.server is not None, "start a server first"
        if self.ended is None:
            handle(self.server)
            self._terminate_if_ended(self.server)

    def _terminate_if_ended(self, server: Server) -> None:
        if self.ended is not None:
            server.terminate(self.ended.reason)

    def _fire_next(self) -> None:
        timer = heapq.heappop(self._timers)[2]
        if not timer.cancelled:
            self.deliver(timer.message)

    def _pass_until(self, now_s: float) -> None:
        self._now_utc += (now_s - self._now_s) * self._rate
        self._now_s = now_s

    # -- Replier ---------------------------------------------------------------------------------------------

    def reply(self, caller: Caller, message: Message) -> None:
        self.replies[caller.number] = message
        self.trace.append(("reply", type(message).__name__))

    def refuse(self, caller: Caller, reason: str) -> None:
        self.replies[caller.number] = Refused(reason)

    # -- World -----------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        return self._now_s

    def now_utc(self) -> float:
        return self._now_utc

    def market_rate(self) -> float:
        return self._rate

    def call(self, to: str, request: Request[R], *, timeout_s: float) -> R:
        self.calls.append((to, request))
        self.trace.append(("call", f"{to} {type(request).__name__}"))
        for name, kind, answer in self.answers:
            if name == to and isinstance(request, kind):
                reply: R = answer_of(answer, request)
                return reply
        raise NoPeer(f"{to} is not there")

    def cast(self, to: str, message: Message) -> bool:
        self.casts.append((to, message))
        self.trace.append(("cast", f"{to} {type(message).__name__}"))
        return to in self.peers

    def publish(self, topic: str, message: Message) -> None:
        self.published.append((topic, message))
        self.trace.append(("publish", topic))

    def subscribe(self, to: str, topic: str) -> None:
        self.subscriptions.append((to, topic))

    def unsubscribe(self, to: str, topic: str) -> None:
        self.subscriptions.remove((to, topic))

    def after(self, delay_s: float, message: Message) -> ScriptedTimer:
        timer = ScriptedTimer(message)
        heapq.heappush(self._timers, (self._now_s + delay_s, next(self._numbers), timer))
        return timer

    def http(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        request = HttpRequest(method, url, dict(headers), body, timeout_s)
        self.requests.append(request)
        self.trace.append(("http", f"{method} {url}"))
        for of_method, part, answer in self.http_answers:
            if of_method == method and part in url:
                reply: HttpReply = answer_of(answer, request)
                return reply
        raise HttpFailed(f"{method} {url}: nothing is scripted", sent=False)

    def stream(self, url: str, *, headers: Mapping[str, str]) -> int:
        self.streams.append(OpenStream(url, dict(headers)))
        self.trace.append(("stream", url))
        return len(self.streams)

    def close_stream(self, stream: int) -> None:
        self.streams[stream - 1].closed = True

    def store(self, path: str, *, schema: str | None = None) -> MemoryStore:
        store = self.stores[path] = self.stores.get(path) or MemoryStore(path, self.trace)
        if schema is not None:
            resolve_name(schema).apply(sqlite_utils.Database(store.connection))
        return store

    def secret(self, name: str) -> str:
        return self.secrets.get(name, "")

    def file(self, path: str) -> MemoryFile:
        return MemoryFile(path, self)

    def blocking(self, limit_s: float) -> AbstractContextManager[None]:
        return nullcontext()

    def alarm(self, limit_s: float) -> Alarm:
        return Alarm(limit_s)

    def note(self, text: str) -> None:
        assert len(text.encode()) <= 100, "a note has at most 100 bytes"
        self.notes.append(text)

    def fresh(self, for_s: float) -> None:
        self.fresh_until_s = self._now_s + for_s

    def event(
        self,
        kind: str,
        level: Level,
        text: str,
        *,
        incident: str = "",
        opened: bool = False,
        resolved: bool = False,
        **data: Any,
    ) -> None:
        state: Any = "opened" if opened else "resolved" if resolved else ""
        self.events.append(Event(kind, level, self.name, text, self._now_s, self._now_utc, incident, state, data))
        self.trace.append(("event", kind))

    def random(self) -> float:
        return self.random_value

    def new_id(self) -> str:
        return f"{next(self._numbers):022d}"

    def end(self, reason: str = "normal", *, expected: bool = False, shutdown: bool = False) -> None:
        self.ended = self.ended or Ended(reason, expected, shutdown)
