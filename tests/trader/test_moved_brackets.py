"""A bracket whose answer was lost, and whose stop a person has moved before we had heard of it."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import OrderType
from feeds.messages import HistoryRead
from tests.trader.bracket_words import declare, held
from tests.trader.session_world import Desk


def lose_the_answer(desk: Desk, quantity: int = 1, *, arrives: bool = True, **terms: Any) -> None:
    """Order 1 the entry, 2 its stop, 3 its take, if there is one; or none of them has arrived."""

    with desk.answers_lost(taken=arrives):
        declare(desk, quantity, **terms)


def sent_by_hand(desk: Desk, stop: str) -> None:
    """Somebody sends the same bracket with another stop."""
    request = next(r for r in desk.world.requests if r.method == "POST")
    body = (request.body or b"").replace(b'"166"', f'"{stop}"'.encode())
    desk.accept(msgspec.structs.replace(request, body=body))


def state_of(desk: Desk, number: int) -> str:
    (row,) = desk.query(f"SELECT state FROM intents WHERE number = {number}")
    return str(row["state"])


def test_it_is_ours_when_nothing_else_can_come_and_what_the_person_did_stays(desk: Desk) -> None:
    lose_the_answer(desk, stop=166, take=170)
    desk.fill("1")
    desk.change("2", stop_price=Decimal(164))
    for _ in range(3):
        desk.world.advance(2.0)
        desk.read()
    assert held(desk) == 0, "ours may be on its way yet, beside it"
    desk.settle()
    assert (state_of(desk, 1), held(desk)) == ("accepted", 1)
    assert "order.changed_by_other" in desk.events()
    declare(desk, 1, stop=165)
    assert (desk.orders["2"].stop_price, desk.sent()) == (164, ["POST"])
    assert not {"divergence.adopted", "intent.given_up"}.intersection(desk.events())


def test_its_stop_goes_with_the_exit(desk: Desk) -> None:
    """Given up, the stop would be nobody's: it would work on beside our exit, and open a short."""
    lose_the_answer(desk, stop=166)
    desk.fill("1")
    desk.change("2", stop_price=Decimal(164))
    desk.settle()
    desk.declare(0, None)
    assert desk.sent() == ["POST", "PUT"]
    assert desk.orders["2"].type is OrderType.MARKET


def test_what_came_and_was_stopped_out_meanwhile_is_in_our_record(desk: Desk) -> None:
    """Night 158: both fills explain the position that agrees, and are ours all the same."""
    lose_the_answer(desk, stop=166)
    desk.change("2", stop_price=Decimal(164))
    desk.fill("1")
    desk.read()
    desk.fill("2", "164")
    desk.settle()
    assert [(row.purpose, row.price) for row in desk.rows() if hasattr(row, "price")] == [("entry", 167), ("stop", 164)]
    assert held(desk) == desk.position == 0


def test_what_came_and_was_stopped_out_yesterday_is_in_our_record(desk: Desk) -> None:
    lose_the_answer(desk, stop=166)
    desk.change("2", stop_price=Decimal(164))
    desk.fill("1")
    desk.fill("2", "164")
    desk.orders, desk.history = {}, desk.orders
    for _ in range(3):
        desk.world.advance(3.0)
        desk.read()
    desk.world.deliver(HistoryRead(desk.world.now_s(), 0.0, tuple(desk.history.values())))
    assert desk.rows() == [], "ours may be on its way yet, beside it"
    desk.settle()
    assert [row.purpose for row in desk.rows()] == ["entry", "stop"]
    assert held(desk) == desk.position == 0


def test_ours_comes_first_and_the_other_is_somebody_elses(desk: Desk) -> None:
    lose_the_answer(desk, arrives=False, stop=166)
    sent_by_hand(desk, "150")
    desk.fill("1")
    desk.read()
    sent_by_hand(desk, "166")
    desk.fill("3")
    desk.settle()
    assert sorted(desk.manager.journal.orders) == ["3", "4"]
    assert held(desk) == desk.position == 2, "what the person bought is adopted"
    assert desk.orders["2"].working, "not touched"


def test_of_two_that_may_be_it_none_is_taken(desk: Desk) -> None:
    lose_the_answer(desk, stop=166)
    desk.change("2", stop_price=Decimal(164))
    sent_by_hand(desk, "150")
    desk.settle()
    assert "hold.ambiguous" in desk.events()
    assert desk.manager.journal.orders == {}


def test_one_that_somebody_sends_when_ours_can_be_on_its_way_no_longer_is_not_ours(desk: Desk) -> None:
    lose_the_answer(desk, arrives=False, stop=166)
    for _ in range(16):
        desk.world.advance(5.0)
        desk.read()
    sent_by_hand(desk, "150")
    desk.settle()
    assert state_of(desk, 1) == "given_up"
    assert desk.manager.journal.orders == {}


@pytest.mark.parametrize("other", ["a leg of another kind", "two of a kind", "explained"])
def test_an_entry_with_the_legs_of_another_bracket_is_not_ours(desk: Desk, other: str) -> None:
    """Somebody enters the same with other legs, while the answer to ours is lost and it never arrives."""
    lose_the_answer(desk, arrives=False, stop=166)
    sent_by_hand(desk, "150")
    if other == "a leg of another kind":
        desk.change("2", type=OrderType.LIMIT, stop_price=None, limit_price=Decimal(170))
    elif other == "two of a kind":
        desk.orders["3"] = msgspec.structs.replace(desk.orders["2"], order_id="3")
    else:
        desk.fill("1")
        desk.by_hand(-1)  # the position agrees: each explains the other
    desk.settle()
    assert state_of(desk, 1) == "given_up"
    assert desk.manager.journal.working == {}
    assert desk.orders["2"].working, "not touched"
