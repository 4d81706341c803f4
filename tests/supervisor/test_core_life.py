"""Start and shutdown, deadlines, stalls, late words: one behaviour a test. Time is an argument."""

from __future__ import annotations

from supervisor.core.liveness import Judge, overdue, stalled
from supervisor.core.tree import BecameReady, Exit, Exited, Hung
from supervisor.messages import (
    BackOff,
    StartChild,
    TerminateChild,
)
from tests.supervisor.core_edge import Edge, sup, worker

# -- start and shutdown -----------------------------------------------------------------------------------------------


def nested() -> Edge:
    return Edge(worker("a"), sup("s", worker("b"), worker("c")), worker("d"), boot=False)


def test_children_start_in_sequence_each_when_its_elder_is_ready() -> None:
    edge = nested()
    edge.stubborn = {"a", "s/b", "s/c", "d"}
    edge.boot()
    for path in ("a", "s/b", "s/c", "d"):
        assert edge.take() == [f"+{path}"]
        edge.wait(1.0)
        edge.ready(path)
    assert edge.state("") == "up"


def test_shutdown_goes_in_reverse_one_at_a_time() -> None:
    edge = nested()
    edge.boot()
    edge.take()
    edge.shut_down()
    for path in ("d", "s/c", "s/b", "a"):
        assert edge.take() == [f"-{path}"]
        assert edge.finished is None
        edge.die(path, "shutdown")
    assert edge.finished is not None
    assert not edge.finished.gave_up


def test_a_tree_without_children_ends_at_once() -> None:
    edge = Edge()
    edge.shut_down()
    assert edge.finished is not None


def test_shutdown_in_the_middle_of_the_start_ends_what_was_started_and_starts_nothing_more() -> None:
    edge = nested()
    edge.stubborn = {"s/b"}
    edge.boot()
    edge.stubborn = set()
    edge.shut_down()
    edge.run()
    assert edge.finished is not None
    assert edge.spawns == ["a", "s/b"]


def test_shutdown_in_the_middle_of_a_group_restart_starts_nothing_more() -> None:
    edge = Edge(sup("g", worker("a"), worker("b"), strategy="one_for_all"))
    edge.take()
    edge.die("g/a")
    edge.shut_down()
    edge.run()
    assert edge.finished is not None
    assert edge.take() == ["-g/b"]


def test_deaths_during_shutdown_are_neither_restarted_nor_charged() -> None:
    # Regression: a sibling's crash during shutdown could make its supervisor give up, with a page at night.
    edge = Edge(worker("a"), worker("b"), worker("c"), intensity=0)
    edge.shut_down()
    edge.die("a")
    edge.die("b")
    edge.run()
    assert edge.finished is not None
    assert not edge.finished.gave_up
    assert not edge.records("supervisor.gave_up")
    assert len(edge.spawns) == 3


def test_told_to_shut_down_while_giving_up_it_did_not_give_up() -> None:
    edge = Edge(worker("a"), worker("b"), intensity=0)
    edge.die("a")
    edge.shut_down()
    edge.run()
    assert edge.finished is not None
    assert not edge.finished.gave_up


def test_a_root_that_shuts_itself_down_automatically_ends_in_order() -> None:
    edge = Edge(worker("a", restart="transient", significant=True), worker("b"), auto_shutdown="any_significant")
    edge.die("a", "normal")
    edge.run()
    assert edge.finished is not None
    assert not edge.finished.gave_up


def test_dynamic_children_end_all_at_once() -> None:
    edge = Edge(sup("d", dynamic=True))
    for id in "abc":
        edge.ask(StartChild("d", worker(id)))
    edge.run()
    edge.take()
    edge.shut_down()
    assert sorted(edge.take()) == ["-d/a", "-d/b", "-d/c"]


def test_dynamic_children_start_in_parallel() -> None:
    edge = Edge(sup("d", dynamic=True))
    edge.take()
    edge.stubborn = {"d/a", "d/b"}
    for id in "ab":
        edge.ask(StartChild("d", worker(id)))
    assert edge.take() == ["+d/a", "+d/b"]


def test_a_child_that_fails_its_first_start_fails_its_supervisor_and_ends_the_elders() -> None:
    edge = Edge(worker("a"), worker("b"), worker("c"), boot=False)
    edge.stubborn = {"b"}
    edge.boot()
    edge.die("b")
    edge.run()
    assert edge.finished is not None
    assert edge.finished.gave_up
    assert edge.spawns == ["a", "b"]


def test_a_nested_first_start_that_fails_fails_the_whole_tree() -> None:
    edge = Edge(worker("a"), sup("s", sup("t", worker("w"))), boot=False)
    edge.stubborn = {"s/t/w"}
    edge.boot()
    edge.die("s/t/w")
    edge.run()
    assert edge.finished is not None
    assert edge.finished.gave_up
    assert "s/t/w failed to start" in edge.finished.why


def test_a_child_that_ends_normally_before_it_is_ready_has_failed_to_start() -> None:
    edge = Edge(worker("a", restart="transient"), boot=False)
    edge.stubborn = {"a"}
    edge.boot()
    edge.die("a", "normal")
    assert edge.records("child.start_failed")
    assert edge.finished is not None


# -- deadlines --------------------------------------------------------------------------------------------------------


def test_a_child_that_is_not_ready_within_its_limit_is_killed_and_has_failed_to_start() -> None:
    edge = Edge(sup("d", dynamic=True))
    edge.stubborn = {"d/a"}
    token = edge.ask(StartChild("d", worker("a", start_limit_s=3.0)))
    edge.wait(2.9)
    assert "d/a" in edge.alive
    edge.wait(0.2)
    assert edge.answer(token) == "failed"
    assert "not ready within 3 s" in edge.replies[token].error
    assert edge.state("d/a") == "forgotten"


def test_ready_from_a_child_that_is_being_killed_comes_too_late() -> None:
    # Regression: it became up, its start was answered ok, and then it was dead.
    edge = Edge(sup("d", dynamic=True))
    edge.stubborn = {"d/a"}
    token = edge.ask(StartChild("d", worker("a", start_limit_s=3.0)))
    edge.wait(3.1, run=False)
    edge.ready("d/a")
    edge.run()
    assert edge.answer(token) == "failed"


def test_a_child_past_its_shutdown_limit_is_killed_and_says_so() -> None:
    edge = Edge(worker("a", shutdown_s=2.0))
    edge.stubborn = {"a"}
    edge.ask(TerminateChild("a"))
    edge.wait(1.9)
    assert not edge.alive["a"].killed
    edge.wait(0.2)
    assert edge.state("a") == "ended"
    assert "shutdown limit of 2 s" in edge.tree.nodes["a"].why
    assert len(edge.records("child.killed")) == 1


def test_brutal_kill_asks_nobody() -> None:
    edge = Edge(worker("a", shutdown_s="brutal_kill"))
    edge.take()
    edge.ask(TerminateChild("a"))
    assert edge.take() == ["!a"]


def test_infinity_waits_for_ever_but_not_for_one_that_hangs() -> None:
    edge = Edge(worker("a", shutdown_s="infinity"))
    edge.stubborn = {"a"}
    edge.ask(TerminateChild("a"))
    edge.wait(100_000.0)
    assert not edge.alive["a"].killed
    edge.hang("a")
    edge.run()
    assert edge.state("a") == "ended"


def test_a_crash_while_stopping_is_told() -> None:
    edge = Edge(worker("a"))
    edge.ask(TerminateChild("a"))
    edge.die("a")
    assert edge.records("child.died")
    assert edge.state("a") == "ended"


def test_a_hung_child_is_killed_once_and_its_end_is_put_down_to_that() -> None:
    edge = Edge(worker("a", restart="transient"))
    edge.stubborn = {"a"}
    edge.hang("a", 10.4)
    edge.hang("a", 10.9)
    edge.run()
    assert edge.incarnations("a") == 2
    assert "hung: its loop did not turn for 10.4 s" in edge.tree.nodes["a"].why


def test_a_child_that_hangs_while_it_should_stop_is_killed_before_its_shutdown_limit() -> None:
    edge = Edge(worker("a", shutdown_s=60.0))
    edge.stubborn = {"a"}
    edge.ask(TerminateChild("a"))
    assert edge.state("a") == "stopping"
    edge.hang("a", 10.4)
    assert edge.alive["a"].killed
    edge.run()
    assert edge.state("a") == "ended"


def test_one_that_is_killed_already_when_its_group_ends_is_not_told_to_stop_and_is_told_of() -> None:
    # Regression: found by the histories. It was asked to stop, before its juniors, and nothing told of its hang.
    for limit in ("infinity", 5.0, "brutal_kill"):
        edge = Edge(worker("a"), sup("s", worker("b"), worker("c"), shutdown_s=limit), strategy="one_for_all")
        edge.hang("s/b")
        edge.take()
        edge.die("a")
        edge.run()
        assert "-s/b" not in edge.take()
        assert edge.up() == ["a", "s/b", "s/c"]


def test_a_hang_while_stopping_is_told_once() -> None:
    edge = Edge(worker("a", shutdown_s=60.0))
    edge.stubborn = {"a"}
    edge.ask(TerminateChild("a"))
    edge.hang("a")
    edge.run()
    assert ["hung" in record.text for record in edge.records("child.killed")] == [True]
    hung_before = Edge(worker("a"))
    hung_before.hang("a")
    hung_before.ask(TerminateChild("a"))
    hung_before.run()
    assert ["hung" in record.text for record in hung_before.records("child.killed")] == [True]


def test_a_stall_moves_every_deadline_and_nobody_is_killed_for_it() -> None:
    edge = Edge(worker("a", start_limit_s=10.0, shutdown_s=5.0), worker("b", start_limit_s=10.0), intensity=2)
    edge.stubborn = {"a", "b"}
    edge.die("b")
    edge.ask(TerminateChild("a"))
    edge.stall(90.0)
    edge.wait(4.9)
    assert not edge.alive["a"].killed
    edge.wait(0.2)
    assert edge.state("a") == "ended"
    edge.wait(4.8)
    assert not edge.alive["b"].killed
    assert len(edge.records("machine.stalled")) == 1


def test_a_stall_that_nobody_watched_from_its_beginning_leaves_a_starting_child_its_time() -> None:
    # The supervisor slept towards this very deadline when all were stopped: lateness alone would kill at once.
    edge = Edge(boot=False)
    edge.boot()
    edge.stubborn = {"a"}
    edge.ask(StartChild("", worker("a", start_limit_s=10.0)))
    edge.now_s += 10.0
    edge.stall(80.0, unwatched_s=90.0)
    edge.wait(9.9)
    assert not edge.alive["a"].killed


def test_a_process_group_stopped_for_90_s_and_continued_restarts_nobody() -> None:
    """All stand still, the judge too, whatever each was doing. Afterwards each has the time that it had still had."""
    group = sup("g", worker("up"), worker("held"), back_off=BackOff(base_s=50.0), intensity=0)
    edge = Edge(group, sup("d", dynamic=True), worker("ending", shutdown_s=20.0), intensity=0)
    edge.stubborn = {"d/starting", "ending"}
    edge.die("g/held")
    edge.ask(StartChild("d", worker("starting", start_limit_s=15.0)))
    edge.ask(TerminateChild("ending"))
    edge.wait(1.0)
    page = [(slot, edge.now_s + 10.0) for slot in range(len(edge.alive))]
    before, states = dict(edge.alive), {path: node.state for path, node in edge.tree.nodes.items()}
    edge.stall(90.0, 90.5)
    judge = stalled(Judge(), 90.5, page)
    assert overdue(judge, page, edge.now_s) == []
    edge.wait(10.0, run=False)
    assert edge.alive == before
    assert not any(process.killed for process in edge.alive.values())
    assert {path: node.state for path, node in edge.tree.nodes.items()} == states
    assert not any(node.restarts for path, node in edge.tree.nodes.items() if path != "g/held")
    edge.stubborn = set()
    edge.wait(60.0)
    assert edge.up() == ["g/up", "g/held", "d/starting"]
    assert not edge.records("child.killed")


def test_a_short_stall_is_not_worth_a_word() -> None:
    edge = Edge(worker("a"))
    edge.stall(0.3)
    assert not edge.records("machine.stalled")


# -- late words -------------------------------------------------------------------------------------------------------


def test_late_word_of_an_old_incarnation_means_nothing() -> None:
    edge = Edge(worker("a"))
    old = edge.alive["a"].incarnation
    edge.stubborn = {"a"}
    edge.die("a")
    before = edge.tree
    for word in (BecameReady("a", old), Hung("a", old, 9.0), Exited("a", old, Exit("normal", "late"))):
        assert edge.feed(word) == []
    assert edge.tree == before


def test_word_of_a_name_that_nobody_knows_means_nothing() -> None:
    edge = Edge(worker("a"))
    assert edge.feed(BecameReady("nobody", 1)) == []


def test_incarnations_are_never_used_twice_and_watchers_hear_each_up_and_down() -> None:
    edge = Edge(worker("a"), intensity=3)
    seen = {edge.alive["a"].incarnation}
    for _ in range(3):
        edge.die("a")
        edge.run()
        seen.add(edge.alive["a"].incarnation)
    assert len(seen) == 4
    assert edge.announced("a") == [True, False, True, False, True, False, True]
