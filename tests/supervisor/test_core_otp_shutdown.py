"""OTP's own test suite, its meaning: shutdown limits, and automatic shutdown by significant children.

Each test's docstring names its case in ``lib/stdlib/test/supervisor_SUITE.erl`` (OTP 25). ``edge`` is the supervisor
``sup_test`` there; where its own end is of interest it is ``s`` below a root that lives on.
"""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.messages import ChildSpec, Done, EnsureChild, RestartChild, StartChild, TerminateChild
from tests.supervisor.core_edge import Edge, sup, worker

MODES = ["never", "any_significant", "all_significant"]


def below(*children: ChildSpec, **flags: Any) -> Edge:
    flags = {"restart": "transient", "intensity": 5, **flags}
    return Edge(sup("s", *children, **flags), worker("bystander"), intensity=50)


# -- group sup_stop ----------------------------------------------------------------------------------------------------


def test_infinity_is_right_for_supervisors_and_workers() -> None:
    """sup_stop_infinity"""
    edge = Edge(sup("child1", worker("w", shutdown_s="infinity")), worker("child2", shutdown_s="infinity"))
    edge.stubborn = {"child1/w", "child2"}
    edge.shut_down()
    edge.wait(1e6)
    assert not edge.records("child.killed")
    edge.die("child2", "shutdown")
    edge.die("child1/w", "shutdown")
    assert edge.finished is not None


def test_past_its_shutdown_limit_a_child_is_killed_and_the_elders_are_told() -> None:
    """sup_stop_timeout"""
    edge = Edge(worker("child1", shutdown_s=1.0), worker("child2", shutdown_s=1.0))
    edge.take()
    edge.stubborn = {"child2"}
    edge.shut_down()
    edge.wait(0.9)
    assert edge.take() == ["-child2"]
    edge.wait(0.2)
    assert edge.take() == ["!child2", "-child1"]
    assert edge.finished is not None


def test_dynamic_children_have_each_its_own_limit_and_end_in_parallel() -> None:
    """sup_stop_timeout_dynamic, simple_one_for_one_shutdown; DynamicSupervisor "terminates with mixed children" """
    edge = below(dynamic=True)
    for id, shutdown_s in (("quick", 1.0), ("slow", 2.0), ("stuck", 3.0), ("brutal", "brutal_kill")):
        edge.call(StartChild("s", worker(id, shutdown_s=shutdown_s)))
    edge.take()
    edge.stubborn = {"s/slow", "s/stuck"}
    token = edge.ask(TerminateChild("s"))
    edge.run()
    assert sorted(edge.take()) == ["!s/brutal", "-s/quick", "-s/slow", "-s/stuck"]
    edge.wait(2.1)
    assert edge.take() == ["!s/slow"]
    edge.wait(1.0)
    assert edge.take() == ["!s/stuck"]
    assert edge.answer(token) == Done()


def test_brutal_kill_asks_nobody_and_keeps_the_sequence() -> None:
    """sup_stop_brutal_kill"""
    edge = Edge(worker("child1"), worker("child2", shutdown_s="brutal_kill"))
    edge.take()
    edge.shut_down()
    edge.run()
    assert edge.take() == ["!child2", "-child1"]


def test_a_limit_of_0_leaves_no_time_for_a_word() -> None:
    """validShutdown: 0 is a time-out as any; DynamicSupervisor "with valid shutdown" """
    edge = Edge(worker("child1", shutdown_s=0))
    edge.take()
    edge.call(TerminateChild("child1"))
    assert edge.take() == ["!child1"]
    assert edge.which() == [("child1", "undefined")]


def test_dynamic_children_with_brutal_kill_are_all_killed_at_once() -> None:
    """sup_stop_brutal_kill_dynamic"""
    edge = Edge(dynamic=True)
    for number in range(10):
        edge.call(StartChild("", worker(f"child{number}", shutdown_s="brutal_kill")))
    edge.take()
    edge.shut_down()
    assert sorted(edge.take()) == [f"!child{number}" for number in range(10)]
    edge.run()
    assert edge.finished is not None


@pytest.mark.parametrize("dynamic", [False, True])
def test_children_that_end_by_themselves_meanwhile_do_not_disturb_the_shutdown(dynamic: bool) -> None:
    """sup_stop_race, sup_stop_non_shutdown_exit_dynamic; DynamicSupervisor "... and abnormal reason" """
    edge = Edge(dynamic=dynamic, intensity=0)
    ends = [(restart, how) for restart in ("temporary", "transient", "permanent")
            for how in ("normal", "shutdown", "abnormal")]  # fmt: skip
    for restart, how in ends:
        edge.call(StartChild("", worker(f"{restart}-{how}", restart=restart)))
    edge.call(StartChild("", worker("last", restart="temporary")))
    edge.stubborn = {"last"}
    edge.shut_down()
    for restart, how in ends:
        edge.die(f"{restart}-{how}", how)
    assert edge.finished is None
    edge.die("last", "shutdown")
    assert edge.finished is not None
    assert not edge.finished.gave_up
    assert len(edge.spawns) == len(ends) + 1


def test_a_supervisor_past_its_limit_is_killed_with_all_below_at_any_depth() -> None:
    """Section Child specification, shutdown: "must be set to infinity to give the subtree ample time"; its warning is
    about what happens here"""
    deep = sup("deep", worker("w"), worker("asked"), dynamic=False)
    edge = Edge(worker("elder"), sup("s", worker("first"), deep, shutdown_s=7.0), strategy="one_for_all", intensity=3)
    edge.take()
    edge.stubborn = {"s/deep/asked"}
    token = edge.ask(TerminateChild("s"))
    edge.wait(4.9)
    assert edge.take() == ["-s/deep/asked"]
    edge.stubborn |= {"s/deep/w"}
    edge.wait(0.2)
    assert edge.take() == ["!s/deep/asked", "-s/deep/w"]
    edge.wait(2.0)
    assert sorted(edge.take()) == ["!s/deep/w", "!s/first"]
    assert edge.answer(token) == Done()
    assert edge.state("s") == "ended"
    edge.stubborn = set()
    assert edge.call(RestartChild("s")) == edge.started("s")
    assert edge.up() == ["elder", "s/first", "s/deep/w", "s/deep/asked"]


def test_a_supervisor_with_brutal_kill_takes_all_below_with_it_and_its_group_starts_again() -> None:
    """shutdown/1 with brutal_kill: links take the rest"""
    inner = sup("s", worker("v"), sup("t", worker("w"), dynamic=False), shutdown_s="brutal_kill")
    edge = Edge(worker("a"), inner, strategy="one_for_all", intensity=3)
    edge.take()
    edge.die("a")
    assert sorted(edge.take()) == ["!s/t/w", "!s/v"]
    edge.run()
    assert edge.take() == ["+a", "+s/v", "+s/t/w"]


def test_a_supervisor_that_ends_itself_has_a_limit_once_its_parent_tells_it_to_end() -> None:
    """shutdown/1: the parent waits for its Time whatever the child is doing. Regression: it had none then."""
    edge = below(worker("v"), worker("w", shutdown_s="infinity"), intensity=0, shutdown_s=7.0)
    edge.stubborn = {"s/w"}
    edge.die("s/v")
    edge.wait(100.0)
    assert not edge.alive["s/w"].killed
    token = edge.ask(TerminateChild("s"))
    edge.wait(6.9)
    assert not edge.alive["s/w"].killed
    edge.wait(0.2)
    assert edge.answer(token) == Done()


# -- group significant -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize("how", ["terminate_child", "abnormal", "normal"])
def test_the_end_of_one_that_is_not_significant_ends_nobody(mode: str, restart: str, how: str) -> None:
    """nonsignificant_temporary, nonsignificant_transient"""
    edge = below(worker("child1", restart=restart), auto_shutdown=mode)
    if how == "terminate_child":
        edge.call(TerminateChild("s/child1"))
    else:
        edge.die("s/child1", how)
        edge.run()
    assert edge.state("s") == "up"


def three(restart: str, mode: str, **flags: Any) -> Edge:
    children = [worker(f"child{number}", restart=restart, significant=number < 3) for number in (1, 2, 3)]
    return below(*children, auto_shutdown=mode, **flags)


@pytest.mark.parametrize(
    ("restart", "how", "ends"),
    [
        ("temporary", "terminate_child", False),
        ("temporary", "abnormal", True),
        ("temporary", "shutdown", True),
        ("temporary", "normal", True),
        ("transient", "terminate_child", False),
        ("transient", "abnormal", False),
        ("transient", "shutdown", True),
        ("transient", "normal", True),
    ],
)
def test_any_significant_child_that_is_not_restarted_ends_its_supervisor(restart: str, how: str, ends: bool) -> None:
    """significant_temporary, significant_transient (any_significant)"""
    edge = three(restart, "any_significant")
    edge.take()
    if how == "terminate_child":
        edge.call(TerminateChild("s/child1"))
    else:
        edge.die("s/child1", how)
        edge.run()
    assert edge.state("s") == ("ended" if ends else "up")
    if ends:
        assert edge.take() == ["-s/child3", "-s/child2"]
    assert "bystander" in edge.alive


@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_the_last_significant_child_ends_its_supervisor(restart: str) -> None:
    """significant_temporary, significant_transient (all_significant)"""
    edge = three(restart, "all_significant")
    edge.die("s/child1", "normal")
    edge.run()
    assert edge.state("s") == "up"
    edge.die("s/child2", "normal")
    edge.run()
    assert edge.state("s") == "ended"


def test_for_all_significant_one_that_was_terminated_is_ended_but_does_not_end_its_supervisor_itself() -> None:
    """do_auto_shutdown/2 asks who has a pid; terminate_child never comes there"""
    edge = three("transient", "all_significant")
    edge.die("s/child1", "normal")
    edge.call(TerminateChild("s/child2"))
    assert edge.state("s") == "up"
    edge.call(RestartChild("s/child1"))
    edge.die("s/child1", "normal")
    edge.run()
    assert edge.state("s") == "ended"


def test_for_all_significant_one_that_is_just_being_terminated_is_as_good_as_ended() -> None:
    """OTP is in terminate_child then, and finds it ended. Regression: the supervisor lived on with nobody in it."""
    edge = three("transient", "all_significant")
    edge.stubborn = {"s/child2"}
    token = edge.ask(TerminateChild("s/child2"))
    edge.die("s/child1", "normal")
    edge.stubborn = set()
    edge.run()
    assert edge.answer(token) == Done()
    assert edge.state("s") == "ended"


def test_for_all_significant_one_that_is_being_restarted_lives_on() -> None:
    """do_auto_shutdown/2: a restarting pid is not undefined"""
    edge = three("transient", "all_significant")
    edge.stubborn = {"s/child1"}
    edge.die("s/child1")
    edge.die("s/child2", "normal")
    edge.run()
    assert edge.state("s") == "up"
    edge.stubborn = set()
    edge.run()
    edge.die("s/child1", "normal")
    edge.run()
    assert edge.state("s") == "ended"


@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
def test_auto_shutdown_of_a_dynamic_supervisor(mode: str) -> None:
    """significant_simple"""
    edge = below(dynamic=True, auto_shutdown=mode, restart="permanent")
    for id in ("child1", "child2"):
        edge.call(StartChild("s", worker(id, restart="temporary", significant=True)))
    incarnation = edge.tree.nodes["s"].incarnation
    edge.die("s/child1", "normal")
    edge.run()
    if mode == "all_significant":
        assert edge.tree.nodes["s"].incarnation == incarnation
        edge.die("s/child2", "normal")
        edge.run()
    assert edge.tree.nodes["s"].incarnation > incarnation, "a permanent supervisor comes back, empty"
    assert edge.counts("s") == [0, 0, 0, 0]


@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
@pytest.mark.parametrize(
    ("strategy", "restarted"), [("one_for_one", "2"), ("one_for_all", "123"), ("rest_for_one", "23")]
)
def test_a_significant_child_that_ends_with_its_sibling_ends_nobody(mode: str, strategy: str, restarted: str) -> None:
    """significant_bystander"""
    children = [worker(f"child{number}", restart="transient", significant=number != 2) for number in (1, 2, 3)]
    edge = below(*children, auto_shutdown=mode, strategy=strategy)
    edge.die("s/child2")
    edge.run()
    assert edge.state("s") == "up"
    assert [edge.incarnations(f"s/child{number}") for number in (1, 2, 3)] == [
        2 if str(number) in restarted else 1 for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("significant", [True, False])
def test_an_automatic_shutdown_ends_the_supervisor_above_only_if_significant(significant: bool) -> None:
    """significant_escalation"""
    child = worker("child1", restart="transient", significant=True)
    inner = sup("inner", child, restart="transient", significant=significant, auto_shutdown="any_significant")
    edge = below(inner, worker("other"), auto_shutdown="any_significant")
    edge.die("s/inner/child1", "normal")
    edge.run()
    assert edge.state("s") == ("ended" if significant else "up")
    assert ("s/other" in edge.up()) is not significant


def test_a_significant_supervisor_that_gives_up_ends_the_one_above() -> None:
    """restart/2: giving up is an exit shutdown, which ends a transient child for good"""
    inner = sup("inner", worker("w"), restart="transient", significant=True, intensity=0)
    edge = below(inner, worker("other"), auto_shutdown="any_significant")
    edge.die("s/inner/w")
    edge.run()
    assert edge.state("s") == "ended"


def test_a_significant_child_that_ignores_or_fails_to_start_on_request_ends_nobody() -> None:
    """handle_start_child/2 and restart_child never come to do_auto_shutdown/2"""
    edge = below(auto_shutdown="any_significant")
    spec = worker("child1", restart="transient", significant=True)
    edge.outcomes = {"s/child1": ["ignore", "fail"]}
    edge.call(StartChild("s", spec))
    assert edge.call(RestartChild("s/child1")) == "failed"
    assert edge.state("s") == "up"
    assert edge.call(EnsureChild("s", spec)) == edge.started("s/child1")
