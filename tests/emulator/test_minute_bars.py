"""Longer minute bars of a stock are cut from its opening; "today" of an account is its trading day."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator import minute_bars
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.money import day_begins_utc, trading_day
from brokers.tradestation.emulator.state import Settings
from tests.emulator.support import START, Emulator, flat_bars, market

ALL_DAY = Settings(token_lifetime_s=86_400.0)
SPY, ES = instrument("SPY"), instrument("ESZ13")


def utc(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text + "Z").timestamp())


def shown(bounds: tuple[int, int]) -> list[str]:
    return [datetime.datetime.fromtimestamp(one, datetime.UTC).isoformat()[11:16] for one in bounds]


@pytest.mark.parametrize(
    ("stamp", "minutes", "begin_and_end"),
    [
        ("2013-10-07T13:31", 60, ["13:30", "14:30"]),
        ("2013-10-07T14:30", 60, ["13:30", "14:30"]),
        ("2013-10-07T20:00", 60, ["19:30", "20:00"]),
        ("2013-10-07T20:01", 60, ["20:00", "21:00"]),
        ("2013-10-07T13:30", 60, ["12:30", "13:30"]),
        ("2013-10-07T12:30", 60, ["11:30", "12:30"]),
        ("2013-12-02T15:00", 60, ["14:30", "15:30"]),
        ("2013-11-29T17:45", 60, ["17:30", "18:00"]),
        ("2013-10-07T14:59", 7, ["14:54", "15:01"]),
        ("2013-10-06T14:59", 60, ["14:00", "15:00"]),
        ("2013-10-07T21:00", 1440, ["20:00", "04:00"]),
        ("2013-10-08T13:00", 1440, ["04:00", "13:30"]),
        ("2013-10-06T14:59", 1440, ["04:00", "04:00"]),
    ],
)
def test_a_stocks_bar_is_cut_from_the_opening(stamp: str, minutes: int, begin_and_end: list[str]) -> None:
    assert shown(minute_bars.bounds(SPY, utc(stamp), 60 * minutes)) == begin_and_end


@given(st.integers(0, 20 * 1440), st.integers(1, 1440))
def test_each_minute_lies_in_its_bar_and_ends_never_go_back(minute: int, minutes: int) -> None:
    stamp = utc("2013-10-25T00:00") + 60 * minute  # across the end of summer time
    for about in (SPY, ES):
        begin, end = minute_bars.bounds(about, stamp, 60 * minutes)
        assert begin < stamp <= end
        assert end - begin <= 60 * minutes
        assert end <= minute_bars.bounds(about, stamp + 60, 60 * minutes)[1]
        assert minute_bars.bounds(about, end + 60, 60 * minutes)[0] >= end
        assert minute_bars.bounds(about, begin, 60 * minutes)[1] <= begin


def test_the_chart_and_its_forming_bar_agree() -> None:
    emulator = Emulator(market(SPY=flat_bars(-29, 90, "100")), ALL_DAY)
    path, query = "/v3/marketdata/barcharts/SPY", {"unit": "Minute", "interval": "60", "barsback": "2"}

    def stamps() -> list[Any]:
        return [(each["TimeStamp"][11:16], each["BarStatus"]) for each in emulator.get(path, **query)["Bars"]]

    emulator.pass_time(31 * 60)
    assert stamps() == [("14:30", "Closed"), ("15:30", "Open")]
    emulator.pass_time(60 * 60)
    assert stamps() == [("14:30", "Closed"), ("15:30", "Closed")]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Futures", "2013-10-07T21:59", "2013-10-07T22:00"),
        ("Margin", "2013-10-08T03:59", "2013-10-08T04:00"),
        ("Cash", "2013-12-03T04:59", "2013-12-03T05:00"),
    ],
)
def test_a_trading_day_begins_in_new_york(kind: str, before: str, after: str) -> None:
    assert trading_day(kind, utc(before)) + 1 == trading_day(kind, utc(after))
    assert day_begins_utc(kind, utc(after) + 3_600) == utc(after)


def test_todays_figures_of_a_futures_account_end_in_the_evening() -> None:
    flat = flat_bars(1, 8 * 60 + 10, "1000")
    emulator = Emulator(market(ESZ13=flat), ALL_DAY)
    emulator.place()
    emulator.pass_time(7 * 3_600)
    path = "/v3/brokerage/accounts/SIM100001F/balances"
    assert emulator.get(path)["Balances"][0]["Commission"] == "1.25"
    bod = "/v3/brokerage/accounts/SIM100001F/bodbalances"
    assert emulator.get(bod)["BODBalances"][0]["BalanceDetail"]["NetCash"] == "100000"
    emulator.seconds = utc("2013-10-07T22:00") - START
    assert emulator.get(path)["Balances"][0]["Commission"] == "0"
    assert emulator.get(bod)["BODBalances"][0]["BalanceDetail"]["NetCash"] == "99998.75"
