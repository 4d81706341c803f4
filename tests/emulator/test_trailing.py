"""A trailing stop against the plainest reckoning there is: print by print."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.book import Trail
from brokers.tradestation.emulator.market import MINUTE_S, QUARTER_S, Bar, Print, Series
from brokers.tradestation.emulator.ticks import Tick, TickSeries, bars_of, by_minute
from brokers.tradestation.emulator.trailing import Walk, stop_price
from tests.emulator.support import START, bar

TICK = Decimal("0.25")
PRICES = st.lists(st.integers(990, 1010), min_size=2, max_size=2)
TRAILS = st.one_of(
    st.integers(1, 12).map(lambda n: Trail(amount=Decimal(n))),
    st.sampled_from(["0.1", "0.5", "1"]).map(lambda text: Trail(percent=Decimal(text))),
)


def bar_of(minute: int, prices: list[int]) -> Bar:
    opened, closed = prices
    return bar(minute, str(opened), str(max(prices) + 1), str(min(prices) - 1), str(closed))


def plainly(
    bars: list[Bar], trail: Trail, best: Decimal | None, after_utc: float, until_utc: float, *, selling: bool
) -> Print | None:
    for one in bars:
        for n, price in enumerate(one.prints()):
            at_utc = one.stamp_utc - MINUTE_S + n * QUARTER_S
            if not after_utc < at_utc <= until_utc:
                continue
            if best is not None:
                stop = stop_price(best, trail, TICK, selling=selling)
                if (price <= stop) if selling else (price >= stop):
                    return Print(at_utc, price if n == 0 else stop)
            better = max if selling else min
            best = price if best is None else better(best, price)
    return None


@given(st.lists(PRICES, max_size=30), TRAILS, st.none() | st.integers(990, 1010), st.booleans(), st.integers(0, 400))
def test_it_is_reached_where_the_prints_say(
    prices: list[list[int]], trail: Trail, first: int | None, selling: bool, after_s: int
) -> None:
    bars = [bar_of(n, one) for n, one in enumerate(prices, 1)]
    best = Decimal(first) if first is not None else None
    after_utc, until_utc = float(START + after_s), float(START + 1500)
    found = Walk(Series("ESZ13", tuple(bars)), trail, TICK, selling=selling).reached(
        after_utc, best, until_utc, lambda at_utc: True
    )
    assert found == plainly(bars, trail, best, after_utc, until_utc, selling=selling)


def test_in_a_minute_with_ticks_it_fills_at_the_tick_that_reached_it() -> None:
    path = [
        Tick(START + 0.5, Decimal(1000), 1),
        Tick(START + 7.25, Decimal(1008), 1),
        Tick(START + 9, Decimal(1001), 1),
    ]
    ticks = by_minute(path)
    series = TickSeries("ESZ13", tuple(bars_of(ticks)), ticks)
    walk = Walk(series, Trail(amount=Decimal(5)), TICK, selling=True)
    found = walk.reached(START, None, START + 60, lambda at_utc: True)
    assert found == Print(START + 9, Decimal(1001))
