"""Orders that are late, overdue, or refused as dead; what our own death leaves in doubt."""

import itertools
from typing import Any

import pytest

from brokers.model import OrderStatus, OrderType
from feeds.messages import AskOrders, OrdersRead
from supervisor.errors import HttpFailed
from tests.trader.session_world import SYMBOL, Desk, reply
from tests.trader.settling import D, asked, covered, down, replace
from tests.trader.test_never_twice import Killed, with_a_lost_stop
from trader.messages import FillRow


@pytest.fixture
def desk() -> Desk:
    return covered()


def test_an_entry_that_is_found_after_its_validity_is_cancelled_at_once() -> None:
    desk = Desk()
    desk.ready()

    with desk.answers_lost():
        desk.declare(1)
    sent_utc = desk.orders["1"].opened_utc
    desk.manager.account.timing = replace(desk.manager.account.timing, on_its_way_s=600.0)
    desk.world.advance(140.0)
    desk.change("1", opened_utc=sent_utc)
    desk.read()
    assert desk.orders["1"].status is OrderStatus.CANCELLED
    assert told_of_settling(desk).endswith("so it is cancelled")


def told_of_settling(desk: Desk) -> str:
    (told,) = desk.query("SELECT text FROM events WHERE kind = 'intent.settled'")
    return str(told["text"])


@pytest.mark.parametrize("filled", [True, False])
def test_an_entry_that_is_found_in_time_or_has_filled_is_left_alone(filled: bool) -> None:
    desk = Desk()
    desk.ready()
    with desk.answers_lost():
        desk.declare(1)
    if filled:
        desk.fill("1")
        desk.manager.account.timing = replace(desk.manager.account.timing, on_its_way_s=600.0)
        desk.world.advance(140.0)
    desk.read()
    assert desk.sent() == ["POST"]
    assert told_of_settling(desk).endswith("is order 1")


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


def test_our_own_death_does_not_begin_the_wait_anew(desk: Desk) -> None:
    with_a_lost_stop(desk, "none")
    desk.world.advance(70.0)
    desk.restart()
    for _ in range(4):
        desk.world.advance(2.0)
        desk.read()
        desk.search()
    assert desk.query("SELECT state FROM intents WHERE purpose = 'stop'")[0] == {"state": "given_up"}


@pytest.mark.parametrize("answered", [False, True])
def test_deaths_one_after_the_other_do_not_put_off_what_a_lost_cancel_is_followed_by(
    desk: Desk, answered: bool
) -> None:
    """In night 319 an orphaned stop stood for 25 s so: its cancel was lost, or accepted and never carried out."""
    told = reply({"Message": "Cancel request sent", "OrderID": "2"})
    lost = told if answered else HttpFailed("time-out", sent=True)
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lost)
    desk.by_hand(-1)
    desk.read()
    desk.read()
    assert desk.sent("DELETE") == ["DELETE"]
    desk.world.answer_http("DELETE", "/orderexecution/orders/", desk._cancelled)
    for _ in range(2):
        desk.world.advance(4.0)
        desk.restart()
        desk.read()
        assert desk.sent() == [], "the venue still has time to carry it out"
    asked_s = desk.world.now_s()
    desk.world.advance(4.0)
    desk.read(requested_s=asked_s)
    assert desk.sent() == [], "a read of before that time shows nothing"
    desk.read()
    assert desk.sent() == ["DELETE"]
    assert not any(order.working for order in desk.orders.values())


def test_what_was_written_may_have_left_as_late_as_we_died(desk: Desk) -> None:

    def sent_late(_: Any) -> Any:
        desk.world.advance(9.0)
        raise Killed

    desk.world.answer_http("DELETE", "/orderexecution/orders/", sent_late)
    desk.by_hand(-1)
    desk.read()
    with pytest.raises(Killed):
        desk.read()
    desk.world.answer_http("DELETE", "/orderexecution/orders/", desk._cancelled)
    desk.restart()
    desk.world.advance(5.0)
    desk.read()
    assert desk.sent() == []
    desk.world.advance(5.0)
    desk.read()
    assert desk.sent() == ["DELETE"]


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
    desk.on_order = down
    desk.stream()
    desk.by_hand(-1)
    desk.read()
    desk.read()
    desk.on_order, sent = None, len(desk.sent("POST"))
    desk.world.advance(5.0)
    assert len(desk.sent("POST")) == sent
    assert not any(o.working for o in desk.orders.values())
