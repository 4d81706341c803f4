"""When a strategy's timers are due: by market time alone, each moment once, never a burst."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.hosting.timers import BadTimer, Timer, Timers, timer

NEW_YORK = "America/New_York"


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def at(text: str) -> Timer:
    return timer("close", None, text, NEW_YORK)


def test_seconds_are_counted_from_the_hour_and_not_from_the_start() -> None:
    quarter = timer("quarter", 900, None, "UTC")
    assert quarter.next_due(utc("2013-10-07T14:03:12")) == utc("2013-10-07T14:15:00")
    assert quarter.next_due(utc("2013-10-07T14:15:00")) == utc("2013-10-07T14:30:00")
    assert quarter.newest_due(utc("2013-10-07T14:15:00")) == utc("2013-10-07T14:15:00")


def test_a_time_of_day_keeps_to_the_clock_of_its_place_over_the_clock_change() -> None:
    """New York goes back an hour on 2013-11-03."""
    assert at("15:55").next_due(utc("2013-11-02T00:00:00")) == utc("2013-11-02T19:55:00")
    assert at("15:55").next_due(utc("2013-11-02T19:55:00")) == utc("2013-11-03T20:55:00")
    assert at("15:55").newest_due(utc("2013-11-04T00:30:00")) == utc("2013-11-03T20:55:00")


def test_a_time_that_the_clock_change_leaves_out_or_tells_twice_is_due_once_that_day() -> None:
    spring = [at("02:30").next_due(utc("2013-03-10T00:00:00"))]
    spring.append(at("02:30").next_due(spring[0]))
    assert [datetime.fromtimestamp(each, ZoneInfo(NEW_YORK)).day for each in spring] == [10, 11]
    autumn = [at("01:30").next_due(utc("2013-11-03T00:00:00"))]
    autumn.append(at("01:30").next_due(autumn[0]))
    assert [datetime.fromtimestamp(each, ZoneInfo(NEW_YORK)).day for each in autumn] == [3, 4]


@pytest.mark.parametrize(
    ("name", "every_s", "moment", "zone", "complaint"),
    [
        ("a b", 60, None, "UTC", "a name has 1 to 40"),
        ("x" * 41, 60, None, "UTC", "a name has 1 to 40"),
        ("x", None, None, "UTC", "wanted one of every_s"),
        ("x", 60, "15:55", "UTC", "wanted one of every_s"),
        ("x", 0, None, "UTC", "whole seconds, 1 to 86400"),
        ("x", 1.5, None, "UTC", "whole seconds, 1 to 86400"),
        ("x", True, None, "UTC", "whole seconds, 1 to 86400"),
        ("x", None, "15:55:00.5", "UTC", "wanted whole seconds"),
        ("x", None, "25:00", "UTC", "wanted a time of day"),
        ("x", None, "15:55+01:00", "UTC", "has a zone in it"),
        ("x", None, "15:55", "Mars/Olympus", "is not known here"),
        ("x", None, "15:55", "../etc/passwd", "zone '../etc/passwd'"),
    ],
)
def test_a_timer_that_cannot_be_meant_is_refused(
    name: str, every_s: int | None, moment: str | None, zone: str, complaint: str
) -> None:
    with pytest.raises(BadTimer, match=complaint):
        timer(name, every_s, moment, zone)


def test_a_new_timer_waits_for_its_next_moment_and_an_old_one_goes_on_from_its_cursor() -> None:
    hourly = timer("hourly", 3600, None, "UTC")
    daily = timer("daily", None, "16:00", "UTC")
    timers = Timers((hourly, daily), {"daily": utc("2013-10-06T16:00:00")})
    now_utc = utc("2013-10-07T15:30:00")
    assert timers.begin(now_utc) == {"hourly": now_utc}
    assert timers.due(now_utc) is None
    assert timers.next_due() == utc("2013-10-07T16:00:00")
    assert timers.due(utc("2013-10-07T16:00:00")) is not None


def test_after_a_week_of_nothing_each_timer_is_told_once_with_its_newest_moment() -> None:
    minutely, daily = timer("minutely", 60, None, "UTC"), timer("daily", None, "16:00", "UTC")
    begun = utc("2013-10-01T00:00:00")
    timers = Timers((minutely, daily), {"minutely": begun, "daily": begun})
    now_utc = utc("2013-10-08T12:00:30")
    told = []
    while (due := timers.due(now_utc)) is not None:
        told.append(due)
        timers.consumed(*due)
    assert sorted(told) == [("daily", utc("2013-10-07T16:00:00")), ("minutely", utc("2013-10-08T12:00:00"))]


timers_of_any_kind = st.one_of(
    st.builds(lambda every: timer("t", every, None, "UTC"), st.integers(1, 86_400)),
    st.builds(
        lambda hour, minute, zone: timer("t", None, f"{hour:02}:{minute:02}", zone),
        st.integers(0, 23),
        st.integers(0, 59),
        st.sampled_from([NEW_YORK, "UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    ),
)


@given(timers_of_any_kind, st.integers(1_356_998_400, 1_388_534_400))
def test_the_next_moment_is_the_first_after_and_the_newest_the_last_up_to_now(one: Timer, now: int) -> None:
    following = one.next_due(float(now))
    assert following > now
    assert one.newest_due(following) == following
    assert one.newest_due(float(now)) <= now
    assert one.next_due(one.newest_due(float(now))) == following


@given(timers_of_any_kind, st.lists(st.floats(0.0, 200_000.0), min_size=1, max_size=30), st.data())
def test_whatever_the_pauses_and_restarts_no_moment_is_told_twice_and_the_newest_always_is(
    one: Timer, pauses: list[float], data: st.DataObject
) -> None:
    now_utc = begun = utc("2013-10-01T00:00:00")
    durable: dict[str, int] = {}
    timers = Timers((one,), durable)
    durable |= timers.begin(now_utc)
    told: list[int] = []
    for pause_s in pauses:
        now_utc += pause_s
        if data.draw(st.booleans(), "restarted"):
            timers = Timers((one,), durable)
            assert timers.begin(now_utc) == {}
        due = timers.due(now_utc)
        if due is not None and data.draw(st.booleans(), "committed"):
            timers.consumed(*due)
            durable["t"] = due[1]
            told.append(due[1])
    assert told == sorted(set(told)), "in order, none twice"
    assert all(begun < moment <= now_utc for moment in told)
    last = Timers((one,), durable).due(now_utc)
    newest = one.newest_due(now_utc)
    assert last == (("t", newest) if newest > durable["t"] else None)
