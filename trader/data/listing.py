"""What a symbol is at the venue: its contract, and whether its prices are late. What follows from a change. PURE.

A continuous symbol (@ES) stands for the contract in front; it is for charts and signals, orders go to the dated one.
When it rolls, the bars of one series come from two contracts, with a jump between them that nobody traded: it is told.
Delayed prices (no entitlement, ``IsDelayed``) are refused for trading: each bar of them counts as late, so that no
entry comes of it, while exits and stop moves still do (law 5).
"""

from __future__ import annotations

import msgspec

from feeds.messages import Listing
from supervisor.messages import Level

ASK_EVERY_S = 900.0
"""Of the machine. A roll is a matter of days, an entitlement of months."""
ASK_AGAIN_S = 60.0
"""After a failed read: before its first trade of the day a venue may have no quote of a symbol."""


class Change(msgspec.Struct, frozen=True):
    kind: str
    level: Level
    text: str
    opened: bool = False
    resolved: bool = False


def contracts_path(session: str) -> str:
    """Where the contracts that a session last knew are kept, below the home: a roll can fall into a restart."""
    return f"sessions/{session}.contracts.json"


def contracts_in(data: bytes | None) -> dict[str, str]:
    """By symbol. What cannot be read is as good as nothing: then a roll goes untold, once."""
    if data is None:
        return {}
    try:
        return msgspec.json.decode(data, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def changes(symbol: str, before: Listing | None, now: Listing) -> list[Change]:
    """What is to be told of a listing that was read, the last one known."""
    told: list[Change] = []
    if before is not None and before.contract != now.contract:
        text = (
            f"{symbol} has rolled from {before.contract} to {now.contract}: its bars go on at another contract's prices"
        )
        told.append(Change("data.rolled", "NOTIFY", text))
    if now.delayed and not (before and before.delayed):
        text = f"{symbol}: the venue gives delayed prices only; no entry comes of them"
        told.append(Change("data.delayed", "NOTIFY", text, opened=True))
    if before is not None and before.delayed and not now.delayed:
        text = f"{symbol}: prices are in real time again"
        told.append(Change("data.realtime", "DIGEST", text, resolved=True))
    return told
