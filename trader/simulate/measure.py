"""How long book and broker were apart, and how long a position stood bare without a word: seen each machine second.

Read are the emulator's ledger and the journals on disk; nothing of the desk is asked. Only what lasts while nothing
hinders a repair counts against the bound; the longest difference of all is told.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from feeds import paths
from feeds.config import Timing
from supervisor.sim.desk import SimDesk
from trader.demo.script import Stand
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose
from trader.sessions import StopPassed, journal_path, manager_name
from trader.simulate.assembly import Machine
from trader.simulate.faults import SLOW_MAX_S, Mishaps
from trader.simulate.outside import EmulatorOutside

LOOK_EVERY_S = 1.0
PASSED = "the market was beyond a declared stop that did not work, and the position was neither closed nor paged"
DIVERGENCE_MAX_S = 40.0
"""From a change of the position at the broker to its adoption, or to our fill of it (order-safety 1.5), with the real
desk's periods, which nights have; where somebody whom it needs was away, from his return on."""
SLACK_S = 5.0
"""Beyond the books' cycle and the confirming read: two reads' way to the venue, a token to be fetched, our looks."""
WAITING = (
    "SELECT 1 FROM holds WHERE why IN ('ambiguous', 'unsettled', 'unexplained', 'found', 'vanished') AND symbol = ?"
)
"""What no read can decide; somebody was paged."""
UNCOVERED = "SELECT 1 FROM uncovered WHERE symbol = ?"
TOLD_BARE = "SELECT 1 FROM uncovered WHERE paged = 1 AND symbol = ?"

UNKNOWN = "SELECT min(number) FROM intents WHERE state IN ('written', 'unknown') AND symbol = ?"
"""The oldest instruction without outcome; what differs may come of it, so it is settled first, within its own bound."""


def bound_s(timing: Timing) -> float:
    """How long a stop may be missing without a word while nothing hinders: that it is gone is seen by the next read,
    confirmed by one more; a change of an order must be settled first, which takes its time and a read."""
    return timing.snapshot_every_s + timing.settle_s + 2 * timing.confirm_after_s + SLACK_S


def unknown_bound_s(timing: Timing) -> float:
    """How long an instruction may be without outcome while nothing hinders: as long as it can be on its way, then a
    read, history, and one more read."""
    return timing.on_its_way_s + bound_s(timing)


class Lasting(msgspec.Struct):
    """Something that must not last, by session and symbol. ``max_s``: the longest of all, hindered or not."""

    since_s: dict[Stand, float] = {}
    unhindered_since_s: dict[Stand, float] = {}
    max_s: float = 0.0

    def look(self, stand: Stand, there: bool, hindered: bool, now_s: float) -> float:
        """For how long it is there with nothing in the way."""
        if not there:
            self.since_s.pop(stand, None)
        if not there or hindered:
            self.unhindered_since_s.pop(stand, None)
        if not there:
            return 0.0
        self.max_s = max(self.max_s, now_s - self.since_s.setdefault(stand, now_s))
        return 0.0 if hindered else now_s - self.unhindered_since_s.setdefault(stand, now_s)


class Watch:
    """``problems``: what lasted beyond the bound, in words, the last of each session, symbol and kind."""

    def __init__(self, machine: Machine, stands: tuple[Stand, ...], mishaps: Mishaps, stop_passed: StopPassed) -> None:
        self._stop_passed = stop_passed
        self._machine = machine
        self._stands = stands
        self._mishaps = mishaps
        self._slowed = 0
        self._slow_until_s = 0.0
        self.divergence = Lasting()
        self.bare = Lasting()
        self.unrecorded = Lasting()
        self.uncovered_s: dict[Stand, float] = {}
        """For how long the journal has said, look by look, that the symbol has no cover."""
        self.unknown = Lasting()
        self.passed = Lasting()
        self._oldest: dict[Stand, int] = {}
        self._lives: dict[Stand, list[int]] = {}
        self.problems: dict[tuple[Stand, str], str] = {}

    def look(self, desk: SimDesk) -> None:
        now_s = self._machine.kernel.now_s
        if self._mishaps.slowed > self._slowed:
            self._slowed, self._slow_until_s = self._mishaps.slowed, now_s + SLOW_MAX_S
        for stand in self._stands:
            apart = self._theirs(stand) != self._ours(stand)
            recorded = self._journal_has(stand, UNCOVERED)
            if recorded:
                self.uncovered_s[stand] = self.uncovered_s.get(stand, 0.0) + LOOK_EVERY_S
            is_bare = self._bare(stand)
            bare = is_bare and not self._journal_has(stand, TOLD_BARE)
            unknown = self._unknown(stand)
            hindered = (apart or is_bare or unknown > 0) and self._hindered(desk, stand)
            timing = self._machine.config.timing
            lasted_s = self.divergence.look(stand, apart, hindered or unknown > 0, now_s)
            self._judge(stand, "book and broker were apart", lasted_s, DIVERGENCE_MAX_S)
            lasted_s = self.bare.look(stand, bare, hindered, now_s)
            what = "a position had no stop at the broker, and nobody was told"
            self._judge(stand, what, lasted_s, bound_s(timing))
            lasted_s = self.unrecorded.look(stand, is_bare and not recorded, hindered, now_s)
            self._judge(stand, "a position had no stop, and no record of it", lasted_s, bound_s(timing))
            passed = is_bare and not apart and self._passed(stand)
            lasted_s = self.passed.look(stand, passed, hindered or unknown > 0, now_s)
            self._judge(stand, PASSED, lasted_s, bound_s(timing))
            if self._oldest.get(stand) != unknown:
                self._oldest[stand] = unknown
                self.unknown.look(stand, False, False, now_s)
            lasted_s = self.unknown.look(stand, unknown > 0, hindered or self._died(desk, stand), now_s)
            self._judge(stand, "an instruction had no outcome", lasted_s, unknown_bound_s(timing))

    def _judge(self, stand: Stand, what: str, lasted_s: float, limit_s: float) -> None:
        if lasted_s > limit_s:
            until = f"until {self._machine.kernel.now_s:.0f} s"
            told = f"{what} for {lasted_s:.0f} s with nothing in the way, limit {limit_s:g} s ({until})"
            self.problems[stand, what] = f"{stand.name}: {told}"

    def _venue(self, stand: Stand) -> EmulatorOutside:
        return self._machine.venues[stand.connection]

    def _theirs(self, stand: Stand) -> Decimal:
        return Decimal(self._venue(stand).state.ledger.accounts[stand.account].quantity(stand.symbol))

    def _ours(self, stand: Stand) -> Decimal:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        if disk is None:
            return Decimal(0)
        row = disk.execute("SELECT quantity FROM positions WHERE symbol = ?", (stand.symbol,)).fetchone()
        return Decimal(row[0]) if row else Decimal(0)

    def _bare(self, stand: Stand) -> bool:
        """Of the position at the broker a part has no working order that would close it. (One by hand is nobody's of
        ours, but for one that asks for the very same as a lost instruction of ours: nobody can tell them apart, and
        it does close the position.)"""
        ledger, held = self._venue(stand).state.ledger, self._theirs(stand)
        if not held:
            return False
        orders = (ledger.orders[order_id] for order_id in ledger.open_ids)
        there = [one for one in orders if (one.account, one.symbol) == (stand.account, stand.symbol)]
        against = [one for one in there if one.signed_quantity * held < 0 and not one.waiting]
        return abs(held) > sum(one.remaining for one in against if not one.by_hand or self._taken(stand, one.order_id))

    def _taken(self, stand: Stand, order_id: str) -> bool:
        """An order by hand that the session's journal has for its own."""
        disk = self._machine.kernel.disks[journal_path(stand.name)]
        return disk.execute("SELECT 1 FROM orders WHERE order_id = ?", (order_id,)).fetchone() is not None

    def _passed(self, stand: Stand) -> bool:
        """The market is beyond the stop that is declared for what is held, and nothing was decided: the position is not
        being closed, and the stop does not wait by the policy ``page``. (One that a person has removed is the
        person's; what the venue refuses has paged.)"""
        disk = self._machine.kernel.disks[journal_path(stand.name)]
        row = disk.execute("SELECT body FROM declarations WHERE symbol = ?", (stand.symbol,)).fetchone()
        d = msgspec.json.decode(row[0], type=Declaration) if row else None
        held = self._theirs(stand)
        if d is None or d.stop is None or d.stop_by_person == "removed" or d.quantity * held <= 0:
            return False
        if Purpose.EXIT in d.refused or (Purpose.STOP in d.refused and self._stop_passed == "page"):
            return False
        series = self._venue(stand).state.market.series(stand.symbol)
        last = series.last_print(self._venue(stand).market_utc(self._machine.kernel.now_s)) if series else None
        return last is not None and (d.stop - last.price) * held >= 0

    def _unknown(self, stand: Stand) -> int:
        """The number of its oldest instruction without outcome; 0: there is none."""
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        return (disk.execute(UNKNOWN, (stand.symbol,)).fetchone()[0] or 0) if disk is not None else 0

    def _journal_has(self, stand: Stand, sql: str) -> bool:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        return disk is not None and disk.execute(sql, (stand.symbol,)).fetchone() is not None

    def _hindered(self, desk: SimDesk, stand: Stand) -> bool:
        """Somebody whom the repair needs is not there, frozen or not ready; the venue is away, slow to answer, or has
        given no good read since one that it refused."""
        if desk.gone or self._venue(stand).down or self._machine.kernel.now_s < self._slow_until_s:
            return True
        refused_s = self._venue(stand).unread_s.get(stand.account, float("-inf"))
        if self._machine.kernel.now_s < refused_s + self._machine.config.timing.snapshot_every_s:
            return True
        if self._journal_has(stand, WAITING):
            return True
        books, connection = paths.books(stand.connection, stand.account), paths.process(stand.connection)
        needed = [desk.kids.get(name) for name in (manager_name(stand.name), books, connection)]
        return any(kid is None or not kid.ready or kid.frozen for kid in needed)

    def _died(self, desk: SimDesk, stand: Stand) -> bool:
        """Since the look before: who was back within a second was away all the same, and a new life counts its own
        reads before it gives an instruction up."""
        connection = stand.connection
        names = (manager_name(stand.name), paths.books(connection, stand.account), paths.process(connection))
        lives = [kid.incarnation if (kid := desk.kids.get(name)) else 0 for name in names]
        before, self._lives[stand] = self._lives.get(stand, lives), lives
        return before != lives
