"""The simulated world of one process (see ``process/world.py`` for the promises).

Every method of a dead process's world raises ``WorldEnded``: whatever its unwinding code does has no effect.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from supervisor.errors import BadMessage, HttpFailed, NoPeer, OutcomeUnknown, Refused
from supervisor.messages import (
    Event,
    IncidentState,
    Level,
    Message,
    Predecessor,
    Recorded,
    Request,
    Since,
    StreamData,
    StreamEnded,
    StreamOpened,
)
from supervisor.process.alarm import Alarm
from supervisor.process.outbox import Outbox
from supervisor.process.server import Caller
from supervisor.process.world import HttpReply
from supervisor.runtime.line import LineClient, answered
from supervisor.sim.kernel import NET_S, Entry, Kernel, Moment, Output, WorldEnded
from supervisor.sim.ports import BROKEN, NO_ANSWER, SimFile, SimLine, SimLog, SimStore
from supervisor.sim.publications import RESTATE_S, SimPublications

if TYPE_CHECKING:
    from supervisor.sim.process import SimProcess

R = TypeVar("R", bound=Message)

BASE62 = string.ascii_letters + string.digits


class SimWorld:
    """See ``World``. Every method of a dead process raises ``WorldEnded``."""

    def __init__(self, process: SimProcess, predecessor: Predecessor | None) -> None:
        self.process = process
        self.kernel: Kernel = process.kernel
        self.name = process.name
        self.incarnation = process.incarnation
        self.predecessor = predecessor
        self.ending: tuple[Literal["normal", "shutdown", "expected"], str] | None = None
        self.log = SimLog(self)
        self.supervisor = LineClient(SimLine(self), self)
        self._random = random.Random(f"{self.kernel.seed} {self.name} {self.incarnation}")
        self._number = 0
        self._waits_for = 0
        self.asked_later: dict[int, Request[Any]] = {}
        self._limit_s = 0.0
        self._looks_s = float("inf")
        self._called: SimProcess | None = None
        self.publications = SimPublications(process)
        self._outbox = Outbox(self.name, self.incarnation)
        self._resend: Entry | None = None
        self._streams: dict[int, int] = {}
        self._stores: list[SimStore] = []
        self.held_locks: list[str] = []

    # -- clocks and chance -------------------------------------------------------------------------------

    def now_s(self) -> float:
        if self.process.dead:
            raise WorldEnded
        return self.kernel.now_s

    def now_utc(self) -> float:
        if self.process.dead:
            raise WorldEnded
        return self.kernel.outside.market_utc(self.kernel.now_s)

    def market_rate(self) -> float:
        return self.kernel.outside.rate()

    def random(self) -> float:
        return self._random.random()

    def new_id(self) -> str:
        return "".join(self._random.choice(BASE62) for _ in range(22))

    def after(self, delay_s: float, message: Message) -> Entry:
        if self.process.dead:
            raise WorldEnded
        return self.kernel.after(delay_s if delay_s > 0.0 else 0.0, self.process.put, "info", message)

    # -- messages ------------------------------------------------------------------------------------------

    def call(self, to: str, request: Request[R], *, timeout_s: float) -> R:
        self._boundary()
        peer = self._peer(to)
        if peer is None:
            raise NoPeer(f"{type(request).__name__} to {to}: nobody is there; nothing was sent")
        self.at_moment("calls", type(request).__name__)
        self._number += 1
        caller = Caller(self.name, self.incarnation, self._number, self.kernel.now_s + timeout_s)
        self.kernel.hop((self.name, to), peer.world.on_call, request, caller)
        self._called = peer
        self.at_moment("called", type(request).__name__)
        reply: Any = self.wait_for_reply(timeout_s)
        self._called = None
        self.at_moment("replied", type(request).__name__)
        if reply is NO_ANSWER:
            raise OutcomeUnknown(f"{type(request).__name__} to {to}: no reply within {timeout_s:g} s")
        if reply is BROKEN:
            raise OutcomeUnknown(f"{type(request).__name__} to {to}: it ended before it replied; it may have happened")
        if isinstance(reply, Refused):
            raise reply
        if not isinstance(reply, request.REPLY):
            raise BadMessage(f"{to} answered {type(request).__name__} with {type(reply).__name__}")
        return cast(R, reply)

    def cast(self, to: str, message: Message) -> bool:
        self._boundary()
        peer = self._peer(to)
        if peer is None:
            return False
        self.kernel.hop((self.name, to), peer.world.on_cast, message)
        return True

    def reply(self, caller: Caller, message: Message) -> None:
        self._boundary()
        self._answer(caller, message)

    def refuse(self, caller: Caller, reason: str) -> None:
        self._answer(caller, Refused(reason))

    def _answer(self, caller: Caller, answer: Any) -> None:
        peer = self._peer(caller.name)
        if peer is not None and peer.incarnation == caller.incarnation:
            self.kernel.hop((self.name, caller.name, "reply"), peer.world.on_reply, caller.number, answer)

    def _peer(self, name: str) -> SimProcess | None:
        """Only one that is up to its socket: a child that has not begun yet is not there."""
        peer: SimProcess | None = self.kernel.processes.get(name)
        return peer if peer is not None and not peer.dead else None

    def on_call(self, request: Any, caller: Caller) -> None:
        if isinstance(request, Since):
            if not self.process.dead:
                self._answer(caller, self.publications.missed(request))
        else:
            self.process.put("call", request, caller)

    def on_cast(self, message: Message) -> None:
        if isinstance(message, Recorded):
            self._outbox.recorded(message.up_to)
        else:
            self.process.put("cast", message)

    def on_reply(self, number: int, answer: Any) -> None:
        """A reply that nobody waits for any more is dropped."""
        later = self.asked_later.pop(number, None)
        if later is not None:
            self.process.put("info", answered(answer, later))
        elif not self.process.dead and self._waits_for == number:
            self._waits_for = 0
            self.process.resume(answer)

    def refuse_rest(self) -> None:
        """We are ending: what waits in the mailbox will not be done, and who asked is told so."""
        for kind, _, caller in self.process.mailbox:
            if kind == "call" and caller is not None:
                self.refuse(caller, f"ending: {self.name} is ending and did nothing of it")

    def _break_calls(self) -> None:
        """Who waits for our answer sees the connection break, behind what we have answered."""
        for peer in self.kernel.processes.values():
            if peer.world._called is self.process:
                lane = (self.name, peer.name, "reply")
                self.kernel.hop(lane, peer.world.on_reply, peer.world._waits_for, BROKEN)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def wait_for_reply(self, limit_s: float) -> Any:
        """To the number given last; ``NO_ANSWER`` past the limit."""
        self._waits_for = self._number
        self._limit_s = self.kernel.now_s + limit_s
        if self._limit_s < self._looks_s:
            self._look_at(self._limit_s)
        return self.process.wait()

    def _look_at(self, at_s: float) -> None:
        """Nearly every call is answered: one look a process, put off as calls come and go, and not an event for each
        call that the kernel would carry along until its limit."""
        self._looks_s = at_s
        self.kernel.at(at_s, self._look)

    def _look(self) -> None:
        if self.kernel.now_s < self._looks_s:
            return  # one that was overtaken by an earlier limit
        self._looks_s = float("inf")
        if self._waits_for and self.kernel.now_s >= self._limit_s:
            self.on_reply(self._waits_for, NO_ANSWER)
        elif self._waits_for:
            self._look_at(self._limit_s)

    # -- publications ----------------------------------------------------------------------------------------

    def cast_group(self, group: str, message: Message) -> tuple[str, ...]:
        return tuple(name for name in self.supervisor.members(group) if self.cast(name, message))

    def publish(self, topic: str, message: Message) -> None:
        self._boundary()
        self.at_moment("publishes", type(message).__name__)
        self.publications.publish(topic, message)

    def subscribe(self, to: str, topic: str) -> None:
        self.check_alive()
        self.publications.subscribe(to, topic)

    def unsubscribe(self, to: str, topic: str) -> None:
        self.publications.unsubscribe(to, topic)

    # -- the venue ---------------------------------------------------------------------------------------------

    def http(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        self._boundary()
        self.at_moment("sends", method)
        number = self.next_number()
        asked = (method, url, dict(headers), body or b"")
        self.kernel.cross(self._at_the_venue, number, asked)
        self.at_moment("sent", method)
        answer = self.wait_for_reply(timeout_s)
        self.at_moment("answered", method)
        if isinstance(answer, ConnectionRefusedError):
            raise HttpFailed(f"{method} {url}: {answer}", sent=False)
        if answer is None or answer is NO_ANSWER:
            why = "the connection was cut" if answer is None else f"no answer within {timeout_s:g} s"
            raise HttpFailed(f"{method} {url}: {why}", sent=True)
        reply: HttpReply = answer
        return reply

    def _at_the_venue(self, number: int, asked: tuple[str, str, dict[str, str], bytes]) -> None:
        """The request has left: the venue acts on it whether its sender still lives or not."""
        try:
            answer: Any = self.kernel.outside.request(*asked, self.kernel.now_s)
        except ConnectionRefusedError as refused:
            answer = refused
        self.kernel.let_outside_go_on()
        self.kernel.cross(self.on_reply, number, answer)
        if not self.process.dead:
            self.at_moment("booked", asked[0])

    def stream(self, url: str, *, headers: Mapping[str, str]) -> int:
        self._boundary()
        number = self.next_number()
        self._streams[number] = 0
        self.kernel.post(NET_S, self._open, number, url, dict(headers))
        return number

    def _open(self, number: int, url: str, headers: dict[str, str]) -> None:
        if self.process.dead or number not in self._streams:
            return
        opened = self.kernel.outside.open(url, headers, self.kernel.now_s)
        how: Any = "refused" if opened.status else "error"
        told: Message = StreamEnded(number, how, opened.status, opened.body.decode(errors="replace"))
        if opened.stream:
            self._streams[number] = opened.stream
            self.kernel.streams[opened.stream] = (self, number)
            told = StreamOpened(number, opened.status, opened.headers)
        self.kernel.post(NET_S, self.process.put, "info", told)
        self.kernel.let_outside_go_on()

    def on_stream(self, number: int, output: Output) -> None:
        if self.process.dead or number not in self._streams:
            return
        if output.end:
            del self._streams[number]
            how: Any = output.end
            self.process.put("info", StreamEnded(number, how, 200, "the venue ended the stream"))
        else:
            self.process.put("info", StreamData(number, output.data))

    def close_stream(self, stream: int) -> None:
        opened = self._streams.pop(stream, 0)
        if opened:
            self.kernel.streams.pop(opened, None)
            self.kernel.outside.close(opened)

    # -- what outlives us ----------------------------------------------------------------------------------------

    def store(self, path: str, *, schema: str | None = None) -> SimStore:
        self.check_alive()
        opened = SimStore(self, path, schema)
        self._stores.append(opened)
        return opened

    def secret(self, name: str) -> str:
        return ""

    def file(self, path: str) -> SimFile:
        self.check_alive()
        return SimFile(self, path)

    def release(self) -> None:
        """What a kernel does for a dead process: its sockets close, its locks open, its open transaction never was."""
        for connection in self.kernel.disks.values():
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        for opened in self._stores:
            opened.out_of_reach()
        self._break_calls()
        for path in self.held_locks:
            self.kernel.locks.pop(path, None)
        for stream in self._streams.values():
            if stream:
                self.kernel.streams.pop(stream, None)
                self.kernel.outside.close(stream)

    # -- the supervisor, the page, the record -----------------------------------------------------------------------

    def say(self, message: Message) -> None:
        """A word to the supervisor."""
        self.check_alive()
        desk = self.process.desk
        self.kernel.hop((self.name, self.incarnation), desk.heard, self.process, message)

    def blocking(self, limit_s: float) -> AbstractContextManager[None]:
        return nullcontext()

    def alarm(self, limit_s: float) -> Alarm:
        """Of this machine's time: what hangs in here would hang the whole simulation."""
        return Alarm(limit_s)

    def note(self, text: str) -> None:
        self.process.note = text

    def fresh(self, for_s: float) -> None:
        self.process.fresh_until_s = self.kernel.now_s + for_s

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
        self.check_alive()
        state: IncidentState = "opened" if opened else "resolved" if resolved else ""
        self._outbox.add(Event(kind, level, self.name, text, self.now_s(), self.now_utc(), incident, state, data))
        self._flush_events()

    def _flush_events(self) -> None:
        batch = self._outbox.batch()
        recorder = self.process.desk.record_to
        if batch is None or self.process.dead or recorder in ("", self.name):
            return
        peer = self._peer(recorder)
        if peer is not None:
            self.kernel.hop((self.name, recorder), peer.world.on_cast, batch)
        if self._resend is not None:
            self._resend.cancel()
        self._resend = self.kernel.after(RESTATE_S, self._flush_events)

    def end(self, reason: str = "normal", *, expected: bool = False, shutdown: bool = False) -> None:
        self.ending = ("expected" if expected else "shutdown" if shutdown else "normal", reason)

    def check_alive(self) -> None:
        if self.process.dead:
            raise WorldEnded

    def at_moment(self, moment: Moment, about: str) -> None:
        """Something lasting is about to be done here, or has just been done (see ``kernel.Moment``)."""
        if self.process.dead:
            raise WorldEnded
        if not self.kernel.calm:
            self.kernel.chances.at_moment(self.name, moment, about)

    def _boundary(self) -> None:
        if self.process.dead:
            raise WorldEnded
        if not self.kernel.calm:
            self.process.boundary()
