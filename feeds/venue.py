"""A process's way to its venue: the broker of the configuration, with this world's HTTP and tokens lent to it.

The one place in this room that knows which brokers there are.
"""

from __future__ import annotations

from collections.abc import Mapping

from brokers.broker import Broker, Http, HttpReply, Meter, TokenSource
from brokers.errors import Unavailable
from brokers.tradestation import oauth
from brokers.tradestation.client import TradeStation
from brokers.tradestation.limits import QUOTAS, STREAMS_AT_ONCE
from feeds.config import ConnectionConfig, Timing
from feeds.meter import ProcessMeter
from feeds.token import Tokens
from supervisor.errors import HttpFailed
from supervisor.process.world import World


def open_broker(
    world: World,
    config: ConnectionConfig,
    timing: Timing,
    tokens: TokenSource | None = None,
    meter: Meter | None = None,
) -> Broker:
    """The broker of a connection for this process. No network is touched. ``tokens`` and ``meter``: to share own ones;
    a process has one meter, however many brokers."""
    return TradeStation(
        config.api_url,
        lent_http(world),
        tokens or Tokens(world, config, timing),
        timing.http_limit_s,
        meter or open_meter(world, config),
    )


def open_meter(world: World, config: ConnectionConfig) -> ProcessMeter:
    used = QUOTAS if config.quotas == "venue" else {}
    quotas = {each: quota.shared(config.key_sharers) for each, quota in used.items()}
    return ProcessMeter(world, config.name, quotas)


def streams_at_once(config: ConnectionConfig) -> Mapping[str, int]:
    """How many streams of a kind this connection may have open."""
    return {kind: max(1, limit // config.key_sharers) for kind, limit in STREAMS_AT_ONCE.items()}


def refreshed(
    world: World, config: ConnectionConfig, timing: Timing, client_secret: str, refresh_token: str
) -> oauth.Granted:
    """A new access token from the venue. Raises ``LoginRefused``, ``Unavailable`` or ``BadAnswer``."""
    request = oauth.refresh_request(config.signin_url, config.client_id, client_secret, refresh_token)
    reply = lent_http(world)(
        "POST", request.url, headers=request.headers, body=request.body, timeout_s=timing.http_limit_s
    )
    return oauth.granted(reply.status, reply.body)


def lent_http(world: World) -> Http:
    """The world's HTTP with the brokers' error: brokers may not know a world, so its error is translated here."""

    def http(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float) -> HttpReply:
        try:
            return world.http(method, url, headers=headers, body=body, timeout_s=timeout_s)
        except HttpFailed as error:
            raise Unavailable(str(error), sent=error.sent) from error

    return http
