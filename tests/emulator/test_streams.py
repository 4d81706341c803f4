"""The streams: snapshot, live frames, heartbeats, and what the next moment of interest is."""

from __future__ import annotations

from typing import Any

from brokers.tradestation.emulator.app import advance, drop_stream, next_due
from brokers.tradestation.emulator.state import Settings
from tests.emulator.support import FUTURES, MARGIN, START, Emulator, bar, flat_bars, market

BARS = "/v3/marketdata/stream/barcharts/ESZ13"
ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
POSITIONS = f"/v3/brokerage/stream/accounts/{FUTURES}/positions"


def minutes(frames: list[Any]) -> list[tuple[int, str]]:
    return [((frame["Epoch"] // 1000 - START) // 60, frame["BarStatus"]) for frame in frames if "Epoch" in frame]


def test_history_comes_first_and_its_last_bar_says_so() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)), seconds=600)
    frames = emulator.frames(emulator.stream(BARS, unit="Minute", barsback="3"))
    assert minutes(frames) == [(8, "Closed"), (9, "Closed"), (10, "Closed"), (11, "Open")]
    assert [frame["IsEndOfHistory"] for frame in frames] == [False, False, True, False]
    assert [frame["IsRealtime"] for frame in frames] == [False, False, False, True]


def test_forming_bar_is_sent_on_each_change_then_closed_then_the_next() -> None:
    emulator = Emulator(market(ESZ13=[bar(1, "10", "13", "9", "12"), bar(2, "12", "12", "12", "12")]))
    stream = emulator.stream(BARS, unit="Minute")
    frames = emulator.frames(stream)
    for _ in range(4):
        emulator.pass_time(15)
        frames += emulator.frames(stream)
    assert [(frame["BarStatus"], frame["Close"]) for frame in frames] == [
        ("Open", "10"),
        ("Open", "9"),
        ("Open", "13"),
        ("Open", "12"),
        ("Closed", "12"),
        ("Open", "12"),
    ]


def test_a_late_turn_sends_every_closed_bar_once_and_in_order() -> None:
    emulator = Emulator(market(ESZ13=[*flat_bars(1, 5), *flat_bars(8, 12)]))
    stream = emulator.stream(BARS, unit="Minute")
    emulator.frames(stream)
    emulator.pass_time(601)
    closed = [minute for minute, state in minutes(emulator.frames(stream)) if state == "Closed"]
    assert closed == [1, 2, 3, 4, 5, 8, 9, 10]


def test_at_most_one_chunk_in_ten_milliseconds_however_fast_the_market() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 600)))
    emulator.stream(BARS, unit="Minute")
    chunks = 0
    for n in range(100):
        emulator.seconds = n * 0.001
        fast = type(emulator.now)(emulator.now.machine_s, START + n * 60.0)
        chunks += len(advance(emulator.state, fast))
    assert chunks == 10


def test_five_minute_stream_closes_at_its_own_stamps() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)))
    stream = emulator.stream(BARS, unit="minute", interval="5", barsback="1")
    emulator.frames(stream)
    emulator.pass_time(660)
    closed = [minute for minute, state in minutes(emulator.frames(stream)) if state == "Closed"]
    assert closed == [5, 10]


def test_order_snapshot_holds_todays_orders_and_then_ends() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)))
    filled = emulator.place()["OrderID"]
    working = emulator.place(TradeAction="SELL", OrderType="StopMarket", StopPrice="990")["OrderID"]
    frames = emulator.frames(emulator.stream(ORDERS))
    assert [(frame.get("OrderID"), frame.get("Status")) for frame in frames[:-1]] == [(working, "ACK"), (filled, "FLL")]
    assert frames[-1] == {"StreamStatus": "EndSnapshot"}


def test_a_fill_is_told_twice_first_without_its_close_time() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)))
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    emulator.place()
    frames = emulator.frames(stream)
    assert [(frame["Status"], "ClosedDateTime" in frame) for frame in frames] == [
        ("ACK", False),
        ("FLL", False),
        ("FLL", True),
    ]
    assert [frame["Legs"][0]["ExecQuantity"] for frame in frames] == ["0", "1", "1"]


def test_a_cancel_is_sent_then_out_and_a_replace_is_one_whole_order() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)))
    stream = emulator.stream(ORDERS)
    path = "/v3/orderexecution/orders/" + emulator.place(OrderType="StopMarket", StopPrice="1100")["OrderID"]
    emulator.reply("PUT", path, {"StopPrice": "1101"})
    emulator.reply("DELETE", path)
    frames = [frame for frame in emulator.frames(stream) if "OrderID" in frame]
    assert [(frame["Status"], frame["StopPrice"], "ClosedDateTime" in frame) for frame in frames] == [
        ("ACK", "1100", False),
        ("ACK", "1101", False),
        ("UCN", "1101", False),
        ("OUT", "1101", False),
        ("OUT", "1101", True),
    ]


def test_another_accounts_orders_are_not_told() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30), SPY=flat_bars(1, 30)))
    stream = emulator.stream(ORDERS)
    emulator.frames(stream)
    emulator.place(MARGIN, "SPY")
    assert emulator.frames(stream) == []


def test_positions_follow_the_market_and_a_flat_one_is_deleted() -> None:
    emulator = Emulator(market(ESZ13=[bar(1, "1000", "1002", "999", "1001")]))
    stream = emulator.stream(POSITIONS)
    assert emulator.frames(stream) == [{"StreamStatus": "EndSnapshot"}]
    emulator.place()
    (opened,) = emulator.frames(stream)
    assert (opened["Quantity"], opened["UnrealizedProfitLoss"]) == ("1", "0")
    emulator.pass_time(15)
    (moved,) = emulator.frames(stream)
    assert moved["UnrealizedProfitLoss"] == "-50"
    emulator.place(TradeAction="SELL")
    assert emulator.frames(stream) == [{"PositionID": opened["PositionID"], "Deleted": True}]


def test_positions_with_changes_send_the_changed_fields_only() -> None:
    emulator = Emulator(market(ESZ13=[bar(1, "1000", "1002", "999", "1001")]))
    emulator.place()
    stream = emulator.stream(POSITIONS, changes="true")
    snapshot = emulator.frames(stream)[0]
    emulator.pass_time(15)
    (moved,) = emulator.frames(stream)
    assert moved["PositionID"] == snapshot["PositionID"]
    assert "Symbol" not in moved
    assert moved["Last"] == "999"


def test_a_reopened_position_has_another_id() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 30)))
    stream = emulator.stream(POSITIONS)
    emulator.frames(stream)
    emulator.place()
    emulator.frames(stream)
    emulator.place(TradeAction="SELL")
    emulator.place()
    deleted, opened = emulator.frames(stream)
    assert deleted["Deleted"] is True
    assert opened["PositionID"] != deleted["PositionID"]


def test_heartbeats_count_up_and_only_in_silence() -> None:
    emulator = Emulator(market(ESZ13=[*flat_bars(1, 1), *flat_bars(9, 9)]), Settings(heartbeat_s=20), seconds=60)
    stream = emulator.stream(BARS, unit="Minute")
    emulator.frames(stream)
    beats = []
    for _ in range(6):
        emulator.pass_time(20)
        beats += [frame.get("Heartbeat") for frame in emulator.frames(stream)]
    assert beats == [1, 2, 3, 4, 5, 6]


def test_next_due_is_the_next_print_or_the_next_beat() -> None:
    emulator = Emulator(market(ESZ13=[*flat_bars(1, 1), *flat_bars(9, 9)]))
    stream = emulator.stream(BARS, unit="Minute")
    assert next_due(emulator.state, emulator.now).machine_s <= emulator.now.machine_s  # type: ignore[operator]
    emulator.frames(stream)
    sent_s = emulator.now.machine_s
    due = next_due(emulator.state, emulator.now)
    assert (due.machine_s, due.market_utc) == (sent_s + 5, START + 15)
    emulator.pass_time(61)
    assert next_due(emulator.state, emulator.now).market_utc == START + 8 * 60


def test_waking_only_when_due_loses_no_frame() -> None:
    """A simulator that jumps from due to due sees the same bars as one that looks every millisecond would."""
    emulator = Emulator(market(ESZ13=[*flat_bars(1, 3), *flat_bars(50, 52)]), Settings(heartbeat_s=1000))
    stream = emulator.stream(BARS, unit="Minute")
    turns = 0
    while turns < 100:
        due = next_due(emulator.state, emulator.now)
        machine = [due.machine_s - 1_000_000.0] if due.machine_s is not None else []
        market_time = [due.market_utc - START] if due.market_utc is not None else []
        emulator.seconds = max(emulator.seconds, min(machine + market_time))
        emulator.take(advance(emulator.state, emulator.now))
        turns += 1
        if emulator.seconds > 52 * 60:
            break
    frames = emulator.frames(stream)
    assert [minute for minute, state in minutes(frames) if state == "Closed"] == [1, 2, 3, 50, 51, 52]
    assert turns < 60


def test_a_dropped_stream_is_forgotten() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 3)))
    drop_stream(emulator.state, emulator.stream(ORDERS))
    emulator.pass_time(100)
    assert emulator.sent == {}
    assert next_due(emulator.state, emulator.now).machine_s is None


def test_bad_opens_are_answered_like_reads() -> None:
    emulator = Emulator(market(ESZ13=flat_bars(1, 3)))
    assert emulator.reply("GET", "/v3/marketdata/stream/barcharts/NOPE", unit="Minute")[0] == 404
    assert emulator.reply("GET", BARS, unit="Hourly")[0] == 400
    assert emulator.reply("GET", BARS, unit="Minute", interval="0")[0] == 400
    assert emulator.reply("GET", "/v3/brokerage/stream/accounts/SIM9X/orders")[0] == 403
    assert emulator.reply("GET", f"{ORDERS}/77")[0] == 404
    assert emulator.reply("GET", "/v3/nothing/here")[1]["Error"] == "NotFound"


def test_without_every_print_streams_tell_only_what_has_changed_for_good() -> None:
    bars = [bar(1, "10", "13", "9", "12"), bar(2, "12", "12", "11", "11"), bar(3, "11", "11", "11", "11")]
    emulator = Emulator(market(ESZ13=bars), Settings(every_print=False))
    prices, held = emulator.stream(BARS, unit="Minute"), emulator.stream(POSITIONS)
    emulator.pass_time(1)
    emulator.place()
    frames: list[Any] = []
    for _ in range(9):
        emulator.pass_time(15)
        frames += emulator.frames(prices)
    assert minutes(frames) == [(1, "Closed"), (2, "Closed")]
    told = [frame for frame in emulator.frames(held) if "PositionID" in frame]
    assert [frame["Quantity"] for frame in told] == ["1"]
