"""Back-off holds the one that fails, not its elders. Time is an argument."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from supervisor.core.machine import initial
from supervisor.core.restart import back_off_s
from supervisor.messages import BackOff, EnsureChild, RestartChild, StartChild, Started, TerminateChild
from tests.supervisor.core_edge import Edge, sup, worker

BACK_OFF = BackOff(base_s=1.0, cap_s=60.0, healthy_s=120.0)
MANAGER, SOURCE, TRADER = "session/account_manager", "session/data_source", "session/trader"


def session(strategy: str = "one_for_all", boot: bool = True, intensity: int = 4, **flags: Any) -> Edge:
    """A session as the desk has it, with one junior of the trader more."""
    members = [worker(path.split("/")[1], restart="transient") for path in (MANAGER, SOURCE, TRADER)]
    flags = {"strategy": strategy, "intensity": intensity, "period_s": 60.0, "back_off": BACK_OFF, **flags}
    return Edge(sup("session", *members, worker("junior"), **flags), boot=boot)


def held(strategy: str = "one_for_all") -> Edge:
    """The trader has died once too often."""
    edge = session(strategy, intensity=0)
    edge.die(TRADER)
    edge.run()
    edge.take()
    return edge


@pytest.mark.parametrize("first_incarnation", range(1, 400, 7))
@pytest.mark.parametrize("life_s", [0.0, 2.0])
def test_a_trader_that_dies_10_times_in_30_s_costs_its_account_manager_at_most_6_incarnations(
    first_incarnation: int, life_s: float
) -> None:
    """Intensity 4 in 60 s: four deaths restart the group, the fifth and all after it the trader alone. The waits are
    short enough here for ten deaths to fit into the 30 s; their jitter follows from the incarnations."""
    edge = session(boot=False, back_off=BackOff(base_s=0.5, cap_s=1.5))
    edge.tree = initial(edge.tree.nodes[""].spec, first_incarnation)
    edge.boot()
    born_s, deaths = edge.now_s, 0
    while deaths < 10:
        edge.wait(life_s)
        if TRADER not in edge.alive:
            edge.wait(0.05)
            continue
        edge.die(TRADER)
        edge.run()
        deaths += 1
    assert edge.now_s - born_s <= 30.0
    assert edge.incarnations(MANAGER) == 5
    assert edge.state(MANAGER) == "up"
    assert edge.tree.nodes[TRADER].held == 6


@pytest.mark.parametrize("every_s", [0.0, 1.0, 3.0])
def test_however_often_the_trader_dies_the_account_manager_is_started_at_most_6_times(every_s: float) -> None:
    edge = session()
    for _ in range(300):
        edge.wait(every_s)
        if TRADER in edge.alive:
            edge.die(TRADER)
    assert edge.incarnations(MANAGER) <= 6


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_a_held_childs_tries_and_deaths_leave_its_elders_alone(strategy: str) -> None:
    edge = held(strategy)
    for _ in range(5):
        edge.wait(61.0)
        assert edge.state(TRADER) == "up"
        edge.die(TRADER)
        edge.run()
    assert edge.incarnations(MANAGER) == edge.incarnations(SOURCE) == 1
    assert edge.incarnations(TRADER) == 6
    assert edge.incarnations("session/junior") == (1 if strategy == "one_for_one" else 6)


def test_while_it_is_held_its_juniors_are_down_and_each_try_starts_both() -> None:
    edge = held()
    assert edge.state(TRADER) == "waiting"
    assert edge.up() == [MANAGER, SOURCE]
    edge.wait(1.0)
    assert edge.take() == [f"+{TRADER}", "+session/junior"]


def test_a_group_with_a_held_child_is_up() -> None:
    assert held().state("session") == "up"


def test_an_elders_death_restarts_the_group_up_to_the_held_child() -> None:
    edge = session(intensity=1)
    for _ in range(2):
        edge.die(TRADER)
        edge.run()
    assert edge.state(TRADER) == "waiting"
    edge.take()
    edge.die(MANAGER)
    edge.run()
    assert edge.take() == [f"-{SOURCE}", f"+{MANAGER}", f"+{SOURCE}"]
    assert edge.state(TRADER) == "waiting"


def test_a_healthy_spell_lifts_the_hold_and_resolves_the_one_incident_that_was_opened() -> None:
    edge = held()
    edge.wait(1.0)
    assert edge.open_incidents()
    edge.wait(119.0)
    assert edge.tree.nodes[TRADER].held == 1
    edge.wait(2.0)
    assert edge.tree.nodes[TRADER].held == 0
    assert edge.open_incidents() == set()


def test_one_incident_for_all_the_tries() -> None:
    edge = held()
    for _ in range(5):
        edge.wait(61.0)
        edge.die(TRADER)
    assert len(edge.records("child.held")) == 1
    assert edge.tree.nodes[TRADER].held == 6


def test_a_death_before_the_healthy_spell_is_over_starts_the_spell_again() -> None:
    edge = held()
    edge.wait(100.0)
    edge.die(TRADER)
    edge.wait(100.0)
    assert edge.tree.nodes[TRADER].held == 2


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_a_first_start_that_fails_under_back_off_is_held_and_the_start_answers_ok(strategy: str) -> None:
    edge = Edge(sup("d", dynamic=True))
    edge.stubborn = {"d/s/b"}
    group = sup("s", worker("a"), worker("b"), worker("c"), strategy=strategy, back_off=BACK_OFF)
    token = edge.ask(StartChild("d", group))
    edge.run()
    edge.die("d/s/b", why="ImportError")
    edge.run()
    assert edge.answer(token) == edge.started("d/s")
    assert edge.state("d/s/b") == "waiting"
    assert ("d/s/c" in edge.up()) == (strategy == "one_for_one")
    edge.stubborn = set()
    edge.wait(1.0)
    assert edge.up() == ["d/s/a", "d/s/b", "d/s/c"]
    assert edge.incarnations("d/s/a") == 1


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_a_temporary_child_whose_first_start_fails_under_back_off_is_not_tried_again(strategy: str) -> None:
    edge = Edge(worker("t", restart="temporary"), worker("a"), boot=False, strategy=strategy, back_off=BACK_OFF)
    edge.stubborn = {"t"}
    edge.boot()
    edge.die("t")
    edge.wait(100.0)
    assert edge.state("t") == "forgotten"
    assert edge.up() == ["a"]


def test_a_start_that_fails_again_and_again_after_the_boot_is_charged_and_then_held() -> None:
    edge = session(intensity=2)
    edge.stubborn = {TRADER}
    for _ in range(3):
        edge.die(TRADER)
        edge.run()
    assert edge.state(TRADER) == "waiting"
    assert edge.incarnations(MANAGER) == 3
    assert edge.incarnations(TRADER) == 3


def test_a_held_child_that_ends_as_it_may_is_held_no_more() -> None:
    edge = held()
    edge.wait(1.0)
    edge.die(TRADER, "normal")
    assert edge.state(TRADER) == "ended"
    assert edge.open_incidents() == set()


def test_terminating_a_held_child_ends_its_hold_and_lets_its_juniors_start() -> None:
    # Regression: nobody looked at the group again, and the juniors stayed down for ever.
    edge = held()
    edge.ask(TerminateChild(TRADER))
    edge.run()
    assert edge.up() == [MANAGER, SOURCE, "session/junior"]
    assert edge.open_incidents() == set()


def test_a_person_who_restarts_a_child_starts_it_unheld() -> None:
    edge = held()
    edge.ask(TerminateChild(TRADER))
    edge.ask(RestartChild(TRADER))
    edge.run()
    assert edge.tree.nodes[TRADER].held == 0


def test_ensure_child_is_content_with_a_held_child() -> None:
    edge = held()
    reply = edge.answer(edge.ask(EnsureChild("session", worker("trader"))))
    assert isinstance(reply, Started)
    assert reply.already


def test_shutting_down_ends_a_hold_and_its_incident() -> None:
    edge = held()
    edge.shut_down()
    edge.run()
    assert edge.finished is not None
    assert edge.open_incidents() == set()


def test_a_supervisor_that_gives_up_again_and_again_is_held_by_a_parent_that_backs_off() -> None:
    edge = Edge(sup("s", worker("w"), intensity=0), worker("other"), intensity=2, period_s=60.0, back_off=BACK_OFF)
    for _ in range(200):
        edge.wait(0.1)
        if "s/w" in edge.alive:
            edge.die("s/w")
    assert edge.tree.nodes["s"].held > 0
    assert edge.finished is None
    assert edge.incarnations("other") == 1
    edge.wait(500.0)
    assert edge.tree.nodes["s"].held == 0
    assert sorted(edge.up()) == ["other", "s/w"]


def test_others_keep_their_budget_when_one_is_held() -> None:
    edge = session("one_for_one", intensity=1)
    for _ in range(2):
        edge.die(TRADER)
        edge.run()
    edge.die(MANAGER)
    edge.run()
    assert edge.tree.nodes[MANAGER].held == 0


def test_waits_grow_to_their_cap_and_fill_the_whole_range() -> None:
    for tries, ceiling_s in ((0, 1.0), (3, 8.0), (5, 32.0), (6, 60.0), (1000, 60.0)):
        waits = [back_off_s(BACK_OFF, tries, f"{TRADER} {incarnation}") / ceiling_s for incarnation in range(2000)]
        assert 0.0 <= min(waits) < 0.01
        assert 0.99 < max(waits) <= 1.0
        assert 0.45 < sum(waits) / len(waits) < 0.55
        steps = [abs(b - a) for a, b in pairwise(waits)]
        assert sum(steps) / len(steps) > 0.2, "one try's wait says little of the next one's"


def test_who_is_slowed_down_is_not_told_to_have_died_his_siblings_deaths() -> None:
    """Nine feeds that die once each are no feed that dies nine times."""
    edge = session("one_for_one", intensity=2)
    for path in (MANAGER, SOURCE, TRADER):
        edge.die(path)
        edge.run()
    (told,) = edge.records("child.held")
    assert told.text.startswith(
        f"{TRADER} slows down: 3 deaths in 60 s (limit 2) below session, 1 of them its own, last"
    )


def test_each_death_says_what_follows_from_it() -> None:
    group, single, slow = session(), session("one_for_one"), held()
    for edge in (group, single):
        edge.die(TRADER)
        edge.run()
    assert group.records("child.died")[0].text.endswith("; its group starts again")
    assert single.records("child.died")[0].text.endswith("; it starts again")
    slow.wait(2.0)
    slow.die(TRADER)
    slow.run()
    due_s = slow.tree.nodes[TRADER].deadline_s - slow.now_s
    assert slow.records("child.died")[-1].text.endswith(f"; next try, number 2, in {due_s:.1f} s")


def test_the_end_of_the_hold_says_how_long_it_has_lasted() -> None:
    edge = held()
    edge.wait(2.0)
    edge.wait(120.0)
    (told,) = edge.records("child.recovered")
    assert told.text == f"{TRADER} is slowed down no more: up for 120 s since try 1"


def test_of_a_night_of_the_same_failure_the_first_tries_and_each_doubling_are_told() -> None:
    edge = held()
    reasons = {12: "exit status 1: no login, again in 12 s"}
    for number in range(1, 21):
        edge.wait(61.0)
        edge.die(TRADER, why=reasons.get(number, f"exit status 1: refused, again in {number} s"))
    told = [number for number, each in enumerate(edge.records("child.died"), 1) if each.level == "DIGEST"]
    assert told == [1, 2, 3, 4, 8, 12, 13, 16], "another reason, and the old one after it, are news"
