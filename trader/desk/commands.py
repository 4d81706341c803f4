"""What the recorder is asked to store of sessions, holds and market hours: by a person's commands, and by the writer of
hours. It commits before anybody acts on it; control asks it without waiting, then nudges whom it concerns.
"""

from __future__ import annotations

from typing import Literal

from supervisor.messages import Done, Message, Request
from trader.holds import PersonHold
from trader.sessions import Code, Session

# -- sessions ----------------------------------------------------------------------------------------------------------


class AddSession(Request[Done], frozen=True):
    """Store a new session and the copy of its code. Refused where the name is taken, or another session owns one of
    its symbols on that account (order-safety 3.7)."""

    REPLY = Done
    session: Session
    code: Code


class SessionStarted(Message, frozen=True):
    """The new start number under which the session trades."""

    start_no: int


class StartSession(Request[SessionStarted], frozen=True):
    """Want the session to trade, with this code: raises ``start_no``. ``restart``: end what runs of it first."""

    REPLY = SessionStarted
    name: str
    code: Code
    take_over: bool = False
    restart: bool = False


class StopSession(Request[Done], frozen=True):
    """End the session's trading; its position is minded until it is flat."""

    REPLY = Done
    name: str


class RemoveSession(Request[Done], frozen=True):
    """Forget a session that is off. Its journal stays on disk."""

    REPLY = Done
    name: str


class WriteMarketHours(Request[Done], frozen=True):
    """Store the hours of one calendar in place of those there were: open from ``opens_utc[i]`` up to ``closes_utc[i]``,
    known from ``from_utc`` up to ``until_utc``. ``source``: what they come from, with its version."""

    REPLY = Done
    calendar: str
    opens_utc: tuple[int, ...]
    closes_utc: tuple[int, ...]
    from_utc: int
    until_utc: int
    source: str


class EnsureNow(Message, frozen=True):
    """Cast to ensure_sessions: desk.db has changed. ``restart``: a session to be ended first, "" for none."""

    restart: str = ""


# -- holds -------------------------------------------------------------------------------------------------------------


class HoldSet(Message, frozen=True):
    """Stored. ``number``: the newest change; whoever has seen it has seen this one. ``sessions``: those concerned that
    run, whose account managers are to confirm it."""

    number: int
    sessions: tuple[str, ...]


class SetHold(Request[HoldSet], frozen=True):
    """A person holds a session, or all of them (``session`` ""), present and future. ``flatten``: close the positions
    of those that run, too, once."""

    REPLY = HoldSet
    session: str
    level: Literal["hold", "halt"]
    by: str
    why: str = ""
    flatten: bool = False


class HoldLifted(Message, frozen=True):
    """``lifted``: what stood; refused where nothing did. ``number`` and ``sessions`` as in HoldSet."""

    number: int
    sessions: tuple[str, ...]
    lifted: PersonHold


class LiftHold(Request[HoldLifted], frozen=True):
    """A person releases the hold of a session by name, or the halt of all (``session`` ""), with its file."""

    REPLY = HoldLifted
    session: str
    by: str


# -- how control asks the recorder, without waiting --------------------------------------------------------------------

Commands = AddSession | StartSession | StopSession | RemoveSession | SetHold | LiftHold


class Commit(Message, frozen=True):
    """Cast by control: store this and cast ``Committed`` back. Not done after ``deadline_s`` (machine time)."""

    number: int
    deadline_s: float
    request: Commands


class Committed(Message, frozen=True):
    """The answer: what a call would have been answered with, or why it was refused."""

    number: int
    reply: Done | SessionStarted | HoldSet | HoldLifted | None = None
    refused: str = ""
