"""The wire against the venue: the samples of the venue's documents, typed off by hand, field by field.

The scene is that of the samples: ESZ26 in the minute that ends 2026-11-20T15:01Z.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokers.tradestation.emulator.market import Bar, Market, Series
from brokers.tradestation.emulator.values import Now, OpenStream
from tests.emulator.support import FUTURES, Emulator, order

AT_15_01 = 1_795_186_860


class Scene(Emulator):
    """Time starts at 15:00:00Z of that day."""

    def __init__(self) -> None:
        d = Decimal
        bars = [
            Bar(AT_15_01 - 60, d("6018.25"), d("6018.25"), d("6018.25"), d("6018.25"), 10),
            Bar(AT_15_01, d("6020.00"), d("6021.25"), d("6019.50"), d("6020.75"), 1834),
            Bar(AT_15_01 + 60, d("6020.75"), d("6026"), d("6020.75"), d("6025.5"), 40),
        ]
        super().__init__(Market([Series("ESZ26", tuple(bars))]))

    @property
    def now(self) -> Now:
        return Now(self.seconds, AT_15_01 - 60 + self.seconds)


def test_historical_bar_has_the_fields_types_and_text_of_the_sample() -> None:
    scene = Scene()
    scene.pass_time(60)
    got = scene.get("/v3/marketdata/barcharts/ESZ26", unit="Minute", lastdate="2026-11-20T15:01:00Z", barsback="1")
    # Sample of 4.1; tick counters are not in minute bars: 0. 15:01:00 is now, so the next bar is forming.
    assert got["Bars"][-1]["BarStatus"] == "Open"
    scene.pass_time(60)
    got = scene.get("/v3/marketdata/barcharts/ESZ26", unit="Minute", lastdate="2026-11-20T15:01:00Z", barsback="1")
    assert got == {
        "Bars": [
            {
                "High": "6021.25",
                "Low": "6019.5",
                "Open": "6020",
                "Close": "6020.75",
                "TimeStamp": "2026-11-20T15:01:00Z",
                "TotalVolume": "1834",
                "DownTicks": 0,
                "DownVolume": 0,
                "OpenInterest": "0",
                "IsRealtime": False,
                "IsEndOfHistory": True,
                "TotalTicks": 0,
                "UnchangedTicks": 0,
                "UnchangedVolume": 0,
                "UpTicks": 0,
                "UpVolume": 0,
                "Epoch": 1795186860000,
                "BarStatus": "Closed",
            }
        ]
    }


def test_symbol_details_are_the_sample() -> None:
    got = Scene().get("/v3/marketdata/symbols/ESZ26")
    assert got == {
        "Symbols": [
            {
                "AssetType": "FUTURE",
                "Country": "United States",
                "Currency": "USD",
                "Description": "E-mini S&P 500 Dec 2026",
                "Exchange": "CME",
                "ExpirationDate": "2026-12-18T00:00:00Z",
                "FutureType": "Electronic",
                "Symbol": "ESZ26",
                "Root": "ES",
                "Underlying": "ES",
                "PriceFormat": {
                    "Format": "Decimal",
                    "Decimals": "2",
                    "IncrementStyle": "Simple",
                    "Increment": "0.25",
                    "PointValue": "50",
                },
                "QuantityFormat": {
                    "Format": "Decimal",
                    "Decimals": "0",
                    "IncrementStyle": "Simple",
                    "Increment": "1",
                    "MinimumTradeQuantity": "1",
                },
            }
        ],
        "Errors": [],
    }


def test_continuous_symbol_names_the_contract_in_front() -> None:
    assert Scene().get("/v3/marketdata/symbols/@ES")["Symbols"][0]["Underlying"] == "ESZ26"


def test_futures_account_has_no_detail_and_a_margin_account_has_one() -> None:
    futures, margin = Scene().get("/v3/brokerage/accounts")["Accounts"]
    assert futures == {"AccountID": "SIM100001F", "Currency": "USD", "Status": "Active", "AccountType": "Futures"}
    assert set(margin) == {"AccountID", "Currency", "Status", "AccountType", "AccountDetail"}
    assert set(margin["AccountDetail"]) == {
        "IsStockLocateEligible",
        "EnrolledInRegTProgram",
        "RequiresBuyingPowerWarning",
        "DayTradingQualified",
        "OptionApprovalLevel",
        "PatternDayTrader",
    }


def bought_at_6018_25() -> Scene:
    scene = Scene()
    scene.seconds = -1
    assert scene.place(symbol="ESZ26")["OrderID"] == "1200000001"
    scene.pass_time(61)
    return scene


def test_position_is_the_sample() -> None:
    scene = bought_at_6018_25()
    scene.seconds = 59
    (got,) = scene.get(f"/v3/brokerage/accounts/{FUTURES}/positions")["Positions"]
    sample = {
        "AccountID": "SIM100001F",
        "AveragePrice": "6018.25",
        "AssetType": "FUTURE",
        "Last": "6020.75",
        "Bid": "6020.75",
        "Ask": "6020.75",  # no quotes in minute bars
        "ConversionRate": "1",
        "DayTradeRequirement": "500",
        "ExpirationDate": "2026-12-18T00:00:00Z",
        "InitialRequirement": "15500",
        "MaintenanceMargin": "15500",  # one margin in our table
        "PositionID": "64000001",
        "LongShort": "Long",
        "Quantity": "1",
        "Symbol": "ESZ26",
        "Timestamp": "2026-11-20T14:59:59Z",
        "TodaysProfitLoss": "125",
        "TotalCost": "300912.5",
        "MarketValue": "301037.5",
        "MarkToMarketPrice": "6018.25",
        "UnrealizedProfitLoss": "125",
        "UnrealizedProfitLossPercent": "0.04154031",
        "UnrealizedProfitLossQty": "125",
    }
    assert got == sample


def test_balance_has_the_figures_and_fields_of_the_sample() -> None:
    scene = bought_at_6018_25()
    scene.seconds = 59
    (got,) = scene.get(f"/v3/brokerage/accounts/{FUTURES}/balances")["Balances"]
    # The sample of 5.2 with one contract's commission of 1.25, which here has left the cash.
    assert got == {
        "AccountID": "SIM100001F",
        "AccountType": "Futures",
        "CashBalance": "99998.75",
        "BuyingPower": "84623.75",
        "Equity": "100123.75",
        "MarketValue": "301037.5",
        "TodaysProfitLoss": "125",
        "UnclearedDeposit": "0",
        "Commission": "1.25",
        "BalanceDetail": {
            "DayTradeExcess": "84623.75",
            "RealizedProfitLoss": "0",
            "UnrealizedProfitLoss": "125",
            "DayTradeOpenOrderMargin": "0",
            "OpenOrderMargin": "0",
            "DayTradeMargin": "15500",
            "InitialMargin": "15500",
            "MaintenanceMargin": "15500",
            "TradeEquity": "125",
            "SecurityOnDeposit": "0",
            "TodayRealTimeTradeEquity": "125",
        },
        "CurrencyDetails": [
            {
                "Currency": "USD",
                "Commission": "1.25",
                "CashBalance": "99998.75",
                "RealizedProfitLoss": "0",
                "UnrealizedProfitLoss": "125",
                "InitialMargin": "15500",
                "MaintenanceMargin": "15500",
                "AccountConversionRate": "1",
            }
        ],
    }


def test_stock_balance_has_the_fields_of_equity_accounts() -> None:
    (got,) = Scene().get("/v3/brokerage/accounts/SIM100001M/balances")["Balances"]
    assert "CurrencyDetails" not in got
    assert set(got["BalanceDetail"]) == {
        "CostOfPositions",
        "DayTrades",
        "MaintenanceRate",
        "OptionBuyingPower",
        "OptionsMarketValue",
        "OvernightBuyingPower",
        "RequiredMargin",
        "UnsettledFunds",
        "DayTradeExcess",
        "RealizedProfitLoss",
        "UnrealizedProfitLoss",
    }


def test_filled_stop_order_is_the_sample() -> None:
    scene = Scene()
    scene.pass_time(1)
    placed = scene.place(
        symbol="ESZ26", OrderType="StopMarket", StopPrice="6025.25", TimeInForce={"Duration": "GTC"}, OrderConfirmID="a"
    )
    assert placed == {"Message": "Sent order: Buy 1 ESZ26 @ 6025.25 Stop Market", "OrderID": "1200000001"}
    scene.pass_time(119)
    (got,) = scene.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]
    sample: dict[str, Any] = {
        "AccountID": "SIM100001F",
        "AdvancedOptions": "STPTRG=STT;",
        "ClosedDateTime": "2026-11-20T15:01:30Z",
        "CommissionFee": "1.25",
        "Currency": "USD",
        "ConversionRate": "1",
        "Duration": "GTC",
        "FilledPrice": "6025.25",
        "GoodTillDate": "2027-02-18T00:00:00Z",
        "Legs": [
            {
                "AssetType": "FUTURE",
                "BuyOrSell": "Buy",
                "ExecQuantity": "1",
                "ExecutionPrice": "6025.25",
                "ExpirationDate": "2026-12-18T00:00:00Z",
                "QuantityOrdered": "1",
                "QuantityRemaining": "0",
                "Symbol": "ESZ26",
                "Underlying": "ES",
            }
        ],
        "OpenedDateTime": "2026-11-20T15:00:01Z",
        "OrderID": "1200000001",
        "OrderType": "StopMarket",
        "PriceUsedForBuyingPower": "6025.25",
        "Status": "FLL",
        "StatusDescription": "Filled",
        "StopPrice": "6025.25",
        "UnbundledRouteFee": "0",
    }
    assert got == sample


def test_messages_of_replace_and_cancel_are_the_venues() -> None:
    scene = Scene()
    order_id = scene.place(symbol="ESZ26", OrderType="StopMarket", StopPrice="6100")["OrderID"]
    path = f"/v3/orderexecution/orders/{order_id}"
    assert scene.reply("PUT", path, {"StopPrice": "6100.25"}) == (
        200,
        {"Message": "Cancel/Replace order sent.", "OrderID": order_id},
    )
    assert scene.reply("DELETE", path) == (200, {"Message": "Cancel request sent", "OrderID": order_id})
    assert scene.reply("DELETE", path) == (400, {"Error": "BadRequest", "Message": "Not an open order."})
    assert scene.reply("PUT", path, {"StopPrice": "6101"}) == (
        400,
        {"Error": "BadRequest", "Message": "Failed to Cancel/Replace order: Not an open order."},
    )
    assert scene.reply("DELETE", "/v3/orderexecution/orders/999") == (
        400,
        {"Error": "BadRequest", "Message": "Invalid order ID."},
    )


def test_messages_of_placing_are_the_venues() -> None:
    scene = Scene()
    assert scene.place(symbol="ESZ26", OrderConfirmID="k3v9q0x7m2c8b1n5z4a6wt")["Message"] == (
        "Sent order: Buy 1 ESZ26 @ Market"
    )
    assert scene.place(symbol="ESZ26", OrderConfirmID="k3v9q0x7m2c8b1n5z4a6wt") == {
        "Error": "FAILED",
        "Message": "Order not placed because a unique orderconfirmid already exists.",
        "OrderID": "",
    }
    status, body = scene.reply("POST", "/v3/orderexecution/orders", order(symbol="6EZ26"))
    assert (status, body) == (
        400,
        {"Error": "BadRequest", "Message": "Failed to build order: FAILED, INVALID SYMBOL"},
    )


def test_wrong_account_is_told_beside_the_good_ones() -> None:
    got = Scene().get("/v3/brokerage/accounts/SIM100001F,SIM9X/balances")
    assert [one["AccountID"] for one in got["Balances"]] == ["SIM100001F"]
    assert got["Errors"] == [{"AccountID": "SIM9X", "Error": "Forbidden", "Message": "Invalid Account ID."}]


def test_streams_have_the_content_type_of_their_version() -> None:
    scene = Scene()
    bars = scene.ask("GET", "/v3/marketdata/stream/barcharts/ESZ26", unit="minute")
    orders = scene.ask("GET", f"/v3/brokerage/stream/accounts/{FUTURES}/orders")
    assert isinstance(bars, OpenStream)
    assert isinstance(orders, OpenStream)
    assert bars.headers["content-type"] == "application/vnd.tradestation.streams.v2+json"
    assert orders.headers["content-type"] == "application/vnd.tradestation.streams.v3+json"
    assert bars.headers["connection"] == "close"


def test_heartbeat_after_five_quiet_seconds() -> None:
    scene = Scene()
    stream = scene.stream(f"/v3/brokerage/stream/accounts/{FUTURES}/orders")
    assert scene.frames(stream) == [{"StreamStatus": "EndSnapshot"}]
    scene.pass_time(4.9)
    assert stream not in scene.sent
    scene.pass_time(0.1)
    assert scene.frames(stream) == [{"Heartbeat": 1, "Timestamp": "2026-11-20T15:00:05Z"}]
