"""Every message of the control plane: what processes, the supervisor and the control socket say to each other.

Market and account messages are in ``brokers/model.py``; this file has never heard of a market.

What a message and a request are is in ``message_base.py``, child specs are in ``spec.py``.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from supervisor.message_base import Message as Message
from supervisor.message_base import Request as Request
from supervisor.spec import BackOff as BackOff
from supervisor.spec import ChildSpec as ChildSpec
from supervisor.spec import SupervisorFlags as SupervisorFlags


class Done(Message, frozen=True):
    """The reply that has nothing to tell but that it happened (and, where it stores something, is stored)."""


# -- events: the one record -------------------------------------------------------------------------

Level = Literal["PAGE", "NOTIFY", "DIGEST", "LOG"]
IncidentState = Literal["", "opened", "resolved"]


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
    incident_state: IncidentState = ""
    data: dict[str, Any] = field(default_factory=dict)


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


class Answered(Message, frozen=True):
    """What came of ``world.supervisor.ask_later``: the reply, or None and the reason of a refusal in ``error``."""

    number: int
    reply: Any
    error: str = ""


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


How = Literal["normal", "shutdown", "expected", "ignore", "abnormal"]
"""How a child ended. Exit status 0 that nobody asked for is normal; told to stop, or declared an orderly stop, is
shutdown; ``expected`` is declared routine; ``ignore`` had nothing to do; all else is abnormal."""


class Death(Message, frozen=True):
    """How one incarnation ended. ``alive_s``: from its start to its end; ``peak_mib``: the most memory it had resident.

    ``budget_left``: restarts that its supervisor would still take as bad luck, this one counted.
    """

    incarnation: int
    how: How
    why: str
    at_s: float
    alive_s: float
    peak_mib: float = 0.0
    budget_left: int = 0


class ChildInfo(Message, frozen=True):
    """One line of ``tree``. The four facts: *started* (``pid``), *ready* (``state``), *alive*, *fresh*.

    ``alive_for_s``: machine seconds until its silence is a hang; ``fresh_for_s``: until what it delivers is stale
    (below 0: it is). None where there is no such fact: a supervisor has none, a child may never have declared it.
    """

    name: str
    type: Literal["worker", "supervisor"]
    state: str
    pid: int = 0
    incarnation: int = 0
    restarts: int = 0
    expected_restarts: int = 0
    since_s: float = 0.0
    """Machine time at which this state began."""
    why: str = ""
    restart: str = ""
    significant: bool = False
    strategy: str = ""
    next_try_s: float = 0.0
    budget_left: int = 0
    """Of a supervisor: restarts that it would still take as bad luck just now."""
    alive_for_s: float | None = None
    fresh_for_s: float | None = None
    groups: tuple[str, ...] = ()
    deaths: tuple[Death, ...] = ()
    """The last ends, the latest last; as many as were asked for."""


class Tree(Message, frozen=True):
    """The supervisor's own view of its tree, parents before children. ``now_s`` is its machine time."""

    now_s: float
    pid: int
    children: tuple[ChildInfo, ...]


class ChildRow(Message, frozen=True):
    """One row of ``which_children``: OTP's ``{Id, Child, Type, Modules}``.

    ``status`` is *running* (its start handshake is done), *restarting* (on its way: dead and brought back, or not ready
    yet), or *undefined* (ended, spec kept; or waiting for an elder of its group that is on its way).
    ``pid`` is 0 for a supervisor (no process of its own) and where nothing runs. ``start`` stands for the modules.
    """

    id: str
    name: str
    status: Literal["running", "restarting", "undefined"]
    pid: int
    incarnation: int
    type: Literal["worker", "supervisor"]
    start: str


class Children(Message, frozen=True):
    """In their sequence, the eldest first (OTP's list is the other way round)."""

    children: tuple[ChildRow, ...]


class Counts(Message, frozen=True):
    """OTP's count_children: ``specs`` is all, ``active`` those that run; the others count specs, running or not."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Started(Message, frozen=True):
    """Reply of the starting requests. ``already`` says that it was running before; incarnation 0, that it had nothing
    to do (OTP's ``{ok, undefined}`` after ignore)."""

    name: str
    incarnation: int
    pid: int = 0
    already: bool = False


class ReadTree(Request[Tree], frozen=True):
    """The tree at or below ``under`` ("" is all of it), with at most ``deaths`` ends of each child."""

    REPLY = Tree
    under: str = ""
    deaths: int = 1


class WhichChildren(Request[Children], frozen=True):
    """OTP's which_children of the supervisor named ``under``."""

    REPLY = Children
    under: str = ""


class CountChildren(Request[Counts], frozen=True):
    """OTP's count_children of the supervisor named ``under``."""

    REPLY = Counts
    under: str = ""


class GetChildspec(Request[ChildSpec], frozen=True):
    """OTP's get_childspec."""

    REPLY = ChildSpec
    name: str


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


class Members(Message, frozen=True):
    """Names of a group's members that are ready, sorted."""

    names: tuple[str, ...]


class ReadGroup(Request[Members], frozen=True):
    """Who is in this group now. The dead have left it."""

    REPLY = Members
    group: str


class JoinGroup(Request[Done], frozen=True):
    """I am in this group from now on, until I leave it or end."""

    REPLY = Done
    group: str


class LeaveGroup(Request[Done], frozen=True):
    """I am not in this group any more. Fine where I was not."""

    REPLY = Done
    group: str


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
    """A child declares its coming exit, which nothing takes back: ``shutdown``, ``expected`` (restarted, not charged),
    or ``normal``, which only says beforehand what exit status 0 will mean."""

    how: Literal["normal", "shutdown", "expected"]
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
