"""What follows from the core's decisions, in either world: who is told what, who waits for which answer, what is kept
for the record and for a successor. How a child is forked, told and killed is the subclass's: OS processes
(``loop.py``) or simulated ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from supervisor.core.machine import initial, step
from supervisor.core.tree import (
    Action,
    Announce,
    Answer,
    Asked,
    AskToStop,
    BecameReady,
    Declared,
    Exit,
    Exited,
    Finished,
    Kill,
    Record,
    Reply,
    Spawn,
    TreeEvent,
)
from supervisor.errors import BadMessage
from supervisor.messages import (
    ChildInfo,
    ChildRequest,
    ChildSpec,
    Done,
    Down,
    Ending,
    FollowRecord,
    Ignore,
    JoinGroup,
    LastException,
    LeaveGroup,
    Members,
    Message,
    Predecessor,
    ReadGroup,
    Ready,
    Request,
    Stop,
    SupervisorReply,
    Tree,
    Up,
    Watch,
)
from supervisor.process.world import Log
from supervisor.runtime.record import RecordRing
from supervisor.spec import GROUPS_MAX, is_name
from supervisor.wire.codec import MESSAGE_BYTES_MAX, decode, encode, refusal_of

ANSWER_BYTES_MAX = MESSAGE_BYTES_MAX - 1024
"""What fits into one frame together with its envelope: the tree of 2,000 children with one death each is half of it."""


class Kin:
    """A living child, as far as both worlds know it. ``declared``: how it said that its coming end is meant."""

    def __init__(self, name: str, incarnation: int, spec: ChildSpec) -> None:
        self.name = name
        self.incarnation = incarnation
        self.spec = spec
        self.ready = False
        self.declared: Exit | None = None
        self.last_words = ""
        self.watches: set[str] = set()
        self.groups: set[str] = set(spec.groups)
        self.follows = False

    def exit(self, status_text: str) -> Exit:
        """How its end is to be understood, from its exit status ("" is 0) and from what it declared before."""
        if status_text:
            return Exit("abnormal", f"{status_text}: {self.last_words}" if self.last_words else status_text)
        if self.declared is not None:
            return self.declared
        if not self.ready:
            return Exit("abnormal", "exit status 0 before it was ready")
        return Exit("normal", "exit status 0")


K = TypeVar("K", bound=Kin)
Answered = Callable[[Answer | None, str], None]
"""Told the answer, or None and why not."""


class Performer(ABC, Generic[K]):
    """One tree and its living children by name."""

    log: Log

    def __init__(self, root: ChildSpec, first_incarnation: int) -> None:
        self.tree = initial(root, first_incarnation)
        self.kids: dict[str, K] = {}
        self.record = RecordRing()
        self.finished: Finished | None = None
        self._asked: dict[int, Answered] = {}
        self._listeners: list[K] = []
        self._left: dict[str, Predecessor] = {}
        self._next_token = 1

    @abstractmethod
    def now_s(self) -> float:
        """Machine time."""

    @abstractmethod
    def now_utc(self) -> float:
        """Market time, for the record."""

    @abstractmethod
    def pid(self) -> int:
        """The supervisor's own, for the tree's view."""

    @abstractmethod
    def fork(self, action: Spawn, predecessor: Predecessor | None) -> TreeEvent:
        """Start a child: ``Spawned``, or ``Exited`` where that failed."""

    @abstractmethod
    def tell(self, kid: K, message: Message) -> None:
        """Send to a child, without ever waiting for it."""

    @abstractmethod
    def kill(self, kid: K) -> None:
        """At once and for certain; its death is told later, by ``died``."""

    @abstractmethod
    def vitals(self, kid: K) -> tuple[float | None, float | None]:
        """Machine seconds until it counts as hung, and until what it delivers is stale; None where it says nothing."""

    # -- decisions and what they ask for ---------------------------------------------------------------

    def feed(self, event: TreeEvent) -> None:
        """One step of the core, and what it asks for; what comes of that at once is the next step."""
        pending: list[TreeEvent] = [event]
        while pending:
            self.tree, actions = step(self.tree, pending.pop(0), self.now_s())
            # A start first: who waits for it waits, while what is told and logged beside it can come a moment later.
            actions.sort(key=lambda action: not isinstance(action, Spawn))
            pending += [follow_up for action in actions if (follow_up := self.perform(action)) is not None]

    def perform(self, action: Action) -> TreeEvent | None:
        match action:
            case Spawn():
                return self.fork(action, self._left.pop(action.path, None))
            case AskToStop():
                if kid := self.kid(action.path, action.incarnation):
                    self.tell(kid, Stop(action.reason))
            case Kill():
                if kid := self.kid(action.path, action.incarnation):
                    self.kill(kid)
            case Reply():
                self._answer(action)
            case Announce():
                self._announce(action)
            case Record():
                self._record(action)
            case Finished():
                self.finished = action
        return None

    def kid(self, name: str, incarnation: int) -> K | None:
        kid = self.kids.get(name)
        return kid if kid is not None and kid.incarnation == incarnation else None

    def died(self, kid: K, exit: Exit, note: str) -> None:
        """A child is gone and out of ``kids``. ``note``: what it was doing, for its successor."""
        self._left[kid.name] = Predecessor(exit.why, note, abnormal=exit.how == "abnormal")
        self.feed(Exited(kid.name, kid.incarnation, exit))

    # -- what children say -----------------------------------------------------------------------------

    def on_word(self, kid: K, message: Message) -> None:
        match message:
            case Ready():
                kid.ready = True
                self.feed(BecameReady(kid.name, kid.incarnation))
            case Ignore():
                kid.declared = Exit("ignore", "nothing to do")
            case Ending():
                kid.declared = Exit(message.how, "exit status 0" if message.how == "normal" else message.reason)
                self.feed(Declared(kid.name, kid.incarnation, message.how))
            case LastException():
                kid.last_words = f"{message.text} at {message.where}" if message.where else message.text
            case ChildRequest():
                self._on_request(kid, message)
            case _:
                self.log.warning("word that nobody expects", child=kid.name, message=type(message).__name__)

    def _on_request(self, kid: K, envelope: ChildRequest) -> None:
        try:
            request = decode(envelope.body)
        except BadMessage as error:
            self.tell(kid, SupervisorReply(envelope.number, b"", refusal_of(error)))
            return
        if isinstance(request, Watch):
            kid.watches.add(request.under)
            self._listen(kid)
            self.tell(kid, SupervisorReply(envelope.number, encode(Done())))
            self._tell_who_is_up(kid, request.under)
        elif isinstance(request, FollowRecord):
            kid.follows = True
            self._listen(kid)
            self.tell(kid, SupervisorReply(envelope.number, encode(Done())))
            for row in self.record.since(request.after):
                self.tell(kid, row)
        elif isinstance(request, JoinGroup | LeaveGroup):
            self._on_group(kid, envelope.number, request)
        elif isinstance(request, ReadGroup):
            self.tell(kid, SupervisorReply(envelope.number, encode(self.members(request.group))))
        elif isinstance(request, Request):
            self.ask(request, lambda answer, error: self._reply(kid, envelope.number, answer, error))
        else:
            what = type(request).__name__
            self.tell(kid, SupervisorReply(envelope.number, b"", f"bad_request: {what} is no request"))

    def ask(self, request: Request[Any], answered: Answered) -> None:
        """Put a request to the core; ``answered`` is told what came of it, now or later."""
        token, self._next_token = self._next_token, self._next_token + 1
        self._asked[token] = answered
        self.feed(Asked(token, request))

    def _on_group(self, kid: K, number: int, request: JoinGroup | LeaveGroup) -> None:
        """Who dies has left all groups: they are kept with the incarnation, and nowhere else."""
        joins = isinstance(request, JoinGroup)
        if not is_name(request.group):
            self.tell(kid, SupervisorReply(number, b"", f"bad_request: {request.group!r} cannot be a group's name"))
        elif joins and len(kid.groups | {request.group}) > GROUPS_MAX:
            text = f"bad_request: {kid.name} is in {len(kid.groups)} groups, at most {GROUPS_MAX}"
            self.tell(kid, SupervisorReply(number, b"", text))
        else:
            (kid.groups.add if joins else kid.groups.discard)(request.group)
            self.tell(kid, SupervisorReply(number, encode(Done())))

    def members(self, group: str) -> Members:
        """Only those that are ready: who is asked for something must be there."""
        return Members(tuple(sorted(kid.name for kid in self.kids.values() if kid.ready and group in kid.groups)))

    def _tell_who_is_up(self, kid: K, under: str) -> None:
        for node in self.tree.nodes.values():
            if node.state == "up" and below(node.path, under):
                self.tell(kid, Up(node.path, node.incarnation))

    # -- what children are told --------------------------------------------------------------------------

    def _answer(self, action: Reply) -> None:
        self._asked.pop(action.token)(self.completed(action.answer), action.error)

    def _reply(self, kid: K, number: int, answer: Answer | None, error: str) -> None:
        if self.kids.get(kid.name) is not kid:
            return
        body = encode(answer) if answer is not None else b""
        if len(body) > ANSWER_BYTES_MAX:
            body, error = b"", f"too_large: the answer has {len(body)} bytes, limit {ANSWER_BYTES_MAX}; ask for less"
        self.tell(kid, SupervisorReply(number, body, error))

    def completed(self, answer: Answer | None) -> Answer | None:
        """With what only the edge knows: the supervisor's pid, the liveness page, the groups."""
        if not isinstance(answer, Tree):
            return answer
        rows = tuple(self._with_vitals(row) for row in answer.children)
        return Tree(now_s=answer.now_s, pid=self.pid(), children=rows)

    def _with_vitals(self, row: ChildInfo) -> ChildInfo:
        kid = self.kids.get(row.name)
        if kid is None:
            return row
        alive_for_s, fresh_for_s = self.vitals(kid)
        groups = tuple(sorted(kid.groups))
        return replace(row, alive_for_s=alive_for_s, fresh_for_s=fresh_for_s, groups=groups)

    def _announce(self, action: Announce) -> None:
        told: Message = Up(action.path, action.incarnation)
        if not action.up:
            told = Down(action.path, action.incarnation, action.why)
        for kid in self._those_who("watches"):
            if any(below(action.path, under) for under in kid.watches):
                self.tell(kid, told)

    def _record(self, action: Record) -> None:
        row = self.record.add(action, self.now_s(), self.now_utc())
        say = self.log.warning if action.level in ("PAGE", "NOTIFY") else self.log.info
        if action.level == "LOG" and action.kind in ("child.died", "child.start_failed"):
            say = self.log.debug  # the same again, all night: the record has each
        say(action.text, kind=action.kind)
        for kid in self._those_who("follows"):
            self.tell(kid, row)

    def _listen(self, kid: K) -> None:
        if kid not in self._listeners:
            self._listeners.append(kid)

    def _those_who(self, ask: str) -> list[K]:
        """The few who listen: with a thousand children it is not asked of each of them at each death."""
        self._listeners[:] = [kid for kid in self._listeners if self.kids.get(kid.name) is kid]
        return [kid for kid in self._listeners if getattr(kid, ask)]


def below(path: str, under: str) -> bool:
    return under in ("", path) or path.startswith(under + "/")
