"""OTP's own test suite, its meaning: how children start, and what can be asked about them.

Each test's docstring names its case in ``lib/stdlib/test/supervisor_SUITE.erl`` (OTP 25). ``edge`` is the supervisor
``sup_test`` there: its children's names are their ids. Where OTP answers a pid, the core answers ``Started``.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from supervisor.errors import BadSpec
from supervisor.messages import (
    ChildSpec,
    DeleteChild,
    Done,
    GetChildspec,
    RestartChild,
    StartChild,
    Started,
    SupervisorFlags,
    TerminateChild,
    WhichChildren,
)
from supervisor.spec import check_child_of
from tests.supervisor.core_edge import Edge, sup, worker

IGNORED = Started("child1", 0)


def sup_test(*children: ChildSpec, **flags: Any) -> Edge:
    return Edge(*children, **{"intensity": 2, "period_s": 3600.0, **flags})


# -- group sup_start ---------------------------------------------------------------------------------------------------


def test_a_supervisor_without_children_starts_and_is_terminated() -> None:
    """sup_start_normal"""
    edge = sup_test()
    assert edge.state("") == "up"
    edge.shut_down()
    assert edge.finished is not None
    assert not edge.finished.gave_up


def test_start_child_of_one_that_ignores_keeps_its_spec_without_a_process() -> None:
    """sup_start_ignore_child"""
    edge = sup_test()
    edge.outcomes = {"child1": ["ignore"]}
    assert edge.call(StartChild("", worker("child1"))) == IGNORED
    assert edge.call(StartChild("", worker("child2"))) == edge.started("child2")
    assert edge.which() == [("child1", "undefined"), ("child2", "running")]
    assert edge.counts() == [2, 1, 0, 2]


def test_a_temporary_child_that_ignores_at_the_supervisors_start_is_not_kept() -> None:
    """sup_start_ignore_temporary_child"""
    edge = sup_test(worker("child1", restart="temporary"), worker("child2", restart="temporary"), boot=False)
    edge.outcomes = {"child1": ["ignore"]}
    edge.boot()
    assert edge.which() == [("child2", "running")]
    assert edge.counts() == [1, 1, 0, 1]


def test_a_temporary_child_that_ignores_in_start_child_is_not_kept() -> None:
    """sup_start_ignore_temporary_child_start_child"""
    edge = sup_test()
    edge.outcomes = {"child1": ["ignore"]}
    assert edge.call(StartChild("", worker("child1", restart="temporary"))) == IGNORED
    assert edge.call(StartChild("", worker("child2", restart="temporary"))) == edge.started("child2")
    assert edge.which() == [("child2", "running")]
    assert edge.counts() == [1, 1, 0, 1]


@pytest.mark.parametrize("restart", ["temporary", "permanent"])
def test_a_dynamic_child_that_ignores_is_not_kept_and_the_supervisor_ends_well(restart: str) -> None:
    """sup_start_ignore_temporary_child_start_child_simple, sup_start_ignore_permanent_child_start_child_simple"""
    edge = sup_test(dynamic=True)
    edge.outcomes = {"child1": ["ignore"]}
    assert edge.call(StartChild("", worker("child1", restart=restart))) == IGNORED
    edge.call(StartChild("", worker("child2", restart=restart)))
    assert edge.which() == [("child2", "running")]
    edge.shut_down()
    edge.run()
    assert edge.finished is not None
    assert not edge.finished.gave_up


def test_a_supervisor_whose_child_fails_at_its_start_ends_the_others_and_says_why() -> None:
    """sup_start_fail, sup_start_error_return, faulty_application_shutdown"""
    edge = sup_test(worker("child1"), worker("app_faulty"), boot=False)
    edge.outcomes = {"app_faulty": ["fail"]}
    edge.boot()
    assert edge.take() == ["+child1", "+app_faulty", "-child1"]
    assert edge.finished is not None
    assert edge.finished.gave_up
    assert "app_faulty failed to start" in edge.finished.why


def test_a_restart_child_that_fails_answers_and_leaves_the_child_undefined() -> None:
    """sup_start_restart_child_returns_error"""
    edge = sup_test(worker("child1"))
    assert edge.call(TerminateChild("child1")) == Done()
    edge.outcomes = {"child1": ["fail"]}
    assert edge.call(RestartChild("child1")) == "failed"
    assert edge.which() == [("child1", "undefined")]


def test_a_restart_child_that_fails_keeps_also_the_spec_of_a_child_that_never_ran() -> None:
    """handle_call({restart_child, Id}): the state is left as it was. Regression: the spec was forgotten."""
    edge = sup_test()
    edge.outcomes = {"child1": ["ignore", "fail"]}
    assert edge.call(StartChild("", worker("child1"))) == IGNORED
    assert edge.call(RestartChild("child1")) == "failed"
    assert edge.which() == [("child1", "undefined")]


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_start_child_that_fails_answers_and_discards_the_spec(dynamic: bool) -> None:
    """sup_start_child_returns_error, sup_start_child_returns_error_simple"""
    edge = sup_test(dynamic=dynamic)
    edge.outcomes = {"child1": ["fail"]}
    assert edge.call(StartChild("", worker("child1"))) == "failed"
    assert edge.which() == []


# -- group sup_start_map, child_specs, sup_flags -----------------------------------------------------------------------


def test_what_is_left_out_of_a_spec_is_otps_default_and_can_be_read_back() -> None:
    """sup_start_map, sup_start_map_simple"""
    edge = Edge(worker("child1"), worker("child2", shutdown_s="brutal_kill"), ChildSpec(id="child3", type="supervisor"))
    first, second, third = (edge.call(GetChildspec(f"child{number}")) for number in (1, 2, 3))
    assert isinstance(first, ChildSpec)
    assert isinstance(second, ChildSpec)
    assert isinstance(third, ChildSpec)
    assert (first.restart, first.shutdown_s, first.type, first.significant) == ("permanent", 5.0, "worker", False)
    assert (second.restart, second.shutdown_s, second.type) == ("permanent", "brutal_kill", "worker")
    assert (third.restart, third.shutdown_s, third.type) == ("permanent", "infinity", "supervisor")
    assert (third.flags.strategy, third.flags.intensity, third.flags.period_s) == ("one_for_one", 1, 5.0)
    assert third.flags.auto_shutdown == "never"
    assert edge.call(GetChildspec("child4")) == "not_found"


@pytest.mark.parametrize(
    "text",
    [
        {"start": "m:f"},  # missing_id
        {"id": "child2"},  # missing_start
        {"id": "child3", "start": "m:f", "silly_flag": True},  # OTP ignores it; a misspelt limit would be no limit
        "child4",  # invalid_child_spec
    ],
)
def test_a_spec_that_is_incomplete_or_none_is_refused(text: object) -> None:
    """sup_start_map_faulty_specs"""
    with pytest.raises((msgspec.ValidationError, BadSpec)):
        msgspec.convert(text, ChildSpec)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", "mfa"),
        ("restart", "prmanent"),
        ("shutdown_s", -10),
        ("shutdown_s", "soon"),
        ("type", "wrker"),
        ("significant", "yes"),
        ("arguments", ["a"]),
        ("groups", "traders"),
        ("children", ("child",)),
        ("supervisor", {"strategy": "one_for_all"}),
    ],
)
def test_a_wrong_field_is_refused_with_its_name_and_value(field: str, value: object) -> None:
    """child_specs, child_specs_map"""
    with pytest.raises(BadSpec) as bad:
        ChildSpec(**{"id": "child", "start": "m:f", field: value})  # type: ignore[arg-type]
    assert f"'child': {field} is {value!r}" in str(bad.value)


@pytest.mark.parametrize(
    ("restart", "shutdown_s"), [("permanent", "infinity"), ("temporary", 1.0), ("transient", 1), ("transient", 0)]
)
def test_right_specs_are_taken(restart: str, shutdown_s: Any) -> None:
    """child_specs (C1 to C5); a time-out is a non-negative number (``timeout()``), infinity is right for a worker"""
    assert worker("child", restart=restart, shutdown_s=shutdown_s).restart == restart
    assert sup("child", restart=restart, shutdown_s=shutdown_s).restart == restart


def test_an_id_twice_is_refused() -> None:
    """child_specs (duplicate_child_name)"""
    with pytest.raises(BadSpec, match="each id once"):
        sup("s", worker("child"), worker("child"))


def test_a_dynamic_supervisor_takes_no_children_in_its_spec() -> None:
    """child_specs (bad_start_spec): ours starts empty and takes a whole spec for each child, as DynamicSupervisor"""
    with pytest.raises(BadSpec, match="starts empty"):
        sup("s", worker("child"), dynamic=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strategy", "none_for_one"),
        ("intensity", "infinity"),
        ("intensity", -1),
        ("period_s", 0),
        ("period_s", float("inf")),
        ("auto_shutdown", "sometimes"),
        ("max_children", -1),
        ("dynamic", 1),
        ("back_off", 5.0),
    ],
)
def test_a_wrong_flag_is_refused_with_its_name_and_value(field: str, value: object) -> None:
    """sup_flags"""
    with pytest.raises(BadSpec) as bad:
        SupervisorFlags(**{field: value})  # type: ignore[arg-type]
    assert f"{field} is {value!r}" in str(bad.value)


def test_significant_needs_a_supervisor_that_shuts_down_and_no_permanent_child() -> None:
    """validSignificant/3 (bad_combination); significant_upgrade_never_any"""
    with pytest.raises(BadSpec, match="significant"):
        worker("child", significant=True)
    with pytest.raises(BadSpec, match="auto_shutdown never"):
        check_child_of(SupervisorFlags(), "s", worker("child", restart="transient", significant=True), ())
    edge = Edge()
    spec = worker("child", restart="transient", significant=True)
    assert edge.call(StartChild("", spec)) == "bad_spec"
    assert edge.which() == []


# -- child_adm, child_adm_simple, extra_return, order, counts ----------------------------------------------------------


def test_the_whole_life_of_one_child_by_requests() -> None:
    """child_adm, extra_return"""
    edge = sup_test(worker("child1"))
    child = worker("child1")
    assert (edge.which(), edge.counts()) == ([("child1", "running")], [1, 1, 0, 1])
    assert edge.call(StartChild("", child)) == "already_started"
    assert edge.call(TerminateChild("hej")) == "not_found"
    assert edge.call(TerminateChild("child1")) == Done()
    assert (edge.which(), edge.counts()) == ([("child1", "undefined")], [1, 0, 0, 1])
    assert edge.call(TerminateChild("child1")) == Done()
    assert edge.call(StartChild("", child)) == "already_present"
    assert edge.call(RestartChild("child1")) == edge.started("child1")
    assert (edge.which(), edge.counts()) == ([("child1", "running")], [1, 1, 0, 1])
    assert edge.call(RestartChild("child1")) == "running"
    assert edge.call(RestartChild("child2")) == "not_found"
    assert edge.call(DeleteChild("child1")) == "running"
    assert edge.call(DeleteChild("hej")) == "not_found"
    assert edge.call(TerminateChild("child1")) == Done()
    assert edge.call(DeleteChild("child1")) == Done()
    assert edge.call(RestartChild("child1")) == "not_found"
    assert (edge.which(), edge.counts()) == ([], [0, 0, 0, 0])
    assert edge.call(StartChild("", child)) == edge.started("child1")
    edge.die("child1")
    edge.run()
    assert (edge.which(), edge.counts()) == ([("child1", "running")], [1, 1, 0, 1])


def test_a_supervisor_that_is_not_there_is_not_found() -> None:
    """child_adm (noproc)"""
    edge = sup_test(worker("child1"))
    for request in (StartChild("foo", worker("x")), TerminateChild("foo/child1"), DeleteChild("foo/child1"),
                    WhichChildren("foo"), WhichChildren("child1")):  # fmt: skip
        assert edge.call(request) == "not_found"


def test_the_life_of_dynamic_children_by_requests() -> None:
    """child_adm_simple; there by pid, here by their own names, which are free again when the child is gone"""
    edge = sup_test(dynamic=True)
    assert (edge.which(), edge.counts()) == ([], [0, 0, 0, 0])
    edge.call(StartChild("", worker("child1")))
    edge.call(StartChild("", worker("child2")))
    assert edge.counts() == [2, 2, 0, 2]
    assert edge.call(RestartChild("child1")) == "running"
    assert edge.call(DeleteChild("child1")) == "running"
    assert edge.call(TerminateChild("child1")) == Done()
    assert (edge.which(), edge.counts()) == ([("child2", "running")], [1, 1, 0, 1])
    assert edge.call(TerminateChild("child1")) == "not_found"
    assert edge.call(RestartChild("child1")) == "not_found"
    assert edge.call(StartChild("", worker("child1"))) == edge.started("child1")


@pytest.mark.parametrize("kind", [worker, sup])
def test_many_children_are_counted(kind: Any) -> None:
    """count_children, count_children_supervisor"""
    edge = sup_test(dynamic=True)
    for number in range(40):
        edge.call(StartChild("", kind(f"child{number}", restart="temporary")))
    supervisors = 40 if kind is sup else 0
    assert edge.counts() == [40, 40, supervisors, 40 - supervisors]
    for number in range(40):
        edge.call(TerminateChild(f"child{number}"))
    assert edge.counts() == [0, 0, 0, 0]


def test_children_that_are_being_restarted_are_counted_and_not_active() -> None:
    """count_restarting_children"""
    edge = sup_test(dynamic=True, intensity=20)
    for id in "abc":
        edge.call(StartChild("", worker(id)))
    edge.stubborn = {"a", "b"}
    edge.die("a")
    edge.die("b")
    assert edge.counts() == [3, 1, 0, 3]
    assert edge.which() == [("a", "restarting"), ("b", "restarting"), ("c", "running")]
    edge.die("a")
    assert edge.counts() == [3, 1, 0, 3]
    edge.stubborn = set()
    edge.run()
    assert edge.counts() == [3, 3, 0, 3]
    edge.call(TerminateChild("c"))
    assert edge.counts() == [2, 2, 0, 2]


def test_a_child_runs_when_its_start_handshake_is_done_and_not_before() -> None:
    """start_link/3 returns when init has: "to ensure a synchronized startup procedure" """
    edge = sup_test(worker("child1"))
    edge.stubborn = {"child2"}
    token = edge.ask(StartChild("", worker("child2")))
    assert (edge.which(), edge.counts()) == ([("child1", "running"), ("child2", "restarting")], [2, 1, 0, 2])
    assert edge.call(StartChild("", worker("child2"))) == "already_started"
    assert edge.call(RestartChild("child2")) == "running"
    assert edge.call(DeleteChild("child2")) == "running"
    edge.ready("child2")
    assert edge.answer(token) == edge.started("child2")
    assert edge.counts() == [2, 2, 0, 2]


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
@pytest.mark.parametrize("how", ["normal", "abnormal", "terminate_child"])
def test_specs_are_kept_but_those_of_temporary_children(strategy: str, how: str) -> None:
    """do_not_save_child_specs_for_temporary_children, do_not_save_start_parameters_for_temporary_children"""
    edge = sup_test(strategy=strategy, intensity=10)
    for restart in ("permanent", "transient", "temporary"):
        edge.call(StartChild("", worker(restart, restart=restart)))
        if how == "terminate_child":
            edge.call(TerminateChild(restart))
        else:
            edge.die(restart, how)
            edge.run()
        restarted = how != "terminate_child" and (restart == "permanent" or how == "abnormal")
        again = edge.call(StartChild("", worker(restart, restart=restart)))
        if restart == "temporary":
            assert again == edge.started("temporary")
        else:
            assert again == ("already_started" if restarted else "already_present")


def test_children_start_in_order_and_end_in_reverse_whatever_their_names() -> None:
    """order_of_children"""
    ids = ["ch7", "ch3", "ch10", "ch2", "ch5"]
    edge = sup_test(*(worker(id) for id in ids), strategy="rest_for_one")
    assert edge.take() == [f"+{id}" for id in ids]
    edge.die("ch10")
    edge.run()
    assert edge.take() == ["-ch5", "-ch2", "+ch10", "+ch2", "+ch5"]
    edge.shut_down()
    edge.run()
    assert edge.take() == [f"-{id}" for id in reversed(ids)]
