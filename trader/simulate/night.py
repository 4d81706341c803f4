"""A simulated night: the whole desk on the virtual clock against the emulator's pure app, breaking all the time.

Everything follows from the plan: the same plan gives the same night, byte for byte, in every interpreter. At the end
the market stops, what was broken heals, and the books are counted by the demo's own count.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any

import msgspec

from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from supervisor.process.store import SqliteStore
from supervisor.sim.desk import SimDesk
from trader.data.bars import late_limit_s
from trader.demo.script import Stand
from trader.demo.verify import Books, Count, books_differ, count, count_bars
from trader.hours.market_hours import CLOSING_S, HoursConfig, calendar_of
from trader.minding.closing import MINUTE_S
from trader.risk.limits import LimitsSection
from trader.sessions import Code, Session, journal_path
from trader.simulate import cast, check, promises, slices, week
from trader.simulate.afterlife import changed, kept
from trader.simulate.assembly import Machine, machine
from trader.simulate.faults import ODDS, Fault, Level, Mishaps, faults, quirks, stops
from trader.simulate.habits import drawn
from trader.simulate.inject import PERSON_EVERY_S, Injector
from trader.simulate.measure import LOOK_EVERY_S, Watch
from trader.simulate.moments import Aimed, moments
from trader.simulate.outside import EmulatorOutside
from trader.simulate.tempers import DELAYS_MAX_S, rules, temper
from trader.store import desk as desk_store
from trader.store.hours import read_hours

RATE = 20.0
"""Market seconds in a machine second. The desk has its real machine periods (a tick each second, a snapshot each 30),
of which a week takes 8 virtual hours; a market minute is three seconds, so that repairs of seconds end within a bar or
two, as at 1x they do within one. Machine allowances grow with the rate: a bar is late 106 market seconds
after its end, an entry is valid for 160."""
TOKEN_LIFETIMES_S = (1200.0, 1200.0, 170.0, 110.0)
"""The venue's, or so short that tokens expire all night; the seed chooses."""
APART = 100_000
"""Between the seeds of two venues: each has its own habits."""
DAY_S = 86_400
SETTLE_LIMIT_S = 300.0
"""Machine seconds after the market has stopped: the slowest way back is a held child's longest back-off and a read."""
DRAIN_S = max(DELAYS_MAX_S.values()) / RATE
QUIET_S = 75.0
"""The books must still agree two snapshots later."""
CLOSE_LIMIT_S = 120.0
"""An orderly end of the whole tree: the longest shutdown limits, one after the other."""
RECORDS = {
    "events": "SELECT * FROM events ORDER BY number",
    "turns": "SELECT * FROM turns ORDER BY number",
    "intents": "SELECT * FROM intents ORDER BY number",
    "orders": "SELECT * FROM orders ORDER BY order_id",
}


class Plan(msgspec.Struct, frozen=True):
    """``days``: of market time from ``begin_utc`` on, weekends included. ``believed``: the venue behaves as the sources
    lean to where nobody knows, else as the seed draws (habits.py). ``connections``: each to a venue of its own, the
    sessions dealt out among them. ``symbols``: so many at most a session; the seed draws which (cast.py)."""

    days: float
    sessions: int
    level: Level
    seed: int
    begin_utc: float = week.BEGINS_UTC
    believed: bool = False
    connections: int = 1
    symbols: int = 1

    def command(self) -> str:
        """What repeats this night."""
        moment = datetime.fromtimestamp(self.begin_utc, UTC).isoformat().replace("+00:00", "Z")
        begin = "" if self.begin_utc == week.BEGINS_UTC else f" --begin {moment}"
        begin += f" --connections {self.connections}" if self.connections > 1 else ""
        begin += f" --symbols {self.symbols}" if self.symbols > 1 else ""
        words = f"--days {self.days!r} --sessions {self.sessions} --faults {self.level} --seed {self.seed}"
        return f"nightdesk simulate {words}{begin}{' --believed' if self.believed else ''}"


class Night:
    """One night. ``machine`` and ``lives`` are left for whoever looks for the cause of a failure."""

    def __init__(
        self, plan: Plan, *, keep_log: bool = False, limits: LimitsSection | None = None, **words: Any
    ) -> None:
        """``words``: what all sessions say of themselves, by the names of ``Session``."""
        self.plan = plan
        self.stands = cast.dealt(plan.seed, plan.sessions, plan.connections, plan.symbols)
        """One for each symbol of each session."""
        self.sessions = cast.sessions(self.stands)
        self.temper = temper(plan.seed, self.stands)
        self._limits = self.temper.limits if limits is None else limits
        self._words = self.temper.words | words
        self.aimed = Aimed()
        self._mishaps = Mishaps(ODDS[plan.level], self.aimed)
        self._keep_log = keep_log
        self.machine: Machine = self._machine()
        self.lives: list[SimDesk] = []
        self._injector = Injector(
            self.machine, self.stands, self._mishaps, self.aimed, lambda: self.desk, self._new_life
        )
        self.watch = Watch(self.machine, self.stands, self._mishaps, self._words["stop_passed"])
        self.problems: list[str] = []

    def _machine(self) -> Machine:
        plan = self.plan
        weeks = int((plan.begin_utc - week.BEGINS_UTC + plan.days * DAY_S) // week.WEEK_S) + 1
        first, *others = cast.CONNECTIONS[: plan.connections]
        return machine(
            week.market(weeks),
            [self._session(*theirs) for theirs in self.sessions.values()],
            origin_utc=plan.begin_utc,
            rate=RATE,
            seed=plan.seed,
            settings=self._settings(first, plan.seed),
            others={
                name: msgspec.structs.replace(
                    self._settings(name, plan.seed + APART * number),
                    client_id=f"{name}-client",
                    client_secret=f"{name}-secret",
                    refresh_token=f"{name}-refresh",
                )
                for number, name in enumerate(others, start=1)
            },
            chances=self._mishaps,
            limits=self._limits,
            protection=self.temper.protection,
        )

    def _session(self, stand: Stand, *more: Stand) -> tuple[Session, Code]:
        """As a lone stand has it where it trades one symbol."""
        also = {"symbols": tuple(each.symbol for each in (stand, *more))} if more else {}
        return cast.session(stand, self.temper.parameters.get(stand.name), **also, **self._words)

    def _settings(self, connection: str, seed: int) -> Settings:
        return Settings(
            accounts=cast.accounts(stand for stand in self.stands if stand.connection == connection),
            token_lifetime_s=TOKEN_LIFETIMES_S[seed % len(TOKEN_LIFETIMES_S)],
            switches=Switches() if self.plan.believed else drawn(seed),
            rules=Rules() if self.plan.believed else rules(seed),
        )

    @property
    def desk(self) -> SimDesk:
        return self.lives[-1]

    @property
    def venues(self) -> list[EmulatorOutside]:
        return list(self.machine.venues.values())

    def venue(self, stand: Stand) -> EmulatorOutside:
        return self.machine.venues[stand.connection]

    # -- the play --------------------------------------------------------------------------------------

    def play(self) -> Count:
        began_s = time.perf_counter()
        length_s = self.plan.days * DAY_S / RATE
        self._leave_a_position()
        self._new_life()
        seed, level = self.plan.seed, self.plan.level
        for fault in chain(*(of(seed, level, length_s) for of in (faults, stops, moments, quirks))):
            self.machine.kernel.after(fault.at_s, partial(self._inject, fault))
        self._look()
        self._person_looks()
        self._run(length_s - DRAIN_S)
        self._end_delays()
        self._run(DRAIN_S)
        self._stop_the_market()
        self._close()
        count = self._count(time.perf_counter() - began_s)
        return msgspec.structs.replace(count, problems=(*count.problems, *self._start_once_more()))

    def _leave_a_position(self) -> None:
        """Somebody has traded on the first session's account before it ever ran."""
        if self.temper.left:
            first, now_s = self.stands[0], self.machine.kernel.now_s
            with suppress(ValueError):  # its market is closed
                self.venue(first).tell(
                    "trade", now_s, account=first.account, symbol=first.symbol, quantity=self.temper.left
                )

    def _run(self, seconds: float) -> None:
        self.machine.kernel.run(self.machine.kernel.now_s + seconds)

    def _new_life(self) -> None:
        self.lives.append(self.machine.life(len(self.lives) + 1, keep_log=self._keep_log))
        self.desk.boot()

    def _inject(self, fault: Fault) -> None:
        self._note(f"FAULT {fault}")
        self._injector.inject(fault, self.desk)

    def _look(self) -> None:
        self.machine.kernel.after(LOOK_EVERY_S, self._look)
        self.watch.look(self.desk)

    def _person_looks(self) -> None:
        self.machine.kernel.after(PERSON_EVERY_S, self._person_looks)
        if not self.desk.gone:
            self._injector.release(self.desk)

    # -- the end ---------------------------------------------------------------------------------------

    def _stop_the_market(self) -> None:
        """Nothing breaks any more; what is broken heals, and then the books must agree, and stay so."""
        self._mishaps.calm_down()
        while any(venue.down for venue in self.venues) or self.desk.gone:
            self._run(LOOK_EVERY_S)
        if self._end_delays():
            self._run(DRAIN_S)
        for venue in self.venues:
            venue.tell("clock", self.machine.kernel.now_s, action="stop")
        self.machine.kernel.let_outside_go_on()
        until_s = self.machine.kernel.now_s + SETTLE_LIMIT_S
        while self.machine.kernel.now_s < until_s and not all(map(self._settled, self.stands)):
            self._run(LOOK_EVERY_S)
        self._run(QUIET_S)

    def _end_delays(self) -> bool:
        """What a venue is still about to do takes market time, of which there is none once the market stands. Whether
        there was anything to end."""
        slow = [venue for venue in self.venues if any(getattr(venue.state.rules, name) for name in DELAYS_MAX_S)]
        there = [venue for venue in slow if not venue.down]
        for venue in there:
            venue.tell("switch", self.machine.kernel.now_s, **dict.fromkeys(DELAYS_MAX_S, 0.0))
        return bool(there)

    def _settled(self, stand: Stand) -> bool:
        journal = self.machine.store(journal_path(stand.name))
        if journal.query("SELECT 1 FROM intents WHERE state IN ('written', 'unsent', 'unknown')"):
            return False
        if books_differ(stand, journal, self._orders(stand.connection)):
            return False
        return not count_bars(stand, journal, self._bars(stand)).missing

    def _close(self) -> None:
        self.desk.shut_down()
        until_s = self.machine.kernel.now_s + CLOSE_LIMIT_S
        while self.machine.kernel.now_s < until_s and self.desk.finished is None:
            self._run(LOOK_EVERY_S)
        if self.desk.finished is None:
            left = ", ".join(sorted(self.desk.kids))
            self.problems.append(f"the desk did not end within {CLOSE_LIMIT_S:g} s; still there: {left}")

    def _start_once_more(self) -> list[str]:
        """A mere restart changes nothing: state, declarations, positions, orders, holds, intents, bars."""
        journals = {name: self.machine.store(journal_path(name)) for name in self.sessions}
        before = {name: kept(journal) for name, journal in journals.items()}
        self._new_life()
        self._run(QUIET_S)
        self._close()
        return [text for name, journal in journals.items() for text in changed(name, before[name], kept(journal))]

    # -- the count -------------------------------------------------------------------------------------

    def _count(self, seconds: float) -> Count:
        journals = {stand: self._journal(stand) for stand in self.stands}
        desk_db = self.machine.store(desk_store.DESK_DB)
        broken = [*self.problems, *self.watch.problems.values()]
        for connection, venue in self.machine.venues.items():
            broken += promises.touched(venue.state.ledger, self._injector.left[connection])
        for desk in self.lives:
            broken += check.crashes(desk.crashes)
        for spot in dict.fromkeys((stand.connection, stand.account) for stand in self.stands):
            of_account = self.machine.config.limits.accounts.get(spot[1])
            theirs = [journals[each] for each in self.stands if (each.connection, each.account) == spot]
            if of_account is not None and of_account.max_orders_per_minute is not None:
                broken += check.entries_a_minute(theirs, spot[1], of_account.max_orders_per_minute)
        for stand in self.stands:
            journal, ledger = journals[stand], self.venue(stand).state.ledger
            broken += check.crossings(ledger, stand, journal, RATE)
            late_s = self.machine.config.timing.late_machine_s
            broken += check.late_entries(journal, ledger, stand, late_s, RATE)
            broken += check.held_entries(journal, stand)
            broken += check.late_booked(desk_db, journal, ledger, stand, RATE)
            broken += check.flattened(journal, ledger, stand, RATE)
            hours = read_hours(self.machine.store(desk_store.DESK_DB), calendar_of(stand.symbol, HoursConfig()))
            broken += check.entries_outside_hours(journal, stand, hours, CLOSING_S)
            flat_s = self._words.get("flat_at_close_min", 0) * MINUTE_S
            broken += check.phases(journal, stand, hours, max(CLOSING_S, flat_s))
            if flat_s:
                broken += check.kept_over_closes(journal, ledger, stand, hours, RATE)
            broken += check.sent_again(journal, stand, partial(self._price_at, stand), late_limit_s(60, late_s, RATE))
            broken += check.adoptions(journal, ledger, stand)
            broken += promises.exceeded(journal, ledger, stand)
            reads_utc = self.venue(stand).reads_utc.get(stand.account, [])
            max_age_s = self.machine.config.timing.agreed_max_age_s
            broken += promises.blind(journal, ledger, stand, reads_utc, max_age_s, RATE)
            broken += promises.reactions(journal, stand, ledger.stopped_at_utc)
            seen_s = self.watch.uncovered_s.get(stand, 0.0)
            broken += promises.gaps(journal, stand, seen_s, LOOK_EVERY_S, self.machine.kernel.now_s)
            broken += promises.filled_once(journal, ledger, stand)
            broken += promises.put_back(journal, stand, self._injector.cancelled[stand.connection], RATE)
            broken += check.money(journal, ledger, stand)
            unsettled = journal.query(
                "SELECT key, kind, state FROM intents WHERE state IN ('written','unsent','unknown')"
            )
            broken += [f"{stand.name}: {row['kind']} {row['key']} is still {row['state']}" for row in unsettled]
        orders = {connection: self._orders(connection) for connection in self.machine.venues}
        bars = {stand: self._bars(stand) for stand in self.stands}
        books = Books(self.stands, desk_db, journals, orders, bars, len(self.lives))
        return count(books, self._injector.injected, seconds, broken)

    def _price_at(self, stand: Stand, at_utc: float) -> Decimal | None:
        series = self.venue(stand).state.market.series(stand.symbol)
        last = series.last_print(at_utc) if series is not None else None
        return None if last is None else last.price

    def _journal(self, stand: Stand) -> SqliteStore:
        """What the session's tells of this symbol."""
        path = journal_path(stand.name)
        others = [each.symbol for each in self.sessions[stand.name] if each != stand]
        return slices.part(path, self.machine.kernel.disks[path], others)

    def _orders(self, connection: str) -> dict[str, Any]:
        orders: dict[str, Any] = self.machine.venues[connection].ask("orders", self.machine.kernel.now_s)
        return orders

    def _bars(self, stand: Stand) -> list[int]:
        """Whether a minute without trades has one is a habit of the venue that they come from."""
        venue = self.machine.venues[stand.data_connection or stand.connection]
        told = venue.ask("bars", self.machine.kernel.now_s, symbol=stand.symbol, after=self.plan.begin_utc)
        stamps: list[int] = told["Stamps"]
        return stamps

    def record(self) -> bytes:
        """All events, turns, intents and orders, one JSON line each: what must be the same for the same plan."""
        lines = []
        for path in sorted(self.machine.kernel.disks):
            store = self.machine.store(path)
            tables = {name: sql for name, sql in RECORDS.items() if path != desk_store.DESK_DB or name == "events"}
            for name, sql in tables.items():
                lines += [msgspec.json.encode([path, name, row]) for row in store.query(sql)]
        return b"\n".join(lines)

    def fingerprint(self) -> str:
        return hashlib.sha256(self.record()).hexdigest()

    def _note(self, text: str) -> None:
        if self.lives and self.desk.log_lines is not None:
            self.desk.log_lines.append(f"{self.machine.kernel.now_s:.4f} {text}")
