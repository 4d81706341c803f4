"""Control asks the recorder without waiting, answers when it is stored, and tells those concerned."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.errors import Refused
from supervisor.messages import Done, Message, Request
from supervisor.process.server import Caller
from tests.scripted_world import ScriptedWorld
from tests.trader.session_world import SessionWorld
from trader.desk.commands import Commit, Committed, EnsureNow, HoldLifted, HoldSet, LiftHold, SetHold, StopSession
from trader.desk.control import COMMIT_LIMIT_S, Control
from trader.desk.recorder import Recorder
from trader.holds import Level, PersonHold
from trader.messages import HoldsChanged
from trader.sessions import manager_name

HOLD = SetHold(session="es", level="hold", by="ann")
STOOD = PersonHold("es", Level.HOLD, "ann", "", 0.0)


class Answers:
    """What came back to whom."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Any]] = []

    def reply(self, caller: Caller, message: Message) -> None:
        self.told.append((caller.number, message))

    def refuse(self, caller: Caller, reason: str) -> None:
        self.told.append((caller.number, reason))


@pytest.fixture
def world() -> ScriptedWorld:
    made = ScriptedWorld("control")
    made.peers |= {"recorder", "ensure_sessions", manager_name("es")}
    return made


@pytest.fixture
def control(world: ScriptedWorld) -> Control:
    made = world.start(Control, {})
    made.replier = Answers()
    return made


def ask(control: Control, request: Request[Any], number: int = 1) -> None:
    assert control.handle_call(request, Caller("ann", 1, number, 1e9)) is None


def told(control: Control) -> list[tuple[int, Any]]:
    assert isinstance(control.replier, Answers)
    return control.replier.told


def asked(world: ScriptedWorld) -> list[Commit]:
    return [message for _, message in world.casts if isinstance(message, Commit)]


def test_answers_come_when_stored_to_the_one_who_asked(world: ScriptedWorld, control: Control) -> None:
    ask(control, HOLD, 1)
    ask(control, LiftHold(session="es", by="ann"), 2)
    assert told(control) == []
    first, second = asked(world)
    lifted = HoldLifted(8, ("es",), STOOD)
    world.tell(Committed(second.number, lifted))
    world.tell(Committed(first.number, refused="no"))
    assert told(control) == [(2, lifted), (1, "no")]
    assert [message for to, message in world.casts if to == manager_name("es")] == [HoldsChanged()]


def test_recorder_that_hangs_keeps_nobody_waiting_and_its_late_answer_counts_for_nothing(
    world: ScriptedWorld, control: Control
) -> None:
    ask(control, HOLD)
    world.advance(COMMIT_LIMIT_S)
    ((number, why),) = told(control)
    assert (number, str(why).startswith("outcome unknown: ")) == (1, True)
    world.tell(Committed(asked(world)[0].number, HoldSet(7, ("es",))))
    assert len(told(control)) == 1


def test_absent_recorder_is_said_at_once(world: ScriptedWorld, control: Control) -> None:
    world.peers.remove("recorder")
    with pytest.raises(Refused, match="not done: the recorder is not there"):
        control.handle_call(HOLD, Caller("ann", 1, 1, 1e9))


def test_stopped_session_nudges_ensure_sessions_also_where_the_outcome_is_unknown(
    world: ScriptedWorld, control: Control
) -> None:
    ask(control, StopSession(name="es"))
    world.tell(Committed(asked(world)[0].number, Done()))
    ask(control, StopSession(name="es"))
    world.advance(COMMIT_LIMIT_S)
    assert [to for to, message in world.casts if isinstance(message, EnsureNow)] == ["ensure_sessions"] * 2


def test_recorder_does_nothing_after_the_deadline_and_answers_in_words() -> None:
    world = SessionWorld("recorder", incarnation=5_000_001)
    world.peers.add("control")
    world.start(Recorder, {})
    world.tell(Commit(1, world.now_s() + 1.0, HOLD))
    world.tell(Commit(2, world.now_s() - 1.0, SetHold(session="", level="halt", by="ann")))
    world.tell(Commit(3, world.now_s() + 1.0, SetHold(session="", level="halt", by="ann")))
    refused, done = [message for _, message in world.casts if isinstance(message, Committed)]
    assert (refused.number, "no session is called 'es'" in refused.refused) == (1, True)
    assert (done.number, done.reply) == (3, HoldSet(1, ()))
