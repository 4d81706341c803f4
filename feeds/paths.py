"""The names of the processes of a connection: built and taken apart here and nowhere else. PURE."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import msgspec

CONNECTIONS = "connections"
"""The dynamic supervisor of all connections."""

FeedKind = Literal["bars", "orders", "positions", "quotes"]
PLAIN_FEEDS: tuple[FeedKind, ...] = ("orders", "positions", "quotes")
"""Feeds whose name is a kind and a subject."""


class Feed(msgspec.Struct, frozen=True):
    """What a feed's name says. ``subject`` is a symbol or an account; ``interval_s`` is of bars only, else 0."""

    kind: FeedKind
    subject: str
    interval_s: int = 0


def supervisor(connection: str) -> str:
    return f"{CONNECTIONS}/{connection}"


def process(connection: str) -> str:
    """The process that owns the tokens and the leases."""
    return f"{CONNECTIONS}/{connection}/connection"


def feeds(connection: str) -> str:
    """The supervisor of the feeds."""
    return f"{CONNECTIONS}/{connection}/feeds"


def feed(connection: str, name: str) -> str:
    """``name`` is the end of the path: ``bars/SPY/60``."""
    return f"{CONNECTIONS}/{connection}/feeds/{name}"


def orders_topic(symbol: str) -> str:
    """Of an orders feed: where it tells the orders of one symbol."""
    return f"orders/{symbol}"


def books(connection: str, account: str) -> str:
    return f"{CONNECTIONS}/{connection}/books/{account}"


def limits(connection: str, account: str) -> str:
    """The keeper of the account's own limits, where it has any."""
    return f"{CONNECTIONS}/{connection}/limits/{account}"


def day_start(connection: str, account: str) -> str:
    """The file, below the home, with the account's equity at the beginning of its trading day."""
    return f"accounts/{connection}/{quote(account, safe='')}.json"


def bars(symbol: str, interval_s: int) -> str:
    return f"bars/{symbol}/{interval_s}"


def orders(account: str) -> str:
    return f"orders/{account}"


def positions(account: str) -> str:
    return f"positions/{account}"


def quotes(symbol: str) -> str:
    return f"quotes/{symbol}"


def parse_feed(name: str) -> Feed:
    """``bars/SPY/60`` taken apart; ValueError for what is no name of a feed. A symbol may hold a slash."""
    kind, _, rest = name.partition("/")
    if kind == "bars":
        symbol, _, interval = rest.rpartition("/")
        if symbol and interval.isascii() and interval.isdigit() and int(interval) > 0:
            return Feed("bars", symbol, int(interval))
    for plain_kind in PLAIN_FEEDS:
        if kind == plain_kind and rest:
            return Feed(plain_kind, rest)
    known = "bars/<symbol>/<seconds>, orders/<account>, positions/<account> or quotes/<symbol>"
    raise ValueError(f"{name!r} is no feed: {known}")
