"""The same histories for the core and for OTP's supervisor as it is written (``otp_model.py``): the same comes of them.

The world cooperates: every start is over at once (ready, failed or ignore, as the history says), every stop ends at
once. After each step all is compared: which supervisors run, their children, which of them run or are undefined, how
often each was started, counts, the answer of the request, the sequence of starts and ends, who gave up.

Where the core differs deliberately the generator keeps away: no back-off, expected ends, ensure_child or deadlines
(OTP has none); requests only to supervisors that run (OTP's are no processes then, ours answer); whole seconds. That a
restart can be seen half-way (``restarting``) is in the tests of the cases: here each is over within the step.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor.core.tree import AskToStop, Node, Spawn
from supervisor.messages import (
    Children,
    ChildSpec,
    CountChildren,
    Counts,
    DeleteChild,
    Done,
    GetChildspec,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
    WhichChildren,
)
from tests.supervisor.core_edge import Edge, sup, worker
from tests.supervisor.otp_model import Model, Outcome, Reason, Supervisor, World

IDS = ["a", "b", "c", "d"]
NEW_IDS = ["e", "f"]
WORDS = ["start", "terminate", "restart", "delete", "start", "restart"]
INTENSITIES = [2, 4, 1, 0]
REASONS: list[Reason] = ["normal", "shutdown", "abnormal", "abnormal"]
OUTCOMES: list[Outcome] = ["fail", "ignore", "ok", "fail"]

restarts = st.sampled_from(["transient", "permanent", "temporary", "transient"])
comings = st.lists(st.sampled_from(OUTCOMES), max_size=3)
strategies = st.sampled_from(["one_for_all", "rest_for_one", "one_for_one"])


@st.composite
def workers(draw: st.DrawFn, id: str, auto_shutdown: str) -> ChildSpec:
    restart = draw(restarts)
    return worker(id, restart=restart, significant=draw(significance(restart, auto_shutdown)))


def significance(restart: str, auto_shutdown: str) -> st.SearchStrategy[bool]:
    return st.booleans() if auto_shutdown != "never" and restart != "permanent" else st.just(False)


@st.composite
def supervisors(draw: st.DrawFn, id: str, depth: int, over: str = "never") -> ChildSpec:
    auto_shutdown = draw(st.sampled_from(["any_significant", "all_significant", "never"]))
    flags: dict[str, Any] = {"intensity": draw(st.sampled_from(INTENSITIES)), "auto_shutdown": auto_shutdown}
    restart = draw(restarts)
    flags |= {"restart": restart, "significant": draw(significance(restart, over))}
    if draw(st.integers(0, 3)) == 3:
        return sup(id, dynamic=True, **flags)
    ids = IDS[: draw(st.sampled_from([3, 2, 4, 1, 0]))]
    below = [draw(children(each, depth - 1, auto_shutdown)) for each in ids]
    return sup(id, *below, strategy=draw(strategies), **flags)


@st.composite
def children(draw: st.DrawFn, id: str, depth: int, auto_shutdown: str) -> ChildSpec:
    if depth > 0 and draw(st.integers(0, 2)) == 2:
        return draw(supervisors(id, depth, auto_shutdown))
    return draw(workers(id, auto_shutdown))


class AgainstModel(RuleBasedStateMachine):
    edge: Edge
    model: Model

    @initialize(
        root=supervisors("root", 3),
        lives_long=st.sampled_from([True, True, True, False]),
        outcomes=st.dictionaries(st.sampled_from(["a", "b", "a/a", "b/b", "c"]), st.just(["fail"]), max_size=1),
    )
    def boot(self, root: ChildSpec, lives_long: bool, outcomes: dict[str, list[Outcome]]) -> None:
        """Most histories under a root that does not give up at the first death, and whose first start succeeds."""
        flags = {name: getattr(root.supervisor, name) for name in root.supervisor.__struct_fields__}  # type: ignore[union-attr]
        if lives_long:
            flags["intensity"], outcomes = 50, {}
        self.edge = Edge(*root.children, boot=False, **flags)
        self.model = Model(self.edge.tree.nodes[""].spec, World())
        for name, coming in outcomes.items():
            self.starts_will_go(name, coming)
        self.edge.boot()
        self.model.boot()

    @precondition(lambda self: not self.lives)
    @rule(root=supervisors("root", 2))
    def another_tree(self, root: ChildSpec) -> None:
        """The last one is down: the history goes on with a new one."""
        self.boot(root, True, {})

    # -- the history ---------------------------------------------------------------------------------------------------

    @property
    def lives(self) -> bool:
        return self.model.gave_up is None

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), reason=st.sampled_from(REASONS), times=st.integers(1, 3))
    def a_child_ends(self, data: st.DataObject, reason: Reason, times: int) -> None:
        assume(self.edge.alive)
        path = data.draw(st.sampled_from(sorted(self.edge.alive)))
        for _ in range(times):
            if path in self.edge.alive and self.lives:
                self.edge.die(path, reason)
                self.edge.run()
                self.model.exit(path, reason)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), reasons=st.lists(st.sampled_from(["abnormal", *REASONS]), min_size=2, max_size=3))
    def siblings_end_together(self, data: st.DataObject, reasons: list[Reason]) -> None:
        """OTP reads the first death, and finds the others dead when it ends the group, or reads them afterwards. Not in
        rest_for_one, where a core that does not wait starts juniors less often; nor where a start fails in between."""
        overs = [over for over in self.model.supervisors() if over.flags.strategy != "rest_for_one"]
        overs = [over for over in overs if len(self.workers_of(over)) >= 2]
        assume(overs)
        over = data.draw(st.sampled_from(overs))
        ends = dict(zip(data.draw(st.permutations(self.workers_of(over))), reasons, strict=False))
        self.edge.outcomes.clear()
        self.model.world.outcomes.clear()
        for path, reason in ends.items():
            self.edge.die(path, reason)
        self.edge.run()
        self.model.exit_together(over, ends)
        self.compare_sequences(starts_only=True)

    def workers_of(self, over: Supervisor) -> list[str]:
        return [child.name for child in over.children if child.name in self.edge.alive]

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), coming=comings)
    def its_coming_starts_will_go_so(self, data: st.DataObject, coming: list[Outcome]) -> None:
        self.starts_will_go(data.draw(st.sampled_from([*sorted(self.model.world.started), "a", "a/b"])), coming)

    def starts_will_go(self, path: str, coming: list[Outcome]) -> None:
        self.edge.outcomes[path] = list(coming)
        self.model.world.outcomes[path] = list(coming)

    @precondition(lambda self: self.lives)
    @rule(seconds=st.sampled_from([5, 1, 4, 6, 5]))
    def time_passes(self, seconds: int) -> None:
        self.edge.wait(float(seconds))
        self.model.world.now_s += seconds

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
    def one_child_is_asked_about(self, data: st.DataObject, words: list[str]) -> None:
        """Once or in a row; its starts go well, fail or are ignored."""
        over = data.draw(st.sampled_from(self.model.supervisors()))
        id = data.draw(st.sampled_from([*(child.spec.id for child in over.children), *NEW_IDS]))
        for word in words:
            if not (over.flags.dynamic and word in ("restart", "delete")):
                self.ask_about(over, id, word, data)

    def ask_about(self, over: Supervisor, id: str, word: str, data: st.DataObject) -> None:
        name = f"{over.name}/{id}" if over.name else id
        if word in ("start", "restart"):
            self.starts_will_go(name, data.draw(comings))
        if word == "start":
            spec = data.draw(children(id, 1, over.flags.auto_shutdown))
            self.compare_answers(StartChild(over.name, spec), over.start_child(spec))
        elif word == "terminate":
            self.compare_answers(TerminateChild(name), over.terminate_child(id))
        elif word == "restart":
            self.compare_answers(RestartChild(name), over.restart_child(id))
        else:
            self.compare_answers(DeleteChild(name), over.delete_child(id))

    @precondition(lambda self: self.lives)
    @rule(likely=st.integers(0, 9))
    def shut_down(self, likely: int) -> None:
        assume(likely == 0)
        self.edge.shut_down()
        self.edge.run()
        self.model.shut_down()

    # -- what is compared ----------------------------------------------------------------------------------------------

    def compare_answers(self, request: Any, wanted: str) -> None:
        answer = self.edge.call(request)
        if isinstance(answer, Started):
            answer = "started" if answer.incarnation else "ignored"
        assert ("done" if answer == Done() else answer) == wanted

    @invariant()
    def the_same_has_come_of_it(self) -> None:
        if not hasattr(self, "model"):
            return
        self.compare_sequences()
        finished = self.edge.finished
        assert self.model.gave_up == (finished.gave_up if finished else None)
        if self.lives:
            running = self.model.supervisors()
            assert {over.name for over in running} == {node.path for node in self.nodes() if node.state == "up"}
            for over in running:
                self.compare_children(over)

    def nodes(self) -> list[Node]:
        return [node for node in self.edge.tree.nodes.values() if node.spec.type == "supervisor"]

    def compare_children(self, over: Supervisor) -> None:
        rows = self.ask(WhichChildren(over.name))
        assert isinstance(rows, Children)
        assert [(row.name, row.status) for row in rows.children] == [(each.name, each.status) for each in over.children]
        alive = sum(child.alive for child in over.children)
        supervisors = sum(child.spec.type == "supervisor" for child in over.children)
        size = len(over.children)
        assert self.ask(CountChildren(over.name)) == Counts(size, alive, supervisors, size - supervisors)
        for child in over.children:
            assert self.ask(GetChildspec(child.name)) == child.spec
        ages_s = [self.model.world.now_s - at_s for at_s in over.restarts]
        assert [self.edge.now_s - at_s for at_s in self.edge.tree.nodes[over.name].death_times_s] == ages_s

    def ask(self, request: Any) -> object:
        return self.edge.answer(self.edge.ask(request))

    def compare_sequences(self, starts_only: bool = False) -> None:
        """Exactly, over the whole tree; where a dynamic supervisor ends its children all at once, each name's own.
        ``starts_only``: who had ended before it could be told is told or not."""
        done = [
            ("+" if isinstance(each, Spawn) else "-") + each.path
            for each in self.edge.told
            if isinstance(each, Spawn | AskToStop)
        ]
        wanted = self.model.world.log
        if starts_only:
            assert Counter(each for each in done if each[0] == "+") == Counter(
                each for each in wanted if each[0] == "+"
            )
        elif any(node.flags.dynamic for node in self.nodes()):
            assert Counter(done) == Counter(wanted)
        else:
            assert done == wanted
        self.edge.told.clear()
        wanted.clear()


TestAgainstModel = AgainstModel.TestCase
TestAgainstModel.settings = settings(
    max_examples=int(os.environ.get("NIGHTDESK_HISTORIES", "300")),
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
