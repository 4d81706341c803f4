"""The supervising process: one thread over epoll. It feeds the pure core and does what the core says.

It holds no ZeroMQ, no SQLite, no HTTP, no threads: forks are safe, and no hostile frame is ever parsed in the process
that must not die. What it parses comes over socketpairs from its own children.
"""

from __future__ import annotations

import os
import select
import signal
import time

from supervisor.core import liveness
from supervisor.core.machine import initial, next_deadline_s, step
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
from supervisor.errors import BadMessage
from supervisor.messages import (
    ChildRequest,
    ChildSpec,
    Done,
    Down,
    Ending,
    FollowRecord,
    Ignore,
    LastException,
    Message,
    Predecessor,
    Ready,
    Request,
    Stop,
    SupervisorReply,
    Tree,
    Up,
    Watch,
)
from supervisor.process.clock import Clock
from supervisor.process.logs import open_log
from supervisor.runtime.child import Birth
from supervisor.runtime.kid import Kid
from supervisor.runtime.page import Page
from supervisor.runtime.record import RecordRing
from supervisor.runtime.settings import Settings
from supervisor.runtime.spawn import exit_text, reap, spawn
from supervisor.wire.codec import decode, encode

ASLEEP_MAX_S = 30.0
"""The loop turns at least this often, so that a clock or a page that changed is seen."""


class Runtime:
    """One supervision tree as OS processes. ``run`` returns the exit status when the tree is down."""

    def __init__(self, root: ChildSpec, settings: Settings, first_incarnation: int) -> None:
        self.settings = settings
        self.tree = initial(root, first_incarnation)
        self.page = Page()
        self.judge = liveness.Judge()
        self.epoll = select.epoll()
        self.kids: dict[str, Kid] = {}
        self.by_fd: dict[int, Kid] = {}
        self.asked: dict[int, tuple[Kid, int]] = {}
        self.left: dict[str, Predecessor] = {}
        self.next_token = 1
        self.finished: Finished | None = None
        self.clock = Clock(settings.clock_file)
        self.log = open_log(settings.log_dir / "nightdesk.log", settings, echo=settings.echo)
        self.record = RecordRing()

    def run(self) -> int:
        signals = self._take_signals()
        self.log.info("supervisor starts", pid=os.getpid(), home=self.settings.home)
        self.feed(Boot())
        while self.finished is None:
            turned_s = time.monotonic()
            planned_s = self._wake_s()
            ready = self.epoll.poll(max(0.0, planned_s - time.monotonic()))
            self._look_at_own_lateness(turned_s, planned_s)
            for fd, mask in ready:
                if fd == signals:
                    self._on_signals(os.read(signals, 64))
                else:
                    self._on_fd(fd, mask)
            self._judge_liveness()
            if next_deadline_s(self.tree) <= time.monotonic():
                self.feed(Tick())
        self.log.info("supervisor ends", why=self.finished.why)
        return 1 if self.finished.gave_up else 0

    # -- time --------------------------------------------------------------------------------------

    def _wake_s(self) -> float:
        now_s = time.monotonic()
        look_s = liveness.next_look_s(self.judge, self._slots(), now_s)
        return min(next_deadline_s(self.tree), look_s, now_s + ASLEEP_MAX_S)

    def _look_at_own_lateness(self, turned_s: float, planned_s: float) -> None:
        now_s = time.monotonic()
        if now_s - planned_s > liveness.STALL_S:
            self.judge = liveness.stalled(self.judge, now_s - turned_s, self._slots())
            self.feed(Stalled(late_s=now_s - planned_s, unwatched_s=now_s - turned_s))

    def _slots(self) -> list[tuple[int, float]]:
        return [(kid.slot, self.page.read(kid.slot)) for kid in self.kids.values()]

    def _judge_liveness(self) -> None:
        late = dict(liveness.overdue(self.judge, self._slots(), time.monotonic()))
        for kid in [kid for kid in self.kids.values() if kid.slot in late]:
            self.feed(Hung(kid.name, kid.incarnation, kid.spec.liveness_limit_s + late[kid.slot]))

    # -- what comes in -----------------------------------------------------------------------------

    def _take_signals(self) -> int:
        """SIGTERM and SIGINT come as bytes through a pipe, so that they are handled between two steps."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _noted)
        self.epoll.register(read_end, select.EPOLLIN)
        return read_end

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self.log.info("told to shut down", signal=exit_text(False, number))
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
                self._on_word(kid, message)
        except BadMessage as error:
            self.log.error("a child sends no messages of ours, killed", child=kid.name, error=str(error))
            self.perform(Kill(kid.name, kid.incarnation))
        if kid.closed and kid.sock_fd in self.by_fd:
            self.epoll.unregister(kid.sock_fd)
            del self.by_fd[kid.sock_fd]

    def _on_word(self, kid: Kid, message: Message) -> None:
        if isinstance(message, Ready):
            kid.ready = True
            self.feed(BecameReady(kid.name, kid.incarnation))
        elif isinstance(message, Ignore):
            kid.declared = Exit("ignore", "nothing to do")
        elif isinstance(message, Ending):
            kid.declared = Exit(message.how, message.reason)
        elif isinstance(message, LastException):
            kid.last_words = f"{message.text} at {message.where}"
        elif isinstance(message, ChildRequest):
            self._on_request(kid, message)
        else:
            self.log.warning("word that nobody expects", child=kid.name, message=type(message).__name__)

    def _on_request(self, kid: Kid, envelope: ChildRequest) -> None:
        try:
            request = decode(envelope.body)
        except BadMessage as error:
            self._reply(kid, SupervisorReply(envelope.number, b"", f"bad_request: {error}"))
            return
        if isinstance(request, Watch):
            kid.watches.add(request.under)
            self._reply(kid, SupervisorReply(envelope.number, encode(Done())))
            self._tell_who_is_up(kid, request.under)
        elif isinstance(request, FollowRecord):
            kid.follows = True
            self._reply(kid, SupervisorReply(envelope.number, encode(Done())))
            for row in self.record.since(request.after):
                self._send(kid, row)
        elif isinstance(request, Request):
            token, self.next_token = self.next_token, self.next_token + 1
            self.asked[token] = (kid, envelope.number)
            self.feed(Asked(token, request))

    def _tell_who_is_up(self, kid: Kid, under: str) -> None:
        for node in self.tree.nodes.values():
            if node.state == "up" and _below(node.path, under):
                self._send(kid, Up(node.path, node.incarnation))

    def _on_death(self, kid: Kid) -> None:
        """What it said before it died is read first: its declared ending and its last exception."""
        self._read(kid)
        self._unlist(kid)
        note = self.page.read_note(kid.slot)
        exit = kid.exit(reap(kid.pid, kid.pidfd))
        self.page.release(kid.slot)
        self.left[kid.name] = Predecessor(exit.why, note, abnormal=exit.how == "abnormal")
        self.feed(Exited(kid.name, kid.incarnation, exit))

    def _unlist(self, kid: Kid) -> None:
        """Explicitly out of epoll: a copy of the fd in a child that was just forked would keep it reporting."""
        for fd in (kid.pidfd, kid.sock_fd):
            if self.by_fd.pop(fd, None) is not None:
                self.epoll.unregister(fd)
        kid.close()
        del self.kids[kid.name]

    # -- what goes out -----------------------------------------------------------------------------

    def feed(self, event: TreeEvent) -> None:
        """One step of the core, and what it asks for; what comes of that at once is the next step."""
        pending: list[TreeEvent] = [event]
        while pending:
            self.tree, actions = step(self.tree, pending.pop(0), time.monotonic())
            for action in actions:
                follow_up = self.perform(action)
                if follow_up is not None:
                    pending.append(follow_up)

    def perform(self, action: Action) -> TreeEvent | None:
        match action:
            case Spawn():
                return self._spawn(action)
            case AskToStop():
                if kid := self._kid(action.path, action.incarnation):
                    self._send(kid, Stop(action.reason))
            case Kill():
                if kid := self._kid(action.path, action.incarnation):
                    signal.pidfd_send_signal(kid.pidfd, signal.SIGKILL)
            case Reply():
                self._answer(action)
            case Announce():
                self._announce(action)
            case Record():
                self._record(action)
            case Finished():
                self.finished = action
        return None

    def _kid(self, name: str, incarnation: int) -> Kid | None:
        kid = self.kids.get(name)
        return kid if kid is not None and kid.incarnation == incarnation else None

    def _spawn(self, action: Spawn) -> TreeEvent:
        """Fork a child. Failing to fork (no processes, no memory) is a failed start, not the supervisor's death."""
        birth = Birth(
            name=action.path,
            incarnation=action.incarnation,
            parent_pid=os.getpid(),
            spec=action.spec,
            settings=self.settings,
            predecessor=self.left.pop(action.path, None),
        )
        try:
            kid = Kid.born(birth, self.page, spawn)
        except OSError as error:
            return Exited(action.path, action.incarnation, Exit("abnormal", f"could not be forked: {error}"))
        self.kids[kid.name] = kid
        self.by_fd[kid.pidfd] = self.by_fd[kid.sock_fd] = kid
        self.epoll.register(kid.pidfd, select.EPOLLIN)
        self.epoll.register(kid.sock_fd, select.EPOLLIN)
        return Spawned(kid.name, kid.incarnation, kid.pid)

    def _send(self, kid: Kid, message: Message) -> None:
        """Never blocks. A child that does not read what it asked for is as good as hung."""
        if not kid.send(message):
            self.log.error("a child does not read its socketpair, killed", child=kid.name)
            self.perform(Kill(kid.name, kid.incarnation))
        self._arm(kid)

    def _arm(self, kid: Kid) -> None:
        if not kid.closed:
            self.epoll.modify(kid.sock_fd, select.EPOLLIN | (select.EPOLLOUT if kid.unsent else 0))

    def _reply(self, kid: Kid, reply: SupervisorReply) -> None:
        if kid.name in self.kids:
            self._send(kid, reply)

    def _answer(self, action: Reply) -> None:
        kid, number = self.asked.pop(action.token)
        answer = action.answer
        if isinstance(answer, Tree):
            answer = Tree(now_s=answer.now_s, pid=os.getpid(), children=answer.children)
        if self.kids.get(kid.name) is kid:
            self._reply(kid, SupervisorReply(number, encode(answer) if answer is not None else b"", action.error))

    def _announce(self, action: Announce) -> None:
        told: Message = Up(action.path, action.incarnation)
        if not action.up:
            told = Down(action.path, action.incarnation, action.why)
        for kid in list(self.kids.values()):
            if any(_below(action.path, under) for under in kid.watches):
                self._send(kid, told)

    def _record(self, action: Record) -> None:
        row = self.record.add(action, time.monotonic(), self.clock.market_utc())
        self.log.info(action.text, kind=action.kind)
        for kid in [kid for kid in self.kids.values() if kid.follows]:
            self._send(kid, row)


def _below(path: str, under: str) -> bool:
    return under in ("", path) or path.startswith(under + "/")


def _noted(number: int, frame: object) -> None:
    """The byte in the wake-up pipe tells; the handler only keeps the default from ending us."""
