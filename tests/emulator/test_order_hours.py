"""Sessions and durations: what is held, what expires and when, and that nobody is told."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.instruments import Instrument, instrument
from brokers.tradestation.emulator.market import Bar, Market, Series
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from tests.emulator.support import FUTURES, MARGIN, START, Emulator, flat_bars, market, order

HOUR = 3600


def utc(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def about(symbol: str) -> Instrument:
    found = instrument(symbol)
    assert found is not None
    return found


ES, SPY = about("ESZ26"), about("SPY")


@pytest.mark.parametrize(
    ("at", "opens", "closes"),
    [
        ("2026-11-20T15:00:00Z", "2026-11-19T23:00:00Z", "2026-11-20T22:00:00Z"),  # Friday, winter
        ("2026-11-20T22:00:00Z", "2026-11-22T23:00:00Z", "2026-11-23T22:00:00Z"),  # the weekend
        ("2026-07-14T21:30:00Z", "2026-07-14T22:00:00Z", "2026-07-15T21:00:00Z"),  # the pause, summer
        ("2026-11-01T23:30:00Z", "2026-11-01T23:00:00Z", "2026-11-02T22:00:00Z"),  # the Sunday of the change
        ("2013-10-07T21:10:00Z", "2013-10-06T22:00:00Z", "2013-10-07T21:15:00Z"),  # until 2015 it closed at 17:15
    ],
)
def test_sessions_of_futures(at: str, opens: str, closes: str) -> None:
    found = hours.session_at(ES, utc(at))
    assert (found.opens_utc, found.closes_utc) == (utc(opens), utc(closes))


@pytest.mark.parametrize(
    ("at", "extended", "opens", "closes"),
    [
        ("2026-11-20T15:00:00Z", False, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z"),
        ("2026-11-20T21:00:00Z", False, "2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"),
        ("2026-11-27T15:00:00Z", False, "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"),  # the day after Thanksgiving
        ("2026-11-27T15:00:00Z", True, "2026-11-27T09:00:00Z", "2026-11-27T22:00:00Z"),
        ("2026-07-14T21:00:00Z", True, "2026-07-14T08:00:00Z", "2026-07-15T00:00:00Z"),
    ],
)
def test_sessions_of_stocks(at: str, extended: bool, opens: str, closes: str) -> None:
    found = hours.session_at(SPY, utc(at), extended=extended)
    assert (found.opens_utc, found.closes_utc) == (utc(opens), utc(closes))


@given(st.integers(0, 2_000_000_000), st.sampled_from([ES, SPY]), st.booleans())
def test_a_session_is_the_one_of_now_or_the_next(at_utc: int, about: Instrument, extended: bool) -> None:
    found = hours.session_at(about, at_utc, extended=extended)
    assert found.opens_utc < found.closes_utc
    assert at_utc < found.closes_utc
    assert found.opens_utc - at_utc <= 4 * 86_400


# Orders. START is 10:00 in New York, a Monday in summer: futures close at 17:15 (it is 2013), stocks at 16:00.

RESTING = {"OrderType": "Limit", "LimitPrice": "50"}


def minutes(first: int, last: int, price: str = "100") -> list[Bar]:
    return flat_bars(first, last, price)


def emulator_of(seconds: float = 0, rules: Rules | None = None) -> Emulator:
    bars = market(ESZ13=minutes(1, 3000), SPY=minutes(-300, 3000))
    return Emulator(bars, Settings(rules=rules or Rules(), token_lifetime_s=86_400), seconds)


def closed_after(emulator: Emulator, order_id: str) -> tuple[str, float | None]:
    emulator.pass_time(200 * 86_400)
    found = emulator.state.ledger.orders[order_id]
    return found.status, found.closed_utc


@pytest.mark.parametrize(
    ("account", "symbol", "duration", "ends"),
    [
        (FUTURES, "ESZ13", "DAY", "2013-10-07T21:15:00Z"),
        (MARGIN, "SPY", "DAY", "2013-10-07T20:00:00Z"),
        (MARGIN, "SPY", "DYP", "2013-10-08T00:00:00Z"),
        (MARGIN, "SPY", "3", "2013-10-07T14:03:00Z"),
        (FUTURES, "ESZ13", "GTC", "2014-01-06T22:15:00Z"),  # 90 days are a Sunday: the session after it
        (MARGIN, "SPY", "GCP", "2014-01-07T01:00:00Z"),
    ],
)
def test_an_order_expires_with_its_session(account: str, symbol: str, duration: str, ends: str) -> None:
    emulator = emulator_of()
    order_id = emulator.place(account, symbol, TimeInForce={"Duration": duration}, **RESTING)["OrderID"]
    assert closed_after(emulator, order_id) == ("EXP", utc(ends))


@pytest.mark.parametrize("keeps_id", [True, False])
@pytest.mark.parametrize(
    ("renews", "ends", "at"),
    [(True, "2014-01-08", "2014-01-08T22:15:00Z"), (False, "2014-01-05", "2014-01-06T22:15:00Z")],
)
def test_a_replace_gives_new_days_or_keeps_the_end_also_under_a_new_id(
    keeps_id: bool, renews: bool, ends: str, at: str
) -> None:
    settings = Settings(
        rules=Rules(replace_renews=renews), switches=Switches(replace_keeps_id=keeps_id), token_lifetime_s=9e6
    )
    emulator = Emulator(market(ESZ13=minutes(1, 3000)), settings)
    order_id = emulator.place(FUTURES, "ESZ13", TimeInForce={"Duration": "GTC"}, **RESTING)["OrderID"]
    emulator.pass_time(3 * 86_400)
    _, told = emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"LimitPrice": "50"})
    assert (told["OrderID"] == order_id) is keeps_id
    shown = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]
    (working,) = [each for each in shown if each["OrderID"] == told["OrderID"]]
    assert working["GoodTillDate"] == f"{ends}T00:00:00Z"
    assert closed_after(emulator, told["OrderID"]) == ("EXP", utc(at))


def test_a_replace_never_renews_what_is_good_to_a_date() -> None:
    emulator = emulator_of(rules=Rules(replace_renews=True))
    until = {"Duration": "GTD", "Expiration": "2013-10-10T00:00:00Z"}
    order_id = emulator.place(MARGIN, "SPY", TimeInForce=until, **RESTING)["OrderID"]
    emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"LimitPrice": "50"})
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{MARGIN}/orders")["Orders"]
    assert shown["GoodTillDate"] == "2013-10-10T00:00:00Z"


def test_good_till_date() -> None:
    emulator = emulator_of()
    until = {"Duration": "GTD", "Expiration": "2013-10-10T00:00:00Z"}
    order_id = emulator.place(MARGIN, "SPY", TimeInForce=until, **RESTING)["OrderID"]
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{MARGIN}/orders")["Orders"]
    assert shown["GoodTillDate"] == "2013-10-10T00:00:00Z"
    assert closed_after(emulator, order_id) == ("EXP", utc("2013-10-10T20:00:00Z"))


@pytest.mark.parametrize("until", ["2013-10-01T00:00:00Z", "soon", None])
def test_a_date_that_makes_no_sense_cannot_be_built(until: Any) -> None:
    body = order(MARGIN, "SPY", TimeInForce={"Duration": "GTD", "Expiration": until}, **RESTING)
    assert emulator_of().reply("POST", "/v3/orderexecution/orders", body)[0] == 400


def test_expiry_is_silent_and_reads_as_if_executed_but_without_a_price() -> None:
    emulator = emulator_of()
    stream = emulator.stream(f"/v3/brokerage/stream/accounts/{MARGIN}/orders")
    order_id = emulator.place(MARGIN, "SPY", **RESTING)["OrderID"]
    emulator.frames(stream)
    emulator.pass_time(7 * HOUR)
    assert [one for one in emulator.frames(stream) if "OrderID" in one] == []
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{MARGIN}/orders/{order_id}")["Orders"]
    (leg,) = shown["Legs"]
    assert (shown["Status"], shown["FilledPrice"], leg["ExecQuantity"], leg["QuantityRemaining"]) == (
        "EXP",
        "0",
        "1",
        "0",
    )
    assert "ExecutionPrice" not in leg
    assert emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")[1]["Message"] == "Not an open order."


def test_by_rule_expiry_is_told_and_shows_nothing_executed() -> None:
    emulator = emulator_of(rules=Rules(expiry_told=True, expired_shows_executed=False))
    stream = emulator.stream(f"/v3/brokerage/stream/accounts/{MARGIN}/orders")
    emulator.place(MARGIN, "SPY", **RESTING)
    emulator.pass_time(7 * HOUR)
    told = [(one["Status"], one["Legs"][0]["ExecQuantity"]) for one in emulator.frames(stream) if "OrderID" in one]
    assert told == [("ACK", "0"), ("EXP", "0"), ("EXP", "0")]


def test_before_the_open_a_stock_order_is_held_and_fills_at_the_opening() -> None:
    emulator = emulator_of(-2 * HOUR)
    order_id = emulator.place(MARGIN, "SPY")["OrderID"]
    assert emulator.state.ledger.orders[order_id].status == "DON"
    emulator.pass_time(2 * HOUR)
    (fill,) = emulator.state.ledger.fills
    assert fill.at_utc == START - HOUR / 2
    assert emulator.state.ledger.orders[order_id].status == "FLL"


def test_an_extended_order_fills_before_the_open() -> None:
    emulator = emulator_of(-2 * HOUR)
    body = {"OrderType": "Limit", "LimitPrice": "101", "TimeInForce": {"Duration": "DYP"}}
    order_id = emulator.place(MARGIN, "SPY", **body)["OrderID"]
    assert emulator.state.ledger.orders[order_id].status == "FLL"


@pytest.mark.parametrize(("fires", "at_utc"), [(True, "2013-10-07T20:41:00Z"), (False, "2013-10-08T13:30:00Z")])
def test_a_stop_for_extended_hours_fires_then_or_waits_for_regular_ones_as_a_rule_says(
    fires: bool, at_utc: str
) -> None:
    """The market falls in the evening, and stays there."""
    evening = 6 * 60 + 41
    bars = market(SPY=[*minutes(1, evening), *minutes(evening + 1, 3000, "98")])
    emulator = Emulator(bars, Settings(rules=Rules(extended_stops=fires), token_lifetime_s=9e6))
    emulator.place(MARGIN, "SPY")
    stop = {"OrderType": "StopMarket", "StopPrice": "99", "TradeAction": "SELL", "TimeInForce": {"Duration": "GCP"}}
    emulator.place(MARGIN, "SPY", **stop)
    emulator.pass_time(86_400)
    _, fill = emulator.state.ledger.fills
    assert (fill.at_utc, fill.price) == (utc(at_utc), Decimal(98))


def test_a_stop_for_extended_hours_cannot_be_turned_into_a_market_order() -> None:
    emulator = emulator_of()
    emulator.place(MARGIN, "SPY")
    stop = {"OrderType": "StopMarket", "StopPrice": "99", "TradeAction": "SELL", "TimeInForce": {"Duration": "GCP"}}
    order_id = emulator.place(MARGIN, "SPY", **stop)["OrderID"]
    status, told = emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"OrderType": "Market"})
    assert (status, "Market orders are not accepted with GCP" in told["Message"]) == (400, True)
    assert emulator.state.ledger.orders[order_id].status == "ACK"


def test_in_the_pause_a_futures_order_is_held_until_the_market_opens() -> None:
    bars = [*minutes(1, 7 * 60 + 15), *minutes(8 * 60 + 1, 9 * 60)]
    emulator = Emulator(Market([Series("ESZ13", tuple(bars))]), Settings(token_lifetime_s=86_400), 7.5 * HOUR)
    stream = emulator.stream(f"/v3/brokerage/stream/accounts/{FUTURES}/orders")
    order_id = emulator.place()["OrderID"]
    assert emulator.state.ledger.orders[order_id].status == "DON"
    resting = emulator.place(**RESTING)["OrderID"]
    emulator.pass_time(HOUR)
    (fill,) = emulator.state.ledger.fills
    assert (fill.order_id, fill.at_utc) == (order_id, START + 8 * HOUR)
    assert emulator.state.ledger.orders[resting].status == "ACK"
    told = [(one["OrderID"][-1], one["Status"]) for one in emulator.frames(stream) if "OrderID" in one]
    assert told == [("1", "DON"), ("2", "DON"), ("1", "FLL"), ("1", "FLL"), ("2", "ACK")]


def test_a_price_proves_that_a_futures_market_is_open() -> None:
    emulator = emulator_of(7.5 * HOUR)  # the bars of this test go on through the pause
    assert emulator.state.ledger.orders[emulator.place()["OrderID"]].status == "FLL"


def test_without_session_hours_a_price_is_enough() -> None:
    emulator = emulator_of(-2 * HOUR, Rules(session_hours=False))
    assert emulator.state.ledger.orders[emulator.place(MARGIN, "SPY")["OrderID"]].status == "FLL"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Duration": "FOK"}, "FOK is not accepted"),
        ({"Duration": "DYP"}, "Market orders are not accepted with DYP"),
        ({"Duration": "OPG"}, "No OPG Orders after 9:29AM Eastern Time"),
    ],
)
def test_refused_durations(fields: dict[str, str], reason: str) -> None:
    refused = emulator_of().place(MARGIN, "SPY", TimeInForce=fields)
    assert refused["Message"] == f"Order failed. Reason: {reason}"


def test_durations_of_equities_only() -> None:
    assert "is for equities" in emulator_of().place(TimeInForce={"Duration": "3"}, **RESTING)["Message"]


def test_opening_and_closing_orders() -> None:
    emulator = emulator_of(-2 * HOUR)
    opening = emulator.place(MARGIN, "SPY", TimeInForce={"Duration": "OPG"})["OrderID"]
    closing = emulator.place(MARGIN, "SPY", TimeInForce={"Duration": "CLO"})["OrderID"]
    missed = emulator.place(MARGIN, "SPY", TimeInForce={"Duration": "OPG"}, **RESTING)["OrderID"]
    emulator.pass_time(9 * HOUR)
    assert {fill.order_id: fill.at_utc - START for fill in emulator.state.ledger.fills} == {
        opening: -HOUR / 2,
        closing: 6 * HOUR,
    }
    assert emulator.state.ledger.orders[missed].status == "EXP"
