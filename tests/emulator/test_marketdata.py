"""Bars and quotes by request: what is counted, what is limited, what excludes what."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.query import when_utc
from tests.emulator.support import START, Emulator, bar, flat_bars, market

BARS = "/v3/marketdata/barcharts/ESZ13"


def minutes(body: Any) -> list[tuple[int, str, bool]]:
    return [((one["Epoch"] // 1000 - START) // 60, one["BarStatus"], one["IsEndOfHistory"]) for one in body["Bars"]]


def at_half_past_ten_minutes() -> Emulator:
    return Emulator(market(ESZ13=flat_bars(1, 60)), seconds=630)


def test_barsback_counts_the_forming_bar() -> None:
    got = at_half_past_ten_minutes().get(BARS, unit="Minute", barsback="3")
    assert minutes(got) == [(9, "Closed", False), (10, "Closed", False), (11, "Open", True)]


def test_barsback_up_to_a_past_date_holds_closed_bars_only() -> None:
    got = at_half_past_ten_minutes().get(BARS, unit="Minute", barsback="2", lastdate="2013-10-07T14:05:00Z")
    assert minutes(got) == [(4, "Closed", False), (5, "Closed", True)]


def test_a_range_holds_both_its_ends() -> None:
    dates = {"firstdate": "2013-10-07T14:03:00Z", "lastdate": "2013-10-07T14:05:00Z"}
    assert [one[0] for one in minutes(at_half_past_ten_minutes().get(BARS, unit="Minute", **dates))] == [3, 4, 5]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"unit": "Hourly"}, "Minute, Daily, Weekly, Monthly"),
        ({"unit": "Minute", "barsback": "0"}, "barsback"),
        ({"unit": "Minute", "barsback": "57601"}, "57600"),
        ({"unit": "Minute", "barsback": "50000", "interval": "60"}, "500000"),
        ({"unit": "Minute", "interval": "1441"}, "1440"),
        ({"unit": "Minute", "barsback": "1", "firstdate": "2013-10-07"}, "exclude"),
        ({"unit": "Minute", "lastdate": "2013-10-07", "startdate": "2013-10-07"}, "exclude"),
        ({"unit": "Minute", "firstdate": "yesterday"}, "firstdate must be"),
    ],
)
def test_a_bad_query_names_the_limit(query: dict[str, str], word: str) -> None:
    status, body = at_half_past_ten_minutes().reply("GET", BARS, **query)
    assert (status, body["Error"]) == (400, "BadRequest")
    assert word in body["Message"]


def test_a_quote_shows_the_last_print_and_the_day() -> None:
    emulator = Emulator(market(ESZ13=[bar(-1000, "990", "990", "990", "990"), bar(1, "1000", "1010", "995", "1005")]))
    emulator.pass_time(31)
    got = emulator.get("/v3/marketdata/quotes/ESZ13,NOPE")
    (quote,) = got["Quotes"]
    assert (quote["Last"], quote["Open"], quote["High"], quote["Low"]) == ("1010", "1000", "1010", "995")
    assert (quote["PreviousClose"], quote["NetChange"], quote["NetChangePct"]) == ("990", "20", "2.0202")
    assert quote["MarketFlags"]["IsDelayed"] is False
    assert got["Errors"] == [{"Symbol": "NOPE", "Error": "FAILED, INVALID SYMBOL"}]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"unit": "Daily", "interval": "2"}, "interval must be 1"),
        ({"sessiontemplate": "Lunch"}, "USEQPreAndPost"),
        ({"unit": "minute", "firstdate": "2010-10-06", "lastdate": "2013-10-07"}, "3 calendar years"),
    ],
)
def test_a_forbidden_query_of_longer_bars_names_the_rule(query: dict[str, str], word: str) -> None:
    status, body = at_half_past_ten_minutes().reply("GET", BARS, **query)
    assert status == 400
    assert word in body["Message"]


def test_three_years_to_the_day_are_allowed_and_names_come_in_any_case() -> None:
    got = at_half_past_ten_minutes().get(BARS, unit="MINUTE", firstdate="2010-10-07", lastdate="2013-10-07")
    assert got == {"Bars": []}
    assert at_half_past_ten_minutes().get(BARS)["Bars"][0]["TimeStamp"] == "2013-10-07T21:15:00Z"


def bundled(*names: str, at: str) -> Emulator:
    emulator = Emulator(load_market(names))
    emulator.seconds = when_utc(at, "at") - START
    return emulator


def test_daily_bars_of_a_stock_hold_regular_hours_and_end_with_them() -> None:
    spy = bundled("SPY", at="2013-10-09T12:00:00Z")
    days = spy.get("/v3/marketdata/barcharts/SPY", barsback="9")["Bars"]
    assert [(day["TimeStamp"], day["BarStatus"]) for day in days] == [
        ("2013-10-04T20:00:00Z", "Closed"),
        ("2013-10-07T20:00:00Z", "Closed"),
        ("2013-10-08T20:00:00Z", "Closed"),
    ]
    minutes = {"unit": "Minute", "sessiontemplate": "USEQ24Hour", "barsback": "9999"}
    regular = [
        bar
        for bar in spy.get("/v3/marketdata/barcharts/SPY", **minutes)["Bars"]
        if "2013-10-07T13:30:00Z" < bar["TimeStamp"] <= "2013-10-07T20:00:00Z"
    ]
    assert days[1]["Open"] == regular[0]["Open"]
    assert days[1]["Close"] == regular[-1]["Close"]
    assert days[1]["TotalVolume"] == str(sum(int(bar["TotalVolume"]) for bar in regular))


def test_a_half_day_ends_at_one_and_templates_add_their_hours() -> None:
    goog = bundled("GOOG", at="2015-12-25T12:00:00Z")
    path = "/v3/marketdata/barcharts/GOOG"
    assert [day["TimeStamp"] for day in goog.get(path, barsback="9")["Bars"]] == [
        "2015-12-23T21:00:00Z",
        "2015-12-24T18:00:00Z",
    ]

    def last_of(template: str) -> str:
        asked = {"unit": "Minute", "barsback": "1", "sessiontemplate": template}
        return str(goog.get(path, **asked)["Bars"][0]["TimeStamp"])

    assert last_of("USEQPre") == "2015-12-24T18:00:00Z"
    assert last_of("USEQPost") == "2015-12-24T21:12:00Z"
    assert last_of("Default") == "2015-12-24T21:12:00Z"
    goog.tell("switch", default_session="regular")
    assert last_of("Default") == "2015-12-24T18:00:00Z"


def test_weeks_and_months_end_on_their_last_weekday() -> None:
    es = bundled("ESZ13", at="2013-12-31T12:00:00Z")
    weeks = es.get(BARS, unit="Weekly", barsback="9")["Bars"]
    assert [week["TimeStamp"][:10] for week in weeks] == ["2013-10-11", "2013-11-22", "2013-12-06", "2013-12-20"]
    months = es.get(BARS, unit="monthly", barsback="9")["Bars"]
    assert [(month["TimeStamp"], month["BarStatus"]) for month in months] == [
        ("2013-10-31T21:15:00Z", "Closed"),
        ("2013-11-29T22:15:00Z", "Closed"),
        ("2013-12-31T22:15:00Z", "Open"),
    ]


def test_a_continuous_symbol_changes_contracts_at_the_roll() -> None:
    both = bundled("ESZ13", "ESH14", at="2013-12-17T12:00:00Z")
    details = "/v3/marketdata/symbols/@ES"
    assert both.get(details)["Symbols"][0]["Underlying"] == "ESZ13"
    both.seconds = when_utc("2013-12-19T12:00:00Z", "at") - START
    both.token = ""
    assert both.get(details)["Symbols"][0]["Underlying"] == "ESH14"
    asked = {"unit": "Minute", "firstdate": "2013-12-03T23:59:00Z", "lastdate": "2013-12-18T00:02:00Z"}
    shown = both.get("/v3/marketdata/barcharts/@ES", **asked)["Bars"]
    new = both.get("/v3/marketdata/barcharts/ESH14", **asked)["Bars"]
    assert [bar["TimeStamp"] for bar in shown][-2:] == ["2013-12-18T00:01:00Z", "2013-12-18T00:02:00Z"]
    assert shown[-2:] == new


def test_an_error_of_one_symbol_stands_beside_the_good_ones() -> None:
    got = at_half_past_ten_minutes().get("/v3/marketdata/symbols/ESZ13,NOPE")
    assert [one["Symbol"] for one in got["Symbols"]] == ["ESZ13"]
    assert got["Errors"] == [{"Symbol": "NOPE", "Error": "NotFound", "Message": "Symbol not found."}]
