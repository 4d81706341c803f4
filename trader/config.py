"""nightdesk.toml: what the desk is configured with. Read once, at the start; wrong keys and values are refused.

[desk]                      # all optional
[connections.NAME]          # one for each login and environment
[timing]                    # machine periods, all optional
[limits]                    # of entries; below it .sessions.NAME and .accounts.ID (trader/risk/limits.py)
[market_hours]              # by which calendar a symbol trades, where its kind does not tell
[symbols.NAME]              # what the venue does not tell of it
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from brokers.tradestation.addresses import API_HOSTS
from feeds.config import LOOPBACK, ConnectionConfig, Timing
from trader.arguments import Protection, SymbolConfig
from trader.hours.market_hours import DAY_S, HoursConfig, root_of
from trader.risk.limits import LIVE_NEEDS, LimitsSection, faults

CONFIG_FILE = "nightdesk.toml"
CONFIG_BYTES_MAX = 1_000_000
"""A configuration is a page; more is another file, and would be held in memory by each process."""
CONNECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""It is a part of process names, and so of paths: as a session's name."""
SECONDS_MAX = 86_400.0
"""A machine period of a day or more is a slip of the pen."""


class BadConfig(Exception):
    """nightdesk.toml is missing or wrong; the message says where, what, and what to do. Exit code 78."""


class DeskSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``clock``: the clock.json of an emulator ("" is the wall clock). Logs are lines, or JSON. ``protection``: who
    sees to takes and trails where the venue could as well."""

    clock: str = ""
    log_json: bool = False
    log_level: str = "INFO"
    protection: Protection = "venue"


class DeskConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. ``connections`` by name; the first is the default of `session add`."""

    connections: dict[str, ConnectionConfig]
    desk: DeskSection = DeskSection()
    timing: Timing = Timing()
    limits: LimitsSection = LimitsSection()
    market_hours: HoursConfig = HoursConfig()
    symbols: dict[str, SymbolConfig] = {}


def read_config(home: Path) -> DeskConfig:
    """Raises ``BadConfig``."""
    path = home / CONFIG_FILE
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
        if len(data) > CONFIG_BYTES_MAX:
            raise BadConfig(
                f"{path} is larger than {CONFIG_BYTES_MAX} bytes. Is it the right file? Nothing was started."
            )
        content = tomllib.loads(data.decode())
    except FileNotFoundError:
        raise BadConfig(f"{path} does not exist. Write it (docs/operating.md shows one), or give --home.") from None
    except UnicodeDecodeError as error:
        raise BadConfig(f"{path}: byte {error.start} is not UTF-8. Save it as UTF-8; nothing was started.") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path}: {error}. Mend the file; nothing was started.") from error
    except RecursionError:
        raise BadConfig(f"{path}: its brackets are nested too deep. Mend the file; nothing was started.") from None
    return parse_config(content, str(path))


def parse_config(content: dict[str, Any], where: str) -> DeskConfig:
    """Raises ``BadConfig`` naming the key."""
    connections = content.get("connections", {})
    if not isinstance(connections, dict) or not connections:
        raise BadConfig(f"{where}: [connections.NAME] is missing; a desk needs at least one connection.")
    for name, each in connections.items():
        if isinstance(each, dict) and "key_sharers" in each:
            raise BadConfig(f"{where}: connections.{name}.key_sharers is counted, not configured. Take it out.")
    named = {name: {**each, "name": name} if isinstance(each, dict) else each for name, each in connections.items()}
    try:
        config = msgspec.convert({**content, "connections": named}, DeskConfig)
    except msgspec.ValidationError as error:
        raise BadConfig(f"{where}: {error}. Mend the file; nothing was started.") from error
    for wrong in _wrong(config):
        raise BadConfig(f"{where}: {wrong}")
    config = with_account_limits(config)
    return msgspec.structs.replace(config, connections=with_sharers(config.connections))


def _wrong(config: DeskConfig) -> Iterator[str]:
    """What of it cannot be meant, with what to do; the first is told."""
    for key, value in msgspec.structs.asdict(config.timing).items():
        if not 0 < value < SECONDS_MAX:
            yield f"timing.{key} is {value}, wanted: seconds above 0 and below {SECONDS_MAX:g}."
    for fault in faults(config.limits):
        yield f"{fault}. Mend the file; nothing was started."
    closing_s = config.market_hours.closing_s
    if not 0 <= closing_s < DAY_S:
        yield f"market_hours.closing_s is {closing_s}, wanted: 0 or more and below {DAY_S}."
    for symbol, about in config.symbols.items():
        if about.first_notice is not None and (not root_of(symbol) or symbol.startswith("@")):
            yield (
                f"symbols.{symbol}.first_notice: {symbol} is no dated contract (GCZ13), so it has no first notice. "
                "Mend the file; nothing was started."
            )
    for name, each in config.connections.items():
        if not CONNECTION_NAME.fullmatch(name):
            yield f"connection name {name!r}: wanted 1 to 40 of a-z 0-9 _ -. Mend the file."
        if each.account_limits:
            yield f"connections.{name}.account_limits: write [limits.accounts.ID] instead."
        yield from _wrong_environment(each, config.limits)
    yield from _wrong_login_files(config.connections.values())


def _wrong_environment(connection: ConnectionConfig, limits: LimitsSection) -> Iterator[str]:
    """LIVE needs limits (law 10), and the word must be true: an address alone would trade live."""
    name, environment = connection.name, connection.environment
    try:
        host = urlsplit(connection.api_url).hostname or ""
    except ValueError as error:
        yield f"connections.{name}.api_url {connection.api_url!r}: {error}. Mend it."
        return
    live_host = host == API_HOSTS["LIVE"]
    if host not in LOOPBACK and live_host != (environment == "LIVE"):
        yield (
            f"connections.{name}.api_url is at {host or 'no host'}, its environment is {environment}; "
            f"wanted for {environment}: https://{API_HOSTS[environment]}. Mend one of both; nothing was started."
        )
    if live_host and not connection.api_url.startswith("https://"):
        yield f"connections.{name}.api_url is not https://. Mend it; nothing was started."
    if environment == "LIVE" and not limits.accounts:
        yield (
            f"connections.{name}.environment is LIVE, and no account has limits. Write [limits.accounts.ID] "
            f"with {', '.join(LIVE_NEEDS)} for each account that trades live; nothing was started."
        )


def _wrong_login_files(connections: Iterable[ConnectionConfig]) -> Iterator[str]:
    """A file holds one login's token: two that sign in elsewhere, or by another key, would spend each other's."""
    first: dict[str, ConnectionConfig] = {}
    for each in connections:
        other = first.setdefault(each.login_file, each)
        if (other.signin_url, other.client_id) != (each.signin_url, each.client_id):
            what = "signin_url" if other.signin_url != each.signin_url else "client_id"
            yield (
                f"connections.{other.name} and connections.{each.name} share login_file {each.login_file!r}, and their "
                f"{what} is not the same: one file holds one login. Give each its own; nothing was started."
            )


def with_account_limits(config: DeskConfig) -> DeskConfig:
    """Whoever starts a connection starts it with the limits of the accounts."""
    of_accounts = config.limits.accounts
    connections = {
        name: msgspec.structs.replace(each, account_limits=of_accounts) for name, each in config.connections.items()
    }
    return msgspec.structs.replace(config, connections=connections)


def with_sharers(connections: dict[str, ConnectionConfig]) -> dict[str, ConnectionConfig]:
    """Each told how many use its key: the venue's quotas are the key's."""
    users = Counter(each.client_id for each in connections.values())
    return {
        name: msgspec.structs.replace(each, key_sharers=users[each.client_id]) for name, each in connections.items()
    }
