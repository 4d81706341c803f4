"""A venue that says no is not fought: told once, asked again after pauses that grow, with a fresh token."""

from itertools import pairwise

import pytest

from feeds.messages import ReadToken
from supervisor.messages import StreamData
from tests.brokers import golden
from tests.feeds.streams import FEEDS, NL, bar_line, opened, stamps, started
from tests.scripted_world import ScriptedWorld

DUAL_LOGON = b'{"Error":"DualLogon","Message":"another session"}\n'
NO = [
    DUAL_LOGON,
    b'{"Symbol":"ESZ26","Error":"DualLogon"}\n',
    b'{"Error":"Forbidden","Message":"Invalid Account ID."}\n',
    b'{"Error":"BadRequest"}\n',
    b'{"Error":"NotFound"}\n',
]


def openings(world: ScriptedWorld, until_s: float, say: bytes) -> list[float]:
    """Machine seconds at which a stream is asked for, each answered with ``say``."""
    asked: list[float] = []
    while world.now_s() < until_s:
        before = len(world.streams)
        world.advance(1.0)
        if len(world.streams) > before:
            asked.append(world.now_s())
            world.opened()
            world.feed(say)
    return asked


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("frame", NO)
def test_an_error_that_asking_again_does_not_cure_closes_the_stream_and_tells_once(kind: str, frame: bytes) -> None:
    world = opened(kind)
    world.feed(frame)
    assert world.streams[0].closed
    assert world.ended is None
    assert [(event.kind, event.level, event.incident_state) for event in world.events] == [
        ("feed.stream_error", "NOTIFY", "opened")
    ]
    world.advance(14.0)
    assert len(world.streams) == 1, "not asked again at once"


def test_dual_logon_is_not_fought() -> None:
    """An hour of a venue that throws us out each time: a handful of tries, further and further apart, one event."""
    world = opened("bars")
    world.feed(DUAL_LOGON)
    asked = openings(world, world.now_s() + 3600.0, DUAL_LOGON)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert 8 <= len(asked) <= 12
    assert pauses[0] > 25.0
    assert all(later > 1.5 * earlier for earlier, later in pairwise(pauses[:4]))
    assert world.event_kinds() == ["feed.stream_error"]


@pytest.mark.parametrize("status", [400, 403, 404, 429])
def test_an_opening_that_is_refused_is_not_asked_for_at_once(status: int) -> None:
    world = started("bars")
    world.advance(0.0)
    world.stream_ended("refused", status, "in words")
    assert [(event.kind, event.incident_state) for event in world.events] == [("feed.refused", "opened")]
    assert str(status) in world.events[0].text
    world.advance(14.0)
    assert len(world.streams) == 1
    world.advance(5.0)
    assert len(world.streams) == 2


def test_a_venue_that_serves_again_ends_the_incident_and_the_pauses_start_anew() -> None:
    world = opened("bars")
    world.feed(DUAL_LOGON)
    world.advance(20.0)
    world.opened()
    for _ in range(4):
        world.feed(bar_line(1) + golden.HEARTBEAT + NL)
        world.advance(2.0)
    assert [(event.kind, event.incident_state) for event in world.events] == [
        ("feed.stream_error", "opened"),
        ("feed.admitted", "resolved"),
    ]
    assert len({event.incident for event in world.events}) == 1
    world.feed(DUAL_LOGON)
    world.advance(20.0)
    assert len(world.streams) == 3, "the first pause again"


def test_silence_is_not_judged_where_no_stream_is_and_is_again_after_the_pause() -> None:
    world = opened("orders")
    for _ in range(4):
        world.feed(DUAL_LOGON)
        before = len(world.streams)
        while len(world.streams) == before:
            world.advance(1.0)
        world.opened()
    assert world.ended is None
    with pytest.raises(Exception, match="no first byte"):
        world.advance(12.0)


def test_the_stream_is_asked_for_again_with_a_token_that_is_still_good() -> None:
    """The one of the first opening has expired in the pause."""
    world = opened("bars")
    for _ in range(8):
        world.feed(DUAL_LOGON)
        before = len(world.streams)
        while len(world.streams) == before:
            world.advance(1.0)
        world.opened()
    tokens = [request for _, request in world.calls if isinstance(request, ReadToken)]
    assert len(tokens) == 2, "the first lives 1200 s, and is asked for again 60 s before that"


def test_what_still_comes_of_a_stream_that_was_given_up_means_nothing() -> None:
    world = opened("bars")
    world.feed(DUAL_LOGON)
    world.deliver(StreamData(1, bar_line(1)))
    assert stamps(world) == []
