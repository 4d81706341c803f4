"""OTP's own test suite, its meaning: restart types, strategies, intensity and escalation, restart loops, trees.

Each test's docstring names its case in ``lib/stdlib/test/supervisor_SUITE.erl`` (OTP 25). ``edge`` is the supervisor
``sup_test`` there: its children's names are their ids.
"""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.core import settle
from supervisor.messages import ChildSpec, DeleteChild, Done, RestartChild, StartChild, TerminateChild
from tests.supervisor.core_edge import Edge, sup, worker

STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]


def sup_test(*children: ChildSpec, **flags: Any) -> Edge:
    return Edge(*children, **{"intensity": 2, "period_s": 3600.0, **flags})


def has_given_up(edge: Edge) -> bool:
    return edge.finished is not None and edge.finished.gave_up and not edge.alive


# -- groups normal_, shutdown_ and abnormal_termination ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["normal", "shutdown", "abnormal"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_what_is_there_after_each_kind_of_end(restart: str, how: str) -> None:
    """permanent_normal, permanent_shutdown, permanent_abnormal, transient_..., temporary_... (9 cases)"""
    edge = sup_test()
    edge.call(StartChild("", worker("child1", restart=restart)))
    edge.die("child1", how)
    edge.run()
    if restart == "permanent" or (restart == "transient" and how == "abnormal"):
        assert (edge.which(), edge.counts()) == ([("child1", "running")], [1, 1, 0, 1])
    elif restart == "transient":
        assert (edge.which(), edge.counts()) == ([("child1", "undefined")], [1, 0, 0, 1])
        assert edge.call(RestartChild("child1")) == edge.started("child1")
    else:
        assert (edge.which(), edge.counts()) == ([], [0, 0, 0, 0])
        assert edge.call(StartChild("", worker("child1", restart=restart))) == edge.started("child1")


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_temporary_child_ended_with_its_group_is_not_restarted(strategy: str) -> None:
    """temporary_bystander"""
    edge = sup_test(strategy=strategy)
    edge.call(StartChild("", worker("child1")))
    edge.call(StartChild("", worker("child2", restart="temporary")))
    edge.die("child1", "normal")
    edge.run()
    assert edge.which() == [("child1", "running")]
    assert edge.incarnations("child2") == 1


# -- intensity and the strategies' base cases --------------------------------------------------------------------------


def test_restarts_that_keep_their_distance_go_on() -> None:
    """multiple_restarts"""
    edge = sup_test(worker("child1", shutdown_s="brutal_kill"), intensity=1, period_s=1.0)
    edge.die("child1")
    for _ in range(3):
        edge.wait(2.1)
        edge.die("child1")
    edge.run()
    assert edge.incarnations("child1") == 5
    assert edge.call(TerminateChild("child1")) == Done()
    assert edge.call(DeleteChild("child1")) == Done()


@pytest.mark.parametrize("dynamic", [False, True])
def test_one_for_one_restarts_that_child_only_and_the_third_death_is_one_too_many(dynamic: bool) -> None:
    """one_for_one, simple_one_for_one, simple_one_for_one_extra"""
    edge = sup_test(dynamic=dynamic)
    edge.call(StartChild("", worker("child1")))
    edge.call(StartChild("", worker("child2")))
    edge.die("child1")
    edge.run()
    assert (edge.incarnations("child1"), edge.incarnations("child2")) == (2, 1)
    assert edge.counts() == [2, 2, 0, 2]
    edge.die("child2")
    edge.run()
    edge.die("child1")
    edge.run()
    assert has_given_up(edge)


def test_one_for_all_restarts_all_and_the_third_death_is_one_too_many() -> None:
    """one_for_all"""
    edge = sup_test(worker("child1"), worker("child2"), strategy="one_for_all")
    old = {path: process.incarnation for path, process in edge.alive.items()}
    edge.die("child1")
    edge.run()
    assert edge.counts() == [2, 2, 0, 2]
    assert all(edge.alive[path].incarnation > old[path] for path in old)
    edge.die("child2")
    edge.run()
    edge.die("child1")
    edge.run()
    assert has_given_up(edge)


def test_rest_for_one_restarts_it_and_its_juniors_and_the_third_death_is_one_too_many() -> None:
    """rest_for_one"""
    edge = sup_test(*(worker(f"child{number}") for number in (1, 2, 3)), strategy="rest_for_one")
    edge.die("child2")
    edge.run()
    assert [edge.incarnations(f"child{number}") for number in (1, 2, 3)] == [1, 2, 2]
    assert edge.counts() == [3, 3, 0, 3]
    edge.die("child3")
    edge.run()
    edge.die("child2")
    edge.run()
    assert has_given_up(edge)


# -- escalation: a restart that fails again and again ------------------------------------------------------------------


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("restart", ["permanent", "transient"])
def test_one_for_one_a_start_that_fails_for_ever_ends_all_when_the_intensity_is_spent(
    dynamic: bool, restart: str
) -> None:
    """one_for_one_escalation, simple_one_for_one_escalation: try_again counts each"""
    edge = sup_test(intensity=4, dynamic=dynamic)
    edge.call(StartChild("", worker("child1", restart=restart)))
    edge.call(StartChild("", worker("child2")))
    edge.outcomes = {"child1": ["fail"] * 100}
    edge.die("child1")
    edge.run()
    assert edge.incarnations("child1") == 1 + 4
    assert edge.incarnations("child2") == 1
    assert has_given_up(edge)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_junior_whose_start_fails_for_ever_ends_all_when_the_intensity_is_spent(strategy: str) -> None:
    """one_for_all_escalation, rest_for_one_escalation"""
    edge = sup_test(worker("child1"), worker("child2"), strategy=strategy, intensity=4)
    edge.outcomes = {"child2": ["fail"] * 100}
    edge.die("child1")
    edge.run()
    assert edge.incarnations("child2") == 1 + 4
    assert edge.incarnations("child1") == (1 + 4 if strategy == "one_for_all" else 2)
    assert has_given_up(edge)


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("one_for_all", ["-child2", "+child1", "+child2", "-child1", "+child1", "+child2"]),
        ("rest_for_one", ["-child2", "+child1", "+child2", "+child2"]),
    ],
)
def test_when_a_junior_fails_to_restart_only_one_for_all_ends_the_elder_again(strategy: str, told: list[str]) -> None:
    """one_for_all_other_child_fails_restart, rest_for_one_other_child_fails_restart"""
    edge = sup_test(worker("child1"), worker("child2"), strategy=strategy, intensity=3)
    edge.take()
    edge.outcomes = {"child2": ["fail"]}
    edge.die("child1")
    edge.run()
    assert edge.take() == told
    assert edge.which() == [("child1", "running"), ("child2", "running")]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_restart_that_says_ignore_is_content_with_no_process(strategy: str) -> None:
    """restart/3 with {ok, undefined}: the rest of the group starts, nothing is tried again"""
    edge = sup_test(worker("child1"), worker("child2"), strategy=strategy)
    edge.outcomes = {"child1": ["ignore"]}
    edge.die("child1")
    edge.run()
    assert edge.which() == [("child1", "undefined"), ("child2", "running")]
    assert len(edge.tree.nodes[""].death_times_s) == 1


# -- restart loops stay responsive -------------------------------------------------------------------------------------


def hanging(*children: ChildSpec, **flags: Any) -> Edge:
    """child2 has died, its first restart has failed, the next try hangs."""
    edge = sup_test(*children, intensity=8, period_s=10.0, **flags)
    edge.outcomes = {"child2": ["fail"]}
    edge.die("child2")
    edge.help_one()
    edge.stubborn = {"child2"}
    edge.run()
    return edge


def test_a_child_in_a_restart_loop_can_be_asked_about_and_terminated() -> None:
    """hanging_restart_loop"""
    edge = hanging(worker("child2", shutdown_s="brutal_kill"))
    assert edge.call(StartChild("", worker("child2"))) == "already_present"
    assert edge.call(RestartChild("child2")) == "restarting"
    assert edge.call(DeleteChild("child2")) == "restarting"
    assert (edge.which(), edge.counts()) == ([("child2", "restarting")], [1, 0, 0, 1])
    assert edge.call(TerminateChild("child2")) == Done()
    assert edge.which() == [("child2", "undefined")]
    edge.stubborn = set()
    assert edge.call(RestartChild("child2")) == edge.started("child2")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_supervisor_in_a_restart_loop_can_be_told_to_end(strategy: str) -> None:
    """hanging_restart_loop, hanging_restart_loop_rest_for_one (OTP-9549)"""
    edge = hanging(worker("child1"), worker("child2", shutdown_s="brutal_kill"), worker("child3"), strategy=strategy)
    edge.shut_down()
    edge.run()
    assert edge.finished is not None
    assert not edge.finished.gave_up


def test_in_a_restart_loop_of_rest_for_one_the_juniors_are_down_and_the_elders_run() -> None:
    """hanging_restart_loop_rest_for_one. There terminate_child leaves child3 down for good; here it is started, as it
    waited for nothing but child2 (docs/supervisor.md, what differs)."""
    children = [worker(f"child{number}", shutdown_s="brutal_kill") for number in (1, 2, 3)]
    edge = hanging(*children, strategy="rest_for_one")
    assert edge.call(StartChild("", worker("child2"))) == "already_present"
    assert edge.call(RestartChild("child2")) == "restarting"
    assert edge.call(DeleteChild("child2")) == "restarting"
    assert edge.which() == [("child1", "running"), ("child2", "restarting"), ("child3", "undefined")]
    assert edge.counts() == [3, 1, 0, 3]
    assert edge.call(StartChild("", worker("child3"))) == "already_present"
    assert edge.call(TerminateChild("child2")) == Done()
    assert edge.which() == [("child1", "running"), ("child2", "undefined"), ("child3", "running")]


def test_a_dynamic_child_in_a_restart_loop_can_be_terminated_and_is_forgotten() -> None:
    """hanging_restart_loop_simple; DynamicSupervisor "terminates restarting child" """
    edge = sup_test(dynamic=True, intensity=8)
    edge.call(StartChild("", worker("child1")))
    edge.stubborn = {"child1"}
    edge.die("child1")
    edge.die("child1")
    assert (edge.which(), edge.counts()) == ([("child1", "restarting")], [1, 0, 0, 1])
    assert edge.call(RestartChild("child1")) == "restarting"
    token = edge.ask(TerminateChild("child1"))
    edge.stubborn = set()
    edge.run()
    assert edge.answer(token) == Done()
    assert edge.which() == []


# -- trees -------------------------------------------------------------------------------------------------------------


def test_a_tree_restarts_what_died_and_escalates_without_the_children_added_later() -> None:
    """tree"""
    first = sup("supchild1", worker("child1"), worker("child2"), intensity=4, period_s=3600.0)
    second = sup("supchild2", intensity=4, period_s=3600.0)
    third = sup("supchild3", intensity=4, period_s=3600.0, restart="transient")
    edge = sup_test(strategy="one_for_all", intensity=4)
    for spec in (first, second, third):
        assert edge.call(StartChild("", spec)) == edge.started(spec.id)
    assert edge.call(TerminateChild("supchild3")) == Done()
    assert edge.counts() == [3, 2, 3, 0]
    edge.call(StartChild("supchild2", worker("child3")))
    edge.call(StartChild("supchild2", worker("child4")))
    edge.die("supchild2/child4")
    edge.run()
    assert edge.counts("supchild1") == edge.counts("supchild2") == [2, 2, 0, 2]
    assert edge.incarnations("supchild1/child1") == edge.incarnations("supchild2/child3") == 1
    edge.outcomes = {"supchild2/child3": ["fail"] * 100}
    edge.die("supchild2/child3")
    edge.run()
    assert edge.which() == [("supchild1", "running"), ("supchild2", "running"), ("supchild3", "running")]
    assert edge.counts("supchild1") == [2, 2, 0, 2]
    assert edge.incarnations("supchild1/child1") == 2
    assert edge.counts("supchild2") == edge.counts("supchild3") == [0, 0, 0, 0]


@pytest.mark.parametrize("how", ["abnormal", "normal"])
def test_a_worker_below_two_supervisors_is_restarted(how: str) -> None:
    """simple_global_supervisor (kill_worker, exit_worker, restart_worker). A supervisor is no process here: it cannot
    be killed alone."""
    middle = sup("middle", worker("server"), strategy="one_for_all", intensity=3, period_s=60.0, shutdown_s=2.0)
    edge = sup_test(middle, strategy="one_for_all")
    edge.die("middle/server", how)
    edge.run()
    assert edge.incarnations("middle/server") == 2
    assert edge.call(TerminateChild("middle/server")) == Done()
    assert edge.call(RestartChild("middle/server")) == edge.started("middle/server")


def test_a_nested_supervisor_that_gives_up_is_charged_to_its_parent_until_that_gives_up_too() -> None:
    """sup_princ, "Maximum Restart Intensity": the next higher level takes some action, it restarts or ends itself"""
    inner = sup("inner", worker("w"), intensity=1, period_s=3600.0)
    edge = Edge(
        sup("outer", worker("elder"), inner, strategy="rest_for_one", intensity=1, period_s=3600.0), intensity=9
    )
    for deaths in range(1, 5):
        edge.die("outer/inner/w")
        edge.run()
        assert edge.incarnations("outer/inner/w") == deaths + 1
        assert edge.incarnations("outer/elder") == (2 if deaths == 4 else 1)


# -- scaling -----------------------------------------------------------------------------------------------------------


def test_where_children_do_not_wait_for_one_another_nobody_walks_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """simple_one_for_one_scale_many_temporary_children, scale_start_stop_many_children: walks are counted, not time"""
    walks: list[str] = []
    edge = Edge(sup("d", dynamic=True))
    monkeypatch.setattr(settle, "go_up", lambda work, path: walks.append(path))
    for number in range(100):
        assert edge.call(StartChild("d", worker(f"child{number}"))) == edge.started(f"d/child{number}")
    edge.die("d/child7")
    edge.run()
    assert edge.counts("d") == [100, 100, 0, 100]
    assert walks == []
