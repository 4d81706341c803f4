"""The holder's side of a lease."""

from typing import Any

import pytest

from feeds.lease import Lease
from feeds.messages import StillNeeded
from supervisor.errors import OutcomeUnknown
from supervisor.messages import Down, Message, Up
from supervisor.process.server import Server
from tests.feeds.parts import CONFIG, CONNECTION, TIMING
from tests.scripted_world import ScriptedWorld


class Holder(Server):
    def init(self) -> None:
        self.other: list[Message] = []
        self.lease = Lease(self.world, CONFIG, TIMING, feeds=("bars/SPY/60",), accounts=("SIM1",))
        self.lease.start()

    def handle_info(self, message: Message) -> None:
        if not self.lease.handle_info(message):
            self.other.append(message)


NAME = "sessions/a/data_source"
WORD = (CONNECTION, StillNeeded(NAME, ("bars/SPY/60",), ("SIM1",)))
ENSURED = ("ensure_child", "connections/sim")


@pytest.fixture
def world() -> ScriptedWorld:
    return ScriptedWorld(NAME)


@pytest.fixture
def holder(world: ScriptedWorld) -> Holder:
    arguments: dict[str, Any] = {}
    return world.start(Holder, arguments)


@pytest.mark.usefixtures("holder")
def test_it_is_said_every_15_seconds(world: ScriptedWorld) -> None:
    world.peers.add(CONNECTION)
    world.advance(60.0)
    assert world.casts == [WORD] * 5
    assert world.supervisor.requests == []


@pytest.mark.usefixtures("holder")
def test_it_is_said_at_once_when_the_connection_comes_up(world: ScriptedWorld) -> None:
    world.peers.add(CONNECTION)
    world.advance(1.0)
    world.deliver(Up(CONNECTION, 2))
    assert world.casts == [WORD] * 2
    assert world.supervisor.watched == [CONNECTION]


@pytest.mark.usefixtures("holder")
def test_a_connection_that_is_not_there_is_ensured(world: ScriptedWorld) -> None:
    world.advance(0.0)
    assert world.supervisor.requests == [ENSURED]


@pytest.mark.usefixtures("holder")
def test_a_supervisor_that_does_not_answer_is_asked_again(world: ScriptedWorld) -> None:
    world.supervisor.answers["ensure_child"] = OutcomeUnknown("no reply within 15 s")
    world.advance(30.0)
    assert world.supervisor.requests == [ENSURED] * 3


def test_init_asks_nobody(world: ScriptedWorld, holder: Holder) -> None:
    assert world.casts == []
    assert world.supervisor.requests == []


def test_what_is_not_the_leases_is_left_to_the_holder(world: ScriptedWorld, holder: Holder) -> None:
    up, down = Up(CONNECTION, 2), Down(CONNECTION, 1, "killed by signal 9")
    world.deliver(up)
    world.deliver(down)
    assert holder.other == [up, down]


def test_another_need_is_said_at_once(world: ScriptedWorld, holder: Holder) -> None:
    holder.lease.change(feeds=())
    assert world.casts[-1] == (CONNECTION, StillNeeded(NAME, (), ()))
