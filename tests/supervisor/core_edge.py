"""A tiny simulated edge for the tests of the pure core: it performs the actions, owns the time and remembers all.

It judges too: what may never happen in any history is asserted here, after every step, in every test that uses it.
"""

from __future__ import annotations

from typing import Any

from supervisor.core.deaths import ending
from supervisor.core.machine import ROOT, initial, next_deadline_s, step
from supervisor.core.restart import add_restart, intensity
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
)
from supervisor.core.views import children_view, counts_view
from supervisor.messages import (
    Children,
    ChildSpec,
    CountChildren,
    Counts,
    EnsureChild,
    RestartChild,
    Started,
    SupervisorFlags,
    WhichChildren,
)

CRASH = Exit("abnormal", "crashed")


def worker(id: str, **fields: Any) -> ChildSpec:
    return ChildSpec(id=id, start="a.module:function", **fields)


def sup(
    id: str,
    *children: ChildSpec,
    restart: str = "permanent",
    significant: bool = False,
    shutdown_s: Any = "infinity",
    **flags: Any,
) -> ChildSpec:
    return ChildSpec(
        id=id,
        type="supervisor",
        restart=restart,  # type: ignore[arg-type]
        significant=significant,
        shutdown_s=shutdown_s,
        supervisor=SupervisorFlags(**flags),
        children=children,
    )


class Process:
    """One incarnation as the edge knows it."""

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.ready = False
        self.asked = False
        self.killed = False


class Edge:
    """``run`` is a cooperative world: all get ready, all end when told; but not what is named in ``stubborn``, and the
    coming starts of a name go as ``outcomes`` says of each: "ok", "fail" or "ignore".

    ``broken``: something that may never happen has happened, and the edge does not know any more who lives.
    """

    def __init__(self, *children: ChildSpec, boot: bool = True, **flags: Any) -> None:
        self.tree = initial(sup("root", *children, **flags))
        self.now_s = 1000.0
        self.alive: dict[str, Process] = {}
        self.spawns: list[str] = []
        self.spawned_s: list[tuple[str, float]] = []
        self.told: list[Action] = []
        self.replies: dict[int, Reply] = {}
        self.asked: set[int] = set()
        self.stubborn: set[str] = set()
        self.outcomes: dict[str, list[str]] = {}
        self.finished: Finished | None = None
        self.broken = False
        self.next_pid = 100
        self.last_incarnation = 0
        if boot:
            self.boot()

    # -- events -------------------------------------------------------------------------------------------------------

    def feed(self, event: TreeEvent) -> list[Action]:
        self.broken, before = True, self.tree.nodes
        self.tree, actions = step(self.tree, event, self.now_s)
        for action in actions:
            self.perform(action)
        self.check()
        self.check_ended_stay_down(event, before)
        self.check_held_leave_elders_alone(event, before)
        self.broken = False
        return actions

    def boot(self) -> None:
        self.feed(Boot())
        self.run()

    def ready(self, path: str) -> None:
        self.alive[path].ready = True
        self.feed(BecameReady(path, self.alive[path].incarnation))

    def die(self, path: str, how: str = "abnormal", why: str = "crashed") -> list[Action]:
        process = self.alive.pop(path)
        return self.feed(Exited(path, process.incarnation, Exit(how, why)))  # type: ignore[arg-type]

    def hang(self, path: str, silent_s: float = 10.0) -> None:
        self.feed(Hung(path, self.alive[path].incarnation, silent_s))

    def ask(self, request: object) -> int:
        token = len(self.asked) + 1
        self.asked.add(token)
        self.feed(Asked(token, request))
        return token

    def shut_down(self) -> None:
        self.feed(ShutDown("told to"))

    def stall(self, late_s: float, unwatched_s: float = 0.0) -> None:
        self.now_s += late_s
        self.feed(Stalled(late_s, unwatched_s))

    def wait(self, seconds: float, run: bool = True) -> None:
        """Let time pass, with a tick at each deadline on the way; ``run``: the world cooperates meanwhile."""
        until_s = self.now_s + seconds
        if run:
            self.run()
        while next_deadline_s(self.tree) <= until_s:
            self.now_s = max(self.now_s, next_deadline_s(self.tree))
            self.feed(Tick())
            if run:
                self.run()
        self.now_s = until_s

    def run(self) -> None:
        """All that is alive does what it should, one thing at a time, until nothing is left to do."""
        while self.help_one():
            pass

    def help_one(self) -> bool:
        for path, process in self.alive.items():
            if process.killed:
                self.die(path, why="killed by SIGKILL")
            elif path in self.stubborn:
                continue
            elif process.asked:
                self.die(path, "shutdown", "told to stop")
            elif not process.ready:
                self.start_goes_as_it_should(path)
            else:
                continue
            return True
        return False

    def start_goes_as_it_should(self, path: str) -> None:
        coming = self.outcomes.get(path)
        outcome = coming.pop(0) if coming else "ok"
        if outcome == "ok":
            self.ready(path)
        else:
            self.die(path, "ignore" if outcome == "ignore" else "abnormal", outcome)

    # -- actions, and what may never happen ---------------------------------------------------------------------------

    def perform(self, action: Action) -> None:
        self.told.append(action)
        match action:
            case Spawn():
                self.spawn(action)
            case AskToStop(path=path, incarnation=incarnation):
                assert not self.alive[path].asked, f"{path} was told to stop twice"
                assert self.alive[path].incarnation == incarnation
                self.alive[path].asked = True
                self.no_junior_lives(path)
            case Kill(path=path, incarnation=incarnation):
                assert self.alive[path].incarnation == incarnation
                self.alive[path].killed = True
            case Reply(token=token):
                assert token in self.asked, f"token {token} was never given"
                assert token not in self.replies, f"token {token} is answered twice"
                assert (action.answer is None) == bool(action.error)
                self.replies[token] = action
            case Finished():
                assert self.finished is None, "finished twice"
                assert not self.alive, "finished while children live"
                self.finished = action

    def spawn(self, action: Spawn) -> None:
        path = action.path
        assert self.finished is None, f"{path} is started after the end"
        assert path not in self.alive, f"two incarnations of {path}"
        self.elders_are_ready(path)
        assert action.incarnation > self.last_incarnation, "an incarnation's number is used twice"
        self.last_incarnation = action.incarnation
        self.spawns.append(path)
        self.spawned_s.append((path, self.now_s))
        self.alive[path] = Process(action.incarnation)
        self.next_pid += 1
        self.tree, actions = step(self.tree, Spawned(path, action.incarnation, self.next_pid), self.now_s)
        assert actions == []

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

    # -- what tests ask -----------------------------------------------------------------------------------------------

    def open_incidents(self) -> set[str]:
        states = {
            each.incident: each.incident_state for each in self.told if isinstance(each, Record) and each.incident
        }
        return {incident for incident, state in states.items() if state == "opened"}

    def state(self, path: str) -> str:
        return self.tree.nodes[path].state if path in self.tree.nodes else "forgotten"

    def incarnations(self, path: str) -> int:
        return self.spawns.count(path)

    def up(self) -> list[str]:
        return [node.path for node in self.tree.nodes.values() if node.state == "up" and node.spec.type == "worker"]

    def started(self, path: str, already: bool = False) -> Started:
        """What a starting request is answered with, when this child runs."""
        node = self.tree.nodes[path]
        return Started(path, node.incarnation, node.pid, already)

    def answer(self, token: int) -> object:
        """The answer, or the first word of the refusal."""
        reply = self.replies[token]
        return reply.answer if reply.answer is not None else reply.error.split(":")[0]

    def call(self, request: object) -> object:
        """Ask, let the world cooperate, and give the answer."""
        token = self.ask(request)
        self.run()
        return self.answer(token)

    def which(self, under: str = "") -> list[tuple[str, str]]:
        """which_children: ids and whether they run."""
        children = self.answer(self.ask(WhichChildren(under)))
        assert isinstance(children, Children)
        return [(row.id, row.status) for row in children.children]

    def counts(self, under: str = "") -> list[int]:
        """count_children as OTP's suite reads it: specs, active, supervisors, workers."""
        counts = self.answer(self.ask(CountChildren(under)))
        assert isinstance(counts, Counts)
        return [counts.specs, counts.active, counts.supervisors, counts.workers]

    def records(self, kind: str) -> list[Record]:
        return [each for each in self.told if isinstance(each, Record) and each.kind == kind]

    def take(self) -> list[str]:
        """What was told since the last look, as short words: ``+a`` start, ``-a`` asked to stop, ``!a`` kill."""
        marks = {Spawn: "+", AskToStop: "-", Kill: "!"}
        words = [marks[type(each)] + each.path for each in self.told if isinstance(each, Spawn | AskToStop | Kill)]
        self.told = [each for each in self.told if isinstance(each, Record) and each.incident]
        return words

    def announced(self, path: str) -> list[bool]:
        return [each.up for each in self.told if isinstance(each, Announce) and each.path == path]


__all__ = ["CRASH", "ROOT", "Edge", "Process", "sup", "worker"]
