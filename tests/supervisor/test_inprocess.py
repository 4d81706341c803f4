"""A supervisor in the calling process, its children plain functions: what a program that imports it relies on."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor import BackOff, ChildSpec, Supervisor, SupervisorFlags
from supervisor.errors import HomeTaken, Refused, StartFailed
from supervisor.messages import ChildInfo
from supervisor.runtime.kid import Kid

LIMIT_S = 15.0
BODIES = "tests.supervisor.bodies"


def function(id: str, name: str = "beating", **fields: Any) -> ChildSpec:
    return ChildSpec(id=id, start=f"{BODIES}:{name}", **fields)


def root(*children: ChildSpec, **flags: Any) -> ChildSpec:
    return ChildSpec(
        id="root",
        type="supervisor",
        supervisor=SupervisorFlags(**{"intensity": 50, "period_s": 60.0, **flags}),
        children=children,
    )


@contextmanager
def running(home: Path, *children: ChildSpec, **flags: Any) -> Iterator[Supervisor]:
    with Supervisor(root(*children, **flags), home) as supervisor:
        yield supervisor


def row(supervisor: Supervisor, name: str, deaths: int = 10) -> ChildInfo:
    return supervisor.tree(name, deaths).children[0]


def until(supervisor: Supervisor, condition: Callable[[], Any]) -> None:
    assert supervisor.until(lambda: bool(condition()), LIMIT_S), supervisor.tree()


def is_back(supervisor: Supervisor, before: ChildInfo) -> bool:
    now = row(supervisor, before.name)
    return now.state == "up" and now.incarnation > before.incarnation


def dies_and_is_back(supervisor: Supervisor, name: str) -> ChildInfo:
    """It has died once more than never, and its successor is up."""
    until(supervisor, lambda: row(supervisor, name).restarts and row(supervisor, name).state == "up")
    return row(supervisor, name)


# -- its life ---------------------------------------------------------------------------------------------------------


def test_a_tree_is_up_when_start_returns_and_gone_after_the_with(tmp_path: Path) -> None:
    with running(tmp_path, function("a"), function("b")) as supervisor:
        rows = supervisor.which_children().children
        assert [(each.id, each.status) for each in rows] == [("a", "running"), ("b", "running")]
        assert supervisor.count_children().active == 2
        pids = [each.pid for each in rows]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_root_that_cannot_start_says_which_child_and_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"b failed to start: .*no_such_function"):
        Supervisor(root(function("a"), function("b", "no_such_function")), tmp_path).start()
    with running(tmp_path, function("a")) as supervisor:  # and the home is free again
        assert supervisor.count_children().active == 1


def test_one_home_has_one_supervisor(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(HomeTaken):
        Supervisor(root(), tmp_path).start()


def test_a_supervisor_that_gives_up_is_finished_and_refuses(tmp_path: Path) -> None:
    with running(tmp_path, function("a", "crashing"), intensity=1) as supervisor:
        supervisor.until(lambda: supervisor.finished, LIMIT_S)
        assert supervisor.finished
        with pytest.raises(Refused, match="finished"):
            supervisor.count_children()


def test_what_happened_while_nobody_minded_the_tree_is_caught_up_and_nobody_is_judged_for_it(tmp_path: Path) -> None:
    with running(tmp_path, function("a", liveness_limit_s=0.3), function("b", liveness_limit_s=0.3)) as supervisor:
        before = {each.id: each.pid for each in supervisor.which_children().children}
        os.kill(before["a"], signal.SIGKILL)
        time.sleep(1.0)  # the caller does other things
        until(supervisor, lambda: row(supervisor, "a").state == "up" and row(supervisor, "a").pid != before["a"])
        assert row(supervisor, "b").pid == before["b"]
        assert row(supervisor, "b").restarts == 0


def test_a_stall_in_the_middle_of_a_turn_kills_nobody_who_starts_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Regression: only waking late was told and excused, so that a stop between waking and sleeping was neither.
    with running(tmp_path, function("slow", "back_late", arguments={"after_s": 2.0}, start_limit_s=1.0)) as supervisor:
        runtime, before = supervisor.runtime, row(supervisor, "slow")
        as_it_is = runtime._on_death

        def and_stands_still(kid: Kid) -> None:
            as_it_is(kid)
            monkeypatch.undo()
            time.sleep(1.5)

        monkeypatch.setattr(runtime, "_on_death", and_stands_still)
        os.kill(before.pid, signal.SIGKILL)
        until(supervisor, lambda: is_back(supervisor, before))
        assert row(supervisor, "slow").restarts == 1, row(supervisor, "slow")
        assert "machine.stalled" in (tmp_path / "logs" / "nightdesk.log").read_text()


# -- how children end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "restart", "how", "again"),
    [
        ({"how": "normal"}, "transient", "normal", False),
        ({"how": "shutdown"}, "transient", "shutdown", False),
        ({"how": "expected"}, "transient", "expected", True),
        ({"how": "expected"}, "temporary", "expected", False),
        ({"status": 3}, "transient", "abnormal", True),
        ({"status": 3}, "temporary", "abnormal", False),
    ],
)
def test_how_it_ended_decides_whether_it_is_started_again(
    tmp_path: Path, arguments: dict[str, Any], restart: Any, how: str, again: bool
) -> None:
    flags = {"intensity": 3, "back_off": BackOff(base_s=30.0)}
    spec = function("a", "leaving", arguments=arguments, restart=restart)
    with running(tmp_path, function("other"), **flags) as supervisor:
        first = supervisor.start_child("", spec).incarnation
        deaths = lambda: [death for each in supervisor.tree("a", 10).children for death in each.deaths]  # noqa: E731
        if restart == "temporary":
            until(supervisor, lambda: not supervisor.tree("a").children)
            return
        until(supervisor, deaths)
        death = deaths()[0]
        assert (death.how, death.incarnation) == (how, first)
        until(supervisor, lambda: row(supervisor, "a").incarnation > first or row(supervisor, "a").state == "ended")
        assert (row(supervisor, "a").incarnation > first) is again


def test_an_exit_status_is_told_as_it_was(tmp_path: Path) -> None:
    with running(tmp_path) as supervisor:
        supervisor.start_child("", function("a", "leaving", arguments={"status": 3}, restart="transient"))
        assert dies_and_is_back(supervisor, "a").deaths[0].why == "exit status 3"


def test_an_exception_is_told_with_its_line(tmp_path: Path) -> None:
    with running(tmp_path, back_off=BackOff(base_s=30.0), intensity=0) as supervisor:
        supervisor.start_child("", function("a", "crashing"))
        until(supervisor, lambda: row(supervisor, "a").deaths)
        assert "ZeroDivisionError: on purpose at bodies.py:" in row(supervisor, "a").deaths[0].why


def test_ignore_answers_ok_without_a_process(tmp_path: Path) -> None:
    with running(tmp_path) as supervisor:
        assert supervisor.start_child("", function("a", "ignoring")).incarnation == 0
        assert supervisor.which_children().children[0].status == "undefined"


def test_one_that_returns_without_having_been_ready_has_failed_to_start(tmp_path: Path) -> None:
    with running(tmp_path) as supervisor, pytest.raises(Refused, match="before it was ready") as refusal:
        supervisor.start_child("", function("a", "never_ready"))
    assert refusal.value.word == "failed"


def test_one_that_is_not_ready_in_time_is_killed_and_has_failed_to_start(tmp_path: Path) -> None:
    spec = function("a", "never_ready", arguments={"first_s": 60.0}, start_limit_s=0.3)
    with running(tmp_path) as supervisor, pytest.raises(Refused, match=r"not ready within 0\.3 s"):
        supervisor.start_child("", spec)


def test_one_that_does_not_end_is_killed_past_its_limit(tmp_path: Path) -> None:
    with running(tmp_path, function("a", "stubborn", shutdown_s=0.2)) as supervisor:
        supervisor.terminate_child("a")
        assert "did not end within its shutdown limit" in row(supervisor, "a").deaths[0].why


def test_a_supervisor_with_a_limit_takes_all_below_with_it(tmp_path: Path) -> None:
    child = function("a", "stubborn", shutdown_s=60.0)
    inner = ChildSpec(id="inner", type="supervisor", shutdown_s=0.2, children=(child,))
    with running(tmp_path, inner) as supervisor:
        pid = row(supervisor, "inner/a").pid
        began_s = time.monotonic()
        supervisor.terminate_child("inner")
        assert time.monotonic() - began_s < LIMIT_S, "not the 60 s of the child"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# -- alive ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spinning", "deadlocked"])
def test_a_child_that_hangs_is_found_within_its_limit(tmp_path: Path, name: str) -> None:
    spec = function("a", name, liveness_limit_s=0.5)
    with running(tmp_path, function("b")) as supervisor:
        supervisor.start_child("", spec)
        until(supervisor, lambda: row(supervisor, "a").deaths)
        silent = re.match(r"hung: its loop did not turn for ([0-9.]+) s", row(supervisor, "a").deaths[0].why)
        assert silent, row(supervisor, "a").deaths[0].why
        assert 0.5 < float(silent[1]) < 2.0, "of the time in which it could be watched"
        assert row(supervisor, "b").restarts == 0


def test_a_child_that_is_stopped_is_found(tmp_path: Path) -> None:
    with running(tmp_path, function("a", liveness_limit_s=0.5)) as supervisor:
        os.kill(row(supervisor, "a").pid, signal.SIGSTOP)
        assert "hung" in dies_and_is_back(supervisor, "a").deaths[0].why


def test_a_declared_long_call_is_no_hang(tmp_path: Path) -> None:
    spec = function("a", "declaring_a_long_call", arguments={"seconds": 2.0}, liveness_limit_s=0.4)
    with running(tmp_path, spec) as supervisor:
        supervisor.work(2.5)
        assert row(supervisor, "a").restarts == 0


def test_who_hangs_after_a_long_call_that_ended_early_is_found_by_its_own_limit(tmp_path: Path) -> None:
    with running(tmp_path, function("a", liveness_limit_s=0.5)) as supervisor:
        page, slot = supervisor.runtime.page, supervisor.runtime.kids["a"].slot
        supervisor.work(0.1)
        before_s = page.read(slot)
        assert before_s < time.monotonic() + 1.0
        os.kill(row(supervisor, "a").pid, signal.SIGSTOP)
        page.write(slot, time.monotonic() + 0.6)  # as if it had just come back
        assert "hung" in dies_and_is_back(supervisor, "a").deaths[0].why


# -- what else a child has --------------------------------------------------------------------------------------------


def test_the_note_of_a_dead_child_is_its_successor_s(tmp_path: Path) -> None:
    with running(tmp_path, function("a", arguments={"note": "row 7"})) as supervisor:
        os.kill(row(supervisor, "a").pid, signal.SIGKILL)
        dies_and_is_back(supervisor, "a")
        left = supervisor.runtime.page.read_note(supervisor.runtime.kids["a"].slot)
        assert left == "row 7"


def test_a_child_is_told_of_the_names_it_watches(tmp_path: Path) -> None:
    into = tmp_path / "told"
    watcher = function("watcher", "watching", arguments={"under": "a", "into": str(into)})
    with running(tmp_path, function("a"), watcher) as supervisor:
        os.kill(row(supervisor, "a").pid, signal.SIGKILL)
        until(supervisor, lambda: into.exists() and into.read_text().split("\n")[:-1] == ["Up a", "Down a", "Up a"])


def test_a_child_holds_nothing_of_its_siblings_once_it_is_ready(tmp_path: Path) -> None:
    into = tmp_path / "fds"
    with running(tmp_path, *(function(f"c{i}") for i in range(20))) as supervisor:
        supervisor.start_child("", function("last", "counting_fds", arguments={"into": str(into)}))
        until(supervisor, lambda: into.exists() and into.read_text())
        assert int(into.read_text()) == 4  # the three standard ones and its line


def test_why_it_died_is_kept_for_the_last_ten(tmp_path: Path) -> None:
    with running(tmp_path, function("a")) as supervisor:
        for _ in range(12):
            before = row(supervisor, "a")
            os.kill(before.pid, signal.SIGKILL)
            until(supervisor, lambda: is_back(supervisor, before))  # noqa: B023
        deaths = row(supervisor, "a", 100).deaths
        assert len(deaths) == 10
        assert {death.why for death in deaths} == {"killed by SIGKILL"}
        assert [death.budget_left for death in deaths] == list(range(47, 37, -1))
        assert all(death.alive_s > 0 for death in deaths)


# -- nothing is left behind -------------------------------------------------------------------------------------------


def test_three_hundred_restarts_leave_no_descriptor_no_zombie_and_no_memory(tmp_path: Path) -> None:
    with running(tmp_path, function("a"), intensity=1_000_000, period_s=1.0) as supervisor:
        restart(supervisor, 100)
        before = held_by_us()
        restart(supervisor, 300)
        after = held_by_us()
    assert after["descriptors"] == before["descriptors"]
    assert after["children"] == before["children"]
    assert after["resident_mib"] - before["resident_mib"] < 4.0


def restart(supervisor: Supervisor, times: int) -> None:
    for _ in range(times):
        node = supervisor.runtime.tree.nodes["a"]
        os.kill(node.pid, signal.SIGKILL)
        until(
            supervisor,
            lambda: (now := supervisor.runtime.tree.nodes["a"]).state == "up" and now.pid != node.pid,  # noqa: B023
        )


def held_by_us() -> dict[str, float]:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "children": len(children.read_text().split()),
        "resident_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    }
