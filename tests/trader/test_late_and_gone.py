"""Orders that are late, gone from what is shown, overdue, or refused as dead."""

import itertools
from typing import Any

import msgspec
import pytest

from brokers.model import Duration, Order, OrderStatus, OrderType, Side
from feeds.messages import AskHistory, AskOrders, HistoryRead, OrdersRead, OrdersSeen, ReadSnapshot
from supervisor.errors import HttpFailed
from tests.trader.session_world import ACCOUNT, NAME, SYMBOL, Desk, reply
from tests.trader.settling import D, asked, replace
from tests.trader.test_never_twice import Killed, with_a_lost_stop
from trader.manager.truth import _why, uncovered
from trader.manager.unsettled import HISTORY_S
from trader.messages import FillRow, ReleaseHold
from trader.orders.intents import Purpose


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.long_and_covered()
    return made


# -- late, gone, overdue -----------------------------------------------------------------------------------------------


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


def test_what_left_todays_orders_with_the_day_is_found_in_history_before_it_is_given_up(desk: Desk) -> None:

    with desk.answers_lost():
        desk.declare(1)
    desk.fill("1")
    desk.history["1"] = desk.orders.pop("1")
    desk.settle()
    assert desk.query("SELECT state, result_order_id FROM intents WHERE number = 1") == [
        {"state": "accepted", "result_order_id": "1"}
    ]
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


def bought_like_ours(desk: Desk, order_id: str) -> Order:
    """The same as our entry, of somebody else: filled, and gone from today's orders."""
    now_utc = float(int(desk.world.now_utc()))
    return Order(
        order_id, ACCOUNT, SYMBOL, Side.BUY, OrderType.MARKET, D(1), OrderStatus.FILLED, "FLL", now_utc, D(1), D(167)
    )  # fmt: skip


def test_history_settles_nothing_that_today_s_orders_were_not_asked_about() -> None:
    """It was asked for something else, a moment after the entry had gone out: that may be on its way yet."""
    desk = Desk()
    desk.ready()
    with desk.answers_lost(taken=False):
        desk.declare(1)
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, (bought_like_ours(desk, "hand9"),)))
    assert desk.query("SELECT state FROM intents") == [{"state": "unknown"}]
    assert desk.manager.journal.orders == {}


def test_history_from_before_it_arrived_says_nothing_of_it() -> None:
    """It arrives late, fills, and leaves today's orders with the day."""
    desk = Desk()
    desk.ready()
    with desk.answers_lost(taken=False):
        desk.declare(1)
    for _ in range(3):
        desk.world.advance(5.0)
        desk.read()
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, ()))
    desk.accept(desk.world.requests[-1])
    desk.fill("1")
    desk.history["1"] = desk.orders.pop("1")
    desk.settle()
    assert desk.query("SELECT state FROM intents WHERE number = 1") == [{"state": "accepted"}]


def test_history_that_does_not_reach_back_to_it_gives_nothing_up() -> None:
    desk = Desk()
    desk.ready()
    with desk.answers_lost(taken=False):
        desk.declare(1)
    for _ in range(16):
        desk.world.advance(5.0)
        desk.read()
        desk.world.deliver(HistoryRead(desk.world.now_s(), desk.world.now_utc() - 1.0, ()))
    assert desk.query("SELECT state FROM intents") == [{"state": "unknown"}]


@pytest.mark.parametrize("asked_utc", [None, 1.0])
def test_history_is_asked_when_nothing_can_come_any_more_from_before_the_oldest_of_what_is_looked_for(
    desk: Desk, asked_utc: float | None
) -> None:
    entry_utc = desk.world.now_utc()
    with desk.answers_lost(taken=False):
        desk.declare(2)
    for _ in range(14):
        desk.world.advance(4.0)
        desk.read()
    assert asked(desk, AskHistory) == [], "ours may be on its way yet"
    desk.manager.account.search_since_utc = asked_utc
    for _ in range(2):
        desk.world.advance(4.0)
        desk.read()
    since_utc = desk.manager.account.search_since_utc
    assert since_utc == pytest.approx(entry_utc if asked_utc is None else asked_utc, abs=1.0)


def test_what_somebody_sends_when_ours_can_be_on_its_way_no_longer_is_not_taken_for_it() -> None:
    """History is not to be had, so ours stays unknown for long."""
    desk = Desk()
    desk.ready()
    account = desk.manager.account
    account.capabilities = replace(account.capabilities, children=False)
    with desk.answers_lost(taken=False):
        desk.declare(1)
    for _ in range(16):
        desk.world.advance(5.0)
        desk.read()
    desk.by_hand(1)
    desk.read()
    assert desk.query("SELECT state FROM intents") == [{"state": "unknown"}]
    assert desk.manager.journal.orders == {}


def test_what_was_not_sent_is_found_nowhere() -> None:
    """Somebody buys the same meanwhile."""
    desk = Desk()
    desk.ready()
    account = desk.manager.account
    account.capabilities = replace(account.capabilities, children=False)
    desk.on_order = down
    desk.declare(1)
    desk.by_hand(1)
    desk.read()
    assert desk.query("SELECT state FROM intents") == [{"state": "unsent"}]
    assert desk.manager.journal.orders == {}


def test_a_history_that_shows_nothing_of_ours_leaves_entries_open(desk: Desk) -> None:
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, ()))
    sent = len(desk.sent("POST"))
    desk.declare(2)
    assert len(desk.sent("POST")) == sent + 1


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


def test_of_two_that_history_shows_and_that_could_be_ours_none_is_taken() -> None:
    desk = Desk()
    desk.ready()
    with desk.answers_lost(taken=False):
        desk.declare(1)
    desk.history = {each: bought_like_ours(desk, each) for each in ("hand8", "hand9")}
    desk.settle()
    assert "hold.ambiguous" in desk.events()
    assert desk.query("SELECT state FROM intents") == [{"state": "unknown"}]
    assert desk.manager.journal.orders == {}


@pytest.mark.parametrize("told", ["by today's orders", "by history"])
def test_somebody_elses_order_is_no_reason_to_read_at_once_again(told: str) -> None:
    """While an outcome is open each read would ask for the next: one a second, and the venue counts them."""
    desk = Desk()
    desk.ready()
    with desk.answers_lost(taken=False):
        desk.declare(1)
    desk.by_hand(-1)
    theirs = tuple(desk.orders.values())
    desk.read()
    desk.world.advance(4.0)
    before = len(asked(desk, ReadSnapshot))
    if told == "by history":
        desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, theirs))
        before += 1  # a read tells whether what filled long ago is still there
    else:
        desk.position = 0
        desk.read()
    assert len(asked(desk, ReadSnapshot)) == before


@pytest.mark.parametrize("declared", [0, 1])
def test_what_history_tells_of_an_entry_closes_nothing_that_a_read_does_not_show(declared: int) -> None:
    """It left today's orders with the day, and somebody closed the position the next one. By history alone it would be
    there, and an exit or a stop would go out that opens the other side."""
    desk = Desk()
    desk.ready()
    account = desk.manager.account
    account.capabilities = replace(account.capabilities, children=False)

    with desk.answers_lost():
        desk.declare(1)
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
    desk.on_order = lambda request: HttpFailed("no route", sent=False)
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


def down(_: Any) -> Any:
    raise HttpFailed("no route", sent=False)


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
