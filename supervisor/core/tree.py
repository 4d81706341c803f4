"""The state of the supervision tree, and what goes in and out of ``step``. PURE; frozen values.

A node is a child as its supervisor sees it: a worker (an OS process) or a supervisor (plain state, no process).

    idle ──> starting ──> up ──> stopping ──> idle | ended
                 │         │
                 └─────────┴──> waiting (back-off) ──> starting
    ended: finished, terminated or ignored; started again only on request
"""

from __future__ import annotations

from typing import Literal

import msgspec

from supervisor.messages import Children, ChildSpec, Counts, Death, Done, How, IncidentState, Level, Started, Tree
from supervisor.spec import SupervisorFlags

State = Literal["idle", "starting", "up", "stopping", "waiting", "ended"]
NEVER_S = float("inf")


class Node(msgspec.Struct, frozen=True):
    """One child. ``parent`` is the path of its supervisor; the root's path is "" and its parent None."""

    path: str
    parent: str | None
    spec: ChildSpec
    state: State = "idle"
    incarnation: int = 0
    pid: int = 0
    since_s: float = 0.0
    """Machine time at which this state began."""
    born_s: float = 0.0
    """Machine time at which this incarnation was started."""
    deadline_s: float = NEVER_S
    """starting: start has failed; stopping: kill; waiting: next try; up and held: the healthy spell is over."""
    doom: str = ""
    """Why we are killing it, where it is not a stop that was asked for (hung, too slow to start, too big)."""
    ending: Literal["", "normal", "shutdown", "expected"] = ""
    """It has declared its end and how it is meant; it may still live for a moment."""
    stale: str = ""
    """While what it delivers is not recent enough: the id of the incident that was opened."""
    after: Literal["idle", "ended"] = "ended"
    """What a stopping node becomes when it is down."""
    why: str = ""
    """The last end, in one line."""
    deaths: tuple[Death, ...] = ()
    """How its last incarnations ended, the latest last."""
    restarts: int = 0
    expected_restarts: int = 0
    expected_at_s: float = -NEVER_S
    kept: bool = False
    """It was up once, or is part of its supervisor's spec: a failed start that was asked for does not forget it."""
    held: int = 0
    """Tries since it is held by back-off; 0 is not held."""
    incident: str = ""
    """While held: the id of the incident that was opened."""
    started_by: tuple[int, ...] = ()
    """Tokens of the requests that wait for its start; a failed start answers them and is not tried again."""
    stopped_by: tuple[int, ...] = ()
    again: tuple[ChildSpec, tuple[int, ...]] | None = None
    """An ensure_child that came while it was ending: start this when it is gone."""
    # supervisors only
    order: tuple[str, ...] = ()
    """Paths of its children in their sequence."""
    death_times_s: tuple[float, ...] = ()
    regroup_from: int | None = None
    """Children from this place in the sequence on must be down before any is started."""
    outcome: Exit | None = None
    """Set when a supervisor closes by its own decision: how its parent is to understand its end."""
    start_failed: bool = False
    """That decision means that it could not start, which is something else than an end (OTP)."""
    gave_up: bool = False
    """That decision was none of order: it could not start, or there were too many restarts."""

    @property
    def down(self) -> bool:
        return self.state in ("idle", "waiting", "ended")

    @property
    def asked(self) -> bool:
        """It goes down because it was told to, not by a decision of its own."""
        return self.state == "stopping" and self.outcome is None

    @property
    def flags(self) -> SupervisorFlags:
        return self.spec.flags


class Exit(msgspec.Struct, frozen=True):
    """How a child ended; see ``How``. ``peak_mib``: the most memory that it had resident."""

    how: How
    why: str
    peak_mib: float = 0.0


class TreeState(msgspec.Struct, frozen=True):
    """The whole: nodes by path, and the number that the next incarnation gets (never used twice in a home)."""

    nodes: dict[str, Node]
    next_incarnation: int
    due_s: dict[str, float] = {}
    """The deadlines of those nodes that have one: most have none, and each turn of the loop asks for the next."""


# -- events: what happened --------------------------------------------------------------------------------------------


class Boot(msgspec.Struct, frozen=True):
    """Start the tree."""


class Spawned(msgspec.Struct, frozen=True):
    path: str
    incarnation: int
    pid: int


class BecameReady(msgspec.Struct, frozen=True):
    path: str
    incarnation: int


class Exited(msgspec.Struct, frozen=True):
    """A worker is gone, reaped. Also told when it could not be forked."""

    path: str
    incarnation: int
    exit: Exit


class Hung(msgspec.Struct, frozen=True):
    """A worker's number on the liveness page lies in the past."""

    path: str
    incarnation: int
    silent_s: float


class TooBig(msgspec.Struct, frozen=True):
    """A worker has more memory resident than its spec allows."""

    path: str
    incarnation: int
    mib: float


class Declared(msgspec.Struct, frozen=True):
    """A worker has said that it ends now, and how that is meant."""

    path: str
    incarnation: int
    how: Literal["normal", "shutdown", "expected"]


class BecameStale(msgspec.Struct, frozen=True):
    """What a worker delivers is not recent enough any more, by its own declaration."""

    path: str
    incarnation: int


class BecameFresh(msgspec.Struct, frozen=True):
    """A worker that was stale has delivered again."""

    path: str
    incarnation: int


class Tick(msgspec.Struct, frozen=True):
    """Time has passed ``next_deadline``."""


class Stalled(msgspec.Struct, frozen=True):
    """The judge himself came late by so much: every deadline moves.

    ``unwatched_s``: all the time since his last turn in time; the stall may have begun at any moment of it.
    """

    late_s: float
    unwatched_s: float = 0.0


class Asked(msgspec.Struct, frozen=True):
    """A request with the token under which its reply goes out."""

    token: int
    request: object


class ShutDown(msgspec.Struct, frozen=True):
    """End the whole tree, in reverse sequence."""

    reason: str


TreeEvent = (
    Boot
    | Spawned
    | BecameReady
    | Declared
    | Exited
    | Hung
    | TooBig
    | BecameStale
    | BecameFresh
    | Tick
    | Stalled
    | Asked
    | ShutDown
)

# -- actions: what is to be done --------------------------------------------------------------------------------------


class Spawn(msgspec.Struct, frozen=True):
    path: str
    incarnation: int
    spec: ChildSpec


class AskToStop(msgspec.Struct, frozen=True):
    path: str
    incarnation: int
    reason: str


class Kill(msgspec.Struct, frozen=True):
    path: str
    incarnation: int


Answer = Started | Done | Tree | Children | Counts | ChildSpec


class Reply(msgspec.Struct, frozen=True):
    """``answer`` None: refused, with ``error`` in words. ``Started`` with incarnation 0: the child said ignore."""

    token: int
    answer: Answer | None
    error: str = ""


class Announce(msgspec.Struct, frozen=True):
    """Tell those who watch this name."""

    path: str
    incarnation: int
    up: bool
    why: str = ""


class Record(msgspec.Struct, frozen=True):
    """An event for the record; the edge adds the times."""

    kind: str
    level: Level
    subject: str
    text: str
    incident: str = ""
    incident_state: IncidentState = ""
    data: dict[str, object] = {}


class Finished(msgspec.Struct, frozen=True):
    """The root is down; the supervisor exits. ``gave_up``: it could not start or had too many restarts, in contrast to
    being told to end and to shutting itself down automatically, which are in order."""

    gave_up: bool
    why: str


Action = Spawn | AskToStop | Kill | Reply | Announce | Record | Finished
