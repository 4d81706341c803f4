"""The simulated world itself: what a killed, a frozen and a slow process may do, and that chance has one source."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.messages import ChildSpec, CountChildren, StartChild
from supervisor.sim.desk import SimDesk
from supervisor.sim.kernel import START_S, Calm, Moment
from tests.simulate.toys import COUNTER, LISTENER, Ask, Jittery, Losing, Put, call, cast, desk, run, told, toy
from tests.supervisor.group_toys import Move, Spread, member
from tests.supervisor.toys import Add, Do, Listener, Say, listener, worker
from trader.simulate.faults import Mishaps, Odds
from trader.simulate.moments import Aimed, Point

LIMIT_S = 2.0
"""Of liveness, of the toys."""


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Listener]:
    """The listeners of a test, to look into: processes of one interpreter can be."""
    made: list[Listener] = []
    init = Listener.init

    def remember(self: Listener) -> None:
        made.append(self)
        init(self)

    monkeypatch.setattr(Listener, "init", remember)
    return made


def asked(sim: SimDesk, number: int, limit_s: float) -> None:
    cast(sim, "asker", Ask("counter", number, limit_s))


ASKER: ChildSpec = toy("asker", "Asker")


# -- the dead ----------------------------------------------------------------------------------------------------------


def test_killed_process_cannot_send_write_or_commit_while_it_unwinds(heard: list[Listener]) -> None:
    stubborn = toy("stubborn", "Stubborn", restart="temporary")
    sim = desk(COUNTER, toy("silent", "Silent"), listener("listener", "stubborn"), stubborn, ASKER)
    assert sim.kill_process("stubborn")
    run(sim, 5.0)
    assert sim.kernel.disks["said.db"].execute("SELECT count(*) FROM said").fetchone() == (0,)
    assert heard[-1].numbers == []
    asked(sim, 1, 1.0)
    run(sim, 0.5)
    assert told(sim, "asker")[-1].startswith("1 at"), "what it sent while it unwound was counted"


def test_caller_of_a_process_that_is_killed_learns_it_at_once() -> None:
    sim = desk(COUNTER, ASKER)
    sim.freeze("counter", 1.0)
    asked(sim, 1, 20.0)
    run(sim, 0.5)
    assert told(sim, "asker") == []
    sim.kill_process("counter")
    run(sim, 0.01)
    assert told(sim, "asker") == ["OutcomeUnknown at 1000.600"]


def test_call_to_a_frozen_process_is_unknown_after_its_limit_and_a_later_reply_is_dropped() -> None:
    sim = desk(COUNTER, ASKER)
    sim.freeze("counter", 1.5)
    asked(sim, 1, 1.0)
    run(sim, 1.1)
    assert told(sim, "asker") == ["OutcomeUnknown at 1001.100"]
    run(sim, 1.0)
    asked(sim, 1, 1.0)
    run(sim, 0.1)
    assert told(sim, "asker")[1:] == ["1 at 1002.200"], "the first call was expired when the counter came to it"


def test_each_call_has_its_own_limit_whatever_the_ones_before_had() -> None:
    sim = desk(COUNTER, ASKER)
    for limit_s in (20.0, 0.5, 1.0):
        asked(sim, 1, limit_s)
        run(sim, 0.1)
        sim.freeze("counter", 1.8)
        asked(sim, 1, limit_s)
        run(sim, 2.0)
    outcomes = [line.split(" at ")[0] for line in told(sim, "asker")]
    assert outcomes == ["1", "2", "3", "OutcomeUnknown", "4", "OutcomeUnknown"]


def test_process_dies_at_the_very_boundary_that_was_drawn() -> None:
    mishaps = Mishaps(Odds(0.0, 0.0, 0.0), Aimed())
    sim = desk(COUNTER, ASKER, chances=mishaps)  # type: ignore[arg-type]
    mishaps.arm("counter", 4)  # take, reply, take; the second reply is never sent
    for _ in range(2):
        asked(sim, 1, 0.5)
        run(sim, 0.2)
    assert [line.split()[0] for line in told(sim, "asker")] == ["1", "OutcomeUnknown"]


@pytest.mark.parametrize(("moment", "counted"), [("calls", 0), ("called", 1), ("replied", 1)])
def test_process_dies_at_the_exact_moment_that_was_aimed_at(moment: Moment, counted: int) -> None:
    aimed = Aimed()
    sim = desk(COUNTER, ASKER, chances=Mishaps(Odds(0.0, 0.0, 0.0), aimed))  # type: ignore[arg-type]
    aimed.aim("asker", Point("asker", moment, "Add"), 1, lambda: sim.killed(sim.kids["asker"]))
    asked(sim, 1, 0.5)
    run(sim, 0.5)
    assert aimed.met == {f"asker {moment} Add": 1}
    asked(sim, 1, 0.5)
    run(sim, 0.5)
    assert [line.split()[0] for line in told(sim, "asker")] == [str(counted + 1)]


def test_supervisor_that_is_killed_leaves_nothing_and_its_next_life_begins_anew() -> None:
    sim = desk(COUNTER, ASKER)
    sim.kill_all()
    run(sim, 10.0)
    assert sim.kernel.processes == {}
    again = SimDesk(sim.kernel, sim.tree.nodes[""].spec, 2, keep_log=True)
    again.boot()
    run(again, 0.1)
    assert again.kids["counter"].incarnation > sim.tree.nodes["counter"].incarnation + 100_000


# -- the frozen --------------------------------------------------------------------------------------------------------


def test_process_frozen_past_its_limit_is_found_hung_and_restarted() -> None:
    sim = desk(COUNTER)
    before = sim.kids["counter"].incarnation
    sim.freeze("counter", LIMIT_S + 1.0)
    run(sim, LIMIT_S + 0.5)
    assert sim.kids["counter"].incarnation > before


def test_process_frozen_within_its_limit_goes_on_and_has_missed_nothing() -> None:
    sim = desk(COUNTER, ASKER)
    before = sim.kids["counter"].incarnation
    sim.freeze("counter", LIMIT_S - 0.5)
    call(sim, "counter", Add(2))
    run(sim, LIMIT_S)
    asked(sim, 1, 1.0)
    run(sim, 0.1)
    assert told(sim, "asker")[0].startswith("3 at")
    assert sim.kids["counter"].incarnation == before


def test_process_frozen_while_it_waits_for_a_reply_takes_it_when_it_thaws() -> None:
    sim = desk(COUNTER, ASKER)
    asked(sim, 1, 1.0)
    sim.kernel.run(sim.kernel.now_s + 0.00015)
    sim.freeze("asker", 1.5)
    run(sim, 1.4)
    assert told(sim, "asker") == []
    run(sim, 0.2)
    assert told(sim, "asker")[0].startswith("1 at 1001.6")


# -- messages ----------------------------------------------------------------------------------------------------------


def test_lost_publication_is_healed_by_the_next_one(heard: list[Listener]) -> None:
    sim = desk(COUNTER, LISTENER, chances=Losing(1))
    call(sim, "counter", Say(first=1, count=3))
    run(sim, 0.5)
    assert heard[-1].numbers == [1, 2, 3]


@pytest.mark.parametrize("lost", [(3,), (2, 3), (1, 2, 3)])
def test_lost_last_publication_is_healed_by_the_restatement(lost: tuple[int, ...], heard: list[Listener]) -> None:
    sim = desk(COUNTER, LISTENER, chances=Losing(*lost))
    call(sim, "counter", Say(first=1, count=3))
    run(sim, 0.5)
    assert heard[-1].numbers != [1, 2, 3]
    run(sim, 1.0)
    assert heard[-1].numbers == [1, 2, 3]


def test_messages_of_one_sender_never_overtake_each_other_however_they_are_delayed(heard: list[Listener]) -> None:
    sim = desk(COUNTER, LISTENER, chances=Jittery())
    run(sim, 5.0)
    call(sim, "counter", Say(first=1, count=50))
    run(sim, 60.0)
    assert heard[-1].numbers == list(range(1, 51))


# -- chance ------------------------------------------------------------------------------------------------------------


def trace(seed: int, chances: Calm | None) -> list[str]:
    sim = desk(COUNTER, ASKER, LISTENER, seed=seed, chances=chances)
    run(sim, 5.0)
    for number in range(20):
        asked(sim, number, 0.3)
        run(sim, 3.0)
        if number % 5 == 0:
            call(sim, "counter", Do("crash"))
    assert sim.log_lines is not None
    return sim.log_lines


def test_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    assert trace(1, Jittery()) == trace(1, Jittery())
    assert trace(1, Jittery()) != trace(2, Jittery())


def test_time_passes_only_as_far_as_it_is_let() -> None:
    sim: Any = desk(worker("counter"))
    assert sim.kernel.now_s == START_S + 0.1


# -- groups, and answers that come later -------------------------------------------------------------------------------


def test_groups_of_the_simulated_world_are_those_of_the_real_one() -> None:
    sim = desk(member("x", "traders"), member("y", "traders"), member("z"))
    call(sim, "z", Spread("traders", "one"))
    run(sim, 0.1)
    assert [told(sim, name) for name in ("x", "y", "z")] == [["heard one"], ["heard one"], []]
    call(sim, "z", Move("traders", join=True))
    call(sim, "x", Move("traders", join=False))
    run(sim, 0.1)
    assert sim.members("traders").names == ("y", "z")
    sim.kill_process("y")
    run(sim, 0.0005)
    call(sim, "x", Spread("traders", "two"))
    run(sim, 0.1)
    assert [told(sim, name) for name in ("x", "y", "z")] == [["heard one"], ["heard one"], ["heard two"]]
    assert sim.members("traders").names == ("y", "z"), "y is back, in the group of its spec"


def test_a_slow_start_is_answered_later_while_others_are_served_in_the_simulated_world_too() -> None:
    control = ChildSpec(id="control", start="supervisor.control.server:ControlServer")
    sim = desk(control, toy("client", "Client"), toy("other", "Client"))
    cast(sim, "client", Put(StartChild("", toy("slow", "SlowStarter", arguments={"start_s": 1.0}))))
    run(sim, 0.1)
    cast(sim, "other", Put(CountChildren()))
    run(sim, 0.1)
    assert told(sim, "other") == ["Counts at 1000.200"]
    assert told(sim, "client") == []
    run(sim, 2.0)
    assert [line.split()[0] for line in told(sim, "client")] == ["Started"]
    cast(sim, "client", Put(StartChild("", toy("slow", "SlowStarter"))))
    run(sim, 0.1)
    assert told(sim, "client")[1].startswith("already_started at")


def test_control_that_dies_with_a_start_in_its_hands_leaves_its_caller_in_no_doubt_for_long() -> None:
    control = ChildSpec(id="control", start="supervisor.control.server:ControlServer")
    sim = desk(control, toy("client", "Client"))
    cast(sim, "client", Put(StartChild("", toy("slow", "SlowStarter", arguments={"start_s": 1.0}))))
    run(sim, 0.1)
    sim.kill_process("control")
    run(sim, 0.01)
    assert told(sim, "client")[0].startswith("OutcomeUnknown at")
    run(sim, 2.0)
    cast(sim, "client", Put(CountChildren()))
    run(sim, 0.1)
    assert told(sim, "client")[1].startswith("Counts at")
