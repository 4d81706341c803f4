"""Orders that reads do not show any more: lagging, told late, or vanished."""

import pytest

from brokers.model import Order, OrderStatus, OrderType
from feeds.messages import AskHistory, HistoryRead, OrdersSeen
from tests.trader.session_world import SYMBOL, Desk
from tests.trader.settling import asked, covered, replace
from trader.manager.unsettled import HISTORY_S
from trader.messages import ReleaseHold


@pytest.fixture
def desk() -> Desk:
    return covered()


def test_what_a_read_cannot_show_yet_is_not_missing(desk: Desk) -> None:
    """It was requested before the entry went out, and is told after."""
    account = desk.manager.account
    account.capabilities = replace(account.capabilities, children=False)
    before_s, before = desk.world.now_s(), dict(desk.orders)
    desk.world.advance(0.1)
    desk.declare(2)
    desk.orders, now_there = before, desk.orders
    desk.read(requested_s=before_s)
    assert desk.manager.account.missing == {}
    desk.orders = now_there
    desk.read()
    assert desk.manager.account.missing == {}


def test_a_leg_that_history_shows_has_not_vanished_with_its_entry() -> None:
    """What it has filled counts with its entry, of which nothing is shown."""
    desk = Desk()
    desk.ready()
    desk.declare(1)
    desk.stream()
    desk.fill("1")
    desk.fill("2", "166")
    desk.orders, desk.history = {}, {"2": desk.orders["2"]}
    for _ in range(8):
        desk.read()
        desk.world.advance(10.0)
        desk.search()
    (told,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "hold.vanished"]
    assert "our entry 1" in told
    assert not desk.manager.journal.orders["2"].out


def test_an_order_whose_end_the_stream_tells_at_last_has_not_vanished(desk: Desk) -> None:
    gone = desk.orders.pop("2")
    for _ in range(8):
        desk.read()
        desk.world.advance(10.0)
    desk.world.deliver(OrdersSeen((replace(gone, status=OrderStatus.EXPIRED),), False, desk.world.now_s()))
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, ()))
    assert "hold.vanished" not in desk.events()


def test_an_order_that_no_read_shows_is_looked_for_in_history_and_protects_nothing_meanwhile(desk: Desk) -> None:
    gone = desk.orders.pop("2")
    desk.read()
    desk.world.advance(1.0)
    assert asked(desk, AskHistory)
    desk.history["2"] = replace(gone, status=OrderStatus.EXPIRED)
    desk.search()
    desk.read()
    stops = [o for o in desk.orders.values() if o.type is OrderType.STOP_MARKET]
    assert [o.status for o in stops] == [OrderStatus.WORKING], "it had expired: put back"


def nothing_shows_it(desk: Desk) -> Order:
    """The stop is in no read and not in history, for longer than a list may be late."""
    gone = desk.orders.pop("2")
    for _ in range(8):
        desk.read()
        desk.world.advance(10.0)
        desk.search()
    return gone


def test_an_order_that_nothing_shows_any_more_is_held_and_paged_until_a_person_releases_it(desk: Desk) -> None:
    nothing_shows_it(desk)
    assert desk.manager.journal.holds_of(SYMBOL) == ("vanished",)
    sent = len(desk.sent("POST"))
    desk.read()
    assert len(desk.sent("POST")) == sent, "nothing is placed in its stead: it may be there"
    desk.world.advance(6.0)
    assert "uncovered" in desk.events()
    desk.world.ask(ReleaseHold(SYMBOL))
    desk.declare(1)
    assert len(desk.sent("POST")) == sent + 1


def test_only_a_history_that_reaches_back_to_where_it_was_missed_says_that_it_has_vanished(desk: Desk) -> None:
    """It was asked about something newer."""
    desk.orders.pop("2")
    for _ in range(8):
        desk.read()
        desk.world.advance(10.0)
        now_s, now_utc = desk.world.now_s(), desk.world.now_utc()
        desk.world.deliver(HistoryRead(now_s, now_utc - HISTORY_S + 100.0, ()))
    assert desk.manager.journal.holds_of(SYMBOL) == ()


def test_history_that_is_asked_for_something_else_says_no_more_of_what_has_vanished(desk: Desk) -> None:
    nothing_shows_it(desk)
    told = desk.events()
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, ()))
    desk.read()
    assert desk.events() == told


def test_a_list_that_is_a_little_late_is_no_reason_for_a_hold(desk: Desk) -> None:
    """Regression (night 115): a hold after three seconds, which a person released: two stops for the same units."""
    gone = desk.orders.pop("2")
    for _ in range(2):
        desk.read()
        desk.world.advance(10.0)
        desk.search()
    assert "uncovered" in desk.events(), "what no read shows is no cover, at once"
    assert desk.manager.journal.holds_of(SYMBOL) == ()
    desk.orders["2"] = gone
    desk.read()
    assert desk.events()[-1] == "uncovered.over"
    assert [o.order_id for o in desk.orders.values() if o.type is OrderType.STOP_MARKET] == ["2"]


def test_an_order_that_a_release_took_for_ended_and_that_works_is_ours_again_and_not_doubled(desk: Desk) -> None:
    """Nights 76 and 94: a list of orders that is late, and a person who releases without looking."""
    gone = nothing_shows_it(desk)
    desk.world.ask(ReleaseHold(SYMBOL))
    desk.declare(1)
    (stop,) = [o.order_id for o in desk.orders.values() if o.type is OrderType.STOP_MARKET]
    desk.orders["2"] = gone
    desk.read()
    assert "order.late" in desk.events()
    desk.world.advance(1.0)
    desk.read()
    working = [o.order_id for o in desk.orders.values() if o.type is OrderType.STOP_MARKET and o.working]
    assert len(working) == 1, "of two stops for the same units one is cancelled"
    assert stop in desk.orders
