"""Quotes: the snapshot's fields and the change stream."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.market import Market, Quote, Quotes, Series
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.ticks import Tick, TickSeries, bars_of, by_minute
from brokers.tradestation.emulator.values import OpenStream
from tests.emulator.support import START, Emulator, bar, flat_bars, market

STREAM = "/v3/marketdata/stream/quotes"
SNAPSHOT = "/v3/marketdata/quotes"


def two_days() -> Emulator:
    bars = [bar(-1000, "990", "1000", "980", "990", 50), bar(1, "1000", "1010", "995", "1005"), *flat_bars(2, 60)]
    return Emulator(market(ESZ13=bars, SPY=flat_bars(1, 60, "100")))


def test_a_snapshot_has_the_fields_of_the_sample() -> None:
    one = two_days()
    one.pass_time(31)
    (quote,) = one.get(f"{SNAPSHOT}/ESZ13")["Quotes"]
    assert quote == {
        "Symbol": "ESZ13",
        "Open": "1000",
        "High": "1010",
        "Low": "995",
        "Volume": "75",
        "VWAP": "1005",
        "PreviousClose": "990",
        "Last": "1010",
        "NetChange": "20",
        "NetChangePct": "2.0202",
        "Close": "1010",
        "TradeTime": "2013-10-07T14:00:30Z",
        "High52Week": "1010",
        "High52WeekTimestamp": "2013-10-07T00:00:00Z",
        "Low52Week": "980",
        "Low52WeekTimestamp": "2013-10-07T00:00:00Z",
        "PreviousVolume": "50",
        "DailyOpenInterest": "0",
        "LastSize": "0",
        "LastVenue": "CME",
        "Bid": "1010",
        "BidSize": "0",
        "Ask": "1010",
        "AskSize": "0",
        "TickSizeTier": "0",
        "MarketFlags": {"IsDelayed": False, "IsHardToBorrow": False, "IsBats": False, "IsHalted": False},
    }


def test_a_stream_begins_with_whole_quotes_and_bad_symbols_and_goes_on_with_changes() -> None:
    one = two_days()
    answer = one.ask("GET", f"{STREAM}/ESZ13,NOPE,SPY")
    assert isinstance(answer, OpenStream)
    assert answer.headers["content-type"] == "application/vnd.tradestation.streams.v2+json"
    first, second, bad = one.frames(answer.stream_id)
    assert (first["Symbol"], second["Symbol"]) == ("ESZ13", "SPY")
    assert bad == {"Symbol": "NOPE", "Error": "FAILED, INVALID SYMBOL"}
    assert first["NetChangePct"] == "0.010101"  # a fraction here, percent in the snapshot
    one.pass_time(15)
    told = one.frames(answer.stream_id)
    assert told[0]["Symbol"] == "ESZ13"
    assert told[0]["Last"] == "995"
    assert "Open" not in told[0]
    assert "MarketFlags" not in told[0]


def test_a_quiet_quote_stream_beats() -> None:
    one = Emulator(market(SPY=[bar(1, "100", "100", "100", "100"), bar(60, "100", "100", "100", "100")]), seconds=61)
    stream = one.stream(f"{STREAM}/SPY")
    one.frames(stream)
    one.pass_time(5)
    assert one.frames(stream) == [{"Heartbeat": 1, "Timestamp": "2013-10-07T14:01:06Z"}]


PRICES = st.integers(1, 30)


@given(prices=st.lists(st.tuples(PRICES, PRICES), min_size=1, max_size=12), stops=st.lists(st.integers(1, 90)))
def test_merged_changes_are_the_snapshot(prices: list[tuple[int, int]], stops: list[int]) -> None:
    bars = [
        bar(n, str(a), str(max(a, b)), str(min(a, b)), str(b)) for n, (a, b) in enumerate(prices, 1) if n % 4 != 3
    ] or [bar(1, "1", "1", "1", "1")]
    one = Emulator(market(ESZ13=bars), Settings(token_lifetime_s=86_400.0))
    stream = one.stream(f"{STREAM}/ESZ13")
    merged: dict[str, object] = {}
    for seconds in [0, *stops]:
        one.pass_time(seconds)
        for frame in one.frames(stream):
            merged |= frame if "Heartbeat" not in frame else {}
    shown = one.get(f"{SNAPSHOT}/ESZ13")["Quotes"]
    if shown:
        percent = Decimal(shown[0].pop("NetChangePct")) / 100
        assert Decimal(str(merged.pop("NetChangePct"))) == percent
    assert merged == (shown[0] if shown else {})


def test_bid_and_ask_come_from_the_quotes_where_there_are_any() -> None:
    d = Decimal
    opened, closed = Quote(d("9.75"), 3, d("10"), 4), Quote(d("9.5"), 3, None, 0)
    quotes = Quotes((START + 60,), (opened,), (closed,))
    series = Series("ESZ13", tuple(flat_bars(1, 2, "10")), quotes)
    assert quotes.at(START - 1) is None
    assert [quotes.at(START + n) for n in (0, 44, 45, 600)] == [opened, opened, closed, closed]
    one = Emulator(Market([series]))
    (quote,) = one.get(f"{SNAPSHOT}/ESZ13")["Quotes"]
    assert [quote[name] for name in ("Bid", "BidSize", "Ask", "AskSize")] == ["9.75", "3", "10", "4"]
    one.pass_time(45)
    (quote,) = one.get(f"{SNAPSHOT}/ESZ13")["Quotes"]
    assert (quote["Bid"], "Ask" in quote) == ("9.5", False)


def test_a_late_turn_tells_a_quote_as_it_is_now() -> None:
    one = two_days()
    stream = one.stream(f"{STREAM}/ESZ13")
    one.frames(stream)
    one.pass_time(600)
    (frame,) = one.frames(stream)
    assert (frame["TradeTime"], "Last" in frame) == ("2013-10-07T14:10:00Z", False)


def test_ticks_tell_the_size_of_the_last_trade() -> None:
    ticks = by_minute([Tick(START + 3.0, Decimal(1000), 7), Tick(START + 40.0, Decimal(1001), 2)])
    bars = tuple(bars_of(ticks))
    emulator = Emulator(Market([TickSeries("ESZ13", bars, ticks)]))
    sizes = []
    for seconds in (1, 10, 40, 100):
        emulator.pass_time(seconds - emulator.seconds)
        quotes = emulator.get(f"{SNAPSHOT}/ESZ13")["Quotes"]
        sizes.append(quotes[0]["LastSize"] if quotes else None)
    assert sizes == [None, "7", "2", "2"]
