"""OCO, brackets and OSO: what a fill, a part-fill, a cancel or a refusal of one does to the others."""

from __future__ import annotations

from typing import Any

from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from tests.emulator.support import FUTURES, MARGIN, Emulator, bar, flat_bars, market, order

FLAT = ("1000", "1000", "1000", "1000")
RISES = (bar(1, *FLAT), bar(2, "1000", "1006", "1000", "1006"), *flat_bars(3, 9, "1006"))
ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"


def es(*bars: Any, rules: Rules | None = None) -> Emulator:
    return Emulator(market(ESZ13=list(bars), SPY=flat_bars(1, 60, "100")), Settings(rules=rules or Rules()))


def target(price: str, **fields: Any) -> dict[str, Any]:
    return order(TradeAction="SELL", OrderType="Limit", LimitPrice=price, **fields)


def stop(price: str, **fields: Any) -> dict[str, Any]:
    return order(TradeAction="SELL", OrderType="StopMarket", StopPrice=price, **fields)


def group(emulator: Emulator, kind: str, *legs: dict[str, Any]) -> Any:
    code, answer = emulator.reply("POST", "/v3/orderexecution/ordergroups", {"Type": kind, "Orders": list(legs)})
    assert code == 200, answer
    return answer


def ids(answer: Any) -> list[str]:
    return [one["OrderID"] for one in answer["Orders"]]


def statuses(emulator: Emulator) -> list[str]:
    return [one.status for one in emulator.state.ledger.orders.values()]


def shown(emulator: Emulator) -> list[Any]:
    return list(reversed(emulator.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]))


def test_a_fill_of_one_cancels_the_others() -> None:
    emulator = es(*RISES)
    emulator.place()
    answer = group(emulator, "OCO", target("1005"), stop("990"), stop("980"))
    assert "Errors" not in answer
    emulator.pass_time(300)
    assert statuses(emulator) == ["FLL", "FLL", "OUT", "OUT"]
    assert emulator.state.ledger.accounts[FUTURES].positions == {}


def test_the_legs_of_a_group_name_each_other() -> None:
    emulator = es(*flat_bars(1, 9))
    first, second = ids(group(emulator, "OCO", target("1005"), stop("990")))
    above, below = shown(emulator)
    assert above["GroupName"] == below["GroupName"] == "OCO 1"
    assert above["ConditionalOrders"] == [{"Relationship": "OCO", "OrderID": second}]
    assert below["ConditionalOrders"] == [{"Relationship": "OCO", "OrderID": first}]
    assert above["AdvancedOptions"] == "OCA=1;"
    assert below["AdvancedOptions"] == "STPTRG=STT;OCA=1;"
    group(emulator, "BRK", target("1005"), stop("990"))
    assert shown(emulator)[-1]["GroupName"] == "BRK 2"


def test_both_sides_marketable_at_once_leave_one_filled() -> None:
    emulator = es(*flat_bars(1, 9))
    group(emulator, "OCO", target("990"), target("995"))
    assert statuses(emulator) == ["FLL", "OUT"]


def test_a_part_fill_of_an_oco_cancels_the_others_and_the_rest_goes_on() -> None:
    emulator = es(*RISES, rules=Rules(print_quantity_futures=1))
    group(emulator, "OCO", target("1005", Quantity="3"), stop("990", Quantity="3"))
    emulator.pass_time(95)
    assert statuses(emulator) == ["FPR", "OUT"]
    emulator.pass_time(60)
    assert statuses(emulator) == ["FLL", "OUT"]


def test_a_part_fill_of_a_bracket_makes_the_other_side_smaller() -> None:
    emulator = es(*RISES, rules=Rules(print_quantity_futures=1))
    group(emulator, "BRK", target("1005", Quantity="3"), stop("990", Quantity="3"))
    emulator.pass_time(95)
    above, below = emulator.state.ledger.orders.values()
    assert (above.status, above.filled) == ("FPR", 1)
    assert (below.status, below.quantity) == ("ACK", 2)
    emulator.pass_time(60)
    assert statuses(emulator) == ["FLL", "OUT"]


def test_cancelling_one_leaves_the_others_unless_the_rule_says_so() -> None:
    for rule, other in ((False, "ACK"), (True, "OUT")):
        emulator = es(*flat_bars(1, 9), rules=Rules(cancel_ends_group=rule))
        first, _ = ids(group(emulator, "OCO", target("1005"), stop("990")))
        emulator.reply("DELETE", f"/v3/orderexecution/orders/{first}")
        assert statuses(emulator) == ["OUT", other]


def test_the_code_of_a_group_cancel_is_a_rule() -> None:
    emulator = es(*flat_bars(1, 9), rules=Rules(group_cancel_status="BRC"))
    group(emulator, "BRK", target("990"), stop("980"))
    assert statuses(emulator) == ["FLL", "BRC"]


def test_mixed_outcomes_one_leg_placed_the_other_in_errors() -> None:
    emulator = es(*flat_bars(1, 9))
    answer = group(emulator, "OCO", target("1005"), stop("990.10"))
    assert [one["OrderID"] for one in answer["Orders"]] == ["1200000001"]
    assert answer["Errors"][0]["OrderID"] == "1200000002"
    assert "multiple of the tick" in answer["Errors"][0]["Message"]
    assert "ConditionalOrders" not in shown(emulator)[0]


def test_a_group_has_one_key_a_leg() -> None:
    emulator = es(*flat_bars(1, 9))
    answer = group(emulator, "NORMAL", target("1005", OrderConfirmID="a"), stop("990", OrderConfirmID="a"))
    assert [len(answer["Orders"]), len(answer["Errors"])] == [1, 1]
    assert answer["Errors"][0]["OrderID"] == ""
    again = group(emulator, "NORMAL", target("1005", OrderConfirmID="a"))
    assert again["Orders"] == []


def test_a_bracket_of_two_sides_cannot_be_built() -> None:
    emulator = es(*flat_bars(1, 9))
    body = {"Type": "BRK", "Orders": [target("1005"), order()]}
    assert emulator.reply("POST", "/v3/orderexecution/ordergroups", body)[0] == 400
    assert emulator.state.ledger.orders == {}


# OSO


def entry(*legs: dict[str, Any], kind: str = "BRK", **fields: Any) -> dict[str, Any]:
    return order(OSOs=[{"Type": kind, "Orders": list(legs)}], **fields)


def place(emulator: Emulator, body: dict[str, Any]) -> list[Any]:
    code, answer = emulator.reply("POST", "/v3/orderexecution/orders", body)
    assert code == 200, answer
    return list(answer["Orders"])


def test_children_wait_for_their_parent_and_are_sent_by_its_fill() -> None:
    emulator = es(
        bar(1, *FLAT), bar(2, "1000", "1000", "994", "995"), *flat_bars(3, 5, "995"), *flat_bars(6, 9, "1006")
    )
    stream = emulator.stream(ORDERS)
    placed = place(emulator, entry(target("1005"), stop("990"), OrderType="Limit", LimitPrice="995"))
    assert [one["OrderID"] for one in placed] == ["1200000001", "1200000002", "1200000003"]
    assert statuses(emulator) == ["ACK", "OSO", "OSO"]
    parent, above, _ = shown(emulator)
    assert parent["ConditionalOrders"] == [
        {"Relationship": "OSO", "OrderID": "1200000002"},
        {"Relationship": "OSO", "OrderID": "1200000003"},
    ]
    assert above["ConditionalOrders"] == [
        {"Relationship": "OSP", "OrderID": "1200000001"},
        {"Relationship": "BRK", "OrderID": "1200000003"},
    ]
    emulator.pass_time(120)
    assert statuses(emulator) == ["FLL", "ACK", "ACK"]
    emulator.pass_time(600)
    assert statuses(emulator) == ["FLL", "FLL", "OUT"]
    told = [(one["OrderID"][-1], one["Status"]) for one in emulator.frames(stream) if "OrderID" in one]
    assert told == [
        ("1", "ACK"), ("2", "OSO"), ("3", "OSO"), ("1", "FLL"), ("1", "FLL"), ("2", "ACK"), ("3", "ACK"),
        ("2", "FLL"), ("2", "FLL"), ("3", "OUT"), ("3", "OUT"),
    ]  # fmt: skip


def test_children_end_with_a_parent_that_does_not_fill() -> None:
    emulator = es(*flat_bars(1, 9))
    (parent, *_) = place(emulator, entry(target("1005"), stop("990"), OrderType="Limit", LimitPrice="900"))
    emulator.reply("DELETE", f"/v3/orderexecution/orders/{parent['OrderID']}")
    assert statuses(emulator) == ["OUT", "OUT", "OUT"]


def test_a_refused_parent_takes_its_children_with_it() -> None:
    emulator = es(*flat_bars(1, 9))
    elements = place(emulator, entry(target("1005"), stop("990"), Quantity="0"))
    assert ["Error" in one for one in elements] == [True, True, True]
    assert statuses(emulator) == ["REJ", "REJ", "REJ"]


def test_children_are_sent_at_the_whole_fill_or_by_rule_at_the_first_part() -> None:
    for rule, children in ((False, "OSO"), (True, "ACK")):
        emulator = es(*flat_bars(1, 9), rules=Rules(print_quantity_futures=2, oso_sends_on_part_fill=rule))
        place(emulator, entry(target("1005"), stop("990"), Quantity="5"))
        assert statuses(emulator) == ["FPR", children, children]


def test_a_stock_child_needs_no_position_before_its_parent_fills() -> None:
    emulator = es(*flat_bars(1, 9))
    child = order(MARGIN, "SPY", TradeAction="SELL", OrderType="StopMarket", StopPrice="90")
    body = order(MARGIN, "SPY", OSOs=[{"Type": "NORMAL", "Orders": [child]}])
    place(emulator, body)
    assert statuses(emulator) == ["FLL", "ACK"]
