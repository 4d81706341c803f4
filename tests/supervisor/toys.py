"""Small servers and a small desk for the tests of real processes. Imported by the supervising process under test."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from supervisor.messages import (
    BackOff,
    ChildSpec,
    Done,
    Message,
    Request,
    Subscribed,
    SupervisorFlags,
)
from supervisor.process.server import Caller, IgnoreStart, Server

GATE_LIMIT_S = 60.0


class Add(Request["Sum"], frozen=True):
    """Answered with the running sum; ``sleep_s`` first, to be late on purpose."""

    number: int
    sleep_s: float = 0.0


class Sum(Message, frozen=True):
    total: int
    incarnation: int
    predecessor: str


Add.REPLY = Sum


class ReadHeard(Request["Heard"], frozen=True):
    """What a listener has heard so far."""


class Heard(Message, frozen=True):
    numbers: tuple[int, ...]
    welcomes: int


ReadHeard.REPLY = Heard


class Say(Request[Done], frozen=True):
    """Publish the numbers from ``first`` on, ``count`` of them."""

    REPLY = Done
    first: int
    count: int


class Number(Message, frozen=True):
    number: int


class Do(Request[Done], frozen=True):
    """End in the way that is named: crash, normal, expected. ``leave_unheard``: once somebody has written to us, and
    unread. ``wait``: until the file ``gate`` is there; nothing is heard before."""

    REPLY = Done
    what: str
    gate: str = ""


class DoIt(Message, frozen=True):
    what: str


def wait_for(gate: Path) -> None:
    """Until a test has made this file: it is then done with what was to be seen before."""
    until_s = time.monotonic() + GATE_LIMIT_S
    while not gate.exists():
        assert time.monotonic() < until_s, "the gate was never opened"
        time.sleep(0.01)


class Counter(Server):
    """Keeps a sum in memory: a new incarnation has forgotten it."""

    def init(self) -> None:
        if self.arguments.get("ignore"):
            raise IgnoreStart("told to")
        if "gate" in self.arguments:
            wait_for(Path(self.arguments["gate"]))
        self.total = 0

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        match request:
            case Add():
                if request.sleep_s:
                    with self.world.blocking(request.sleep_s):
                        time.sleep(request.sleep_s)
                self.total += request.number
                before = self.world.predecessor
                return Sum(self.total, self.world.incarnation, f"{before.why}|{before.note}" if before else "")
            case Say():
                for number in range(request.first, request.first + request.count):
                    self.world.publish("numbers", Number(number))
                return Done()
            case Do(what="wait" | "leave_unheard"):
                self.reply(caller, Done())  # whoever has it knows that we are in this handler, and hear nothing
                with self.world.blocking(GATE_LIMIT_S):
                    if request.what == "wait":
                        wait_for(Path(request.gate))
                    else:
                        assert self.world._inbox.socket.poll(GATE_LIMIT_S * 1000), "nobody has written"
                        self.world.end()
                return None
            case Do():
                self.world.note(f"doing {request.what}")
                self.world.after(0.0, DoIt(request.what))
                return Done()
        return super().handle_call(request, caller)

    def handle_info(self, message: Message) -> None:
        assert isinstance(message, DoIt)
        match message.what:
            case "crash":
                raise ZeroDivisionError("on purpose")
            case "normal":
                self.world.end()
            case "expected":
                self.world.end("routine", expected=True)

    def terminate(self, reason: str) -> None:
        if self.arguments.get("slow_stop_s"):
            time.sleep(self.arguments["slow_stop_s"])


class Listener(Server):
    """Follows the numbers of another process."""

    def init(self) -> None:
        self.numbers: list[int] = []
        self.welcomes = 0
        self.world.subscribe(self.arguments["to"], "numbers")

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Subscribed):
            self.welcomes += 1
        elif isinstance(message, Number):
            self.numbers.append(message.number)

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, ReadHeard):
            return Heard(tuple(self.numbers), self.welcomes)
        return super().handle_call(request, caller)


def worker(child_id: str, **fields: Any) -> ChildSpec:
    return ChildSpec(id=child_id, **{"start": "tests.supervisor.toys:Counter", "liveness_limit_s": 2.0, **fields})


def group(child_id: str, *children: ChildSpec, **flags: Any) -> ChildSpec:
    return ChildSpec(
        id=child_id,
        type="supervisor",
        restart="transient",
        supervisor=SupervisorFlags(**{"intensity": 50, "period_s": 60.0, **flags}),
        children=children,
    )


def toy_desk() -> ChildSpec:
    return ChildSpec(
        id="toys",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=50, period_s=60.0),
        children=(
            ChildSpec(id="control", start="supervisor.control.server:ControlServer"),
            group("all", worker("a"), worker("b"), worker("c"), strategy="one_for_all"),
            group("one", worker("permanent"), worker("transient", restart="transient")),
            group("pubsub", worker("speaker"), listener("listener", "pubsub/speaker")),
            group("spare", dynamic=True),
            group(
                "held",
                worker("elder"),
                worker("failing"),
                strategy="one_for_all",
                intensity=1,
                period_s=30.0,
                back_off=BackOff(base_s=0.05, cap_s=0.2, healthy_s=60.0),
            ),
        ),
    )


def listener(child_id: str, to: str) -> ChildSpec:
    return worker(child_id, start="tests.supervisor.toys:Listener", arguments={"to": to})
