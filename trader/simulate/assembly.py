"""A desk put together in the simulated world: kernel, the emulator outside, what stands on its disk, one life of it.

Testers and nights use the same pieces: ``machine`` once, then ``life`` for each start of the supervisor on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.state import Settings
from feeds.config import ConnectionConfig, Timing
from supervisor.process.store import SqliteStore
from supervisor.sim.desk import SimDesk
from supervisor.sim.disk import new_disk
from supervisor.sim.kernel import START_S, Chances, Kernel
from trader.arguments import Protection
from trader.config import DeskConfig, DeskSection, with_account_limits
from trader.desk.commands import WriteMarketHours
from trader.risk.limits import LimitsSection
from trader.sessions import Code, Session, Wanted
from trader.simulate.hours import venue_hours
from trader.simulate.outside import URL, EmulatorOutside
from trader.specs import root_spec
from trader.store import desk
from trader.store.hours import write_hours

CONNECTION = "sim"
LOGIN_FILE = "login.json"
LOGIN = b'{"client_secret": "demo-secret", "refresh_token": "demo-refresh"}'
"""The emulator's own demo login; there is nothing secret in it."""
RECORDER = "recorder"
HOURS_AROUND_S = 30 * 86_400
"""Market hours are known so long before the beginning and after the last bar: a settling desk still asks for them."""


class Machine(msgspec.Struct, frozen=True):
    """A simulated machine with a home, and the venue that it is connected to."""

    kernel: Kernel
    outside: EmulatorOutside
    config: DeskConfig

    def life(self, number: int, *, keep_log: bool = False) -> SimDesk:
        """The supervisor's life of this number (from 1 on), not booted yet. ``boot`` it, then ``kernel.run``."""
        return SimDesk(self.kernel, root_spec(self.config, writes_hours=False), number, RECORDER, keep_log)

    def store(self, path: str) -> SqliteStore:
        """A store of this machine, to be read. KeyError where nothing has made it."""
        return SqliteStore(path, None, self.kernel.disks[path])


def machine(
    market: Market,
    sessions: Iterable[tuple[Session, Code]],
    *,
    origin_utc: float,
    rate: float,
    begins_s: float = START_S,
    seed: int = 1,
    settings: Settings | None = None,
    timing: Timing | None = None,
    chances: Chances | None = None,
    limits: LimitsSection | None = None,
    quotas: Literal["venue", "off"] = "venue",
    protection: Protection = "venue",
) -> Machine:
    """``sessions`` are in its desk.db, wanted to trade. ``rate``: market seconds in a machine second, from
    ``begins_s`` (machine time) on; before that market time stands at its origin."""
    outside = EmulatorOutside(settings or Settings(), market, origin_utc, rate, begins_s)
    built = Machine(
        Kernel(seed, outside, chances), outside, desk_config(timing or Timing(), limits, quotas, protection)
    )
    built.kernel.files[LOGIN_FILE] = LOGIN
    last_utc = max((series.stamps[-1] for name in market.symbols if (series := market.series(name))), default=0)
    hours = venue_hours(int(origin_utc) - HOURS_AROUND_S, max(int(origin_utc), last_utc) + HOURS_AROUND_S)
    _write_store(built.kernel, sessions, hours, origin_utc)
    return built


def desk_config(
    timing: Timing,
    limits: LimitsSection | None = None,
    quotas: Literal["venue", "off"] = "venue",
    protection: Protection = "venue",
) -> DeskConfig:
    connection = ConnectionConfig(
        name=CONNECTION, api_url=URL, signin_url=URL, client_id="demo-client", login_file=LOGIN_FILE, quotas=quotas
    )
    config = DeskConfig(
        connections={CONNECTION: connection},
        timing=timing,
        limits=limits or LimitsSection(),
        desk=DeskSection(protection=protection),
    )
    return with_account_limits(config)


def _write_store(
    kernel: Kernel, sessions: Iterable[tuple[Session, Code]], hours: Iterable[WriteMarketHours], written_utc: float
) -> None:
    disk = kernel.disks[desk.DESK_DB] = new_disk()
    store = SqliteStore(desk.DESK_DB, "trader.store.desk:migrations", disk)
    with store.transaction():
        for session, code in sessions:
            desk.write_code(store, code)
            started = msgspec.structs.replace(
                session, code_sha256=code.sha256, connection=CONNECTION, wanted=Wanted.TRADE, start_no=1
            )
            desk.write_session(store, started)
        for each in hours:
            write_hours(store, each, written_utc)
