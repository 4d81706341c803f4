"""Activation rules, AllOrNone, ShowOnlyQuantity, one leg, OSOs inside groups; and any body at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.tradestation.emulator.book import encode
from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings, rebuilt
from tests.emulator.support import FUTURES, MARGIN, Emulator, bar, flat_bars, market, order

FLAT = ("1000", "1000", "1000", "1000")
STREAM = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
ORDERS = "/v3/orderexecution/orders"
# Prints at 0, 15, 30 and 45 s of each minute: 1000 in the first; 1000, 999, 1006, 1004 in the second.
RISES = [bar(1, *FLAT), bar(2, "1000", "1006", "999", "1004"), *flat_bars(3, 9, "1004")]


def es(*bars: Any, rules: Rules | None = None) -> Emulator:
    return Emulator(market(ESZ13=list(bars or RISES), SPY=flat_bars(1, 60, "100")), Settings(rules=rules or Rules()))


def rule(price: str, **fields: Any) -> dict[str, Any]:
    plain = {"RuleType": "Price", "Symbol": "ESZ13", "Predicate": "Gte", "TriggerKey": "STT", "Price": price}
    return {**plain, **fields}


def held_back(emulator: Emulator, *rules: dict[str, Any], times: tuple[str, ...] = (), **fields: Any) -> str:
    options: dict[str, Any] = {"MarketActivationRules": list(rules)} if rules else {}
    if times:
        options["TimeActivationRules"] = [{"TimeUtc": time} for time in times]
    answer = emulator.place(AdvancedOptions=options, **fields)
    assert "Error" not in answer, answer
    return str(answer["OrderID"])


def filled_after_s(emulator: Emulator, order_id: str) -> float | None:
    """Seconds after the begin of the first bar; None where it is still open by the end of the bars."""
    begin = emulator.now.market_utc
    emulator.pass_time(9 * 60)
    at_utc = emulator.state.ledger.orders[order_id].last_fill_utc
    return None if at_utc is None else at_utc - begin


@pytest.mark.parametrize(
    ("rules", "after_s"),
    [
        ([rule("1004")], 90),
        ([rule("1004", TriggerKey="DTT")], 105),
        ([rule("1004", TriggerKey="TBA")], 105),
        ([rule("1006", TriggerKey="DTT")], None),
        ([rule("1000")], 0),
        ([rule("1000", Predicate="Gt")], 90),
        ([rule("1000", Predicate="lt")], 75),
        ([rule("999", Predicate="Lt")], None),
        ([rule("2000")], None),
        ([rule("999", Predicate="Lte"), rule("1006", LogicOperator="And")], 90),
        ([rule("2000"), rule("999", Predicate="Lte", LogicOperator="or")], 75),
        ([rule("2000"), rule("999", Predicate="Lte")], None),
        ([rule("100", Symbol="SPY")], 0),
        ([rule("101", Symbol="SPY")], None),
    ],
)
def test_an_order_waits_for_the_prices_of_its_rules(rules: list[dict[str, Any]], after_s: float | None) -> None:
    emulator = es()
    assert filled_after_s(emulator, held_back(emulator, *rules)) == after_s


@pytest.mark.parametrize(
    ("rules", "time", "after_s"),
    [
        ([], "0001-01-01T14:03:00Z", 180),
        ([rule("1006")], "0001-01-01T14:01:00Z", 90),
        ([], "0001-01-01T13:59:00Z", None),
    ],
)
def test_an_order_waits_for_the_hour_and_both_kinds_count(
    rules: list[dict[str, Any]], time: str, after_s: float | None
) -> None:
    emulator = es()
    assert filled_after_s(emulator, held_back(emulator, *rules, times=(time,))) == after_s


def test_it_shows_its_rules_and_tells_that_they_are_met() -> None:
    emulator = es()
    stream = emulator.stream(STREAM)
    emulator.frames(stream)
    order_id = held_back(emulator, rule("1004"), times=("0001-01-01T14:01:00Z",))
    emulator.pass_time(100)
    frames = emulator.frames(stream)
    assert [frame["Status"] for frame in frames][:3] == ["ACK", "CND", "ACK"]
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders/{order_id}")["Orders"]
    assert shown["AdvancedOptions"] == "CND=ESZ13>=1004(STT);TIM=14:01:00;"
    assert shown["MarketActivationRules"] == [{**rule("1004"), "LogicOperator": "And"}]
    assert shown["TimeActivationRules"] == [{"TimeUtc": "0001-01-01T14:01:00Z"}]


def test_a_replace_clears_rules_and_adds_others() -> None:
    emulator = es()
    order_id = held_back(emulator, rule("2000"))
    added = {"MarketActivationRules": {"ClearAll": False, "Rules": [rule("1006", LogicOperator="Or")]}}
    assert emulator.reply("PUT", f"{ORDERS}/{order_id}", {"AdvancedOptions": added})[0] == 200
    assert len(emulator.state.ledger.orders[order_id].terms.market_rules) == 2
    cleared = {"MarketActivationRules": {"ClearAll": True, "Rules": []}}
    assert emulator.reply("PUT", f"{ORDERS}/{order_id}", {"AdvancedOptions": cleared})[0] == 200
    assert filled_after_s(emulator, order_id) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"MarketActivationRules": [rule("x")]},
        {"MarketActivationRules": [rule("-1")]},
        {"MarketActivationRules": [rule("1", Predicate="Eq")]},
        {"MarketActivationRules": [rule("1", TriggerKey="XXX")]},
        {"MarketActivationRules": [rule("1", RuleType="Volume")]},
        {"MarketActivationRules": [rule("1", Symbol="NIX99")]},
        {"MarketActivationRules": [rule("1", LogicOperator="Nor")]},
        {"MarketActivationRules": [rule("1")] * 11},
        {"MarketActivationRules": "soon"},
        {"TimeActivationRules": [{"TimeUtc": "soon"}]},
        {"TimeActivationRules": [{}]},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_and_books_nothing(options: dict[str, Any]) -> None:
    emulator = es()
    code, answer = emulator.reply("POST", ORDERS, order(AdvancedOptions=options))
    assert (code, answer["Error"]) == (400, "BadRequest")
    assert emulator.state.ledger.orders == {}


def test_all_or_none_fills_at_one_print_or_not_at_all() -> None:
    emulator = es(rules=Rules(print_quantity_stocks=100))
    options = {"AdvancedOptions": {"AllOrNone": True}}
    small = emulator.place(MARGIN, "SPY", Quantity="100", **options)["OrderID"]
    large = emulator.place(MARGIN, "SPY", Quantity="101", **options)["OrderID"]
    emulator.pass_time(600)
    orders = emulator.state.ledger.orders
    assert (orders[small].status, orders[large].status, orders[large].filled) == ("FLL", "ACK", 0)
    assert emulator.place(**options)["Message"] == "Order failed. Reason: AllOrNone is for equities and options"


def test_a_shown_quantity_is_shown_and_changed() -> None:
    emulator = es()
    limit = {"OrderType": "Limit", "LimitPrice": "900", "Quantity": "5"}
    order_id = emulator.place(AdvancedOptions={"ShowOnlyQuantity": 2}, **limit)["OrderID"]
    emulator.reply("PUT", f"{ORDERS}/{order_id}", {"AdvancedOptions": {"ShowOnlyQuantity": "3"}})
    (shown,) = emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders/{order_id}")["Orders"]
    assert shown["ShowOnlyQuantity"] == "3"
    assert "Error" in emulator.place(AdvancedOptions={"ShowOnlyQuantity": "2"})
    assert "Error" in emulator.place(AdvancedOptions={"ShowOnlyQuantity": "6"}, **limit)


def test_one_leg_is_an_order_in_another_form() -> None:
    leg = {"Symbol": "ESZ13", "Quantity": 2, "TradeAction": "sell"}
    told = es().place(Symbol=None, Quantity=None, TradeAction=None, Legs=[leg])
    assert told["Message"] == "Sent order: Sell 2 ESZ13 @ Market"


def test_orders_of_a_group_have_children_of_their_own() -> None:
    emulator = es()
    exits = {"Type": "OCO", "Orders": [_exit("LimitPrice", "1004"), _exit("StopPrice", "900")]}
    deep = {"Type": "NORMAL", "Orders": [order(OrderType="Limit", LimitPrice="900", OSOs=[])]}
    exits["Orders"][0]["OSOs"] = [deep]
    entries = [order(OrderType="Limit", LimitPrice="999", OSOs=[exits]), order(OrderType="Limit", LimitPrice="950")]
    code, answer = emulator.reply("POST", "/v3/orderexecution/ordergroups", {"Type": "OCO", "Orders": entries})
    assert (code, len(answer["Orders"])) == (200, 5)
    emulator.pass_time(300)
    statuses = [each.status for each in emulator.state.ledger.orders.values()]
    assert statuses == ["FLL", "FLL", "ACK", "OUT", "OUT"], "entry, target, its child, stop, the other entry"


def _exit(name: str, price: str) -> dict[str, Any]:
    kind = "Limit" if name == "LimitPrice" else "StopMarket"
    return order(TradeAction="SELL", OrderType=kind, **{name: price})


def test_a_tree_of_too_many_orders_is_refused() -> None:
    body = order()
    for _ in range(25):
        body = order(OSOs=[{"Type": "NORMAL", "Orders": [body]}])
    code, answer = es().reply("POST", ORDERS, body)
    assert (code, "25" in answer["Message"]) == (400, True)


# -- any body -----------------------------------------------------------------------------------------------------

NAMES = [
    *order(),
    *("Legs", "OSOs", "LimitPrice", "StopPrice", "AdvancedOptions", "OrderConfirmID", "Type", "Orders", "Duration"),
    *("Expiration", "TrailingStop", "AllOrNone", "ShowOnlyQuantity", "MarketActivationRules", "TimeActivationRules"),
    *("Amount", "Percent", "Price", "Predicate", "TimeUtc", "ClearAll", "Rules"),
]
WORDS = [
    "1",
    "1000",
    "-1",
    "1e999999999",
    "NaN",
    "ESZ13",
    "SPY",
    FUTURES,
    "BUY",
    "Limit",
    "OCO",
    "GTD",
    "9999-12-31",
    "",
]
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(WORDS))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)),
    max_leaves=8,
)
BARS: Market = market(ESZ13=RISES, SPY=flat_bars(1, 60, "100"))


@settings(max_examples=400, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(NAMES), values, max_size=5), whole=st.one_of(st.none(), values))
def test_any_body_is_answered_and_its_book_can_be_read_again(changes: dict[str, Any], whole: Any) -> None:
    emulator = Emulator(BARS)
    first = emulator.place(OrderType="Limit", LimitPrice="900")["OrderID"]
    for body in ({**order(), **changes}, whole):
        for method, path in (
            ("POST", ORDERS),
            ("POST", "/v3/orderexecution/orderconfirm"),
            ("POST", "/v3/orderexecution/ordergroups"),
            ("POST", "/v3/orderexecution/ordergroupconfirm"),
            ("PUT", f"{ORDERS}/{first}"),
        ):
            code, _ = emulator.reply(method, path, body)
            assert code in (200, 400, 403)
    emulator.pass_time(120)
    entries = emulator.state.take_entries()
    assert encode(entries)
    again = rebuilt(Settings(), BARS, entries)
    assert again.ledger == emulator.state.ledger
    assert again.steps.keys() >= set(emulator.state.ledger.open_ids)
