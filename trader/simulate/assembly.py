"""A desk put together in the simulated world: kernel, the emulator outside, what stands on its disk, one life of it.

Testers and nights use the same pieces: ``machine`` once, then ``life`` for each start of the supervisor on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.state import Settings
from feeds.config import ConnectionConfig, Timing
from supervisor.process.store import SqliteStore
from supervisor.sim.desk import SimDesk
from supervisor.sim.disk import new_disk
from supervisor.sim.kernel import START_S, Chances, Kernel, Outside
from trader.arguments import Protection
from trader.config import DeskConfig, DeskSection, with_account_limits, with_sharers
from trader.desk.commands import WriteMarketHours
from trader.risk.limits import LimitsSection
from trader.sessions import Code, Session, Wanted
from trader.simulate.hours import venue_hours
from trader.simulate.outside import EmulatorOutside
from trader.simulate.venues import Venues, url_of
from trader.specs import root_spec
from trader.store import desk
from trader.store.hours import write_hours

CONNECTION = "sim"
"""The first, of whoever names none."""
LOGIN_FILE = "login.json"
RECORDER = "recorder"
HOURS_AROUND_S = 30 * 86_400
"""Market hours are known so long before the beginning and after the last bar: a settling desk still asks for them."""


class Machine(msgspec.Struct, frozen=True):
    """A simulated machine with a home, and the venues that it is connected to, by connection."""

    kernel: Kernel
    venues: Mapping[str, EmulatorOutside]
    config: DeskConfig

    @property
    def outside(self) -> EmulatorOutside:
        """The first venue: the only one of most."""
        return self.venues[CONNECTION]

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
    others: Mapping[str, Settings] | None = None,
    timing: Timing | None = None,
    chances: Chances | None = None,
    limits: LimitsSection | None = None,
    quotas: Literal["venue", "off"] = "venue",
    protection: Protection = "venue",
) -> Machine:
    """``sessions`` are in its desk.db, wanted to trade. ``rate``: market seconds in a machine second, from
    ``begins_s`` (machine time) on; before that market time stands at its origin. ``others``: further venues, by the
    connection that each has to itself."""
    all_settings = {CONNECTION: settings or Settings(), **(others or {})}
    venues = {name: EmulatorOutside(each, market, origin_utc, rate, begins_s) for name, each in all_settings.items()}
    outside: Outside = venues[CONNECTION] if len(venues) == 1 else Venues(venues)
    config = desk_config(timing or Timing(), limits, quotas, protection, all_settings)
    built = Machine(Kernel(seed, outside, chances), venues, config)
    for name, each in all_settings.items():
        built.kernel.files[_login_file(name)] = _login(each)
    last_utc = max((series.stamps[-1] for name in market.symbols if (series := market.series(name))), default=0)
    hours = venue_hours(int(origin_utc) - HOURS_AROUND_S, max(int(origin_utc), last_utc) + HOURS_AROUND_S)
    _write_store(built.kernel, sessions, hours, origin_utc)
    return built


def desk_config(
    timing: Timing,
    limits: LimitsSection | None = None,
    quotas: Literal["venue", "off"] = "venue",
    protection: Protection = "venue",
    venues: Mapping[str, Settings] | None = None,
) -> DeskConfig:
    """``venues``: by connection, in the sequence of their addresses."""
    connections = {
        name: ConnectionConfig(
            name=name,
            api_url=url_of(number),
            signin_url=url_of(number),
            client_id=each.client_id,
            login_file=_login_file(name),
            quotas=quotas,
        )
        for number, (name, each) in enumerate((venues or {CONNECTION: Settings()}).items())
    }
    config = DeskConfig(
        connections=with_sharers(connections),
        timing=timing,
        limits=limits or LimitsSection(),
        desk=DeskSection(protection=protection),
    )
    return with_account_limits(config)


def _login_file(connection: str) -> str:
    return LOGIN_FILE if connection == CONNECTION else f"login-{connection}.json"


def _login(venue: Settings) -> bytes:
    """An emulator's own demo login; there is nothing secret in it."""
    return msgspec.json.encode({"client_secret": venue.client_secret, "refresh_token": venue.refresh_token})


def _write_store(
    kernel: Kernel, sessions: Iterable[tuple[Session, Code]], hours: Iterable[WriteMarketHours], written_utc: float
) -> None:
    disk = kernel.disks[desk.DESK_DB] = new_disk()
    store = SqliteStore(desk.DESK_DB, "trader.store.desk:migrations", disk)
    with store.transaction():
        for session, code in sessions:
            desk.write_code(store, code)
            connection = session.connection or CONNECTION
            started = msgspec.structs.replace(
                session, code_sha256=code.sha256, connection=connection, wanted=Wanted.TRADE, start_no=1
            )
            desk.write_session(store, started)
        for each in hours:
            write_hours(store, each, written_utc)
