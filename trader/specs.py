"""The tree of the desk as child specs. PURE."""

from __future__ import annotations

from typing import Any

import msgspec

from feeds.specs import plain
from supervisor.messages import BackOff, ChildSpec, SupervisorFlags
from trader.config import DeskConfig
from trader.risk.limits import limits_of
from trader.sessions import Session

MARKET_HOURS = "market_hours"
ENSURE = "ensure_sessions"
INTENSITY = 4
PERIOD_S = 60.0
"""Restarts of one group that are taken as bad luck; the fifth in a minute slows the failing child down."""
LAST_WORDS_S = 10.0
"""Beyond the longest call that a process of a session may be in just then: an instruction to the venue, a history."""
LIVENESS_LIMIT_S = 10.0
"""A trader whose loop does not turn for so long is hung, also where a hook cannot be broken off (``hook_limit_s``)."""
TRADER_MEMORY_MAX_MIB = 1024.0
"""Of the user's code, which may grow without end: ten times what a strategy with numpy and 5000 bars a series has, and
little enough that the machine and its other sessions never feel it."""
PRELOAD = (
    "supervisor.process.real",
    "supervisor.control.server",
    "feeds.connection",
    "feeds.bars",
    "feeds.accounts",
    "feeds.books",
    "feeds.limits_keeper",
    "trader.desk.control",
    "trader.desk.recorder",
    "trader.desk.ensure",
    "trader.manager.account_manager",
    "trader.data.data_source",
    "trader.hosting.runner",
)
"""What every child has without paying for it again. Not click, rich, starlette: these stay where they are needed."""


def root_spec(config: DeskConfig, *, writes_hours: bool = True) -> ChildSpec:
    """Started from first to last, ended in reverse. ``writes_hours`` False: the store has its market hours from whoever
    made this world."""
    arguments = {"config": msgspec.to_builtins(config)}
    venues = {name: each.venue for name, each in config.connections.items()}
    return ChildSpec(
        id="nightdesk",
        type="supervisor",
        supervisor=flags(),
        children=(
            ChildSpec(id="control", start="trader.desk.control:Control"),
            ChildSpec(id="recorder", start="trader.desk.recorder:Recorder", arguments={"venues": venues}),
            *((hours_spec(arguments),) if writes_hours else ()),
            ChildSpec(id="connections", type="supervisor", supervisor=flags(dynamic=True)),
            ChildSpec(id="sessions", type="supervisor", supervisor=flags(dynamic=True)),
            ChildSpec(id=ENSURE, start="trader.desk.ensure:EnsureSessions", arguments=arguments, shutdown_s=35.0),
        ),
    )


def hours_spec(arguments: dict[str, Any]) -> ChildSpec:
    """Short-lived: it writes the market hours and ends; ensure_sessions starts it again."""
    return ChildSpec(id=MARKET_HOURS, start="trader.hours.writer:HoursWriter", arguments=arguments, restart="transient")


def session_spec(session: Session, config: DeskConfig) -> ChildSpec:
    """A session, to be started under ``sessions``; it ends with its account manager."""
    arguments = {
        "session": session.name,
        "connection": msgspec.to_builtins(config.connections[session.connection]),
        "timing": msgspec.to_builtins(config.timing),
        "protection": config.desk.protection,
        "limits": plain(limits_of(config.limits, session.name)),
        "market_hours": msgspec.to_builtins(config.market_hours),
        "symbols": msgspec.to_builtins(config.symbols),
    }
    of_data = {**arguments, "connection": msgspec.to_builtins(config.connections[session.feeds_from])}
    last_words_s = 2 * config.timing.http_limit_s + config.timing.connect_limit_s + LAST_WORDS_S
    return ChildSpec(
        id=session.name,
        type="supervisor",
        restart="transient",
        supervisor=SupervisorFlags(
            strategy="one_for_all",
            intensity=INTENSITY,
            period_s=PERIOD_S,
            auto_shutdown="any_significant",
            back_off=BackOff(),
        ),
        children=(
            ChildSpec(
                id="account_manager",
                start="trader.manager.account_manager:AccountManager",
                arguments=arguments,
                restart="transient",
                significant=True,
                shutdown_s=last_words_s,
            ),
            ChildSpec(
                id="data_source", start="trader.data.data_source:DataSource", arguments=of_data, shutdown_s=last_words_s
            ),
            ChildSpec(
                id="trader",
                start="trader.hosting.runner:Trader",
                arguments=of_data,
                restart="transient",
                shutdown_s=last_words_s,
                liveness_limit_s=max(LIVENESS_LIMIT_S, 2 * config.timing.hook_limit_s),
                memory_max_mib=TRADER_MEMORY_MAX_MIB,
                groups=("traders",),
            ),
        ),
    )


def flags(dynamic: bool = False) -> SupervisorFlags:
    return SupervisorFlags(intensity=INTENSITY, period_s=PERIOD_S, dynamic=dynamic, back_off=BackOff())
