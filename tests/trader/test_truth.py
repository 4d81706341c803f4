"""The broker is right: two agreeing reads are adopted, and no order follows from a divergence."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.broker import AccountSnapshot
from brokers.model import Balance, Order, OrderStatus, OrderType, Side, Trail
from feeds.messages import ReadSnapshot, Snapshot
from supervisor.errors import HttpFailed, Refused
from supervisor.messages import Done
from tests.trader.session_world import ACCOUNT, BOOKS, SESSION, SYMBOL, Desk
from trader.manager.truth import _cross_check
from trader.messages import (
    FillRow,
    ReadSessionStatus,
    RejectRow,
    ReleaseHold,
    SyncRow,
    Turn,
)
from trader.orders.position import Holding


def diverged() -> Desk:
    """Long 1, covered; a person sells it on the phone; two reads say so."""
    desk = Desk()
    desk.long_and_covered()
    desk.by_hand(-1)
    desk.read()
    desk.read()
    desk.stream()
    return desk


def test_the_first_disagreeing_read_closes_entries_and_asks_for_a_confirming_one(desk: Desk) -> None:
    desk.by_hand(2)
    desk.world.casts.clear()
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert (BOOKS, ReadSnapshot(1.0)) in desk.world.casts
    desk.declare(1)
    assert desk.sent() == []
    assert desk.rows()[-1].gate == "diverged"


def adopted(desk: Desk) -> str:
    (told,) = desk.query("SELECT text FROM events WHERE kind = 'divergence.adopted'")
    return str(told["text"])


def test_two_agreeing_reads_are_adopted_and_no_order_comes_of_it() -> None:
    desk = diverged()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert desk.sent("POST") == ["POST"], "the entry with its stop; nothing was bought back"
    assert isinstance(desk.rows()[-1], SyncRow)
    assert adopted(desk) == f"{SYMBOL}: we had 1, the broker said 0 twice: adopted, entries held"
    assert desk.query("SELECT count(*) AS n FROM fills") == [{"n": 1}], "never an invented fill"
    assert [hold.why for hold in desk.world.ask(ReadSessionStatus()).holds] == ["divergence"]


@pytest.mark.parametrize(("bought", "adopted"), [(1, 1), (2, 0)])
def test_what_is_bought_by_hand_while_an_entry_has_no_outcome_is_adopted_where_it_cannot_be_that(
    desk: Desk, bought: int, adopted: int
) -> None:
    """Night 341: for as long as the entry was in doubt nobody was told that what a person had bought had no stop."""

    def lost(request: Any) -> Any:
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(2)
    desk.by_hand(bought)
    like_ours = Order("hand0", ACCOUNT, SYMBOL, Side.BUY, OrderType.MARKET, Decimal(2), OrderStatus.WORKING, "ACK", 0.0)
    desk.orders["hand0"] = msgspec.structs.replace(
        like_ours, opened_utc=desk.world.now_utc()
    )  # nothing of it has filled
    for _ in range(3):
        desk.world.advance(2.0)
        desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == adopted
    assert ("uncovered" in desk.events()) == bool(adopted)


def test_of_what_a_lost_entry_and_a_person_have_bought_together_the_persons_part_is_adopted(desk: Desk) -> None:
    """Night 401: no list had the entry yet, and its position was there."""

    def lost(request: Any) -> Any:
        desk.accept(request)
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(2)
    desk.fill("1")
    ours, desk.orders = desk.orders, {}
    desk.by_hand(1)
    for _ in range(3):
        desk.world.advance(2.0)
        desk.read()
    assert (desk.manager.journal.holding(SYMBOL).quantity, desk.position) == (1, 3)
    assert "adopted as 1 (the rest may be of an order without outcome), entries held" in adopted(desk)
    desk.orders = ours | desk.orders
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 3
    desk.read()
    assert desk.events().count("divergence.adopted") == 1


def test_an_orphan_stop_of_ours_is_cancelled_when_its_flat_is_explained() -> None:
    assert diverged().orders["2"].status is OrderStatus.CANCELLED


def test_a_repeat_of_the_voided_target_is_refused_also_after_a_restart() -> None:
    desk = diverged()
    desk.declare(1)
    assert desk.rows()[-1].gate == "diverged"
    desk.restart()
    desk.ready()
    desk.declare(1)
    desk.declare(2)
    desk.world.advance(10.0)
    assert desk.sent() == []
    assert desk.rows()[-1].gate == "diverged"


def test_a_persons_release_makes_the_next_declaration_a_new_decision() -> None:
    desk = diverged()
    assert desk.world.ask(ReleaseHold(SYMBOL)) == Done()
    assert desk.sent("POST") == ["POST"], "the release alone buys nothing"
    desk.declare(1)
    assert desk.sent("POST") == ["POST", "POST"]
    with pytest.raises(Refused, match="nothing to release"):
        desk.world.ask(ReleaseHold(SYMBOL))


def test_resume_takes_the_declaration_up_again() -> None:
    desk = diverged()
    newest = desk.manager.journal.newest_row
    desk.world.ask(Turn(1, b"", newest, row=newest, resume=(SYMBOL,)))
    assert desk.sent("POST") == ["POST", "POST"]


def test_a_new_declaration_that_only_reduces_passes_as_an_exit_and_the_stop_follows_what_is_held() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.by_hand(2)
    desk.read()
    desk.read()
    desk.stream()
    desk.declare(1, "166.5")
    stop = desk.orders["2"]
    assert (stop.quantity, stop.stop_price) == (3, Decimal("166.5")), "of a repeat only the stop part is honoured"
    assert desk.rows()[-1].gate == "diverged"
    desk.stream()
    desk.declare(0, None)
    assert desk.orders["2"].type is OrderType.MARKET


def test_a_read_requested_before_our_fill_is_not_adopted(desk: Desk) -> None:
    before_s = desk.world.now_s()
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    desk.position = 0
    desk.read(requested_s=before_s - 1)
    desk.read(requested_s=before_s - 1)
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert desk.manager.account.differed == {}, "it is no difference either: entries stay open"
    assert desk.world.casts[-1] == (BOOKS, ReadSnapshot(1.0)), "and another read is asked for"
    assert desk.manager.journal.holds_of(SYMBOL) == ()


def test_an_order_in_a_read_requested_before_our_last_word_changes_no_terms() -> None:
    desk = Desk()
    desk.long_and_covered()
    before_s = desk.world.now_s()
    desk.world.advance(1.0)
    desk.declare(1, "166.5")
    desk.stream()
    desk.change("2", stop_price=Decimal(166))
    desk.read(requested_s=before_s)
    assert "order.changed_by_other" not in desk.events()
    assert desk.manager.journal.orders["2"].stop_price == Decimal("166.5")


def test_a_position_that_vanishes_unexplained_is_held_paged_and_keeps_its_stop() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.by_hand(-1, shown=False)
    for _ in range(5):
        desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert desk.orders["2"].working
    assert desk.events().count("hold.unexplained") == 1
    desk.position = 1
    desk.read()
    assert desk.world.ask(ReadSessionStatus()).holds == ()


def test_a_fill_that_the_stream_omits_is_found_by_the_next_read(desk: Desk) -> None:
    desk.declare(1)
    desk.fill("1")
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert desk.orders["2"].type is OrderType.STOP_MARKET
    assert "divergence.seen" not in desk.events()


def test_a_stop_that_a_person_cancelled_is_not_put_back_but_pages() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.read()
    desk.declare(1, "166.5")
    assert desk.sent() == ["POST"]
    assert "uncovered" in desk.events()


def test_a_stop_that_expired_is_put_back() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.read()
    assert desk.orders["3"].stop_price == Decimal(166)
    desk.stream()
    (gap,) = [row for row in desk.query("SELECT * FROM events") if row["kind"] == "uncovered.over"][-1:]
    assert gap["level"] == "LOG"


def test_a_stop_that_a_person_moved_is_left_where_it_is() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.change("2", stop_price=Decimal(150))
    desk.read()
    desk.declare(1, "166.5")
    assert "PUT" not in desk.sent()


def test_a_new_journal_that_finds_a_position_adopts_nothing() -> None:
    desk = Desk()
    desk.position = 3
    desk.ready()
    desk.declare(1)
    assert desk.sent() == []
    assert desk.rows()[-1].gate == "hold"
    assert desk.manager.journal.holdings == {}


def test_with_take_over_the_found_position_is_ours_and_may_be_protected() -> None:
    desk = Desk(msgspec.structs.replace(SESSION, take_over=True))
    desk.position = 3
    desk.ready()
    desk.declare(3)
    assert [(o.type, o.quantity) for o in desk.orders.values()] == [(OrderType.STOP_MARKET, 3)]


def test_foreign_orders_are_counted_and_never_touched(desk: Desk) -> None:
    desk.by_hand(0)
    desk.change(next(iter(desk.orders)), status=OrderStatus.WORKING)
    desk.read()
    desk.declare(1)
    desk.declare(0)
    assert desk.world.ask(ReadSessionStatus()).foreign_orders == 1
    assert not [r for r in desk.world.requests if "hand" in r.url]
    assert ACCOUNT in desk.world.requests[0].body.decode()  # type: ignore[union-attr]
    assert all(isinstance(row, RejectRow | FillRow) for row in desk.rows())


# -- what an adoption leaves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("sold", "stays"), [(1, True), (2, False), (3, False)])
def test_an_adoption_keeps_the_protection_of_a_side_that_stays_and_nothing_of_one_that_went(
    sold: int, stays: bool, native: bool
) -> None:
    """What was declared for the one side closes nothing of the other, and what a person did goes with it."""
    desk = Desk()
    desk.ready()
    desk.declare(2)
    desk.fill("1")
    desk.stream()
    desk.read()
    terms: dict[str, Any] = {
        "take": Decimal(170), "trail": Trail(amount=Decimal(2)), "trail_native": native, "stop_by_person": "changed",
        "take_by_person": "changed",
    }  # fmt: skip
    journal = desk.manager.journal
    with journal.transaction():
        journal.declare(msgspec.structs.replace(journal.declaration(SYMBOL), **terms))
    desk.by_hand(-sold)
    desk.read()
    desk.read()
    kept = journal.declaration(SYMBOL)
    none = {"take": None, "trail": None, "trail_native": False, "stop_by_person": "", "take_by_person": ""}
    assert {name: getattr(kept, name) for name in terms} == (terms if stays else none)
    assert (kept.quantity, kept.stop, kept.voided) == (2 - sold, Decimal(166) if stays else None, True)
    assert (journal.holding(SYMBOL).average_price is None) == (sold == 2)


def test_of_two_symbols_what_others_have_filled_explains_its_own() -> None:
    """The one agrees in the very read in which the other has just been closed by phone."""
    desk = Desk(msgspec.structs.replace(SESSION, symbols=(SYMBOL, "QQQ")))
    desk.long_and_covered()
    journal = desk.manager.journal
    with journal.transaction():
        journal.hold_position("QQQ", Holding(Decimal(1), Decimal(300), desk.world.now_utc()))
    desk.orders["hand"] = Order(
        "hand", ACCOUNT, "QQQ", Side.SELL, OrderType.MARKET, Decimal(1), OrderStatus.FILLED, "FLL",
        desk.world.now_utc(), Decimal(1), Decimal(299),
    )  # fmt: skip
    desk.read()
    desk.read()
    assert "hold.unexplained" not in desk.events()
    assert journal.holding("QQQ").quantity == 0
    assert journal.holding(SYMBOL).quantity == 1


@pytest.mark.parametrize("margin", [None, Decimal(500)])
@pytest.mark.parametrize("streamed", [None, Decimal(0)])
def test_the_page_of_a_vanished_position_says_what_stream_and_balances_know(
    desk: Desk, streamed: Decimal | None, margin: Decimal | None
) -> None:
    content = AccountSnapshot(ACCOUNT, (), (), Balance(ACCOUNT, Decimal(7), Decimal(8), overnight_margin_usd=margin))
    desk.manager.account.streamed = {} if streamed is None else {SYMBOL: streamed}
    told = _cross_check(desk.manager.account, SYMBOL, Snapshot(1, 0.0, content))
    assert ("the stream says nothing" in told, "the stream says 0" in told) == (streamed is None, streamed is not None)
    assert [amount for amount in ("500", "None") if f"{amount} USD needed over night" in told] == ["500"] * bool(margin)
    assert "cash 7 and equity 8 USD" in told


def test_what_was_adopted_once_explains_nothing_again() -> None:
    """Somebody sells one of two, and at once the other is gone, with nothing to show for it."""
    desk = Desk()
    desk.ready()
    desk.declare(2)
    desk.fill("1")
    desk.stream()
    desk.read()
    desk.by_hand(-1)
    desk.read()
    desk.read()
    desk.by_hand(-1, shown=False)
    desk.read()
    desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ("divergence", "unexplained")
    assert desk.manager.journal.holding(SYMBOL).quantity == 1


@pytest.mark.parametrize("what", ["adopted", "found", "only older reads"])
def test_what_is_settled_is_no_difference_that_stays(what: str) -> None:
    desk = Desk()
    requested_s = None
    if what == "found":
        desk.position = 3
        desk.ready()
    else:
        desk.long_and_covered()
    if what == "adopted":
        desk.by_hand(1)
    if what == "only older reads":
        requested_s = desk.manager.account.changed_s[SYMBOL] - 1.0
    for _ in range(15):
        desk.world.advance(25.0)
        desk.read(requested_s=requested_s)
    assert "divergence.stays" not in desk.events()
