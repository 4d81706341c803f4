"""The real world: an OS process with one loop over ZeroMQ, the supervisor's socketpair, timers and streams.

Promises are in ``world.py``. Handlers run one at a time in the main thread; threads only open streams.
"""

from __future__ import annotations

import heapq
import itertools
import random
import secrets
import string
import time
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import zmq

from supervisor.errors import BadMessage, Refused
from supervisor.messages import (
    Ending,
    Event,
    IncidentState,
    Level,
    Message,
    Missed,
    Recorded,
    Request,
    Since,
    Stop,
)
from supervisor.process.alarm import Alarm
from supervisor.process.ceiling import limit_memory
from supervisor.process.clock import Clock
from supervisor.process.files import SharedFile
from supervisor.process.inbox import Inbox
from supervisor.process.logs import FieldLog
from supervisor.process.outbox import Outbox
from supervisor.process.secrets import read_secret
from supervisor.process.server import Caller, Server
from supervisor.process.store import SqliteStore
from supervisor.process.streams import Streams
from supervisor.process.web import Web
from supervisor.process.world import HttpReply
from supervisor.runtime.line import Line
from supervisor.runtime.place import identity
from supervisor.runtime.pulse import Pulse
from supervisor.wire.limits import INSIDE, SocketLimits
from supervisor.wire.peers import CAST_CONNECT_S, Peers, readable
from supervisor.wire.publications import Publisher, Subscription
from supervisor.wire.seldom import Seldom

R = TypeVar("R", bound=Message)

TURNS_PER_LIMIT = 4
"""An idle loop turns this often within its liveness limit."""
RESTATE_S = 1.0
"""Publications are restated, and unrecorded events sent again, this often."""
LAST_WORDS_S = 3600.0
"""What ``terminate`` may take where the child spec sets no limit (shutdown infinity); then it hangs."""
FAREWELL_S = 0.5
"""What a process that ends waits for its last events to be recorded: a synced commit and two hops take a hundredth."""
READS_A_TURN_MAX = 200
"""Messages taken from one socket before the others have their turn."""
BASE62 = string.ascii_letters + string.digits


class Beat(Message, frozen=True):
    """The base's own second: restate, send what is unrecorded."""


class Due:
    """A timer: compared by time, then by the sequence in which it was set."""

    def __init__(self, at_s: float, order: int, message: Message) -> None:
        self.key = (at_s, order)
        self.message: Message | None = message

    def __lt__(self, other: Due) -> bool:
        return self.key < other.key

    def cancel(self) -> None:
        self.message = None


class RealWorld:
    """See ``World``. Made in the child after the fork; ``run`` returns the exit status."""

    def __init__(self, birth: Any, line: Line, pulse: Pulse, log: FieldLog, limits: SocketLimits = INSIDE) -> None:
        self.name: str = birth.name
        self.incarnation: int = birth.incarnation
        self.predecessor = birth.predecessor
        self.log = log
        self._settings = birth.settings
        self._limit_s: float = birth.spec.liveness_limit_s
        self._pulse = pulse
        self.blocking, self.note, self.fresh = pulse.blocking, pulse.note, pulse.fresh
        self._last_words_s: float = min(LAST_WORDS_S, birth.spec.shutdown_limit_s)
        self._line = line
        self.supervisor = line.client(self)
        self._context = zmq.Context(io_threads=2 if limits.connections_max else 1)
        self._runtime_dir: Path = birth.settings.runtime_dir
        self._home = identity(Path(self._settings.home))
        self._seldom = Seldom()
        self._inbox = Inbox(self._context, self._runtime_dir, self.name, self.incarnation, limits, self._complain)
        self.reply, self.refuse = self._inbox.reply, self._inbox.refuse
        self._publisher = Publisher(self._context, self._runtime_dir, self.name, self.incarnation)
        self._peers = Peers(self._context, self._runtime_dir, self.name, self.incarnation)
        self._subscriptions: dict[str, Subscription] = {}
        self._cut_off = False
        self._timers: list[Due] = []
        self._order = itertools.count()
        self._mailbox: deque[Message] = deque()
        self._clock = Clock(birth.settings.clock_file)
        self._outbox = Outbox(self.name, self.incarnation)
        self._ending: tuple[Literal["normal", "shutdown", "expected"], str] | None = None
        self._poller = zmq.Poller()
        self._streams = Streams(self._poller)
        door = (self._inbox.door.socket,) if self._inbox.door else ()
        for source in (self._inbox.socket, self._publisher.socket, line.fd, *door):
            self._poller.register(source, zmq.POLLIN)
        limit_memory(limits.memory_mib)

    # -- the loop ----------------------------------------------------------------------------------

    def run(self, server: Server) -> None:
        """Until told to stop or ``end``. Exceptions of the server go through: they are the process's death."""
        server.replier = self
        with self.blocking(self._limit_s):
            server.init()
        self._pulse.beat()  # before the word: who hangs right behind it is judged by this limit, not by the start's
        self._line.ready()
        self.after(RESTATE_S, Beat())
        while self._ending is None:
            self._turn(server)
        how, reason = self._ending
        self._line.send(Ending(how, reason))
        with self.blocking(self._last_words_s):
            server.terminate(reason)

    def farewell(self) -> None:
        """However it ends, but for a kill. Who still waits for an answer is told at once that none will come; what
        happened last is the most wanted, so wait until it is recorded, or for as long as a recorder may take."""
        until_s = time.monotonic() + FAREWELL_S
        self._flush_events(CAST_CONNECT_S, FAREWELL_S)
        self._hear_last(0.0)
        while self._outbox.batch() is not None and (left_s := until_s - time.monotonic()) > 0:
            self._hear_last(left_s)
        self._inbox.close(FAREWELL_S)
        self._publisher.socket.close(linger=int(FAREWELL_S * 1000))
        self._peers.close()
        for subscription in self._subscriptions.values():
            subscription.socket.close()
        self._context.term()  # what was sent a moment ago leaves before the process does

    def _hear_last(self, wait_s: float) -> None:
        """Nothing is done any more: calls are refused, so that nobody takes them for done or waits for them."""
        for message, caller in self._inbox.take(READS_A_TURN_MAX, wait_s):
            if caller is not None:
                self.refuse(caller, f"ending: {self.name} is ending and did nothing of it")
            elif isinstance(message, Recorded):
                self._outbox.recorded(message.up_to)
                self._flush_events()

    def _turn(self, server: Server) -> None:
        self._pulse.beat()
        ready = dict(self._poller.poll(self._sleep_ms()))
        if self._line.waiting or self._line.fd in ready:
            self._mailbox.extend(self._line.read())
        self._inbox.look_at_door()
        self._mailbox.extend(self._streams.take(ready))
        if self._publisher.socket in ready:
            self._publisher.on_subscription()
        self._dispatch_mailbox(server)
        for subscription in list(self._subscriptions.values()):
            if subscription.socket in ready:
                self._take_publications(subscription, server)
        if self._inbox.socket in ready and self._ending is None:
            self._take_requests(server)
        self._fire_timers(server)

    def _take_publications(self, subscription: Subscription, server: Server) -> None:
        """Each is handled before it is looked whether there is another: to find that there is none takes as long as a
        publication that somebody waits for."""
        for _ in range(READS_A_TURN_MAX):
            subscription.take()
            self._dispatch_mailbox(server)
            if self._ending is not None or subscription.socket.closed or not readable(subscription.socket):
                return

    def _sleep_ms(self) -> int:
        idle_s = self._limit_s / TURNS_PER_LIMIT
        if self._mailbox or self._line.waiting:
            return 0
        if self._timers:
            idle_s = min(idle_s, self._timers[0].key[0] - time.monotonic())
        return max(0, int(idle_s * 1000 + 0.999))

    def _dispatch_mailbox(self, server: Server) -> None:
        while self._mailbox and self._ending is None:
            message = self._mailbox.popleft()
            if isinstance(message, Stop):
                self._ending = ("shutdown", message.reason)
            else:
                self._handle(server.handle_info, message)

    def _handle(self, handler: Any, message: Message) -> None:
        self._pulse.beat()
        handler(message)

    def _fire_timers(self, server: Server) -> None:
        now_s = time.monotonic()
        while self._timers and self._timers[0].key[0] <= now_s and self._ending is None:
            message = heapq.heappop(self._timers).message
            if isinstance(message, Beat):
                self._beat()
            elif message is not None:
                self._handle(server.handle_info, message)

    def _beat(self) -> None:
        if news := self._clock.news():
            self.log.warning(news)
        for kind, count, text in self._seldom.due(self.now_s()):
            self.log.warning(text, kind=kind, times_since_last_told=count)
        self._look_at_sockets()
        self._publisher.restate_all()
        self._flush_events()
        self._mailbox.extend(self._streams.overdue(self.now_s()))
        self.after(RESTATE_S, Beat())

    def _look_at_sockets(self) -> None:
        """Removed by whoever tidies up, they would keep out everybody who is not in yet: commands, and what starts
        again. (A home that is gone the supervisor tells, once for all; in another of its name nothing is made.)"""
        if identity(Path(self._settings.home)) != self._home:
            return
        try:
            made = [self._inbox.bound.again(), self._publisher.bound.again()]
        except OSError as error:
            if not self._cut_off:
                self._cut_off = True
                text = f"somebody has removed a socket of {self.name}, and it cannot be made again: {error}"
                self.event("socket.lost", "PAGE", text, incident=f"socket:{self.name}", opened=True)
            return
        if any(made):
            text = f"somebody has removed sockets of {self.name} in {self._runtime_dir}: made again, nobody was cut off"
            self.event("socket.renewed", "DIGEST", text)
        if self._cut_off:
            self._cut_off = False
            text = f"{self.name} has its sockets again"
            self.event("socket.found", "DIGEST", text, incident=f"socket:{self.name}", resolved=True)

    # -- requests from others ----------------------------------------------------------------------

    def _take_requests(self, server: Server) -> None:
        for message, caller in self._inbox.take(READS_A_TURN_MAX):
            if caller is None:
                self._on_cast(server, message)
            elif not caller.deadline_s >= time.monotonic():  # said so, as "not a number" is never less
                what = type(message).__name__
                self._complain("expired", "dropped a request that is expired", sender=caller.name, request=what)
            else:
                self._on_call(server, message, caller)
            if self._ending is not None:
                return

    def _on_cast(self, server: Server, message: Message) -> None:
        if isinstance(message, Recorded):
            self._outbox.recorded(message.up_to)
            if self._outbox.batch() is not None:
                self._flush_events()
        else:
            self._handle(server.handle_cast, message)

    def _on_call(self, server: Server, message: Message, caller: Caller) -> None:
        if isinstance(message, Since):
            self.reply(caller, self._publisher.missed(message))
            return
        assert isinstance(message, Request)
        self._pulse.beat()
        try:
            reply = server.handle_call(message, caller)
        except Refused as no:
            self.refuse(caller, str(no))
            return
        if reply is not None:
            self.reply(caller, reply)

    def _complain(self, kind: str, text: str, **fields: Any) -> None:
        """Of what others do to us as often as they like: told at once, then counted and told once a minute."""
        if self._seldom.heard(kind, text, time.monotonic()):
            self.log.warning(text, **fields)

    # -- what the process asks for (World) ---------------------------------------------------------

    def now_s(self) -> float:
        return time.monotonic()

    def now_utc(self) -> float:
        return self._clock.market_utc()

    def market_rate(self) -> float:
        return self._clock.rate()

    def call(self, to: str, request: Request[R], *, timeout_s: float) -> R:
        with self.blocking(timeout_s):
            reply = self._peers.call(to, request, timeout_s)
        if not isinstance(reply, request.REPLY):
            raise BadMessage(f"{to} answered {type(request).__name__} with {type(reply).__name__}")
        return reply  # type: ignore[return-value]

    def cast(self, to: str, message: Message) -> bool:
        return self._peers.cast(to, message)

    def cast_group(self, group: str, message: Message) -> tuple[str, ...]:
        return tuple(name for name in self.supervisor.members(group) if self.cast(name, message))

    def publish(self, topic: str, message: Message) -> None:
        self._publisher.publish(topic, message)

    def subscribe(self, to: str, topic: str) -> None:
        subscription = self._subscriptions.get(to)
        if subscription is None:
            subscription = Subscription(self._context, self._runtime_dir, to, self._fetch, self._mailbox.append)
            self._subscriptions[to] = subscription
            self._poller.register(subscription.socket, zmq.POLLIN)
        subscription.add(topic)

    def unsubscribe(self, to: str, topic: str) -> None:
        subscription = self._subscriptions.get(to)
        if subscription is None:
            return
        subscription.remove(topic)
        if not subscription.topics:
            self._poller.unregister(subscription.socket)
            subscription.socket.close()
            del self._subscriptions[to]

    def _fetch(self, to: str, request: Since) -> Missed:
        return self.call(to, request, timeout_s=RESTATE_S)

    def after(self, delay_s: float, message: Message) -> Due:
        due = Due(time.monotonic() + delay_s, next(self._order), message)
        heapq.heappush(self._timers, due)
        return due

    @cached_property
    def _web(self) -> Web:
        """Made when it is first needed: most processes never ask the web, and the session costs 0.6 ms of a start."""
        return Web()

    def http(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        with self.blocking(2 * timeout_s):
            return self._web.request(method, url, headers, body, timeout_s)

    def stream(self, url: str, *, headers: Mapping[str, str]) -> int:
        return self._streams.open(url, headers)

    def close_stream(self, stream: int) -> None:
        self._streams.close(stream)

    def store(self, path: str, *, schema: str | None = None) -> SqliteStore:
        return SqliteStore(self._in_home(path), schema)

    def secret(self, name: str) -> str:
        return read_secret(name)

    def file(self, path: str) -> SharedFile:
        return SharedFile(self._in_home(path), self.blocking)

    def _in_home(self, path: str) -> Path:
        return Path(self._settings.home) / path

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
        state: IncidentState = "opened" if opened else "resolved" if resolved else ""
        event = Event(kind, level, self.name, text, self.now_s(), self.now_utc(), incident, state, data)
        (self.log.warning if level in ("PAGE", "NOTIFY") else self.log.info)(text, kind=kind, **data)
        self._outbox.add(event)
        self._flush_events()

    def _flush_events(self, wait_s: float = 0.0, greeting_s: float = 0.0) -> None:
        """Does not wait in the middle of work: a recorder that is away gets them when it is back."""
        batch = self._outbox.batch()
        if batch is not None and self._settings.record_to not in ("", self.name):
            self._peers.cast(self._settings.record_to, batch, wait_s, greeting_s)

    def alarm(self, limit_s: float) -> Alarm:
        return Alarm(limit_s)

    def random(self) -> float:
        return random.random()

    def new_id(self) -> str:
        return "".join(secrets.choice(BASE62) for _ in range(22))

    def end(self, reason: str = "normal", *, expected: bool = False, shutdown: bool = False) -> None:
        self._ending = ("expected" if expected else "shutdown" if shutdown else "normal", reason)
