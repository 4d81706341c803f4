"""The feed of bars: what it publishes, what it reads of the venue, and what it answers from memory."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.config import Timing
from feeds.messages import (
    OPENING_S,
    Bars,
    Listing,
    ReadHistory,
    ReadListing,
    ReadRecent,
    ReadSigns,
    Signs,
)
from feeds.stream import FeedEnded
from supervisor.errors import Refused
from supervisor.process.world import HttpReply
from tests.brokers import golden
from tests.feeds.parts import ok
from tests.feeds.streams import NL, STAMP, bar_line, opened, stamps, started
from tests.scripted_world import ScriptedWorld


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


# -- bars ----------------------------------------------------------------------------------------------------------


def test_it_asks_for_as_many_recent_bars_as_most_starts_need() -> None:
    world = opened("bars")
    assert world.streams[0].url == (
        "https://api.example/v3/marketdata/stream/barcharts/ESZ26?interval=1&unit=Minute&barsback=100"
    )
    assert world.streams[0].headers["Authorization"] == "Bearer token-1"


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


def test_doubled_and_unsorted_bars_are_published_as_they_came_and_kill_no_feed() -> None:
    """The data source keys bars by stamp (tests/trader/test_bars.py)."""
    world = opened("bars")
    world.feed(bar_line(2) + bar_line(1) + bar_line(2))
    assert [stamp - STAMP for stamp in stamps(world)[-1]] == [60, 0, 60]


def test_history_reaches_to_the_newest_bar_of_the_stream_when_our_clock_is_behind() -> None:
    world = opened("bars", now_utc=STAMP - 10_800.0)
    world.feed(bar_line(5))
    world.answer_http("GET", "/marketdata/barcharts/", ok(golden.BARS))
    world.ask(ReadHistory(after_utc=STAMP - 60))
    assert "lastdate=2026-11-20T15%3A05%3A00Z" in world.requests[-1].url


def test_a_bar_of_another_year_is_left_out_and_the_others_go_on() -> None:
    """Waited for, it would hold all others back until then; its history is read in hundreds of requests."""
    world = opened("bars")
    ahead = bar_line(2).replace(b"2026-11-20", b"2099-11-20")
    world.feed(bar_line(1) + ahead + bar_line(3, "Open").replace(b"2026", b"2099"))
    assert stamps(world)[-1] == [STAMP]
    assert world.ask(ReadSigns()) == Signs(world.now_s(), 0, STAMP)
    assert "left out" in world.log.text


# -- memory: what the venue need not be asked ------------------------------------------------------------------------


def asked(world: ScriptedWorld) -> int:
    return sum("/marketdata/barcharts/" in request.url for request in world.requests)


def minutes(bars: Bars | None) -> list[int] | None:
    return None if bars is None else [(bar.closed_utc - STAMP) // 60 + 1 for bar in bars.bars]


def opening(*numbers: int) -> bytes:
    return b"".join(map(bar_line, numbers))


def test_what_the_opening_has_told_is_not_read_again() -> None:
    world = opened("bars", now_utc=STAMP + 300.0)
    world.feed(opening(1, 2, 3, 4) + bar_line(5, "Open"))
    assert minutes(world.ask(ReadRecent(count=3))) == [2, 3, 4]
    assert world.ask(ReadHistory(STAMP + 60)) == Bars(world.ask(ReadRecent(count=2)).bars, STAMP + 180)
    assert asked(world) == 0


def test_who_asks_while_the_opening_is_awaited_gets_its_bars() -> None:
    world = started("bars", now_utc=STAMP + 300.0)
    assert world.ask(ReadRecent(count=2)) is None
    world.advance(0.0)
    world.opened()
    assert world.ask(ReadHistory(STAMP), incarnation=2) is None
    world.feed(opening(1, 2) + bar_line(3, "Open"))
    assert [minutes(reply) for reply in world.replies.values() if isinstance(reply, Bars)] == [[1, 2], [2]]
    assert asked(world) == 0


def test_an_opening_that_comes_in_pieces_is_no_answer_before_it_is_whole() -> None:
    """Regression: a fresh start began with what was newest in the first piece, an hour ago."""
    world = started("bars", now_utc=STAMP + 300.0)
    world.advance(0.0)
    world.opened()
    world.feed(opening(1, 2, 3))
    assert world.ask(ReadRecent(count=2)) is None
    world.feed(opening(4, 5))
    assert world.replies == {}
    world.feed(bar_line(6, "Open"))
    assert [minutes(reply) for reply in world.replies.values()] == [[4, 5]]


def test_an_opening_is_whole_with_as_many_bars_as_were_asked_for() -> None:
    world = started("bars", now_utc=STAMP + 3600.0)
    world.advance(0.0)
    world.opened()
    world.feed(opening(*range(1, 60)) + opening(*range(19, 59)))
    assert world.ask(ReadRecent(count=2)) is None
    world.feed(opening(59))
    assert [minutes(reply) for reply in world.replies.values()] == [[58, 59]]


@pytest.mark.parametrize("told", [b"", opening(1), golden.HEARTBEAT + NL], ids=["nothing", "too few", "a heartbeat"])
def test_what_the_opening_does_not_tell_in_time_is_read(told: bytes) -> None:
    world = started("bars", now_utc=STAMP + 300.0)
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(golden.BARS))
    world.advance(0.0)
    world.opened()
    assert world.ask(ReadRecent(count=2)) is None
    world.feed(told)
    assert (asked(world), world.replies) == (0, {})
    world.advance(OPENING_S)
    assert [minutes(reply) for reply in world.replies.values()] == [[1]]


def test_a_forming_bar_ends_the_opening_so_nothing_is_awaited_any_more() -> None:
    world = started("bars", now_utc=STAMP + 300.0)
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", HttpReply(503, {}, b""))
    world.advance(0.0)
    world.opened()
    assert world.ask(ReadRecent(count=2)) is None
    world.feed(opening(1) + bar_line(2, "Open"))
    (refused,) = world.replies.values()
    assert isinstance(refused, Refused)
    assert "was not read" in str(refused)
    assert stamps(world) == [[STAMP]]


def test_for_who_has_given_up_waiting_the_venue_is_not_asked() -> None:
    world = started("bars", now_utc=STAMP + 300.0)
    world.advance(0.0)
    assert world.ask(ReadRecent(count=2), timeout_s=OPENING_S / 2) is None
    world.advance(OPENING_S)
    assert (asked(world), world.replies) == (0, {})


def test_a_hole_is_read_once_for_all_that_ask() -> None:
    world = opened("bars", now_utc=STAMP + 300.0)
    world.feed(opening(1, 2) + bar_line(3, "Open"))
    world.feed(bar_line(5))
    page = b'{"Bars":[%s]}' % b",".join(bar_line(minute).strip() for minute in (3, 4, 5))
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(page))
    for _ in range(3):
        assert minutes(world.ask(ReadHistory(STAMP + 60, STAMP + 180))) == [3, 4, 5]
    assert asked(world) == 1


def test_an_overdue_bar_is_read_although_the_memory_begins_early_enough() -> None:
    world = opened("bars", now_utc=STAMP + 120.0)
    world.feed(opening(1, 2) + bar_line(3, "Open"))
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(b'{"Bars":[]}'))
    world.advance(10.0)
    assert minutes(world.ask(ReadHistory(STAMP + 60, STAMP + 120))) == []
    assert asked(world) == 1


def test_without_a_stream_that_tells_what_is_new_memory_is_no_answer() -> None:
    world = opened("bars", now_utc=STAMP + 120.0)
    world.feed(opening(1, 2) + bar_line(3, "Open"))
    world.answer_http("GET", "/v3/marketdata/barcharts/ESZ26", ok(golden.BARS))
    world.feed(b'{"Error":"DualLogon"}' + NL)
    world.advance(OPENING_S)
    assert minutes(world.ask(ReadHistory(STAMP - 60))) == [1]
    assert asked(world) == 1
