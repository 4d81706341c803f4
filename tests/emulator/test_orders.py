"""Orders: fills, stops, replaces, cancels and refusals, each at the moment the market made it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.app import next_due
from tests.emulator.support import FUTURES, MARGIN, Emulator, bar, flat_bars, market, order

STOP = {"OrderType": "StopMarket"}


def es(*bars: Any) -> Emulator:
    """The futures market of these bars, from the open of the first on."""
    return Emulator(market(ESZ13=list(bars), SPY=flat_bars(1, 60, "100")))


def status(emulator: Emulator, order_id: str) -> str:
    return emulator.state.ledger.orders[order_id].status


def test_market_order_fills_at_once_at_the_last_price_of_the_forming_bar() -> None:
    emulator = es(bar(1, "1000", "1003", "999", "1002"))
    emulator.pass_time(20)
    emulator.place()
    (fill,) = emulator.state.ledger.fills
    assert (fill.price, fill.quantity, fill.at_utc) == (Decimal(999), 1, emulator.now.market_utc)
    assert fill.commission_usd == Decimal("1.25")


def test_market_order_without_a_fresh_price_waits_for_the_next_print() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(40, "1010", "1010", "1010", "1010"))
    emulator.pass_time(60 + 16 * 60)
    order_id = emulator.place()["OrderID"]
    assert status(emulator, order_id) == "ACK"
    emulator.pass_time(3600)
    (fill,) = emulator.state.ledger.fills
    assert (fill.price, fill.at_utc) == (Decimal(1010), emulator.state.market.series("ESZ13").stamps[1] - 60)  # type: ignore[union-attr]


def test_stop_fills_at_the_stop_when_the_minute_trades_through_it() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "1000", "1005", "995", "1003"))
    order_id = emulator.place(TradeAction="SELL", StopPrice="997.5", **STOP)["OrderID"]
    emulator.pass_time(70)
    assert status(emulator, order_id) == "ACK"
    emulator.pass_time(10)
    (fill,) = emulator.state.ledger.fills
    assert (fill.price, fill.quantity) == (Decimal("997.5"), -1)


def test_stop_fills_at_the_open_when_the_market_gaps_beyond_it() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "990", "991", "989", "990"))
    emulator.place(TradeAction="SELL", StopPrice="997.5", **STOP)
    emulator.pass_time(300)
    assert emulator.state.ledger.fills[0].price == Decimal(990)


def test_stop_that_the_market_has_already_passed_fills_at_once() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"))
    emulator.place(TradeAction="SELL", StopPrice="1001", **STOP)
    assert emulator.state.ledger.fills[0].price == Decimal(1000)


def test_a_late_look_gives_the_fill_the_markets_time_and_the_order_of_the_market() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "1000", "1006", "994", "1003"))
    above = emulator.place(StopPrice="1005", **STOP)["OrderID"]
    below = emulator.place(TradeAction="SELL", StopPrice="995", **STOP)["OrderID"]
    emulator.pass_time(9999)
    assert [fill.order_id for fill in emulator.state.ledger.fills] == [below, above]
    start = emulator.now.market_utc - 9999
    assert [fill.at_utc - start for fill in emulator.state.ledger.fills] == [75, 90]


def test_stops_are_settled_before_a_request_is_answered() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "990", "990", "990", "990"))
    order_id = emulator.place(TradeAction="SELL", StopPrice="995", **STOP)["OrderID"]
    emulator.seconds += 60
    code, body = emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")
    assert (code, body["Message"]) == (400, "Not an open order.")


def test_next_due_names_the_moment_of_the_next_fill() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "1000", "1006", "994", "1003"))
    start = emulator.now.market_utc
    emulator.place(TradeAction="SELL", StopPrice="995", **STOP)
    assert next_due(emulator.state, emulator.now).market_utc == start + 75
    emulator.pass_time(75)
    assert next_due(emulator.state, emulator.now).market_utc is None


def test_replace_moves_the_stop_keeps_the_id_and_watches_from_then_on() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "1000", "1006", "994", "1003"), *flat_bars(3, 9))
    order_id = emulator.place(TradeAction="SELL", StopPrice="990", **STOP)["OrderID"]
    emulator.pass_time(110)
    assert emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"StopPrice": "1001"})[0] == 200
    emulator.pass_time(300)
    (fill,) = emulator.state.ledger.fills
    assert (fill.order_id, fill.price) == (order_id, Decimal(1000))  # opens bar 3 beyond; 994 lay before the replace


def test_a_working_stop_can_be_turned_into_a_market_exit() -> None:
    emulator = es(*flat_bars(1, 9))
    order_id = emulator.place(TradeAction="SELL", StopPrice="990", **STOP)["OrderID"]
    emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"OrderType": "Market"})
    assert status(emulator, order_id) == "FLL"
    assert emulator.state.ledger.fills[0].price == Decimal(1000)


def test_quantity_can_be_replaced() -> None:
    emulator = es(*flat_bars(1, 9))
    order_id = emulator.place(TradeAction="SELL", StopPrice="990", **STOP)["OrderID"]
    emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"quantity": 3})
    assert emulator.state.ledger.orders[order_id].quantity == 3


@pytest.mark.parametrize(
    "body", [{"StopPrice": "990.1"}, {"Quantity": "0"}, {"LimitPrice": "1"}, {"OrderType": "Limit"}, {"StopPrice": "x"}]
)
def test_a_bad_replace_is_refused_and_changes_nothing(body: dict[str, str]) -> None:
    emulator = es(*flat_bars(1, 9))
    order_id = emulator.place(TradeAction="SELL", StopPrice="990", **STOP)["OrderID"]
    before = emulator.state.ledger.orders[order_id]
    assert emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", body)[0] == 400
    assert emulator.state.ledger.orders[order_id] == before


def test_a_cancelled_order_never_fills() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "990", "990", "990", "990"))
    order_id = emulator.place(TradeAction="SELL", StopPrice="995", **STOP)["OrderID"]
    emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")
    emulator.pass_time(600)
    assert status(emulator, order_id) == "OUT"
    assert emulator.state.ledger.fills == []


def test_on_a_later_day_the_record_of_a_closed_order_is_gone() -> None:
    emulator = es(*flat_bars(1, 9))
    order_id = emulator.place()["OrderID"]
    emulator.pass_time(86_400)
    emulator.token = ""
    assert emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")[1]["Message"] == "Invalid order ID."
    assert emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"] == []
    found = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/historicalorders", since="2013-10-01")["Orders"]
    assert [one["OrderID"] for one in found] == [order_id]


# Refusals


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Quantity": "0"}, "Quantity 0 is not a whole number"),
        ({"Quantity": "1.5"}, "Quantity 1.5 is not a whole number"),
        ({"OrderType": "StopMarket", "StopPrice": "990.10"}, "is not a multiple of the tick 0.25"),
        ({"symbol": "SPY"}, "does not trade stocks"),
        ({"TradeAction": "SELLSHORT"}, "not an action for futures"),
    ],
)
def test_refusal_comes_inside_a_200_with_an_order_id_and_the_order_is_rejected(
    fields: dict[str, str], reason: str
) -> None:
    emulator = es(*flat_bars(1, 9))
    refused = emulator.place(**fields)
    assert refused["Error"] == "FAILED"
    assert refused["Message"].startswith("Order failed. Reason: ")
    assert reason in refused["Message"]
    assert status(emulator, refused["OrderID"]) == "REJ"
    assert emulator.state.ledger.open_ids == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        order(OrderType="Limit"),
        order(OrderType="StopLimit", StopPrice="1000"),
        order(OrderType="StopMarket"),
        order(OrderType="StopMarket", StopPrice="NaN"),
        order(TimeInForce=None),
        order(TimeInForce={"Duration": "GTD"}),
        order(Quantity=None),
        order(Quantity="many"),
        order(Quantity=True),
        order(TradeAction="HOLD"),
        order(OrderConfirmID=""),
        order(OrderConfirmID="x" * 23),
        order(Symbol="@ES"),
        order(Legs=[{"Symbol": "ESZ13"}, {"Symbol": "ESZ13"}]),
        order(Legs=[{"Symbol": "SPY"}]),
        order(AdvancedOptions={"TrailingStop": {"Amount": "1"}}),
        order(OrderType="StopMarket", AdvancedOptions={"TrailingStop": {"Amount": "1", "Percent": "1"}}),
        order(AdvancedOptions={"BookOnly": True}),
        order(AdvancedOptions={"AllOrNone": "maybe"}),
        order(AdvancedOptions={"ShowOnlyQuantity": "1.5"}),
        order(Quantity="1e999999999"),
        order(OrderType="Limit", LimitPrice="1e99999"),
        order(Symbol="MSFT 251219P300", TradeAction="BUYTOOPEN"),
        order(OSOs=[{"Type": "XYZ", "Orders": [order()]}]),
        order(OSOs=[{"Type": "OCO", "Orders": []}]),
    ],
)
def test_what_cannot_be_built_is_a_400_and_books_nothing(body: Any) -> None:
    emulator = es(*flat_bars(1, 9))
    code, answer = emulator.reply("POST", "/v3/orderexecution/orders", body)
    assert (code, answer["Error"]) == (400, "BadRequest")
    assert answer["Message"]
    assert emulator.state.ledger.orders == {}


def test_an_unknown_account_is_forbidden() -> None:
    code, answer = es(*flat_bars(1, 9)).reply("POST", "/v3/orderexecution/orders", order("SIM9X"))
    assert (code, answer) == (403, {"Error": "Forbidden", "Message": "Invalid Account ID."})


def test_property_names_bind_in_any_case_and_numbers_may_be_bare() -> None:
    emulator = es(*flat_bars(1, 9))
    body = {name.lower(): value for name, value in order(OrderConfirmId="k1", Quantity=2).items()}
    assert emulator.reply("POST", "/v3/orderexecution/orders", body)[1]["Orders"][0]["OrderID"] == "1200000001"
    assert emulator.state.ledger.confirm_ids == {"k1": "1200000001"}
    assert emulator.state.ledger.accounts[FUTURES].quantity("ESZ13") == 2


def test_a_rejected_order_has_used_its_confirm_id() -> None:
    emulator = es(*flat_bars(1, 9))
    assert emulator.place(Quantity="0", OrderConfirmID="k1")["OrderID"]
    assert emulator.place(OrderConfirmID="k1")["Message"].startswith("Order not placed because a unique")


def test_a_confirm_id_that_built_no_order_is_not_used() -> None:
    emulator = es(*flat_bars(1, 9))
    emulator.reply("POST", "/v3/orderexecution/orders", order(OrderType="Limit", OrderConfirmID="k1"))
    assert "Error" not in emulator.place(OrderConfirmID="k1")


# Sides of stocks


@pytest.mark.parametrize(
    ("held", "action", "quantity", "code"),
    [
        (0, "SELL", "1", "EC601: You are long 0.00 shares!"),
        (5, "SELL", "6", "EC601: You are long 5.00 shares!"),
        (0, "BUYTOCOVER", "1", "EC602: You are short 0.00 shares!"),
        (5, "SELLSHORT", "1", "EC701: You are long 5.00 shares!"),
        (-5, "BUY", "1", "EC702: You are short 5.00 shares!"),
    ],
)
def test_stock_side_against_the_position_is_refused(held: int, action: str, quantity: str, code: str) -> None:
    emulator = es(*flat_bars(1, 9))
    if held:
        emulator.tell("trade", account=MARGIN, symbol="SPY", quantity=held)
    refused = emulator.place(MARGIN, "SPY", TradeAction=action, Quantity=quantity)
    assert refused["Message"] == f"Order failed. Reason: {code}"


def test_stock_stop_whose_position_is_gone_is_rejected_when_it_triggers() -> None:
    emulator = Emulator(market(SPY=[*flat_bars(1, 3, "100"), *flat_bars(4, 9, "90")]))
    emulator.place(MARGIN, "SPY", Quantity="10")
    stop = emulator.place(MARGIN, "SPY", Quantity="10", TradeAction="SELL", StopPrice="95", **STOP)["OrderID"]
    emulator.tell("trade", account=MARGIN, symbol="SPY", quantity=-10)
    emulator.pass_time(600)
    (found,) = emulator.get(f"/v3/brokerage/accounts/{MARGIN}/orders/{stop}")["Orders"]
    assert (found["Status"], found["RejectReason"]) == ("REJ", "EC601: You are long 0.00 shares!")
    assert emulator.state.ledger.accounts[MARGIN].positions == {}


def test_futures_may_cross_zero() -> None:
    emulator = es(*flat_bars(1, 9))
    emulator.place()
    emulator.place(TradeAction="SELL", Quantity="3")
    (position,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/positions")["Positions"]
    assert (position["Quantity"], position["LongShort"]) == ("-2", "Short")


# Reading orders


def test_orders_come_newest_first_in_pages() -> None:
    emulator = es(*flat_bars(1, 9))
    placed = [emulator.place()["OrderID"] for _ in range(5)]
    path = f"/v3/brokerage/accounts/{FUTURES}/orders"
    first = emulator.get(path, pagesize="2")
    second = emulator.get(path, pagesize="2", nexttoken=first["NextToken"])
    third = emulator.get(path, pagesize="2", nexttoken=second["NextToken"])
    pages = [one["OrderID"] for page in (first, second, third) for one in page["Orders"]]
    assert pages == placed[::-1]
    assert "NextToken" not in third


def test_an_unknown_order_id_is_told_beside_the_known_ones() -> None:
    emulator = es(*flat_bars(1, 9))
    known = emulator.place()["OrderID"]
    found = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders/{known},77")
    assert [one["OrderID"] for one in found["Orders"]] == [known]
    assert [one["OrderID"] for one in found["Errors"]] == ["77"]


def test_a_partial_close_realizes_its_part_and_keeps_the_average() -> None:
    emulator = es(bar(1, "1000", "1000", "1000", "1000"), bar(2, "1010", "1010", "1010", "1010"))
    emulator.place(Quantity="5")
    emulator.pass_time(60)
    emulator.place(TradeAction="SELL", Quantity="3")
    (position,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/positions")["Positions"]
    assert (position["Quantity"], position["AveragePrice"], position["UnrealizedProfitLoss"]) == ("2", "1000", "1000")
    (balance,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/balances")["Balances"]
    assert balance["BalanceDetail"]["RealizedProfitLoss"] == "1500"
    assert balance["CashBalance"] == "101490"  # 3 x 10 points x 50 USD, less 8 x 1.25 USD


@pytest.mark.parametrize("ends", [book.OrderRejected, book.OrderCancelled, book.OrderFilled])
def test_nothing_happens_to_an_order_that_has_ended(ends: type[book.OfOrder]) -> None:
    """A tester who ends an order that the market has filled is told so, instead of a book that does not add up."""
    emulator = es(*flat_bars(1, 9))
    emulator.pass_time(20)
    order_id = emulator.place()["OrderID"]
    assert status(emulator, order_id) == "FLL"
    events = {
        book.OrderRejected: book.OrderRejected(order_id, "late", emulator.now.market_utc),
        book.OrderCancelled: book.OrderCancelled(order_id, emulator.now.market_utc),
        book.OrderFilled: book.OrderFilled(order_id, Decimal(1000), Decimal(0), emulator.now.market_utc),
    }
    with pytest.raises(ValueError, match=rf"order {order_id} has ended \(FLL\): no {ends.__name__} follows"):
        emulator.state.record(events[ends], emulator.now)
    assert emulator.state.ledger.accounts[FUTURES].quantity("ESZ13") == 1
