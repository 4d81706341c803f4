"""What nobody knows: each switch, by command, over HTTP, and what it changes."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import msgspec
import pytest

from brokers.tradestation.emulator.errors import OptionError
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import MEANING, Switches, switch_of, turned_by
from tests.emulator.support import FUTURES, START, Emulator, bar, flat_bars, market

BARS = "/v3/marketdata/stream/barcharts/ESZ13"
ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
STOP = {"OrderType": "StopMarket", "StopPrice": "1100"}


def emulator(first: int = 1, last: int = 60, **switches: Any) -> Emulator:
    settings = Settings(switches=Switches(**switches))
    return Emulator(market(ESZ13=flat_bars(first, last), SPY=flat_bars(1, 60, "100")), settings)


def test_each_switch_has_a_meaning_in_words_and_no_name_twice() -> None:
    assert set(MEANING) == set(get_type_hints(Switches))
    assert not set(MEANING) & set(Rules.__struct_fields__)


def test_a_command_turns_switches_of_every_type() -> None:
    turned = turned_by(("replace_keeps_id=off", "idle_end_s=7", "order_snapshot=open", "history_bars_per_minute=5"))
    assert turned.switches == Switches(
        replace_keeps_id=False, idle_end_s=7.0, order_snapshot="open", history_bars_per_minute=5
    )
    assert turned_by(("cancel_s=2", "expiry_told=on")).rules == Rules(cancel_s=2.0, expiry_told=True)
    assert switch_of("timestamp_skew_s=-3") == ("timestamp_skew_s", -3.0)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("quota", "NAME=VALUE"),
        ("colour=red", "NAME=VALUE"),
        ("replace_keeps_id=perhaps", "on or off"),
        ("idle_end_s=soon", "a number"),
        ("idle_end_s=-1", "from 0"),
        ("quota=some", "quota"),
        ("refusal_status=200", "refusal_status"),
    ],
)
def test_a_bad_switch_is_named(text: str, word: str) -> None:
    with pytest.raises(OptionError, match=re.escape(word)):
        turned_by((text,))


def test_switches_are_turned_over_http_and_shown() -> None:
    one = emulator()
    got = one.tell("switch", order_snapshot="open", cancel_s=1.5)
    assert (got["Switches"]["order_snapshot"], got["Switches"]["cancel_s"]) == ("open", 1.5)
    assert one.get("/emulator/switches") == got
    assert one.state.rules.cancel_s == 1.5
    status, body = one.reply("POST", "/emulator/switch", {"order_snapshot": "all"})
    assert status == 400
    assert "order_snapshot" in body["Message"]


# Orders


def test_a_replaced_order_keeps_its_id_or_not() -> None:
    for keeps in (True, False):
        one = emulator(replace_keeps_id=keeps)
        old = one.place(**STOP)["OrderID"]
        status, told = one.reply("PUT", f"/v3/orderexecution/orders/{old}", {"StopPrice": "1101"})
        assert status == 200
        assert (told["OrderID"] == old) == keeps
        shown = {order["OrderID"]: order for order in one.get(f"/v3/brokerage/accounts/{FUTURES}/orders")["Orders"]}
        assert shown[told["OrderID"]]["StopPrice"] == "1101"
        assert keeps or shown[old]["Status"] == "UCH"


def test_the_snapshot_holds_all_of_today_or_the_open_ones() -> None:
    for content, count in (("today", 2), ("open", 1)):
        one = emulator(order_snapshot=content)
        one.place()
        one.place(**STOP)
        frames = one.frames(one.stream(ORDERS))
        assert len([frame for frame in frames if "OrderID" in frame]) == count


def test_a_key_is_remembered_for_ever_for_a_day_or_not_at_all() -> None:
    for memory, again_today, again_tomorrow in (
        ("forever", False, False),
        ("day", False, True),
        ("none", True, True),
    ):
        one = emulator(last=3000, confirm_id_memory=memory)
        one.place(OrderConfirmID="k", **STOP)
        assert (one.place(OrderConfirmID="k", **STOP)["OrderID"] != "") == again_today
        one.seconds += 86_400
        one.token = ""
        assert (one.place(OrderConfirmID="k", **STOP)["OrderID"] != "") == again_tomorrow


def test_the_status_of_what_is_no_order_is_a_switch() -> None:
    one = emulator(refusal_status=422)
    assert one.reply("POST", "/v3/orderexecution/orders", {})[0] == 422
    assert one.reply("DELETE", "/v3/orderexecution/orders/5")[0] == 422
    assert one.reply("GET", "/v3/marketdata/barcharts/ESZ13", unit="x")[0] == 400


# Streams


def test_a_stream_ends_with_its_token_or_not() -> None:
    for ends in (False, True):
        one = emulator(stream_ends_with_token=ends)
        one.state.settings = msgspec.structs.replace(one.state.settings, token_lifetime_s=60.0)
        stream = one.stream(ORDERS)
        one.pass_time(59)
        assert not one.ended
        one.pass_time(1)
        assert one.ended == ({stream: "close"} if ends else {})


def test_an_idle_end_comes_after_quiet_seconds_though_it_beats() -> None:
    one = emulator(idle_end_s=12)
    stream = one.stream(ORDERS)
    one.frames(stream)
    for _ in range(11):
        one.pass_time(1)
    assert one.frames(stream)[-1]["Heartbeat"] == 2
    one.place()
    one.frames(stream)
    for _ in range(11):
        one.pass_time(1)
    assert not one.ended
    one.pass_time(1.1)
    assert one.ended == {stream: "close"}


@pytest.mark.parametrize(("form", "frame"), [("status", ["StreamStatus"]), ("error", ["Error", "Message"])])
def test_goaway_comes_at_an_age_and_the_age_itself_ends(form: Any, frame: list[str]) -> None:
    one = emulator(goaway_every_s=30, goaway_form=form)
    stream = one.stream(ORDERS)
    one.pass_time(30)
    assert list(one.frames(stream)[-1]) == frame
    assert one.ended == {stream: "close"}
    old = emulator(stream_age_max_s=30)
    stream = old.stream(ORDERS)
    old.pass_time(30)
    assert old.ended == {stream: "close"}


def test_a_switch_turned_later_holds_for_open_streams() -> None:
    one = emulator()
    stream = one.stream(ORDERS)
    one.frames(stream)
    one.tell("switch", idle_end_s=3)
    one.pass_time(3)
    assert one.ended == {stream: "close"}


def test_heartbeats_count_or_not_and_their_clock_may_be_wrong() -> None:
    one = emulator(heartbeat_counts=False, timestamp_skew_s=-3600)
    stream = one.stream(ORDERS)
    one.frames(stream)
    one.pass_time(5)
    one.pass_time(5)
    beats = one.frames(stream)
    assert [beat["Heartbeat"] for beat in beats] == [1, 1]
    assert beats[0]["Timestamp"].startswith("2013-10-07T13:00")


def test_chunks_may_end_anywhere_and_nothing_is_lost() -> None:
    one, whole = emulator(last=600, chunks="random"), emulator(last=600)
    sizes = set()
    for each in (one, whole):
        stream = each.stream(BARS, unit="Minute")
        for _ in range(400):
            each.pass_time(1)
            sizes.add(each.sent.get(stream, b"\n")[-1:])
        for _ in range(100):
            each.pass_time(0.01)
    assert len(sizes) > 1
    told = [[line for line in each.sent[1].splitlines() if b"Heartbeat" not in line] for each in (one, whole)]
    assert told[0] == told[1]


# Bars


def closed(frames: list[Any]) -> list[tuple[int, str]]:
    return [
        ((one["Epoch"] // 1000 - START) // 60, one["TotalVolume"]) for one in frames if one.get("BarStatus") == "Closed"
    ]


def test_a_minute_without_trades_yields_a_bar_or_not() -> None:
    for fills, stamps in ((False, [1, 4]), (True, [1, 2, 3, 4])):
        bars = market(ESZ13=[bar(1, "10", "12", "9", "11"), bar(4, "20", "20", "20", "20")])
        one = Emulator(bars, Settings(switches=Switches(empty_minute_bars=fills)))
        stream = one.stream(BARS, unit="Minute")
        one.frames(stream)
        one.pass_time(240)
        frames = one.frames(stream)
        assert [stamp for stamp, _ in closed(frames)] == stamps
        asked = one.get("/v3/marketdata/barcharts/ESZ13", unit="Minute", barsback="9")["Bars"]
        assert [stamp for stamp, _ in closed(asked)] == stamps
        assert len(one.get("/emulator/bars", symbol="ESZ13")["Stamps"]) == len(stamps)
        if fills:
            assert [(frame["Open"], frame["Close"]) for frame in frames[1:3]] == [("11", "11")] * 2


def test_closed_comes_by_the_timer_or_with_the_next_trade() -> None:
    for form, at_once in (("timer", [1]), ("next_tick", [])):
        bars = market(ESZ13=[bar(1, "10", "10", "10", "10"), bar(4, "20", "20", "20", "20")])
        one = Emulator(bars, Settings(switches=Switches(closed_frame=form)))
        stream = one.stream(BARS, unit="Minute")
        one.frames(stream)
        one.pass_time(60)
        assert [stamp for stamp, _ in closed(one.frames(stream))] == at_once
        one.pass_time(120)
        assert [stamp for stamp, _ in closed(one.frames(stream))] == ([] if at_once else [1])
