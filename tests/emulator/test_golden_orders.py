"""Placing, confirming, groups, reading orders by id: the venue's samples, typed off by hand, field by field."""

from __future__ import annotations

import re
from typing import Any

from brokers.tradestation.emulator.order_wire import STATUS_TEXT
from brokers.tradestation.statuses import STATUSES
from tests.emulator.support import FUTURES, MARGIN, Emulator, flat_bars, market, order
from tests.emulator.test_golden import Scene

CONFIRM = "/v3/orderexecution/orderconfirm"


def test_a_limit_order_is_answered_like_the_sample() -> None:
    scene = Scene()
    body = {
        "AccountID": "SIM100001F",
        "Symbol": "ESZ26",
        "Quantity": "1",
        "OrderType": "Limit",
        "LimitPrice": "6015.25",
        "TradeAction": "BUY",
        "TimeInForce": {"Duration": "DAY"},
        "Route": "Intelligent",
        "OrderConfirmID": "k3v9q0x7m2c8b1n5z4a6wt",
    }
    assert scene.reply("POST", "/v3/orderexecution/orders", body) == (
        200,
        {"Orders": [{"Message": "Sent order: Buy 1 ESZ26 @ 6015.25 Limit", "OrderID": "1200000001"}]},
    )
    (shown,) = scene.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]
    assert shown == {
        "AccountID": "SIM100001F",
        "CommissionFee": "0",
        "ConversionRate": "1",
        "Currency": "USD",
        "Duration": "DAY",
        "FilledPrice": "0",
        "Legs": [
            {
                "AssetType": "FUTURE",
                "BuyOrSell": "Buy",
                "ExecQuantity": "0",
                "ExpirationDate": "2026-12-18T00:00:00Z",
                "QuantityOrdered": "1",
                "QuantityRemaining": "1",
                "Symbol": "ESZ26",
                "Underlying": "ES",
            }
        ],
        "LimitPrice": "6015.25",
        "OpenedDateTime": "2026-11-20T15:00:00Z",
        "OrderID": "1200000001",
        "OrderType": "Limit",
        "PriceUsedForBuyingPower": "6015.25",
        "Status": "ACK",
        "StatusDescription": "Received",
        "UnbundledRouteFee": "0",
    }


def test_refusal_inside_a_200_is_the_sample() -> None:
    emulator = Emulator(market(SPY=flat_bars(1, 9, "100")))
    emulator.place(MARGIN, "SPY")
    emulator.place(MARGIN, "SPY", TradeAction="SELL")
    body = order(MARGIN, "SPY", TradeAction="BUYTOCOVER")
    assert emulator.reply("POST", "/v3/orderexecution/orders", body) == (
        200,
        {
            "Orders": [
                {
                    "Error": "FAILED",
                    "Message": "Order failed. Reason: EC602: You are short 0.00 shares!",
                    "OrderID": "1200000003",
                }
            ]
        },
    )


def test_confirmation_of_a_future_is_the_sample_and_places_nothing() -> None:
    scene = Scene()
    scene.pass_time(59)
    (got,) = scene.reply("POST", CONFIRM, order(symbol="ESZ26"))[1]["Confirmations"]
    key = got.pop("OrderConfirmID")
    assert re.fullmatch(r"[A-Za-z0-9+/]{22}", key)
    assert got == {
        "OrderAssetCategory": "FUTURE",
        "Currency": "USD",
        "Route": "Intelligent",
        "TimeInForce": {"Duration": "DAY"},
        "AccountID": "SIM100001F",
        "EstimatedPrice": "6020.75",
        "EstimatedCost": "15500",
        "EstimatedCommission": "1.25",
        "InitialMarginDisplay": "15,500.00 USD",
        "ProductCurrency": "USD",
        "AccountCurrency": "USD",
        "SummaryMessage": "Buy 1 ESZ26 @ Market",
    }
    (again,) = scene.reply("POST", CONFIRM, order(symbol="ESZ26"))[1]["Confirmations"]
    assert again["OrderConfirmID"] != key
    assert scene.state.ledger.orders == {}
    assert "Error" not in scene.place(symbol="ESZ26", OrderConfirmID=key)


def test_confirmation_of_a_stock_adds_what_it_costs() -> None:
    emulator = Emulator(market(SPY=flat_bars(1, 9, "100")))
    (got,) = emulator.reply("POST", CONFIRM, order(MARGIN, "SPY", Quantity="3"))[1]["Confirmations"]
    assert (got["EstimatedCost"], got["DebitCreditEstimatedCost"]) == ("300", "300")
    assert "InitialMarginDisplay" not in got


def test_confirmation_of_a_group_has_one_element_a_leg() -> None:
    legs = [order(symbol="ESZ26", OrderType="Limit", LimitPrice=price) for price in ("6000", "6010")]
    code, got = Scene().reply("POST", "/v3/orderexecution/ordergroupconfirm", {"Type": "OCO", "Orders": legs})
    assert code == 200
    assert [one["EstimatedPrice"] for one in got["Confirmations"]] == ["6000", "6010"]


def test_what_would_be_refused_is_not_confirmed() -> None:
    code, got = Scene().reply("POST", CONFIRM, order(symbol="ESZ26", Quantity="0"))
    assert (code, got["Error"]) == (400, "BadRequest")


def test_routes_and_activation_triggers() -> None:
    scene = Scene()
    routes = scene.get("/v3/orderexecution/routes")["Routes"]
    assert routes[0] == {"Id": "Intelligent", "Name": "Intelligent", "AssetTypes": ["STOCK", "STOCKOPTION"]}
    triggers = scene.get("/v3/orderexecution/activationtriggers")["ActivationTriggers"]
    keys = ",".join(one["Key"] for one in triggers)
    assert keys == "STT,STTN,SBA,SAB,DTT,DTTN,DBA,DAB,TTT,TTTN,TBA,TAB"
    assert triggers[0]["Name"] == "Single Trade Tick"
    assert all(set(one) == {"Key", "Name", "Description"} for one in triggers)


def test_the_trailing_stop_of_an_order_object() -> None:
    for trail, text in (({"Amount": "10"}, "TRL=10;STPTRG=STT;"), ({"Percent": "5.0"}, "TRL=5%;STPTRG=STT;")):
        scene = Scene()
        scene.place(symbol="ESZ26", OrderType="StopMarket", AdvancedOptions={"TrailingStop": trail})
        (shown,) = scene.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]
        assert shown["AdvancedOptions"] == text
        assert shown["TrailingStop"] == {name: value.removesuffix(".0") for name, value in trail.items()}


def test_every_status_has_its_text() -> None:
    assert set(STATUS_TEXT) == set(STATUSES)


def test_a_stop_on_the_stream_is_the_sequence_of_the_captured_frames() -> None:
    """STP with a ClosedDateTime already, ACK with the execution, FLL twice."""
    scene = Scene()
    scene.pass_time(1)
    stream = scene.stream(f"/v3/brokerage/stream/accounts/{FUTURES}/orders")
    scene.frames(stream)
    scene.place(symbol="ESZ26", OrderType="StopMarket", StopPrice="6025.25")
    scene.pass_time(119)
    told = [
        (one["Status"], one["Legs"][0]["ExecQuantity"], one["FilledPrice"], "ClosedDateTime" in one)
        for one in scene.frames(stream)
        if "OrderID" in one
    ]
    assert told == [
        ("ACK", "0", "0", False),
        ("STP", "0", "0", True),
        ("ACK", "1", "6025.25", False),
        ("FLL", "1", "6025.25", False),
        ("FLL", "1", "6025.25", True),
    ]


# Reading


def later(emulator: Emulator, days: int) -> None:
    emulator.pass_time(days * 86_400)
    emulator.token = ""


def test_historical_orders_by_id_and_since_in_all_its_forms() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 9)))
    first, second = emulator.place()["OrderID"], emulator.place(TradeAction="SELL")["OrderID"]
    later(emulator, 1)
    path = f"/v3/brokerage/accounts/{FUTURES}/historicalorders"
    for since in ("2013-10-07", "10-07-2013", "2013/10/07", "10/07/2013"):
        assert [one["OrderID"] for one in emulator.get(path, since=since)["Orders"]] == [second, first]
    assert emulator.get(path, since="2013-10-08")["Orders"] == []
    assert emulator.reply("GET", path)[0] == 400
    found = emulator.get(f"{path}/{first},77", since="2013-10-07")
    assert [one["OrderID"] for one in found["Orders"]] == [first]
    assert [(one["OrderID"], one["Error"]) for one in found["Errors"]] == [("77", "NotFound")]


def test_orders_by_status() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 9)))
    path = f"/v3/brokerage/accounts/{FUTURES}/orders"
    filled = emulator.place()["OrderID"]
    gone = emulator.place(OrderType="Limit", LimitPrice="900")["OrderID"]
    emulator.reply("DELETE", f"/v3/orderexecution/orders/{gone}")
    rejected = emulator.place(Quantity="0")["OrderID"]
    works = emulator.place(OrderType="Limit", LimitPrice="900")["OrderID"]
    for status, one in (("Open", works), ("Filled", filled), ("Canceled", gone), ("Rejected", rejected)):
        assert [found["OrderID"] for found in emulator.get(path, status=status)["Orders"]] == [one]
    assert emulator.reply("GET", path, status="Sleeping")[0] == 400


def test_several_accounts_and_ids_in_one_call_with_an_error_for_each_bad_one() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 9), SPY=flat_bars(1, 9, "100")))
    future, stock = emulator.place()["OrderID"], emulator.place(MARGIN, "SPY")["OrderID"]
    got: Any = emulator.get(f"/v3/brokerage/accounts/{FUTURES},{MARGIN},SIM9X/orders/{future},{stock},77")
    assert [one["OrderID"] for one in got["Orders"]] == [future, stock]
    assert [one["Error"] for one in got["Errors"]] == ["Forbidden", "NotFound"]


def test_balances_of_the_begin_of_the_day_are_those_of_its_begin() -> None:
    emulator = Emulator(market(ESZ13=[*flat_bars(1, 9), *flat_bars(10, 2000, "1010")], SPY=flat_bars(1, 2000, "100")))
    emulator.place(Quantity="2")
    emulator.place(MARGIN, "SPY", Quantity="10")
    path = f"/v3/brokerage/accounts/{FUTURES},{MARGIN},SIM9X/bodbalances"
    today = emulator.get(path)
    assert [one["BalanceDetail"]["Equity"] for one in today["BODBalances"]] == ["100000", "100000"]
    assert [one["AccountID"] for one in today["Errors"]] == ["SIM9X"]
    later(emulator, 1)
    emulator.place(TradeAction="SELL")
    futures, margin = emulator.get(path)["BODBalances"]
    assert futures["BalanceDetail"] == {
        "CashAvailableToWithdraw": "69997.5",
        "Equity": "100997.5",
        "NetCash": "99997.5",
        "OpenTradeEquity": "1000",
    }
    assert futures["CurrencyDetails"][0]["MarginRequirement"] == "31000"
    assert (margin["BalanceDetail"]["AccountBalance"], margin["BalanceDetail"]["Equity"]) == ("99000", "100000")
