"""A feed over a scripted stream, opened or about to be, and lines for it as the venue writes them."""

import json
from typing import Any

from feeds.accounts import OrdersFeed, PositionsFeed
from feeds.bars import BarsFeed
from feeds.messages import (
    BarsClosed,
)
from feeds.stream import StreamFeed
from tests.brokers import golden
from tests.feeds.parts import FEED_NAMES, feed_arguments, with_tokens
from tests.scripted_world import ScriptedWorld

FEEDS: dict[str, type[StreamFeed]] = {"bars": BarsFeed, "orders": OrdersFeed, "positions": PositionsFeed}
STAMP = 1795186860
NL = b"\n"


def started(kind: str, **options: Any) -> ScriptedWorld:
    options = {"now_utc": float(STAMP), **options}
    world = with_tokens(ScriptedWorld(f"connections/sim/feeds/{FEED_NAMES[kind]}", **options))
    world.start(FEEDS[kind], feed_arguments(kind))
    return world


def opened(kind: str, **options: Any) -> ScriptedWorld:
    """A feed whose stream the venue has answered, and that has lived a while."""
    world = started(kind, **options)
    world.advance(0.0)
    world.opened()
    world.feed(golden.HEARTBEAT + NL)
    world.advance(6.0)
    return world


def bar_line(minute: int, status: str = "Closed") -> bytes:
    content = json.loads(golden.BAR_LINE)
    content["TimeStamp"] = f"2026-11-20T15:{minute:02d}:00Z"
    content["BarStatus"] = status
    return json.dumps(content).encode() + NL


def order_line(order_id: str) -> bytes:
    return golden.ORDER_LINE.replace(b"1200000001", order_id.encode()) + NL


def position_line(position_id: str, quantity: int = 1) -> bytes:
    line = golden.POSITION_LINE.replace(b"64000001", position_id.encode())
    return line.replace(b'"Quantity":"1"', f'"Quantity":"{quantity}"'.encode()) + NL


def stamps(world: ScriptedWorld) -> list[list[int]]:
    messages: list[BarsClosed] = world.published_on("bars")
    return [[bar.closed_utc for bar in message.bars] for message in messages]
