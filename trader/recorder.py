"""The recorder: the one writer of desk.db. Stores sessions, code and events; calls nobody (DESIGN 5)."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor.errors import Refused, StoreFailed
from supervisor.messages import Done, Down, Event, Message, Recorded, RecordEvents, Request, Supervision, Up
from supervisor.process.server import Caller, Server
from trader.messages import (
    AddSession,
    RemoveSession,
    SessionStarted,
    SetWanted,
    StartSession,
    StopSession,
    WriteMarketHours,
)
from trader.sessions import Session, Wanted, journal_path
from trader.store import desk
from trader.store.hours import write_hours

SUPERVISOR = "nightdesk"
"""Sender of the supervisor's own events."""
INCARNATIONS_A_LIFE = 1_000_000
"""Of one life of the supervisor: its events are numbered anew in each (supervisor/runtime/main.py)."""


class Recorder(Server):
    """See the module's text. Every reply means: stored durably."""

    def init(self) -> None:
        self.store = self.world.store(desk.DESK_DB, schema="trader.store.desk:migrations")
        self.life = self.world.incarnation // INCARNATIONS_A_LIFE
        self.written = 0
        self.close_incidents(SUPERVISOR, self.life)
        self.world.supervisor.watch("")
        self.world.supervisor.follow_record(desk.last_event_number(self.store, SUPERVISOR, self.life))

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        match request:
            case AddSession():
                return self.add(request)
            case StartSession():
                return self.start(request)
            case StopSession():
                return self.stop(request)
            case RemoveSession():
                return self.remove(request)
            case SetWanted():
                return self.set_wanted(request)
            case WriteMarketHours():
                with self.store.transaction():
                    write_hours(self.store, request, self.world.now_utc())
                return Done()
        return super().handle_call(request, caller)

    def handle_cast(self, message: Message) -> None:
        if not isinstance(message, RecordEvents):
            super().handle_cast(message)
            return
        with self.store.transaction():
            for number, event in enumerate(message.events, start=message.first):
                desk.write_event(self.store, message.sender, message.incarnation, number, event)
        self.world.cast(message.sender, Recorded(message.first + len(message.events) - 1))

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Supervision):
            with self.store.transaction():
                desk.write_event(self.store, SUPERVISOR, self.life, message.number, message.event)
        elif isinstance(message, Up):
            self.close_incidents(message.name, message.incarnation)
        elif not isinstance(message, Down):
            super().handle_info(message)

    def close_incidents(self, sender: str, incarnation: int) -> None:
        """What an older incarnation has opened ends with it: the new one opens it again if it still holds."""
        opened = desk.open_incidents(self.store, sender, incarnation)
        if not opened:
            return
        with self.store.transaction():
            for row in opened:
                self.written += 1
                event = Event(
                    "incident.superseded",
                    "LOG",
                    subject=row["subject"],
                    text=f"{row['kind']} of an older {sender} is over; it is told again if it still holds",
                    machine_s=self.world.now_s(),
                    market_utc=self.world.now_utc(),
                    incident=row["incident"],
                    incident_state="resolved",
                )
                desk.write_event(self.store, self.world.name, self.world.incarnation, self.written, event)

    # -- sessions ----------------------------------------------------------------------------------

    def add(self, request: AddSession) -> Done:
        sessions = desk.read_sessions(self.store)
        refuse_clash(request.session, sessions)
        added = msgspec.structs.replace(request.session, start_no=self.last_start_no(request.session.name))
        with self.store.transaction():
            desk.write_code(self.store, request.code)
            desk.write_session(self.store, added)
        return Done()

    def last_start_no(self, name: str) -> int:
        """Of a removed session of that name whose journal is still there: in it, starts up to this one are done."""
        try:
            rows = self.world.store(journal_path(name)).query("SELECT value FROM meta WHERE name = 'done_start_no'")
        except StoreFailed:
            # No journal yet, or one that its account manager will complain about.
            return 0
        return int(rows[0]["value"]) if rows else 0

    def start(self, request: StartSession) -> SessionStarted:
        session = self.session(request.name)
        started = msgspec.structs.replace(
            session,
            wanted=Wanted.TRADE,
            start_no=session.start_no + 1,
            code_sha256=request.code.sha256,
            take_over=request.take_over,
        )
        with self.store.transaction():
            desk.write_code(self.store, request.code)
            desk.write_session(self.store, started)
        return SessionStarted(started.start_no)

    def stop(self, request: StopSession) -> Done:
        session = self.session(request.name)
        if session.wanted is Wanted.TRADE:
            self.write(msgspec.structs.replace(session, wanted=Wanted.MIND))
        return Done()

    def remove(self, request: RemoveSession) -> Done:
        session = self.session(request.name)
        if session.wanted is not Wanted.OFF:
            raise Refused(
                f"session {session.name} is not off (wanted: {session.wanted}); it was not removed. "
                f"`session stop {session.name}` first, and wait until it is flat."
            )
        with self.store.transaction():
            desk.delete_session(self.store, request.name)
        return Done()

    def set_wanted(self, request: SetWanted) -> Done:
        session = self.session(request.name)
        if session.start_no != request.start_no:
            raise Refused(f"session {session.name} was started again: {request.start_no} is now {session.start_no}")
        self.write(msgspec.structs.replace(session, wanted=Wanted(request.wanted)))
        return Done()

    def session(self, name: str) -> Session:
        try:
            return desk.read_session(self.store, name)
        except KeyError:
            known = ", ".join(each.name for each in desk.read_sessions(self.store)) or "none"
            raise Refused(f"no session is called {name!r} (there are: {known}). `session add` makes one.") from None

    def write(self, session: Session) -> None:
        with self.store.transaction():
            desk.write_session(self.store, session)


def refuse_clash(new: Session, sessions: list[Session]) -> None:
    """Names are unique; one owner per account and contract."""
    for other in sessions:
        if other.name == new.name:
            raise Refused(f"a session is called {new.name!r} already; choose another name or `session rm` that one")
        both = set(new.symbols) & set(other.symbols)
        if other.account == new.account and both:
            raise Refused(
                f"session {other.name} owns {', '.join(sorted(both))} on account {new.account}; one owner per account "
                f"and symbol. {new.name!r} was not added. Use another account, or `session rm {other.name}`."
            )
