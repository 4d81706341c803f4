"""The account manager sends nothing twice: what is unknown is settled by reads, whatever dies and whatever is lost."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import OrderStatus, OrderType
from feeds.messages import ReadSnapshot
from supervisor.errors import HttpFailed
from tests.trader.session_world import BOOKS, SYMBOL, Desk, reply
from tests.trader.settling import down
from trader.messages import (
    ReadSessionStatus,
    ReleaseHold,
)

DUPLICATE_TOLD = "Order not placed because a unique orderconfirmid already exists."


class Killed(BaseException):
    """kill -9 at this point."""


def kill(_: Any) -> Any:
    raise Killed


def test_killed_between_commit_and_send_the_entry_is_settled_and_never_sent(desk: Desk) -> None:
    desk.on_order = kill
    with pytest.raises(Killed):
        desk.declare(1)
    desk.on_order = None
    desk.restart()
    desk.ready()
    desk.settle()
    assert desk.orders == {}
    (intent,) = desk.query("SELECT * FROM intents")
    assert intent["state"] == "given_up"
    assert desk.rows()[-1].gate == "settle"


def test_killed_between_send_and_answer_the_order_is_found_and_not_sent_twice(desk: Desk) -> None:
    def sent_then_killed(request: Any) -> Any:
        desk.accept(request)
        raise Killed

    desk.on_order = sent_then_killed
    with pytest.raises(Killed):
        desk.declare(1)
    desk.on_order = None
    desk.fill("1")
    desk.restart()
    assert desk.sent() == []
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert [order.type for order in desk.orders.values()] == [OrderType.MARKET, OrderType.STOP_MARKET]
    assert "divergence.adopted" not in desk.events()


def test_a_time_out_is_unknown_and_blocks_the_symbol_until_a_read_settles_it(desk: Desk) -> None:
    with desk.answers_lost():
        desk.declare(1)
    desk.declare(2)
    assert desk.sent() == ["POST"]
    assert (BOOKS, ReadSnapshot(1.0)) in desk.world.casts
    desk.read()
    assert desk.query("SELECT state FROM intents WHERE number = 1") == [{"state": "accepted"}]


def lost_stop(request: Any) -> Any:
    """The venue never sees it, and nobody says so."""
    if b"StopMarket" in (request.body or b""):
        raise HttpFailed("time-out", sent=True)
    return None


def stops_sent(desk: Desk) -> list[bytes]:
    """Those that went by themselves, and not with an entry."""
    return [body for r in desk.world.requests if b"StopMarket" in (body := r.body or b"") and b"OSOs" not in body]


def with_a_lost_stop(desk: Desk, memory: str, window_s: float = 0.0) -> None:
    """The stop of its bracket has expired, and the one placed in its stead is lost."""
    desk.remembers(memory, window_s)
    desk.long_and_covered()
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.on_order = lost_stop
    desk.stream()
    desk.on_order = None


@pytest.mark.parametrize(("memory", "window_s"), [("forever", 0.0), ("window", 600.0)])
def test_a_stop_that_no_read_shows_is_sent_again_with_a_key_that_is_surely_remembered(
    desk: Desk, memory: str, window_s: float
) -> None:
    with_a_lost_stop(desk, memory, window_s)
    desk.world.advance(4.0)
    desk.read()
    desk.world.advance(2.0)
    assert len(stops_sent(desk)) == 1, "one read is not enough"
    for _ in range(4):
        desk.world.advance(4.0)
        desk.read()
        desk.search()
    desk.world.advance(2.0)
    stops = stops_sent(desk)
    assert len(stops) == 2
    assert stops[0] == stops[1], "the same key"
    assert [o.type for o in desk.orders.values() if o.working] == [OrderType.STOP_MARKET]


@pytest.mark.parametrize(("memory", "window_s"), [("none", 0.0), ("window", 5.0)])
def test_where_the_key_may_be_forgotten_the_stop_is_planned_anew_when_it_can_be_on_its_way_no_longer(
    desk: Desk, memory: str, window_s: float
) -> None:
    with_a_lost_stop(desk, memory, window_s)
    for _ in range(10):
        desk.world.advance(5.0)
        desk.read()
        desk.search()
    assert len(stops_sent(desk)) == 1, "it may still be on its way"
    desk.settle()
    stops = stops_sent(desk)
    assert len(stops) == 2
    keys = [row["key"] for row in desk.query("SELECT key, purpose FROM intents") if row["purpose"] == "stop"]
    assert [key.encode() in body for key, body in zip(keys, stops, strict=True)] == [True, True], "another key"
    gap = [row for row in desk.query("SELECT * FROM events") if row["kind"].startswith("uncovered")]
    assert [row["kind"] for row in gap] == ["uncovered", "uncovered.over"]
    assert '"machine_s":' in gap[-1]["data"]


def test_a_stop_that_shows_up_beside_its_successor_is_cancelled_before_anything_else(desk: Desk) -> None:
    with_a_lost_stop(desk, "none")
    (lost,) = stops_sent(desk)
    late = next(r for r in desk.world.requests if r.body == lost)
    desk.settle()
    desk.accept(late)
    second = list(desk.orders)[-1]
    desk.read()
    assert "order.late" in desk.events()
    assert [o.order_id for o in desk.orders.values() if o.type is OrderType.STOP_MARKET and o.working] == ["3"]
    assert desk.orders[second].status is OrderStatus.CANCELLED


def test_a_late_stop_that_is_the_only_one_stays(desk: Desk) -> None:
    with_a_lost_stop(desk, "none")
    (lost,) = stops_sent(desk)
    late = next(r for r in desk.world.requests if r.body == lost)
    desk.settle()
    (new,) = [i for i, o in desk.orders.items() if o.type is OrderType.STOP_MARKET and o.working]
    desk.change(new, status=OrderStatus.EXPIRED)
    desk.accept(late)
    desk.read()
    stops = [o.status for o in desk.orders.values() if o.type is OrderType.STOP_MARKET]
    assert stops == [OrderStatus.EXPIRED, OrderStatus.EXPIRED, OrderStatus.WORKING]


def test_a_refused_duplicate_proves_that_the_order_exists_and_is_looked_for(desk: Desk) -> None:
    desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": DUPLICATE_TOLD, "OrderID": ""}]})
    desk.declare(1)
    (intent,) = desk.query("SELECT * FROM intents")
    assert intent["state"] == "unknown"


def test_a_stop_that_was_refused_as_a_duplicate_is_not_given_up_though_nothing_shows_it(desk: Desk) -> None:
    """There is one, the venue says so: reads and history look for it, then a person."""
    desk.remembers("forever")
    desk.long_and_covered()
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": DUPLICATE_TOLD, "OrderID": ""}]})
    desk.stream()
    desk.on_order = None
    for _ in range(5):
        desk.world.advance(5.0)
        desk.read()
    assert "hold.unsettled" not in desk.events(), "it may be on its way yet"
    desk.settle()
    desk.settle()
    assert "hold.unsettled" in desk.events()
    assert len(stops_sent(desk)) == 1
    assert [row["state"] for row in desk.query("SELECT state FROM intents WHERE purpose = 'stop'")] == ["unknown"]


def test_an_entry_that_could_not_be_sent_goes_again_only_within_its_validity(desk: Desk) -> None:
    desk.on_order = down
    desk.declare(1)
    desk.world.advance(3.0)
    tries = len(desk.sent())
    assert 2 <= tries <= 5
    desk.on_order = None
    desk.world.advance(200.0)
    assert desk.orders == {} or desk.orders["1"].opened_utc - desk.stamp <= 65
    assert len(desk.orders) <= 2, "once, with its stop"


def test_past_its_validity_an_entry_is_not_sent_any_more(desk: Desk) -> None:
    desk.on_order = down
    desk.declare(1)
    desk.world.advance(60.0)
    desk.read()
    desk.world.advance(80.0)
    desk.on_order = None
    desk.world.advance(5.0)
    assert desk.orders == {}
    assert desk.rows()[-1].gate == "validity"


def test_an_entry_that_shows_up_after_it_was_given_up_is_kept_covered_and_reported(desk: Desk) -> None:
    with desk.answers_lost(taken=False):
        desk.declare(1)
        request = desk.world.requests[-1]
        opened_utc = desk.world.now_utc()
    desk.settle()
    desk.accept(request)
    desk.change("1", opened_utc=opened_utc)
    desk.fill("1")
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert "order.late" in desk.events()
    assert [o.stop_price for o in desk.orders.values() if o.working] == [Decimal(166)]
    assert "divergence.adopted" not in desk.events()


def test_of_two_entries_that_were_given_up_each_order_that_shows_up_is_one(desk: Desk) -> None:
    """They ask for the very same, so which is which does not matter."""
    sent = []
    for _ in range(2):
        with desk.answers_lost(taken=False):
            desk.declare(1)
        sent.append((desk.world.requests[-1], float(int(desk.world.now_utc()))))
        desk.manager.account.timing = msgspec.structs.replace(desk.manager.account.timing, on_its_way_s=30.0)
        for _ in range(12):
            desk.world.advance(4.0)
            desk.read()
            desk.search()
    desk.manager.account.timing = msgspec.structs.replace(desk.manager.account.timing, on_its_way_s=120.0)
    assert [row["state"] for row in desk.query("SELECT state FROM intents")] == ["given_up", "given_up"]
    for request, opened_utc in sent:
        desk.accept(request)
        entry = list(desk.orders)[-2]
        desk.change(entry, opened_utc=opened_utc)
        desk.fill(entry)
    desk.read()
    assert [row["state"] for row in desk.query("SELECT state FROM intents")] == ["accepted", "accepted"]
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position == 2
    assert "divergence.adopted" not in desk.events()


def given_up(desk: Desk) -> float:
    """An entry whose answer was lost and that no read shows; gives the moment at which it was sent."""

    with desk.answers_lost(taken=False):
        desk.declare(1)
        sent_utc = desk.world.now_utc()
    desk.settle()
    return sent_utc


def test_what_a_person_buys_long_after_an_entry_was_given_up_is_not_taken_for_ours(desk: Desk) -> None:
    given_up(desk)
    desk.world.advance(100.0)
    desk.by_hand(1)
    desk.read()
    desk.read()
    assert "order.late" not in desk.events()
    assert "divergence.adopted" in desk.events()


def test_an_order_that_explains_an_adopted_position_is_not_taken_for_a_late_one_of_ours(desk: Desk) -> None:
    given_up(desk)
    desk.by_hand(1)
    desk.by_hand(1)  # two that could be it
    desk.read()
    desk.read()
    assert "divergence.adopted" in desk.events()
    first = next(iter(desk.orders))
    del desk.orders[first]  # the venue's day is over for one of them
    desk.read()
    assert "order.late" not in desk.events()
    assert desk.manager.journal.holding(SYMBOL).quantity == 2


def test_a_persons_release_ends_the_doubt_that_no_read_can_settle_and_the_next_reads_adopt(desk: Desk) -> None:
    account = desk.manager.account
    account.capabilities = msgspec.structs.replace(account.capabilities, children=False)
    with desk.answers_lost():
        desk.declare(1)
    desk.fill("1")
    desk.by_hand(1)
    desk.read()
    assert [hold.why for hold in desk.world.ask(ReadSessionStatus()).holds] == ["ambiguous"]
    desk.world.ask(ReleaseHold(SYMBOL))
    assert desk.query("SELECT state FROM intents WHERE number = 1") == [{"state": "given_up"}]
    desk.read()
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 2
    assert desk.sent() == ["POST"], "nothing was sent to mend it"


def test_an_exit_waits_while_a_read_says_that_the_position_is_gone(desk: Desk) -> None:
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.by_hand(-1)
    desk.read()
    desk.declare(0, None)
    assert desk.orders["2"].type is OrderType.STOP_MARKET, "not turned into an order that would open the other side"
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0


def test_a_refusal_in_words_reaches_the_strategy_and_is_not_tried_again(desk: Desk) -> None:
    desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": "EC602", "OrderID": ""}]})
    desk.declare(1)
    desk.world.advance(5.0)
    assert desk.sent() == ["POST"]
    assert [(row.gate, "EC602" in row.text) for row in desk.rows()] == [("venue", True)]
