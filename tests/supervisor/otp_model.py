"""OTP's ``supervisor``, written down naively: what the core is compared with (``test_core_against_model.py``).

A direct transcription of ``lib/stdlib/src/supervisor.erl`` (OTP 25; of Elixir's ``DynamicSupervisor`` for ``dynamic``):
synchronous, nested, recursive, without back-off, expected ends and deadlines. Each method bears the name of the
function there that it transcribes. What OTP leaves to links, monitors and mailboxes is a plain call here: who is told
to end has ended, who is started has come up, failed, or said ignore, before the next line; ``try_again_restart`` is
therefore a loop.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Literal

from supervisor.spec import ChildSpec

Reason = Literal["normal", "shutdown", "abnormal"]
Outcome = Literal["ok", "fail", "ignore"]
RESTARTING = "restarting"


class StartFailed(Exception):
    """The start function returned an error (``do_start_child_i``)."""


class World:
    """What lies outside the supervisors: the time, how the coming starts of each name go, and what was done."""

    def __init__(self) -> None:
        self.now_s = 0
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self.log: list[str] = []
        self.started: Counter[str] = Counter()

    def start(self, name: str) -> Outcome:
        self.log.append(f"+{name}")
        self.started[name] += 1
        return self.outcomes[name].pop(0) if self.outcomes[name] else "ok"


class Child:
    """``#child``: ``pid`` is None (undefined), RESTARTING, a worker's name, or a supervisor."""

    def __init__(self, name: str, spec: ChildSpec) -> None:
        self.name, self.spec = name, spec
        self.pid: str | Supervisor | None = None

    @property
    def alive(self) -> bool:
        return self.pid not in (None, RESTARTING)

    @property
    def status(self) -> str:
        return "running" if self.alive else "restarting" if self.pid == RESTARTING else "undefined"


class Supervisor:
    """``#state`` and what is done with it. ``children`` in start order."""

    def __init__(self, name: str, spec: ChildSpec, world: World) -> None:
        self.name, self.spec, self.flags, self.world = name, spec, spec.flags, world
        self.children: list[Child] = []
        self.restarts: list[int] = []

    # -- init/1, start_children/2, do_start_child/2 ------------------------------------------------------------------

    def init(self) -> None:
        self.children = [Child(self.child_name(spec), spec) for spec in self.spec.children]
        if self.start_children(list(self.children)) is not None:
            self.terminate_children(list(self.children))
            raise StartFailed(self.name)

    def child_name(self, spec: ChildSpec) -> str:
        return f"{self.name}/{spec.id}" if self.name else spec.id

    def start_children(self, children: list[Child]) -> Child | None:
        """In start order, each when the one before has come up. The one that failed, or None."""
        for child in children:
            try:
                self.do_start_child(child)
            except StartFailed:
                return child
            if child.pid is None and child.spec.restart == "temporary":
                self.children.remove(child)
        return None

    def do_start_child(self, child: Child) -> None:
        if child.spec.type == "supervisor":
            supervisor = Supervisor(child.name, child.spec, self.world)
            supervisor.init()
            child.pid = supervisor
            return
        outcome = self.world.start(child.name)
        if outcome == "fail":
            raise StartFailed(child.name)
        child.pid = None if outcome == "ignore" else child.name

    # -- handle_call ---------------------------------------------------------------------------------------------------

    def start_child(self, spec: ChildSpec) -> str:
        old = self.find_child(spec.id)
        if old is not None:
            return "already_started" if old.alive else "already_present"
        if self.flags.dynamic and len(self.children) >= self.flags.max_children:
            return "max_children"
        child = Child(self.child_name(spec), spec)
        try:
            self.do_start_child(child)
        except StartFailed:
            return "failed"
        if child.alive or not (spec.restart == "temporary" or self.flags.dynamic):
            self.children.append(child)
        return "started" if child.alive else "ignored"

    def terminate_child(self, id: str) -> str:
        child = self.find_child(id)
        if child is None:
            return "not_found"
        self.do_terminate(child)
        self.del_child(child)
        return "done"

    def restart_child(self, id: str) -> str:
        child = self.find_child(id)
        if child is None:
            return "not_found"
        if child.pid is not None:
            return child.status
        try:
            self.do_start_child(child)
        except StartFailed:
            return "failed"
        return "started" if child.alive else "ignored"

    def delete_child(self, id: str) -> str:
        child = self.find_child(id)
        if child is None:
            return "not_found"
        if child.pid is not None:
            return child.status
        self.children.remove(child)
        return "done"

    def find_child(self, id: str) -> Child | None:
        return next((child for child in self.children if child.spec.id == id), None)

    # -- handle_info {'EXIT', ...}: do_restart/3 and do_auto_shutdown/2. True: the supervisor is to stop ---------------

    def do_restart(self, child: Child, reason: Reason) -> bool:
        if child.spec.restart == "permanent" or (child.spec.restart == "transient" and reason == "abnormal"):
            return self.restart(child)
        self.del_child(child)
        return self.do_auto_shutdown(child)

    def do_auto_shutdown(self, child: Child) -> bool:
        if self.flags.auto_shutdown == "never" or not child.spec.significant:
            return False
        if self.flags.auto_shutdown == "any_significant":
            return True
        return not any(each.spec.significant and each.pid is not None for each in self.children)

    # -- restart/2, restart/3, add_restart/1 ---------------------------------------------------------------------------

    def restart(self, child: Child) -> bool:
        failed: Child | None = child
        while failed is not None:
            if not self.add_restart():
                self.del_child(failed)
                return True
            failed = self.restart_by_strategy(failed)
        return False

    def restart_by_strategy(self, child: Child) -> Child | None:
        """The one that failed to start, which is to be tried again; or None."""
        if self.flags.strategy == "one_for_one":
            failed = self.start_children([child])
            if failed is None and child.pid is None and self.flags.dynamic:
                self.children.remove(child)
        else:
            child.pid = None
            first = 0 if self.flags.strategy == "one_for_all" else self.children.index(child)
            self.terminate_children(self.children[first:])
            failed = self.start_children(self.children[first:])
        if failed is not None:
            failed.pid = RESTARTING
        return failed

    def add_restart(self) -> bool:
        threshold_s = self.world.now_s - self.flags.period_s
        self.restarts = [self.world.now_s, *(at_s for at_s in self.restarts if at_s >= threshold_s)]
        assert isinstance(self.flags.intensity, int)
        return len(self.restarts) <= self.flags.intensity

    # -- terminate/2, terminate_children/2, do_terminate/2, del_child/2 ------------------------------------------------

    def terminate_children(self, children: list[Child]) -> None:
        for child in reversed(children):
            self.do_terminate(child)
            self.del_child(child)

    def do_terminate(self, child: Child) -> None:
        if isinstance(child.pid, Supervisor):
            child.pid.terminate_children(list(child.pid.children))
        elif child.alive:
            self.world.log.append(f"-{child.name}")

    def del_child(self, child: Child) -> None:
        child.pid = None
        if (child.spec.restart == "temporary" or self.flags.dynamic) and child in self.children:
            self.children.remove(child)


class Model:
    """A whole tree. ``gave_up``: None while it runs."""

    def __init__(self, root: ChildSpec, world: World) -> None:
        self.world = world
        self.root = Supervisor("", root, world)
        self.gave_up: bool | None = None

    def boot(self) -> None:
        try:
            self.root.init()
        except StartFailed:
            self.gave_up = True

    def supervisors(self, under: Supervisor | None = None) -> list[Supervisor]:
        """Those that run, parents first."""
        over = under or self.root
        below = [child.pid for child in over.children if isinstance(child.pid, Supervisor)]
        return [over, *(each for supervisor in below for each in self.supervisors(supervisor))]

    def exit(self, name: str, reason: Reason) -> None:
        """A worker has ended by itself. A supervisor that stops exits ``shutdown``, which its own one hears of."""
        while True:
            over, child = self.find(name)
            if not over.do_restart(child, reason):
                return
            over.terminate_children(list(over.children))
            if over is self.root:
                self.gave_up = len(over.restarts) > over.flags.intensity  # else it has shut itself down automatically
                return
            name, reason = over.name, "shutdown"

    def exit_together(self, over: Supervisor, ends: dict[str, Reason]) -> None:
        """Siblings have ended at the same time. ``shutdown/1`` reads a death in the mailbox as the answer to its own
        order: it is told of afterwards no more, nor of one whose supervisor has ended meanwhile."""
        started = {name: self.world.started[name] for name in ends}
        for name, reason in ends.items():
            unread = any(child.name == name and child.alive for child in over.children)
            if (
                self.gave_up is None
                and over in self.supervisors()
                and unread
                and self.world.started[name] == started[name]
            ):
                self.exit(name, reason)

    def find(self, name: str) -> tuple[Supervisor, Child]:
        pairs = [(over, child) for over in self.supervisors() for child in over.children]
        return next((over, child) for over, child in pairs if child.name == name)

    def shut_down(self) -> None:
        self.root.terminate_children(list(self.root.children))
        self.gave_up = False
