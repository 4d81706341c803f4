"""What may never happen in any history of the core: asserted by the edge (``core_edge.py``) after every step."""

from __future__ import annotations

from supervisor.core.deaths import ending
from supervisor.core.restart import add_restart, intensity
from supervisor.core.tree import NEVER_S, Action, Asked, Exited, Node, Record, Reply, TreeEvent, TreeState
from supervisor.core.views import children_view, counts_view
from supervisor.messages import EnsureChild, RestartChild


class Process:
    """One incarnation as the edge knows it."""

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.ready = False
        self.asked = False
        self.killed = False


class Invariants:
    """Of the state itself; that it says of each child what the edge knows; and of what it has just told the edge."""

    tree: TreeState
    now_s: float
    alive: dict[str, Process]
    told: list[Action]
    asked: set[int]
    replies: dict[int, Reply]

    # -- of a start, and of a stop ------------------------------------------------------------------------------------

    def above(self, path: str) -> list[tuple[Node, Node]]:
        """(child, its supervisor) from this node up to the root."""
        pairs, node = [], self.tree.nodes[path]
        while node.parent is not None:
            pairs.append((node, self.tree.nodes[node.parent]))
            node = pairs[-1][1]
        return pairs

    def elders_are_ready(self, path: str) -> None:
        """Start in sequence: not while an elder of the group is on its way, nor an older incarnation of a group lives.

        An inner supervisor that has not been told to stop yet goes on restarting, also when one above it ends (OTP).
        """
        own, over = self.above(path)[0]
        assert over.state in ("starting", "up"), f"{path} is started, and {over.path} is {over.state}"
        if over.flags.strategy != "one_for_one":
            for sibling in over.order[: over.order.index(own.path)]:
                assert self.tree.nodes[sibling].state in ("up", "ended"), f"{path} before its elder {sibling}"
        for node, over in self.above(path):
            if node.state == "starting" and over.regroup_from is not None:
                place = over.order.index(node.path)
                assert place < over.regroup_from, f"{path} while the group of {node.path} goes down"

    def no_junior_lives(self, path: str) -> None:
        """Shutdown in reverse: whom its supervisor ends, alone or with its group, he ends when all juniors are down."""
        for node, over in self.above(path):
            by_request = node.stopped_by or node.again
            if over.flags.dynamic or by_request or (over.state != "stopping" and over.regroup_from is None):
                return
            for junior in over.order[over.order.index(node.path) + 1 :]:
                assert self.tree.nodes[junior].down, f"{path} is told to stop before its junior {junior}"
            if not over.asked:
                return

    # -- of the state, after each step --------------------------------------------------------------------------------

    def check(self) -> None:
        """The invariants of the state itself, and that it says of each child what the edge knows."""
        for node in self.tree.nodes.values():
            if node.down and node.state != "waiting":
                assert node.deadline_s == NEVER_S, f"{node.path} is {node.state} and has a deadline"
            if node.state == "waiting":
                assert node.deadline_s < NEVER_S, f"{node.path} waits for ever"
            if node.state in ("up", "ended", "waiting"):
                assert not node.started_by, f"{node.path} is {node.state} and somebody waits for its start"
            if node.state != "stopping":
                assert not node.stopped_by, f"{node.path} is {node.state} and somebody waits for its end"
                assert node.again is None or ending(self.tree, node), f"{node.path} does not end, and somebody waits"
            assert bool(node.held) == bool(node.incident)
            assert all(self.tree.nodes[child].parent == node.path for child in node.order)
            if node.spec.type == "supervisor":
                self.check_supervisor(node)
            elif node.path in self.alive:
                assert not node.down
                assert node.incarnation == self.alive[node.path].incarnation
            else:
                assert node.down, f"{node.path} is {node.state} and there is no process"
        assert set(self.alive) <= set(self.tree.nodes)
        due_s = {node.path: node.deadline_s for node in self.tree.nodes.values() if node.deadline_s != NEVER_S}
        assert self.tree.due_s == due_s
        self.check_tokens()
        self.check_incidents()

    def check_supervisor(self, node: Node) -> None:
        children = [self.tree.nodes[child] for child in node.order]
        if node.down:
            assert all(child.down for child in children), f"{node.path} is down and a child lives"
        if node.flags.dynamic or node.flags.strategy == "one_for_one":
            assert node.regroup_from is None
        if node.flags.dynamic:
            assert all(child.state != "ended" for child in children), "a dynamic supervisor forgets"
        assert all(child.state != "ended" or child.spec.restart != "temporary" for child in children)
        if node.state in ("starting", "up"):
            recent = add_restart(node.death_times_s, self.now_s, node.flags)[0]
            assert len(recent) - 1 <= intensity(node.flags), f"{node.path} lives and has had more deaths than it may"
        counts, rows = counts_view(self.tree.nodes, node), children_view(self.tree.nodes, node).children
        assert counts.specs == counts.supervisors + counts.workers == len(rows) == len({row.name for row in rows})
        assert counts.active == sum(row.status == "running" for row in rows)
        for row in rows:
            assert row.status == "running" or row.type == "supervisor" or row.pid == 0
            assert row.pid == 0 or row.name in self.alive, f"{row.name} has a pid and does not live"
        if node.state == "up" and node.regroup_from is None and node.flags.strategy == "one_for_one":
            assert all(child.state != "idle" for child in children), f"{node.path} forgot to start a child"

    def check_ended_stay_down(self, event: TreeEvent, before: dict[str, Node]) -> None:
        """What has ended comes back on request, with its group, or with a new incarnation of its supervisor."""
        for path, old in before.items():
            new = self.tree.nodes.get(path)
            if old.state != "ended" or new is None or new.state == "ended" or old.parent is None:
                continue
            over, over_before = self.tree.nodes[old.parent], before[old.parent]
            asked = isinstance(event, Asked) and isinstance(event.request, RestartChild | EnsureChild)
            with_its_group = over.flags.strategy != "one_for_one" and isinstance(event, Exited)
            assert asked or with_its_group or over.incarnation != over_before.incarnation, f"{path} came back unasked"

    def check_held_leave_elders_alone(self, event: TreeEvent, before: dict[str, Node]) -> None:
        """The death of a held child ends its juniors and no elder."""
        old = before.get(event.path) if isinstance(event, Exited) else None
        if old is None or not old.held or old.parent is None or before[old.parent].regroup_from is not None:
            return
        over = self.tree.nodes.get(old.parent)
        if over is not None and over.state in ("starting", "up") and over.regroup_from is not None:
            assert over.regroup_from == over.order.index(old.path)

    def check_tokens(self) -> None:
        """Each request is answered, or noted at exactly one place that lives or is about to."""
        noted: list[int] = []
        for node in self.tree.nodes.values():
            noted += [*node.started_by, *node.stopped_by, *(node.again[1] if node.again else ())]
        assert len(set(noted)) == len(noted)
        pending = {token for token in self.asked if token not in self.replies}
        assert pending == set(noted), f"pending {pending}, noted {noted}"

    def check_incidents(self) -> None:
        """An incident that was opened is resolved, or its child is still held."""
        nodes = self.tree.nodes.values()
        assert self.open_incidents() == {node.incident for node in nodes if node.held} | {
            node.stale for node in nodes if node.stale
        }
        assert not any(node.stale and node.down for node in nodes)

    def open_incidents(self) -> set[str]:
        states = {
            each.incident: each.incident_state for each in self.told if isinstance(each, Record) and each.incident
        }
        return {incident for incident, state in states.items() if state == "opened"}
