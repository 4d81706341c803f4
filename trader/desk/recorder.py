"""The recorder: the one writer of desk.db. Stores sessions, code and events; calls nobody."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import msgspec

from supervisor.errors import Refused, StoreFailed
from supervisor.messages import Done, Down, Event, Level, Message, Recorded, RecordEvents, Request, Supervision, Up
from supervisor.process.server import Caller, Server
from trader.desk.commands import (
    AddSession,
    Commit,
    Committed,
    HoldLifted,
    HoldSet,
    LiftHold,
    RemoveSession,
    SessionStarted,
    SetHold,
    StartSession,
    StopSession,
    WriteMarketHours,
)
from trader.holds import EVERYBODY, HALT_FILE, PersonHold, digest, parse_halt_file, stricter, those_of, words
from trader.holds import Level as HoldLevel
from trader.messages import SetWanted
from trader.sessions import Session, Wanted, clash, journal_path, name_fault
from trader.store import desk, holds
from trader.store.hours import write_hours

CONTROL = "control"
SUPERVISOR = "nightdesk"
"""Sender of the supervisor's own events."""
HALT_LOOK_S = 1.0
"""The halt file is looked for this often; account managers look by themselves, so nothing waits for this."""
INCARNATIONS_A_LIFE = 1_000_000
"""Of one life of the supervisor: its events are numbered anew in each (supervisor/runtime/main.py)."""


Reply = Done | SessionStarted | HoldSet | HoldLifted


class RecorderArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``venues``: by connection, of those that are configured."""

    venues: dict[str, str] = {}


class LookForHalt(Message, frozen=True):
    """Timer: is there a halt file that is not stored yet?"""


class Recorder(Server):
    """See the module's text. Every reply means: stored durably."""

    def init(self) -> None:
        self.venues = msgspec.convert(self.arguments, RecorderArguments).venues
        self.store = self.world.store(desk.DESK_DB, schema="trader.store.desk:migrations")
        self.life = self.world.incarnation // INCARNATIONS_A_LIFE
        self.written = 0
        self.close_incidents(SUPERVISOR, self.life)
        self.world.supervisor.watch("")
        self.world.supervisor.follow_record(desk.last_event_number(self.store, SUPERVISOR, self.life))
        self.unreadable = ""
        self.world.after(0.0, LookForHalt())

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        reply = self.do(request)
        return reply if reply is not None else super().handle_call(request, caller)

    def do(self, request: Request[Any]) -> Reply | None:
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
            case SetHold():
                return self.set_hold(request)
            case LiftHold():
                return self.lift_hold(request)
        return None

    def handle_cast(self, message: Message) -> None:
        if isinstance(message, Commit):
            self.commit(message)
            return
        if not isinstance(message, RecordEvents):
            super().handle_cast(message)
            return
        with self.store.transaction():
            for number, event in enumerate(message.events, start=message.first):
                desk.write_event(self.store, message.sender, message.incarnation, number, event)
        self.world.cast(message.sender, Recorded(message.first + len(message.events) - 1))

    def commit(self, asked: Commit) -> None:
        """Control asks without waiting; what it has given up meanwhile is not done behind its back."""
        if self.world.now_s() > asked.deadline_s:
            return
        try:
            answer = Committed(asked.number, self.do(asked.request))
        except Refused as refused:
            answer = Committed(asked.number, refused=str(refused))
        self.world.cast(CONTROL, answer)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Supervision):
            with self.store.transaction():
                desk.write_event(self.store, SUPERVISOR, self.life, message.number, message.event)
        elif isinstance(message, LookForHalt):
            self.world.after(HALT_LOOK_S, message)
            self.take_halt_file()
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
                text = f"{row['kind']} of an older {sender} is over; it is told again if it still holds"
                self.event("incident.superseded", "LOG", row["subject"], text, resolves=row["incident"])

    def event(self, kind: str, level: Level, subject: str, text: str, resolves: str = "") -> None:
        """An event of our own, in the transaction of what it tells about."""
        self.written += 1
        event = Event(
            kind,
            level,
            subject=subject,
            text=text,
            machine_s=self.world.now_s(),
            market_utc=self.world.now_utc(),
            incident=resolves,
            incident_state="resolved" if resolves else "",
        )
        desk.write_event(self.store, self.world.name, self.world.incarnation, self.written, event)

    # -- sessions ----------------------------------------------------------------------------------

    def add(self, request: AddSession) -> Done:
        sessions = desk.read_sessions(self.store)
        if fault := name_fault(request.session.account, request.session.symbols):
            raise Refused(f"{fault}. {request.session.name!r} was not added.")
        refuse_clash(request.session, sessions, self.venues)
        self.refuse_other_account(request.session)
        added = msgspec.structs.replace(request.session, start_no=self.last_start_no(request.session.name))
        with self.store.transaction():
            desk.write_code(self.store, request.code)
            desk.write_session(self.store, added)
        return Done()

    def refuse_other_account(self, added: Session) -> None:
        """A journal with a past belongs to one account: what it has made is counted there. (Whoever has mistyped the
        account, and has never traded there, may name the right one.)"""
        for removed in desk.read_removed(self.store):
            was, will = (removed.connection, removed.account), (added.connection, added.account)
            if removed.name == added.name and was != will and self.has_past(added.name):
                path = journal_path(added.name)
                raise Refused(
                    f"a removed session {added.name} traded account {removed.account} by connection "
                    f"{removed.connection}, and its journal {path} is still there: a new one of that name goes on with "
                    f"it. Take another name, or that account; or move {path}* away, and its past with it."
                )

    def has_past(self, name: str) -> bool:
        """Whether its journal is there, and tells of an instruction or of a position."""
        try:
            with closing(self.world.store(journal_path(name))) as journal:
                rows = journal.query("SELECT 1 FROM intents UNION ALL SELECT 1 FROM adoptions LIMIT 1")
        except StoreFailed:
            # None, or one that its account manager will complain about.
            return False
        return bool(rows)

    def last_start_no(self, name: str) -> int:
        """Of a removed session of that name whose journal is still there: in it, starts up to this one are done."""
        try:
            with closing(self.world.store(journal_path(name))) as journal:
                rows = journal.query("SELECT value FROM meta WHERE name = 'done_start_no'")
        except StoreFailed:
            # No journal yet, or one that its account manager will complain about.
            return 0
        return int(rows[0]["value"]) if rows else 0

    def start(self, request: StartSession) -> SessionStarted:
        session = self.session(request.name)
        for other in desk.read_sessions(self.store):
            running = other.name != session.name and other.wanted is not Wanted.OFF
            if running and (trouble := clash(session, other, self.venues)):
                raise Refused(f"{trouble}. {session.name!r} was not started.")
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
            desk.remove_session(self.store, request.name)
        return Done()

    def set_wanted(self, request: SetWanted) -> Done:
        session = self.session(request.name)
        if session.start_no != request.start_no:
            raise Refused(f"session {session.name} was started again: {request.start_no} is now {session.start_no}")
        self.write(msgspec.structs.replace(session, wanted=Wanted(request.wanted)))
        return Done()

    # -- holds -------------------------------------------------------------------------------------

    def set_hold(self, request: SetHold) -> HoldSet:
        if request.session != EVERYBODY:
            self.session(request.session)
        level = HoldLevel.HALT if request.flatten else HoldLevel(request.level)
        by, why = words(request.by), words(request.why)
        file = digest(self.halt_file()) if request.session == EVERYBODY else ""
        hold = PersonHold(request.session, level, by or "somebody", why, self.world.now_utc(), file=file)
        with self.store.transaction():
            self.put(hold, request.flatten)
        return HoldSet(holds.newest_change(self.store), self.concerned(request.session))

    def put(self, hold: PersonHold, flatten: bool) -> None:
        """What stands already stays as it was set, by whom and why; a halt is never made a hold again."""
        before = those_of(hold.session, holds.read_holds(self.store).standing)
        if stricter(before, hold):
            holds.put_hold(self.store, hold)
            subject = f"sessions/{hold.session}" if hold.session else "sessions"
            self.event(f"{hold.level}.set", "NOTIFY", subject, hold.told())
        elif hold.file:
            holds.mark_file(self.store, hold.file)
        if flatten:
            for name in self.concerned(hold.session):
                holds.put_flatten(self.store, name, hold.session)

    def concerned(self, session: str) -> tuple[str, ...]:
        """Those of it that run; one that is off has neither a position nor an order."""
        running = [each.name for each in desk.read_sessions(self.store) if each.wanted is not Wanted.OFF]
        return tuple(name for name in running if session in (EVERYBODY, name))

    def lift_hold(self, request: LiftHold) -> HoldLifted:
        """The file goes first: were it left, it would be taken for a new halt."""
        if request.session != EVERYBODY:
            self.session(request.session)
        else:
            self.take_halt_file()
        lifted = those_of(request.session, holds.read_holds(self.store).standing)
        if lifted is None:
            what = f"session {request.session} is not held" if request.session else "the desk is not halted"
            raise Refused(f"{what}: nothing to release")
        if request.session == EVERYBODY:
            try:
                self.world.file(HALT_FILE).remove()
            except StoreFailed as failed:
                raise Refused(f"nothing was released: {failed}") from failed
        with self.store.transaction():
            holds.lift(self.store, request.session)
            subject = f"sessions/{request.session}" if request.session else "sessions"
            text = f"released by {words(request.by) or 'somebody'}: {lifted.told()}"
            self.event("hold.released", "NOTIFY", subject, text)
        return HoldLifted(holds.newest_change(self.store), self.concerned(request.session), lifted)

    def halt_file(self) -> bytes | None:
        """Raises ``Refused`` where it cannot be read: the account managers hold their entries then, too."""
        try:
            return self.world.file(HALT_FILE).read()
        except StoreFailed as failed:
            raise Refused(f"the halt file is there and cannot be read: {failed}") from failed

    def take_halt_file(self) -> None:
        """Written while nobody could store it, or by hand: stored now, each file once."""
        try:
            data = self.halt_file()
        except Refused as refused:
            if str(refused) != self.unreadable:
                self.unreadable = str(refused)
                self.world.log.error("halted, but not stored", why=self.unreadable)
            return
        mark = digest(data)
        if data is None or any(each.file == mark for each in holds.read_holds(self.store).standing):
            return
        told = parse_halt_file(data)
        hold = PersonHold(EVERYBODY, HoldLevel.HALT, told.by, told.why, self.world.now_utc(), file=mark)
        with self.store.transaction():
            self.put(hold, told.flatten)

    def session(self, name: str) -> Session:
        try:
            return desk.read_session(self.store, name)
        except KeyError:
            known = ", ".join(each.name for each in desk.read_sessions(self.store)) or "none"
            raise Refused(f"no session is called {name!r} (there are: {known}). `session add` makes one.") from None

    def write(self, session: Session) -> None:
        with self.store.transaction():
            desk.write_session(self.store, session)


def refuse_clash(new: Session, sessions: list[Session], venues: Mapping[str, str]) -> None:
    """Names are unique; one owner per account and contract."""
    for other in sessions:
        if other.name == new.name:
            raise Refused(f"a session is called {new.name!r} already; choose another name or `session rm` that one")
        if trouble := clash(new, other, venues):
            raise Refused(f"{trouble}. {new.name!r} was not added. Or `session rm {other.name}`.")
