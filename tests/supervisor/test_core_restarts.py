"""OTP's rules of restart, one behaviour a test: restart types, strategies, intensity, auto-shutdown, expected ends."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from supervisor.core.restart import add_restart
from supervisor.messages import EnsureChild, RestartChild, StartChild, SupervisorFlags, TerminateChild
from tests.supervisor.core_edge import Edge, sup, worker

# -- restart types: what follows each kind of end ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "how", "again"),
    [
        ("permanent", "normal", True),
        ("permanent", "shutdown", True),
        ("permanent", "expected", True),
        ("permanent", "abnormal", True),
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("transient", "expected", True),
        ("transient", "abnormal", True),
        ("temporary", "normal", False),
        ("temporary", "shutdown", False),
        ("temporary", "expected", False),
        ("temporary", "abnormal", False),
    ],
)
def test_a_child_is_restarted_by_its_type_and_its_end(restart: str, how: str, again: bool) -> None:
    edge = Edge(worker("a", restart=restart), worker("bystander"))
    edge.die("a", how)
    edge.run()
    assert (edge.incarnations("a") == 2) == again
    assert edge.incarnations("bystander") == 1
    assert edge.state("a") == ("up" if again else "forgotten" if restart == "temporary" else "ended")


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_a_child_that_says_ignore_is_kept_without_a_process_unless_temporary(restart: str) -> None:
    edge = Edge(worker("a", restart=restart), worker("b"), boot=False)
    edge.stubborn = {"a"}
    edge.boot()
    edge.die("a", "ignore")
    edge.run()
    assert edge.state("a") == ("forgotten" if restart == "temporary" else "ended")
    assert edge.up() == ["b"]
    assert edge.incarnations("a") == 1


def test_ignore_after_ready_is_an_end_like_any_other() -> None:
    edge = Edge(worker("a"))
    edge.die("a", "ignore")
    assert edge.incarnations("a") == 2


def test_a_dynamic_supervisor_forgets_what_ended_and_restarts_what_crashed() -> None:
    edge = Edge(sup("d", dynamic=True, intensity=5))
    for id in ("a", "b"):
        edge.ask(StartChild("d", worker(id, restart="transient")))
    edge.run()
    edge.die("d/a", "normal")
    edge.die("d/b")
    edge.run()
    assert edge.state("d/a") == "forgotten"
    assert edge.incarnations("d/b") == 2


# -- strategies -------------------------------------------------------------------------------------------------------


def trio(strategy: str, **flags: Any) -> Edge:
    edge = Edge(sup("g", worker("a"), worker("b"), worker("c"), strategy=strategy, intensity=3, **flags))
    edge.take()
    return edge


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("one_for_one", ["+g/b"]),
        ("rest_for_one", ["-g/c", "+g/b", "+g/c"]),
        ("one_for_all", ["-g/c", "-g/a", "+g/a", "+g/b", "+g/c"]),
    ],
)
def test_a_death_ends_and_restarts_siblings_by_the_strategy(strategy: str, told: list[str]) -> None:
    edge = trio(strategy)
    edge.die("g/b")
    edge.run()
    assert edge.take() == told
    assert edge.up() == ["g/a", "g/b", "g/c"]


def test_a_group_starts_again_only_when_its_last_old_incarnation_is_gone() -> None:
    edge = trio("one_for_all")
    edge.stubborn = {"g/c"}
    edge.die("g/a")
    edge.run()
    assert edge.take() == ["-g/c"]
    edge.wait(4.9)
    assert edge.take() == []
    edge.wait(0.2)
    assert edge.take()[:2] == ["!g/c", "-g/b"]


def test_a_group_restart_starts_ended_transient_children_too_and_forgets_temporary_ones() -> None:
    edge = Edge(
        sup(
            "g",
            worker("a"),
            worker("b", restart="transient"),
            worker("c", restart="temporary"),
            strategy="one_for_all",
        )
    )
    edge.die("g/b", "normal")
    edge.run()
    assert edge.state("g/b") == "ended"
    edge.die("g/a")
    edge.run()
    assert edge.up() == ["g/a", "g/b"]
    assert edge.state("g/c") == "forgotten"


def test_siblings_killed_together_are_charged_as_one_death_of_the_group() -> None:
    # OTP finds them dead while it ends the group. Regression: each was charged.
    edge = Edge(sup("g", *(worker(id) for id in "abcd"), strategy="one_for_all", intensity=1))
    for id in "abcd":
        edge.die(f"g/{id}")
    edge.run()
    assert len(edge.up()) == 4
    assert not edge.records("supervisor.gave_up")


def test_a_failed_start_inside_a_group_restart_is_tried_again_and_charged() -> None:
    edge = trio("one_for_all")
    edge.stubborn = {"g/b"}
    edge.die("g/a")
    edge.run()
    edge.die("g/b", "shutdown")
    edge.run()
    assert edge.state("g/b") == "starting"
    edge.die("g/b")
    edge.run()
    assert edge.incarnations("g/a") == 3
    assert len(edge.tree.nodes["g"].death_times_s) == 2


def test_an_elder_that_dies_while_juniors_go_down_takes_the_group_from_its_place() -> None:
    edge = trio("rest_for_one")
    edge.stubborn = {"g/c"}
    edge.die("g/b")
    edge.run()
    edge.die("g/a")
    edge.stubborn = set()
    edge.run()
    assert edge.take() == ["-g/c", "+g/a", "+g/b", "+g/c"]


def test_a_regroup_keeps_its_place_when_temporary_elders_are_forgotten_meanwhile() -> None:
    # Regression: the place was a number in a sequence that had become shorter, and c was not ended with its group.
    temporary = [worker(id, restart="temporary") for id in ("t1", "t2")]
    edge = Edge(sup("g", *temporary, *(worker(id) for id in "bcd"), strategy="rest_for_one", intensity=3))
    edge.stubborn = {"g/d"}
    edge.die("g/b")
    edge.die("g/t1")
    edge.die("g/t2")
    edge.stubborn = set()
    edge.run()
    assert [edge.incarnations(f"g/{id}") for id in "bcd"] == [2, 2, 2]


def test_a_child_terminated_while_its_group_restarts_stays_down() -> None:
    # Regression: the restart started it again although terminate_child had been answered.
    edge = trio("one_for_all")
    edge.stubborn = {"g/a"}
    edge.die("g/b")
    token = edge.ask(TerminateChild("g/c"))
    edge.run()
    assert token in edge.replies
    edge.stubborn = set()
    edge.run()
    assert edge.up() == ["g/a", "g/b"]
    assert edge.state("g/c") == "ended"


def test_a_child_that_is_being_terminated_when_its_group_restarts_stays_down() -> None:
    edge = trio("one_for_all")
    edge.stubborn = {"g/c"}
    edge.ask(TerminateChild("g/c"))
    edge.die("g/a")
    edge.stubborn = set()
    edge.run()
    assert edge.up() == ["g/a", "g/b"]


def test_a_supervisor_that_is_giving_up_when_its_group_restarts_comes_back_with_the_group() -> None:
    inner = sup("s", worker("v"), worker("w"), intensity=0, restart="transient")
    edge = Edge(sup("g", worker("a"), inner, strategy="one_for_all", intensity=3))
    edge.stubborn = {"g/s/v"}
    edge.die("g/s/w")
    edge.die("g/a")
    edge.stubborn = set()
    edge.run()
    assert edge.up() == ["g/a", "g/s/v", "g/s/w"]


def test_in_a_group_nobody_starts_while_an_elder_is_still_going_down() -> None:
    edge = trio("rest_for_one")
    edge.stubborn = {"g/a"}
    edge.ask(TerminateChild("g/a"))
    edge.ask(StartChild("g", worker("d")))
    assert edge.incarnations("g/d") == 0
    edge.die("g/a", "shutdown")
    assert edge.incarnations("g/d") == 1


# -- intensity and escalation -----------------------------------------------------------------------------------------


def test_intensity_counts_the_restarts_of_the_period_and_its_border_belongs_to_it() -> None:
    flags = SupervisorFlags(intensity=2, period_s=5.0)
    assert add_restart((10.0, 8.0), 13.0, flags) == ((13.0, 10.0, 8.0), True)
    assert add_restart((10.0, 8.0), 13.001, flags) == ((13.001, 10.0), False)


def test_intensity_0_allows_no_restart() -> None:
    edge = Edge(sup("g", worker("a"), intensity=0), intensity=3)
    edge.die("g/a")
    assert edge.records("supervisor.gave_up")[0].subject == "g"


def test_deaths_of_different_children_count_together() -> None:
    edge = Edge(sup("g", worker("a"), worker("b"), intensity=1, restart="temporary"))
    edge.die("g/a")
    edge.run()
    edge.die("g/b")
    assert edge.state("g") == "forgotten" or edge.state("g") == "stopping"


def test_restarts_far_enough_apart_go_on_for_ever() -> None:
    edge = Edge(worker("a"), intensity=1, period_s=5.0)
    for _ in range(50):
        edge.wait(5.01)
        edge.die("a")
        edge.run()
    assert edge.up() == ["a"]


def test_a_supervisor_that_gives_up_ends_its_children_in_reverse_and_exits_shutdown_to_its_parent() -> None:
    edge = Edge(sup("g", worker("a"), worker("b"), worker("c"), intensity=0), worker("other"), intensity=1)
    edge.take()
    edge.die("g/b")
    edge.run()
    assert edge.take() == ["-g/c", "-g/a", "+g/a", "+g/b", "+g/c"]
    assert edge.tree.nodes["g"].restarts == 1
    assert edge.incarnations("other") == 1


@pytest.mark.parametrize(("restart", "after"), [("transient", "ended"), ("temporary", "forgotten")])
def test_a_supervisor_that_gave_up_is_not_restarted_unless_permanent(restart: str, after: str) -> None:
    edge = Edge(sup("g", worker("a"), intensity=0, restart=restart), worker("other"))
    edge.die("g/a")
    edge.run()
    assert edge.state("g") == after
    assert edge.up() == ["other"]


def test_a_supervisor_that_gives_up_before_it_is_up_has_failed_to_start() -> None:
    edge = Edge(sup("g", worker("a"), worker("b"), intensity=0, restart="transient"), boot=False, intensity=0)
    edge.stubborn = {"g/b"}
    edge.boot()
    edge.die("g/a")
    edge.stubborn = set()
    edge.run()
    assert edge.records("child.start_failed")[0].subject == "g"
    assert edge.finished is not None


def test_escalation_reaches_the_root_which_finishes_and_says_that_it_gave_up() -> None:
    edge = Edge(sup("g", worker("a"), intensity=0), intensity=0)
    edge.die("g/a")
    edge.run()
    assert edge.finished is not None
    assert edge.finished.gave_up


def test_a_restarted_supervisor_has_its_whole_budget_and_only_the_children_of_its_spec() -> None:
    edge = Edge(sup("g", worker("a"), intensity=1), intensity=5)
    edge.ask(StartChild("g", worker("late")))
    edge.run()
    for _ in range(2):
        edge.die("g/a")
        edge.run()
    assert edge.up() == ["g/a"]
    assert edge.tree.nodes["g"].death_times_s == ()
    edge.die("g/a")
    edge.run()
    assert edge.tree.nodes["g"].restarts == 1


# -- auto-shutdown ----------------------------------------------------------------------------------------------------


def significant(auto_shutdown: str, **flags: Any) -> Edge:
    members = [worker(id, restart="transient", significant=True) for id in ("a", "b")]
    group = sup("g", *members, worker("c"), auto_shutdown=auto_shutdown, restart="transient", intensity=3, **flags)
    return Edge(group, worker("other"))


@pytest.mark.parametrize("how", ["normal", "shutdown"])
def test_any_significant_child_that_ends_itself_ends_its_supervisor(how: str) -> None:
    edge = significant("any_significant")
    edge.die("g/a", how)
    edge.run()
    assert edge.state("g") == "ended"
    assert edge.up() == ["other"]


def test_all_significant_waits_for_the_last_one() -> None:
    edge = significant("all_significant")
    edge.die("g/a", "normal")
    edge.run()
    assert edge.state("g") == "up"
    edge.die("g/b", "normal")
    edge.run()
    assert edge.state("g") == "ended"


def test_a_significant_child_that_crashes_is_restarted_and_ends_nobody() -> None:
    edge = significant("any_significant")
    edge.die("g/a")
    edge.run()
    assert edge.state("g") == "up"
    assert edge.incarnations("g/a") == 2


def test_a_significant_child_that_was_terminated_ends_nobody() -> None:
    edge = significant("any_significant")
    edge.ask(TerminateChild("g/a"))
    edge.run()
    assert edge.state("g") == "up"


def test_a_significant_child_ended_with_its_group_ends_nobody() -> None:
    edge = significant("any_significant", strategy="one_for_all")
    edge.die("g/c")
    edge.run()
    assert edge.state("g") == "up"
    assert edge.incarnations("g/a") == 2


def test_a_temporary_significant_child_ends_its_supervisor_when_it_crashes() -> None:
    first = worker("a", restart="temporary", significant=True)
    edge = Edge(sup("g", first, worker("b"), restart="transient", auto_shutdown="any_significant"))
    edge.die("g/a")
    edge.run()
    assert edge.state("g") == "ended"


def test_auto_shutdown_while_the_group_still_starts_is_an_end_and_not_a_failed_start() -> None:
    # Regression: a session whose account manager had nothing left to do was started again as if it had failed.
    first = worker("a", restart="transient", significant=True)
    group = sup("g", first, worker("b"), restart="transient", auto_shutdown="any_significant")
    edge = Edge(sup("d", dynamic=True))
    edge.stubborn = {"d/g/b"}
    token = edge.ask(StartChild("d", group))
    edge.run()
    edge.die("d/g/a", "normal")
    edge.stubborn = set()
    edge.run()
    assert edge.state("d/g") == "forgotten"
    assert edge.answer(token) == "failed"
    assert not edge.records("child.start_failed")


# -- expected ends ----------------------------------------------------------------------------------------------------


def test_an_expected_end_is_restarted_at_once_and_not_charged() -> None:
    edge = Edge(worker("a", restart="transient"), intensity=0)
    edge.die("a", "expected", "GoAway")
    edge.run()
    node = edge.tree.nodes["a"]
    assert (node.state, node.restarts, node.expected_restarts) == ("up", 0, 1)


def test_expected_ends_restart_at_most_once_a_second() -> None:
    edge = Edge(worker("a", restart="transient"), intensity=0)
    for _ in range(40):
        if "a" in edge.alive:
            edge.die("a", "expected")
        edge.wait(0.25)
    restarts_s = [at_s for _, at_s in edge.spawned_s][1:]
    assert len(restarts_s) == 11
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(restarts_s))


def test_an_expected_end_restarts_its_group_too_but_charges_nothing() -> None:
    edge = trio("one_for_all")
    for _ in range(20):
        edge.die("g/b", "expected")
        edge.wait(1.1)
    assert edge.incarnations("g/a") == 21
    assert edge.tree.nodes["g"].death_times_s == ()


# -- restarts that were asked for -------------------------------------------------------------------------------------


def test_a_start_that_was_asked_for_and_fails_is_answered_and_not_tried_again() -> None:
    edge = Edge(worker("a"))
    edge.ask(TerminateChild("a"))
    edge.run()
    edge.stubborn = {"a"}
    token = edge.ask(RestartChild("a"))
    edge.die("a")
    assert edge.answer(token) == "failed"
    assert edge.state("a") == "ended"


def test_ensure_child_during_a_group_restart_does_not_make_a_failed_start_final() -> None:
    edge = trio("one_for_all")
    edge.stubborn = {"g/a"}
    edge.die("g/b")
    edge.run()
    token = edge.ask(EnsureChild("g", worker("a")))
    assert token in edge.replies
    edge.die("g/a")
    edge.stubborn = set()
    edge.run()
    assert edge.up() == ["g/a", "g/b", "g/c"]
