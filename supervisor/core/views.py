"""The tree as people and other processes see it. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from supervisor.core.restart import budget_left
from supervisor.core.tree import NEVER_S, Node
from supervisor.messages import ChildInfo, Children, ChildRow, Counts, Tree

Status = Literal["running", "restarting", "undefined"]


def tree_view(nodes: dict[str, Node], under: str, now_s: float, deaths: int = 1) -> Tree:
    """The nodes at or below ``under``, parents before children, siblings in their sequence.

    Who is alive and fresh is not in the state: whoever reads the liveness page adds it.
    """
    chosen = _walk(nodes, under) if under in nodes else iter(())
    rows = tuple(child_info(node, now_s, deaths) for node in chosen if node.parent is not None)
    return Tree(now_s=now_s, pid=0, children=rows)


def children_view(nodes: dict[str, Node], sup: Node) -> Children:
    """OTP's which_children. Of a group that starts again only the one whose start is tried is *restarting* (OTP: it
    alone has failed); its juniors have no process and wait for it."""
    in_sequence = sup.flags.strategy != "one_for_one"
    rows, elder_starts = [], False
    for path in sup.order:
        node = nodes[path]
        rows.append(_child(node, "undefined" if elder_starts and node.state == "idle" else presence(node)))
        elder_starts = elder_starts or (in_sequence and node.state == "starting")
    return Children(tuple(rows))


def counts_view(nodes: dict[str, Node], sup: Node) -> Counts:
    """OTP's count_children."""
    children = [nodes[path] for path in sup.order]
    supervisors = sum(each.spec.type == "supervisor" for each in children)
    active = sum(presence(each) == "running" for each in children)
    return Counts(specs=len(children), active=active, supervisors=supervisors, workers=len(children) - supervisors)


def _child(node: Node, status: Status) -> ChildRow:
    return ChildRow(
        id=node.spec.id,
        name=node.path,
        status=status,
        pid=node.pid if status == "running" else 0,
        incarnation=node.incarnation if status == "running" else 0,
        type=node.spec.type,
        start=node.spec.start,
    )


def presence(node: Node) -> Status:
    """OTP's words. A child does not run before its start handshake is done: until then it is on its way (*restarting*,
    also for the first time: OTP's supervisor could not be asked then)."""
    if node.state == "ended":
        return "undefined"
    return "restarting" if node.down or node.state == "starting" else "running"


def _walk(nodes: dict[str, Node], path: str) -> Iterator[Node]:
    yield nodes[path]
    for child in nodes[path].order:
        yield from _walk(nodes, child)


def child_info(node: Node, now_s: float, deaths: int = 1) -> ChildInfo:
    sup = node.spec.type == "supervisor"
    return ChildInfo(
        name=node.path,
        type=node.spec.type,
        state=word(node),
        pid=node.pid,
        incarnation=node.incarnation,
        restarts=node.restarts,
        expected_restarts=node.expected_restarts,
        since_s=node.since_s,
        why=node.why,
        restart=node.spec.restart,
        significant=node.spec.significant,
        strategy=node.flags.strategy if sup else "",
        next_try_s=node.deadline_s if node.state == "waiting" and node.deadline_s != NEVER_S else 0.0,
        budget_left=budget_left(node.death_times_s, now_s, node.flags) if sup else 0,
        groups=node.spec.groups,
        deaths=node.deaths[-deaths:] if deaths > 0 else (),
    )


def word(node: Node) -> str:
    """The word that people read: a child that is slowed down is *held*, whatever it does just now; one that is up and
    has not delivered for too long is *stale*."""
    state = f"held, {node.state}" if node.held else str(node.state)
    return f"{state}, stale" if node.stale and node.state == "up" else state
