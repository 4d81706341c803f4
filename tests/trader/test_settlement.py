"""Settlement by reads and history: replaced orders under new ids; orders that are late, gone from today, taken back."""

import itertools
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import Duration, Order, OrderStatus, OrderType, Side
from feeds.messages import AskHistory, AskOrders, OrdersRead, PositionsSeen
from supervisor.errors import HttpFailed
from tests.trader.session_world import ACCOUNT, BOOKS, SYMBOL, Desk, reply
from tests.trader.test_never_twice import with_a_lost_stop
from trader.manager.truth import uncovered
from trader.messages import FillRow, ReleaseHold
from trader.orders.intents import Intent, Kind, Purpose, remembered
from trader.orders.lifecycle import OwnOrder, What, seen
from trader.orders.reconcile import LAG_S

replace = msgspec.structs.replace
D = Decimal


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.long_and_covered()
    return made


def lose_replaces(desk: Desk) -> None:
    def lost(request: Any) -> Any:
        raise HttpFailed("time-out", sent=True)

    desk.world.answer_http("PUT", "/orderexecution/orders/", lost)


def renew(desk: Desk, order_id: str = "2", new_id: str = "77", **changes: Any) -> None:
    """The venue ends the order as replaced, and it goes on under another id."""
    old = desk.orders[order_id]
    desk.change(order_id, status=OrderStatus.CANCELLED, venue_status="UCH")
    desk.orders[new_id] = replace(old, order_id=new_id, opened_utc=float(int(desk.world.now_utc())), **changes)


def asked(desk: Desk, kind: type) -> list[Any]:
    return [message for to, message in desk.world.casts if to == BOOKS and isinstance(message, kind)]


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


# -- late, gone, overdue -----------------------------------------------------------------------------------------------


def test_an_entry_that_is_found_after_its_validity_is_cancelled_at_once() -> None:
    desk = Desk()
    desk.ready()

    def lost(request: Any) -> Any:
        desk.accept(request)
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(1)
    desk.on_order = None
    sent_utc = desk.orders["1"].opened_utc
    desk.manager.account.timing = replace(desk.manager.account.timing, on_its_way_s=600.0)
    desk.world.advance(140.0)
    desk.change("1", opened_utc=sent_utc)
    desk.read()
    assert desk.orders["1"].status is OrderStatus.CANCELLED


def test_what_left_todays_orders_with_the_day_is_found_in_history_before_it_is_given_up(desk: Desk) -> None:
    desk = Desk()
    desk.ready()

    def lost(request: Any) -> Any:
        desk.accept(request)
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(1)
    desk.on_order = None
    desk.fill("1")
    desk.history["1"] = desk.orders.pop("1")
    desk.settle()
    assert desk.query("SELECT state, result_order_id FROM intents WHERE number = 1") == [
        {"state": "accepted", "result_order_id": "1"}
    ]
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


@pytest.mark.parametrize("declared", [0, 1])
def test_what_history_tells_of_an_entry_closes_nothing_that_a_read_does_not_show(declared: int) -> None:
    """It left today's orders with the day, and somebody closed the position the next one. By history alone it would be
    there, and an exit or a stop would go out that opens the other side."""
    desk = Desk()
    desk.ready()
    account = desk.manager.account
    account.capabilities = replace(account.capabilities, children=False)

    def lost(request: Any) -> Any:
        desk.accept(request)
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(1)
    desk.on_order = None
    desk.fill("1")
    desk.history["1"] = desk.orders.pop("1")
    desk.by_hand(-1)
    desk.read()
    desk.read()
    desk.declare(declared)
    desk.settle()
    assert desk.manager.journal.orders["1"].filled_quantity == 1
    assert desk.sent() == ["POST"]
    assert desk.manager.journal.holds_of(SYMBOL) == ("unexplained",), "a person looks"


@pytest.mark.parametrize("declared", [0, 1])
def test_a_new_life_closes_and_protects_only_what_a_read_has_shown_it(desk: Desk, declared: int) -> None:
    """Regression (the machine of brackets): what reads had said was forgotten with the process, and the first plan
    after a start went by the journal alone. The position may have been closed by hand while the desk was down."""
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.world.advance(0.5)
    desk.restart()
    desk.by_hand(-1)
    desk.stream()
    desk.attach()
    sent = len(desk.sent("POST"))
    desk.declare(declared)
    desk.world.advance(3.0)
    assert len(desk.sent("POST")) == sent
    desk.by_hand(1)
    desk.read()
    assert len(desk.sent("POST")) == sent + 1, "it is there: it is protected, or closed"


def test_nothing_is_given_up_while_history_is_not_to_be_had_and_that_pages(desk: Desk) -> None:
    desk = Desk()
    desk.ready()
    with_a_lost_stop(desk, "none")
    for _ in range(40):
        desk.world.advance(5.0)
        desk.read()
    assert desk.query("SELECT state FROM intents WHERE purpose = 'stop'") == [{"state": "unknown"}]
    assert desk.events().count("hold.unsettled") == 1
    desk.settle()
    assert "unsettled.over" in desk.events()
    assert desk.manager.journal.holds_of(SYMBOL) == ()


def test_our_own_death_does_not_begin_the_wait_anew(desk: Desk) -> None:
    desk = Desk()
    desk.ready()
    with_a_lost_stop(desk, "none")
    desk.world.advance(70.0)
    desk.restart()
    for _ in range(4):
        desk.world.advance(2.0)
        desk.read()
        desk.search()
    assert desk.query("SELECT state FROM intents WHERE purpose = 'stop'")[0] == {"state": "given_up"}


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
    desk.change("hand", duration=Duration.DAY)
    desk.read()
    assert SYMBOL in desk.manager.journal.uncovered, "one for the day only is none"
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
    desk.on_order = lambda request: HttpFailed("no route", sent=False)
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.stream()
    began_s, desk.on_order = desk.world.now_s(), None
    desk.world.advance(2.345)
    desk.stream()
    lasted_s = desk.world.now_s() - began_s
    (over,) = desk.query("SELECT data FROM events WHERE kind = 'uncovered.over'")
    assert msgspec.json.decode(over["data"])["machine_s"] == pytest.approx(lasted_s, abs=0.001)


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


def test_an_order_in_flight_is_asked_for_by_its_id_when_it_is_overdue_and_not_for_ever() -> None:
    desk = Desk()
    desk.ready()
    desk.declare(1)
    desk.world.advance(4.0)
    assert asked(desk, AskOrders) == []
    desk.world.advance(2.0)
    assert asked(desk, AskOrders) == [AskOrders(("1", "2"))]
    desk.fill("1")
    desk.world.deliver(OrdersRead(desk.world.now_s(), (desk.orders["1"],)))
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


def test_one_that_waits_for_the_market_to_open_is_asked_for_a_few_times_only_at_growing_distance() -> None:
    desk = Desk()
    desk.ready()
    desk.declare(1)
    times: list[int] = []
    for second in range(600):
        desk.world.advance(1.0)
        times += [second] * (len(asked(desk, AskOrders)) - len(times))
    assert 3 <= len(times) <= 5
    distances = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(later >= 2 * earlier - 1 for earlier, later in itertools.pairwise(distances)), times


def refused_as_dead(request: Any) -> Any:
    return reply({"Error": "BadRequest", "Message": "Not an open order."}, 400)


def test_what_is_refused_because_the_order_is_dead_is_not_sent_again_and_a_read_tells_why(desk: Desk) -> None:
    desk.fill("2", "166")
    desk.declare(0, None)
    desk.world.advance(5.0)
    assert desk.sent("PUT") == ["PUT"]
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert [type(row) for row in desk.rows()] == [FillRow, FillRow], "it is no refusal: it had filled"


def test_refusals_as_dead_of_an_order_that_works_are_a_loop_that_is_held_with_one_incident(desk: Desk) -> None:
    """Regression (order-safety 4, reject loops): the exit was asked for and refused each twelve seconds, in silence."""
    desk.world.answer_http("PUT", "/orderexecution/orders/", refused_as_dead)
    desk.declare(0, None)
    for _ in range(80):
        desk.world.advance(5.0)
        desk.read()
    assert desk.events().count("hold.rejects") == 1
    assert "works: Not an open order" in desk.rows()[-1].text
    desk.world.answer_http("PUT", "/orderexecution/orders/", desk._changed)
    desk.world.advance(20.0)
    desk.read()
    assert desk.orders["2"].type is OrderType.MARKET, "it is tried on: a position is not left alone"


def test_changes_that_the_venue_accepts_and_never_carries_out_are_a_loop_that_is_held_with_one_incident(
    desk: Desk,
) -> None:
    """The stop was moved again each ten seconds, in silence: some venues show a replace as under way for hours."""
    accepted = reply({"OrderID": "2", "Message": "Replace order"})
    desk.world.answer_http("PUT", "/orderexecution/orders/", lambda _: accepted)
    desk.declare(1, "166.5")
    for _ in range(80):
        desk.world.advance(5.0)
        desk.read()
    assert desk.events().count("hold.rejects") == 1
    assert "accepted, and not carried out within" in desk.rows()[-1].text
    desk.world.answer_http("PUT", "/orderexecution/orders/", desk._changed)
    desk.world.advance(20.0)
    desk.read()
    assert desk.orders["2"].stop_price == D("166.5"), "it is tried on"


def test_what_was_not_sent_goes_only_while_it_is_still_wanted(desk: Desk) -> None:
    """A stop that could not be sent before the position was sold by hand would open the other side."""
    desk.change("2", status=OrderStatus.EXPIRED)

    def down(request: Any) -> Any:
        raise HttpFailed("no route", sent=False)

    desk.on_order = down
    desk.stream()
    desk.by_hand(-1)
    desk.read()
    desk.read()
    desk.on_order, sent = None, len(desk.sent("POST"))
    desk.world.advance(5.0)
    assert len(desk.sent("POST")) == sent
    assert not any(o.working for o in desk.orders.values())


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


# -- what differs and stays --------------------------------------------------------------------------------------------


def test_a_position_that_vanished_is_cross_checked_and_adopted_once_a_person_has_looked(desk: Desk) -> None:
    desk.by_hand(-1, shown=False)
    desk.world.deliver(PositionsSeen((), desk.world.now_s()))
    for _ in range(4):
        desk.read()
    (told,) = [row for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "hold.unexplained"]
    assert "the stream says 0" in told["text"]
    assert "cash 100000 and equity 100000 USD" in told["text"]
    assert desk.orders["2"].working, "its stop is no orphan"
    desk.world.ask(ReleaseHold(SYMBOL))
    desk.read()
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    (adopted,) = desk.query("SELECT data FROM events WHERE kind = 'divergence.adopted'")
    assert '"profit":"unknown"' in adopted["data"]
    (row,) = desk.query("SELECT * FROM adoptions")
    assert (row["before_quantity"], row["after_quantity"], row["explained"]) == ("1", "0", 0)
    assert f'"read":{row["read"]}' in adopted["data"]
    assert row["age_s"] >= 0


def test_a_release_lets_one_vanished_position_be_adopted_and_not_the_next(desk: Desk) -> None:
    for _ in range(2):
        desk.by_hand(-1, shown=False)
        for _ in range(3):
            desk.read()
        assert desk.manager.journal.holds_of(SYMBOL) == ("unexplained",)
        desk.world.ask(ReleaseHold(SYMBOL))
        desk.by_hand(1, shown=False)
        desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


def test_what_a_new_journal_has_found_and_is_gone_hinders_no_more() -> None:
    desk = Desk()
    desk.position = 3
    desk.ready()
    assert desk.manager.account.not_ours == {SYMBOL}
    desk.position = 0
    desk.read()
    assert desk.manager.account.not_ours == set()
    desk.declare(1)
    assert desk.sent() == ["POST"]


def test_an_agreement_is_as_old_as_the_request_of_its_read(desk: Desk) -> None:
    desk.world.advance(80.0)
    desk.read(requested_s=desk.world.now_s() - 60.0)
    desk.world.advance(31.0)
    desk.declare(2)
    assert desk.rows()[-1].gate == "agreed"


def by_phone(desk: Desk, quantity: int, closed_utc: float) -> Order:
    """A person's order that has closed, as history has it."""
    side, amount = (Side.SELL if quantity < 0 else Side.BUY), D(abs(quantity))
    return Order(
        "hand9", ACCOUNT, SYMBOL, side, OrderType.MARKET, amount, OrderStatus.FILLED, "FLL", closed_utc,
        amount, D(165), closed_utc=closed_utc,
    )  # fmt: skip


def vanished(desk: Desk) -> None:
    """The position is gone from the reads, and nothing shows why."""
    desk.world.advance(5.0)
    desk.by_hand(-1, shown=False)
    for _ in range(3):
        desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ("unexplained",)


def test_a_closing_fill_that_history_shows_resolves_a_vanished_position_by_itself(desk: Desk) -> None:
    vanished(desk)
    desk.history["hand9"] = by_phone(desk, -1, desk.world.now_utc())
    desk.world.advance(1.0)
    desk.search()
    desk.read()
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert desk.manager.journal.holds_of(SYMBOL) == ("divergence",), "a person's close is adopted as any other"
    (over,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "unexplained.over"]
    assert "hand9, by history" in over
    (adopted,) = desk.query("SELECT data FROM events WHERE kind = 'divergence.adopted'")
    assert '"explained":true' in adopted["data"]
    assert not desk.orders["2"].working, "now its stop is an orphan"
    assert desk.manager.account.told_by_history == {}


@pytest.mark.parametrize(("quantity", "later_s"), [(-1, -3600.0), (1, 0.0), (-2, 0.0)])
def test_fills_that_do_not_explain_it_leave_it_held_and_its_stop_working(
    desk: Desk, quantity: int, later_s: float
) -> None:
    """From before we knew of the position, to the other side, or of another size."""
    vanished(desk)
    desk.history["hand9"] = by_phone(desk, quantity, desk.world.now_utc() + later_s)
    desk.world.advance(1.0)
    desk.search()
    for _ in range(3):
        desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ("unexplained",)
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert desk.orders["2"].working


def test_history_is_asked_again_while_nothing_explains_it_and_not_with_every_read(desk: Desk) -> None:
    vanished(desk)
    asked = 0
    for _ in range(65):
        desk.world.advance(10.0)
        asked += sum(isinstance(message, AskHistory) for to, message in desk.world.casts if to == BOOKS)
        desk.search()
        desk.read()
    assert asked == 3, "at once, and every five minutes"
    desk.history["hand9"] = by_phone(desk, -1, desk.world.now_utc())
    for _ in range(35):
        desk.world.advance(10.0)
        desk.search()
        desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0, "it was told hours late"


def test_a_closing_fill_that_shows_up_late_in_todays_orders_resolves_it_too(desk: Desk) -> None:
    vanished(desk)
    desk.orders["hand9"] = by_phone(desk, -1, desk.world.now_utc())
    desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ("divergence",)
    assert desk.events().count("unexplained.over") == 1


def test_so_does_the_fill_of_our_own_stop(desk: Desk) -> None:
    vanished(desk)
    desk.position = 1
    desk.fill("2", "166")
    desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ()
    (over,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "unexplained.over"]
    assert "what closed the position is known now" in over


def test_a_difference_that_stays_raises_its_level(desk: Desk) -> None:
    desk.by_hand(-1, shown=False)
    for _ in range(45):
        desk.world.advance(10.0)
        desk.read()
    levels = [row["level"] for row in desk.query("SELECT level FROM events WHERE kind = 'divergence.stays'")]
    assert levels == ["NOTIFY", "PAGE"]


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
