"""The feeds: what is published of a stream, and each way it can end."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.accounts import OrdersFeed, PositionsFeed
from feeds.bars import BarsFeed
from feeds.config import Timing
from feeds.lines import LINE_BYTES_MAX
from feeds.messages import (
    BarsClosed,
    Listing,
    OrdersSeen,
    PositionsSeen,
    ReadHistory,
    ReadListing,
    ReadRecent,
    ReadSigns,
    ReadToken,
    Signs,
)
from feeds.stream import FeedEnded, StreamFeed
from supervisor.errors import NoPeer, Refused
from supervisor.process.world import HttpReply
from tests.brokers import golden
from tests.feeds.parts import CONNECTION, FEED_NAMES, feed_arguments, ok, with_tokens
from tests.scripted_world import Ended, ScriptedWorld

FEEDS: dict[str, type[StreamFeed]] = {"bars": BarsFeed, "orders": OrdersFeed, "positions": PositionsFeed}
STAMP = 1795186860
NL = b"\n"


def started(kind: str, **options: Any) -> ScriptedWorld:
    world = with_tokens(ScriptedWorld(f"connections/sim/feeds/{FEED_NAMES[kind]}", **options))
    world.start(FEEDS[kind], feed_arguments(kind))
    return world


def opened(kind: str, **options: Any) -> ScriptedWorld:
    """A feed whose stream the venue has answered, and that has lived a while."""
    world = started(kind, **options)
    world.advance(0.0)
    world.opened()
    world.feed(golden.HEARTBEAT + NL)
    world.advance(6.0)
    return world


def bar_line(minute: int, status: str = "Closed") -> bytes:
    content = json.loads(golden.BAR_LINE)
    content["TimeStamp"] = f"2026-11-20T15:{minute:02d}:00Z"
    content["BarStatus"] = status
    return json.dumps(content).encode() + NL


def order_line(order_id: str) -> bytes:
    return golden.ORDER_LINE.replace(b"1200000001", order_id.encode()) + NL


def position_line(position_id: str, quantity: int = 1) -> bytes:
    line = golden.POSITION_LINE.replace(b"64000001", position_id.encode())
    return line.replace(b'"Quantity":"1"', f'"Quantity":"{quantity}"'.encode()) + NL


def stamps(world: ScriptedWorld) -> list[list[int]]:
    messages: list[BarsClosed] = world.published_on("bars")
    return [[bar.closed_utc for bar in message.bars] for message in messages]


def test_what_it_has_seen_in_the_making_is_told_and_a_closed_bar_is_not_in_the_making() -> None:
    world = opened("bars")
    assert world.ask(ReadSigns()) == Signs(world.now_s() - 6.0, 0, 0)
    world.feed(bar_line(1) + bar_line(2, "Open") + golden.HEARTBEAT + NL)
    world.feed(bar_line(2) + bar_line(3, "Open"))
    assert world.ask(ReadSigns()) == Signs(world.now_s(), STAMP + 120, STAMP + 60)


QUOTE = b'{"Quotes":[{"Symbol":"ESZ26","Last":"1","MarketFlags":{"IsDelayed":%s,"IsHalted":false}}],"Errors":[]}'


@pytest.mark.parametrize("delayed", [True, False])
def test_a_listing_says_whether_prices_are_late(delayed: bool) -> None:
    world = opened("bars")
    world.answer_http("GET", "/v3/marketdata/quotes/ESZ26", ok(QUOTE % str(delayed).lower().encode()))
    assert world.ask(ReadListing()) == Listing("ESZ26", delayed)
    assert world.requests[-1].timeout_s == Timing().http_limit_s / 2, "two reads take no longer than one"


@pytest.mark.parametrize(
    "answer", [ok(b'{"Quotes":[],"Errors":[{"Symbol":"ESZ26","Error":"X"}]}'), ok(b'{"Quotes":[]}')]
)
def test_a_listing_that_the_venue_does_not_tell_is_refused(answer: HttpReply) -> None:
    world = opened("bars")
    world.answer_http("GET", "/v3/marketdata/quotes/ESZ26", answer)
    with pytest.raises(Refused):
        world.ask(ReadListing())


# -- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FEEDS)
def test_ready_waits_for_nobody(kind: str) -> None:
    world = started(kind)
    assert (world.calls, world.requests, world.streams) == ([], [], [])


def test_the_bars_feed_asks_for_the_two_most_recent_bars() -> None:
    world = opened("bars")
    assert world.streams[0].url == (
        "https://api.example/v3/marketdata/stream/barcharts/ESZ26?interval=1&unit=Minute&barsback=2"
    )
    assert world.streams[0].headers["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize("kind", FEEDS)
def test_a_401_at_opening_is_answered_with_another_token_once(kind: str) -> None:
    world = started(kind)
    world.advance(0.0)
    world.stream_ended("refused", 401, "Unauthorized")
    assert world.streams[1].headers["Authorization"] == "Bearer token-2"
    world.stream_ended("refused", 401, "Unauthorized")
    assert (world.event_kinds(), len(world.streams)) == (["feed.refused"], 2)


def test_without_a_token_it_ends_and_says_so() -> None:
    world = started("bars")
    world.answers.clear()
    world.answer(CONNECTION, ReadToken, NoPeer("connections/sim/connection is not there"))
    with pytest.raises(FeedEnded, match="not opened: no token"):
        world.advance(0.0)


# -- bars ----------------------------------------------------------------------------------------------------------


def test_closed_bars_of_one_read_go_out_as_one_message() -> None:
    world = opened("bars")
    world.feed(bar_line(1) + bar_line(2) + bar_line(3, "Open") + bar_line(3, "Open"))
    assert stamps(world) == [[STAMP, STAMP + 60]]
    assert world.published_on("bars")[0].received_s == world.now_s()
    world.feed(bar_line(3))
    assert stamps(world) == [[STAMP, STAMP + 60], [STAMP + 120]]


@given(st.data())
def test_any_chunking_publishes_the_same_bars(data: st.DataObject) -> None:
    sent = b"".join(bar_line(minute, "Open") + bar_line(minute) for minute in range(1, 6))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=20)))
    world = opened("bars")
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        world.feed(sent[start:end])
    assert [stamp for read in stamps(world) for stamp in read] == [STAMP + 60 * minute for minute in range(5)]


SENT = [
    *(bar_line(minute, status) for minute in range(1, 5) for status in ("Open", "Closed")),
    golden.HEARTBEAT + b"\r\n",
    b"\n",
    bar_line(6).replace(b'"6020.75"', b'"NaN"'),
    bar_line(7).replace(b"15:07:00Z", b"15:07:00"),
    bar_line(8).replace(b",", b",\n", 1),
    golden.GOAWAY_V2 + NL,
    golden.GOAWAY_V3 + NL,
    b'{"Error":"DualLogon"}\n',
    b'{"Error":"InternalServerError"}\n',
    b"RESET\n",
]
"""Whatever a venue may say in a bars stream, two objects on one line and one on two lines among it."""


def told(chunks: list[bytes]) -> tuple[Any, ...]:
    """What a feed makes of a stream that comes as these chunks: bars, events, how it ends."""
    world = opened("bars")
    died = ""
    for chunk in chunks:
        if world.ended or world.streams[-1].closed:
            break
        try:
            world.feed(chunk)
        except FeedEnded as error:
            died = str(error)
            break
    bars = [bar for message in world.published_on("bars") for bar in message.bars]
    return bars, [(event.kind, event.text) for event in world.events], world.ended, died


@given(st.lists(st.sampled_from(SENT), max_size=12), st.data())
def test_any_chunking_of_any_frames_is_understood_alike(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    one_by_one = [line + NL for line in stream.split(NL)[:-1]]
    assert told(pieces) == told(one_by_one)


def test_history_is_read_up_to_now_of_the_market() -> None:
    world = opened("bars", now_utc=float(STAMP + 30))
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(golden.BARS))
    bars = world.ask(ReadHistory(after_utc=STAMP - 60))
    assert [bar.closed_utc for bar in bars.bars] == [STAMP]
    assert "lastdate=2026-11-20T15%3A01%3A36Z" in world.requests[-1].url


def test_history_is_complete_up_to_its_newest_bar() -> None:
    world = opened("bars", now_utc=float(STAMP - 4))  # six seconds later it is two past the stamp
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(golden.BARS))
    assert world.ask(ReadHistory(after_utc=STAMP - 60)).complete_until_utc == STAMP


def test_without_a_bar_history_is_complete_up_to_what_the_venue_had_time_to_write() -> None:
    world = opened("bars", now_utc=float(STAMP), rate=60.0)
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(b'{"Bars":[]}'))
    now_utc = STAMP + 6 * 60
    assert world.ask(ReadHistory(after_utc=STAMP)).complete_until_utc == now_utc - 5 * 60


def test_the_most_recent_bars_are_read() -> None:
    world = opened("bars")
    world.answer_http("GET", "barsback=31", ok(golden.BARS))
    assert len(world.ask(ReadRecent(count=30)).bars) == 1


@pytest.mark.parametrize("answer", [HttpReply(503, {}, b""), HttpReply(404, {}, b""), ok(b"<html>")])
def test_history_that_cannot_be_read_is_refused_and_the_feed_lives(answer: HttpReply) -> None:
    world = opened("bars", now_utc=STAMP + 60.0)
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", answer)
    with pytest.raises(Refused, match="history of ESZ26 was not read"):
        world.ask(ReadHistory(after_utc=STAMP))
    world.feed(bar_line(1))
    assert stamps(world) == [[STAMP]]


# -- orders and positions ------------------------------------------------------------------------------------------


def test_replayed_orders_are_told_from_live_ones() -> None:
    world = opened("orders")
    world.feed(order_line("1"))
    world.feed(order_line("2") + golden.END_SNAPSHOT + NL + order_line("3") + order_line("4"))
    world.feed(golden.HEARTBEAT + NL)
    world.feed(order_line("5"))
    seen: list[OrdersSeen] = world.published_on("orders")
    assert [(message.snapshot, [order.order_id for order in message.orders]) for message in seen] == [
        (True, ["1"]),
        (True, ["2"]),
        (False, ["3", "4"]),
        (False, ["5"]),
    ]


def test_positions_are_told_whole_and_never_before_the_snapshot_is() -> None:
    world = opened("positions")
    world.feed(position_line("1") + position_line("2"))
    assert world.published_on("positions") == []
    world.feed(golden.END_SNAPSHOT + NL)
    world.feed(position_line("2", quantity=5))
    world.feed(b'{"PositionID":"1","Deleted":true}\n')
    seen: list[PositionsSeen] = world.published_on("positions")
    assert [[held.quantity for held in message.positions] for message in seen] == [[1, 1], [1, 5], [5]]


def test_flat_is_told_once_the_snapshot_says_so() -> None:
    world = opened("positions")
    world.feed(golden.END_SNAPSHOT + NL)
    assert [message.positions for message in world.published_on("positions")] == [()]


def test_a_position_that_only_moved_in_price_is_no_news() -> None:
    world = opened("positions")
    world.feed(position_line("1") + golden.END_SNAPSHOT + NL)
    world.feed(position_line("1").replace(b'"Last":"6020.75"', b'"Last":"6022"'))
    assert len(world.published_on("positions")) == 1


def test_the_deletion_of_a_position_we_never_saw_changes_nothing() -> None:
    world = opened("positions")
    world.feed(golden.END_SNAPSHOT + NL + b'{"PositionID":"9","Deleted":true}\n')
    assert [message.positions for message in world.published_on("positions")] == [()]


# -- endings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("frame", [golden.GOAWAY_V2, golden.GOAWAY_V3])
def test_goaway_in_either_form_is_an_expected_end(kind: str, frame: bytes) -> None:
    world = opened(kind)
    world.feed(frame + NL)
    assert world.ended == Ended("GoAway", expected=True)
    assert [(event.kind, event.level) for event in world.events] == [("feed.goaway", "DIGEST")]
    assert world.streams[0].closed


def test_what_came_before_goaway_is_published() -> None:
    world = opened("bars")
    world.feed(bar_line(1) + golden.GOAWAY_V2 + NL + bar_line(2))
    assert stamps(world) == [[STAMP]]
    assert world.ended is not None


@pytest.mark.parametrize("kind", FEEDS)
def test_an_orderly_end_is_an_expected_end(kind: str) -> None:
    world = opened(kind)
    world.stream_ended("end")
    assert world.ended == Ended("the venue ended the stream", expected=True)
    assert world.event_kinds() == ["feed.end"]


def test_a_last_line_without_its_newline_counts() -> None:
    world = opened("bars")
    world.feed(bar_line(1).rstrip())
    assert stamps(world) == []
    world.stream_ended("end")
    assert stamps(world) == [[STAMP]]


def test_a_last_line_that_says_goaway_is_one_ending() -> None:
    world = opened("bars")
    world.feed(golden.GOAWAY_V2)
    world.stream_ended("end")
    assert world.event_kinds() == ["feed.goaway"]


@pytest.mark.parametrize("kind", FEEDS)
def test_an_end_right_after_opening_is_no_routine(kind: str) -> None:
    """A venue that takes each stream and ends it at once would otherwise be asked again without any pause."""
    world = started(kind)
    world.advance(0.0)
    world.opened()
    with pytest.raises(FeedEnded, match=r"ended the stream, 0\.0 s after it was opened"):
        world.stream_ended("end")


@pytest.mark.parametrize("kind", FEEDS)
def test_three_missed_heartbeats_end_it(kind: str) -> None:
    world = opened(kind)
    for _ in range(10):
        world.feed(golden.HEARTBEAT + NL)
        world.advance(14.0)
    world.feed(b" ")  # any byte is a sign of life
    world.advance(14.9)
    with pytest.raises(FeedEnded, match="silence: not a byte for 15 s"):
        world.advance(2.0)
    assert world.event_kinds() == ["feed.silence"]


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("answered", [True, False])
def test_a_stream_that_never_sends_a_byte_ends(kind: str, answered: bool) -> None:
    world = started(kind)
    world.advance(0.0)
    if answered:
        world.opened()
    world.advance(9.9)
    with pytest.raises(FeedEnded, match="no first byte within 10 s"):
        world.advance(1.2)


@pytest.mark.parametrize("kind", FEEDS)
def test_every_byte_makes_it_fresh_a_heartbeat_too_and_nothing_before_the_first(kind: str) -> None:
    world = started(kind)
    world.advance(0.0)
    world.opened()
    assert world.fresh_until_s == 0.0
    world.advance(3.0)
    world.feed(golden.HEARTBEAT + NL)
    assert world.fresh_until_s == world.now_s() + 30.0


def test_a_stall_of_our_own_machine_is_no_silence() -> None:
    world = opened("bars")
    world.stall(90.0)
    world.feed(golden.HEARTBEAT + NL)
    world.advance(14.0)
    assert world.events == []


@pytest.mark.parametrize("kind", FEEDS)
def test_a_reset_ends_it_by_name(kind: str) -> None:
    world = opened(kind)
    world.feed(b'{"Heartbeat":')
    with pytest.raises(FeedEnded, match="reset: connection reset by peer"):
        world.stream_ended("reset", 200, "connection reset by peer")
    assert world.event_kinds() == ["feed.reset"]


@pytest.mark.parametrize("kind", FEEDS)
def test_an_error_in_the_stream_that_may_pass_ends_it_by_name(kind: str) -> None:
    world = opened(kind)
    with pytest.raises(FeedEnded, match="InternalServerError"):
        world.feed(b'{"Error":"InternalServerError"}' + NL)
    assert [(event.kind, event.level) for event in world.events] == [("feed.stream_error", "DIGEST")]


@pytest.mark.parametrize("kind", FEEDS)
def test_a_refused_opening_that_may_pass_ends_it_by_name(kind: str) -> None:
    world = started(kind)
    world.advance(0.0)
    with pytest.raises(FeedEnded, match="refused: HTTP 503 in words"):
        world.stream_ended("refused", 503, "in words")


@pytest.mark.parametrize("kind", FEEDS)
def test_no_connection_ends_it_by_name(kind: str) -> None:
    world = started(kind)
    world.advance(0.0)
    with pytest.raises(FeedEnded, match="error: name not known"):
        world.stream_ended("error", 0, "name not known")


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("garbage", [b"RESET\n", b'{"Bars":[]}\n', b"x" * (LINE_BYTES_MAX + 1)])
def test_garbage_ends_it_by_name_and_is_not_passed_on(kind: str, garbage: bytes) -> None:
    world = opened(kind)
    with pytest.raises(FeedEnded, match="garbage"):
        world.feed(garbage)
    assert world.published == []


@pytest.mark.parametrize("kind", FEEDS)
def test_an_orderly_end_by_the_supervisor_closes_the_stream(kind: str) -> None:
    world = opened(kind)
    assert world.server is not None
    world.server.terminate("shutdown")
    assert world.streams[0].closed


# -- dirty bars on the wire ----------------------------------------------------------------------------------------


def test_doubled_and_unsorted_bars_are_published_as_they_came_and_kill_no_feed() -> None:
    """The feed keeps no memory; the data source keys bars by stamp (tests/trader/test_bars.py)."""
    world = opened("bars")
    world.feed(bar_line(2) + bar_line(1) + bar_line(2))
    assert [stamp - STAMP for stamp in stamps(world)[-1]] == [60, 0, 60]


def test_history_reaches_to_the_newest_bar_of_the_stream_when_our_clock_is_behind() -> None:
    world = opened("bars")
    assert world.now_utc() < STAMP - 7200
    world.feed(bar_line(5))
    world.answer_http("GET", "/marketdata/barcharts/", ok(golden.BARS))
    world.ask(ReadHistory(after_utc=STAMP - 60))
    assert "lastdate=2026-11-20T15%3A05%3A00Z" in world.requests[-1].url
