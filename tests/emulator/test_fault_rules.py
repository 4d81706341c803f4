"""Faults with scope, number, chance and schedule; and what each of them does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.app import app
from brokers.tradestation.emulator.fault_rules import FAULTS, FaultRules, Rule, Scope, chance
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.values import Cut, Reply, Request
from tests.emulator.support import FUTURES, MARGIN, REFRESH, START, Emulator, flat_bars, market, order

BARS = "/v3/marketdata/stream/barcharts/ESZ13"
ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
POSITIONS = f"/v3/brokerage/stream/accounts/{FUTURES}/positions"
LIST = f"/v3/brokerage/accounts/{FUTURES}/orders"
STOP = {"OrderType": "StopMarket", "StopPrice": "1100"}
PASSED = {"OrderType": "StopMarket", "StopPrice": "999"}


def running(**settings: Any) -> Emulator:
    return Emulator(market(ESZ13=flat_bars(1, 600), SPY=flat_bars(1, 600, "100")), Settings(**settings))


def hits(rule: Rule, times_s: list[float], scope: Scope | None = None) -> list[int]:
    rules = FaultRules()
    rules.arm(rule, 0.0)
    where = FAULTS[rule.fault][0]
    return [n for n, at_s in enumerate(times_s, 1) if rules.hits(where, scope or Scope(), at_s)]


# When a rule acts


def test_a_rule_acts_from_its_nth_match_on_so_often() -> None:
    assert hits(Rule(fault="stall", nth=3), [0.0] * 9) == [3]
    assert hits(Rule(fault="stall", nth=3, times=2), [0.0] * 9) == [3, 4]
    assert hits(Rule(fault="stall", times=0), [0.0] * 4) == [1, 2, 3, 4]


def test_a_rule_acts_within_its_time_and_not_too_often() -> None:
    every_second = [float(n) for n in range(10)]
    assert hits(Rule(fault="stall", times=0, after_s=2, for_s=3), every_second) == [3, 4, 5]
    assert hits(Rule(fault="stall", times=0, every_s=4), every_second) == [1, 5, 9]


@given(seed=st.integers(0, 1000), probability=st.floats(0, 1))
def test_chance_is_the_same_again_and_about_what_was_asked(seed: int, probability: float) -> None:
    rule = Rule(fault="stall", times=0, probability=probability, seed=seed)
    drawn = hits(rule, [0.0] * 400)
    assert drawn == hits(rule, [0.0] * 400)
    assert abs(len(drawn) / 400 - probability) < 0.13


def test_chance_lies_from_zero_up_to_one() -> None:
    assert all(0 <= chance("x", n) < 1 for n in range(1000))


@pytest.mark.parametrize(
    ("named", "is_hit"),
    [
        ({"symbol": "ESZ13"}, True),
        ({"symbol": "SPY"}, False),
        ({"account": FUTURES}, True),
        ({"account": MARGIN}, False),
        ({"order": "1"}, True),
        ({"order": "2"}, False),
        ({"kind": "orders"}, True),
        ({"kind": "bars"}, False),
        ({"path": "GET /v3/*"}, True),
        ({"path": "POST *"}, False),
        ({"symbol": "ESZ13", "account": MARGIN}, False),
    ],
)
def test_a_scope_names_whom_it_is_about(named: dict[str, Any], is_hit: bool) -> None:
    scope = Scope(symbols=("ESZ13",), accounts=(FUTURES,), orders=("1",), kind="orders", path="GET /v3/x")
    assert bool(hits(Rule(fault="stall", **named), [0.0], scope)) == is_hit


# Over HTTP


def test_faults_are_armed_counted_shown_and_healed() -> None:
    one = running()
    number = one.tell("fault", fault="status", path="GET */quotes/*", times=2)["Number"]
    quotes = "/v3/marketdata/quotes/ESZ13"
    assert [one.reply("GET", quotes)[0] for _ in range(3)] == [503, 503, 200]
    (armed,) = one.get("/emulator/faults")["Armed"]
    assert (armed["Number"], armed["Hits"], armed["Rule"]["fault"]) == (number, 2, "status")
    assert {known["Fault"] for known in one.get("/emulator/faults")["Known"]} == set(FAULTS)
    assert one.tell("heal", number=number) == {"Healed": 1}
    assert one.get("/emulator/faults")["Armed"] == []
    assert [fault["Fault"] for fault in one.get("/emulator/state")["Faults"]] == ["status", "heal"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"fault": "explode"}, "drop_order"),
        ({"fault": "status", "status": 200}, "400 to 599"),
        ({"fault": "stall", "seconds": -1}, "seconds"),
        ({"fault": "stall", "probability": 2}, "probability"),
        ({"fault": "stall", "nth": 0}, "nth"),
        ({"fault": "end", "how": "kindly"}, "how"),
        ({"fault": "stall", "colour": "red"}, "colour"),
        ({"fault": "goaway", "text": "loud"}, "status or error"),
    ],
)
def test_a_bad_fault_is_a_400_that_says_what_is_wrong(body: Any, word: str) -> None:
    one = running()
    status, answer = one.reply("POST", "/emulator/fault", body)
    assert status == 400
    assert word in answer["Message"]
    assert not one.state.fault_rules
    assert one.reply("POST", "/emulator/heal", {"number": 7})[0] == 400


# Requests


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", ["lose_reply", "status"])
def test_an_order_whose_answer_fails_is_booked_or_not(fault: str, when: str) -> None:
    one = running()
    one.tell("fault", fault=fault, when=when, status=504, symbol="ESZ13", path="POST */orders")
    answer = one.ask("POST", "/v3/orderexecution/orders", order())
    if fault == "lose_reply":
        assert isinstance(answer, Cut)
    else:
        assert isinstance(answer, Reply)
        assert (answer.status, msgspec.json.decode(answer.body)["Error"]) == (504, "GatewayTimeout")
    assert len(one.state.ledger.orders) == (when == "after")
    assert one.place()["OrderID"]


def test_an_order_whose_answer_is_slow_is_booked_at_once() -> None:
    one = running()
    one.tell("fault", fault="slow_reply", seconds=0.5, path="POST */orders")
    answer = one.ask("POST", "/v3/orderexecution/orders", order())
    assert isinstance(answer, Reply)
    assert (answer.status, answer.after_s, len(one.state.ledger.orders)) == (200, 0.5, 1)


@pytest.mark.parametrize(("body", "starts"), [("json", b'{"Error"'), ("empty", b""), ("html", b"<html>")])
def test_an_error_may_have_any_body(body: str, starts: bytes) -> None:
    one = running()
    one.tell("fault", fault="status", body=body, status=429)
    answer = one.ask("GET", "/v3/brokerage/accounts")
    assert isinstance(answer, Reply)
    assert (answer.status, answer.headers["x-ratelimit-reset"]) == (429, "30")
    assert answer.body.startswith(starts)
    assert bool(answer.body) == bool(starts)


def test_a_401_comes_with_a_token_that_lives() -> None:
    one = running()
    one.tell("fault", fault="status", status=401, path="GET /v3/*")
    assert one.reply("GET", "/v3/brokerage/accounts")[1]["Error"] == "Unauthorized"
    one.get("/v3/brokerage/accounts")


def test_a_refresh_of_a_rotating_key_can_lose_its_reply_and_the_old_token_is_gone() -> None:
    one = running(rotate_refresh_tokens=True)
    one.state.fault_rules.arm(Rule(fault="lose_reply", path="POST /oauth/token"), one.now.machine_s)
    assert isinstance(app(one.state, Request("POST", "/oauth/token", body=REFRESH), one.now), Cut)
    again = app(one.state, Request("POST", "/oauth/token", body=REFRESH), one.now)
    assert isinstance(again, Reply)
    assert again.body == b'{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}'


def test_the_sign_in_host_can_refuse_in_its_own_shape() -> None:
    one = running()
    one.get("/v3/brokerage/accounts")
    one.tell("fault", fault="auth0_error", path="POST /oauth/token", message="Not today.")
    reply = app(one.state, Request("POST", "/oauth/token", body=REFRESH), one.now)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (403, b'{"error":"invalid_grant","error_description":"Not today."}')


def test_a_mute_stream_is_opened_and_never_says_a_byte() -> None:
    one = running()
    one.tell("fault", fault="mute", path="*barcharts*")
    stream = one.stream(BARS, unit="Minute", barsback="5")
    for _ in range(30):
        one.pass_time(10)
    assert stream not in one.sent
    one.tell("heal")
    assert one.frames(stream)


def test_a_late_booking_shows_in_no_list_at_first() -> None:
    one = running()
    one.tell("fault", fault="late_booking", seconds=20)
    placed = one.place(**STOP)["OrderID"]
    assert one.get(LIST)["Orders"] == []
    assert one.get(f"{LIST}/{placed}")["Errors"][0]["Error"] == "NotFound"
    one.pass_time(20)
    assert [each["OrderID"] for each in one.get(LIST)["Orders"]] == [placed]


def test_an_inert_stop_works_and_never_fires_until_it_is_healed_or_is_no_stop_any_more() -> None:
    one = running()
    one.tell("fault", fault="inert_stop", times=0)
    first, second = one.place(**PASSED)["OrderID"], one.place(**PASSED)["OrderID"]
    one.pass_time(300)
    assert [each["Status"] for each in one.get(LIST)["Orders"]] == ["ACK", "ACK"]
    status, _ = one.reply("PUT", f"/v3/orderexecution/orders/{first}", {"OrderType": "Market"})
    one.pass_time(60)
    assert status == 200
    assert one.get(f"{LIST}/{first}")["Orders"][0]["Status"] == "FLL"
    assert one.get(f"{LIST}/{second}")["Orders"][0]["Status"] == "ACK"
    one.tell("heal")
    one.pass_time(1)
    assert one.get(f"{LIST}/{second}")["Orders"][0]["Status"] == "FLL"


def test_a_used_key_can_be_let_through_and_pages_can_be_small() -> None:
    one = running()
    one.tell("fault", fault="duplicate_allowed", nth=2)
    assert one.place(OrderConfirmID="k", **STOP)["OrderID"]
    assert one.place(OrderConfirmID="k", **STOP)["OrderID"]
    assert one.place(OrderConfirmID="k", **STOP)["OrderID"] == ""
    one.tell("fault", fault="small_pages", times=0, count=1)
    first = one.get(LIST)
    second = one.get(LIST, nexttoken=first["NextToken"])
    assert [len(page["Orders"]) for page in (first, second)] == [1, 1]
    assert "NextToken" not in second


# Orders and positions on the streams


def order_frames(fault: str, **more: Any) -> tuple[Emulator, list[str]]:
    """The statuses that a market order's life shows."""
    one = running()
    stream = one.stream(ORDERS)
    one.frames(stream)
    one.tell("fault", fault=fault, times=0, **more)
    one.place()
    return one, [frame["Status"] for frame in one.frames(stream)]


def test_one_orders_frames_can_be_missing_while_lists_stay_right() -> None:
    one, statuses = order_frames("drop_order", order="1200000001")
    assert statuses == []
    assert one.get(LIST)["Orders"][0]["Status"] == "FLL"
    one.place()
    assert "FLL" in [frame["Status"] for frame in one.frames(1)]


def test_a_fill_can_ride_on_an_ack_and_come_twice() -> None:
    assert order_frames("fill_on_ack")[1] == ["ACK", "ACK", "FLL"]
    assert order_frames("fill_twice")[1] == ["ACK", "FLL", "FLL", "FLL", "FLL"]


def test_a_status_nobody_knows_comes_before_the_event() -> None:
    assert order_frames("unknown_status", text="ZZZ")[1][:2] == ["ZZZ", "ACK"]


def test_an_out_after_a_replace_does_not_end_the_order() -> None:
    one = running()
    stream = one.stream(ORDERS)
    placed = one.place(**STOP)["OrderID"]
    one.frames(stream)
    one.tell("fault", fault="out_after_replace")
    one.reply("PUT", f"/v3/orderexecution/orders/{placed}", {"StopPrice": "1101"})
    frames = one.frames(stream)
    assert (frames[-1]["Status"], "ClosedDateTime" in frames[-1]) == ("OUT", False)
    assert one.get(LIST)["Orders"][0]["Status"] == "ACK"


def test_a_held_position_can_be_told_as_deleted() -> None:
    one = running()
    stream = one.stream(POSITIONS)
    one.frames(stream)
    one.tell("fault", fault="position_deleted", account=FUTURES)
    one.place()
    assert [frame.get("Deleted", False) for frame in one.frames(stream)] == [False, True]
    assert len(one.get(f"/v3/brokerage/accounts/{FUTURES}/positions")["Positions"]) == 1


# Bars and chunks


def closed_stamps(frames: list[Any]) -> list[int]:
    return [(frame["Epoch"] // 1000 - START) // 60 for frame in frames if frame.get("BarStatus") == "Closed"]


@pytest.mark.parametrize(("fault", "stamps"), [("bars_repeat", [1, 2, 2, 3]), ("bars_gap", [1, 3])])
def test_a_bar_can_come_twice_or_not_at_all(fault: str, stamps: list[int]) -> None:
    one = running()
    stream = one.stream(BARS, unit="Minute")
    one.tell("fault", fault=fault, symbol="ESZ13", nth=2)
    one.pass_time(181)
    assert closed_stamps(one.frames(stream)) == stamps


def test_bars_can_come_late_and_then_all() -> None:
    one = running()
    stream = one.stream(BARS, unit="Minute")
    one.frames(stream)
    one.tell("fault", fault="bars_late", seconds=90)
    one.pass_time(60)
    assert one.frames(stream) == []
    one.pass_time(89)
    assert one.frames(stream) == []
    one.pass_time(2)
    assert closed_stamps(one.frames(stream)) == [1, 2]


@pytest.mark.parametrize(
    ("how", "ended"), [("close", "close"), ("half", "half"), ("reset", "reset"), ("torn", "reset")]
)
def test_a_stream_can_end_in_every_way_at_its_nth_chunk(how: str, ended: str) -> None:
    one = running()
    stream = one.stream(BARS, unit="Minute")
    one.frames(stream)
    one.tell("fault", fault="end", how=how, kind="bars", nth=2)
    one.pass_time(15)
    assert not one.ended
    one.pass_time(15)
    assert one.ended == {stream: ended}
    assert one.sent[stream].endswith(b"\n") == (how != "torn")


def test_a_quiet_stream_is_torn_inside_a_heartbeat() -> None:
    one = running()
    stream = one.stream(ORDERS)
    one.frames(stream)
    one.tell("end", account=FUTURES, kind="orders", how="torn")
    one.pass_time(0.1)
    assert one.ended == {stream: "reset"}
    assert one.sent[stream].startswith(b'{"Heartbeat"')
    assert b"\n" not in one.sent[stream]


def test_a_dual_logon_takes_the_seat_and_an_error_does_not() -> None:
    one = running()
    bars, quotes = one.stream(BARS, unit="Minute"), one.stream("/v3/marketdata/stream/quotes/ESZ13,SPY")
    one.tell("fault", fault="dual_logon", kind="quotes")
    one.tell("fault", fault="error", kind="bars", error="Failed")
    assert one.frames(bars)[-1]["Error"] == "Failed"
    (*_, last) = [msgspec.json.decode(line) for line in one.sent[quotes].splitlines()]
    assert (last["Symbol"], last["Error"]) == ("ESZ13", "DualLogon")
    assert one.ended == {quotes: "close"}


def test_a_stalled_or_going_stream_is_chosen_by_kind() -> None:
    one = running()
    bars, orders = one.stream(BARS, unit="Minute"), one.stream(ORDERS)
    one.tell("fault", fault="goaway", kind="orders", text="error")
    one.tell("fault", fault="stall", kind="bars", seconds=100)
    assert one.frames(bars) == []
    assert [msgspec.json.decode(line) for line in one.sent[orders].splitlines()][-1]["Error"] == "GoAway"
    assert one.ended == {orders: "close"}
    one.pass_time(100)
    assert one.frames(bars)


def test_orders_that_lag_are_told_as_they_were_and_positions_are_right() -> None:
    one = running()
    one.tell("fault", fault="orders_lag", seconds=100)
    placed = one.place(**PASSED)["OrderID"]
    held = [each["Quantity"] for each in one.get("/v3/brokerage/accounts/SIM100001F/positions")["Positions"]]
    assert held
    assert [each["Status"] for each in one.get(LIST)["Orders"]] == ["ACK"]
    later = one.place(**STOP)["OrderID"]
    assert [each["OrderID"] for each in one.get(LIST)["Orders"]] == [placed]
    one.pass_time(100)
    assert [each["OrderID"] for each in one.get(LIST)["Orders"]] == [later, placed]
    assert [each["Status"] for each in one.get(LIST)["Orders"]] == ["ACK", "FLL"]
