"""The open streams: what each has still to say, when, and when it beats. PURE.

A stream is a cursor, not a queue of the market: one that comes late (or was stalled) sends every bar that closed
meanwhile and the forming bar as it is now, but not the prints it missed. Order frames are queued, none is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from brokers.tradestation.emulator import book, wire
from brokers.tradestation.emulator.market import Print
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.order_frames import order_frames
from brokers.tradestation.emulator.order_wire import order_object
from brokers.tradestation.emulator.values import Now, Output, StreamBytes, StreamEnd

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

CHUNK_GAP_S = 0.010  # at most one chunk per stream in this time, whatever the rate of the market clock
PENDING_FRAMES_MAX = 100_000  # order frames waiting behind a stall; beyond, the stream is reset: none is dropped
END_SNAPSHOT = wire.line({"StreamStatus": "EndSnapshot"})
V2 = "application/vnd.tradestation.streams.v2+json"
V3 = "application/vnd.tradestation.streams.v3+json"


class ShownPosition(msgspec.Struct, frozen=True):
    """What a positions stream last sent of a position."""

    position_id: str
    frame: wire.Object


class Stream(msgspec.Struct):
    """One open stream. ``due_utc``: market time of its next frame as far as known, None: nothing to come by itself."""

    stream_id: int
    kind: str  # bars, orders, positions
    last_sent_s: float
    symbol: str = ""
    interval: int = 1
    accounts: tuple[str, ...] = ()
    order_ids: tuple[str, ...] = ()
    changes_only: bool = False
    pending: list[bytes] = []
    ending: str = ""
    stalled_until_s: float = 0.0
    heartbeats: int = 0
    due_utc: float | None = 0.0
    seen_utc: float = 0.0
    seen_forming: tuple[int, int] = (0, 0)
    seen_positions: dict[tuple[str, str], ShownPosition] = {}


def advance(state: State, now: Now) -> list[Output]:
    """What the streams send now. Ended ones are forgotten here."""
    return [output for stream in list(state.streams.values()) for output in _turn(stream, state, now)]


def next_due(stream: Stream, now: Now, heartbeat_s: float) -> tuple[float, float | None]:
    """(machine time, market time) at which this stream next has something to do."""
    if now.machine_s < stream.stalled_until_s:
        return stream.stalled_until_s, None
    if stream.pending or stream.ending or _has_news(stream, now):
        return stream.last_sent_s + CHUNK_GAP_S, None
    return stream.last_sent_s + heartbeat_s, stream.due_utc


def tell(state: State, event: book.OrderEvent, before: Order | None) -> None:
    """Hand an event to the streams of its account. ``before``: the order as it was, None where it is new."""
    if not state.streams:
        return
    order = state.ledger.orders[event.order_id]
    frames = order_frames(event, order, before, state.rules)
    for stream in state.streams.values():
        if order.account in stream.accounts:
            _tell_one(stream, event, order, frames)


def _tell_one(stream: Stream, event: book.Event, order: Order, frames: list[bytes]) -> None:
    if stream.kind == "positions":
        if isinstance(event, book.OrderFilled):
            stream.due_utc = 0.0
    elif not stream.order_ids or order.order_id in stream.order_ids:
        stream.pending += frames
        if len(stream.pending) > PENDING_FRAMES_MAX:
            stream.pending, stream.ending = [], "reset"


# One stream's turn


def _turn(stream: Stream, state: State, now: Now) -> list[Output]:
    if now.machine_s < stream.last_sent_s + CHUNK_GAP_S or now.machine_s < stream.stalled_until_s:
        return []
    if not stream.ending and _has_news(stream, now):
        stream.pending += _news(stream, state, now)
    if stream.pending or stream.ending:
        return _flush(stream, state, now)
    return _beat(stream, now) if _is_quiet(stream, state, now) else []


def _beat(stream: Stream, now: Now) -> list[Output]:
    stream.heartbeats += 1
    stream.last_sent_s = now.machine_s
    beat = {"Heartbeat": stream.heartbeats, "Timestamp": wire.time_text(now.market_utc)}
    return [StreamBytes(stream.stream_id, wire.line(beat))]


def _flush(stream: Stream, state: State, now: Now) -> list[Output]:
    outputs: list[Output] = []
    if stream.pending:
        outputs.append(StreamBytes(stream.stream_id, b"".join(stream.pending)))
        stream.pending = []
        stream.last_sent_s = now.machine_s
    if stream.ending:
        outputs.append(StreamEnd(stream.stream_id, stream.ending))
        del state.streams[stream.stream_id]
    return outputs


def _is_quiet(stream: Stream, state: State, now: Now) -> bool:
    return now.machine_s >= stream.last_sent_s + state.settings.heartbeat_s


def _has_news(stream: Stream, now: Now) -> bool:
    return stream.due_utc is not None and now.market_utc >= stream.due_utc


def _news(stream: Stream, state: State, now: Now) -> list[bytes]:
    frames = _bars(stream, state, now) if stream.kind == "bars" else []
    if stream.kind == "positions":
        frames = _positions(stream, state, now)
    stream.seen_utc = now.market_utc
    stream.due_utc = _next_news(stream, state)
    return frames


def _next_news(stream: Stream, state: State) -> float | None:
    if stream.kind == "bars":
        series = state.market.series(stream.symbol)
        if series is None:
            return None
        if not state.settings.every_print:
            return series.next_close(stream.interval, stream.seen_utc)
        return series.next_change(stream.interval, stream.seen_utc)
    if not state.settings.every_print:
        return None
    upcoming: list[Print] = []
    for _, symbol in stream.seen_positions:
        series = state.market.series(symbol)
        upcoming += [one] if series and (one := series.next_print(stream.seen_utc)) else []
    return min((one.at_utc for one in upcoming), default=None)


def _bars(stream: Stream, state: State, now: Now) -> list[bytes]:
    series = state.market.series(stream.symbol)
    if series is None:
        return []
    frames = [
        wire.bar_object(bar, status="Closed", realtime=True, end_of_history=False)
        for bar in series.closed(stream.interval, stream.seen_utc, now.market_utc)
    ]
    forming = series.forming(stream.interval, now.market_utc) if state.settings.every_print else None
    if forming and (mark := (forming.bar.stamp_utc, forming.step)) != stream.seen_forming:
        stream.seen_forming = mark
        frames.append(wire.bar_object(forming.bar, status="Open", realtime=True, end_of_history=False))
    return [wire.line(one) for one in frames]


def _positions(stream: Stream, state: State, now: Now) -> list[bytes]:
    """Changed positions in full (or their changed fields), ended ones as ``Deleted``."""
    held = position_objects(state, stream.accounts, now)
    frames: list[wire.Object] = []
    for key, shown in list(stream.seen_positions.items()):
        if key not in held or held[key]["PositionID"] != shown.position_id:
            frames.append({"PositionID": shown.position_id, "Deleted": True})
            del stream.seen_positions[key]
    for key, frame in held.items():
        before = stream.seen_positions.get(key)
        if before is None or before.frame != frame:
            stream.seen_positions[key] = ShownPosition(frame["PositionID"], frame)
            frames.append(_changed(before, frame) if stream.changes_only and before else frame)
    return [wire.line(one) for one in frames]


def _changed(before: ShownPosition, frame: wire.Object) -> wire.Object:
    changed = {name: value for name, value in frame.items() if before.frame.get(name) != value}
    return {"PositionID": before.position_id, **changed}


def position_objects(state: State, accounts: tuple[str, ...], now: Now) -> dict[tuple[str, str], wire.Object]:
    shown = {}
    for name in accounts:
        account = state.ledger.accounts[name]
        for position in account.positions.values():
            last = wire.last_price(state.market, position, now.market_utc)
            shown[name, position.symbol] = wire.position_object(account, position, last)
    return shown


# Opening


def open_bars(state: State, symbol: str, interval: int, barsback: int, now: Now) -> Stream:
    """The history first, then live. Raises LookupError for a symbol without bars."""
    stream = _new(state, "bars", now)
    stream.symbol, stream.interval = symbol, interval
    series = state.market.series(symbol)
    if series is None:
        raise LookupError(f"no bars of {symbol}")
    history = series.last_closed(interval, barsback, now.market_utc)
    for n, bar in enumerate(history, 1):
        frame = wire.bar_object(bar, status="Closed", realtime=False, end_of_history=n == len(history))
        stream.pending.append(wire.line(frame))
    stream.seen_utc = now.market_utc
    return stream


def open_orders(
    state: State, accounts: tuple[str, ...], order_ids: tuple[str, ...], snapshot: list[Order], now: Now
) -> Stream:
    stream = _new(state, "orders", now)
    stream.accounts, stream.order_ids, stream.due_utc = accounts, order_ids, None
    stream.pending = [wire.line(order_object(order)) for order in snapshot] + [END_SNAPSHOT]
    return stream


def open_positions(state: State, accounts: tuple[str, ...], changes_only: bool, now: Now) -> Stream:
    stream = _new(state, "positions", now)
    stream.accounts, stream.changes_only = accounts, changes_only
    stream.pending = [*_positions(stream, state, now), END_SNAPSHOT]
    return stream


def _new(state: State, kind: str, now: Now) -> Stream:
    state.streams_opened += 1
    stream = Stream(state.streams_opened, kind, last_sent_s=now.machine_s - CHUNK_GAP_S)
    state.streams[stream.stream_id] = stream
    return stream
