"""Requests and their refusals, ``ensure_child``: one behaviour a test. Time is an argument."""

from __future__ import annotations

import pytest

from supervisor.messages import (
    BackOff,
    DeleteChild,
    Done,
    EnsureChild,
    ReadTree,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
    Tree,
)
from tests.supervisor.core_edge import Edge, sup, worker


def nested() -> Edge:
    return Edge(worker("a"), sup("s", worker("b"), worker("c")), worker("d"), boot=False)


# -- start_child, restart_child, delete_child, terminate_child --------------------------------------------------------


def test_start_child_answers_when_the_child_is_ready() -> None:
    edge = Edge(worker("a"))
    edge.stubborn = {"b"}
    token = edge.ask(StartChild("", worker("b")))
    assert token not in edge.replies
    edge.ready("b")
    assert edge.answer(token) == edge.started("b")


def test_start_child_of_one_that_says_ignore_answers_without_a_process_and_keeps_the_spec() -> None:
    edge = Edge()
    edge.stubborn = {"a"}
    token = edge.ask(StartChild("", worker("a")))
    edge.die("a", "ignore")
    assert edge.answer(token) == Started("a", 0)
    assert edge.state("a") == "ended"


def test_a_failed_start_child_is_not_kept() -> None:
    edge = Edge()
    edge.stubborn = {"a"}
    token = edge.ask(StartChild("", worker("a")))
    edge.die("a", why="ImportError: no module named x")
    assert "ImportError" in edge.replies[token].error
    assert edge.state("a") == "forgotten"


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (StartChild("", worker("up")), "already_started"),
        (StartChild("", worker("ended")), "already_present"),
        (StartChild("", worker("held")), "already_present"),
        (StartChild("nobody", worker("x")), "not_found"),
        (StartChild("up", worker("x")), "not_found"),
        (StartChild("gone", worker("x")), "stopping"),
        (EnsureChild("gone", worker("x")), "stopping"),
        (StartChild("", worker("x", restart="transient", significant=True)), "bad_spec"),
        (StartChild("", worker("gone/x")), "bad_spec"),
        (TerminateChild("nobody"), "not_found"),
        (TerminateChild(""), "not_found"),
        (RestartChild("nobody"), "not_found"),
        (RestartChild("up"), "running"),
        (RestartChild("held"), "restarting"),
        (RestartChild("gone/w"), "stopping"),
        (DeleteChild("up"), "running"),
        (DeleteChild("held"), "restarting"),
        (DeleteChild("nobody"), "not_found"),
        (worker("no_request"), "bad_request"),
    ],
)
def test_a_refusal_begins_with_otps_word(request_: object, word: str) -> None:
    gone = sup("gone", worker("w", restart="transient", significant=True), restart="transient",
               auto_shutdown="any_significant")  # fmt: skip
    edge = Edge(worker("up"), worker("ended"), gone, worker("held"), intensity=0, back_off=BackOff(base_s=60.0))
    edge.ask(TerminateChild("ended"))
    edge.die("gone/w", "normal")
    edge.die("held")
    edge.run()
    assert edge.answer(edge.ask(request_)) == word


def test_terminated_children_stay_down_and_can_be_restarted_or_deleted() -> None:
    edge = Edge(worker("a"), worker("b"))
    ended = [edge.ask(TerminateChild("a")), edge.ask(TerminateChild("b"))]
    assert not set(ended) & set(edge.replies)
    edge.run()
    assert [edge.answer(token) for token in ended] == [Done(), Done()]
    edge.wait(1000.0)
    assert edge.up() == []
    assert edge.answer(edge.ask(TerminateChild("a"))) == Done()
    restarted = edge.ask(RestartChild("a"))
    edge.run()
    assert edge.answer(restarted) == edge.started("a")
    assert edge.answer(edge.ask(DeleteChild("b"))) == Done()
    assert edge.state("b") == "forgotten"


def test_a_terminated_temporary_or_dynamic_child_is_forgotten() -> None:
    edge = Edge(worker("t", restart="temporary"), sup("d", dynamic=True))
    edge.ask(StartChild("d", worker("a")))
    edge.run()
    edge.ask(TerminateChild("t"))
    edge.ask(TerminateChild("d/a"))
    edge.run()
    assert edge.state("t") == edge.state("d/a") == "forgotten"


def test_a_child_added_to_a_supervisor_that_is_still_starting_waits_its_turn_and_is_refused_when_that_ends() -> None:
    # Regression: the request was never answered.
    edge = Edge(worker("a"), boot=False)
    edge.stubborn = {"a"}
    edge.boot()
    token = edge.ask(StartChild("", worker("b")))
    assert edge.spawns == ["a"]
    edge.shut_down()
    edge.die("a", "shutdown")
    assert edge.answer(token) == "stopping"


def test_terminating_a_child_before_its_turn_refuses_its_start_and_lets_the_next_one_go() -> None:
    edge = Edge(worker("a"), boot=False)
    edge.stubborn = {"a"}
    edge.boot()
    first, second = edge.ask(StartChild("", worker("b"))), edge.ask(StartChild("", worker("c")))
    edge.ask(TerminateChild("b"))
    edge.stubborn = set()
    edge.run()
    assert edge.answer(first) == "stopped"
    assert edge.answer(second) == edge.started("c")


# -- ensure_child -----------------------------------------------------------------------------------------------------


def test_ensure_child_starts_what_is_not_there_and_is_content_with_what_is() -> None:
    edge = Edge(sup("d", dynamic=True))
    first = edge.ask(EnsureChild("d", worker("a")))
    second = edge.ask(EnsureChild("d", worker("a")))
    edge.run()
    third = edge.ask(EnsureChild("d", worker("a")))
    assert edge.answer(first) == edge.answer(second) == edge.started("d/a")
    assert edge.answer(third) == edge.started("d/a", already=True)
    assert edge.incarnations("d/a") == 1


def test_ensure_child_of_one_that_is_just_ending_starts_it_when_it_is_gone() -> None:
    edge = Edge(sup("d", dynamic=True))
    edge.ask(EnsureChild("d", worker("a")))
    edge.run()
    ended = edge.ask(TerminateChild("d/a"))
    waiting = [edge.ask(EnsureChild("d", worker("a", arguments={"new": 1}))) for _ in range(2)]
    assert edge.incarnations("d/a") == 1
    edge.run()
    assert edge.answer(ended) == Done()
    assert {edge.answer(token) for token in waiting} == {edge.started("d/a")}
    assert edge.tree.nodes["d/a"].spec.arguments == {"new": 1}
    assert edge.incarnations("d/a") == 2


def test_ensure_child_of_a_supervisor_that_ends_itself_starts_it_when_it_is_gone() -> None:
    first = worker("first", restart="transient", significant=True)
    group = sup("g", first, worker("w"), restart="transient", auto_shutdown="any_significant")
    edge = Edge(sup("d", dynamic=True))
    edge.ask(EnsureChild("d", group))
    edge.run()
    edge.die("d/g/first", "normal")
    token = edge.ask(EnsureChild("d", group))
    edge.run()
    assert edge.answer(token) == edge.started("d/g")
    assert edge.up() == ["d/g/first", "d/g/w"]


def test_terminate_after_ensure_is_the_later_word() -> None:
    # Regression: terminate was answered, and then the child was started.
    edge = Edge(worker("a"))
    edge.ask(TerminateChild("a"))
    ensured = edge.ask(EnsureChild("", worker("a")))
    ended = edge.ask(TerminateChild("a"))
    edge.run()
    assert edge.answer(ensured) == "stopped"
    assert edge.answer(ended) == Done()
    assert edge.state("a") == "ended"


def test_an_ensured_child_that_fails_after_a_past_life_is_forgotten_by_a_dynamic_supervisor() -> None:
    edge = Edge(sup("d", dynamic=True))
    edge.ask(EnsureChild("d", worker("a")))
    edge.run()
    edge.ask(TerminateChild("d/a"))
    token = edge.ask(EnsureChild("d", worker("a")))
    edge.die("d/a", "shutdown")
    edge.die("d/a")
    assert edge.answer(token) == "failed"
    assert edge.state("d/a") == "forgotten"


def test_an_ended_supervisor_that_is_ensured_as_a_worker_leaves_no_children_behind() -> None:
    # Regression: until it started its old children were still there, and terminating one crashed the core.
    edge = Edge(worker("a"), sup("s", worker("w")), boot=False)
    edge.stubborn = {"a"}
    edge.boot()
    edge.ask(TerminateChild("s"))
    edge.ask(EnsureChild("", worker("s")))
    assert edge.answer(edge.ask(TerminateChild("s/w"))) == "not_found"


def test_ensure_child_is_refused_when_its_supervisor_ends_meanwhile() -> None:
    edge = Edge(worker("a"))
    edge.ask(TerminateChild("a"))
    token = edge.ask(EnsureChild("", worker("a")))
    edge.shut_down()
    edge.run()
    assert edge.answer(token) == "stopping"
    assert edge.finished is not None


def test_a_full_supervisor_takes_no_new_child_and_still_answers_for_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("supervisor.core.requests.CHILDREN_MAX", 1)
    edge = Edge(worker("a"))
    assert edge.answer(edge.ask(StartChild("", worker("b")))) == "max_children"
    assert edge.answer(edge.ask(EnsureChild("", worker("a")))) == edge.started("a", already=True)


def test_the_tree_is_told_parents_first_and_siblings_in_their_sequence() -> None:
    edge = nested()
    edge.boot()
    tree = edge.answer(edge.ask(ReadTree("")))
    assert isinstance(tree, Tree)
    assert [child.name for child in tree.children] == ["a", "s", "s/b", "s/c", "d"]
    below = edge.answer(edge.ask(ReadTree("s")))
    assert isinstance(below, Tree)
    assert [child.name for child in below.children] == ["s", "s/b", "s/c"]
