"""What streams of bars and of quotes have to tell, and when next. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from brokers.tradestation.emulator import distort, quotes, wire
from brokers.tradestation.emulator.market import Print
from brokers.tradestation.emulator.values import Now

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State
    from brokers.tradestation.emulator.streams import Stream


def next_bar_utc(stream: Stream, state: State, now: Now) -> float | None:
    series = stream.series
    if series is None:
        return None
    if state.switches.closed_frame == "next_tick":
        upcoming = series.next_print(now.market_utc)
        return upcoming.at_utc if upcoming else None
    if not state.settings.every_print:
        return series.next_close(stream.interval, stream.seen_utc)
    return series.next_change(stream.interval, stream.seen_utc)


def next_print_utc(state: State, symbols: Iterable[str], now: Now) -> float | None:
    upcoming: list[Print] = []
    for symbol in symbols:
        series = state.market.series(state.market.resolve(symbol, now.market_utc) or "")
        upcoming += [one] if series and (one := series.next_print(now.market_utc)) else []
    return min((one.at_utc for one in upcoming), default=None)


def bar_frames(stream: Stream, state: State, now: Now) -> list[bytes]:
    """What has closed since the last look, and the forming bar where it changed."""
    series = stream.series
    if series is None:
        return []
    until_utc = now.market_utc
    if state.switches.closed_frame == "next_tick":
        last = series.last_print(now.market_utc)
        until_utc = max(stream.seen_utc, last.at_utc if last else 0.0)
    frames = [
        wire.line(wire.bar_object(bar, status="Closed", realtime=True, end_of_history=False))
        for bar in series.closed(stream.interval, stream.seen_utc, until_utc)
    ]
    stream.seen_utc = until_utc
    if frames and state.fault_rules:
        frames, silent_until_s = distort.bar_frames(state.fault_rules, stream.scope, frames, now.machine_s)
        stream.stalled_until_s = max(stream.stalled_until_s, silent_until_s)
    forming = series.forming(stream.interval, now.market_utc) if state.settings.every_print else None
    if forming and (mark := (forming.bar.stamp_utc, forming.step)) != stream.seen_forming:
        stream.seen_forming = mark
        shown = wire.bar_object(forming.bar, status="Open", realtime=True, end_of_history=False)
        frames.append(wire.line(shown))
    return frames


def quote_frames(stream: Stream, state: State, now: Now) -> list[bytes]:
    """First a whole quote of each symbol, then what changed of it."""
    frames: list[bytes] = []
    for name in stream.symbols:
        quote = quotes.quote_object(state, name, now)
        if quote is None:
            continue
        shown, before = quotes.in_stream(quote), stream.seen_quotes.get(name, {})
        if told := quotes.changed(before, shown):
            frames.append(wire.line(told))
            stream.seen_quotes[name] = shown
    return frames
