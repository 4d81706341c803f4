"""Bars by market time: the path of a minute, forming bars, longer intervals, and when a price is reached."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.market import Bar, Print, Series
from brokers.tradestation.emulator.ticks import Tick, TickSeries, by_minute, joined
from tests.emulator.support import START, bar, market

RISING = bar(1, "10", "13", "9", "12", 8)
FALLING = bar(1, "12", "13", "9", "10", 8)


def series(*bars: Bar) -> Series:
    return Series("ESZ13", bars)


def seen_at(second: int, one: Bar) -> Bar:
    forming = series(one).forming(1, START + second)
    assert forming is not None
    return forming.bar


def test_a_rising_bar_makes_its_low_first_and_a_falling_one_its_high() -> None:
    assert [str(price) for price in RISING.prints()] == ["10", "9", "13", "12"]
    assert [str(price) for price in FALLING.prints()] == ["12", "13", "9", "10"]


def test_the_forming_bar_grows_by_quarters() -> None:
    assert seen_at(0, RISING) == bar(1, "10", "10", "10", "10", 2)
    assert seen_at(15, RISING) == bar(1, "10", "10", "9", "9", 4)
    assert seen_at(30, RISING) == bar(1, "10", "13", "9", "13", 6)
    assert seen_at(59, RISING) == RISING


def test_at_its_stamp_a_bar_is_closed_and_no_longer_forming() -> None:
    one = series(RISING)
    assert one.forming(1, START + 60) is None
    assert one.closed(1, START, START + 60) == [RISING]
    assert one.closed(1, START, START + 59.9) == []


def test_a_minute_without_trades_gives_no_bar() -> None:
    one = series(bar(1, "10", "10", "10", "10"), bar(3, "11", "11", "11", "11"))
    assert one.forming(1, START + 90) is None
    assert [each.stamp_utc - START for each in one.closed(1, START, START + 180)] == [60, 180]
    assert one.last_print(START + 90) == Print(START + 45, Decimal(10))


def test_five_minute_bars_are_cut_on_the_clock_and_form_minute_by_minute() -> None:
    one = series(*[bar(m, str(m), str(m + 1), str(m - 1), str(m), 4) for m in range(1, 8)])
    (five,) = one.closed(5, START, START + 300)
    assert five == bar(5, "1", "6", "0", "5", 20)
    forming = one.forming(5, START + 375)
    assert forming is not None
    assert forming.bar == bar(10, "6", "7", "5", "6", 6)


def test_a_level_inside_a_minute_is_met_at_the_level_and_a_gap_at_the_open() -> None:
    one = series(bar(1, "10", "13", "9", "12"), bar(2, "20", "21", "19", "20"))
    assert one.next_through(START - 1, Decimal(11), upward=True) == Print(START + 30, Decimal(11))
    assert one.next_through(START - 1, Decimal(15), upward=True) == Print(START + 60, Decimal(20))
    assert one.next_through(START - 1, Decimal(99), upward=True) is None


def test_what_the_minute_has_left_behind_is_not_met_again() -> None:
    one = series(bar(1, "10", "13", "9", "12"), bar(2, "12", "12", "12", "12"))
    assert one.next_through(START + 20, Decimal(9), upward=False) is None
    assert one.next_through(START + 10, Decimal(9), upward=False) == Print(START + 15, Decimal(9))


def test_the_contract_in_front_is_the_first_whose_bars_go_on() -> None:
    both = market(ESZ13=[RISING], ESH14=[bar(9, "10", "10", "10", "10")])
    assert both.resolve("@ES", START) == "ESZ13"
    assert both.resolve("@ES", START + 60) == "ESH14"
    assert both.resolve("@ES", START + 9999) == "ESH14"
    assert both.resolve("@GC", START) is None


PRICES = st.integers(1, 40)


@st.composite
def any_bars(draw: st.DrawFn) -> list[Bar]:
    minutes = sorted(draw(st.sets(st.integers(1, 400), min_size=1, max_size=150)))
    made = []
    for minute in minutes:
        opened, close, high, low = draw(st.tuples(PRICES, PRICES, PRICES, PRICES))
        top, bottom = max(opened, close, high), min(opened, close, low)
        made.append(bar(minute, str(opened), str(top), str(bottom), str(close)))
    return made


@given(bars=any_bars(), after=st.integers(-60, 400 * 60), level=PRICES, upward=st.booleans())
def test_next_through_is_what_walking_every_print_finds(bars: list[Bar], after: int, level: int, upward: bool) -> None:
    one = series(*bars)
    expected = None
    for each in bars:
        for n, price in enumerate(each.prints()):
            at = each.stamp_utc - 60 + 15 * n
            beyond = price >= level if upward else price <= level
            if expected is None and at > START + after and beyond:
                expected = Print(at, price if n == 0 else Decimal(level))
    assert one.next_through(START + after, Decimal(level), upward=upward) == expected


@given(bars=any_bars(), after=st.integers(-60, 400 * 60))
def test_prints_before_and_after_a_moment_are_neighbours(bars: list[Bar], after: int) -> None:
    one = series(*bars)
    prints = [Print(each.stamp_utc - 60 + 15 * n, price) for each in bars for n, price in enumerate(each.prints())]
    assert one.last_print(START + after) == max(
        (each for each in prints if each.at_utc <= START + after), key=lambda each: each.at_utc, default=None
    )
    assert one.next_print(START + after) == min(
        (each for each in prints if each.at_utc > START + after), key=lambda each: each.at_utc, default=None
    )


def test_a_far_level_is_found_from_the_middle_of_a_long_quiet_stretch() -> None:
    quiet = [bar(minute, "10", "10", "10", "10") for minute in range(1, 400)]
    for spike in (65, 70, 129, 399):
        bars = [*quiet[: spike - 1], bar(spike, "10", "20", "10", "10"), *quiet[spike:]]
        found = series(*bars).next_through(START + 10 * 60, Decimal(15), upward=True)
        assert found == Print(START + (spike - 1) * 60 + 30, Decimal(15))


@given(bars=any_bars(), interval=st.sampled_from([1, 2, 5, 60, "Daily", "Weekly", "Monthly"]))
def test_the_forming_bar_ends_equal_to_the_closed_one(bars: list[Bar], interval: int | str) -> None:
    one = series(*bars)
    for closed in one.at_interval(interval).bars:
        last = max(each.stamp_utc for each in bars if each.stamp_utc <= closed.stamp_utc)
        forming = one.forming(interval, last - 0.001)
        assert forming is not None
        assert forming.bar == closed


@given(
    bars=any_bars(), interval=st.sampled_from([1, 5, "Daily"]), moments=st.lists(st.integers(-60, 24_100), max_size=9)
)
def test_no_volume_is_lost_or_told_twice(bars: list[Bar], interval: int | str, moments: list[int]) -> None:
    one = series(*bars)
    for at in moments:
        closed = sum(bar.volume for bar in one.closed(interval, 0, START + at))
        forming = one.forming(interval, START + at)
        whole = sum(bar.volume for bar in bars if bar.stamp_utc <= START + at)
        running = [bar for bar in bars if bar.stamp_utc - 60 <= START + at < bar.stamp_utc]
        part = sum(bar.volume * (int(START + at - bar.stamp_utc + 60) // 15 + 1) // 4 for bar in running)
        assert closed + (forming.bar.volume if forming else 0) == whole + part


TICKS = st.lists(st.tuples(st.integers(0, 299_999), st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=40)


@given(raw=TICKS, after=st.integers(-10, 310), level=st.integers(1, 9), upward=st.booleans())
def test_a_series_of_ticks_is_its_ticks(raw: list[tuple[int, int, int]], after: int, level: int, upward: bool) -> None:
    ticks = [Tick(START + ms / 1000, Decimal(price), size) for ms, price, size in sorted(raw)]
    paths = by_minute(ticks)
    one = TickSeries("GCZ13", joined((), paths), paths)
    at = START + after
    expected_last = [tick for tick in ticks if tick.at_utc <= at][-1:]
    expected_next = [tick for tick in ticks if tick.at_utc > at][:1]
    last, upcoming = one.last_print(at), one.next_print(at)
    assert ([last.price] if last else []) == [tick.price for tick in expected_last]
    assert ([upcoming.at_utc] if upcoming else []) == [tick.at_utc for tick in expected_next]
    beyond = [t for t in ticks if t.at_utc > at and (t.price >= level if upward else t.price <= level)][:1]
    through = one.next_through(at, Decimal(level), upward=upward)
    assert ([(through.at_utc, through.price)] if through else []) == [(t.at_utc, t.price) for t in beyond]
    for whole in one.bars:
        forming = one.forming(1, whole.stamp_utc - 0.0001)
        assert forming is not None
        assert forming.bar == whole
