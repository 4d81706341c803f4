"""ensure_sessions: keeps running what desk.db wants. Last up, first down; the only one that changes ``sessions/``.

Level-triggered: when ready, when nudged, when something under ``sessions`` goes down, and every few seconds it
compares what is wanted with what runs (``trader/desk/plan.py``) and does the difference.
"""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import msgspec

from supervisor.errors import CallFailed, Refused, StoreFailed
from supervisor.messages import Down, Message, Tree, Up
from supervisor.process.server import Server
from supervisor.process.world import Store
from trader.config import DeskConfig
from trader.desk.commands import EnsureNow
from trader.desk.plan import EndOf, RestartTrader, StartOf, Step, Terminate, in_its_way, plan_sessions
from trader.desk.unattended import Attention, look_after, slowed_down
from trader.hours.market_hours import RENEWED_AFTER_S, renewal_due
from trader.messages import EndTrading
from trader.risk.limits import live_refusal
from trader.sessions import Session, journal_path, manager_name, trader_name
from trader.specs import MARKET_HOURS, session_spec
from trader.store import desk
from trader.store.books import read_exposure
from trader.store.hours import written

SESSIONS = "sessions"
RENEWAL_EVERY_S = 600.0
"""Machine seconds between two looks whether the market hours are a day old; a calendar that cannot be had is tried
again once a day, as it is told each time."""
END_TRADING_LIMIT_S = 15.0
"""The account manager commits, tells the trader and answers; it may be in an instruction to the venue just then."""


class Look(Message, frozen=True):
    """Timer: look again."""


class EnsureSessions(Server):
    """See the module's text."""

    def init(self) -> None:
        self.config = msgspec.convert(self.arguments["config"], DeskConfig)
        self.to_restart: set[str] = set()
        self.told: dict[str, str] = {}
        self.store: Store | None = None
        self.sessions: list[Session] = []
        self.tree = Tree(0.0, 0, ())
        self.next_renewal_s = 0.0
        self.attention: dict[str, Attention] = {}
        self.world.supervisor.watch(SESSIONS)
        self.world.after(0.0, Look())

    def handle_cast(self, message: Message) -> None:
        if not isinstance(message, EnsureNow):
            super().handle_cast(message)
            return
        if message.restart:
            self.to_restart.add(message.restart)
        self.ensure()

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Look):
            self.world.after(self.config.timing.ensure_every_s, message)
            self.ensure()
        elif isinstance(message, Down):
            self.ensure()
        elif not isinstance(message, Up):
            super().handle_info(message)

    def ensure(self) -> None:
        for step in self.steps():
            try:
                self.do(step)
            except CallFailed as failed:
                self.complain(step.session.name, str(failed))
            else:
                self.told.pop(step.session.name, None)
        self.look_after_positions()
        self.renew_hours()

    def steps(self) -> list[Step]:
        """A store that cannot be read changes nothing: what runs goes on running."""
        try:
            if self.store is None:
                self.store = self.world.store(desk.DESK_DB)
            self.sessions = desk.read_sessions(self.store)
        except StoreFailed as failed:
            self.complain(desk.DESK_DB, str(failed))
            return []
        self.tree = self.world.supervisor.tree(SESSIONS)
        return plan_sessions(self.sessions, self.tree, frozenset(self.to_restart))

    def look_after_positions(self) -> None:
        """Of sessions that are slowed down: the one that would tell of a position may be the one that is down."""
        for session in self.sessions:
            name = session.name
            slowed = slowed_down(self.tree.children, name)
            if not slowed and name not in self.attention:
                continue
            exposure = self.exposure(name) if slowed else {}
            told, kept = look_after(name, slowed, exposure, self.attention.get(name), self.world.now_s())
            if kept is None:
                self.attention.pop(name, None)
            else:
                self.attention[name] = kept
            if told is not None:
                incident = f"unattended:{name}"
                opened = kept is not None
                self.world.event(
                    told.kind, told.level, told.text, incident=incident, opened=opened, resolved=not opened
                )

    def exposure(self, name: str) -> dict[str, tuple[Decimal, Decimal]] | None:
        """None: not to be read, so nobody knows."""
        try:
            with closing(self.world.store(journal_path(name))) as journal:
                return read_exposure(journal, journal_path(name))
        except StoreFailed as failed:
            self.world.log.warning("what it holds is not known", session=name, why=str(failed))
            return None

    def renew_hours(self) -> None:
        """Their writer has ended long ago; where it still writes, or is slowed down, it is left to its supervisor."""
        now_s = self.world.now_s()
        if self.store is None or now_s < self.next_renewal_s:
            return
        self.next_renewal_s = now_s + RENEWAL_EVERY_S
        try:
            if not renewal_due(written(self.store), self.config.market_hours, self.world.now_utc()):
                return
            if any(child.state == "ended" for child in self.world.supervisor.tree(MARKET_HOURS).children):
                self.next_renewal_s = now_s + RENEWED_AFTER_S / self.world.market_rate()
                self.world.supervisor.restart_child(MARKET_HOURS)
        except (CallFailed, StoreFailed) as failed:
            self.complain(MARKET_HOURS, str(failed))
        else:
            self.told.pop(MARKET_HOURS, None)

    def do(self, step: Step) -> None:
        name = step.session.name
        supervisor = self.world.supervisor
        match step:
            case StartOf() if missing := self.connections_missing(step.session):
                raise Refused(f"its connection {missing[0]!r} is not in nightdesk.toml any more")
            case StartOf() if no := self._may_not_run(step.session):
                raise Refused(f"{no}. Mend it, then restart the desk")
            case StartOf():
                supervisor.ensure_child(SESSIONS, session_spec(step.session, self.config))
                self.world.event("session.started", "LOG", f"session {name} runs, wanted: {step.session.wanted}")
            case Terminate():
                supervisor.terminate_child(f"{SESSIONS}/{name}")
                self.to_restart.discard(name)
            case RestartTrader():
                supervisor.restart_child(trader_name(name))
            case EndOf():
                self.end_trading(step.session)

    def _may_not_run(self, session: Session) -> str | None:
        environment = self.config.connections[session.connection].environment
        venues = {name: each.venue for name, each in self.config.connections.items()}
        refusal = live_refusal(session, environment, self.config.limits)
        return refusal or in_its_way(session, self.sessions, self.tree, venues)

    def connections_missing(self, session: Session) -> list[str]:
        return [name for name in (session.connection, session.feeds_from) if name not in self.config.connections]

    def end_trading(self, session: Session) -> None:
        request = EndTrading(start_no=session.start_no, reason="session stop")
        self.world.call(manager_name(session.name), request, timeout_s=END_TRADING_LIMIT_S)

    def complain(self, about: str, text: str) -> None:
        """Once for each cause: the same trouble every five seconds is one event."""
        if self.told.get(about) != text:
            self.told[about] = text
            self.world.event("session.not_ensured", "NOTIFY", f"{about}: {text}; tried again by itself")
