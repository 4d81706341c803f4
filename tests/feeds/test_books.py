"""The books of an account: the 30 s snapshot, confirming reads, and reads that fail."""

from itertools import pairwise
from typing import Any

import pytest

from feeds.books import Books
from feeds.messages import (
    AskHistory,
    AskOrders,
    HistoryRead,
    LastSnapshot,
    OrdersRead,
    ReadInstrument,
    ReadOrders,
    ReadSnapshot,
    Snapshot,
    SnapshotFailed,
)
from feeds.specs import BooksArguments, plain
from supervisor.errors import HttpFailed, Refused
from supervisor.process.world import HttpReply
from tests.brokers import golden
from tests.feeds.parts import CONFIG, TIMING, ok, with_tokens
from tests.scripted_parts import HttpRequest
from tests.scripted_world import ScriptedWorld

ACCOUNT = "/v3/brokerage/accounts/SIM100001F"


def answers(world: ScriptedWorld) -> ScriptedWorld:
    world.answer_http("GET", f"{ACCOUNT}/orders", ok(golden.ORDERS))
    world.answer_http("GET", f"{ACCOUNT}/positions", ok(golden.POSITIONS))
    world.answer_http("GET", f"{ACCOUNT}/balances", ok(golden.BALANCES))
    return world


@pytest.fixture
def world() -> ScriptedWorld:
    world = answers(with_tokens(ScriptedWorld("connections/sim/books/SIM100001F")))
    world.start(Books, plain(BooksArguments(CONFIG, TIMING, "SIM100001F")))
    return world


def told(world: ScriptedWorld) -> list[Any]:
    return world.published_on("snapshot")


def test_ready_waits_for_nobody(world: ScriptedWorld) -> None:
    assert (world.calls, world.requests) == ([], [])


def test_it_reads_at_once_and_then_every_30_seconds(world: ScriptedWorld) -> None:
    world.advance(89.0)
    assert [(snapshot.read, snapshot.requested_s) for snapshot in told(world)] == [
        (1, 1000.0),
        (2, 1030.0),
        (3, 1060.0),
    ]


def test_a_snapshot_says_when_it_was_asked_for_and_keeps_its_rhythm(world: ScriptedWorld) -> None:
    def slow(_: HttpRequest) -> HttpReply:
        world._pass_until(world.now_s() + 3.0)
        return ok(golden.BALANCES)

    world.answer_http("GET", f"{ACCOUNT}/balances", slow)
    world.advance(0.0)
    (snapshot,) = told(world)
    assert snapshot.requested_s == 1000.0, "though it was answered three seconds later"
    world.advance(60.0)
    assert [one.requested_s for one in told(world)] == [1000.0, 1030.0, 1060.0]


@pytest.mark.parametrize("part", ["orders", "positions", "balances"])
@pytest.mark.parametrize(
    "bad",
    [
        HttpFailed("time-out", sent=True),
        HttpReply(500, {}, b""),
        HttpReply(429, {}, b""),
        HttpReply(401, {}, b""),
        ok(b""),
        ok(b"{}"),
        ok(b'{"Orders":[],"Positions":[],"Balances":[],"Errors":[{"Error":"Forbidden","Message":"no"}]}'),
    ],
    ids=repr,
)
def test_a_read_that_failed_in_any_part_is_published_as_failed_and_never_as_a_snapshot(
    world: ScriptedWorld, part: str, bad: object
) -> None:
    world.answer_http("GET", f"{ACCOUNT}/{part}", bad)
    world.advance(0.0)
    (failed,) = told(world)
    assert isinstance(failed, SnapshotFailed)
    assert (failed.read, failed.requested_s) == (1, 1000.0)
    with pytest.raises(Refused, match="no snapshot was read yet"):
        world.ask(LastSnapshot())


def test_reads_that_fail_are_one_incident(world: ScriptedWorld) -> None:
    world.answer_http("GET", f"{ACCOUNT}/orders", HttpReply(503, {}, b""))
    world.advance(89.0)
    world.answer_http("GET", f"{ACCOUNT}/orders", ok(golden.ORDERS))
    world.advance(60.0)
    assert [type(one) for one in told(world)] == [SnapshotFailed] * 3 + [Snapshot] * 2
    assert [(event.kind, event.incident_state) for event in world.events] == [
        ("books.unread", "opened"),
        ("books.read_again", "resolved"),
    ]


def test_they_are_fresh_as_long_as_an_entry_may_rely_on_the_last_read(world: ScriptedWorld) -> None:
    assert world.fresh_until_s == 1000.0 + TIMING.agreed_max_age_s, "from the start: the first read may never come"
    world.advance(31.0)
    assert world.fresh_until_s == 1030.0 + TIMING.agreed_max_age_s
    world.answer_http("GET", f"{ACCOUNT}/balances", HttpFailed("no answer", sent=True))
    world.advance(300.0)
    assert world.fresh_until_s == 1030.0 + TIMING.agreed_max_age_s, "what failed makes nothing fresh"


def test_the_last_good_snapshot_stays_readable(world: ScriptedWorld) -> None:
    world.advance(0.0)
    world.answer_http("GET", f"{ACCOUNT}/orders", HttpReply(503, {}, b""))
    world.advance(30.0)
    assert world.ask(LastSnapshot()) == told(world)[0]


def test_a_confirming_read_comes_outside_the_rhythm(world: ScriptedWorld) -> None:
    world.advance(10.0)
    world.tell(ReadSnapshot(after_s=1.0))
    world.advance(20.0)
    assert [snapshot.requested_s for snapshot in told(world)] == [1000.0, 1011.0, 1030.0]


def test_a_read_satisfies_all_that_were_due_when_it_began(world: ScriptedWorld) -> None:
    world.advance(10.0)
    for _ in range(10):
        world.tell(ReadSnapshot(after_s=1.0))
    world.advance(10.0)
    assert [snapshot.requested_s for snapshot in told(world)] == [1000.0, 1011.0]


def test_fifty_who_ask_each_at_his_own_moment_are_told_by_two_reads(world: ScriptedWorld) -> None:
    world.advance(10.0)
    for _ in range(50):
        world.tell(ReadSnapshot(after_s=0.0))
        world.advance(0.009)
    world.advance(10.0)
    assert [snapshot.requested_s for snapshot in told(world)] == [1000.0, 1010.0, 1010.5]


def test_a_read_that_began_before_a_confirming_one_was_due_does_not_confirm(world: ScriptedWorld) -> None:
    world.advance(29.5)
    world.tell(ReadSnapshot(after_s=1.0))
    world.advance(5.0)
    assert [snapshot.requested_s for snapshot in told(world)] == [1000.0, 1030.0, 1030.5]


def test_a_venue_that_asks_to_wait_is_not_asked(world: ScriptedWorld) -> None:
    world.answer_http("GET", f"{ACCOUNT}/orders", HttpReply(429, {"x-ratelimit-reset": "45"}, b""))
    world.advance(0.0)
    asked = len(world.requests)
    world.advance(30.0)
    assert len(world.requests) == asked
    assert "asked us to wait 15 s more" in told(world)[-1].reason
    answers(world)
    world.advance(30.0)
    assert isinstance(told(world)[-1], Snapshot)


def test_a_stall_does_not_make_up_for_missed_reads(world: ScriptedWorld) -> None:
    world.advance(1.0)
    world.stall(300.0)
    world.advance(0.0)
    assert len(told(world)) == 2


def test_orders_are_read_by_id(world: ScriptedWorld) -> None:
    world.answer_http("GET", f"{ACCOUNT}/orders/1200000001", ok(golden.ORDERS))
    read = world.ask(ReadOrders(("1200000001",)))
    assert read.requested_s == 1000.0
    assert [order.order_id for order in read.orders] == ["1200000001"]


def test_orders_that_cannot_be_read_are_refused(world: ScriptedWorld) -> None:
    world.answer_http("GET", f"{ACCOUNT}/orders/7", HttpReply(404, {}, b'{"Message":"Invalid order ID."}'))
    with pytest.raises(Refused, match="Invalid order ID"):
        world.ask(ReadOrders(("7",)))


def test_an_instrument_is_read_once_an_hour(world: ScriptedWorld) -> None:
    world.answer_http("GET", "/v3/marketdata/symbols/ESZ26", ok(golden.SYMBOLS))
    for _ in range(3):
        assert world.ask(ReadInstrument("ESZ26")).instrument.tick_size * 4 == 1
    assert len(world.requests) == 1
    world.advance(3600.0)
    asked = len(world.requests)
    world.ask(ReadInstrument("ESZ26"))
    assert len(world.requests) == asked + 1


def test_an_unknown_symbol_is_refused_and_not_remembered(world: ScriptedWorld) -> None:
    world.answer_http("GET", "/v3/marketdata/symbols/NIX", HttpReply(404, {}, b'{"Message":"Invalid symbol"}'))
    for _ in range(2):
        with pytest.raises(Refused, match=r"NIX was not read: .*Invalid symbol"):
            world.ask(ReadInstrument("NIX"))
    assert len(world.requests) == 2


def test_many_who_ask_at_once_are_one_read_and_the_next_waits_its_turn(world: ScriptedWorld) -> None:
    world.answer_http("GET", f"{ACCOUNT}/orders/1,2", ok(golden.ORDERS))
    world.answer_http("GET", f"{ACCOUNT}/historicalorders", ok(golden.ORDERS))
    for message in (AskOrders(("1",)), AskOrders(("2", "1")), AskHistory(2000.0), AskHistory(1000.0)):
        world.tell(message)
    world.advance(1.0)
    (told,) = world.published_on("asked")
    assert isinstance(told, OrdersRead)
    world.advance(5.0)
    assert [(type(one), getattr(one, "since_utc", None)) for one in world.published_on("asked")[1:]] == [
        (HistoryRead, 1000.0)
    ]


def test_what_was_asked_for_and_not_read_tells_nothing_and_harms_no_snapshot(world: ScriptedWorld) -> None:
    world.answer_http("GET", f"{ACCOUNT}/orders/7", HttpReply(404, {}, b'{"Message":"Invalid order ID."}'))
    world.tell(AskOrders(("7",)))
    world.advance(31.0)
    assert world.published_on("asked") == []
    assert [type(one) for one in told(world)] == [Snapshot, Snapshot]


def test_in_a_long_doubt_neither_history_nor_the_snapshot_starves_the_other(world: ScriptedWorld) -> None:
    """Regression (nights 17 and 192 with deaths at exact moments): a read and a search of history each ten seconds are
    more than our part gives back; each search came while nothing was left, was forgotten, and came again too early."""
    answers(world)
    world.answer_http("GET", f"{ACCOUNT}/historicalorders", ok(golden.ORDERS))
    for second in range(600):
        if second % 10 == 0:
            world.tell(ReadSnapshot(after_s=0.0))
            world.tell(AskHistory(1000.0))
        world.advance(1.0)
    searched = [read.requested_s for read in world.published_on("asked")]
    whole = [read.requested_s for read in told(world) if isinstance(read, Snapshot)]
    for moments in (searched, whole):
        assert max(later - earlier for earlier, later in pairwise([*moments, world.now_s()])) < 40.0
