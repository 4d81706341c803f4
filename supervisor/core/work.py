"""One step in the making: a working copy of the tree, and the actions so far. PURE; knows no rule of supervision."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor.core.tree import NEVER_S, Action, Node, Record, Reply, TreeState
from supervisor.messages import ChildSpec, Done, Started


class Work:
    """What ``step`` works on. ``unsettled`` are the supervisors that have to look at their children again."""

    def __init__(self, tree: TreeState, now_s: float) -> None:
        self.nodes = dict(tree.nodes)
        self.next_incarnation = tree.next_incarnation
        self.due_s = dict(tree.due_s)
        self.now_s = now_s
        self.actions: list[Action] = []
        self.unsettled: list[str] = []

    def set(self, path: str, **changes: Any) -> Node:
        if "state" in changes:
            changes["since_s"] = self.now_s
        deadline_s = changes.get("deadline_s")
        if deadline_s == NEVER_S:
            self.due_s.pop(path, None)
        elif deadline_s is not None:
            self.due_s[path] = deadline_s
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

    # -- who is in the tree -------------------------------------------------------------------------------------------

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
            self._unlist(self.nodes[node.parent], path)
        del self.nodes[path]
        self.due_s.pop(path, None)

    def _unlist(self, sup: Node, path: str) -> None:
        """Out of the sequence; a regroup under way goes on from the same child, which may now have moved up."""
        place, first = sup.order.index(path), sup.regroup_from
        if first is not None and place < first:
            first -= 1
        self.set(sup.path, order=sup.order[:place] + sup.order[place + 1 :], regroup_from=first)

    def end(self, path: str, error: str) -> None:
        """It is down and stays down: who waits for its start gets ``error``, who waits for its end has it.

        What is kept is OTP's: the spec, but not of a temporary child, and none under a dynamic supervisor.
        """
        node = self.nodes[path]
        self.answer_all(node.started_by, None, error)
        self.answer_all(node.again[1] if node.again else (), None, error or f"failed: {path} ended and stays down")
        self.answer_all(node.stopped_by, Done())
        self.unhold(path, f"{path} has ended, it is not tried again")
        self.set(path, state="ended", deadline_s=NEVER_S, started_by=(), stopped_by=(), again=None)
        if node.spec.restart == "temporary" or self.parent(node).flags.dynamic:
            self.forget(path)

    def renew(self, path: str, spec: ChildSpec, tokens: tuple[int, ...]) -> None:
        """It is down and shall start with this spec; of its past life as a supervisor nothing is left."""
        for child in self.nodes[path].order:
            self.forget(child)
        self.set(path, state="idle", spec=spec, started_by=tokens)

    # -- what is told -------------------------------------------------------------------------------------------------

    def answer_all(self, tokens: tuple[int, ...], reply: Started | Done | None, error: str = "") -> None:
        for token in tokens:
            self.act(Reply(token, reply, error))

    def unhold(self, path: str, text: str) -> None:
        """Back-off is over for this child, and so is its incident."""
        node = self.nodes[path]
        if node.held:
            self.act(Record("child.recovered", "DIGEST", path, text, node.incident, "resolved"))
            self.set(path, held=0, incident="")

    def unstale(self, path: str, text: str) -> None:
        """It delivers again, or it is gone: its incident is over."""
        node = self.nodes[path]
        if node.stale:
            self.act(Record("child.fresh", "DIGEST", path, text, node.stale, "resolved"))
            self.set(path, stale="")


def child_path(parent: str, child_id: str) -> str:
    return f"{parent}/{child_id}" if parent else child_id
