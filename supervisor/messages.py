"""Every message of the control plane: what processes, the supervisor and the control socket say to each other.

Market and account messages are in ``brokers/model.py``; this file has never heard of a market.

A ``Message`` travels as msgpack, tagged with its class name. A ``Request`` names the type of its reply, so that a
call is typed from end to end. All are frozen: a message is never changed after it was made.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from supervisor.errors import BadMessage

R = TypeVar("R")

MESSAGE_TYPES: dict[str, type[Message]] = {}


class Message(msgspec.Struct, frozen=True, tag=True, tag_field="message", forbid_unknown_fields=True, gc=False):
    """Base of all that is sent. Defining a subclass makes it known to the codec under its class name. ``gc``: a message
    holds plain values, in which no circle of references can be, so the garbage collector need not look at it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = MESSAGE_TYPES.get(cls.__name__)
        if known is not None and known.__module__ != cls.__module__:
            raise BadMessage(f"two messages are called {cls.__name__}: {known.__module__} and {cls.__module__}")
        MESSAGE_TYPES[cls.__name__] = cls


class Request(Message, Generic[R], frozen=True):
    """A message that wants one reply. ``REPLY`` is the reply's type; a wrong reply is a decode error at the caller."""

    REPLY: ClassVar[type[Message]]


class Done(Message, frozen=True):
    """The reply that has nothing to tell but that it happened (and, where it stores something, is stored)."""


# -- events: the one record (DESIGN 5) -------------------------------------------------------------

Level = Literal["PAGE", "NOTIFY", "DIGEST", "LOG"]


class Event(Message, frozen=True):
    """One row of the record. ``kind`` is a stable dotted word, ``subject`` the path, ``text`` is for people.

    ``incident`` joins the two events ("opened", "resolved") of one incident. ``data`` holds plain values only.
    """

    kind: str
    level: Level
    subject: str
    text: str
    machine_s: float
    market_utc: float
    incident: str = ""
    incident_state: Literal["", "opened", "resolved"] = ""
    data: dict[str, Any] = {}


# -- what a process is told by its world (handle_info) ---------------------------------------------


class Up(Message, frozen=True):
    """A watched name has become ready, in this incarnation. Also told for those that are up when the watch begins."""

    name: str
    incarnation: int


class Down(Message, frozen=True):
    """A watched name has ended. ``why`` is the one-line reason that ``tree`` shows."""

    name: str
    incarnation: int
    why: str


class Subscribed(Message, frozen=True):
    """The publisher has welcomed us: take its snapshot now. Told again after each new incarnation of the publisher.

    All that it publishes from now on comes to ``handle_info`` as it is; what lies between the welcome and the snapshot
    may come twice (the snapshot holds it already), so receivers key what they take.
    """

    publisher: str
    topic: str
    incarnation: int


class StreamData(Message, frozen=True):
    """Bytes that came in one read of a stream; their borders mean nothing. The last comes before ``StreamEnded``."""

    stream: int
    data: bytes


class StreamOpened(Message, frozen=True):
    """The venue has answered the opening request of a stream."""

    stream: int
    status: int
    headers: dict[str, str]


class StreamEnded(Message, frozen=True):
    """The stream is over: ``end`` (orderly), ``reset``, ``refused`` (status not 200; body in ``detail``), ``error``."""

    stream: int
    how: Literal["end", "reset", "refused", "error"]
    status: int
    detail: str


# -- between a child and the supervisor (socketpair) -----------------------------------------------


class ChildSpec(Message, frozen=True):
    """How to start, restart and end one child; OTP's words. Validated by ``supervisor.core.spec.validated``.

    ``start`` is ``"package.module:function"``, ``arguments`` plain values. ``shutdown_s`` None means infinity,
    0 means brutal_kill. ``children`` is for supervisors only (``type="supervisor"``).
    """

    id: str
    start: str = ""
    arguments: dict[str, Any] = {}
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    shutdown_s: float | None = 5.0
    type: Literal["worker", "supervisor"] = "worker"
    significant: bool = False
    start_limit_s: float = 15.0
    """A child that is not ready this many machine seconds after its fork has failed to start."""
    liveness_limit_s: float = 10.0
    """A child whose loop did not turn for this long is hung (DESIGN 4)."""
    groups: tuple[str, ...] = ()
    supervisor: SupervisorFlags | None = None
    children: tuple[ChildSpec, ...] = ()


class SupervisorFlags(Message, frozen=True):
    """The flags of a supervisor, as in OTP, plus ``dynamic`` (Elixir's DynamicSupervisor) and ``back_off``.

    ``intensity`` restarts in ``period_s`` machine seconds are allowed; beyond it the supervisor gives up (OTP), or,
    with ``back_off``, holds the failing child and slows its restarts down.
    """

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"] = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    dynamic: bool = False
    auto_shutdown: Literal["never", "any_significant", "all_significant"] = "never"
    back_off: BackOff | None = None


class BackOff(Message, frozen=True):
    """Waits of a held child: ``base_s * 2**n`` capped at ``cap_s``, full jitter; lifted after ``healthy_s`` alive."""

    base_s: float = 1.0
    cap_s: float = 60.0
    healthy_s: float = 120.0


class ChildInfo(Message, frozen=True):
    """One line of ``tree`` and of ``which_children``."""

    name: str
    type: Literal["worker", "supervisor"]
    state: str
    pid: int = 0
    incarnation: int = 0
    restarts: int = 0
    expected_restarts: int = 0
    started_s: float = 0.0
    why: str = ""
    restart: str = ""
    significant: bool = False
    strategy: str = ""
    next_try_s: float = 0.0
    groups: tuple[str, ...] = ()


class Tree(Message, frozen=True):
    """The supervisor's own view of its tree, parents before children. ``now_s`` is its machine time."""

    now_s: float
    pid: int
    children: tuple[ChildInfo, ...]


class Started(Message, frozen=True):
    """Reply of the starting requests. ``already`` says that it was running before; incarnation 0, that it had nothing
    to do (OTP's ``{ok, undefined}`` after ignore)."""

    name: str
    incarnation: int
    already: bool = False


class ReadTree(Request[Tree], frozen=True):
    """The tree at or below ``under`` ("" is all of it)."""

    REPLY = Tree
    under: str = ""


class StartChild(Request[Started], frozen=True):
    """OTP's start_child under the supervisor named ``under``."""

    REPLY = Started
    under: str
    spec: ChildSpec


class EnsureChild(Request[Started], frozen=True):
    """``start_child`` that is content with a running child, and waits for one that is just ending to be gone first."""

    REPLY = Started
    under: str
    spec: ChildSpec


class TerminateChild(Request[Done], frozen=True):
    """OTP's terminate_child: end it by its shutdown limit and do not restart it."""

    REPLY = Done
    name: str


class RestartChild(Request[Started], frozen=True):
    """OTP's restart_child: start a child again that has ended and whose spec is still kept."""

    REPLY = Started
    name: str


class DeleteChild(Request[Done], frozen=True):
    """OTP's delete_child: forget the spec of a child that has ended."""

    REPLY = Done
    name: str


class Watch(Request[Done], frozen=True):
    """Tell me ``Up`` and ``Down`` of each name that is ``under`` or lies below it, from now on."""

    REPLY = Done
    under: str


class Supervision(Message, frozen=True):
    """An event of the supervisor with its running number, sent to whoever follows its record."""

    number: int
    event: Event


class FollowRecord(Request[Done], frozen=True):
    """Send me the supervisor's events with a number above ``after`` (a bounded ring is kept), and all to come."""

    REPLY = Done
    after: int


class Ready(Message, frozen=True):
    """First word of a child: init is done (the start handshake)."""


class Ignore(Message, frozen=True):
    """Instead of Ready: nothing to do here; the child exits 0 and is not restarted (OTP's ignore)."""


class Ending(Message, frozen=True):
    """A child declares how its coming exit is meant: ``shutdown`` or ``expected`` (restarted, not charged)."""

    how: Literal["shutdown", "expected"]
    reason: str


class LastException(Message, frozen=True):
    """What killed a child: the exception's type, text and the innermost line of code that is known."""

    text: str
    where: str


class Stop(Message, frozen=True):
    """The supervisor tells a child to end in an orderly way."""

    reason: str


class ChildRequest(Message, frozen=True):
    """Envelope of a child's request over its socketpair."""

    number: int
    body: bytes


class SupervisorReply(Message, frozen=True):
    """Envelope of the reply: a message, or an error in words."""

    number: int
    body: bytes
    error: str = ""


class Predecessor(Message, frozen=True):
    """What the last incarnation left: its exit and the note in its liveness slot. First word to a new incarnation."""

    why: str
    note: str
    abnormal: bool


# -- between processes and the recorder ------------------------------------------------------------


class RecordEvents(Message, frozen=True):
    """Cast to the recorder: events of one sender, numbered from ``first`` on in this incarnation."""

    sender: str
    incarnation: int
    first: int
    events: tuple[Event, ...]


class Recorded(Message, frozen=True):
    """Cast back by the recorder: stored durably up to this number. For the world, no server sees it."""

    up_to: int


# -- between publishers and subscribers (wire/publications.py) -------------------------------------


class Since(Request["Missed"], frozen=True):
    """Asked of a publisher's base: what was published on ``topic`` after ``number``."""

    topic: str
    number: int


class Missed(Message, frozen=True):
    """Encoded publications from ``first`` on; ``first`` above the number asked for + 1: the ring holds no more."""

    incarnation: int
    first: int
    bodies: tuple[bytes, ...]


Since.REPLY = Missed
