"""The account manager: intent first, never twice, and nothing follows from a divergence."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import Instrument, OrderStatus, OrderType
from feeds.messages import InstrumentRead, ReadInstrument, ReadSnapshot, SnapshotFailed
from supervisor.errors import HttpFailed, Refused
from supervisor.messages import Done
from tests.trader.session_world import ACCOUNT, BOOKS, JOURNAL, SESSION, SYMBOL, TRADER, Desk, reply
from trader.manager.account import Account, Now
from trader.manager.execution import write_plans
from trader.messages import (
    Attach,
    Cursor,
    Declared,
    EndTrading,
    FillRow,
    ReadSessionStatus,
    RejectRow,
    ReleaseHold,
    RowsWaiting,
    SetWanted,
    StopTrading,
    SyncRow,
    TradingDone,
    Turn,
)
from trader.orders.intents import Intent


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.ready()
    return made


# -- intent first ------------------------------------------------------------------------------------------------------


def test_the_intent_is_on_disk_and_the_trader_answered_before_the_request_leaves(desk: Desk) -> None:
    desk.world.trace.clear()
    desk.declare(1)
    steps = [what for what, where in desk.world.trace if what in ("commit", "reply", "http")]
    assert steps[:3] == ["commit", "reply", "http"]
    (intent,) = desk.query("SELECT * FROM intents")
    assert (intent["state"], intent["purpose"], intent["result_order_id"]) == ("unknown", "entry", "1 2")
    desk.stream()
    (intent,) = desk.query("SELECT * FROM intents")
    assert (intent["state"], intent["result_order_id"]) == ("accepted", "1"), "frames tell which id is the entry's"


def test_the_key_is_the_sessions_key_and_a_running_number(desk: Desk) -> None:
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    desk.declare(1, "166.5")
    keys = [row["key"] for row in desk.query("SELECT key FROM intents ORDER BY number")]
    key = desk.manager.journal.key
    assert keys == [f"{key}-1", f"{key}-2"]
    (body,) = [request.body or b"" for request in desk.world.requests if request.method == "POST"]
    assert f'"{key}-1"'.encode() in body
    assert f'"{key}-1s"'.encode() in body, "its stop's: the entry's and a letter"


def test_a_fill_is_told_once_and_the_trader_is_nudged(desk: Desk) -> None:
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.read()
    assert [type(row) for row in desk.rows()] == [FillRow]
    assert (TRADER, RowsWaiting(newest=1)) in desk.world.casts


def test_the_stop_is_moved_by_replace_and_never_by_cancel_and_new(desk: Desk) -> None:
    desk.long_and_covered()
    desk.declare(1, "166.501")
    assert desk.sent()[-1] == "PUT"
    assert desk.orders["2"].stop_price == Decimal("166.51"), "rounded to the tick, on the safe side"


def test_what_has_not_changed_is_not_planned_again_and_what_has_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[float] = []

    def counted(account: Account, now: Now) -> list[Intent]:
        planned.append(now.s)
        return write_plans(account, now)

    monkeypatch.setattr("trader.manager.account_manager.write_plans", counted)
    desk.long_and_covered()
    desk.declare(1)
    planned.clear()
    desk.declare(1)
    desk.stream()
    desk.read()
    assert planned == [], "a turn, frames and a read that say what is so already"
    desk.declare(1, "166.50")
    assert desk.orders["2"].stop_price == Decimal("166.50")
    desk.by_hand(-1)
    desk.read()
    assert desk.manager.account.differed
    desk.read()
    assert len(planned) >= 3
    assert desk.orders["2"].status is OrderStatus.CANCELLED, "the stop of what is gone"


def test_an_exit_turns_the_working_stop_into_a_market_order(desk: Desk) -> None:
    desk.long_and_covered()
    desk.declare(0, None)
    assert desk.sent() == ["POST", "PUT"]
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.stream()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert desk.rows()[-1].purpose == "exit"


def test_after_a_stop_out_nothing_is_bought_back_before_a_new_turn(desk: Desk) -> None:
    desk.long_and_covered()
    desk.fill("2", "166")
    desk.stream()
    desk.read()
    desk.world.advance(5.0)
    assert desk.sent() == ["POST"]
    desk.declare(1)
    assert desk.sent() == ["POST", "POST"]


def test_a_declaration_made_before_a_fill_was_seen_does_not_buy_back(desk: Desk) -> None:
    desk.long_and_covered()
    desk.fill("2", "166")
    desk.stream()
    desk.declare(1, seen=1)
    assert desk.sent() == ["POST"]
    assert desk.rows()[-1].gate == "unseen"


# -- turns -------------------------------------------------------------------------------------------------------------


def test_the_same_turn_sent_again_changes_nothing(desk: Desk) -> None:
    turn = Turn(
        1, b"a", 0, Cursor(SYMBOL, 60, 1_381_154_400), declarations=(Declared(SYMBOL, Decimal(1), Decimal(166)),)
    )
    desk.world.ask(turn)
    desk.world.ask(turn)
    assert desk.sent() == ["POST"]
    assert len(desk.query("SELECT * FROM turns")) == 1


def test_cursor_and_state_come_back_after_a_kill(desk: Desk) -> None:
    desk.world.ask(Turn(1, b"state", 0, Cursor(SYMBOL, 60, 1_381_154_400)))
    desk.restart()
    attached = desk.attach()
    assert (attached.state, attached.cursors) == (b"state", (Cursor(SYMBOL, 60, 1_381_154_400),))


def test_a_bar_that_kills_the_trader_twice_is_skipped_and_reported(desk: Desk) -> None:
    bar = Cursor(SYMBOL, 60, 1_381_154_460)
    desk.world.ask(Attach(1, 2, bar))
    desk.world.ask(Attach(1, 2, bar))
    assert desk.attach().cursors == (), "the same death told twice is one"
    assert desk.world.ask(Attach(1, 3, bar)).cursors == (bar,)
    assert "bar.skipped" in desk.events()


@pytest.mark.parametrize(("stop", "late", "gate"), [(None, False, "stop"), ("166", True, "late")])
def test_an_entry_without_stop_or_of_a_late_bar_is_refused(desk: Desk, stop: str | None, late: bool, gate: str) -> None:
    desk.declare(1, stop, late=late)
    assert desk.sent() == []
    assert [row.gate for row in desk.rows()] == [gate]


def test_exits_and_stop_moves_do_come_of_a_late_bar(desk: Desk) -> None:
    desk.long_and_covered()
    desk.declare(1, "166.5", late=True)
    assert desk.orders["2"].stop_price == Decimal("166.5")
    desk.stream()
    desk.declare(0, None, late=True)
    assert desk.orders["2"].type is OrderType.MARKET


def test_an_entry_needs_a_position_agreed_not_too_long_ago(desk: Desk) -> None:
    desk.world.advance(91.0)
    desk.declare(1)
    assert desk.sent() == []
    assert desk.rows()[-1].gate == "agreed"


def test_a_failed_read_agrees_to_nothing_and_changes_nothing(desk: Desk) -> None:
    desk.long_and_covered()
    desk.world.advance(91.0)
    desk.world.deliver(SnapshotFailed(9, desk.world.now_s(), "HTTP 500"))
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    desk.declare(2)
    assert desk.rows()[-1].gate == "agreed"


# -- never twice -------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """kill -9 at this point."""


def kill(_: Any) -> Any:
    raise Killed


def test_killed_between_commit_and_send_the_entry_is_settled_and_never_sent(desk: Desk) -> None:
    desk.on_order = kill
    with pytest.raises(Killed):
        desk.declare(1)
    desk.on_order = None
    desk.restart()
    desk.ready()
    desk.settle()
    assert desk.orders == {}
    (intent,) = desk.query("SELECT * FROM intents")
    assert intent["state"] == "given_up"
    assert desk.rows()[-1].gate == "settle"


def test_killed_between_send_and_answer_the_order_is_found_and_not_sent_twice(desk: Desk) -> None:
    def sent_then_killed(request: Any) -> Any:
        desk.accept(request)
        raise Killed

    desk.on_order = sent_then_killed
    with pytest.raises(Killed):
        desk.declare(1)
    desk.on_order = None
    desk.fill("1")
    desk.restart()
    assert desk.sent() == []
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert [order.type for order in desk.orders.values()] == [OrderType.MARKET, OrderType.STOP_MARKET]
    assert "divergence.adopted" not in desk.events()


def test_a_time_out_is_unknown_and_blocks_the_symbol_until_a_read_settles_it(desk: Desk) -> None:
    def lost(request: Any) -> Any:
        desk.accept(request)
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(1)
    desk.on_order = None
    desk.declare(2)
    assert desk.sent() == ["POST"]
    assert (BOOKS, ReadSnapshot(1.0)) in desk.world.casts
    desk.read()
    assert desk.query("SELECT state FROM intents WHERE number = 1") == [{"state": "accepted"}]


def lost_stop(request: Any) -> Any:
    """The venue never sees it, and nobody says so."""
    if b"StopMarket" in (request.body or b""):
        raise HttpFailed("time-out", sent=True)
    return None


def stops_sent(desk: Desk) -> list[bytes]:
    """Those that went by themselves, and not with an entry."""
    return [body for r in desk.world.requests if b"StopMarket" in (body := r.body or b"") and b"OSOs" not in body]


def with_a_lost_stop(desk: Desk, memory: str, window_s: float = 0.0) -> None:
    """The stop of its bracket has expired, and the one placed in its stead is lost."""
    desk.remembers(memory, window_s)
    desk.long_and_covered()
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.on_order = lost_stop
    desk.stream()
    desk.on_order = None


@pytest.mark.parametrize(("memory", "window_s"), [("forever", 0.0), ("window", 600.0)])
def test_a_stop_that_no_read_shows_is_sent_again_with_a_key_that_is_surely_remembered(
    desk: Desk, memory: str, window_s: float
) -> None:
    with_a_lost_stop(desk, memory, window_s)
    for _ in range(4):
        desk.world.advance(4.0)
        desk.read()
        desk.search()
    desk.world.advance(2.0)
    stops = stops_sent(desk)
    assert len(stops) == 2
    assert stops[0] == stops[1], "the same key"
    assert [o.type for o in desk.orders.values() if o.working] == [OrderType.STOP_MARKET]


@pytest.mark.parametrize(("memory", "window_s"), [("none", 0.0), ("window", 5.0)])
def test_where_the_key_may_be_forgotten_the_stop_is_planned_anew_when_it_can_be_on_its_way_no_longer(
    desk: Desk, memory: str, window_s: float
) -> None:
    with_a_lost_stop(desk, memory, window_s)
    for _ in range(10):
        desk.world.advance(5.0)
        desk.read()
        desk.search()
    assert len(stops_sent(desk)) == 1, "it may still be on its way"
    desk.settle()
    stops = stops_sent(desk)
    assert len(stops) == 2
    keys = [row["key"] for row in desk.query("SELECT key, purpose FROM intents") if row["purpose"] == "stop"]
    assert [key.encode() in body for key, body in zip(keys, stops, strict=True)] == [True, True], "another key"
    gap = [row for row in desk.query("SELECT * FROM events") if row["kind"].startswith("uncovered")]
    assert [row["kind"] for row in gap] == ["uncovered", "uncovered.over"]
    assert '"machine_s":' in gap[-1]["data"]


def test_a_stop_that_shows_up_beside_its_successor_is_cancelled_before_anything_else(desk: Desk) -> None:
    with_a_lost_stop(desk, "none")
    (lost,) = stops_sent(desk)
    late = next(r for r in desk.world.requests if r.body == lost)
    desk.settle()
    desk.accept(late)
    second = list(desk.orders)[-1]
    desk.read()
    assert "order.late" in desk.events()
    assert [o.order_id for o in desk.orders.values() if o.type is OrderType.STOP_MARKET and o.working] == ["3"]
    assert desk.orders[second].status is OrderStatus.CANCELLED


def test_a_late_stop_that_is_the_only_one_stays(desk: Desk) -> None:
    with_a_lost_stop(desk, "none")
    (lost,) = stops_sent(desk)
    late = next(r for r in desk.world.requests if r.body == lost)
    desk.settle()
    (new,) = [i for i, o in desk.orders.items() if o.type is OrderType.STOP_MARKET and o.working]
    desk.change(new, status=OrderStatus.EXPIRED)
    desk.accept(late)
    desk.read()
    stops = [o.status for o in desk.orders.values() if o.type is OrderType.STOP_MARKET]
    assert stops == [OrderStatus.EXPIRED, OrderStatus.EXPIRED, OrderStatus.WORKING]


def test_a_refused_duplicate_proves_that_the_order_exists_and_is_looked_for(desk: Desk) -> None:
    message = "Order not placed because a unique orderconfirmid already exists."
    desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": message, "OrderID": ""}]})
    desk.declare(1)
    (intent,) = desk.query("SELECT * FROM intents")
    assert intent["state"] == "unknown"


def test_an_entry_that_could_not_be_sent_goes_again_only_within_its_validity(desk: Desk) -> None:
    def down(_: Any) -> Any:
        raise HttpFailed("no route", sent=False)

    desk.on_order = down
    desk.declare(1)
    desk.world.advance(3.0)
    tries = len(desk.sent())
    assert 2 <= tries <= 5
    desk.on_order = None
    desk.world.advance(200.0)
    assert desk.orders == {} or desk.orders["1"].opened_utc - desk.stamp <= 65
    assert len(desk.orders) <= 2, "once, with its stop"


def test_past_its_validity_an_entry_is_not_sent_any_more(desk: Desk) -> None:
    def down(_: Any) -> Any:
        raise HttpFailed("no route", sent=False)

    desk.on_order = down
    desk.declare(1)
    desk.world.advance(60.0)
    desk.read()
    desk.world.advance(80.0)
    desk.on_order = None
    desk.world.advance(5.0)
    assert desk.orders == {}
    assert desk.rows()[-1].gate == "validity"


def test_an_entry_that_shows_up_after_it_was_given_up_is_kept_covered_and_reported(desk: Desk) -> None:
    def lost(request: Any) -> Any:
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(1)
    request = desk.world.requests[-1]
    opened_utc = desk.world.now_utc()
    desk.on_order = None
    desk.settle()
    desk.accept(request)
    desk.change("1", opened_utc=opened_utc)
    desk.fill("1")
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 1
    assert "order.late" in desk.events()
    assert [o.stop_price for o in desk.orders.values() if o.working] == [Decimal(166)]
    assert "divergence.adopted" not in desk.events()


def given_up(desk: Desk) -> float:
    """An entry whose answer was lost and that no read shows; gives the moment at which it was sent."""

    def lost(request: Any) -> Any:
        raise HttpFailed("time-out", sent=True)

    desk.on_order = lost
    desk.declare(1)
    sent_utc = desk.world.now_utc()
    desk.on_order = None
    desk.settle()
    return sent_utc


def test_what_a_person_buys_long_after_an_entry_was_given_up_is_not_taken_for_ours(desk: Desk) -> None:
    given_up(desk)
    desk.world.advance(100.0)
    desk.by_hand(1)
    desk.read()
    desk.read()
    assert "order.late" not in desk.events()
    assert "divergence.adopted" in desk.events()


def test_an_order_that_explains_an_adopted_position_is_not_taken_for_a_late_one_of_ours(desk: Desk) -> None:
    given_up(desk)
    desk.by_hand(1)
    desk.by_hand(1)  # two that could be it
    desk.read()
    desk.read()
    assert "divergence.adopted" in desk.events()
    first = next(iter(desk.orders))
    del desk.orders[first]  # the venue's day is over for one of them
    desk.read()
    assert "order.late" not in desk.events()
    assert desk.manager.journal.holding(SYMBOL).quantity == 2


def test_a_persons_release_ends_the_doubt_that_no_read_can_settle_and_the_next_reads_adopt(desk: Desk) -> None:
    def lost(request: Any) -> Any:
        desk.accept(request)
        raise HttpFailed("time-out", sent=True)

    account = desk.manager.account
    account.capabilities = msgspec.structs.replace(account.capabilities, children=False)
    desk.on_order = lost
    desk.declare(1)
    desk.on_order = None
    desk.fill("1")
    desk.by_hand(1)
    desk.read()
    assert [hold.why for hold in desk.world.ask(ReadSessionStatus()).holds] == ["ambiguous"]
    desk.world.ask(ReleaseHold(SYMBOL))
    assert desk.query("SELECT state FROM intents WHERE number = 1") == [{"state": "given_up"}]
    desk.read()
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 2
    assert desk.sent() == ["POST"], "nothing was sent to mend it"


def test_an_exit_waits_while_a_read_says_that_the_position_is_gone(desk: Desk) -> None:
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.by_hand(-1)
    desk.read()
    desk.declare(0, None)
    assert desk.orders["2"].type is OrderType.STOP_MARKET, "not turned into an order that would open the other side"
    desk.read()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0


def test_a_refusal_in_words_reaches_the_strategy_and_is_not_tried_again(desk: Desk) -> None:
    desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": "EC602", "OrderID": ""}]})
    desk.declare(1)
    desk.world.advance(5.0)
    assert desk.sent() == ["POST"]
    assert [(row.gate, "EC602" in row.text) for row in desk.rows()] == [("venue", True)]


# -- truth -------------------------------------------------------------------------------------------------------------


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


def test_two_agreeing_reads_are_adopted_and_no_order_comes_of_it() -> None:
    desk = diverged()
    assert desk.manager.journal.holding(SYMBOL).quantity == 0
    assert desk.sent("POST") == ["POST"], "the entry with its stop; nothing was bought back"
    assert isinstance(desk.rows()[-1], SyncRow)
    assert desk.query("SELECT count(*) AS n FROM fills") == [{"n": 1}], "never an invented fill"
    assert [hold.why for hold in desk.world.ask(ReadSessionStatus()).holds] == ["divergence"]


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


# -- the end of trading ------------------------------------------------------------------------------------------------


def wanted(desk: Desk) -> list[str]:
    return [request.wanted for request in desk.asked(SetWanted)]


def test_done_is_committed_then_minded_then_off_when_flat() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(TradingDone(1, "market closed", b""))
    assert wanted(desk) == ["mind"]
    desk.restart()
    desk.read()
    assert wanted(desk) == ["mind"]
    assert desk.world.ask(Attach(1, 2)).done
    desk.world.advance(0.1)
    desk.fill("2", "166")
    desk.stream()
    assert desk.world.ended is None, "flat by our fill, not yet agreed by a read"
    desk.read()
    assert wanted(desk) == ["mind", "off"]
    assert desk.world.ended is not None


def test_while_minding_entries_are_refused_and_the_stop_is_put_back() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(TradingDone(1, "stop", b"", (Declared(SYMBOL, Decimal(2), Decimal(166)),)))
    assert desk.rows()[-1].gate == "done"
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.read()
    assert desk.orders["3"].working


def test_an_absent_recorder_is_asked_again() -> None:
    desk = Desk()
    desk.ready()
    answers, desk.world.answers[:] = list(desk.world.answers), []
    desk.world.ask(TradingDone(1, "stop", b""))
    assert desk.world.ended is None
    desk.world.answers[:] = answers
    desk.world.advance(1.0)
    assert desk.world.ended is not None


def test_end_trading_commits_done_first_and_terminates_a_trader_past_its_limit() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.trace.clear()
    desk.world.ask(EndTrading(1, "session stop", 10.0))
    assert desk.world.trace[0] == ("commit", JOURNAL)
    assert (TRADER, StopTrading("session stop")) in desk.world.casts
    with pytest.raises(Refused, match="done"):
        desk.declare(0)
    desk.world.advance(11.0)
    assert ("terminate_child", TRADER) in desk.world.supervisor.requests


def test_a_trader_that_ended_by_itself_is_not_terminated() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(EndTrading(1, "session stop", 10.0))
    desk.world.ask(TradingDone(1, "session stop", b""))
    desk.world.advance(11.0)
    assert ("terminate_child", TRADER) not in desk.world.supervisor.requests


def test_a_new_start_number_trades_again() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(TradingDone(1, "stop", b""))
    assert not desk.attach(start_no=2).done
    assert not desk.world.ask(ReadSessionStatus()).minding


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


# -- refusals that repeat, what hinders, a clock that goes back --------------------------------------------------------


def refusals(desk: Desk) -> list[str]:
    return [
        row["text"] for row in desk.query("SELECT text FROM events WHERE kind LIKE 'order.refused%' ORDER BY number")
    ]


def test_a_refusal_that_repeats_on_each_bar_is_one_event_and_then_a_count(desk: Desk) -> None:
    desk.by_hand(2)
    desk.read()
    desk.read()
    for _ in range(5):
        desk.declare(5)
    assert len(refusals(desk)) == 1
    assert [type(row) for row in desk.rows()].count(RejectRow) == 5, "the strategy is told each time"
    desk.world.ask(ReleaseHold(SYMBOL))
    assert refusals(desk)[1:] == [f"{SYMBOL}: refused 4 times more by the gate 'diverged'"]


def test_another_gate_begins_a_new_count(desk: Desk) -> None:
    for stop in (None, None, "166", None):
        desk.declare(1 if stop is None else 5000, stop)
    assert [text.split(": ")[1][:28] for text in refusals(desk)] == [
        "an entry needs a protective ",
        "refused 1 times more by the ",
        "quantity 5000, limit 1000",
        "an entry needs a protective ",
    ]


def test_what_the_venue_says_instead_of_a_read_hinders_until_it_is_read() -> None:
    desk = Desk()
    status = desk.world.ask(ReadSessionStatus())
    assert [(each.about, each.text) for each in status.hindrances] == [(ACCOUNT, ""), (SYMBOL, "")]
    desk.world.answer(BOOKS, ReadInstrument, Refused("SPY was not read: NotAllowed: HTTP 404"))
    desk.world.deliver(SnapshotFailed(1, desk.world.now_s(), "NotAllowed: Invalid Account ID."))
    desk.world.advance(1.0)
    status = desk.world.ask(ReadSessionStatus())
    assert [(each.about, each.text) for each in status.hindrances] == [
        (ACCOUNT, "NotAllowed: Invalid Account ID."),
        (SYMBOL, "SPY was not read: NotAllowed: HTTP 404"),
    ]
    desk.world.answer(BOOKS, ReadInstrument, InstrumentRead(Instrument(SYMBOL, "STOCK", Decimal("0.01"), Decimal(1))))
    desk.world.advance(6.0)
    desk.read()
    assert desk.world.ask(ReadSessionStatus()).hindrances == ()


def test_a_symbol_that_the_venue_trades_under_another_name_hinders_and_says_which() -> None:
    desk = Desk()
    other = Instrument("SPYX", "STOCK", Decimal("0.01"), Decimal(1))
    desk.world.answer(BOOKS, ReadInstrument, InstrumentRead(other))
    desk.world.advance(1.0)
    desk.read()
    (hindrance,) = desk.world.ask(ReadSessionStatus()).hindrances
    assert "the venue trades it as SPYX" in hindrance.text


def test_an_entry_is_not_sent_after_the_clock_went_back_behind_its_decision(desk: Desk) -> None:
    """Its validity cannot be judged any more, and an old entry is never sent late."""
    desk.on_order = lambda request: HttpFailed("no route", sent=False)
    desk.declare(1)
    assert desk.query("SELECT state FROM intents") == [{"state": "unsent"}]
    desk.on_order = None
    desk.world._now_utc -= 7200
    sent = len(desk.sent("POST"))
    desk.world.advance(3.0)
    assert len(desk.sent("POST")) == sent
    assert desk.query("SELECT state FROM intents") == [{"state": "refused"}]


def test_a_session_of_which_nothing_was_ever_read_is_over_when_it_is_stopped() -> None:
    """An account that the venue does not know can never agree; nothing was ever sent to it."""
    desk = Desk()
    desk.attach()
    desk.world.ask(EndTrading(1, "session stop"))
    assert [each.wanted for each in desk.asked(SetWanted)] == ["off"]


def test_a_gap_of_cover_goes_on_over_a_reboot_in_which_machine_time_begins_anew() -> None:
    """Regression (drill: reboot with a naked position): its length was negative, and it paged when the machine had been
    up for longer than it was before."""
    desk = Desk()
    desk.long_and_covered()
    desk.on_order = lambda request: reply({"Message": "no"}, 503)
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.read()
    assert desk.manager.journal.uncovered
    desk.world._now_s, desk.world._now_utc = 5.0, desk.world._now_utc + 100.0
    desk.restart()
    since = desk.manager.journal.uncovered[SYMBOL]
    assert desk.world.now_s() - since.since_s >= 100.0
    desk.world.advance(1.5)
    assert "uncovered" in desk.events(), "it pages at once"
