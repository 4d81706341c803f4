"""Random histories of random trees: what may never happen is judged by the edge (``core_edge.py``) after every step.

And progress: from wherever a history has led, a world that cooperates brings the tree to rest.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from supervisor.core.machine import next_deadline_s
from supervisor.core.tree import (
    NEVER_S,
    BecameFresh,
    BecameStale,
    Boot,
    Declared,
    Exit,
    Exited,
    Hung,
    Node,
    TooBig,
)
from supervisor.messages import (
    BackOff,
    ChildSpec,
    CountChildren,
    DeleteChild,
    EnsureChild,
    GetChildspec,
    ReadTree,
    RestartChild,
    StartChild,
    SupervisorFlags,
    TerminateChild,
    WhichChildren,
)
from tests.supervisor.core_edge import Edge, sup, worker

REST_S = 10_000.0
"""Longer than all waits, limits and healthy spells of these trees together."""
HOWS: list[Literal["normal", "shutdown", "expected", "ignore", "abnormal"]] = [
    "normal",
    "shutdown",
    "expected",
    "ignore",
    "abnormal",
]
IDS = ["a", "b", "c", "d"]

restarts = st.sampled_from(["transient", "permanent", "temporary", "permanent"])
back_offs = st.sampled_from([BackOff(base_s=1.0, cap_s=8.0, healthy_s=20.0), None])
strategies = st.sampled_from(["one_for_all", "rest_for_one", "one_for_one"])


@st.composite
def workers(draw: st.DrawFn, id: str, auto_shutdown: str = "never") -> ChildSpec:
    restart = draw(restarts)
    significant = auto_shutdown != "never" and restart != "permanent" and draw(st.booleans())
    shutdown_s = draw(st.sampled_from([5.0, 5.0, 0, "brutal_kill", "infinity"]))
    return worker(id, restart=restart, significant=significant, shutdown_s=shutdown_s, memory_max_mib=64.0)


@st.composite
def supervisors(draw: st.DrawFn, id: str, depth: int) -> ChildSpec:
    flags: dict[str, Any] = {
        "intensity": draw(st.sampled_from([2, 20, 1, 0])),
        "period_s": 5.0,
        "back_off": draw(back_offs),
    }
    restart = draw(restarts)
    shutdown_s = draw(st.sampled_from(["infinity", "infinity", 7.0, "brutal_kill"]))
    if draw(st.integers(0, 4)) == 4:
        return sup(id, restart=restart, shutdown_s=shutdown_s, dynamic=True, **flags)
    flags["auto_shutdown"] = draw(st.sampled_from(["never", "any_significant", "all_significant"]))
    flags["strategy"] = draw(strategies)
    ids = IDS[: draw(st.sampled_from([3, 2, 4, 1, 0]))]
    below = [draw(children(each, depth - 1, flags["auto_shutdown"])) for each in ids]
    return sup(id, *below, restart=restart, shutdown_s=shutdown_s, **flags)


@st.composite
def children(draw: st.DrawFn, id: str, depth: int, auto_shutdown: str = "never") -> ChildSpec:
    if depth > 0 and draw(st.integers(0, 2)) == 2:
        return draw(supervisors(id, depth))
    return draw(workers(id, auto_shutdown))


class Histories(RuleBasedStateMachine):
    """Rules are what the world may do, in any sequence; ``edge`` asserts the invariants in each of them."""

    edge: Edge

    @initialize(root=supervisors("root", 3), steps=st.sampled_from([100, 100, 100, 3, 0]))
    def boot(self, root: ChildSpec, steps: int) -> None:
        """Most histories begin with a tree that is up, under a root that does not give up at the first death."""
        assert isinstance(root.supervisor, SupervisorFlags)
        flags = {name: getattr(root.supervisor, name) for name in root.supervisor.__struct_fields__}
        if steps == 100:
            flags["intensity"] = 50
        self.edge = Edge(*root.children, boot=False, **flags)
        self.edge.feed(Boot())
        self.the_world_cooperates_for_a_while(steps)

    def pick(self, data: st.DataObject, paths: list[str]) -> str:
        assume(paths)
        return data.draw(st.sampled_from(paths))

    def any_name(self, data: st.DataObject) -> str:
        return self.pick(data, [*self.edge.tree.nodes, "nobody"])

    # -- processes ----------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def a_child_becomes_ready(self, data: st.DataObject) -> None:
        self.edge.ready(self.pick(data, [path for path, process in self.edge.alive.items() if not process.ready]))

    @rule(data=st.data(), how=st.sampled_from(HOWS))
    def a_start_fails(self, data: st.DataObject, how: str) -> None:
        self.edge.die(self.pick(data, [path for path, process in self.edge.alive.items() if not process.ready]), how)

    @rule(data=st.data(), hows=st.lists(st.sampled_from(HOWS), min_size=1, max_size=3), steps=st.integers(0, 3))
    def children_end(self, data: st.DataObject, hows: list[str], steps: int) -> None:
        """One, or several in a row with little time between, whatever they had been told."""
        for how in hows:
            self.edge.die(self.pick(data, [path for path, process in self.edge.alive.items() if process.ready]), how)
            self.the_world_cooperates_for_a_while(steps)

    @rule(data=st.data(), times=st.integers(1, 6))
    def a_child_dies_again_and_again(self, data: st.DataObject, times: int) -> None:
        path = self.pick(data, [path for path, process in self.edge.alive.items() if process.ready])
        for _ in range(times):
            if path in self.edge.alive:
                self.edge.die(path)
            self.the_world_cooperates_for_a_while(6)
            self.edge.wait(0.5, run=False)

    @rule(data=st.data(), word=st.sampled_from(["terminate", "ensure", "restart", "delete"]))
    def somebody_asks_about_one_that_is_ending(self, data: st.DataObject, word: str) -> None:
        ending = [
            node for node in self.edge.tree.nodes.values() if node.state == "stopping" and node.parent is not None
        ]
        path = self.pick(data, [node.path for node in ending])
        node = self.edge.tree.nodes[path]
        requests = {
            "terminate": TerminateChild(path),
            "ensure": EnsureChild(node.parent or "", node.spec),
            "restart": RestartChild(path),
            "delete": DeleteChild(path),
        }
        self.edge.ask(requests[word])

    @rule(data=st.data(), how=st.sampled_from(["normal", "shutdown", "expected"]), ensure=st.booleans())
    def a_child_declares_its_end_and_ends(self, data: st.DataObject, how: Any, ensure: bool) -> None:
        """And somebody may ask for it in between."""
        path = self.pick(data, [path for path, process in self.edge.alive.items() if process.ready])
        self.edge.feed(Declared(path, self.edge.alive[path].incarnation, how))
        node = self.edge.tree.nodes[path]
        if ensure:
            self.edge.ask(EnsureChild(node.parent or "", node.spec))
        self.edge.die(path, how)

    @rule(data=st.data(), stale=st.booleans())
    def a_child_is_stale_or_fresh(self, data: st.DataObject, stale: bool) -> None:
        path = self.pick(data, list(self.edge.alive))
        incarnation = self.edge.alive[path].incarnation
        self.edge.feed(BecameStale(path, incarnation) if stale else BecameFresh(path, incarnation))

    @rule(data=st.data())
    def a_child_is_too_big(self, data: st.DataObject) -> None:
        path = self.pick(data, list(self.edge.alive))
        self.edge.feed(TooBig(path, self.edge.alive[path].incarnation, 99.0))

    @rule(data=st.data())
    def a_child_hangs(self, data: st.DataObject) -> None:
        self.edge.hang(self.pick(data, list(self.edge.alive)))

    @rule(data=st.data(), age=st.integers(1, 5), how=st.sampled_from(HOWS))
    def late_word_of_an_old_incarnation(self, data: st.DataObject, age: int, how: str) -> None:
        path = self.pick(data, list(self.edge.alive))
        before, old = self.edge.tree, self.edge.alive[path].incarnation - age
        assert self.edge.feed(Exited(path, old, Exit(how, "late"))) == []  # type: ignore[arg-type]
        assert self.edge.feed(Hung(path, old, 1.0)) == []
        assert self.edge.tree == before

    @rule(steps=st.sampled_from([1, 2, 3, 8, 100]))
    def the_world_cooperates_for_a_while(self, steps: int) -> None:
        for _ in range(steps):
            self.edge.help_one()

    # -- time ---------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 0.9, 1.0, 4.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        self.edge.wait(seconds, run=False)

    @rule(late_s=st.sampled_from([0.2, 5.0, 90.0]))
    def the_machine_stalls(self, late_s: float) -> None:
        before = {path: process.killed for path, process in self.edge.alive.items()}
        self.edge.stall(late_s, late_s + 1.0)
        assert {path: process.killed for path, process in self.edge.alive.items()} == before

    # -- requests -----------------------------------------------------------------------------------------------------

    @rule(data=st.data(), ensure=st.booleans())
    def somebody_asks_for_a_child(self, data: st.DataObject, ensure: bool) -> None:
        nodes = self.edge.tree.nodes.values()
        under = self.pick(data, [node.path for node in nodes if node.spec.type == "supervisor"] + ["nobody"])
        spec = data.draw(children(data.draw(st.sampled_from(IDS)), 1))
        self.edge.ask(EnsureChild(under, spec) if ensure else StartChild(under, spec))

    @rule(data=st.data())
    def somebody_terminates_a_child(self, data: st.DataObject) -> None:
        self.edge.ask(TerminateChild(self.any_name(data)))

    @rule(data=st.data())
    def somebody_restarts_a_child(self, data: st.DataObject) -> None:
        self.edge.ask(RestartChild(self.any_name(data)))

    @rule(data=st.data())
    def somebody_deletes_a_child(self, data: st.DataObject) -> None:
        self.edge.ask(DeleteChild(self.any_name(data)))

    @rule(data=st.data())
    def somebody_looks(self, data: st.DataObject) -> None:
        """Whoever only looks is answered at once, and nothing comes of it."""
        name, before = self.any_name(data), self.edge.tree
        for look in (ReadTree(name), WhichChildren(name), CountChildren(name), GetChildspec(name)):
            assert self.edge.ask(look) in self.edge.replies
        assert self.edge.tree == before

    # -- the end, and rest --------------------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: len(self.edge.told) > 150)
    def told_to_shut_down(self) -> None:
        self.edge.shut_down()

    def teardown(self) -> None:
        if not hasattr(self, "edge") or self.edge.broken:
            return
        self.comes_to_rest()
        self.an_ended_child_stays_down()
        self.ends_when_told()

    def comes_to_rest(self) -> None:
        """A cooperative world and time: all that is wanted is up, nothing is half-way, nobody waits for a reply."""
        edge = self.edge
        edge.wait(REST_S)
        if edge.finished is not None:
            assert not edge.alive
            return
        for node in edge.tree.nodes.values():
            assert node.state in ("up", "ended", "idle"), f"{node.path} is {node.state} at rest"
            assert node.state != "idle" or self.below_an_end(node)
            assert not node.held, f"{node.path} was healthy long enough"
            assert node.regroup_from is None or node.down
        assert next_deadline_s(edge.tree) == NEVER_S
        assert edge.asked == set(edge.replies)

    def below_an_end(self, node: Node) -> bool:
        return any(over.state == "ended" for _, over in self.edge.above(node.path))

    def an_ended_child_stays_down(self) -> None:
        """At rest nothing is started unasked, whatever is repeated or late."""
        edge, before = self.edge, list(self.edge.spawns)
        edge.stall(90.0, 95.0)
        edge.wait(REST_S)
        assert edge.spawns == before

    def ends_when_told(self) -> None:
        """Shutdown from anywhere: told once more or not, it finishes once, and nobody is left without an answer."""
        edge = self.edge
        edge.shut_down()
        edge.wait(REST_S)
        assert edge.finished is not None
        assert not edge.alive
        assert edge.asked == set(edge.replies)
        assert edge.open_incidents() == set()
        edge.shut_down()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=int(os.environ.get("NIGHTDESK_HISTORIES", "150")),
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
