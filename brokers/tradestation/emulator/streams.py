"""The open streams: what each has still to say, when, and when it beats. PURE.

A stream is a cursor, not a queue of the market: one that comes late (or was stalled) sends every bar that closed
meanwhile and the forming bar as it is now, but not the prints it missed. Order frames are queued, none is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from brokers.tradestation.emulator import book, chart_news, distort, quotes, stream_ends, wire
from brokers.tradestation.emulator.fault_rules import Scope
from brokers.tradestation.emulator.market import Interval, Series
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
    kind: str  # bars, quotes, orders, positions
    last_sent_s: float
    opened_s: float = 0.0
    told_s: float = 0.0
    """When it last had more to say than a heartbeat."""
    token_expires_s: float = float("inf")
    ends_s: float = float("inf")
    """When a switch ends it (``_end_of``)."""
    resource: str = ""
    """What its number is limited by; "" for no limit."""
    symbol: str = ""
    symbols: tuple[str, ...] = ()
    series: Series | None = None
    interval: Interval = 1
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
    seen_quotes: dict[str, wire.Object] = {}

    @property
    def scope(self) -> Scope:
        return Scope(symbols=(self.symbol, *self.symbols), accounts=self.accounts, kind=self.kind)


def advance(state: State, now: Now) -> list[Output]:
    """What the streams send now. Ended ones are forgotten here."""
    return [output for stream in list(state.streams.values()) for output in _turn(stream, state, now)]


def next_due(stream: Stream, now: Now, heartbeat_s: float) -> tuple[float, float | None]:
    """(machine time, market time) at which this stream next has something to do."""
    if now.machine_s < stream.stalled_until_s:
        return stream.stalled_until_s, None
    if stream.pending or stream.ending or _has_news(stream, now):
        return stream.last_sent_s + CHUNK_GAP_S, None
    return min(stream.last_sent_s + heartbeat_s, stream.ends_s), stream.due_utc


def tell(state: State, event: book.OrderEvent, before: Order | None, now: Now) -> None:
    """Hand an event to the streams of its account. ``before``: the order as it was, None where it is new."""
    if not state.streams:
        return
    order = state.ledger.orders[event.order_id]
    frames = order_frames(event, order, before, state.rules)
    if state.fault_rules:
        about = Scope(symbols=(order.symbol,), accounts=(order.account,), orders=(order.order_id,), kind="orders")
        filled, replaced = isinstance(event, book.OrderFilled), isinstance(event, book.OrderReplaced)
        frames = distort.order_frames(state.fault_rules, about, frames, now.machine_s, filled=filled, replaced=replaced)
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
    if now.machine_s >= stream.ends_s and not stream.ending:
        stream_ends.end_by_switch(stream, state.switches)
    if now.machine_s < stream.last_sent_s + CHUNK_GAP_S or now.machine_s < stream.stalled_until_s:
        return []
    if stream.ending in ("", "torn") and _has_news(stream, now):
        stream.pending += _news(stream, state, now)
        if now.machine_s < stream.stalled_until_s:
            return []
    if stream.pending or stream.ending:
        return _flush(stream, state, now)
    return _beat(stream, state, now) if _is_quiet(stream, state, now) else []


def _beat(stream: Stream, state: State, now: Now) -> list[Output]:
    stream.last_sent_s = now.machine_s
    return [StreamBytes(stream.stream_id, _heartbeat(stream, state, now))]


def _heartbeat(stream: Stream, state: State, now: Now) -> bytes:
    stream.heartbeats += 1
    count = stream.heartbeats if state.switches.heartbeat_counts else 1
    shown_utc = now.market_utc + state.switches.timestamp_skew_s
    return wire.line({"Heartbeat": count, "Timestamp": wire.time_text(shown_utc)})


def _flush(stream: Stream, state: State, now: Now) -> list[Output]:
    if stream.pending and state.fault_rules and not stream.ending:
        for rule in state.fault_rules.hits("chunk", stream.scope, now.machine_s):
            stream_ends.strike(stream, rule, now)
        if now.machine_s < stream.stalled_until_s:
            return []
    if stream.ending == "torn" and not stream.pending:
        stream.pending = [_heartbeat(stream, state, now)]
    outputs: list[Output] = []
    if stream.pending:
        data = b"".join(stream.pending)
        stream.pending = []
        if state.switches.chunks == "random" or stream.ending == "torn":
            data = stream_ends.cut(stream, data)
        outputs.append(StreamBytes(stream.stream_id, data))
        stream.last_sent_s = stream.told_s = now.machine_s
        if state.switches.idle_end_s:
            stream_ends.rearm(stream, state.switches)
    if stream.ending and not stream.pending:
        outputs.append(StreamEnd(stream.stream_id, "reset" if stream.ending == "torn" else stream.ending))
        del state.streams[stream.stream_id]
    return outputs


def _is_quiet(stream: Stream, state: State, now: Now) -> bool:
    return now.machine_s >= stream.last_sent_s + state.settings.heartbeat_s


def _has_news(stream: Stream, now: Now) -> bool:
    return stream.due_utc is not None and now.market_utc >= stream.due_utc


def _news(stream: Stream, state: State, now: Now) -> list[bytes]:
    frames: list[bytes] = []
    if stream.kind == "bars":
        frames = chart_news.bar_frames(stream, state, now)
    elif stream.kind == "positions":
        frames = _positions(stream, state, now)
    elif stream.kind == "quotes":
        frames = chart_news.quote_frames(stream, state, now)
    if stream.kind != "bars":
        stream.seen_utc = now.market_utc
    stream.due_utc = _next_news(stream, state, now)
    return frames


def _next_news(stream: Stream, state: State, now: Now) -> float | None:
    if stream.kind == "bars":
        return chart_news.next_bar_utc(stream, state, now)
    if stream.kind == "quotes":
        return chart_news.next_print_utc(state, stream.seen_quotes, now)
    if not state.settings.every_print:
        return None
    return chart_news.next_print_utc(state, [symbol for _, symbol in stream.seen_positions], now)


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
    if state.fault_rules:
        frames = distort.position_frames(state.fault_rules, stream.scope, frames, now.machine_s)
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


def open_bars(state: State, series: Series, interval: Interval, barsback: int, now: Now) -> Stream:
    """The history first, then live."""
    stream = _new(state, "bars", now)
    stream.symbol, stream.interval, stream.series = series.symbol, interval, series
    history = series.last_closed(interval, barsback, now.market_utc)
    for n, bar in enumerate(history, 1):
        frame = wire.bar_object(bar, status="Closed", realtime=False, end_of_history=n == len(history))
        stream.pending.append(wire.line(frame))
    stream.seen_utc = now.market_utc
    return stream


def open_quotes(state: State, symbols: tuple[str, ...], now: Now) -> Stream:
    """A symbol that is not served is told as an error among the good ones [spec]."""
    stream = _new(state, "quotes", now)
    stream.symbols = symbols
    bad = [name for name in symbols if quotes.series_of(state, name, now) is None]
    stream.seen_quotes = {name: {} for name in symbols if name not in bad}
    stream.pending = [
        *chart_news.quote_frames(stream, state, now),
        *(wire.line(quotes.bad_symbol(name)) for name in bad),
    ]
    stream.due_utc = _next_news(stream, state, now)
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


def opened_with(state: State, stream_id: int, token_expires_s: float) -> None:
    """Remember until when the token lives that opened it."""
    stream = state.streams[stream_id]
    stream.token_expires_s = token_expires_s
    stream_ends.rearm(stream, state.switches)


def _new(state: State, kind: str, now: Now) -> Stream:
    state.streams_opened += 1
    before_s = now.machine_s - CHUNK_GAP_S
    stream = Stream(state.streams_opened, kind, last_sent_s=before_s, opened_s=now.machine_s, told_s=now.machine_s)
    stream_ends.rearm(stream, state.switches)
    state.streams[stream.stream_id] = stream
    return stream
