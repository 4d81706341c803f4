"""The account manager: the intent first, turns, and what keeps a session from entering."""

from decimal import Decimal

import msgspec
import pytest

from brokers.model import Instrument, OrderStatus, OrderType
from feeds import paths
from feeds.messages import InstrumentRead, ReadInstrument, SnapshotFailed
from supervisor.errors import HttpFailed, Refused
from tests.trader.session_world import ACCOUNT, BOOKS, SESSION, SYMBOL, TRADER, Desk, reply
from trader.manager.account import Account, Now
from trader.manager.asking import INSTRUMENTS_AT_ONCE
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
    Turn,
)
from trader.orders.intents import Intent
from trader.store.desk import DESK_DB, write_session

# -- what it hears -----------------------------------------------------------------------------------------------------


def test_it_follows_the_orders_of_its_symbols_and_of_those_it_once_had(desk: Desk) -> None:
    orders = paths.feed("sim", paths.orders(ACCOUNT))
    assert [topic for to, topic in desk.world.subscriptions if to == orders] == [paths.orders_topic(SYMBOL)]
    desk.long_and_covered()
    write_session(desk.world.store(DESK_DB), msgspec.structs.replace(SESSION, symbols=("QQQ",)))  # type: ignore[arg-type]
    desk.restart()
    topics = [topic for to, topic in desk.world.subscriptions if to == orders]
    assert topics == [paths.orders_topic("QQQ"), paths.orders_topic(SYMBOL)]


# -- intent first ------------------------------------------------------------------------------------------------------


def test_the_intent_is_on_disk_before_the_request_leaves_and_the_trader_is_told_after_it(desk: Desk) -> None:
    desk.world.trace.clear()
    desk.declare(1)
    steps = [what for what, where in desk.world.trace if what in ("commit", "reply", "http")]
    assert steps == ["commit", "http", "commit", "reply"]
    (intent,) = desk.query("SELECT * FROM intents")
    assert (intent["state"], intent["purpose"], intent["result_order_id"]) == ("unknown", "entry", "1 2")
    desk.stream()
    (intent,) = desk.query("SELECT * FROM intents")
    assert (intent["state"], intent["result_order_id"]) == ("accepted", "1"), "frames tell which id is the entry's"


def test_of_several_requests_the_trader_waits_for_the_first_alone(desk: Desk) -> None:
    desk.long_and_covered()
    desk.declare(2)
    desk.fill("3")
    for _ in range(2):
        desk.stream()
    desk.read()
    desk.world.trace.clear()
    desk.declare(2, "165")
    steps = [what for what, where in desk.world.trace if what in ("commit", "reply", "http")]
    assert steps[:5] == ["commit", "http", "commit", "reply", "http"]


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


def test_tick_sizes_of_many_symbols_are_asked_for_a_few_at_a_time_and_none_holds_up_the_others() -> None:
    """A thousand calls in one go, each with its step, kept the mailbox waiting for minutes."""
    symbols = (SYMBOL, *(f"S{number}" for number in range(60)))
    desk = Desk(msgspec.structs.replace(SESSION, symbols=symbols))

    def told(request: ReadInstrument) -> InstrumentRead:
        if request.symbol in symbols[:30]:
            raise Refused("unknown symbol")
        return InstrumentRead(Instrument(request.symbol, "STOCK", Decimal("0.01"), Decimal(1)))

    desk.world.answer(BOOKS, ReadInstrument, told)
    desk.world.advance(1.0)
    assert len(desk.asked(ReadInstrument)) == INSTRUMENTS_AT_ONCE
    desk.world.advance(30.0)
    assert set(desk.manager.journal.instruments) == set(symbols[30:])
    assert {request.symbol for request in desk.asked(ReadInstrument)} == set(symbols)
