"""Elixir's tests of ``DynamicSupervisor``, their meaning; what its page says of ``max_children``.

Each test's docstring names its test in ``lib/elixir/test/elixir/dynamic_supervisor_test.exs``. Children have names of
their own here, where Elixir knows them by pid.
"""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.errors import BadSpec
from supervisor.messages import (
    BackOff,
    DeleteChild,
    Done,
    EnsureChild,
    RestartChild,
    StartChild,
    Started,
    SupervisorFlags,
    TerminateChild,
)
from tests.supervisor.core_edge import Edge, sup, worker


def dynamic(**flags: Any) -> Edge:
    """A dynamic supervisor ``d`` under a root that takes what comes."""
    return Edge(sup("d", dynamic=True, **flags), intensity=50)


def test_it_has_its_defaults() -> None:
    """set default options"""
    flags = SupervisorFlags(dynamic=True)
    assert (flags.strategy, flags.intensity, flags.period_s) == ("one_for_one", 3, 5.0)


@pytest.mark.parametrize(("field", "value"), [("strategy", "one_for_all"), ("intensity", -1), ("max_children", -1)])
def test_wrong_flags_are_refused(field: str, value: object) -> None:
    """with non-ok init"""
    with pytest.raises(BadSpec, match=field):
        SupervisorFlags(dynamic=True, **{field: value})  # type: ignore[arg-type]


def test_what_start_child_answers() -> None:
    """with different returns, with throw/error/exit"""
    edge = dynamic()
    edge.outcomes = {"d/ignore": ["ignore"], "d/error": ["fail"]}
    assert edge.call(StartChild("d", worker("ok"))) == edge.started("d/ok")
    assert edge.call(StartChild("d", worker("ignore"))) == Started("d/ignore", 0)
    assert edge.call(StartChild("d", worker("error"))) == "failed"
    assert edge.which("d") == [("ok", "running")]


@pytest.mark.parametrize(
    ("restart", "how", "kept"),
    [
        ("temporary", "shutdown", False),
        ("temporary", "abnormal", False),
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("transient", "abnormal", True),
        ("permanent", "normal", True),
        ("permanent", "shutdown", True),
        ("permanent", "abnormal", True),
    ],
)
def test_what_ended_is_restarted_or_forgotten(restart: str, how: str, kept: bool) -> None:
    """temporary child is not restarted regardless of reason; transient child is restarted unless
    normal/shutdown/{shutdown, _}; permanent child is restarted regardless of reason"""
    edge = dynamic()
    edge.call(StartChild("d", worker("child", restart=restart)))
    edge.die("d/child", how)
    edge.run()
    assert edge.counts("d") == ([1, 1, 0, 1] if kept else [0, 0, 0, 0])
    assert ("d/child" in edge.tree.nodes) == kept


def test_a_restart_may_ignore_and_is_forgotten_or_fail_and_is_tried_again() -> None:
    """child is restarted with different values, child is restarted when trying again"""
    edge = dynamic(intensity=5)
    for id in ("ignoring", "failing"):
        edge.call(StartChild("d", worker(id)))
    edge.outcomes = {"d/ignoring": ["ignore"], "d/failing": ["fail"]}
    edge.die("d/ignoring")
    edge.die("d/failing")
    edge.run()
    assert edge.which("d") == [("failing", "running")]
    assert edge.incarnations("d/failing") == 3
    assert len(edge.tree.nodes["d"].death_times_s) == 3


@pytest.mark.parametrize("intensity", [1, 10])
def test_a_restart_that_fails_for_ever_spends_the_intensity(intensity: int) -> None:
    """child triggers maximum restarts, child triggers maximum intensity when trying again"""
    edge = dynamic(intensity=intensity, restart="transient")
    edge.call(StartChild("d", worker("child")))
    edge.outcomes = {"d/child": ["fail"] * 100}
    edge.die("d/child")
    edge.run()
    assert edge.incarnations("d/child") == 1 + intensity
    assert edge.state("d") == "ended"


def test_a_limit_of_no_children_takes_none() -> None:
    """with max_children"""
    edge = dynamic(max_children=0)
    assert edge.call(StartChild("d", worker("child"))) == "max_children"
    assert edge.call(EnsureChild("d", worker("child"))) == "max_children"


def test_children_that_are_being_restarted_count_for_max_children_and_ended_ones_do_not() -> None:
    """restarting on init children counted in max_children, restarting on exit children counted in max_children"""
    edge = dynamic(max_children=1)
    edge.call(StartChild("d", worker("child")))
    edge.stubborn = {"d/child"}
    edge.die("d/child")
    assert edge.counts("d") == [1, 0, 0, 1]
    assert edge.call(StartChild("d", worker("other"))) == "max_children"
    assert edge.call(StartChild("d", worker("child"))) == "already_present"
    token = edge.ask(TerminateChild("d/child"))
    edge.stubborn = set()
    edge.run()
    assert edge.answer(token) == Done()
    assert edge.call(StartChild("d", worker("other"))) == edge.started("d/other")


def test_terminate_child_ends_and_forgets() -> None:
    """terminates child with brutal kill, terminates child with integer shutdown"""
    edge = dynamic()
    for id, shutdown_s in (("brutal", "brutal_kill"), ("other", 1.0)):
        edge.call(StartChild("d", worker(id, shutdown_s=shutdown_s)))
        assert edge.call(TerminateChild(f"d/{id}")) == Done()
        assert edge.call(TerminateChild(f"d/{id}")) == "not_found"
    assert edge.counts("d") == [0, 0, 0, 0]


def test_children_do_not_wait_for_one_another_in_start_restart_and_end() -> None:
    """Page, introduction: started dynamically and on demand, with no order between them"""
    edge = dynamic(intensity=5)
    edge.stubborn = {"d/slow"}
    slow = edge.ask(StartChild("d", worker("slow")))
    assert edge.call(StartChild("d", worker("quick"))) == edge.started("d/quick")
    edge.die("d/quick")
    edge.run()
    assert edge.incarnations("d/quick") == 2
    assert edge.call(TerminateChild("d/quick")) == Done()
    assert slow not in edge.replies


def test_of_a_supervisor_that_gives_up_nothing_is_left_and_it_starts_again_empty() -> None:
    """supervisor: "the supervisor terminates all child processes and then itself"; its children were not in its spec"""
    edge = dynamic(intensity=0)
    for id in ("a", "b", "c"):
        edge.call(StartChild("d", worker(id)))
    edge.die("d/a")
    edge.run()
    assert edge.which() == [("d", "running")]
    assert edge.which("d") == []
    assert edge.call(EnsureChild("d", worker("a"))) == edge.started("d/a")


def test_trees_below_a_dynamic_supervisor_are_forgotten_with_all_that_was_in_them() -> None:
    """What Elixir's delete_child drops is a pid; here it is the whole subtree"""
    edge = dynamic()
    tree = sup("t", worker("w"), sup("deep", worker("v")), restart="transient", intensity=0)
    assert edge.call(StartChild("d", tree)) == edge.started("d/t")
    edge.die("d/t/w")
    edge.run()
    assert [path for path in edge.tree.nodes if path.startswith("d/")] == []
    assert edge.call(StartChild("d", tree)) == edge.started("d/t")


def test_with_back_off_a_dynamic_supervisor_holds_the_one_that_fails_and_others_come_and_go() -> None:
    """Ours: docs/supervisor.md, Back-off"""
    edge = dynamic(intensity=0, back_off=BackOff(base_s=60.0))
    for id in ("bad", "good"):
        edge.call(StartChild("d", worker(id)))
    edge.die("d/bad")
    edge.run()
    assert edge.which("d") == [("bad", "restarting"), ("good", "running")]
    assert edge.call(RestartChild("d/bad")) == "restarting"
    assert edge.call(DeleteChild("d/bad")) == "restarting"
    assert edge.call(StartChild("d", worker("new"))) == edge.started("d/new")
    assert edge.call(TerminateChild("d/bad")) == Done()
    assert edge.which("d") == [("good", "running"), ("new", "running")]
