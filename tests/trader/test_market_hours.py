"""When a market is open: phases, what is due, what is missing; weeks of clock changes, half-days, breaks, Sundays."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.hours.market_hours import (
    CLOSING_S,
    DAY_S,
    FUTURES,
    STOCKS,
    UNKNOWN_HOURS,
    HoursConfig,
    MarketHours,
    Phase,
    bars_calendar_of,
    calendar_of,
    calendars_of,
    entry_refusal,
    market_hours,
    renewal_due,
)

MINUTE_S = 60


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text + ":00+00:00").timestamp())


def hours(
    *intervals: tuple[str, str], known: tuple[str, str] = ("2013-01-01T00:00", "2014-12-31T00:00")
) -> MarketHours:
    return market_hours([(utc(a), utc(b)) for a, b in intervals], utc(known[0]), utc(known[1]))


THANKSGIVING = hours(
    ("2013-11-27T14:30", "2013-11-27T21:00"),
    ("2013-11-29T14:30", "2013-11-29T18:00"),
    ("2013-12-02T14:30", "2013-12-02T21:00"),
)
ES_DAYS = hours(("2013-10-06T22:00", "2013-10-07T21:15"), ("2013-10-07T22:00", "2013-10-08T21:15"))


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        ("2013-11-27T14:29", Phase.CLOSED),
        ("2013-11-27T14:30", Phase.OPEN),
        ("2013-11-27T20:54", Phase.OPEN),
        ("2013-11-27T20:55", Phase.CLOSING),
        ("2013-11-27T21:00", Phase.CLOSED),
        ("2013-11-28T16:00", Phase.CLOSED),  # Thanksgiving
        ("2013-11-29T17:55", Phase.CLOSING),  # a half-day
        ("2013-11-29T18:00", Phase.CLOSED),
        ("2015-01-02T16:00", Phase.UNKNOWN),  # after all that is known: nobody says closed
        ("2012-12-31T16:00", Phase.UNKNOWN),
    ],
)
def test_the_phase_is_the_calendars(at: str, phase: Phase) -> None:
    assert THANKSGIVING.phase(utc(at), CLOSING_S) is phase


def test_a_phase_says_since_when_and_until_when() -> None:
    closed = THANKSGIVING.moment(utc("2013-11-28T16:00"), CLOSING_S)
    assert (closed.began_utc, closed.until_utc) == (utc("2013-11-27T21:00"), utc("2013-11-29T14:30"))
    closing = THANKSGIVING.moment(utc("2013-11-29T17:58"), CLOSING_S)
    assert (closing.began_utc, closing.until_utc) == (utc("2013-11-29T17:55"), utc("2013-11-29T18:00"))
    assert THANKSGIVING.next_open(utc("2013-11-29T18:00")) == utc("2013-12-02T14:30")
    assert THANKSGIVING.next_close(utc("2013-11-28T18:00")) == utc("2013-11-29T18:00")


def test_a_break_is_a_close_and_sunday_evening_an_open() -> None:
    assert ES_DAYS.phase(utc("2013-10-06T21:59")) is Phase.CLOSED
    assert ES_DAYS.phase(utc("2013-10-06T22:00")) is Phase.OPEN
    assert ES_DAYS.phase(utc("2013-10-07T21:30")) is Phase.CLOSED
    assert ES_DAYS.phase(utc("2013-10-07T22:00")) is Phase.OPEN


def test_days_that_touch_are_one_without_a_close_between() -> None:
    clock_round = hours(("2013-10-07T00:00", "2013-10-08T00:00"), ("2013-10-08T00:00", "2013-10-09T00:00"))
    assert clock_round.phase(utc("2013-10-07T23:59"), CLOSING_S) is Phase.OPEN
    assert clock_round.next_close(utc("2013-10-07T12:00")) == utc("2013-10-09T00:00")


def test_of_a_session_shorter_than_its_closing_time_all_is_closing() -> None:
    short = hours(("2013-10-07T10:00", "2013-10-07T10:03"))
    moment = short.moment(utc("2013-10-07T10:01"), CLOSING_S)
    assert (moment.phase, moment.began_utc) == (Phase.CLOSING, utc("2013-10-07T10:00"))


def test_the_bar_that_is_due_after_a_close_is_the_first_of_the_next_hours() -> None:
    assert ES_DAYS.due(utc("2013-10-07T21:14"), MINUTE_S) == utc("2013-10-07T21:15")
    assert ES_DAYS.due(utc("2013-10-07T21:15"), MINUTE_S) == utc("2013-10-07T22:01")
    assert ES_DAYS.due(utc("2013-10-07T21:40"), MINUTE_S) == utc("2013-10-07T22:01")
    assert THANKSGIVING.due(utc("2013-11-29T18:00"), MINUTE_S) == utc("2013-12-02T14:31")
    assert UNKNOWN_HOURS.due(utc("2013-11-29T18:00"), MINUTE_S) == utc("2013-11-29T18:01")


def test_holidays_are_the_weekdays_on_which_no_trading_day_ends() -> None:
    assert THANKSGIVING.days_off(utc("2013-11-27T15:00"), 5) == (date(2013, 11, 28),)
    assert ES_DAYS.days_off(utc("2013-10-07T00:00"), 2) == ()
    assert UNKNOWN_HOURS.days_off(utc("2013-11-27T15:00"), 5) == ()


def test_a_short_day_is_shorter_than_most() -> None:
    assert THANKSGIVING.short_days(utc("2013-11-27T15:00"), 7) == (date(2013, 11, 29),)
    assert THANKSGIVING.short_days(utc("2013-11-29T19:00"), 7) == ()
    assert UNKNOWN_HOURS.short_days(utc("2013-11-27T15:00"), 7) == ()


@pytest.mark.parametrize(
    ("symbol", "calendar"),
    [
        ("SPY", STOCKS), ("BRK.B", STOCKS), ("ES", STOCKS),
        ("ESZ13", FUTURES), ("@ES", FUTURES), ("MGCZ26", FUTURES), ("CLF27", FUTURES),
        ("ZCZ26", ""), ("@DX", ""), ("BTCUSD", ""), ("SPY 131018C165", ""), ("", ""), ("$SPX.X", ""),
    ],
)  # fmt: skip
def test_the_calendar_follows_from_what_a_symbol_is_and_is_not_guessed(symbol: str, calendar: str) -> None:
    assert calendar_of(symbol, HoursConfig()) == calendar


def test_the_configuration_names_the_calendar_of_a_symbol_or_of_a_root() -> None:
    config = HoursConfig({"BTCUSD": "24/7", "ZC": "CBOT", "ESZ13": "XEUR"}, extended=("SPY",))
    assert calendar_of("BTCUSD", config) == "24/7"
    assert calendar_of("ZCZ26", config) == calendar_of("@ZC", config) == "CBOT"
    assert (calendar_of("ESZ13", config), calendar_of("ESH14", config)) == ("XEUR", FUTURES)
    assert (calendar_of("SPY", config), bars_calendar_of("SPY", config)) == (STOCKS, "XNYS/extended")
    assert set(calendars_of(config)) == {"24/7", "CBOT", "XEUR", "XNYS", "XNYS/extended", "CMES"}


def test_entries_are_refused_while_closed_or_closing_and_unknown_is_not_closed() -> None:
    assert entry_refusal("SPY", THANKSGIVING.moment(utc("2013-11-29T15:00"), CLOSING_S)) == ""
    assert "closes 2013-11-29T18:00:00Z" in entry_refusal(
        "SPY", THANKSGIVING.moment(utc("2013-11-29T17:56"), CLOSING_S)
    )
    assert "it opens 2013-11-29T14:30:00Z" in entry_refusal("SPY", THANKSGIVING.moment(utc("2013-11-28T17:56")))
    assert entry_refusal("SPY", UNKNOWN_HOURS.moment(utc("2013-11-28T17:56"))) == ""


def test_hours_are_written_anew_each_day_and_when_one_is_missing() -> None:
    config, now = HoursConfig(), float(utc("2013-11-28T00:00"))
    fresh = dict.fromkeys(calendars_of(config), now - 3600)
    assert not renewal_due(fresh, config, now)
    assert renewal_due(fresh, config, now + DAY_S)
    assert renewal_due(fresh, config, now - 2 * DAY_S), "the clock went back: those hours are of another time"
    assert renewal_due(fresh, HoursConfig({"BTCUSD": "24/7"}), now)
    assert renewal_due({}, config, now)


NUMBERS = st.integers(0, 2_000)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), NUMBERS, st.integers(0, 2_000), st.integers(1, 300), NUMBERS)
def test_hours_agree_with_a_look_at_each_second(
    pairs: list[tuple[int, int]], since: int, length: int, interval_s: int, after: int
) -> None:
    made = market_hours(pairs, since, since + length)
    is_open = {second for a, b in pairs for second in range(a, b)}

    def may_be_open(second: int) -> bool:
        return second in is_open or not since <= second < since + length

    for second in (after, after + interval_s, *(x for pair in pairs for x in pair)):
        phase = made.phase(second)
        expected = Phase.UNKNOWN if not since <= second < since + length else None
        assert phase is (expected or (Phase.OPEN if second in is_open else Phase.CLOSED))
    assert made.trades_between(after, after + interval_s) == any(map(may_be_open, range(after, after + interval_s)))
    due = made.due(after, interval_s)
    assert due > after
    if made.knows(after) and due < made.until_utc:
        assert made.trades_between(due - interval_s, due)
        assert not any(map(may_be_open, range(after, due - interval_s)))
