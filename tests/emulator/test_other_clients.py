"""What public clients of the venue were found to send and to read, one by one: by the pure app, so each costs nothing.

By sockets and libraries, see test_strangers.py.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest

from brokers.tradestation.emulator.app import app
from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.server import ORIGIN_UTC, origin_of, silent_at
from brokers.tradestation.emulator.values import Reply, Request
from tests.emulator.support import FUTURES, MARGIN, START, Emulator, bar, flat_bars, market

PLACE, GROUP = "/v3/orderexecution/orders", "/v3/orderexecution/ordergroups"
HOUR_S = 3600


def spy() -> Emulator:
    return Emulator(market(SPY=flat_bars(-9, 60, "100"), ESZ13=flat_bars(-9, 60, "1700")))


# -- orders: the samples of the venue's own document, with our symbols ------------------------------------------------


def one(action: str = "BUY", **fields: Any) -> dict[str, Any]:
    """As the samples write it: in capitals or not, texts for numbers."""
    return {
        "AccountID": MARGIN,
        "OrderType": "Market",
        "Quantity": "10",
        "Route": "Intelligent",
        "Symbol": "SPY",
        "TimeInForce": {"Duration": "GTC"},
        "TradeAction": action,
        **fields,
    }


STOP = {"OrderType": "StopMarket", "StopPrice": "95"}
TRAIL = {"OrderType": "StopMarket", "AdvancedOptions": {"TrailingStop": {"Percent": "5.0"}}}
LIMIT = {"OrderType": "Limit", "LimitPrice": "99"}
RULE = {"Predicate": "Lt", "Price": "10000.01", "RuleType": "Price", "Symbol": "ESZ13", "TriggerKey": "STTN"}
ACTIVATED = {"MarketActivationRules": [RULE], "TimeActivationRules": [{"TimeUtc": "0001-01-01T23:59:59.000Z"}]}
BRACKET = {"Type": "BRK", "Orders": [one("SELL", **STOP), one("SELL", OrderType="Limit", LimitPrice="110")]}
SAMPLES = {
    "market": one(TimeInForce={"Duration": "Day"}),
    "limit": one(**LIMIT),
    "stop market": one(OrderType="StopMarket", StopPrice="110"),
    "stop limit": one("SELLSHORT", OrderType="StopLimit", StopPrice="95", LimitPrice="94"),
    "several brackets": one(**LIMIT, OSOs=[BRACKET, BRACKET]),
    "an amount that trails": one(
        **LIMIT,
        OSOs=[{"Type": "NORMAL", "Orders": [one("SELL", **STOP, AdvancedOptions={"TrailingStop": {"Amount": "10"}})]}],
    ),
    "a percent that trails": one(
        **LIMIT | {"TimeInForce": {"Duration": "IOC"}}, OSOs=[{**BRACKET, "Orders": [one("SELL", **TRAIL)]}]
    ),
    "orders after an order": one(**LIMIT, OSOs=[{"Type": "Normal", "Orders": [one(**LIMIT), one("SELL", **TRAIL)]}]),
    "short with a bracket": one(
        "SellShort",
        OrderType="Limit",
        LimitPrice="110",
        OSOs=[{"Type": "BRK", "Orders": [one("BuyToCover", **STOP), one("BuyToCover", **LIMIT)]}],
    ),
    "activation": one(AdvancedOptions=ACTIVATED),
    "a time": one("Sell", **LIMIT, AdvancedOptions={"TimeActivationRules": [{"TimeUtc": "0001-01-01T18:50:00.000Z"}]}),
    "one minute": one(**LIMIT | {"TimeInForce": {"Duration": "1 MIN"}}),
    "five minutes": one(**LIMIT | {"TimeInForce": {"Duration": "5 min"}}),
    "names of another case": {
        "AccountId": MARGIN,
        "Symbol": "spy",
        "Quantity": 1,
        "OrderType": "Limit",
        "LimitPrice": 99.5,
        "TradeAction": "Buy",
        "TimeInForce": {"Duration": "GTD", "Expiration": "2013-10-10T00:00:00+00:00"},
        "OrderConfirmId": "abc",
        "Osos": None,
        "BuyingPowerWarning": "Enforce",
    },
}
GROUPS = {
    "breakout": {"Type": "OCO", "Orders": [one("Buy", **STOP | {"StopPrice": "110"}), one("SellShort", **STOP)]},
    "normal": {"Type": "NORMAL", "Orders": [one("Buy", **LIMIT) for _ in range(4)]},
    "activation": {
        "Type": "OCO",
        "Orders": [
            one("BUY", **LIMIT, AdvancedOptions=ACTIVATED),
            one(
                "BUY",
                OrderType="StopMarket",
                AdvancedOptions={**ACTIVATED, "AdvancedOptions": {"TrailingStop": {"Percent": "5.0"}}},
            ),
        ],
    },
}


def with_its_position(name: str) -> Emulator:
    emulator = spy()
    if name in ("a time",):
        emulator.place(MARGIN, "SPY", Quantity="10")
    return emulator


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_of_the_venues_document_is_confirmed_and_placed(name: str) -> None:
    emulator, body = with_its_position(name), SAMPLES[name]
    status, told = emulator.reply("POST", "/v3/orderexecution/orderconfirm", body)
    assert status == 200, told
    status, told = emulator.reply("POST", PLACE, body)
    assert (status, [each for each in told["Orders"] if "Error" in each]) == (200, [])
    assert all(each["OrderID"] and each["Message"].startswith("Sent order: ") for each in told["Orders"])
    emulator.pass_time(600)


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_of_the_venues_document_is_confirmed_and_placed(name: str) -> None:
    emulator = spy()
    status, told = emulator.reply("POST", "/v3/orderexecution/ordergroupconfirm", GROUPS[name])
    assert (status, len(told.get("Confirmations", []))) == (200, len(GROUPS[name]["Orders"])), told
    status, told = emulator.reply("POST", GROUP, GROUPS[name])
    assert (status, len(told["Orders"]), "Errors" in told) == (200, len(GROUPS[name]["Orders"]), False)


@pytest.mark.parametrize(
    ("placed", "change"),
    [
        (LIMIT, {"OrderType": "Market"}),
        (LIMIT, {"LimitPrice": "98.5", "Quantity": "20"}),
        (
            {"OrderType": "StopLimit", "StopPrice": "110", "LimitPrice": "111"},
            {"StopPrice": "112", "LimitPrice": "113"},
        ),
        (TRAIL, {"AdvancedOptions": {"TrailingStop": {"Amount": "2.11"}}, "Quantity": "10"}),
        (LIMIT, one(**LIMIT) | {"OrderID": "x"}),
    ],
)
def test_a_change_as_clients_send_it_is_made(placed: dict[str, Any], change: dict[str, Any]) -> None:
    """Also the whole order once more, as some do."""
    emulator = spy()
    order_id = emulator.reply("POST", PLACE, one(**placed))[1]["Orders"][0]["OrderID"]
    status, told = emulator.reply("PUT", f"{PLACE}/{order_id}", change)
    assert (status, told) == (200, {"Message": "Cancel/Replace order sent.", "OrderID": order_id})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/data/symbols/suggest/SP"),
        ("GET", "/v3/users/me/accounts"),
        ("GET", f"/v3/brokerage/accounts/{FUTURES}/wallets"),
        ("GET", f"/v3/brokerage/stream/accounts/{FUTURES}/balances"),
        ("GET", "/v3/marketdata/symbollists/cryptopairs/symbolnames"),
        ("GET", "/v3/marketdata/options/expirations/SPY"),
        ("POST", "/v3/marketdata/options/riskreward"),
        ("GET", "/v3/marketdata/stream/options/chains/SPY"),
        ("GET", "/v3/marketdata/stream/marketdepth/quotes/SPY"),
        ("GET", "/v3/marketdata/stream/tickbars/SPY"),
        ("PATCH", PLACE),
    ],
)
def test_what_is_not_served_is_unknown_in_the_venues_words(method: str, path: str) -> None:
    status, told = spy().reply(method, path)
    assert (status, told["Error"], bool(told["Message"])) == (404, "NotFound", True)


def test_an_option_is_an_unknown_symbol() -> None:
    emulator = spy()
    quotes = emulator.get("/v3/marketdata/quotes/SPY 131019C170,SPY")
    assert [len(quotes["Quotes"]), quotes["Errors"][0]["Error"]] == [1, "FAILED, INVALID SYMBOL"]
    status, told = emulator.reply("POST", PLACE, one(Legs=[{"Symbol": "SPY 131019C170", "Quantity": 10}], Symbol=None))
    assert (status, told["Message"]) == (400, "Failed to build order: FAILED, INVALID SYMBOL")


# -- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("since", ["2013-10-01", "10-01-2013", "2013/10/01", "10/1/2013", "2013-10-01T00:00:00Z"])
def test_a_date_in_any_of_the_forms_in_use_is_read(since: str) -> None:
    emulator = spy()
    path = f"/v3/brokerage/accounts/{FUTURES}/historicalorders"
    assert emulator.get(path, since=since) == {"Orders": [], "Errors": []}
    bars = emulator.get("/v3/marketdata/barcharts/SPY", unit="Minute", firstdate=since, lastdate="10-07-2013T13:59:00z")
    assert len(bars["Bars"]) == 9


@pytest.mark.parametrize("since", ["", "yesterday", "2013-13-01", "13-13-2013", "1380585600", "2013-10"])
def test_what_is_no_date_is_told_with_the_forms_there_are(since: str) -> None:
    status, told = spy().reply("GET", f"/v3/brokerage/accounts/{FUTURES}/historicalorders", since=since)
    assert status == 400
    assert "since must be a date like 2013-10-07 or 10-07-2013" in told["Message"]


def test_symbols_are_known_in_small_letters() -> None:
    emulator = spy()
    emulator.place()
    assert emulator.get("/v3/marketdata/quotes/spy,@es")["Quotes"][0]["Symbol"] == "SPY"
    assert emulator.get("/v3/marketdata/symbols/esz13")["Symbols"][0]["Symbol"] == "ESZ13"
    assert emulator.get("/v3/marketdata/barcharts/spy", unit="minute")["Bars"]
    assert len(emulator.get(f"/v3/brokerage/accounts/{FUTURES}/positions", symbol="es*")["Positions"]) == 1


QUOTE = (
    *("Symbol", "Open", "High", "Low", "PreviousClose", "Last", "Ask", "AskSize", "Bid", "BidSize", "NetChange"),
    *("NetChangePct", "High52Week", "High52WeekTimestamp", "Low52Week", "Low52WeekTimestamp", "Volume"),
    *("PreviousVolume", "Close", "DailyOpenInterest", "TradeTime", "TickSizeTier", "LastSize", "LastVenue", "VWAP"),
)
POSITION = (
    *("AccountID", "AssetType", "AveragePrice", "Bid", "Ask", "ConversionRate", "DayTradeRequirement", "Last"),
    *("InitialRequirement", "LongShort", "MarkToMarketPrice", "MarketValue", "PositionID", "Quantity", "Symbol"),
    *("Timestamp", "TodaysProfitLoss", "TotalCost", "UnrealizedProfitLoss", "UnrealizedProfitLossPercent"),
    "UnrealizedProfitLossQty",
)
BALANCE = (
    *("AccountID", "AccountType", "CashBalance", "BuyingPower", "Equity", "MarketValue", "TodaysProfitLoss"),
    *("UnclearedDeposit", "Commission"),
)


def test_no_field_is_missing_that_a_typed_client_insists_on() -> None:
    """Clients of typed languages read nothing of an object that lacks a field which they did not expect to be missing.
    All are texts; also in the first minutes of a day, and of data without volumes."""
    silent = Emulator(
        market(SPY=[bar(m, "100", "101", "99", "100", 0) for m in range(-9, 60)], ESZ13=flat_bars(-9, 60))
    )
    for emulator in (spy(), silent):
        for hours in (0, 10.5):
            emulator.seconds, emulator.token = hours * HOUR_S, ""
            for quote in emulator.get("/v3/marketdata/quotes/SPY,@ES")["Quotes"]:
                assert {type(quote[name]) for name in QUOTE} == {str}
                assert quote["MarketFlags"].keys() == {"IsDelayed", "IsHardToBorrow", "IsBats", "IsHalted"}
        emulator.seconds, emulator.token = 60.0, ""
        emulator.place()
        (position,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/positions")["Positions"]
        assert {type(position[name]) for name in POSITION} == {str}
        assert all(int(position[name]) for name in ("Quantity", "ConversionRate", "DayTradeRequirement"))
        for balance in emulator.get(f"/v3/brokerage/accounts/{FUTURES},{MARGIN}/balances")["Balances"]:
            assert {type(balance[name]) for name in BALANCE} == {str}


# -- signing in -------------------------------------------------------------------------------------------------------

REFRESH = {"grant_type": "refresh_token", "client_id": "demo-client", "refresh_token": "demo-refresh"}


def granted(emulator: Emulator, body: bytes, path: str = "/oauth/token", **headers: str) -> tuple[int, Any]:
    reply = app(emulator.state, Request("POST", path, {}, headers, body), emulator.now)
    assert isinstance(reply, Reply)
    return reply.status, msgspec.json.decode(reply.body)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@pytest.mark.parametrize("secret", [None, "demo-secret"])
def test_a_parameter_that_is_null_is_not_there(secret: str | None) -> None:
    body = msgspec.json.encode({**REFRESH, "client_secret": secret, "scope": None})
    assert granted(spy(), body, **{"content-type": "application/json"})[0] == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (basic("demo-client", "demo-secret"), 200),
        (basic("demo%2Dclient", "demo-secret"), 200),
        (basic("demo-client", "wrong"), 401),
        (basic("other", "demo-secret"), 401),
        ("Basic !", 401),
        ("Basic /w==", 401),
    ],
)
def test_client_and_secret_may_stand_in_the_header(header: str, status: int) -> None:
    """As libraries of OAuth send them, unless they are told otherwise."""
    body = urlencode({name: value for name, value in REFRESH.items() if name != "client_id"}).encode()
    assert granted(spy(), body, authorization=header)[0] == status


def test_the_sign_in_of_sim_may_be_asked_where_one_client_does() -> None:
    assert granted(spy(), urlencode(REFRESH).encode(), "/sim/oauth/token")[0] == 200


def test_a_token_may_stand_in_the_query() -> None:
    emulator = spy()
    token = emulator.login()["access_token"]
    for given, status in ((token, 200), ("other", 401)):
        reply = app(emulator.state, Request("GET", "/v3/brokerage/accounts", {"access_token": given}), emulator.now)
        assert isinstance(reply, Reply)
        assert reply.status == status


@pytest.mark.parametrize(
    "callback", ["http://localhost:3000", "https://127.0.0.1:8080/callback?x=1", "http://localhost"]
)
@pytest.mark.parametrize("audience", ["https://api.tradestation.com", "http://127.0.0.1:31022"])
def test_a_client_whose_hosts_were_all_changed_signs_in(callback: str, audience: str) -> None:
    emulator = spy()
    asked = {
        "response_type": "code",
        "client_id": "demo-client",
        "audience": audience,
        "redirect_uri": callback,
        "scope": "openid profile offline_access MarketData ReadAccount Trade Matrix OptionSpreads",
        "state": "s",
        "prompt": "login",
    }
    page = app(emulator.state, Request("GET", "/authorize", asked), emulator.now)
    assert isinstance(page, Reply)
    told = parse_qs(urlsplit(page.headers["location"]).query)
    assert (page.status, told["state"]) == (302, ["s"])
    form = {"grant_type": "authorization_code", "code": told["code"][0], "redirect_uri": callback}
    form |= {"client_id": "demo-client", "client_secret": "demo-secret"}
    assert granted(emulator, urlencode(form).encode())[0] == 200


# -- other data -------------------------------------------------------------------------------------------------------


def test_market_time_begins_where_the_data_are() -> None:
    assert origin_of(load_market(["ESZ13", "SPY"])) == ORIGIN_UTC
    goog = load_market(["GOOG"])
    series = goog.series("GOOG")
    assert series is not None
    assert origin_of(goog) == series.stamps[0] + 24 * HOUR_S
    assert origin_of(market(SPY=[*flat_bars(60, 60), *flat_bars(180, 180)])) == START + 2 * HOUR_S
    assert origin_of(market(SPY=flat_bars(9, 9))) == START + 9 * 60


def test_who_stands_outside_his_data_is_told() -> None:
    data = market(SPY=flat_bars(1, 9), ESZ13=flat_bars(5, 60))
    assert [silent_at(data, START + minute * 60.0) for minute in (0, 3, 59)] == ["", "", ""]
    for minute in (-1, 60):
        told = silent_at(data, START + minute * 60.0)
        assert "the data are of 2013-10-07T14:01:00Z to 2013-10-07T15:00:00Z: nothing trades" in told
    assert silent_at(data, origin_of(data)) == ""


@pytest.mark.parametrize("name", ["GOOG", "ESZ13"])
def test_bars_of_any_length_follow_each_other(name: str) -> None:
    """Over a half-day, a holiday, a week-end: each ends later than the one before, and they hold all trades."""
    data = load_market([name])
    series = data.series(name)
    assert series is not None
    emulator = Emulator(data, seconds=series.stamps[-1] + HOUR_S - START)
    first = {"firstdate": "2013-01-01" if name == "ESZ13" else "2015-01-01", "sessiontemplate": "USEQPreAndPost"}
    lengths = [
        ("Minute", 1),
        ("Minute", 7),
        ("Minute", 390),
        ("Minute", 1440),
        ("Daily", 1),
        ("Weekly", 1),
        ("Monthly", 1),
    ]
    for unit, interval in lengths:
        asked = {"unit": unit, "interval": str(interval), **first}
        bars = emulator.get(f"/v3/marketdata/barcharts/{name}", **asked)["Bars"]
        stamps = [each["TimeStamp"] for each in bars]
        assert stamps == sorted(set(stamps)), asked
        if unit == "Minute":
            assert sum(int(each["TotalVolume"]) for each in bars) == sum(each.volume for each in series.bars), asked


def test_a_stock_of_seven_digits_and_one_of_a_hundredth_of_a_cent_are_traded() -> None:
    emulator = Emulator(market(DEAR=flat_bars(-9, 9, "1234567.89"), PINK=flat_bars(-9, 9, "0.0001")))
    told = emulator.place(MARGIN, "DEAR", OrderType="Limit", LimitPrice="1234567.89")
    assert told["Message"].startswith("Order failed. Reason: Insufficient buying power: 1234567.89 USD needed")
    assert "Error" not in emulator.place(MARGIN, "PINK", Quantity="1000000")
    emulator.pass_time(60)
    (position,) = emulator.get(f"/v3/brokerage/accounts/{MARGIN}/positions")["Positions"]
    quantity = int(position["Quantity"])
    assert (position["AveragePrice"], Decimal(position["MarketValue"])) == ("0.0001", quantity * Decimal("0.0001"))
    assert quantity > 5_000
