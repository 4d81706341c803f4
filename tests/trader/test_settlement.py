"""Settlement by reads and history: replaced orders under new ids, fills taken back, keys."""

from typing import Any

import pytest

from brokers.model import Link, Order, OrderStatus, OrderType
from supervisor.errors import HttpFailed
from tests.trader.session_world import SESSION, SYMBOL, Desk
from tests.trader.settling import D, covered, lose_replaces, renew, replace
from trader.messages import ReleaseHold
from trader.orders.intents import Intent, Kind, Purpose, remembered
from trader.orders.lifecycle import What, seen
from trader.orders.own_order import OwnOrder
from trader.orders.reconcile import LAG_S


@pytest.fixture
def desk() -> Desk:
    return covered()


# -- a replace whose answer was lost -----------------------------------------------------------------------------------


def test_a_replaced_order_is_known_under_its_new_id_though_the_answer_was_lost(desk: Desk) -> None:
    lose_replaces(desk)
    desk.declare(1, "166.5")
    renew(desk, stop_price=D("166.5"))
    desk.stream()
    assert desk.manager.journal.declaration(SYMBOL).stop_by_person == "", "not yet judged: reads decide"
    desk.read()
    assert [o.order_id for o in desk.manager.journal.working.values()] == ["77"]
    assert desk.query("SELECT state, result_order_id FROM intents WHERE kind = 'replace'") == [
        {"state": "accepted", "result_order_id": "77"}
    ]
    assert "order.cancelled_by_other" not in desk.events()
    desk.fill("77", "166.5")
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0


def test_two_that_could_be_the_replaced_order_are_held_as_ambiguous(desk: Desk) -> None:
    lose_replaces(desk)
    desk.declare(1, "166.5")
    renew(desk, stop_price=D("166.5"))
    desk.orders["78"] = replace(desk.orders["77"], order_id="78")
    desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ("ambiguous",)


def test_two_of_yesterday_that_could_be_the_replaced_order_are_held_as_ambiguous(desk: Desk) -> None:
    lose_replaces(desk)
    desk.declare(1, "166.5")
    renew(desk, stop_price=D("166.5"), status=OrderStatus.EXPIRED)
    desk.orders["78"] = replace(desk.orders["77"], order_id="78")
    desk.orders, desk.history = {"1": desk.orders["1"]}, desk.orders
    desk.settle()
    assert "hold.ambiguous" in desk.events()
    assert desk.query("SELECT state FROM intents WHERE kind = 'replace'") == [{"state": "unknown"}]


def test_an_order_that_ended_and_did_not_go_on_was_cancelled_by_somebody_else(desk: Desk) -> None:
    lose_replaces(desk)
    desk.declare(1, "166.5")
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.read()
    assert "order.cancelled_by_other" not in desk.events(), "one read is not enough"
    desk.settle()
    assert "order.cancelled_by_other" in desk.events()
    assert desk.manager.journal.declaration(SYMBOL).stop_by_person == "removed"


def test_a_replace_that_arrives_after_it_was_given_up_is_still_ours(desk: Desk) -> None:
    lose_replaces(desk)
    desk.declare(1, "166.5")
    for _ in range(3):
        desk.world.advance(5.0)
        desk.read()
    assert desk.query("SELECT state FROM intents WHERE kind = 'replace'")[0]["state"] == "given_up"
    desk.world.answer_http("PUT", "/orderexecution/orders/", desk._changed)
    for _ in range(3):
        desk.world.advance(5.0)
        desk.read()
    desk.declare(1, "166.7")
    desk.stream()
    assert (desk.orders["2"].stop_price, desk.manager.journal.orders["2"].pending) == (D("166.7"), "")
    desk.change("2", stop_price=D("166.5"))
    desk.read()
    assert "order.changed_by_other" not in desk.events()
    assert desk.orders["2"].stop_price == D("166.7"), "and it is moved on to where it is wanted"


def test_fills_before_the_replace_count_once_and_the_new_order_has_the_rest() -> None:
    desk = Desk()
    desk.ready()
    desk.declare(2)
    desk.fill("1")
    desk.stream()
    assert desk.orders["2"].quantity == 2
    desk.read()
    lose_replaces(desk)
    desk.declare(2, "166.5")
    desk.change("2", filled_quantity=D(1), average_fill_price=D(166))
    desk.position -= 1
    renew(desk, quantity=D(1), filled_quantity=D(0), average_fill_price=None, stop_price=D("166.5"))
    desk.read()
    desk.read()
    journal = desk.manager.journal
    assert journal.holding(SYMBOL).quantity == 1
    assert [(o.order_id, o.remaining) for o in journal.working.values()] == [("77", 1)]
    assert not {"order.changed_by_other", "divergence.seen"} & set(desk.events())


def replace_lost(desk: Desk, stop: str = "166.5") -> None:
    lose_replaces(desk)
    desk.declare(1, stop)


def by_hand(desk: Desk, **changes: Any) -> None:
    """Somebody has a stop just like the one that our replace asked for."""
    made = {"order_id": "hand", "stop_price": D("166.5"), "opened_utc": float(int(desk.world.now_utc())), **changes}
    desk.orders["hand"] = replace(desk.orders["2"], **made)


def reads(desk: Desk, times: int = 6) -> None:
    for _ in range(times):
        desk.world.advance(4.0)
        desk.read()
        desk.search()


def state_of_replace(desk: Desk) -> str:
    return str(desk.query("SELECT state FROM intents WHERE kind = 'replace'")[0]["state"])


def test_while_the_old_order_works_nothing_else_is_what_it_became(desk: Desk) -> None:
    replace_lost(desk)
    by_hand(desk, links=())
    reads(desk)
    assert list(desk.manager.journal.working) == ["2"]
    assert desk.orders["hand"].working


@pytest.mark.parametrize("why", ["waits for another order", "has explained a position", "is of another size"])
def test_a_replaced_order_does_not_go_on_as_one_that(desk: Desk, why: str) -> None:
    replace_lost(desk)
    if why == "waits for another order":
        by_hand(desk, links=(Link("OSP", "hand0"),))
    elif why == "is of another size":
        by_hand(desk, links=(), quantity=D("0.5"))
    else:
        by_hand(desk, links=(), status=OrderStatus.FILLED, filled_quantity=D(1), average_fill_price=D("166.5"))
        desk.position = 0
        desk.read()
        desk.read()
        assert "divergence.adopted" in desk.events()
    desk.change("2", status=OrderStatus.CANCELLED)
    reads(desk)
    assert state_of_replace(desk) == "given_up"
    assert desk.manager.journal.working == {}
    assert desk.manager.journal.holding(SYMBOL).quantity == desk.position


def test_what_goes_on_for_an_order_that_no_read_and_no_history_shows_is_known_all_the_same(desk: Desk) -> None:
    replace_lost(desk)
    renew(desk, stop_price=D("166.5"))
    del desk.orders["2"]
    desk.read()
    assert list(desk.manager.journal.working) == ["2"], "history may have it: it has filled, perhaps"
    reads(desk)
    assert list(desk.manager.journal.working) == ["77"]
    assert state_of_replace(desk) == "accepted"


def test_an_order_that_vanished_while_a_replace_was_in_doubt_is_not_said_to_be_cancelled(desk: Desk) -> None:
    """Regression: four seconds after the page it was booked as cancelled by somebody else, and an exit went out beside
    a stop that may work on: it would open the other side."""
    replace_lost(desk)
    gone = desk.orders.pop("2")
    reads(desk, 8)
    assert state_of_replace(desk) == "unknown", "it may be there, as it was or as something else"
    reads(desk, 10)
    assert desk.manager.journal.holds_of(SYMBOL) == ("vanished",)
    desk.declare(0, None)
    reads(desk)
    assert desk.sent("POST") == ["POST"]
    assert "order.cancelled_by_other" not in desk.events()
    desk.orders["2"] = gone
    reads(desk, 1)
    assert desk.orders["2"].working
    assert list(desk.manager.journal.working) == ["2"]


@pytest.mark.parametrize("rounds", [18, 40])
def test_a_release_ends_the_doubt_over_it_and_over_its_replace(desk: Desk, rounds: int) -> None:
    replace_lost(desk)
    del desk.orders["2"]
    reads(desk, rounds)
    desk.world.ask(ReleaseHold(SYMBOL))
    reads(desk, 40)
    assert state_of_replace(desk) == "given_up"
    assert desk.manager.journal.holds_of(SYMBOL) == ()
    assert "hold.unsettled" not in desk.events() or rounds > 30
    desk.declare(0, None)
    assert desk.sent("POST") == ["POST", "POST"], "it is over, and the position is closed"


def test_what_it_went_on_as_is_looked_for_in_history_before_somebody_is_said_to_have_cancelled_it(desk: Desk) -> None:
    """It filled, and left today's orders with the day."""
    replace_lost(desk)
    renew(desk, stop_price=D("166.5"))
    desk.fill("77", "166.5")
    desk.history["77"] = desk.orders.pop("77")
    reads(desk)
    assert "order.cancelled_by_other" not in desk.events()
    assert [row.order_id for row in desk.rows()] == ["1", "77"]
    assert desk.manager.journal.holding(SYMBOL).quantity == 0


def test_of_two_replaces_in_doubt_the_end_is_told_when_neither_shows_and_once(desk: Desk) -> None:
    replace_lost(desk)
    reads(desk, 4)
    desk.declare(1, "166.7")
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.read()
    states = "SELECT state FROM intents WHERE kind = 'replace'"
    assert [row["state"] for row in desk.query(states)] == ["unknown", "unknown"]
    reads(desk, 5)
    assert [row["state"] for row in desk.query(states)] == ["given_up", "given_up"]
    assert desk.events().count("order.cancelled_by_other") == 1
    assert desk.manager.journal.working == {}


def test_of_two_orders_with_a_replace_in_doubt_each_end_is_told(desk: Desk) -> None:
    desk.declare(2)
    desk.fill("3")
    desk.stream()
    desk.read()
    lose_replaces(desk)
    desk.declare(2, "166.5")
    for order_id in ("2", "4"):
        desk.change(order_id, status=OrderStatus.CANCELLED)
    reads(desk, 8)
    assert desk.events().count("order.cancelled_by_other") == 2
    assert desk.manager.journal.working == {}


def test_what_is_ambiguous_is_not_held_once_more_for_being_unsettled(desk: Desk) -> None:
    replace_lost(desk)
    renew(desk, stop_price=D("166.5"))
    desk.orders["78"] = replace(desk.orders["77"], order_id="78")
    reads(desk, 40)
    assert desk.manager.journal.holds_of(SYMBOL) == ("ambiguous",)


def test_what_could_not_be_sent_is_not_held_as_unsettled(desk: Desk) -> None:
    """It is tried again; that the position is bare meanwhile is another alarm."""
    desk.on_order = lambda request: (_ for _ in ()).throw(HttpFailed("no route", sent=False))
    desk.change("2", status=OrderStatus.EXPIRED)
    reads(desk, 40)
    assert "uncovered" in desk.events()
    assert "hold.unsettled" not in desk.events()


def test_a_hold_as_unsettled_ends_though_something_waits_to_be_sent(desk: Desk) -> None:
    desk.on_order = lambda request: (_ for _ in ()).throw(HttpFailed("no route", sent=False))
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.read()
    with desk.manager.journal.transaction():
        desk.manager.journal.add_hold(SYMBOL, "unsettled", desk.world.now_utc())
    desk.read()
    assert desk.query("SELECT state FROM intents WHERE purpose = 'stop'") == [{"state": "unsent"}]
    assert desk.manager.journal.holds_of(SYMBOL) == ()


def test_a_hold_as_unsettled_ends_by_symbol() -> None:
    """Of another one something is unknown yet."""
    desk = Desk(replace(SESSION, symbols=(SYMBOL, "QQQ")))
    desk.ready()
    with desk.manager.journal.transaction():
        for symbol in (SYMBOL, "QQQ"):
            desk.manager.journal.add_hold(symbol, "unsettled", desk.world.now_utc())
    with desk.answers_lost(taken=False):
        desk.manager.journal.drop_holds(SYMBOL, "unsettled")
        desk.declare(1)
    desk.read()
    assert desk.manager.journal.holds_of("QQQ") == ()


# -- fills taken back --------------------------------------------------------------------------------------------------


def test_a_broken_trade_pages_and_is_reconciled_and_no_fill_is_invented(desk: Desk) -> None:
    desk.declare(2)
    desk.fill("3")
    desk.stream()
    desk.read()
    fills = len(desk.query("SELECT * FROM fills"))
    desk.change("3", filled_quantity=D(0), average_fill_price=None)
    desk.position -= 1
    desk.read()
    assert "fill.corrected" not in desk.events(), "two reads must say so"
    desk.read()
    assert desk.query("SELECT level FROM events WHERE kind = 'fill.corrected'") == [{"level": "PAGE"}]
    desk.world.advance(LAG_S)
    desk.read()
    assert len(desk.query("SELECT * FROM fills")) == fills
    assert "divergence.adopted" in desk.events()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


def own(**more: Any) -> OwnOrder:
    base = OwnOrder("7", 1, Purpose.EXIT, SYMBOL, "sell", OrderType.MARKET, D(2), None, OrderStatus.WORKING)  # type: ignore[arg-type]
    return replace(base, **more)


def frame(status: OrderStatus, filled: int, price: str | None = "167") -> Order:
    average = D(price) if price is not None else None
    return Order("7", "A", SYMBOL, "sell", OrderType.MARKET, D(2), status, "X", 0.0, D(filled), average)  # type: ignore[arg-type]


def test_a_stream_that_replays_an_older_total_takes_nothing_back() -> None:
    order = own(filled_quantity=D(2), average_fill_price=D(167), status=OrderStatus.FILLED)
    for _ in range(3):
        order, told = seen(order, frame(OrderStatus.WORKING, 1), current=True)
        assert told == ()
    assert order.filled_quantity == 2


def test_a_corrected_price_is_told_once_and_a_rounded_one_never() -> None:
    order = own(filled_quantity=D(2), average_fill_price=D(167), status=OrderStatus.FILLED)
    same, told = seen(order, frame(OrderStatus.FILLED, 2, "167.004"), current=True, read=True)
    assert (same, told) == (order, ())
    order, first = seen(order, frame(OrderStatus.FILLED, 2, "166"), current=True, read=True)
    order, second = seen(order, frame(OrderStatus.FILLED, 2, "166"), current=True, read=True)
    order, third = seen(order, frame(OrderStatus.FILLED, 2, "166"), current=True, read=True)
    assert [[each.what for each in told] for told in (first, second, third)] == [
        [What.TAKEN_BACK], [What.CORRECTED], []
    ]  # fmt: skip
    assert (order.filled_quantity, order.average_fill_price) == (2, 166)


def test_what_fills_after_a_broken_trade_counts_again() -> None:
    order = own(filled_quantity=D(2), average_fill_price=D(167))
    for _ in range(2):
        order, _ = seen(order, frame(OrderStatus.WORKING, 1), current=True, read=True)
    order, told = seen(order, frame(OrderStatus.FILLED, 2), current=True)
    assert [each.quantity for each in told if each.what is What.FILLED] == [1]
    assert order.corrections == 1


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory", "at_utc", "again"),
    [
        ("forever", 9e9, True),
        ("none", 1000.0, False),
        ("window", 1010.0, True),
        ("window", 1010.1, False),
        ("window", 999.0, False),
    ],
)
def test_a_key_goes_again_only_while_the_venue_surely_remembers_it(memory: Any, at_utc: float, again: bool) -> None:
    intent = Intent(1, "k-1", Kind.PLACE, Purpose.STOP, SYMBOL, "sell", D(1), OrderType.MARKET, None, 1000.0)  # type: ignore[arg-type]
    assert remembered(intent, memory, 65.0, 60.0, at_utc, 2.0) is again
