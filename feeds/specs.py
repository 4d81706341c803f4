"""The child specs of a connection and of what it starts: who restarts whom, and with which limits. PURE."""

from __future__ import annotations

from typing import Any

import msgspec

from feeds import paths
from feeds.config import ConnectionConfig, Timing
from supervisor.messages import BackOff, ChildSpec, SupervisorFlags

INTENSITY = 5
PERIOD_S = 30.0
"""Restarts of one group that are taken as bad luck; beyond them the failing child is slowed down."""

LAST_WORDS_S = 5.0
"""What a process may need to end, beyond its longest blocking call."""


class ConnectionArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the connection process is started with."""

    config: ConnectionConfig
    timing: Timing


class FeedArguments(ConnectionArguments, frozen=True):
    """``feed`` is the end of the feed's name."""

    feed: str


class BooksArguments(ConnectionArguments, frozen=True):
    account: str


def connection_spec(config: ConnectionConfig, timing: Timing) -> ChildSpec:
    """The whole of a connection, to be started under ``connections``. It ends itself when nobody needs it."""
    return ChildSpec(
        id=config.name,
        type="supervisor",
        restart="transient",
        supervisor=flags(auto_shutdown="any_significant"),
        children=(
            ChildSpec(
                id="connection",
                start="feeds.connection:Connection",
                arguments=plain(ConnectionArguments(config, timing)),
                restart="transient",
                significant=True,
                shutdown_s=shutdown_limit_s(timing),
            ),
            ChildSpec(id="feeds", type="supervisor", supervisor=flags(dynamic=True)),
        ),
    )


def feed_spec(config: ConnectionConfig, timing: Timing, feed: str) -> ChildSpec:
    """A feed, to be started under ``connections/<name>/feeds``. ValueError if ``feed`` is no name of one."""
    start = {
        "bars": "feeds.bars:BarsFeed",
        "orders": "feeds.accounts:OrdersFeed",
        "positions": "feeds.accounts:PositionsFeed",
        "quotes": "feeds.quotes:QuotesFeed",
    }
    return ChildSpec(
        id=feed,
        start=start[paths.parse_feed(feed).kind],
        arguments=plain(FeedArguments(config, timing, feed)),
        restart="transient",
        shutdown_s=shutdown_limit_s(timing),
    )


def books_spec(config: ConnectionConfig, timing: Timing, account: str) -> ChildSpec:
    """The books of an account, to be started under ``connections/<name>``, away from the feeds' fate."""
    return ChildSpec(
        id=f"books/{account}",
        start="feeds.books:Books",
        arguments=plain(BooksArguments(config, timing, account)),
        restart="permanent",
        shutdown_s=shutdown_limit_s(timing),
    )


def limits_spec(config: ConnectionConfig, timing: Timing, account: str) -> ChildSpec:
    """The keeper of an account's own limits, beside its books."""
    return ChildSpec(
        id=f"limits/{account}",
        start="feeds.limits_keeper:LimitsKeeper",
        arguments=plain(BooksArguments(config, timing, account)),
        restart="permanent",
        shutdown_s=LAST_WORDS_S,
    )


def shutdown_limit_s(timing: Timing) -> float:
    """More than the longest declared blocking call: a request may take its limit twice (the world), a
    call for a token or the wait for the token file one limit of connecting and one of reading."""
    longest_s = max(2 * timing.http_limit_s, timing.http_limit_s + timing.connect_limit_s)
    return longest_s + LAST_WORDS_S


def flags(**more: Any) -> SupervisorFlags:
    return SupervisorFlags(strategy="one_for_one", intensity=INTENSITY, period_s=PERIOD_S, back_off=BackOff(), **more)


def plain(arguments: msgspec.Struct) -> dict[str, Any]:
    """Arguments travel in a spec as plain values; the process converts them at the top of its ``init``."""
    built: dict[str, Any] = msgspec.to_builtins(arguments)
    return built
