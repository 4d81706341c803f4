"""What counts as cover, and the record of each time without it."""

from typing import Any

import msgspec
import pytest

from brokers.model import Duration, OrderStatus, OrderType, Side
from tests.trader.session_world import NAME, SYMBOL, Desk, reply
from tests.trader.settling import D, covered, down, replace
from trader.manager.truth import _why, uncovered
from trader.orders.intents import Purpose


@pytest.fixture
def desk() -> Desk:
    return covered()


def test_what_no_read_shows_is_no_cover_while_history_cannot_be_read(desk: Desk) -> None:
    """Regression: it counted as working until history had said what became of it, which may never be."""
    desk.orders.pop("2")
    desk.read()
    assert SYMBOL in desk.manager.journal.uncovered
    desk.world.advance(6.0)
    assert "uncovered" in desk.events()
    assert desk.sent() == ["POST"], "it may be there: nothing is placed in its stead"


def test_a_stop_that_a_person_keeps_there_counts_in_coverage_and_is_not_touched(desk: Desk) -> None:
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.orders["hand"] = replace(desk.orders["2"], order_id="hand", status=OrderStatus.WORKING, links=())
    desk.read()
    desk.world.advance(6.0)
    assert "order.cancelled_by_other" in desk.events()
    assert SYMBOL not in desk.manager.journal.uncovered
    for other in ({"duration": Duration.DAY}, {"symbol": "QQQ"}, {"side": Side.BUY}, {"status": OrderStatus.CANCELLED}):
        kept = desk.orders["hand"]
        desk.change("hand", **other)
        desk.read()
        assert SYMBOL in desk.manager.journal.uncovered, "one for the day only is none, nor is any other"
        desk.orders["hand"] = kept
        desk.read()
        assert SYMBOL not in desk.manager.journal.uncovered
    assert desk.sent() == ["POST"]


@pytest.mark.parametrize(
    "change",
    [
        {"duration": Duration.DAY},
        {"pending": "cancel"},
        {"status": OrderStatus.CANCELLING},
        {"status": OrderStatus.RECEIVED},
        {"side": Side.BUY},
        {"quantity": D("0.5")},
        {"symbol": "QQQ"},
        {"out": True},
        {"purpose": Purpose.TAKE},
    ],
    ids=str,
)
def test_a_stop_of_the_wrong_kind_covers_nothing_or_not_all(desk: Desk, change: dict[str, Any]) -> None:
    account, own = desk.manager.account, desk.manager.journal.orders["2"]
    assert not uncovered(account, SYMBOL)
    with account.journal.transaction():
        account.journal.write_order(replace(own, **change))
    assert uncovered(account, SYMBOL)


def test_each_time_without_a_stop_is_recorded_with_its_exact_length(desk: Desk) -> None:
    desk.on_order = down
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.stream()
    began_s, desk.on_order = desk.world.now_s(), None
    desk.world.advance(2.345)
    desk.stream()
    lasted_s = desk.world.now_s() - began_s
    (over,) = desk.query("SELECT data FROM events WHERE kind = 'uncovered.over'")
    assert msgspec.json.decode(over["data"])["machine_s"] == pytest.approx(lasted_s, abs=0.001)


def test_an_exit_that_works_covers_what_it_closes(desk: Desk) -> None:
    account, own = desk.manager.account, desk.manager.journal.orders["2"]
    with account.journal.transaction():
        account.journal.write_order(replace(own, type=OrderType.MARKET))
    assert not uncovered(account, SYMBOL)


@pytest.mark.parametrize("long", [False, True], ids=["for a moment", "until it paged"])
def test_the_end_of_a_time_without_a_stop_is_told_as_loudly_as_its_beginning(desk: Desk, long: bool) -> None:
    desk.on_order = lambda request: reply({"Orders": [{"Error": "FAILED", "Message": "no", "OrderID": ""}]})
    if not long:
        desk.on_order = down
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.stream()
    desk.world.advance(2.0)
    assert ("uncovered" in desk.events()) == long, "a stop that was refused does not come by itself"
    desk.on_order = None
    desk.declare(1, "165")
    desk.world.advance(2.0)
    desk.read()
    (over,) = desk.query("SELECT level, incident, incident_state FROM events WHERE kind = 'uncovered.over'")
    told = ("NOTIFY", f"{NAME}:uncovered:{SYMBOL}", "resolved") if long else ("LOG", "", "")
    assert tuple(over.values()) == told


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"stop": None}, "the strategy declared none"),
        ({"refused": (Purpose.STOP,)}, "the venue refused it"),
        ({"stop_by_person": "removed"}, "somebody else cancelled it"),
        ({"stop_less": D(1)}, "somebody else has made it smaller by 1"),
        ({}, "it does not work yet"),
    ],
)
def test_the_page_of_a_missing_stop_says_why(desk: Desk, terms: dict[str, Any], says: str) -> None:
    journal = desk.manager.journal
    with journal.transaction():
        journal.declare(replace(journal.declaration(SYMBOL), **terms))
    assert says in _why(desk.manager.account, SYMBOL)
