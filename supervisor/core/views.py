"""The tree as people and other processes see it. PURE."""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.core.tree import NEVER_S, Node
from supervisor.messages import ChildInfo, Tree


def tree_view(nodes: dict[str, Node], under: str, now_s: float) -> Tree:
    """The nodes at or below ``under``, parents before children, siblings in their sequence."""
    chosen = _walk(nodes, under) if under in nodes else iter(())
    return Tree(now_s=now_s, pid=0, children=tuple(child_info(node) for node in chosen if node.parent is not None))


def _walk(nodes: dict[str, Node], path: str) -> Iterator[Node]:
    yield nodes[path]
    for child in nodes[path].order:
        yield from _walk(nodes, child)


def child_info(node: Node) -> ChildInfo:
    flags = node.spec.supervisor
    return ChildInfo(
        name=node.path,
        type=node.spec.type,
        state=word(node),
        pid=node.pid,
        incarnation=node.incarnation,
        restarts=node.restarts,
        expected_restarts=node.expected_restarts,
        started_s=node.since_s,
        why=node.why,
        restart=node.spec.restart,
        significant=node.spec.significant,
        strategy=flags.strategy if flags else "",
        next_try_s=node.deadline_s if node.state == "waiting" and node.deadline_s != NEVER_S else 0.0,
        groups=node.spec.groups,
    )


def word(node: Node) -> str:
    """The word that people read: a child that is slowed down is *held*, whatever it does just now."""
    return f"held, {node.state}" if node.held else node.state
