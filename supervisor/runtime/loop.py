"""The supervising process: one thread over epoll. It feeds the pure core and does what the core says.

It holds no ZeroMQ, no SQLite, no HTTP, no threads: forks are safe, and no hostile frame is ever parsed in the process
that must not die. What it parses comes over socketpairs from its own children.
"""

from __future__ import annotations

import os
import select
import signal
import time
from array import array

from msgspec.structs import replace

from supervisor.core import liveness, memory
from supervisor.core.machine import next_deadline_s
from supervisor.core.tree import NEVER_S, Boot, Exit, Exited, Hung, ShutDown, Spawn, Spawned, Stalled, Tick, TreeEvent
from supervisor.errors import BadMessage
from supervisor.messages import ChildSpec, Message, Predecessor
from supervisor.process.clock import Clock
from supervisor.process.logs import open_log
from supervisor.runtime.child import Birth
from supervisor.runtime.kid import Kid
from supervisor.runtime.leftovers import NOTHING_LEFT, Leftovers
from supervisor.runtime.page import Page
from supervisor.runtime.performer import Performer
from supervisor.runtime.settings import Settings
from supervisor.runtime.spawn import reap, spawn
from supervisor.runtime.systemd import Systemd
from supervisor.runtime.watches import Watches

ASLEEP_MAX_S = 30.0
"""The loop turns at least this often, so that a clock or a page that changed is seen."""


class Runtime(Performer[Kid]):
    """One supervision tree as OS processes. ``run`` returns the exit status when the tree is down."""

    def __init__(
        self, root: ChildSpec, settings: Settings, first_incarnation: int, left: Leftovers = NOTHING_LEFT
    ) -> None:
        super().__init__(root, first_incarnation)
        self.settings = settings
        self.page = Page()
        self.judge = liveness.Judge()
        self.epoll = select.epoll()
        self.by_fd: dict[int, Kid] = {}
        self.signals = -1
        self.look_s = NEVER_S
        """When to read the liveness page next."""
        self.turned_s = time.monotonic()
        """When the last turn ended."""
        self.back_s = self.turned_s
        """When somebody began to turn the loop, or came back to it: he is not late for what was due before."""
        self._due: tuple[object, float] = (None, 0.0)
        self.clock = Clock(settings.clock_file)
        self.log = open_log(settings.log_dir / "nightdesk.log", settings, echo=settings.echo)
        self.watches = Watches(settings.home, self.page, self.kids, self.feed, self._record)
        self._left_over = left

    def run(self) -> int:
        self.take_signals()
        systemd = Systemd(os.environ)
        signal.signal(signal.SIGCHLD, _noted)
        self.watches.orphans.alone = True
        self.begin()
        while self.finished is None:
            systemd.turn(self.tree, time.monotonic())
            self.turn(systemd.due_s - time.monotonic())
        systemd.turn(self.tree, time.monotonic())
        return self.end()

    def begin(self) -> None:
        self.log.info("supervisor starts", pid=os.getpid(), home=self.settings.home)
        self.turned_s = time.monotonic()
        for row in self._left_over.records():
            self._record(row)
        self.feed(Boot())

    def end(self) -> int:
        """The exit status, when the tree is down."""
        assert self.finished is not None
        self.watches.orphans.end_all()
        self.watches.place.close()
        self.log.info("supervisor ends", why=self.finished.why)
        self.epoll.close()
        return 1 if self.finished.gave_up else 0

    def turn(self, limit_s: float = ASLEEP_MAX_S) -> None:
        """Wait for what happens next, at most so long, and do what follows from it."""
        asleep_s = self._look_at_own_lateness(self.turned_s, self.turned_s)
        planned_s = max(self.back_s, min(self._wake_s(), asleep_s + limit_s))
        ready = self.epoll.poll(max(0.0, planned_s - time.monotonic()))
        watched_s = self._look_at_own_lateness(asleep_s, planned_s)
        for fd, mask in ready:
            if fd == self.signals:
                self._on_signals(os.read(fd, 64))
            else:
                self._on_fd(fd, mask)
        worked_s = self._look_at_own_lateness(watched_s, watched_s)
        if worked_s >= self.look_s:
            self._judge_liveness(worked_s)
        self.watches.look(worked_s)
        self._look_at_own_lateness(worked_s, worked_s)
        if self._due_s() <= time.monotonic():
            self.feed(Tick())
        self.turned_s = time.monotonic()

    def came_back(self) -> None:
        """Nobody has turned the loop for a while, because its owner had other things to do: nobody is judged for it."""
        away_s = time.monotonic() - self.turned_s
        if away_s > liveness.STALL_S:
            self.judge = liveness.stalled(self.judge, away_s, self._slots())
            self.watches.stalled(away_s)
            self.feed(Stalled(late_s=0.0, unwatched_s=away_s))
            self.turned_s = self.back_s = time.monotonic()

    # -- time --------------------------------------------------------------------------------------

    def now_s(self) -> float:
        return time.monotonic()

    def now_utc(self) -> float:
        return self.clock.market_utc()

    def pid(self) -> int:
        return os.getpid()

    def vitals(self, kid: Kid) -> tuple[float | None, float | None]:
        now_s = time.monotonic()
        fresh_until_s = self.page.read_fresh(kid.slot)
        return self.page.read(kid.slot) - now_s, fresh_until_s - now_s if fresh_until_s else None

    def _wake_s(self) -> float:
        now_s = time.monotonic()
        return min(self._due_s(), self.look_s, self.watches.next_look_s(now_s), now_s + ASLEEP_MAX_S)

    def _due_s(self) -> float:
        """The next deadline of the tree, looked for once for each tree."""
        if self._due[0] is not self.tree:
            self._due = (self.tree, next_deadline_s(self.tree))
        return self._due[1]

    def _look_at_own_lateness(self, turned_s: float, planned_s: float) -> float:
        """Whoever judges first looks at himself: he woke late, or stood still in the middle of his work (which should
        take no time). Returns when he did."""
        now_s = time.monotonic()
        if now_s - planned_s > liveness.STALL_S:
            self.judge = liveness.stalled(self.judge, now_s - turned_s, self._slots())
            self.watches.stalled(now_s - turned_s)
            self.feed(Stalled(late_s=now_s - planned_s, unwatched_s=now_s - turned_s))
        return now_s

    def _slots(self) -> list[tuple[int, float]]:
        return [(kid.slot, self.page.read(kid.slot)) for kid in self.kids.values()]

    def _judge_liveness(self, now_s: float) -> None:
        """``now_s`` was read when the judge looked at himself, and before the page: a stall between accuses nobody."""
        slots = self._slots()
        late = dict(liveness.overdue(self.judge, slots, now_s))
        for kid in [kid for kid in self.kids.values() if kid.slot in late]:
            self.feed(Hung(kid.name, kid.incarnation, kid.spec.liveness_limit_s + late[kid.slot]))
        limits_s = [kid.spec.liveness_limit_s for kid in self.kids.values()]
        self.look_s = liveness.next_look_s(
            self.judge, slots, now_s, min(limits_s, default=liveness.NOBODY_S * liveness.LOOKS_A_LIMIT)
        )

    # -- what comes in -----------------------------------------------------------------------------

    def take_signals(self) -> None:
        """SIGTERM and SIGINT come as bytes through a pipe, so that they are handled between two steps."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _noted)
        self.epoll.register(read_end, select.EPOLLIN)
        self.signals = read_end

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self.watches.orphans.due()
            elif number in (signal.SIGTERM, signal.SIGINT):
                self.log.info("told to shut down", signal=signal.Signals(number).name)
                self.feed(ShutDown("the supervisor was told to shut down"))

    def _on_fd(self, fd: int, mask: int) -> None:
        kid = self.by_fd.get(fd)
        if kid is None:
            return
        if fd == kid.pidfd:
            self._on_death(kid)
        elif mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self._read(kid)
        if mask & select.EPOLLOUT and kid.name in self.kids:
            kid.flush()
            self._arm(kid)

    def _read(self, kid: Kid) -> None:
        try:
            for message in kid.read():
                self.on_word(kid, message)
        except BadMessage as error:
            self.log.error("a child sends no messages of ours, killed", child=kid.name, error=str(error))
            self.kill(kid)
        if kid.closed and kid.sock_fd in self.by_fd:
            self.epoll.unregister(kid.sock_fd)
            del self.by_fd[kid.sock_fd]

    def _on_death(self, kid: Kid) -> None:
        """What it said before it died is read first: its declared ending and its last exception."""
        self._read(kid)
        self._unlist(kid)
        note = self.page.read_note(kid.slot)
        status, peak_mib = reap(kid.pid, kid.pidfd)
        exit = memory.understood(kid.exit(status), kid.last_words, kid.spec.memory_max_mib)
        self.page.release(kid.slot)
        self.watches.died(kid)
        self.died(kid, replace(exit, peak_mib=round(peak_mib, 1)), note)

    def _unlist(self, kid: Kid) -> None:
        """Explicitly out of epoll: a copy of the fd in a child that was just forked would keep it reporting."""
        for fd in (kid.pidfd, kid.sock_fd):
            if self.by_fd.pop(fd, None) is not None:
                self.epoll.unregister(fd)
        kid.close()
        del self.kids[kid.name]

    # -- what goes out -----------------------------------------------------------------------------

    def fork(self, action: Spawn, predecessor: Predecessor | None) -> TreeEvent:
        """Failing to fork (no processes, no memory, no home) is a failed start, not the supervisor's death."""
        if no := self.watches.place.refuses():
            return Exited(action.path, action.incarnation, Exit("abnormal", no))
        birth = Birth(
            name=action.path,
            incarnation=action.incarnation,
            parent_pid=os.getpid(),
            spec=action.spec,
            settings=self.settings,
            predecessor=predecessor,
        )
        try:
            kid = Kid.born(birth, self.page, array("i", self.by_fd), spawn)
        except OSError as error:
            return Exited(action.path, action.incarnation, Exit("abnormal", f"could not be forked: {error}"))
        self.kids[kid.name] = kid
        self.look_s = min(self.look_s, time.monotonic() + kid.spec.liveness_limit_s / liveness.LOOKS_A_LIMIT)
        self.by_fd[kid.pidfd] = self.by_fd[kid.sock_fd] = kid
        self.epoll.register(kid.pidfd, select.EPOLLIN)
        self.epoll.register(kid.sock_fd, select.EPOLLIN)
        self.watches.born(kid)
        return Spawned(kid.name, kid.incarnation, kid.pid)

    def tell(self, kid: Kid, message: Message) -> None:
        """A child that does not read what it asked for is as good as hung."""
        if not kid.send(message):
            self.log.error("a child does not read its socketpair, killed", child=kid.name)
            self.kill(kid)
        self._arm(kid)

    def kill(self, kid: Kid) -> None:
        signal.pidfd_send_signal(kid.pidfd, signal.SIGKILL)

    def _arm(self, kid: Kid) -> None:
        if kid.sock_fd in self.by_fd:
            self.epoll.modify(kid.sock_fd, select.EPOLLIN | (select.EPOLLOUT if kid.unsent else 0))


def _noted(number: int, frame: object) -> None:
    """The byte in the wake-up pipe tells; the handler only keeps the default from ending us."""
