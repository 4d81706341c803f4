"""A tester's result: what the session's stored fills, turns and events add up to. PURE.

Money is first in, first out: each closing unit is booked against the oldest open one. So nothing is divided, and every
figure is an exact Decimal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from brokers.model import ZERO, Side


class Fill(msgspec.Struct, frozen=True):
    """A stored fill. ``purpose``: entry, stop or exit. ``seen_utc``: market time at which the desk had it."""

    seen_utc: float
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    purpose: str
    order_id: str
    fee_usd: Decimal = ZERO


class Money(msgspec.Struct, frozen=True):
    """In USD. ``open``: of what is still held, at the last price. ``net``: realised + open - fees."""

    symbol: str
    realised: Decimal
    open: Decimal
    fees: Decimal
    net: Decimal
    position: Decimal
    last_price: Decimal


class Refusal(msgspec.Struct, frozen=True):
    """How often a gate refused, and what it said the first time."""

    gate: str
    count: int
    first: str


class Exposure(msgspec.Struct, frozen=True):
    """``bars``: those that closed with a position open. Times in market seconds; a tester's market runs many times as
    fast as the machine, so what the machine takes to place a stop looks longer in them than it would be live."""

    bars: int
    market_seconds: Decimal
    uncovered_market_seconds: Decimal


class Ticker(msgspec.Struct, frozen=True):
    """What money needs to know of a symbol."""

    point_usd: Decimal
    last_price: Decimal


class Result(msgspec.Struct, frozen=True):
    """All of it. Only ``elapsed_s`` and ``bars_per_s`` depend on the machine."""

    strategy: str
    code_sha256: str
    symbols: tuple[str, ...]
    parameters: dict[str, object]
    first_bar_utc: str
    last_bar_utc: str
    bars: int
    orders: int
    fills: tuple[Fill, ...]
    money: tuple[Money, ...]
    refusals: tuple[Refusal, ...]
    exposure: Exposure
    elapsed_s: float
    bars_per_s: float


def money(fills: Iterable[Fill], tickers: Mapping[str, Ticker]) -> tuple[Money, ...]:
    """One row a symbol of ``tickers``, in their sequence."""
    by_symbol: dict[str, list[Fill]] = {symbol: [] for symbol in tickers}
    for fill in fills:
        by_symbol[fill.symbol].append(fill)
    return tuple(_money(symbol, by_symbol[symbol], about) for symbol, about in tickers.items())


def _money(symbol: str, fills: list[Fill], about: Ticker) -> Money:
    lots: deque[tuple[Decimal, Decimal]] = deque()
    realised = sum((_booked(lots, fill.side.sign * fill.quantity, fill.price) for fill in fills), ZERO)
    held = sum((quantity for quantity, _ in lots), ZERO)
    opened = sum((quantity * (about.last_price - price) for quantity, price in lots), ZERO)
    fees = sum((fill.fee_usd for fill in fills), ZERO)
    net = (realised + opened) * about.point_usd - fees
    return Money(symbol, realised * about.point_usd, opened * about.point_usd, fees, net, held, about.last_price)


def _booked(lots: deque[tuple[Decimal, Decimal]], quantity: Decimal, price: Decimal) -> Decimal:
    """Points that a fill (signed) realises against the oldest ``lots`` (signed quantity, price); the rest opens one."""
    realised = ZERO
    while quantity and lots and lots[0][0] * quantity < 0:
        held, paid = lots.popleft()
        closed = held if abs(held) <= abs(quantity) else -quantity
        realised += closed * (price - paid)
        quantity += closed
        if held != closed:
            lots.appendleft((held - closed, paid))
    if quantity:
        lots.append((quantity, price))
    return realised


def refusals(told: Iterable[tuple[str, str]]) -> tuple[Refusal, ...]:
    """(gate, text) of each, in the sequence in which they came."""
    found: dict[str, Refusal] = {}
    for gate, text in told:
        before = found.get(gate, Refusal(gate, 0, text))
        found[gate] = msgspec.structs.replace(before, count=before.count + 1)
    return tuple(found.values())


def exposure(
    fills: Iterable[Fill], closes_utc: Iterable[int], uncovered_s: Iterable[float], end_utc: float
) -> Exposure:
    """``closes_utc``: of all bars, in order. ``uncovered_s``: market seconds of each time without a working stop."""
    spans = list(_spans(fills, end_utc))
    return Exposure(
        bars=_closed_within(spans, closes_utc),
        market_seconds=_thousandths(sum(end - begin for begin, end in spans)),
        uncovered_market_seconds=_thousandths(sum(uncovered_s)),
    )


def _spans(fills: Iterable[Fill], end_utc: float) -> Iterable[tuple[float, float]]:
    """From - to, where any symbol's position is open."""
    held: dict[str, Decimal] = {}
    since_utc: float | None = None
    for fill in fills:
        held[fill.symbol] = held.get(fill.symbol, ZERO) + fill.side.sign * fill.quantity
        is_open = any(held.values())
        if is_open and since_utc is None:
            since_utc = fill.seen_utc
        elif not is_open and since_utc is not None:
            yield since_utc, fill.seen_utc
            since_utc = None
    if since_utc is not None:
        yield since_utc, max(end_utc, since_utc)


def _closed_within(spans: list[tuple[float, float]], closes_utc: Iterable[int]) -> int:
    left, count = deque(spans), 0
    for close_utc in closes_utc:
        while left and left[0][1] < close_utc:
            left.popleft()
        count += bool(left) and left[0][0] <= close_utc
    return count


def _thousandths(seconds: float) -> Decimal:
    return Decimal(f"{seconds:.3f}")


def report(result: Result) -> str:
    """For a person."""
    lines = [
        f"{result.strategy} on {', '.join(result.symbols)}   {result.first_bar_utc} to {result.last_bar_utc}",
        "",
        "Fills",
        *(_fill_line(fill) for fill in result.fills),
        *(["  none"] if not result.fills else []),
        "",
        "Money (USD, first in first out)",
        *(line for each in result.money for line in _money_lines(each)),
        "",
        "Refusals",
        *(f"  {each.count:5d}  {each.gate}: {each.first}" for each in result.refusals),
        *(["  none"] if not result.refusals else []),
        "",
        "Exposure",
        *_exposure_lines(result),
        "",
        f"{result.bars} bars, {result.orders} orders, {len(result.fills)} fills in {result.elapsed_s:.2f} s "
        f"({result.bars_per_s:.0f} bars a second)",
    ]
    return "\n".join(lines)


def _fill_line(fill: Fill) -> str:
    when = utc_text(fill.seen_utc)
    return f"  {when}  {fill.side:4}  {fill.quantity:>4} {fill.symbol} @ {fill.price}  {fill.purpose}"


def _exposure_lines(result: Result) -> list[str]:
    told = result.exposure
    return [
        f"  {told.bars} of {result.bars} bars closed with a position; open for {told.market_seconds} market seconds,",
        f"  {told.uncovered_market_seconds} of them without a working stop",
    ]


def _money_lines(each: Money) -> list[str]:
    held = f"   (holds {each.position} at {each.last_price})" if each.position else ""
    return [f"  {each.symbol}  realised {each.realised}  open {each.open}  fees {each.fees}  net {each.net}{held}"]


def utc_text(utc: float) -> str:
    return datetime.fromtimestamp(int(utc), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
