"""The library's calendars as the store gets them: clock changes, half-days, the daily pause, Sunday evenings."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.tradestation.emulator.load import load_market, load_series, to_stderr
from trader.hours.calendars import Interval, NoCalendar, hours_of
from trader.hours.market_hours import DAY_S, MarketHours, Phase, market_hours

DATA = Path(__file__).parent / "data"
SHY = "SHY_1m.csv.gz"


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text + ":00+00:00").timestamp())


def texts(found: list[Interval]) -> list[tuple[str, str]]:
    return [(_text(opens), _text(closes)) for opens, closes in found]


def _text(at_utc: int) -> str:
    return datetime.fromtimestamp(at_utc, UTC).strftime("%Y-%m-%dT%H:%M")


def test_stocks_over_both_clock_changes_and_a_half_day() -> None:
    spring = hours_of("XNYS", utc("2013-03-08T00:00"), utc("2013-03-12T00:00"))
    assert texts(spring) == [("2013-03-08T14:30", "2013-03-08T21:00"), ("2013-03-11T13:30", "2013-03-11T20:00")]
    autumn = hours_of("XNYS", utc("2013-11-01T00:00"), utc("2013-11-05T00:00"))
    assert texts(autumn) == [("2013-11-01T13:30", "2013-11-01T20:00"), ("2013-11-04T14:30", "2013-11-04T21:00")]
    thanksgiving = hours_of("XNYS", utc("2013-11-28T00:00"), utc("2013-11-30T00:00"))
    assert texts(thanksgiving) == [("2013-11-29T14:30", "2013-11-29T18:00")]
    christmas = hours_of("XNYS", utc("2013-12-24T00:00"), utc("2013-12-26T00:00"))
    assert texts(christmas) == [("2013-12-24T14:30", "2013-12-24T18:00")]


def test_extended_hours_are_around_the_regular_ones() -> None:
    found = hours_of("XNYS/extended", utc("2013-11-29T00:00"), utc("2013-12-03T12:00"))
    assert texts(found)[:2] == [("2013-11-29T09:00", "2013-11-29T22:00"), ("2013-12-02T09:00", "2013-12-03T01:00")]


def test_futures_pause_each_day_and_open_on_sunday_evening_by_chicagos_clock() -> None:
    week = hours_of("CMES", utc("2026-03-06T00:00"), utc("2026-03-10T12:00"))
    assert texts(week)[:3] == [
        ("2026-03-05T23:00", "2026-03-06T22:00"),  # winter: 17:00 to 16:00 Chicago
        ("2026-03-08T22:00", "2026-03-09T21:00"),  # summer time since that night
        ("2026-03-09T22:00", "2026-03-10T21:00"),
    ]


def test_futures_of_2013_closed_a_quarter_later_as_the_recorded_bars_do() -> None:
    found = hours_of("CMES", utc("2013-10-06T12:00"), utc("2013-10-08T12:00"))
    assert texts(found)[:2] == [("2013-10-06T22:00", "2013-10-07T21:15"), ("2013-10-07T22:00", "2013-10-08T21:15")]


def test_futures_stop_at_noon_on_thanksgiving_and_go_on_in_the_evening() -> None:
    found = hours_of("CMES", utc("2026-11-25T12:00"), utc("2026-11-30T12:00"))
    assert texts(found) == [
        ("2026-11-24T23:00", "2026-11-25T22:00"),
        ("2026-11-25T23:00", "2026-11-26T18:00"),
        ("2026-11-26T23:00", "2026-11-27T18:00"),
        ("2026-11-29T23:00", "2026-11-30T22:00"),
    ]


def test_breaks_of_the_library_are_two_intervals_and_round_the_clock_is_one() -> None:
    tokyo = hours_of("XTKS", utc("2026-03-02T00:00"), utc("2026-03-03T00:00"))
    assert len(tokyo) >= 2
    assert tokyo[0][1] < tokyo[1][0], "the lunch break"
    days = hours_of("24/7", utc("2026-03-06T00:00"), utc("2026-03-10T00:00"))
    always = market_hours(days, utc("2026-03-06T00:00"), utc("2026-03-10T00:00"))
    assert len(always.opens_utc) == 1
    assert always.phase(utc("2026-03-08T00:00"), 300.0) is Phase.OPEN


@pytest.mark.parametrize(("calendar", "why"), [("XNOPE", "XNOPE"), ("CMES/extended", "extended hours"), ("", "''")])
def test_a_calendar_that_there_is_not_is_refused_with_its_name(calendar: str, why: str) -> None:
    with pytest.raises(NoCalendar, match=why):
        hours_of(calendar, utc("2026-03-06T00:00"), utc("2026-03-10T00:00"))


def stamps(name: str) -> list[int]:
    series = load_series(DATA / name, to_stderr) if "SHY" in name else load_market([name]).series(name)
    assert series is not None
    return list(series.stamps)


def hours_around(calendar: str, found: list[int]) -> MarketHours:
    from_utc, until_utc = found[0] - 10 * DAY_S, found[-1] + 10 * DAY_S
    return market_hours(hours_of(calendar, from_utc, until_utc), from_utc, until_utc)


@pytest.mark.parametrize(
    ("name", "calendar"),
    [("ESZ13", "CMES"), ("ESH14", "CMES"), ("SPY", "XNYS/extended"), ("GOOG", "XNYS/extended"), (SHY, "XNYS/extended")],
)
def test_every_recorded_bar_lies_within_the_hours(name: str, calendar: str) -> None:
    """Real trades, with an October and a December week, a half-day, a holiday and a change of the clocks among them."""
    found = stamps(name)
    hours = hours_around(calendar, found)
    outside = [stamp for stamp in found if not hours.trades_between(stamp - 60, stamp)]
    assert outside == []


def test_recorded_regular_hours_begin_and_end_with_the_calendars_over_a_change_of_the_clocks() -> None:
    found = stamps(SHY)
    hours = hours_around("XNYS", found)
    opens = [opened for opened in hours.opens_utc if found[0] < opened < found[-1]]
    assert texts([(opened, opened) for opened in opens]) == [("2008-03-07T14:30",) * 2, ("2008-03-10T13:30",) * 2]
    for opened in opens:
        assert min(stamp for stamp in found if stamp > opened) - opened < 600, "trading begins then"


def test_on_the_recorded_half_day_the_closing_auction_is_the_last_bar_of_the_hours() -> None:
    found = stamps("GOOG")
    close = hours_around("XNYS", found).next_close(utc("2015-12-24T15:00"))
    assert close == utc("2015-12-24T18:00")
    assert close in found


def test_nobody_but_the_writer_of_hours_loads_the_library() -> None:
    code = (
        "import sys; from importlib import import_module; from trader.specs import PRELOAD\n"
        "for module in (*PRELOAD, 'trader.app', 'trader.hours.writer', 'trader.cli.main'): import_module(module)\n"
        "loaded = {'pandas', 'numpy', 'exchange_calendars'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
