"""Lines of TradeStation's streams: what each one means. PURE; lines come whole, whatever the chunks were.

Both forms of GoAway are taken on every stream; a line that means nothing to us raises ``BadAnswer``.
"""

from __future__ import annotations

import msgspec

from brokers.broker import (
    BarItem,
    EndSnapshot,
    GoAway,
    Heartbeat,
    OrderItem,
    PositionGone,
    PositionItem,
    QuoteItem,
    StreamError,
    StreamItem,
)
from brokers.errors import BadAnswer
from brokers.tradestation.shapes import (
    NO_SHAPE,
    SHOWN_BYTES,
    BarShape,
    Frame,
    OrderShape,
    PositionShape,
    QuoteShape,
    decoded,
)
from brokers.tradestation.wire import bar, is_closed, orders, position, quote

BAR = msgspec.json.Decoder(BarShape)
ORDER = msgspec.json.Decoder(OrderShape)

FINAL_STREAM_ERRORS = frozenset({"BadRequest", "Forbidden", "NotFound", "Unauthorized", "DualLogon"})
"""In-stream errors that asking again does not cure. DualLogon: another session took the data seat; no fight."""


def bars_item(symbol: str, interval_s: int, line: bytes) -> StreamItem | None:
    """A line of a bars stream: bare bar objects without a symbol, heartbeats, errors."""
    if not line.strip():
        return None
    try:
        shape = BAR.decode(line)  # nearly every line is a bar, so it is decoded once
    except NO_SHAPE:
        return control_item(decoded(line, Frame), line)
    return BarItem(bar=bar(symbol, interval_s, shape), closed=is_closed(shape))


def account_item(line: bytes) -> StreamItem | None:
    """A line of an orders or positions stream."""
    if not line.strip():
        return None
    if (shape := _plain_order(line)) is not None:
        return OrderItem(orders=orders(shape))
    frame = decoded(line, Frame)
    if frame.error:
        return control_item(frame, line)
    if frame.position_id:
        return position_item(frame, line)
    if frame.order_id:
        return OrderItem(orders=orders(decoded(line, OrderShape)))
    return control_item(frame, line)


def quotes_item(line: bytes) -> QuoteItem | StreamItem | None:
    """A line of a quotes stream: at first all of each symbol, then what changed. An error of one symbol among several
    does not end the stream, but DualLogon and GoAway do."""
    if not line.strip():
        return None
    frame = decoded(line, Frame)
    if frame.symbol and frame.error and frame.error not in FINAL_STREAM_ERRORS and frame.error != "GoAway":
        return QuoteItem(symbol=frame.symbol, error=frame.error)
    if frame.symbol and not frame.error:
        told = quote(decoded(line, QuoteShape))
        return QuoteItem(symbol=told.symbol, quote=told)
    return control_item(frame, line)


def _plain_order(line: bytes) -> OrderShape | None:
    """A line that can be nothing but an order, decoded at once; None where it has to be looked at first."""
    if b'"OrderID"' not in line or b'"Error"' in line or b'"PositionID"' in line:
        return None
    try:
        shape = ORDER.decode(line)
    except NO_SHAPE:
        return None
    return shape if shape.order_id else None


def position_item(frame: Frame, line: bytes) -> StreamItem:
    """A closed position is its id and ``Deleted``; one of quantity 0 is closed as well."""
    if frame.deleted:
        return PositionGone(position_id=frame.position_id or "")
    held = position(decoded(line, PositionShape))
    if not held.quantity:
        return PositionGone(position_id=frame.position_id or "")
    return PositionItem(position_id=frame.position_id or "", position=held)


def control_item(frame: Frame, line: bytes) -> StreamItem | None:
    """Heartbeat, EndSnapshot, GoAway in both forms (each is taken on every stream), errors."""
    if frame.heartbeat is not None:
        return Heartbeat()
    if frame.error == "GoAway" or frame.stream_status == "GoAway":
        return GoAway()
    if frame.error:
        text = f"{frame.error} {frame.message or ''}".strip()
        return StreamError(text=text, retryable=frame.error not in FINAL_STREAM_ERRORS)
    if frame.stream_status == "EndSnapshot":
        return EndSnapshot()
    raise BadAnswer(f"a line of a stream that means nothing to us: {line[:SHOWN_BYTES]!r}")
