"""What is looked for in history, and what history settles."""

import pytest

from brokers.model import Order, OrderStatus, OrderType, Side
from feeds.messages import AskHistory, HistoryRead, ReadSnapshot
from tests.trader.session_world import ACCOUNT, SYMBOL, Desk
from tests.trader.settling import D, asked, covered, down, replace
from tests.trader.test_never_twice import with_a_lost_stop


@pytest.fixture
def desk() -> Desk:
    return covered()


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
