"""Lines of TradeStation's streams: what each one means. PURE; lines come whole, whatever the chunks were.

Both forms of GoAway are taken on every stream; a line that means nothing to us raises ``BadAnswer``.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from brokers.broker import (
    BarItem,
    BarsRead,
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
from brokers.model import Bar
from brokers.tradestation.shapes import (
    NO_SHAPE,
    SHOWN_BYTES,
    BarShape,
    Frame,
    OrderShape,
    PositionShape,
    QuoteShape,
    Shape,
    decoded,
)
from brokers.tradestation.wire import bar, is_closed, orders, position, quote


class PlainBar(Shape, frozen=True, kw_only=True, gc=False):
    """A bar as the venue writes nearly all of them, so strict that nothing is left to be checked but that its numbers
    are finite. What is written otherwise is read by ``BarShape``, one line at a time."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    time_stamp: Annotated[datetime, msgspec.Meta(tz=True)]
    total_volume: int
    bar_status: Literal["Closed", "Open"]


BAR = msgspec.json.Decoder(BarShape)
PLAIN_BARS = msgspec.json.Decoder(PlainBar, strict=False)
"""Not strict: ``TotalVolume`` is a string of digits."""
ORDER = msgspec.json.Decoder(OrderShape)

OPENS, CLOSES = b"{}"

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


def bars_read(symbol: str, interval_s: int, lines: bytes) -> BarsRead | None:
    """All lines in one call of the decoder, which costs a third of one call each. None: look at them one by one.

    The decoder takes a newline for a space, and two objects on a line for two lines. So each line must begin and end as
    an object does: where all do and there are as many objects, each is a line (none can be cut between "}" and "{").
    """
    try:
        shapes = PLAIN_BARS.decode_lines(lines)
    except NO_SHAPE:
        return None
    if objects_of_lines(lines) != len(shapes):
        return None
    closed: list[Bar] = []
    forming: PlainBar | None = None
    for shape in shapes:
        opened, high, low, close = shape.open, shape.high, shape.low, shape.close
        if not (opened.is_finite() and high.is_finite() and low.is_finite() and close.is_finite()):
            return None
        if shape.bar_status == "Open":
            forming = shape
        else:
            stamp_utc = int(shape.time_stamp.timestamp())
            closed.append(Bar(symbol, interval_s, stamp_utc, opened, high, low, close, shape.total_volume))
    return BarsRead(tuple(closed), int(forming.time_stamp.timestamp()) if forming else 0)


def objects_of_lines(lines: bytes) -> int:
    """How many lines there are, if each begins and ends as an object does; else -1. (``find`` leaps from line to line;
    to count "}" and newline together would look at each byte twice.)"""
    count, start = 0, 0
    while (end := lines.find(b"\n", start)) >= 0:
        if lines[start] != OPENS or lines[end - 1] != CLOSES:
            return -1
        count, start = count + 1, end + 1
    return count


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
