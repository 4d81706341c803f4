"""A tiny simulated edge for the tests of the pure core: it performs the actions, owns the time and remembers all.

It judges too: what may never happen in any history is asserted here, after every step, in every test that uses it.
"""

from __future__ import annotations

from typing import Any

from supervisor.core.machine import ROOT, initial, next_deadline_s, step
from supervisor.core.tree import (
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
    Record,
    Reply,
    ShutDown,
    Spawn,
    Spawned,
    Stalled,
    Tick,
    TreeEvent,
)
from supervisor.messages import (
    Children,
    ChildSpec,
    CountChildren,
    Counts,
    Started,
    SupervisorFlags,
    WhichChildren,
)
from tests.supervisor.core_invariants import Invariants, Process

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


class Edge(Invariants):
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

    # -- what tests ask -----------------------------------------------------------------------------------------------

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
