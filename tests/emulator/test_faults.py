"""What a tester can tell the emulator, and what he can ask."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.tradestation.emulator.values import Cut
from tests.emulator.support import FUTURES, MARGIN, START, Emulator, bar, flat_bars, market, order

BARS = "/v3/marketdata/stream/barcharts/ESZ13"
ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
POSITIONS = f"/v3/brokerage/stream/accounts/{FUTURES}/positions"


def running() -> Emulator:
    return Emulator(market(ESZ13=flat_bars(1, 600), SPY=flat_bars(1, 600, "100")))


@pytest.mark.parametrize(("form", "key", "value"), [("status", "StreamStatus", "GoAway"), ("error", "Error", "GoAway")])
def test_goaway_sends_its_frame_and_ends_that_stream_only(form: str, key: str, value: str) -> None:
    emulator = running()
    bars, orders = emulator.stream(BARS, unit="Minute"), emulator.stream(ORDERS)
    emulator.frames(bars)
    assert emulator.tell("goaway", symbol="ESZ13", form=form)["Streams"] == 1
    assert emulator.frames(bars)[-1][key] == value
    assert emulator.ended == {bars: "close"}
    assert orders in emulator.state.streams


def test_an_account_names_its_order_and_position_streams_or_one_kind() -> None:
    emulator = running()
    emulator.stream(BARS, unit="Minute")
    emulator.stream(ORDERS)
    emulator.stream(POSITIONS)
    assert emulator.tell("error", account=FUTURES)["Streams"] == 2
    assert emulator.tell("error", account=FUTURES, kind="positions")["Streams"] == 1


def test_a_stalled_stream_says_nothing_and_then_everything() -> None:
    emulator = running()
    stream = emulator.stream(BARS, unit="Minute")
    emulator.frames(stream)
    emulator.tell("stall", symbol="ESZ13", seconds=200)
    emulator.pass_time(199)
    assert stream not in emulator.sent
    emulator.pass_time(1)
    closed = [frame for frame in emulator.frames(stream) if frame["BarStatus"] == "Closed"]
    assert [(frame["Epoch"] // 1000 - START) // 60 for frame in closed] == [1, 2, 3]


def test_order_frames_wait_behind_a_stall_and_none_is_lost() -> None:
    emulator = running()
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    emulator.tell("stall", account=FUTURES, seconds=60)
    emulator.place()
    assert emulator.frames(stream) == []
    emulator.pass_time(60)
    assert [frame["Status"] for frame in emulator.frames(stream)] == ["ACK", "FLL", "FLL"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_end_ends_without_a_word(how: str) -> None:
    emulator = running()
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    emulator.tell("end", account=FUTURES, how=how)
    assert emulator.frames(stream) == []
    assert emulator.ended == {stream: how}


def test_error_frame_is_sent_and_the_stream_stays_open() -> None:
    emulator = running()
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    emulator.tell("error", account=FUTURES, error="ServiceUnavailable")
    assert emulator.frames(stream)[0]["Error"] == "ServiceUnavailable"
    assert emulator.ended == {}


def test_trade_by_hand_is_an_order_nobodys_key_knows() -> None:
    emulator = running()
    assert emulator.tell("trade", account=FUTURES, symbol="ESZ13", quantity=-2)["Status"] == "FLL"
    (booked,) = emulator.get("/emulator/orders")["Orders"]
    assert (booked["OrderConfirmID"], booked["ByHand"], booked["TradeAction"]) == ("", True, "SELL")
    (fill,) = emulator.get("/emulator/orders")["Fills"]
    assert fill["Quantity"] == -2


def test_trade_by_hand_picks_the_side_of_stocks_and_refuses_to_cross_zero() -> None:
    emulator = running()
    for quantity, action in ((10, "BUY"), (-10, "SELL"), (-5, "SELLSHORT"), (5, "BUYTOCOVER")):
        emulator.tell("trade", account=MARGIN, symbol="SPY", quantity=quantity)
        assert emulator.get("/emulator/orders")["Orders"][-1]["TradeAction"] == action
    emulator.tell("trade", account=MARGIN, symbol="SPY", quantity=5)
    status, body = emulator.reply("POST", "/emulator/trade", {"account": MARGIN, "symbol": "SPY", "quantity": -6})
    assert status == 409
    assert "EC601" in body["Message"]


def test_rejected_stops_end_as_rej_and_leave_the_position_and_a_persons_orders_alone() -> None:
    emulator = running()
    stream = emulator.stream(ORDERS)
    emulator.tell("trade", account=FUTURES, symbol="ESZ13", quantity=1)
    stop = emulator.place(TradeAction="SELL", OrderType="StopMarket", StopPrice="900")["OrderID"]
    emulator.frames(stream)
    assert emulator.tell("reject", account=FUTURES, symbol="ESZ13", message="no margin")["Orders"] == [stop]
    assert emulator.tell("reject", account=FUTURES, symbol="ESZ13")["Orders"] == []
    (frame,) = emulator.frames(stream)
    assert (frame["OrderID"], frame["Status"], frame["RejectReason"]) == (stop, "REJ", "no margin")
    booked = emulator.get("/emulator/orders")["Orders"]
    assert [one["Status"] for one in booked] == ["FLL", "REJ"]
    assert booked[1]["OpenedUtc"] < booked[1]["ClosedUtc"] <= emulator.now.market_utc
    (position,) = emulator.get("/emulator/state")["Positions"]
    assert position["Quantity"] == 1
    status, body = emulator.reply("POST", "/emulator/reject", {"account": "NOBODY", "symbol": "ESZ13"})
    assert (status, "NOBODY" in body["Message"]) == (400, True)


@pytest.mark.parametrize(("when", "booked"), [("before", 0), ("after", 1)])
def test_lost_reply_cuts_the_connection_and_the_order_is_booked_or_not(when: str, booked: int) -> None:
    emulator = running()
    emulator.tell("order_reply", lose=1, when=when)
    assert emulator.ask("POST", "/v3/orderexecution/orders", order(OrderConfirmID="k1")) == Cut()
    assert len(emulator.state.ledger.orders) == booked
    again = emulator.place(OrderConfirmID="k1")
    assert (again["OrderID"] == "") == bool(booked)
    assert len(emulator.state.ledger.orders) == 1


def test_faults_count_in_the_state_and_in_the_book() -> None:
    emulator = running()
    emulator.tell("goaway", symbol="ESZ13")
    emulator.tell("order_reply", lose=2)
    assert [one["Fault"] for one in emulator.get("/emulator/state")["Faults"]] == ["goaway", "order_reply"]


def test_a_stopped_clock_is_told_and_stays_at_its_first_stop() -> None:
    emulator = running()
    emulator.pass_time(100)
    assert emulator.tell("clock", action="stop") == {"StoppedAt": START + 100}
    emulator.pass_time(100)
    assert emulator.tell("clock", action="stop") == {"StoppedAt": START + 100}


def test_bars_closed_by_now_are_listed_by_stamp() -> None:
    emulator = Emulator(market(ESZ13=[*flat_bars(1, 3), bar(6, "1", "1", "1", "1")]), seconds=360)
    assert emulator.get("/emulator/bars", symbol="ESZ13", after=str(START + 60))["Stamps"] == [
        START + 120,
        START + 180,
        START + 360,
    ]
    listed = emulator.get("/emulator/bars", symbol="ESZ13", until="2013-10-07T14:02:00Z")
    assert listed["Stamps"] == [START + 60, START + 120]


@pytest.mark.parametrize(
    ("name", "body", "word"),
    [
        ("goaway", {}, "symbol or an account"),
        ("goaway", {"symbol": "ESZ13", "account": FUTURES}, "symbol or an account"),
        ("goaway", {"symbol": "NOPE"}, "ESZ13, SPY"),
        ("goaway", {"account": "NOPE"}, FUTURES),
        ("goaway", {"symbol": "ESZ13", "form": "loud"}, "status, error"),
        ("goaway", {"symbol": "ESZ13", "colour": 1}, "colour"),
        ("goaway", b"{", "Fields: symbol, account, kind, form"),
        ("stall", {"symbol": "ESZ13"}, "seconds"),
        ("stall", {"symbol": "ESZ13", "seconds": -1}, "seconds"),
        ("end", {"symbol": "ESZ13", "how": "kindly"}, "close, half, reset, torn"),
        ("trade", {"account": FUTURES, "symbol": "ESZ13"}, "quantity"),
        ("trade", {"account": FUTURES, "symbol": "ESZ13", "quantity": 0}, "quantity"),
        ("trade", {"account": FUTURES, "symbol": "NOPE", "quantity": 1}, "INVALID SYMBOL"),
        ("order_reply", {"lose": 0}, "lose"),
        ("clock", {"action": "rewind"}, "stop"),
    ],
)
def test_a_bad_order_to_the_emulator_is_a_400_that_says_what_is_wrong(name: str, body: Any, word: str) -> None:
    emulator = running()
    entries = emulator.state.ledger.number
    status, answer = emulator.reply("POST", f"/emulator/{name}", body)
    assert status == 400
    assert word in answer["Message"]
    assert emulator.state.ledger.faults == []
    assert emulator.state.ledger.number <= entries + 2  # the login of the test itself


def test_an_unknown_path_lists_the_known_ones() -> None:
    status, answer = running().reply("POST", "/emulator/explode", {})
    assert status == 404
    assert "goaway" in answer["Message"]
