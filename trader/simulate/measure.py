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
from trader.sessions import journal_path, manager_name
from trader.simulate.assembly import CONNECTION, Machine
from trader.simulate.faults import SLOW_MAX_S, Mishaps

LOOK_EVERY_S = 1.0
DIVERGENCE_MAX_S = 40.0
"""From a change of the position at the broker to its adoption, or to our fill of it (order-safety 1.5), with the real
desk's periods, which nights have; where somebody whom it needs was away, from his return on."""
SLACK_S = 5.0
"""Beyond the books' cycle and the confirming read: two reads' way to the venue, a token to be fetched, our looks."""
WAITING = "SELECT 1 FROM holds WHERE why IN ('ambiguous', 'unsettled', 'unexplained', 'found', 'vanished')"
"""What no read can decide; somebody was paged."""
UNCOVERED = "SELECT 1 FROM uncovered"
TOLD_BARE = "SELECT 1 FROM uncovered WHERE paged = 1"

UNKNOWN = "SELECT min(number) FROM intents WHERE state IN ('written', 'unknown')"
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
    """Something that must not last, by session. ``max_s``: the longest of all, hindered or not."""

    since_s: dict[str, float] = {}
    unhindered_since_s: dict[str, float] = {}
    max_s: float = 0.0

    def look(self, name: str, there: bool, hindered: bool, now_s: float) -> float:
        """For how long it is there with nothing in the way."""
        if not there:
            self.since_s.pop(name, None)
        if not there or hindered:
            self.unhindered_since_s.pop(name, None)
        if not there:
            return 0.0
        self.max_s = max(self.max_s, now_s - self.since_s.setdefault(name, now_s))
        return 0.0 if hindered else now_s - self.unhindered_since_s.setdefault(name, now_s)


class Watch:
    """``problems``: what lasted beyond the bound, in words, the last of each session and kind."""

    def __init__(self, machine: Machine, stands: tuple[Stand, ...], mishaps: Mishaps) -> None:
        self._machine = machine
        self._stands = stands
        self._mishaps = mishaps
        self._slowed = 0
        self._slow_until_s = 0.0
        self.divergence = Lasting()
        self.bare = Lasting()
        self.unrecorded = Lasting()
        self.uncovered_s: dict[str, float] = {}
        """By session: for how long its journal has said, look by look, that something has no cover."""
        self.unknown = Lasting()
        self._oldest: dict[str, int] = {}
        self.problems: dict[tuple[str, str], str] = {}

    def look(self, desk: SimDesk) -> None:
        now_s = self._machine.kernel.now_s
        if self._mishaps.slowed > self._slowed:
            self._slowed, self._slow_until_s = self._mishaps.slowed, now_s + SLOW_MAX_S
        for stand in self._stands:
            apart = self._theirs(stand) != self._ours(stand)
            recorded = self._journal_has(stand, UNCOVERED)
            if recorded:
                self.uncovered_s[stand.name] = self.uncovered_s.get(stand.name, 0.0) + LOOK_EVERY_S
            is_bare = self._bare(stand)
            bare = is_bare and not self._journal_has(stand, TOLD_BARE)
            unknown = self._unknown(stand)
            hindered = (apart or bare or unknown > 0) and self._hindered(desk, stand)
            timing = self._machine.config.timing
            lasted_s = self.divergence.look(stand.name, apart, hindered or unknown > 0, now_s)
            self._judge(stand.name, "book and broker were apart", lasted_s, DIVERGENCE_MAX_S)
            lasted_s = self.bare.look(stand.name, bare, hindered, now_s)
            what = "a position had no stop at the broker, and nobody was told"
            self._judge(stand.name, what, lasted_s, bound_s(timing))
            lasted_s = self.unrecorded.look(stand.name, is_bare and not recorded, hindered, now_s)
            self._judge(stand.name, "a position had no stop, and no record of it", lasted_s, bound_s(timing))
            if self._oldest.get(stand.name) != unknown:
                self._oldest[stand.name] = unknown
                self.unknown.look(stand.name, False, False, now_s)
            lasted_s = self.unknown.look(stand.name, unknown > 0, hindered, now_s)
            self._judge(stand.name, "an instruction had no outcome", lasted_s, unknown_bound_s(timing))

    def _judge(self, name: str, what: str, lasted_s: float, limit_s: float) -> None:
        if lasted_s > limit_s:
            until = f"until {self._machine.kernel.now_s:.0f} s"
            told = f"{name}: {what} for {lasted_s:.0f} s with nothing in the way, limit {limit_s:g} s ({until})"
            self.problems[name, what] = told

    def _theirs(self, stand: Stand) -> Decimal:
        return Decimal(self._machine.outside.state.ledger.accounts[stand.account].quantity(stand.symbol))

    def _ours(self, stand: Stand) -> Decimal:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        if disk is None:
            return Decimal(0)
        row = disk.execute("SELECT quantity FROM positions WHERE symbol = ?", (stand.symbol,)).fetchone()
        return Decimal(row[0]) if row else Decimal(0)

    def _bare(self, stand: Stand) -> bool:
        """Of the position at the broker a part has no working order that would close it."""
        ledger, held = self._machine.outside.state.ledger, self._theirs(stand)
        if not held:
            return False
        orders = (ledger.orders[order_id] for order_id in ledger.open_ids)
        there = [one for one in orders if (one.account, one.symbol) == (stand.account, stand.symbol)]
        return abs(held) > sum(one.quantity for one in there if one.signed_quantity * held < 0 and not one.by_hand)

    def _unknown(self, stand: Stand) -> int:
        """The number of its oldest instruction without outcome; 0: there is none."""
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        return (disk.execute(UNKNOWN).fetchone()[0] or 0) if disk is not None else 0

    def _journal_has(self, stand: Stand, sql: str) -> bool:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        return disk is not None and disk.execute(sql).fetchone() is not None

    def _hindered(self, desk: SimDesk, stand: Stand) -> bool:
        """Somebody whom the repair needs is not there, frozen or not ready; the venue is away, slow to answer, or has
        given no good read since one that it refused."""
        if desk.gone or self._machine.outside.down or self._machine.kernel.now_s < self._slow_until_s:
            return True
        refused_s = self._machine.outside.unread_s.get(stand.account, float("-inf"))
        if self._machine.kernel.now_s < refused_s + self._machine.config.timing.snapshot_every_s:
            return True
        if self._journal_has(stand, WAITING):
            return True
        books, connection = paths.books(CONNECTION, stand.account), paths.process(CONNECTION)
        needed = [desk.kids.get(name) for name in (manager_name(stand.name), books, connection)]
        return any(kid is None or not kid.ready or kid.frozen for kid in needed)
