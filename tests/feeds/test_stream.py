"""The feeds: what is published of a stream, and each way it can end."""

import pytest

from feeds import paths
from feeds.lines import LINE_BYTES_MAX
from feeds.messages import (
    OrdersSeen,
    PositionsSeen,
    ReadToken,
)
from feeds.stream import FeedEnded
from supervisor.errors import NoPeer
from tests.brokers import golden
from tests.feeds.parts import CONNECTION
from tests.feeds.streams import FEEDS, NL, STAMP, bar_line, opened, order_line, position_line, stamps, started
from tests.scripted_parts import Ended

# -- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FEEDS)
def test_ready_waits_for_nobody(kind: str) -> None:
    world = started(kind)
    assert (world.calls, world.requests, world.streams) == ([], [], [])


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


# -- orders and positions ------------------------------------------------------------------------------------------


def test_replayed_orders_are_told_from_live_ones() -> None:
    world = opened("orders")
    world.feed(order_line("1"))
    world.feed(order_line("2") + golden.END_SNAPSHOT + NL + order_line("3") + order_line("4"))
    world.feed(golden.HEARTBEAT + NL)
    world.feed(order_line("5"))
    seen: list[OrdersSeen] = world.published_on(paths.orders_topic("ESZ26"))
    assert [(message.snapshot, [order.order_id for order in message.orders]) for message in seen] == [
        (True, ["1"]),
        (True, ["2"]),
        (False, ["3", "4"]),
        (False, ["5"]),
    ]


def test_orders_of_one_read_are_told_to_those_who_follow_their_symbol() -> None:
    world = opened("orders")
    world.feed(
        order_line("1") + order_line("2").replace(b"ESZ26", b"NQZ26") + order_line("3") + golden.END_SNAPSHOT + NL
    )
    told = {topic: [order.order_id for order in message.orders] for topic, message in world.published}
    assert told == {paths.orders_topic("ESZ26"): ["1", "3"], paths.orders_topic("NQZ26"): ["2"]}


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
