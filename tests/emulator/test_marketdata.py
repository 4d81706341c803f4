"""Bars and quotes by request: what is counted, what is limited, what excludes what."""

from __future__ import annotations

from typing import Any

import pytest

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
