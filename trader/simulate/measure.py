"""How long the desk's book and the broker's were apart: looked at each machine second of a simulated night.

Read are the emulator's ledger and the journals on disk; nothing of the desk is asked. Only what stays apart while
nothing hinders a repair counts against the bound; the longest of all is told.
"""

from __future__ import annotations

from decimal import Decimal

from feeds import paths
from feeds.config import Timing
from supervisor.sim.desk import SimDesk
from trader.demo.script import Stand
from trader.sessions import journal_path, manager_name
from trader.simulate.assembly import CONNECTION, Machine
from trader.simulate.faults import SLOW_MAX_S, Mishaps

LOOK_EVERY_S = 1.0
WAITING = "SELECT 1 FROM holds WHERE why IN ('ambiguous', 'unsettled', 'unexplained', 'found')"
"""What no read can decide; somebody was paged."""
SLACK_S = 5.0
"""Beyond the books' cycle and the confirming read: two reads' way to the venue, a token to be fetched, our looks."""


def bound_s(timing: Timing) -> float:
    """How long a difference may live while nothing hinders (order-safety 1): it is seen by the next snapshot, confirmed
    by one more; an instruction of unknown fate must be settled first, which takes its time and a read."""
    return timing.snapshot_every_s + timing.settle_s + 2 * timing.confirm_after_s + SLACK_S


class Divergence:
    """``max_s``: the longest of all. ``too_long``: those beyond the bound, in words."""

    def __init__(self, machine: Machine, stands: tuple[Stand, ...], mishaps: Mishaps) -> None:
        self._machine = machine
        self._mishaps = mishaps
        self._slowed = 0
        self._slow_until_s = 0.0
        self._stands = stands
        self._since_s: dict[str, float] = {}
        self._unhindered_since_s: dict[str, float] = {}
        self.max_s = 0.0
        self.too_long: dict[str, str] = {}

    def look(self, desk: SimDesk) -> None:
        now_s = self._machine.kernel.now_s
        if self._mishaps.slowed > self._slowed:
            self._slowed, self._slow_until_s = self._mishaps.slowed, now_s + SLOW_MAX_S
        for stand in self._stands:
            name = stand.name
            if self._theirs(stand) == self._ours(stand):
                self._since_s.pop(name, None)
                self._unhindered_since_s.pop(name, None)
                continue
            self.max_s = max(self.max_s, now_s - self._since_s.setdefault(name, now_s))
            if self._hindered(desk, stand):
                self._unhindered_since_s.pop(name, None)
            else:
                self._judge(name, now_s - self._unhindered_since_s.setdefault(name, now_s))

    def _judge(self, name: str, lasted_s: float) -> None:
        limit_s = bound_s(self._machine.config.timing)
        if lasted_s > limit_s:
            text = (
                f"{name}: book and broker were apart for {lasted_s:.0f} s with nothing in the way, limit {limit_s:g} s"
            )
            self.too_long[name] = f"{text} (until {self._machine.kernel.now_s:.0f} s)"

    def _theirs(self, stand: Stand) -> Decimal:
        return Decimal(self._machine.outside.state.ledger.accounts[stand.account].quantity(stand.symbol))

    def _ours(self, stand: Stand) -> Decimal:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        if disk is None:
            return Decimal(0)
        row = disk.execute("SELECT quantity FROM positions WHERE symbol = ?", (stand.symbol,)).fetchone()
        return Decimal(row[0]) if row else Decimal(0)

    def _waits_for_a_person(self, stand: Stand) -> bool:
        disk = self._machine.kernel.disks.get(journal_path(stand.name))
        return disk is not None and disk.execute(WAITING).fetchone() is not None

    def _hindered(self, desk: SimDesk, stand: Stand) -> bool:
        """Somebody whom the repair needs is not there, frozen or not ready; the venue is away, or slow to answer."""
        if desk.gone or self._machine.outside.down or self._machine.kernel.now_s < self._slow_until_s:
            return True
        if self._waits_for_a_person(stand):
            return True
        books, connection = paths.books(CONNECTION, stand.account), paths.process(CONNECTION)
        needed = [desk.kids.get(name) for name in (manager_name(stand.name), books, connection)]
        return any(kid is None or not kid.ready or kid.frozen for kid in needed)
