"""The supervisor: ``step(tree, event, now_s) -> (tree, actions)``. PURE: opens nothing, reads no clock, logs nothing.

Level-triggered: an event changes a node's state; then every supervisor concerned is *settled*: whatever must go down
goes down (in reverse sequence), and only when that is done, whatever must come up comes up (in sequence). There is no
script of steps to be lost half-way when the next death comes in the middle of a restart.

Its rooms: ``settle.py`` (down, then up), ``deaths.py`` (what a death means), ``requests.py`` (what can be asked).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor.core.deaths import gone
from supervisor.core.requests import answer
from supervisor.core.settle import attend, kill_below, settle, start, stop, up
from supervisor.core.tree import (
    NEVER_S,
    Action,
    Asked,
    BecameFresh,
    BecameReady,
    BecameStale,
    Boot,
    Declared,
    Exit,
    Exited,
    Hung,
    Kill,
    Node,
    Record,
    ShutDown,
    Spawned,
    Stalled,
    Tick,
    TooBig,
    TreeEvent,
    TreeState,
)
from supervisor.core.work import Work
from supervisor.spec import ChildSpec

ROOT = ""
STALL_TOLD_S = 1.0
"""A shorter stall moves the deadlines too, but nobody would want to read of it."""


def initial(root: ChildSpec, first_incarnation: int = 1) -> TreeState:
    """A tree of which nothing runs yet. ``root`` is a supervisor's spec."""
    return TreeState(nodes={ROOT: Node(path=ROOT, parent=None, spec=root)}, next_incarnation=first_incarnation)


def step(tree: TreeState, event: TreeEvent, now_s: float) -> tuple[TreeState, list[Action]]:
    """What the tree becomes when ``event`` happens at machine time ``now_s``, and what is to be done about it."""
    work = Work(tree, now_s)
    HANDLERS[type(event)](work, event)
    settle_all(work)
    return TreeState(work.nodes, work.next_incarnation, work.due_s), work.actions


def next_deadline_s(tree: TreeState) -> float:
    """When a ``Tick`` is due; infinity if nothing waits for time."""
    return min(tree.due_s.values(), default=NEVER_S)


def settle_all(work: Work) -> None:
    while work.unsettled:
        path = work.unsettled.pop(0)
        if path in work.nodes and settle(work, path):
            gone(work, path, work.nodes[path].outcome or Exit("shutdown", "told to stop"))


# -- the events -------------------------------------------------------------------------------------------------------


def on_boot(work: Work, event: Boot) -> None:
    start(work, ROOT)


def on_spawned(work: Work, event: Spawned) -> None:
    if work.living(event.path, event.incarnation):
        work.set(event.path, pid=event.pid)


def on_ready(work: Work, event: BecameReady) -> None:
    """Its first word. From a child that is being killed it comes too late."""
    node = work.living(event.path, event.incarnation)
    if node is not None and node.state == "starting" and not node.doom:
        up(work, event.path)


def on_exited(work: Work, event: Exited) -> None:
    node = work.living(event.path, event.incarnation)
    if node is not None:
        gone(work, event.path, event.exit)


def on_hung(work: Work, event: Hung) -> None:
    """A stopping child too: one that hangs does not end by itself, and its group would wait for its whole shutdown
    limit. (One that is in its last words has declared them to the page.)"""
    node = work.living(event.path, event.incarnation)
    if node is None or node.doom:
        return
    doom(work, node, f"hung: its loop did not turn for {event.silent_s:.1f} s, killed")


def on_too_big(work: Work, event: TooBig) -> None:
    node = work.living(event.path, event.incarnation)
    if node is not None and not node.doom and node.spec.memory_max_mib is not None:
        doom(work, node, f"memory: {event.mib:.0f} MiB resident, ceiling {node.spec.memory_max_mib:g} MiB, killed")


def on_declared(work: Work, event: Declared) -> None:
    """Nothing follows yet, but that who asks for it meanwhile is told the truth (``ensure_child``)."""
    if work.living(event.path, event.incarnation):
        work.set(event.path, ending=event.how)


def on_stale(work: Work, event: BecameStale) -> None:
    """A child that beats and delivers nothing is not restarted for it, and not silent."""
    node = work.living(event.path, event.incarnation)
    if node is not None and node.state == "up" and not node.stale:
        incident = f"stale {node.path} {node.incarnation}"
        text = f"{node.path} is stale: it is alive, but has delivered nothing good for longer than it may"
        work.act(Record("child.stale", "NOTIFY", node.path, text, incident, "opened"))
        work.set(node.path, stale=incident)


def on_fresh(work: Work, event: BecameFresh) -> None:
    if work.living(event.path, event.incarnation):
        work.unstale(event.path, f"{event.path} is fresh again")


def doom(work: Work, node: Node, why: str) -> None:
    """Kill it; ``why`` is what its end will be put down to. Of one that was told to stop the end alone says nothing."""
    work.set(node.path, doom=why, deadline_s=NEVER_S)
    if node.state == "stopping":
        work.act(Record("child.killed", "DIGEST", node.path, f"{node.path} {why}"))
    work.act(Kill(node.path, node.incarnation))


def on_tick(work: Work, event: Tick) -> None:
    for path in [path for path, due_s in work.due_s.items() if due_s <= work.now_s]:
        node = work.nodes.get(path)
        if node is not None and node.deadline_s <= work.now_s:
            on_due(work, node)


def on_due(work: Work, node: Node) -> None:
    if node.state == "starting":
        doom(work, node, f"not ready within {node.spec.start_limit_s:g} s, killed")
    elif node.state == "stopping" and node.spec.type == "supervisor":
        text = f"{node.path} did not end within its limit of {node.spec.shutdown_s:g} s, killed with all below"
        work.act(Record("child.killed", "DIGEST", node.path, text))
        work.set(node.path, deadline_s=NEVER_S)
        kill_below(work, node.path, text)
    elif node.state == "stopping":
        doom(work, node, f"did not end within its shutdown limit of {node.spec.shutdown_s:g} s, killed")
    elif node.state == "waiting":
        work.set(node.path, state="idle", deadline_s=NEVER_S)
        attend(work, node.path, node.parent)
    else:
        work.set(node.path, deadline_s=NEVER_S)
        back_off = work.parent(node).flags.back_off
        assert back_off is not None  # nobody else holds
        text = f"{node.path} is slowed down no more: up for {back_off.healthy_s:g} s since try {node.held}"
        work.unhold(node.path, text)


def on_stalled(work: Work, event: Stalled) -> None:
    """All deadlines move. Those for which somebody would be killed by all the time that was not watched: nobody knows
    when in it the stall began, and how long the child had still had then."""
    for path, due_s in list(work.due_s.items()):
        judged = work.nodes[path].state in ("starting", "stopping")
        work.set(path, deadline_s=due_s + (max(event.late_s, event.unwatched_s) if judged else event.late_s))
    if event.late_s >= STALL_TOLD_S:
        text = (
            f"the supervisor stood still for {event.late_s:.1f} s (this machine did, or it alone); "
            "all deadlines moved by that, nobody is judged for it"
        )
        work.act(Record("machine.stalled", "DIGEST", ROOT, text))


def on_asked(work: Work, event: Asked) -> None:
    answer(work, event)


def on_shut_down(work: Work, event: ShutDown) -> None:
    if not work.nodes[ROOT].down:
        stop(work, ROOT, "ended", event.reason)


HANDLERS: dict[type, Callable[[Work, Any], None]] = {
    Boot: on_boot,
    Spawned: on_spawned,
    BecameReady: on_ready,
    Exited: on_exited,
    Hung: on_hung,
    TooBig: on_too_big,
    Declared: on_declared,
    BecameStale: on_stale,
    BecameFresh: on_fresh,
    Tick: on_tick,
    Stalled: on_stalled,
    Asked: on_asked,
    ShutDown: on_shut_down,
}
