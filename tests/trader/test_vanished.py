"""What differs from the broker and stays so: positions that vanish, and what explains them."""

import pytest

from brokers.model import Order, OrderStatus, OrderType, Side
from feeds.messages import AskHistory, HistoryRead, PositionsSeen
from tests.trader.session_world import ACCOUNT, BOOKS, SYMBOL, Desk
from tests.trader.settling import D, covered
from trader.messages import ReleaseHold


@pytest.fixture
def desk() -> Desk:
    return covered()


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
    assert desk.events()[-1] == "found.over"
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


def test_what_history_tells_of_others_explains_nothing_before_a_position_has_vanished(desk: Desk) -> None:
    """It was searched for something of ours. What it shows besides was agreed with, or adopted, long ago."""
    desk.world.advance(5.0)
    sold = by_phone(desk, -1, desk.world.now_utc())
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, (sold,)))
    vanished(desk)
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


def test_the_fill_of_our_own_stop_that_history_tells_is_no_adoption(desk: Desk) -> None:
    vanished(desk)
    desk.fill("2", "166")
    desk.position += 1  # it is what had closed the position
    desk.change("2", closed_utc=desk.world.now_utc())
    desk.history["2"] = desk.orders.pop("2")
    desk.world.advance(1.0)
    desk.search()
    for _ in range(3):
        desk.read()
    assert "divergence.adopted" not in desk.events()
    assert desk.manager.journal.holds_of(SYMBOL) == ()
    assert [row.purpose for row in desk.rows()] == ["entry", "stop"]


def test_a_fill_that_history_and_today_s_orders_both_show_counts_once(desk: Desk) -> None:
    vanished(desk)
    desk.history["hand9"] = by_phone(desk, -1, desk.world.now_utc())
    desk.world.advance(1.0)
    desk.search()
    desk.orders["hand9"] = desk.history["hand9"]
    desk.read()
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert desk.manager.journal.holds_of(SYMBOL) == ("divergence",)


def test_a_fill_that_todays_orders_show_late_is_not_said_to_be_of_history(desk: Desk) -> None:
    vanished(desk)
    desk.orders["hand9"] = by_phone(desk, -1, desk.world.now_utc())
    desk.read()
    desk.read()
    (over,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "unexplained.over"]
    assert over.endswith("closed the position")


def test_a_position_that_is_back_was_never_gone(desk: Desk) -> None:
    vanished(desk)
    desk.by_hand(1, shown=False)
    desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ()
    (over,) = [row["text"] for row in desk.query("SELECT kind, text FROM events") if row["kind"] == "unexplained.over"]
    assert "shows the position 1 again" in over


@pytest.mark.parametrize("asked_utc", [None, 1.0])
def test_history_is_asked_from_when_we_last_knew_of_it_or_from_what_else_is_looked_for(
    desk: Desk, asked_utc: float | None
) -> None:
    known_utc = desk.manager.journal.holding(SYMBOL).as_of_utc
    desk.manager.account.search_since_utc = asked_utc
    desk.manager.account.history_next_s = 0.0
    desk.by_hand(-1, shown=False)
    desk.read()
    desk.read()
    assert desk.manager.account.search_since_utc == (known_utc if asked_utc is None else asked_utc)


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
    for second in range(45):
        desk.world.advance(10.0)
        desk.read()
        assert ("divergence.stays" in desk.events()) == (second > 5)
    levels = [row["level"] for row in desk.query("SELECT level FROM events WHERE kind = 'divergence.stays'")]
    assert levels == ["NOTIFY", "PAGE"]
