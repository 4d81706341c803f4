"""The supervisor: ``step(tree, event, now_s) -> (tree, actions)``. PURE: opens nothing, reads no clock, logs nothing.

Level-triggered: an event changes a node's state; then every supervisor concerned is *settled*: whatever must go down
goes down (in reverse sequence), and only when that is done, whatever must come up comes up (in sequence). There is no
script of steps to be lost half-way when the next death comes in the middle of a restart.

Rules: OTP 25 ``supervisor`` (restart types, strategies, intensity, auto-shutdown, shutdown sequence), Elixir's
``DynamicSupervisor``; and, where a supervisor declares ``back_off``, DESIGN 3 "Back-off holds the one that fails".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from supervisor.core.requests import answer
from supervisor.core.restart import EXPECTED_GAP_S, add_restart, back_off_s
from supervisor.core.tree import (
    NEVER_S,
    Action,
    Announce,
    Asked,
    AskToStop,
    BecameReady,
    Boot,
    Exit,
    Exited,
    Finished,
    Hung,
    Kill,
    Node,
    Record,
    Reply,
    ShutDown,
    Spawn,
    Spawned,
    Stalled,
    Tick,
    TreeEvent,
    TreeState,
)
from supervisor.messages import ChildSpec, Done, Started

ROOT = ""


def initial(root: ChildSpec, first_incarnation: int = 1) -> TreeState:
    """A tree of which nothing runs yet. ``root`` is a validated supervisor spec."""
    return TreeState(nodes={ROOT: Node(path=ROOT, parent=None, spec=root)}, next_incarnation=first_incarnation)


def step(tree: TreeState, event: TreeEvent, now_s: float) -> tuple[TreeState, list[Action]]:
    """What the tree becomes when ``event`` happens at machine time ``now_s``, and what is to be done about it."""
    work = Work(tree, now_s)
    HANDLERS[type(event)](work, event)
    work.settle_all()
    return TreeState(nodes=work.nodes, next_incarnation=work.next_incarnation), work.actions


def next_deadline_s(tree: TreeState) -> float:
    """When a ``Tick`` is due; infinity if nothing waits for time."""
    return min((node.deadline_s for node in tree.nodes.values()), default=NEVER_S)


def child_path(parent: str, child_id: str) -> str:
    return f"{parent}/{child_id}" if parent else child_id


class Work:
    """One step in the making: a working copy of the nodes, and the actions so far."""

    def __init__(self, tree: TreeState, now_s: float) -> None:
        self.nodes = dict(tree.nodes)
        self.next_incarnation = tree.next_incarnation
        self.now_s = now_s
        self.actions: list[Action] = []
        self.unsettled: list[str] = []

    # -- small tools -------------------------------------------------------------------------------

    def set(self, path: str, **changes: Any) -> Node:
        if "state" in changes:
            changes["since_s"] = self.now_s
        node = msgspec.structs.replace(self.nodes[path], **changes)
        self.nodes[path] = node
        return node

    def act(self, action: Action) -> None:
        self.actions.append(action)

    def parent(self, node: Node) -> Node:
        assert node.parent is not None
        return self.nodes[node.parent]

    def touch(self, path: str | None) -> None:
        if path is not None and path not in self.unsettled:
            self.unsettled.append(path)

    def living(self, path: str, incarnation: int) -> Node | None:
        """The node, if this incarnation is the one that lives: late word of an old one means nothing."""
        node = self.nodes.get(path)
        return node if node is not None and node.incarnation == incarnation and not node.down else None

    def add(self, parent: str, spec: ChildSpec, **fields: Any) -> Node:
        path = child_path(parent, spec.id)
        self.nodes[path] = Node(path=path, parent=parent, spec=spec, since_s=self.now_s, **fields)
        self.set(parent, order=(*self.nodes[parent].order, path))
        return self.nodes[path]

    def forget(self, path: str) -> None:
        """Drop a node and all below it."""
        node = self.nodes[path]
        for child in node.order:
            self.forget(child)
        if node.parent is not None:
            kept = tuple(each for each in self.nodes[node.parent].order if each != path)
            self.set(node.parent, order=kept)
        del self.nodes[path]

    def answer_all(self, tokens: tuple[int, ...], reply: Started | Done | None, error: str = "") -> None:
        for token in tokens:
            self.act(Reply(token, reply, error))

    # -- settling: down first, then up -------------------------------------------------------------

    def settle_all(self) -> None:
        while self.unsettled:
            path = self.unsettled.pop(0)
            if path in self.nodes:
                self.settle(path)

    def settle(self, path: str) -> None:
        sup = self.nodes[path]
        if sup.state == "stopping":
            if self.go_down(sup, 0, "ended"):
                self.gone(path, sup.outcome or Exit("shutdown", "told to stop"))
        elif sup.state in ("starting", "up"):
            if sup.regroup_from is not None:
                if not self.go_down(sup, sup.regroup_from, "idle"):
                    return
                self.revive(sup)
            self.go_up(path)

    def go_down(self, sup: Node, first: int, after: str) -> bool:
        """End the children from place ``first`` on: in reverse, one at a time; a dynamic supervisor's all at once."""
        for path in reversed(sup.order[first:]):
            if self.nodes[path].down:
                if after == "ended":
                    self.set(path, state="ended", deadline_s=NEVER_S)
            else:
                self.stop(path, after, "its supervisor ends it")
                if not sup.flags.dynamic:
                    break
        return all(self.nodes[path].down for path in sup.order[first:])

    def revive(self, sup: Node) -> None:
        """A regrouped set starts whole: ended children too (OTP), temporary ones are forgotten."""
        assert sup.regroup_from is not None
        for path in sup.order[sup.regroup_from :]:
            if self.nodes[path].spec.restart == "temporary":
                self.forget(path)
            elif self.nodes[path].state == "ended":
                self.set(path, state="idle")
        self.set(sup.path, regroup_from=None)

    def go_up(self, path: str) -> None:
        """Start what is idle: in sequence, each when its elder is up; once up, one_for_one children independently."""
        sup = self.nodes[path]
        group = sup.flags.strategy != "one_for_one"
        in_sequence = not sup.flags.dynamic and (group or sup.state == "starting")
        for child in sup.order:
            if self.nodes[child].state == "idle":
                self.start(child)
            state = self.nodes[child].state
            if in_sequence and state in ("starting", "stopping"):
                return
            if group and state == "waiting":
                break
        if self.nodes[path].state == "starting":
            self.up(path)

    # -- one node's way up -------------------------------------------------------------------------

    def start(self, path: str) -> None:
        incarnation, self.next_incarnation = self.next_incarnation, self.next_incarnation + 1
        node = self.set(path, state="starting", incarnation=incarnation, outcome=None, doom="", pid=0)
        if node.spec.type == "worker":
            self.set(path, deadline_s=self.now_s + node.spec.start_limit_s)
            self.act(Spawn(path, incarnation, node.spec))
            return
        self.set(path, deadline_s=NEVER_S, death_times_s=(), regroup_from=None)
        for child in node.order:
            self.forget(child)
        for spec in node.spec.children:
            self.add(path, spec, kept=True)
        self.touch(path)

    def up(self, path: str) -> None:
        node = self.nodes[path]
        back_off = self.parent(node).flags.back_off if node.parent is not None else None
        healthy_s = self.now_s + back_off.healthy_s if node.held and back_off else NEVER_S
        self.answer_all(node.started_by, Started(path, node.incarnation))
        self.set(path, state="up", deadline_s=healthy_s, started_by=(), kept=True)
        self.act(Announce(path, node.incarnation, up=True))
        self.touch(node.parent)

    # -- one node's way down -----------------------------------------------------------------------

    def stop(self, path: str, after: str, reason: str) -> None:
        """Tell it to end. ``after``: what it becomes then; once "ended" was asked for, it stays so."""
        node = self.nodes[path]
        if node.down:
            self.set(path, state=after, deadline_s=NEVER_S)
        elif node.state == "stopping":
            self.set(path, after="ended" if "ended" in (after, node.after) else "idle", outcome=None)
        elif node.spec.type == "supervisor":
            self.set(path, state="stopping", after=after, outcome=None, deadline_s=NEVER_S)
            self.touch(path)
        else:
            self.stop_worker(node, after, reason)

    def stop_worker(self, node: Node, after: str, reason: str) -> None:
        limit_s = node.spec.shutdown_s
        deadline_s = NEVER_S if not limit_s else self.now_s + limit_s
        self.set(node.path, state="stopping", after=after, deadline_s=deadline_s)
        if limit_s == 0:
            self.act(Kill(node.path, node.incarnation))
        else:
            self.act(AskToStop(node.path, node.incarnation, reason))

    def close(self, path: str, exit: Exit) -> None:
        """A supervisor ends by its own decision: it failed to start, gave up, or shuts down automatically."""
        sup = self.nodes[path]
        if sup.state in ("starting", "up"):
            self.set(path, state="stopping", after="ended", outcome=exit, closed_from=sup.state, deadline_s=NEVER_S)
            self.touch(path)

    def gone(self, path: str, exit: Exit) -> None:
        """A node is down: what follows is its supervisor's decision."""
        node = self.nodes[path]
        if node.doom:
            exit = Exit("abnormal", node.doom)
        asked = node.state == "stopping" and node.outcome is None
        self.set(path, pid=0, why=exit.why, deadline_s=NEVER_S, state="ended")
        self.act(Announce(path, node.incarnation, up=False, why=exit.why))
        if node.parent is None:
            self.act(Finished(gave_up=not asked, why=exit.why))
            return
        if asked:
            self.stopped(node)
        elif exit.how == "ignore":
            self.ignored(node, exit)
        elif "starting" in (node.state, node.closed_from if node.outcome else ""):
            self.start_failed(node, exit)
        else:
            self.died(node, exit)
        self.touch(node.parent)

    def stopped(self, node: Node) -> None:
        """It ended because it was told to."""
        self.answer_all(node.started_by, None, f"{node.path} was stopped before it was ready")
        self.answer_all(node.stopped_by, Done())
        self.set(
            node.path, state=node.after, started_by=(), stopped_by=(), again=None, held=0 if node.again else node.held
        )
        if node.again is not None:
            spec, tokens = node.again
            self.set(node.path, state="idle", spec=spec, started_by=tokens)
        elif node.spec.restart == "temporary" or (node.after == "ended" and self.parent(node).flags.dynamic):
            self.forget(node.path)

    def ignored(self, node: Node, exit: Exit) -> None:
        """OTP's ignore: kept without a process; forgotten where temporary or under a dynamic supervisor."""
        self.answer_all(node.started_by, None, f"ignored: {exit.why}")
        self.set(node.path, started_by=())
        self.rest(node)

    def rest(self, node: Node) -> None:
        """It will not be started again by itself."""
        if node.spec.restart == "temporary" or self.parent(node).flags.dynamic:
            self.forget(node.path)

    # -- deaths ------------------------------------------------------------------------------------

    def start_failed(self, node: Node, exit: Exit) -> None:
        sup = self.parent(node)
        self.record_death("child.start_failed", node, exit)
        if node.started_by:
            self.answer_all(node.started_by, None, f"{node.path} failed to start: {exit.why}")
            self.set(node.path, started_by=())
            if not node.kept:
                self.forget(node.path)
        elif sup.state == "starting" and sup.flags.back_off is None:
            self.close(sup.path, Exit("abnormal", f"{node.path} failed to start: {exit.why}"))
        elif sup.state == "starting":
            self.hold(node, exit)
        else:
            self.restart(node, exit)

    def died(self, node: Node, exit: Exit) -> None:
        """OTP's table: permanent always; transient after an abnormal end (or an expected one); temporary never."""
        self.record_death("child.ended" if exit.how != "abnormal" else "child.died", node, exit)
        again = {"permanent": True, "transient": exit.how in ("abnormal", "expected"), "temporary": False}
        if not again[node.spec.restart]:
            self.rest(node)
            self.auto_shutdown(node, exit)
        elif exit.how == "expected":
            self.restart_expected(node)
        else:
            self.restart(node, exit)

    def auto_shutdown(self, node: Node, exit: Exit) -> None:
        sup = self.parent(node)
        if not node.spec.significant or sup.flags.auto_shutdown == "never":
            return
        others = [self.nodes[path] for path in sup.order if path in self.nodes and path != node.path]
        if sup.flags.auto_shutdown == "all_significant" and any(
            each.spec.significant and each.state != "ended" for each in others
        ):
            return
        self.close(sup.path, Exit("shutdown", f"{node.path} ended: {exit.why}"))

    def restart_expected(self, node: Node) -> None:
        """Routine: at once, at most one a second, counted apart, not charged."""
        due_s = node.expected_at_s + EXPECTED_GAP_S
        wait = due_s > self.now_s
        self.set(
            node.path,
            state="waiting" if wait else "idle",
            deadline_s=due_s if wait else NEVER_S,
            expected_restarts=node.expected_restarts + 1,
            expected_at_s=max(due_s, self.now_s),
        )
        self.regroup(node)

    def restart(self, node: Node, exit: Exit) -> None:
        sup = self.parent(node)
        self.set(node.path, restarts=node.restarts + 1)
        if node.held:
            self.hold(self.nodes[node.path], exit)
            return
        times_s, too_many = add_restart(sup.death_times_s, self.now_s, sup.flags)
        self.set(sup.path, death_times_s=times_s)
        if not too_many:
            self.set(node.path, state="idle")
            self.regroup(node)
        elif sup.flags.back_off is not None:
            self.hold(self.nodes[node.path], exit)
        else:
            text = f"{sup.path or 'the root'} gives up: {_deaths(times_s, sup)}, last {node.path}: {exit.why}"
            self.act(Record("supervisor.gave_up", "PAGE", sup.path, text))
            self.close(sup.path, Exit("shutdown", text))

    def hold(self, node: Node, exit: Exit) -> None:
        """Slow the failing child down; its elders and, under one_for_one, all others do not notice."""
        sup = self.parent(node)
        assert sup.flags.back_off is not None
        wait_s = back_off_s(sup.flags.back_off, node.held, f"{node.path} {node.incarnation}")
        self.set(node.path, state="waiting", deadline_s=self.now_s + wait_s, held=node.held + 1)
        if node.held == 0:
            text = (
                f"{node.path} slows down: {_deaths(sup.death_times_s, sup)}, last: {exit.why}. "
                f"Next try in {wait_s:.1f} s; others go on. Mend the cause; it is tried again by itself."
            )
            self.act(Record("child.held", "NOTIFY", node.path, text, f"held {node.path} {node.incarnation}", "opened"))
        self.set(sup.path, death_times_s=())
        self.regroup(self.nodes[node.path])

    def regroup(self, node: Node) -> None:
        """What a child's death means for its siblings, by the strategy."""
        sup = self.parent(node)
        place = sup.order.index(node.path)
        if sup.flags.strategy == "one_for_one" or sup.state == "stopping":
            return
        first = 0 if sup.flags.strategy == "one_for_all" and not node.held else place
        self.set(sup.path, regroup_from=first if sup.regroup_from is None else min(first, sup.regroup_from))

    def record_death(self, kind: str, node: Node, exit: Exit) -> None:
        level = "LOG" if exit.how in ("normal", "shutdown") else "DIGEST"
        lived_s = self.now_s - node.since_s if node.state == "up" else 0.0
        data = {"incarnation": node.incarnation, "how": exit.how, "up_s": round(lived_s, 3), "held": node.held}
        text = f"{node.path} ended ({exit.how}): {exit.why}"
        self.act(Record(kind, level, node.path, text, data=data))  # type: ignore[arg-type]


def _deaths(times_s: tuple[float, ...], sup: Node) -> str:
    return f"{len(times_s)} deaths in {sup.flags.period_s:g} s (limit {sup.flags.intensity})"


# -- the events ------------------------------------------------------------------------------------


def on_boot(work: Work, event: Boot) -> None:
    work.start(ROOT)


def on_spawned(work: Work, event: Spawned) -> None:
    if work.living(event.path, event.incarnation):
        work.set(event.path, pid=event.pid)


def on_ready(work: Work, event: BecameReady) -> None:
    node = work.living(event.path, event.incarnation)
    if node is not None and node.state == "starting":
        work.up(event.path)


def on_exited(work: Work, event: Exited) -> None:
    node = work.living(event.path, event.incarnation)
    if node is not None:
        work.gone(event.path, event.exit)


def on_hung(work: Work, event: Hung) -> None:
    node = work.living(event.path, event.incarnation)
    if node is not None and node.state in ("starting", "up") and not node.doom:
        doom(work, node, f"hung: its loop did not turn for {event.silent_s:.1f} s, killed")


def doom(work: Work, node: Node, why: str) -> None:
    work.set(node.path, doom=why, deadline_s=NEVER_S)
    work.act(Kill(node.path, node.incarnation))


def on_tick(work: Work, event: Tick) -> None:
    for node in [each for each in work.nodes.values() if each.deadline_s <= work.now_s]:
        if node.state == "starting":
            doom(work, node, f"not ready within {node.spec.start_limit_s:g} s, killed")
        elif node.state == "stopping":
            work.set(node.path, deadline_s=NEVER_S)
            text = f"{node.path} did not end within its shutdown limit of {node.spec.shutdown_s:g} s, killed"
            work.act(Record("child.killed", "DIGEST", node.path, text))
            work.act(Kill(node.path, node.incarnation))
        elif node.state == "waiting":
            work.set(node.path, state="idle", deadline_s=NEVER_S)
            work.touch(node.parent)
        else:
            recovered(work, node)


def recovered(work: Work, node: Node) -> None:
    """A held child has been up for a healthy spell."""
    work.set(node.path, held=0, deadline_s=NEVER_S)
    text = f"{node.path} is healthy again after {node.held} tries"
    work.act(Record("child.recovered", "DIGEST", node.path, text, f"held {node.path}", "resolved"))


def on_stalled(work: Work, event: Stalled) -> None:
    for node in list(work.nodes.values()):
        if node.deadline_s != NEVER_S:
            work.set(node.path, deadline_s=node.deadline_s + event.late_s)
    text = f"this machine stalled for {event.late_s:.1f} s; all deadlines moved by that, nobody is judged for it"
    work.act(Record("machine.stalled", "DIGEST", ROOT, text))


def on_asked(work: Work, event: Asked) -> None:
    answer(work, event)


def on_shut_down(work: Work, event: ShutDown) -> None:
    if work.nodes[ROOT].state in ("starting", "up", "stopping"):
        work.stop(ROOT, "ended", event.reason)


HANDLERS: dict[type, Callable[[Work, Any], None]] = {
    Boot: on_boot,
    Spawned: on_spawned,
    BecameReady: on_ready,
    Exited: on_exited,
    Hung: on_hung,
    Tick: on_tick,
    Stalled: on_stalled,
    Asked: on_asked,
    ShutDown: on_shut_down,
}
