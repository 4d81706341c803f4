"""Flatten in an account manager: flat by the broker's word, whatever dies or is lost; nothing of others is touched."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brokers.model import OrderStatus, OrderType, Side
from tests.trader.held_desk import Held
from tests.trader.session_world import SYMBOL, reply
from trader.holds import EVERYBODY, Level
from trader.manager import halting
from trader.manager.account import Account
from trader.messages import FillRow, ReadSessionStatus, ReleaseHold
from trader.orders.intents import IntentState, Kind, Purpose
from trader.orders.position import Holding


@pytest.fixture
def desk() -> Held:
    made = Held()
    made.ready()
    return made


def test_flatten_turns_the_stop_into_the_exit_and_is_confirmed_by_a_read_after_it(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    assert desk.orders["2"].type is OrderType.MARKET
    before_s = desk.world.now_s()
    desk.world.advance(0.1)
    desk.fill("2")
    desk.stream()
    desk.read(requested_s=before_s)
    assert desk.taken.confirmed == 0, "read before the close"
    desk.read()
    assert desk.taken.confirmed == desk.taken.begun > 0
    assert desk.events()[-1] == "flatten.confirmed"
    desk.declare(1)
    desk.world.advance(3.0)
    assert len(desk.entries()) == 1, "held until released"


def test_strategy_that_declares_on_does_not_undo_a_flatten(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    for _ in range(3):
        desk.declare(1)
        desk.stream()
    assert desk.orders["2"].type is OrderType.MARKET
    assert desk.manager.journal.declaration(SYMBOL).quantity == 0
    desk.fill("2")
    desk.stream()
    desk.declare(1)
    desk.read()
    assert desk.taken.confirmed
    assert (desk.held, len(desk.entries())) == (0, 1)


def test_flatten_with_a_working_entry_cancels_it_and_closes_what_it_filled(desk: Held) -> None:
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lambda _: reply({"Message": "sent"}))
    desk.declare(3)
    desk.flatten()
    desk.partly("1", 2)
    desk.change("1", status=OrderStatus.CANCELLED)
    for _ in range(6):
        desk.stream()
        market = [o for o in desk.orders.values() if o.working and o.order_id != "1" and o.type is OrderType.MARKET]
        for order in market:
            desk.fill(order.order_id)
        desk.world.advance(1.0)
        desk.read()
    assert (desk.position, desk.held) == (0, 0)
    assert desk.taken.confirmed
    assert not [order for order in desk.orders.values() if order.working]


def test_part_filled_exit_is_not_flat(desk: Held) -> None:
    desk.ready()
    desk.declare(3)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.flatten()
    desk.partly("2", 2)
    desk.read()
    desk.world.advance(5.0)
    assert desk.taken.confirmed == 0
    assert "1 is still open" in desk.world.ask(ReadSessionStatus()).flattening
    desk.partly("2", 3)
    desk.change("2", status=OrderStatus.FILLED)
    desk.stream()
    desk.read()
    assert desk.taken.confirmed
    assert desk.position == 0


def test_flatten_goes_on_after_each_death(desk: Held) -> None:
    desk.long_and_covered()
    desk.hold(Level.HALT, flatten=True, tell=False)
    desk.restart()
    desk.world.advance(1.0)
    desk.restart()
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.restart()
    desk.read()
    desk.restart()
    desk.world.advance(1.0)
    desk.read()
    assert desk.taken.confirmed
    assert desk.events().count("flatten.begun") == desk.events().count("flatten.confirmed") == 1
    assert [type(row) for row in desk.rows()].count(FillRow) == 2


@pytest.mark.parametrize("accepted", [True, False])
def test_flatten_whose_answer_is_lost_closes_once(desk: Held, accepted: bool) -> None:
    desk.long_and_covered()
    change: Any = desk._changed

    def lost(request: Any) -> Any:
        if accepted:
            change(request)
        desk.world.answer_http("PUT", "/orderexecution/orders/", change)
        return reply({"Error": "gateway"}, 502)

    desk.world.answer_http("PUT", "/orderexecution/orders/", lost)
    desk.flatten()
    for _ in range(8):
        desk.world.advance(4.0)
        desk.read()
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed
    assert [order.order_id for order in desk.orders.values() if order.type is OrderType.MARKET] == ["1", "2"]


def test_refused_exit_keeps_the_stop_pages_and_is_tried_again_when_asked_again(desk: Held) -> None:
    desk.long_and_covered()
    change: Any = desk._changed
    desk.world.answer_http("PUT", "/orderexecution/orders/", lambda _: reply({"Message": "closed"}, 400))
    desk.flatten()
    desk.world.advance(61.0)
    assert desk.orders["2"].type is OrderType.STOP_MARKET
    assert "exit.refused" in desk.events()
    assert desk.events().count("flatten.unconfirmed") == 1
    assert "refused" in desk.world.ask(ReadSessionStatus()).flattening
    desk.world.answer_http("PUT", "/orderexecution/orders/", change)
    desk.flatten()
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed == desk.taken.begun
    assert desk.events()[-1] == "flatten.confirmed"


def test_order_of_a_person_is_not_touched_and_does_not_hinder(desk: Held) -> None:
    desk.long_and_covered()
    theirs = desk.by_hand_works(-1, "150")
    desk.read()
    desk.flatten()
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed
    assert desk.orders[theirs].working


def test_flatten_asked_twice_closes_once_and_confirms_both(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.flatten()
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed == desk.taken.begun
    assert desk.sent() == ["POST", "PUT"]


def test_flatten_closes_what_a_person_has_left_open_on_the_phone(desk: Held) -> None:
    desk.declare(2)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.by_hand(-1)
    desk.read()
    desk.flatten()
    assert desk.orders["2"].type is OrderType.STOP_MARKET, "no closing order larger than what the broker has shown"
    desk.read()
    desk.stream()
    assert (desk.orders["2"].type, desk.orders["2"].quantity) == (OrderType.MARKET, 1)
    desk.fill("2")
    desk.stream()
    desk.read()
    assert (desk.position, desk.held) == (0, 0)
    assert desk.taken.confirmed


def test_position_that_a_person_makes_after_the_flatten_is_left_to_the_person(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.fill("2")
    desk.stream()
    desk.read()
    sent = desk.sent()
    desk.by_hand(2)
    desk.read()
    desk.read()
    desk.world.advance(5.0)
    assert desk.held == 2
    assert desk.sent() == sent


def test_release_ends_a_flatten_and_the_exit_still_closes_what_it_was_for(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.release()
    assert desk.events().count("flatten.ended") == 1
    desk.hold()
    desk.release()
    assert desk.events().count("flatten.ended") == 1, "it had ended already"
    assert (desk.taken.confirmed, desk.taken.over) == (0, desk.taken.begun)
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.held == 0


def an_order(side: Side, quantity: int, **more: Any) -> Any:
    """Of an entry: an intent of unknown fate, or what remains of an order."""
    like = {
        "kind": Kind.PLACE, "purpose": Purpose.ENTRY, "symbol": SYMBOL, "state": IntentState.UNKNOWN, "side": side,
        "quantity": Decimal(quantity), "remaining": Decimal(quantity),
    }  # fmt: skip
    return SimpleNamespace(**{**like, **more})


BUY_1, SELL_1 = an_order(Side.BUY, 1), an_order(Side.SELL, 1)


@pytest.mark.parametrize(
    ("held", "declared", "intents", "working", "left"),
    [
        pytest.param(0, 3, [], [], 0, id="nothing was sent"),
        pytest.param(1, 3, [], [], 1, id="what is held stays"),
        pytest.param(0, 3, [BUY_1], [], 1, id="what may have been sent"),
        pytest.param(0, 3, [], [BUY_1], 1, id="what works"),
        pytest.param(1, 3, [BUY_1], [BUY_1], 3, id="all of it"),
        pytest.param(1, 2, [BUY_1], [BUY_1], 2, id="no more than was declared"),
        pytest.param(0, -3, [], [SELL_1], -1, id="short"),
        pytest.param(-1, -1, [BUY_1], [], -1, id="held is not closed for an entry to the other side"),
        pytest.param(-1, -2, [BUY_1], [], -1, id="nor for one of a larger declaration"),
        pytest.param(-1, -2, [], [BUY_1, SELL_1], -2, id="the other side does not count against ours"),
        pytest.param(1, -2, [], [SELL_1], 0, id="a reversal stops at flat"),
        pytest.param(0, 1, [an_order(Side.BUY, 1, state=IntentState.UNSENT)], [], 0, id="surely not sent"),
        pytest.param(0, 1, [an_order(Side.BUY, 1, symbol="QQQ")], [], 0, id="of another symbol"),
        pytest.param(0, 1, [an_order(Side.BUY, 1, purpose=Purpose.EXIT)], [], 0, id="an exit"),
        pytest.param(0, 1, [an_order(Side.BUY, 1, kind=Kind.REPLACE)], [], 0, id="a replace"),
        pytest.param(0, 1, [], [an_order(Side.BUY, 1, purpose=Purpose.STOP)], 0, id="a stop"),
    ],
)
def test_of_what_is_declared_a_hold_leaves_what_is_held_or_at_the_broker(
    held: int, declared: int, intents: list[Any], working: list[Any], left: int
) -> None:
    """Regression (night 471): a short position of a person, adopted; a purchase of ours that had no outcome yet."""
    journal = SimpleNamespace(open_intents=dict(enumerate(intents)), holding=lambda symbol: Holding(Decimal(held)))
    account = cast(Account, SimpleNamespace(journal=journal, working_of=lambda symbol: working))
    assert halting._sent(account, SYMBOL, Decimal(declared)) == left


def test_another_hold_meanwhile_does_not_put_off_the_page_of_a_flatten_that_is_not_confirmed(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    for _ in range(13):
        desk.world.advance(5.0)
        desk.hold(session=EVERYBODY)
    assert desk.events().count("flatten.unconfirmed") == 1


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ({}, ""),
        ({"not_ours": {SYMBOL}}, "a position that is not this session's own is not touched"),
        ({"differed": {SYMBOL: Decimal(1)}}, "we hold 0, the broker says 1"),
        ({"held": 2}, "2 is still open"),
        ({"held": 2, "refused": (Purpose.EXIT,)}, "2 is still open (the venue refused the exit)"),
        ({"intents": [BUY_1]}, "the outcome of an instruction is not known"),
        ({"intents": [an_order(Side.BUY, 1, symbol="QQQ")]}, ""),
        ({"orders": [BUY_1]}, "1 orders of ours still work"),
        ({"changed_s": {SYMBOL: 11.0}}, "not read since the close"),
        ({"since_s": 11.0}, "not read since the close"),
        ({"agreed_s": {}}, "not read since the close"),
    ],
)
def test_flat_is_only_what_a_read_after_the_close_says_with_nothing_open(seen: dict[str, Any], says: str) -> None:
    journal = SimpleNamespace(
        holding=lambda symbol: Holding(Decimal(seen.get("held", 0))),
        declaration=lambda symbol: SimpleNamespace(refused=seen.get("refused", ())),
        open_intents=dict(enumerate(seen.get("intents", ()))),
    )
    account = SimpleNamespace(
        journal=journal,
        working_of=lambda symbol: seen.get("orders", []),
        not_ours=seen.get("not_ours", set()),
        differed=seen.get("differed", {}),
        agreed_s=seen.get("agreed_s", {SYMBOL: 10.0}),
        changed_s=seen.get("changed_s", {SYMBOL: 9.0}),
        flatten_since_s=seen.get("since_s", 8.0),
        session=SimpleNamespace(symbols=(SYMBOL,)),
    )
    assert halting.unconfirmed(cast(Account, account)) == (f"{SYMBOL}: {says}" if says else "")


@pytest.mark.parametrize("long", [False, True])
def test_the_page_of_a_flatten_is_resolved_by_its_confirmation_if_there_was_one(desk: Held, long: bool) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.world.advance(70.0 if long else 1.0)
    desk.fill("2")
    desk.stream()
    desk.read()
    (end,) = desk.query("SELECT incident_state FROM events WHERE kind = 'flatten.confirmed'")
    assert end["incident_state"] == ("resolved" if long else "")


def test_an_order_of_ours_that_still_works_is_not_flat(desk: Held) -> None:
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lambda _: reply({"Message": "sent", "OrderID": "1"}))
    desk.declare(1)
    desk.flatten()
    desk.change("1", status=OrderStatus.CANCELLING)
    desk.stream()
    desk.read()
    assert desk.taken.confirmed == 0
    assert "still work" in halting.unconfirmed(desk.manager.account)
    desk.change("1", status=OrderStatus.CANCELLED)
    desk.change("2", status=OrderStatus.CANCELLED)
    desk.stream()
    desk.read()
    assert desk.taken.confirmed


def test_what_is_flat_already_is_confirmed_by_a_read_that_was_asked_for_after_the_command(desk: Held) -> None:
    before_s = desk.world.now_s()
    desk.world.advance(1.0)
    desk.flatten()
    desk.read(requested_s=before_s)
    assert desk.taken.confirmed == 0
    desk.read()
    assert desk.taken.confirmed


def test_a_flatten_that_lasts_pages_once_and_a_new_life_counts_anew(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.restart()
    desk.world.advance(2.0)
    assert "flatten.unconfirmed" not in desk.events()
    for _ in range(8):
        desk.world.advance(10.0)
        desk.read()
    assert desk.events().count("flatten.unconfirmed") == 1


def test_what_a_released_doubt_had_explained_is_read_again_before_flat_is_confirmed(desk: Held) -> None:
    """Regression (night 113): the position at the broker was taken for a lost entry's; a person released the doubt,
    and flat was confirmed in that moment by a read that showed one."""

    with desk.answers_lost(taken=False):
        desk.declare(1)
    desk.flatten()
    desk.world.advance(1.0)
    desk.read()
    desk.by_hand(1)
    for _ in range(3):
        desk.world.advance(3.0)
        desk.read()
    assert desk.manager.journal.holds_of(SYMBOL) == ("unsettled",)
    desk.world.ask(ReleaseHold(SYMBOL))
    desk.world.advance(0.1)
    assert "flatten.confirmed" not in desk.events()
    for _ in range(3):
        desk.world.advance(6.0)
        desk.read()
    (exit_,) = [order.order_id for order in desk.orders.values() if order.working]
    desk.fill(exit_)
    desk.stream()
    desk.world.advance(1.0)
    desk.read()
    assert desk.position == 0
    assert desk.events()[-1] == "flatten.confirmed"
