"""The bundled strategies over a week of real bars, by the desk itself: each keeps the promises of its first lines."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.model import Side
from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.market import Bar
from trader.simulate.figures import Fill, Result, utc_text
from trader.simulate.hours import venue_hours
from trader.simulate.tester import Plan, run

EXAMPLES = Path(__file__).resolve().parents[2] / "trader" / "strategies"
BEGIN_UTC, END_UTC = (datetime(2013, 10, day, tzinfo=UTC).timestamp() for day in (7, 12))


def week_of(strategy: str, symbol: str = "SPY") -> Result:
    return run(Plan(strategy=strategy, symbol=symbol, from_utc=BEGIN_UTC, to_utc=END_UTC))


def trades(result: Result) -> list[list[Fill]]:
    """Fills from flat to flat."""
    found: list[list[Fill]] = [[]]
    held = Decimal(0)
    for fill in result.fills:
        found[-1].append(fill)
        held += fill.side.sign * fill.quantity
        assert held >= 0, "all of them are long only"
        if held == 0:
            found.append([])
    return [each for each in found if each]


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("[!_]*.py")), ids=lambda file: file.stem)
def test_an_example_is_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 80


def test_breakout_enters_above_the_last_highs_and_leaves_by_its_stop_only() -> None:
    result = week_of("breakout")
    assert len(trades(result)) > 20
    assert {fill.purpose for fill in result.fills} == {"entry", "stop"}
    bars = {bar.stamp_utc: bar for bar in series()}
    stamps = sorted(bars)
    for trade in trades(result)[:20]:
        decided = max(stamp for stamp in stamps if stamp <= trade[0].seen_utc)
        before = [bars[stamp].high for stamp in stamps if stamp < decided][-3:]
        assert bars[decided].close > max(before), utc_text(trade[0].seen_utc)


def test_ema_cross_shows_both_ways_out_and_trades_each_cross_once() -> None:
    result = week_of("ema_cross")
    assert len(trades(result)) > 20
    assert {fill.purpose for fill in result.fills} == {"entry", "exit", "stop"}
    assert all(len([fill for fill in trade if fill.purpose == "entry"]) == 1 for trade in trades(result))


@pytest.mark.parametrize("symbol", ["SPY", "ESZ13"])
def test_opening_range_trades_once_a_day_after_half_an_hour_and_is_flat_at_the_close(symbol: str) -> None:
    result = week_of("opening_range", symbol)
    calendar = {each.calendar: each for each in venue_hours(int(BEGIN_UTC), int(END_UTC))}[
        "XNYS" if symbol == "SPY" else "CMES"
    ]
    days = list(zip(calendar.opens_utc, calendar.closes_utc, strict=True))
    of_day = defaultdict(list)
    for trade in trades(result):
        (day,) = [(opened, closes) for opened, closes in days if opened <= trade[0].seen_utc < closes]
        of_day[day].append(trade)
    assert len(of_day) > 2
    assert all(len(each) == 1 for each in of_day.values()), "one trade a day"
    for (opened, closes), ((entry, *_, out),) in of_day.items():
        assert entry.seen_utc > opened + 1800
        assert out.seen_utc < closes, "flat before the close"
        assert (entry.side, out.side) == (Side.BUY, Side.SELL)
    ways = {trade[-1].purpose for trade in trades(result)}
    assert ways == {"stop", "exit"} or ways == {"stop"}
    assert not result.refusals


def test_opening_range_leaves_at_the_market_when_the_close_comes() -> None:
    """With a stop too far to be reached, each day that was traded ends by the close."""
    plan = Plan(
        strategy="opening_range", symbol="SPY", from_utc=BEGIN_UTC, to_utc=END_UTC, settings={"trail_bars": 390}
    )
    outs = [trade[-1] for trade in trades(run(plan))]
    closing = [out for out in outs if out.purpose == "exit"]
    assert closing
    assert {utc_text(out.seen_utc)[11:16] for out in closing} == {"19:55"}


def series() -> tuple[Bar, ...]:
    found = load_market(["SPY"], lambda _: None).series("SPY")
    assert found is not None
    return tuple(found.bars)
