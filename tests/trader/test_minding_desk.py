"""An account manager minds: stops that the market has passed, the close, late bars; over its own death too."""

from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.model import Bar, OrderStatus, OrderType
from feeds.messages import ReadSnapshot
from tests.trader.minding_desk import closes, desk_of, held, passed_while_missing, refuse_stops, working
from tests.trader.session_world import BOOKS, NAME, SYMBOL, Desk, reply
from tests.trader.test_session_hours import refused_by, write
from trader.hours.book import LOOK_EVERY_S
from trader.manager.guarding import due
from trader.manager.step import now_of
from trader.messages import CleanBar, CleanBars
from trader.minding.stop_watch import INERT, INERT_S

# -- the stop that cannot be placed ------------------------------------------------------------------------------------


def test_a_stop_that_is_refused_as_the_market_is_beyond_it_becomes_an_exit_and_is_never_sent_again() -> None:
    desk = desk_of()
    passed_while_missing(desk)
    tried = desk.sent("POST")
    closes(desk, "165")
    (exit_,) = working(desk, OrderType.MARKET)
    assert desk.orders[exit_].quantity == 1
    desk.fill(exit_)
    desk.read()
    desk.world.advance(300.0)
    assert held(desk) == 0
    assert len(desk.sent("POST")) == len(tried) + 1
    assert desk.events().count("stop.passed") == 1


def test_the_brokers_last_price_of_a_read_is_enough() -> None:
    desk = desk_of()
    passed_while_missing(desk)
    desk.last = Decimal("165.50")
    desk.read()
    desk.world.advance(1.0)
    assert len(working(desk, OrderType.MARKET)) == 1


def test_a_price_from_before_the_position_closes_nothing() -> None:
    desk = desk_of()
    desk.ready()
    desk.declare(1)
    closes(desk, "165")  # older than the fill
    desk.world.advance(1.0)
    desk.fill("1")
    desk.stream()
    assert len(working(desk)) == 1, "the stop goes out"
    assert "stop.passed" not in desk.events()


def test_a_new_life_finds_the_stop_gone_and_the_market_beyond_it() -> None:
    """Over a weekend the stop has ended, on Sunday the market opens below it."""
    desk = desk_of()
    desk.long_and_covered()
    (stop,) = working(desk)
    desk.change(stop, status=OrderStatus.EXPIRED)
    desk.on_order = refuse_stops
    desk.restart()
    desk.last = Decimal("160")
    desk.world.advance(1.0)
    desk.read()
    desk.world.advance(2.0)
    assert len(working(desk, OrderType.MARKET)) == 1


def test_a_new_life_judges_no_stop_by_a_bar_from_before_it() -> None:
    """Over the weekend the venue lost the stop, the market opens below it, and the first that a new account manager is
    told is Friday's last bar, above it: by the policy page nothing is sent."""
    desk = desk_of(stop_passed="page")
    passed_while_missing(desk)
    closes(desk, "165")
    desk.world.advance(300.0)
    desk.restart()
    friday = Bar(SYMBOL, 60, int(desk.world.now_utc()) - 60, *[Decimal(170)] * 4, volume=1)
    desk.world.deliver(CleanBars(SYMBOL, 60, friday.closed_utc - 60, (CleanBar(friday, late=False),), warm_up=True))
    desk.world.advance(2.0)
    assert "stop.passed_over" not in desk.events()
    desk.last = Decimal(165)
    desk.read()
    desk.world.advance(60.0)
    assert desk.sent("POST") == []
    desk.last = Decimal(170)
    desk.read()
    assert "stop.passed_over" in desk.events()


def test_by_the_policy_page_it_waits_and_goes_out_once_the_market_is_back() -> None:
    desk = desk_of(stop_passed="page")
    passed_while_missing(desk)
    closes(desk, "165")
    before = len(desk.sent("POST"))
    desk.world.advance(60.0)
    desk.declare(1)  # the strategy says the same on each bar
    assert len(desk.sent("POST")) == before
    assert desk.manager.account.holds_of(SYMBOL) == ("stop_passed",)
    assert desk.events().count("stop.passed") == 1
    desk.on_order = None
    desk.world.advance(1.0)
    closes(desk, "167")
    assert len(working(desk)) == 1
    assert "stop.passed_over" in desk.events()
    assert desk.manager.account.holds_of(SYMBOL) == ("stop_passed",), "a person releases it"


def test_an_entry_whose_stop_is_behind_the_market_already_is_refused() -> None:
    desk = desk_of()
    desk.ready()
    closes(desk, "165")
    desk.declare(1, "166")
    assert refused_by(desk) == ["stop"]
    assert desk.sent("POST") == []


# -- the stop that does not fire ---------------------------------------------------------------------------------------


def below(desk: Desk, seconds: int) -> None:
    """The market trades below the stop, told once a second, and the books read every 10 s."""
    for second in range(seconds):
        desk.world.advance(1.0)
        closes(desk, "165")
        if second % 10 == 9:
            desk.read()


def test_a_stop_that_does_not_fire_pages_and_is_left_alone() -> None:
    desk = desk_of()
    desk.long_and_covered()
    before = desk.sent()
    below(desk, 90)
    assert desk.events().count("stop.inert") == 1
    assert desk.sent() == before
    (stop,) = working(desk)
    desk.fill(stop)
    desk.stream()
    desk.world.advance(2.0)
    assert desk.events().count("stop.inert_over") == 1


def reads_asked(desk: Desk) -> int:
    return len([message for to, message in desk.world.casts if to == BOOKS and isinstance(message, ReadSnapshot)])


def test_the_books_are_asked_about_a_stop_that_is_overdue_and_not_before() -> None:
    """Nobody else reads here: whether it has fired only a read tells, and it may be 30 s old."""
    desk = desk_of()
    desk.long_and_covered()
    desk.world.advance(10.0)
    before = reads_asked(desk)
    for second in range(int(INERT_S) + 10):
        desk.world.advance(1.0)
        closes(desk, "165")
        late = second > INERT_S + desk.manager.timing.late_machine_s
        assert (reads_asked(desk) > before) <= late, second
    assert reads_asked(desk) > before
    desk.read()
    desk.world.advance(1.0)
    assert "stop.inert" in desk.events()


def test_each_alarm_names_its_incident_by_symbol_and_the_order_it_is_about() -> None:
    desk = desk_of(flat_at_close_min=5)
    write(desk, (-3600, 700))
    desk.long_and_covered()
    (stop,) = working(desk)
    below(desk, 90)
    desk.world.advance(350.0)
    about = {row["kind"]: (row["incident"], row["data"]) for row in desk.query("SELECT * FROM events")}
    assert about["stop.inert"] == (f"{NAME}:{INERT}:{SYMBOL}", f'{{"order_id":"{stop}"}}')
    assert about["close.begun"] == ("", "{}"), "nothing is wrong, and it is about no order"


def test_a_covered_position_at_rest_is_looked_at_without_a_step() -> None:
    """Each step plans anew and stirs the account, several times a second, for nothing."""
    desk = desk_of()
    desk.long_and_covered()
    desk.world.advance(10.0)
    asked = reads_asked(desk)
    for _ in range(10):
        desk.world.advance(1.0)
        closes(desk, "168")
        assert not due(desk.manager.account, now_of(desk.world), [SYMBOL])
    assert reads_asked(desk) == asked


def test_a_stop_that_fires_in_time_is_no_alarm() -> None:
    desk = desk_of()
    desk.long_and_covered()
    below(desk, 25)
    (stop,) = working(desk)
    desk.fill(stop)
    below(desk, 90)
    assert held(desk) == 0
    assert "stop.inert" not in desk.events()


def test_where_it_was_asked_for_the_stop_is_cancelled_then_the_position_closed_never_both() -> None:
    desk = desk_of(inert_stop="close")
    desk.long_and_covered()
    (stop,) = working(desk)
    silent: list[str] = []
    desk.world.answer_http(
        "DELETE", "/orderexecution/orders/", lambda request: silent.append(request.url) or reply({"Message": "sent"})
    )
    below(desk, 60)
    assert len(set(silent)) == 1
    assert working(desk, OrderType.MARKET) == [], "not before the cancel is confirmed"
    assert "PUT" not in desk.sent()
    desk.change(stop, status=OrderStatus.CANCELLED)
    desk.stream()
    (exit_,) = working(desk, OrderType.MARKET)
    desk.fill(exit_)
    desk.stream()
    desk.read()
    desk.world.advance(5.0)
    assert held(desk) == 0
    assert desk.events().count("stop.inert_over") == 1
    assert desk.manager.account.holds_of(SYMBOL) == ("inert_stop",)


# -- the close ---------------------------------------------------------------------------------------------------------


def test_flat_at_close_closes_in_time_and_says_so_by_the_brokers_word() -> None:
    desk = desk_of(flat_at_close_min=5)
    write(desk, (-3600, 1000))
    desk.long_and_covered()
    desk.world.advance(600.0)
    desk.read()
    assert held(desk) == 1
    desk.world.advance(100.0)
    (exit_,) = working(desk, OrderType.MARKET)
    desk.declare(1)  # the strategy knows of no close
    desk.fill(exit_)
    desk.stream()
    assert "close.flat" not in desk.events(), "our own book is not the broker's word"
    desk.read()
    desk.world.advance(2.0)
    assert desk.events().count("close.flat") == 1
    assert held(desk) == 0
    assert "close.missed" not in desk.events()


def sold_before_the_close() -> Desk:
    """The stream has told of it, and no read has confirmed it yet."""
    desk = desk_of(flat_at_close_min=5)
    write(desk, (-3600, 1000))
    desk.long_and_covered()
    desk.world.advance(700.0)
    (exit_,) = working(desk, OrderType.MARKET)
    desk.fill(exit_)
    desk.stream()
    return desk


def test_the_books_are_asked_whether_it_is_flat_until_they_have_said_so() -> None:
    desk = sold_before_the_close()
    before = reads_asked(desk)
    desk.world.advance(30.0)
    assert reads_asked(desk) > before
    desk.read()
    before = reads_asked(desk)
    desk.world.advance(30.0)
    assert reads_asked(desk) == before


def test_a_market_that_opens_for_less_than_that_is_not_closed_before_it_opens() -> None:
    """Nothing fills in a closed market, and an exit that waits there is no stop any more."""
    desk = desk_of(flat_at_close_min=30)
    desk.long_and_covered()
    write(desk, (-3600, 0), (LOOK_EVERY_S + 100, LOOK_EVERY_S + 1000))
    desk.world.advance(LOOK_EVERY_S + 90)
    assert len(working(desk)) == 1
    desk.world.advance(20.0)
    assert len(working(desk, OrderType.MARKET)) == 1


def test_what_a_person_buys_after_it_is_flat_is_not_sold() -> None:
    """Regression (order-safety 1.11): the close began anew, and an exit followed from the adoption alone."""
    desk = sold_before_the_close()
    desk.read()
    desk.world.advance(2.0)
    sent = len(desk.sent())
    desk.by_hand(2)
    for _ in range(4):
        desk.world.advance(2.0)
        desk.read()
    assert held(desk) == 2
    assert len(desk.sent()) == sent
    assert desk.events().count("close.left") == 1


def test_entries_end_with_it() -> None:
    desk = desk_of(flat_at_close_min=20)
    write(desk, (-3600, 1000))
    desk.ready()
    desk.world.advance(LOOK_EVERY_S)
    desk.read()
    desk.declare(1)
    assert refused_by(desk) == ["market"]


def test_what_is_not_flat_at_the_close_pages_and_keeps_its_stop_also_over_a_death() -> None:
    desk = desk_of(flat_at_close_min=5)
    write(desk, (-3600, 1000), (80_000, 90_000))
    desk.long_and_covered()
    desk.world.advance(750.0)
    (exit_,) = working(desk, OrderType.MARKET)
    desk.world.advance(50.0)
    desk.restart()
    desk.attach()
    desk.world.advance(300.0)
    desk.read()
    assert desk.events().count("close.missed") == 1
    desk.change(exit_, status=OrderStatus.EXPIRED)
    desk.read()
    desk.world.advance(2.0)
    desk.read()
    (stop,) = working(desk)
    assert desk.orders[stop].quantity == 1
    assert held(desk) == 1
    desk.fill(stop)
    desk.read()
    desk.world.advance(2.0)
    assert desk.events().count("close.missed") == 1
    assert desk.events().count("close.flat") == 1


# -- an entry of a late bar --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [True, False])
def test_what_a_late_bar_declares_never_becomes_an_entry_whatever_happens_later(late: bool) -> None:
    """While the exit is on its way, to declare again what is held adds nothing; when it has filled, it would."""
    desk = desk_of()
    desk.long_and_covered()
    desk.declare(0)
    (exit_,) = working(desk, OrderType.MARKET)
    before = len(desk.sent("POST"))
    desk.declare(1, late=late)
    desk.fill(exit_)
    desk.stream()
    desk.read()
    assert len(desk.sent("POST")) == before + (not late)
    assert refused_by(desk) == (["late"] if late else [])


def test_the_next_bar_that_comes_in_time_may_enter_again() -> None:
    desk = desk_of()
    desk.long_and_covered()
    desk.declare(0)
    (exit_,) = working(desk, OrderType.MARKET)
    desk.declare(1, late=True)
    desk.fill(exit_)
    desk.stream()
    desk.read()
    before = len(desk.sent("POST"))
    desk.declare(1)
    assert len(desk.sent("POST")) == before + 1


# -- over a death ------------------------------------------------------------------------------------------------------


def test_a_manager_that_dies_between_the_cancel_and_the_exit_goes_on_where_it_was() -> None:
    desk = desk_of(inert_stop="close")
    desk.long_and_covered()
    (stop,) = working(desk)
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lambda request: reply({"Message": "sent"}))
    below(desk, 60)
    desk.restart()
    desk.attach()
    desk.world.advance(2.0)
    assert working(desk, OrderType.MARKET) == []
    desk.change(stop, status=OrderStatus.CANCELLED)
    desk.read()
    desk.world.advance(5.0)
    desk.read()
    (exit_,) = working(desk, OrderType.MARKET)
    assert desk.orders[exit_].quantity == 1
    assert desk.events().count("stop.inert") == 1, "the same incident in both lives"


def test_a_stop_that_waits_by_the_policy_page_waits_in_the_next_life_too() -> None:
    desk = desk_of(stop_passed="page")
    passed_while_missing(desk)
    closes(desk, "165")
    desk.restart()
    desk.attach()
    desk.last = Decimal("165")
    desk.read()
    desk.world.advance(30.0)
    assert desk.sent("POST") == []
    assert desk.events().count("stop.passed") == 1
