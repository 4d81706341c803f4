"""Limit, stop limit and trailing stops; part-fills; IOC; what a replace may change; cancels that race."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.tradestation import wire
from brokers.tradestation.emulator import book, orders
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.shapes import BalancesPage, decoded
from tests.emulator.support import FUTURES, MARGIN, Emulator, bar, flat_bars, market

ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
FLAT = ("1000", "1000", "1000", "1000")


def es(*bars: Any, rules: Rules | None = None) -> Emulator:
    settings = Settings(rules=rules or Rules())
    return Emulator(market(ESZ13=list(bars), SPY=flat_bars(1, 200, "100")), settings)


def fills(emulator: Emulator) -> list[tuple[str, int]]:
    return [(str(fill.price), fill.quantity) for fill in emulator.state.ledger.fills]


def status(emulator: Emulator, order_id: str) -> str:
    return emulator.state.ledger.orders[order_id].status


def put(emulator: Emulator, order_id: str, **body: Any) -> tuple[int, Any]:
    return emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", body)


def delete(emulator: Emulator, order_id: str) -> tuple[int, Any]:
    return emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")


# Limit


def limit(emulator: Emulator, price: str, **fields: Any) -> str:
    return str(emulator.place(OrderType="Limit", LimitPrice=price, **fields)["OrderID"])


def test_a_limit_fills_at_its_price_when_the_market_trades_at_it() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1001", "995", "998"))
    limit(emulator, "995")
    emulator.pass_time(300)
    assert fills(emulator) == [("995", 1)]


def test_a_limit_fills_better_where_a_bar_opens_beyond_it() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "990", "991", "989", "990"))
    limit(emulator, "995")
    emulator.pass_time(300)
    assert fills(emulator) == [("990", 1)]


def test_a_marketable_limit_fills_at_once_at_the_last_price() -> None:
    emulator = es(bar(1, *FLAT))
    limit(emulator, "1010")
    limit(emulator, "990", TradeAction="SELL")
    assert fills(emulator) == [("1000", 1), ("1000", -1)]


def test_a_limit_that_the_market_does_not_reach_waits() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1001", "995.25", "998"))
    order_id = limit(emulator, "995")
    emulator.pass_time(300)
    assert (fills(emulator), status(emulator, order_id)) == ([], "ACK")


def test_with_the_rule_a_touch_fills_no_limit() -> None:
    emulator = es(
        bar(1, *FLAT), bar(2, "1000", "1001", "995", "998"), bar(3, "998", "998", "994", "994"),
        rules=Rules(limit_needs_through=True),
    )  # fmt: skip
    limit(emulator, "995")
    emulator.pass_time(119)
    assert fills(emulator) == []
    emulator.pass_time(300)
    assert fills(emulator) == [("995", 1)]


# Stop limit


def test_a_stop_limit_is_hit_then_waits_for_its_limit() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1006", "1006", "1005.5", "1005.5"), bar(3, "1005.5", "1005.5", "1003", "1003"))
    order_id = emulator.place(OrderType="StopLimit", StopPrice="1005", LimitPrice="1005")["OrderID"]
    emulator.pass_time(110)
    assert (status(emulator, order_id), fills(emulator)) == ("STP", [])
    assert put(emulator, order_id, StopPrice="1001") == (
        400,
        {"Error": "BadRequest", "Message": "Failed to Cancel/Replace order: prior stop already triggered"},
    )
    emulator.pass_time(300)
    assert fills(emulator) == [("1005", 1)]


def test_a_stop_limit_fills_at_the_stop_where_its_limit_allows() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1006", "1000", "1006"))
    emulator.place(OrderType="StopLimit", StopPrice="1005", LimitPrice="1007")
    emulator.pass_time(300)
    assert fills(emulator) == [("1005", 1)]


# Trailing


def trailing(**trail: str) -> dict[str, Any]:
    return {"OrderType": "StopMarket", "AdvancedOptions": {"TrailingStop": trail}, "TradeAction": "SELL"}


def test_a_trailing_stop_follows_the_best_print_by_amount() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1010", "1000", "1010"), bar(3, "1010", "1010", "1003", "1003"))
    emulator.place(**trailing(Amount="5"))
    emulator.pass_time(300)
    assert fills(emulator) == [("1005", -1)]


def test_a_trailing_stop_by_percent_stands_on_a_tick() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1011", "1000", "1011"), bar(3, "1011", "1011", "900", "900"))
    emulator.place(**trailing(Percent="1.0"))
    emulator.pass_time(300)
    assert fills(emulator) == [("1000.75", -1)]  # 1000.89, on the tick that is farther away


def test_a_buying_trailing_stop_follows_downward() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1000", "990", "990"), bar(3, "990", "997", "990", "997"))
    emulator.place(**{**trailing(Amount="5"), "TradeAction": "BUY"})
    emulator.pass_time(300)
    assert fills(emulator) == [("995", 1)]


def test_a_trailing_stop_gapped_over_fills_at_the_open_and_ignores_a_stop_price() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "990", "990", "990", "990"))
    emulator.place(**trailing(Amount="5"), StopPrice="1")
    emulator.pass_time(300)
    assert fills(emulator) == [("990", -1)]


def test_the_amount_of_a_trailing_stop_can_be_replaced() -> None:
    emulator = es(bar(1, *FLAT), bar(2, "1000", "1000", "997", "997"))
    order_id = emulator.place(**trailing(Amount="5"))["OrderID"]
    assert put(emulator, order_id, AdvancedOptions={"TrailingStop": {"Amount": "2"}})[0] == 200
    emulator.pass_time(300)
    assert fills(emulator) == [("998", -1)]


# Part-fills


def test_a_large_order_fills_in_parts_over_the_prints() -> None:
    emulator = es(bar(1, "1000", "1002", "999", "1001"), rules=Rules(print_quantity_futures=2))
    order_id = emulator.place(Quantity="5")["OrderID"]
    assert (status(emulator, order_id), fills(emulator)) == ("FPR", [("1000", 2)])
    emulator.pass_time(60)
    assert fills(emulator) == [("1000", 2), ("999", 2), ("1002", 1)]
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]
    assert (shown["Status"], shown["FilledPrice"], shown["CommissionFee"]) == ("FLL", "1000", "6.25")
    assert shown["Legs"][0]["ExecQuantity"] == "5"


def test_the_frames_of_part_fills_are_cumulative() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(print_quantity_futures=2))
    stream = emulator.stream(ORDERS)
    emulator.place(Quantity="5")
    emulator.pass_time(60)
    frames = [one for one in emulator.frames(stream) if "OrderID" in one]
    told = [(one["Status"], one["Legs"][0]["ExecQuantity"], one["Legs"][0]["QuantityRemaining"]) for one in frames]
    assert told == [("ACK", "0", "5"), ("FPR", "2", "3"), ("FPR", "4", "1"), ("FLL", "5", "0"), ("FLL", "5", "0")]


def test_cancelling_the_rest_is_flp_with_its_fill() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(print_quantity_futures=2))
    order_id = emulator.place(Quantity="5")["OrderID"]
    assert delete(emulator, order_id)[0] == 200
    order = emulator.state.ledger.orders[order_id]
    assert (order.status, order.filled, order.is_open) == ("FLP", 2, False)
    assert emulator.state.ledger.accounts[FUTURES].quantity("ESZ13") == 2


def test_a_tester_can_fill_a_part_and_show_any_status() -> None:
    emulator = es(*flat_bars(1, 9))
    order_id = limit(emulator, "990", Quantity="4")
    orders.fill_part(emulator.state, order_id, 3, emulator.now)
    orders.show_status(emulator.state, order_id, "ZZZ", emulator.now)
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]
    assert (shown["Status"], shown["StatusDescription"], shown["Legs"][0]["ExecQuantity"]) == ("ZZZ", "ZZZ", "3")
    orders.show_status(emulator.state, order_id, "", emulator.now)
    assert emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders/{order_id}")["Orders"][0]["Status"] == "FPR"


# IOC


def test_ioc_fills_what_it_can_and_the_rest_is_cancelled() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(print_quantity_futures=2))
    part = emulator.place(Quantity="5", TimeInForce={"Duration": "IOC"})["OrderID"]
    none = limit(emulator, "990", TimeInForce={"Duration": "IOC"})
    assert (status(emulator, part), status(emulator, none)) == ("FLP", "OUT")
    assert fills(emulator) == [("1000", 2)]


# Replaces and cancels on their way


def test_a_limit_can_be_moved_and_made_a_market_order() -> None:
    emulator = es(*flat_bars(1, 9))
    order_id = limit(emulator, "990")
    assert put(emulator, order_id, LimitPrice="995", Quantity="2")[0] == 200
    assert emulator.state.ledger.orders[order_id].limit_price == Decimal(995)
    assert put(emulator, order_id, OrderType="Market")[0] == 200
    assert fills(emulator) == [("1000", 2)]


def test_a_part_filled_order_cannot_be_made_smaller_than_its_fills() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(print_quantity_futures=2))
    order_id = emulator.place(Quantity="5")["OrderID"]
    assert put(emulator, order_id, Quantity="2")[0] == 400
    assert put(emulator, order_id, Quantity="3")[0] == 200
    emulator.pass_time(60)
    assert emulator.state.ledger.orders[order_id].filled == 3


RACES = Rules(cancel_s=20, replace_s=20)
FALLS = (bar(1, *FLAT), bar(2, "990", "990", "990", "990"), *flat_bars(3, 9))


def test_a_cancel_wins_where_nothing_fills_meanwhile() -> None:
    emulator = es(*FALLS, rules=RACES)
    stream = emulator.stream(ORDERS)
    order_id = limit(emulator, "995")
    assert delete(emulator, order_id)[1]["Message"] == "Cancel request sent"
    assert delete(emulator, order_id)[0] == 200  # repeating it is harmless
    assert put(emulator, order_id, LimitPrice="996")[1]["Message"] == (
        "Cancel/Replace not allowed after cancel has been attempted"
    )
    emulator.pass_time(300)
    told = [(one["Status"], "ClosedDateTime" in one) for one in emulator.frames(stream) if "OrderID" in one]
    assert told == [("ACK", False), ("UCN", False), ("OUT", False), ("OUT", True)]


def test_a_fill_wins_over_a_cancel_that_comes_too_late() -> None:
    emulator = es(*FALLS, rules=RACES)
    order_id = limit(emulator, "995")
    emulator.pass_time(50)
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    assert delete(emulator, order_id)[0] == 200
    emulator.pass_time(300)
    told = [one["Status"] for one in emulator.frames(stream) if "OrderID" in one]
    assert told == ["UCN", "LAT", "FLL", "FLL"]
    assert fills(emulator) == [("990", 1)]


def test_a_fill_during_a_replace_is_of_the_old_order_and_rides_on_an_ack() -> None:
    emulator = es(*FALLS, rules=RACES)
    order_id = limit(emulator, "995")
    emulator.pass_time(50)
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    assert put(emulator, order_id, LimitPrice="900")[1]["Message"] == "Cancel/Replace order sent."
    emulator.pass_time(300)
    told = [(one["Status"], one["Legs"][0]["ExecQuantity"]) for one in emulator.frames(stream) if "OrderID" in one]
    assert told == [("RSN", "0"), ("ACK", "1"), ("FLL", "1"), ("FLL", "1")]


def test_a_replace_takes_effect_after_its_way() -> None:
    emulator = es(*FALLS, rules=RACES)
    order_id = limit(emulator, "995")
    put(emulator, order_id, LimitPrice="900")
    assert (status(emulator, order_id), emulator.state.ledger.orders[order_id].limit_price) == ("RSN", Decimal(995))
    emulator.pass_time(30)
    assert (status(emulator, order_id), emulator.state.ledger.orders[order_id].limit_price) == ("ACK", Decimal(900))


@pytest.mark.parametrize("size", [1, 2])
def test_a_smaller_size_that_arrives_when_as_much_has_filled_ends_the_order(size: int) -> None:
    """No fill is taken back, and nothing of a size below zero goes to the market."""
    emulator = es(*flat_bars(1, 9), rules=Rules(replace_s=20, print_quantity_futures=1))
    order_id = limit(emulator, "995", Quantity="4")
    assert put(emulator, order_id, Quantity=str(size))[0] == 200
    for _ in range(2):
        orders.fill_part(emulator.state, order_id, 1, emulator.now)
    emulator.pass_time(300)
    order = emulator.state.ledger.orders[order_id]
    assert (order.status, order.quantity, order.filled) == ("FLL", 2, 2)
    assert fills(emulator) == [("1000", 1), ("1000", 1)]
    assert emulator.state.ledger.open_ids == []


def test_rules_changed_in_the_book_count_from_then_on() -> None:
    emulator = es(*flat_bars(1, 9))
    emulator.state.record(book.RulesChanged(Rules(cancel_s=60)), emulator.now)
    order_id = limit(emulator, "995")
    delete(emulator, order_id)
    assert status(emulator, order_id) == "UCN"


def test_an_out_after_a_replace_ends_nothing() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(replace_shows_out=True))
    order_id = limit(emulator, "995")
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    put(emulator, order_id, LimitPrice="996")
    told = [(one["Status"], "ClosedDateTime" in one) for one in emulator.frames(stream) if "OrderID" in one]
    assert told == [("OUT", False), ("ACK", False)]


# Buying power


@pytest.mark.parametrize(
    ("account", "symbol", "most", "fields"),
    [
        (FUTURES, "ESZ13", 6, {}),  # 100,000 / 15,500
        (MARGIN, "SPY", 4000, {}),  # four times the equity
        (MARGIN, "SPY", 4000, {"TradeAction": "SELLSHORT"}),
    ],
)
def test_an_order_beyond_the_buying_power_is_refused(
    account: str, symbol: str, most: int, fields: dict[str, str]
) -> None:
    emulator = es(*flat_bars(1, 9))
    refused = emulator.place(account, symbol, Quantity=str(most + 1), **fields)
    assert "Insufficient buying power" in refused["Message"]
    assert "Error" not in emulator.place(account, symbol, Quantity=str(most), **fields)


def test_open_orders_keep_buying_power_back_and_closing_ones_need_none() -> None:
    emulator = es(*flat_bars(1, 9))
    limit(emulator, "990", Quantity="4")
    (balance,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/balances")["Balances"]
    assert (balance["BalanceDetail"]["OpenOrderMargin"], balance["BuyingPower"]) == ("62000", "38000")
    assert "Error" in emulator.place(Quantity="3")
    assert "Error" not in emulator.place(Quantity="2")
    assert "Error" not in emulator.place(Quantity="2", TradeAction="SELL", OrderType="StopMarket", StopPrice="980")
    assert "Error" not in emulator.place(Quantity="2", TradeAction="SELL")


def test_without_the_rule_nobody_asks() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(buying_power_checked=False))
    assert "Error" not in emulator.place(Quantity="50")


# Keys


def test_by_rule_a_refused_order_does_not_burn_its_key() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(refusal_burns_key=False))
    assert "Error" in emulator.place(Quantity="0", OrderConfirmID="k")
    assert "Error" not in emulator.place(OrderConfirmID="k")
    assert "Error" in emulator.place(OrderConfirmID="k")


def test_by_rule_a_used_key_is_not_refused() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(duplicate_refused=False))
    assert "Error" not in emulator.place(OrderConfirmID="k")
    assert "Error" not in emulator.place(OrderConfirmID="k")


def test_names_in_any_case_and_numbers_as_numbers() -> None:
    emulator = es(*flat_bars(1, 9))
    body = {
        "accountid": FUTURES, "SYMBOL": "ESZ13", "quantity": 2, "ordertype": "limit", "LimitPrice": 990.25,
        "tradeAction": "buy", "timeinforce": {"duration": "gtc"}, "orderconfirmid": "k",
    }  # fmt: skip
    code, answer = emulator.reply("POST", "/v3/orderexecution/orders", body)
    assert (code, answer["Orders"][0]["Message"]) == (200, "Sent order: Buy 2 ESZ13 @ 990.25 Limit")


@pytest.mark.parametrize(("shares", "free"), [(1000, "100000"), (2000, "0"), (3000, "-100000")])
def test_a_margin_account_that_holds_more_than_it_may_over_night_says_so(shares: int, free: str) -> None:
    """By day four times the equity may be bought, over night twice."""
    emulator = Emulator(market(SPY=flat_bars(1, 60, "100")), Settings(rules=Rules(print_quantity_stocks=0)))
    emulator.place(MARGIN, "SPY", Quantity=str(shares))
    emulator.pass_time(5)
    path = f"/v3/brokerage/accounts/{MARGIN}/balances"
    (shown,) = emulator.get(path)["Balances"]
    assert shown["BalanceDetail"]["OvernightBuyingPower"] == free
    (read,) = decoded(msgspec.json.encode(emulator.get(path)), BalancesPage).balances
    assert wire.balance(read).overnight_free_usd == Decimal(free)
