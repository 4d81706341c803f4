"""What an order can be by what it looks like, where no answer and no parent has told it. Pure."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from brokers.model import Link, Order, OrderStatus, OrderType, Side, Trail
from trader.manager import likeness
from trader.manager.account import Account
from trader.orders.intents import Intent, IntentState, Kind, Purpose
from trader.orders.legs import Leg, LegPurpose
from trader.orders.own_order import OwnOrder

replace = msgspec.structs.replace
D = Decimal
WORKING, CANCELLED = OrderStatus.WORKING, OrderStatus.CANCELLED
BUYS = Intent(
    5, "k-5", Kind.PLACE, Purpose.ENTRY, "SPY", Side.BUY, D(2), OrderType.MARKET, None, 100.0,
    state=IntentState.UNKNOWN, legs=(Leg(LegPurpose.STOP, D(166)),),
)  # fmt: skip
PAIRED = replace(BUYS, legs=(*BUYS.legs, Leg(LegPurpose.TAKE, D(170))))
BARE = replace(BUYS, legs=())
ENTRY = Order("1", "A", "SPY", Side.BUY, OrderType.MARKET, D(2), WORKING, "ACK", 100.0)
STOP = Order(
    "2", "A", "SPY", Side.SELL, OrderType.STOP_MARKET, D(2), WORKING, "ACK", 100.0, stop_price=D(166)
)  # fmt: skip
TAKE = replace(STOP, order_id="3", type=OrderType.LIMIT, stop_price=None, limit_price=D(170))
OF_1 = {"links": (Link("OSP", "1"),)}
OLD = OwnOrder("7", 1, Purpose.STOP, "SPY", Side.SELL, OrderType.STOP_MARKET, D(2), D(165), WORKING, parent="6")
MOVES = replace(
    BUYS, number=6, key="k-6", kind=Kind.REPLACE, purpose=Purpose.STOP, side=Side.SELL, type=OrderType.STOP_MARKET,
    stop_price=D(166), order_id="7", legs=(),
)  # fmt: skip
AWAITS = OwnOrder("6", 4, Purpose.ENTRY, "SPY", Side.BUY, OrderType.MARKET, D(2), None, WORKING, awaits=BUYS.legs)


def account_of(*intents: Intent, awaiting: tuple[OwnOrder, ...] = (), orders: tuple[OwnOrder, ...] = (OLD,)) -> Account:
    journal = SimpleNamespace(
        open_intents={each.number: each for each in intents},
        awaiting={each.order_id: each for each in awaiting},
        orders={each.order_id: each for each in orders},
        foreign={},
    )
    return cast(Account, SimpleNamespace(journal=journal))


# -- a bracket's entry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intent", "shown", "likely", "proven", "moved"),
    [
        pytest.param(BUYS, [], 1, 0, 0, id="nothing of its legs"),
        pytest.param(BUYS, [replace(STOP, **OF_1)], 1, 1, 0, id="its leg"),
        pytest.param(BUYS, [replace(STOP, stop_price=D(150), **OF_1)], 0, 1, 1, id="its leg at another price"),
        pytest.param(BUYS, [replace(TAKE, **OF_1)], 0, 1, 0, id="a leg of another kind"),
        pytest.param(PAIRED, [replace(STOP, **OF_1), replace(TAKE, limit_price=D(9), **OF_1)], 0, 1, 1, id="one of 2"),
        pytest.param(BUYS, [STOP], 1, 1, 0, id="a leg that names no parent"),
        pytest.param(BUYS, [replace(STOP, stop_price=D(150))], 1, 0, 0, id="a stop at another price that names none"),
        pytest.param(BUYS, [replace(STOP, quantity=D(1))], 1, 0, 0, id="a smaller one"),
        pytest.param(BUYS, [replace(STOP, symbol="QQQ")], 1, 0, 0, id="one of another symbol"),
        pytest.param(BUYS, [replace(STOP, opened_utc=90.0)], 1, 0, 0, id="one from before"),
        pytest.param(BUYS, [replace(STOP, links=(Link("BRK", "9"),))], 1, 0, 0, id="one that is tied to another"),
        pytest.param(BARE, [], 1, 1, 0, id="ours has no legs"),
        pytest.param(BARE, [replace(STOP, **OF_1)], 1, 1, 0, id="ours has no legs: a person may have added one"),
        pytest.param(replace(BUYS, result_order_id="1 2"), [], 1, 0, 0, id="told by its answer"),
        pytest.param(replace(BUYS, result_order_id="8 9"), [replace(STOP, stop_price=D(9), **OF_1)], 0, 1, 0, id="no"),
    ],
)  # fmt: skip
def test_a_brackets_entry_is_known_by_its_answer_and_by_the_legs_that_are_shown_with_it(
    intent: Intent, shown: list[Order], likely: int, proven: int, moved: int
) -> None:
    orders = (ENTRY, *shown)
    found = (
        likeness.likely(intent, [ENTRY], orders),
        likeness.proven(intent, [ENTRY], orders),
        likeness.moved(intent, [ENTRY], orders),
    )
    assert tuple(map(len, found)) == (likely, proven, moved)


@pytest.mark.parametrize(("relation", "proven"), [("OSO", 1), ("BRK", 0)])
def test_an_entry_that_names_its_children_is_a_brackets_also_where_they_are_not_shown(
    relation: str, proven: int
) -> None:
    entry = replace(ENTRY, links=(Link(relation, "2"),))
    assert len(likeness.proven(BUYS, [entry], (entry,))) == proven


def test_what_answers_to_other_brackets_have_named_is_theirs() -> None:
    other, bare = replace(PAIRED, number=9, result_order_id="11 12"), replace(BARE, number=8, result_order_id="13")
    mine, awaits = replace(BUYS, result_order_id="1 2"), replace(AWAITS, told=("6", "14"))
    assert likeness.named_by_another(account_of(mine, other, bare, awaiting=(awaits,)), mine) == {"11", "12", "6", "14"}


# -- a leg -------------------------------------------------------------------------------------------------------------


def test_a_leg_that_trails_has_no_price_to_be_known_by() -> None:
    trails = Leg(LegPurpose.STOP, trail=Trail(amount=D(2)))
    assert likeness.priced_as(trails, STOP)
    assert not likeness.priced_as(trails.__class__(LegPurpose.STOP, D(165)), STOP)


@pytest.mark.parametrize(
    ("intents", "awaiting", "alone", "others"),
    [
        ((), (), 0, 0),
        ((BUYS,), (), 1, 1),
        ((PAIRED,), (), 0, 1),
        ((), (AWAITS,), 1, 1),
        ((), (replace(AWAITS, group=1),), 0, 1),
        ((BUYS,), (AWAITS,), 2, 2),
        ((replace(BUYS, symbol="QQQ"),), (replace(AWAITS, quantity=D(3)),), 0, 0),
    ],
)
def test_legs_not_seen_yet_that_ask_for_the_same_are_counted(
    intents: tuple[Intent, ...], awaiting: tuple[OwnOrder, ...], alone: int, others: int
) -> None:
    account = account_of(*intents, awaiting=awaiting)
    assert likeness.legs_like(account, MOVES, (), alone=True) == alone
    assert likeness.legs_like(account, MOVES, (STOP,)) == others
    assert likeness.legs_like(account, MOVES, (replace(STOP, **OF_1),)) == 0, "the venue names parents"


@pytest.mark.parametrize(
    ("shown", "ours"),
    [
        ([STOP], {"2"}),
        ([replace(STOP, quantity=D(1))], {"2"}),
        ([replace(STOP, quantity=D(3))], set()),
        ([replace(STOP, stop_price=D(9))], set()),
        ([ENTRY], set()),
        ([ENTRY, replace(STOP, stop_price=D(9), **OF_1)], {"1", "2"}),
        ([replace(ENTRY, filled_quantity=D(2)), replace(STOP, stop_price=D(9), **OF_1)], set()),
        ([replace(ENTRY, quantity=D(5)), replace(STOP, stop_price=D(9), **OF_1)], set()),
        ([replace(ENTRY, links=(Link("OSP", "8"),)), replace(STOP, stop_price=D(9), **OF_1)], set()),
    ],
)
def test_what_may_be_a_brackets_of_unknown_fate_explains_no_position(shown: list[Order], ours: set[str]) -> None:
    """Its legs, or all of it where it has come and gone. (What makes a position of its own does not agree with it.)"""
    assert likeness.may_be_ours(account_of(BUYS, replace(BARE, number=9)), shown) == ours


# -- a replaced order, and anything of unknown fate --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intent", "order", "shown", "goes_on"),
    [
        (MOVES, STOP, [], True),
        (MOVES, STOP, [replace(STOP, order_id="7", status=CANCELLED)], True),
        (MOVES, STOP, [replace(STOP, order_id="7")], False),
        (MOVES, replace(STOP, links=(Link("OSP", "6"),)), [], True),
        (MOVES, replace(STOP, links=(Link("OSP", "9"),)), [], False),
        (MOVES, replace(STOP, stop_price=D(165)), [], False),
        (replace(MOVES, kind=Kind.CANCEL), STOP, [], False),
        (replace(MOVES, state=IntentState.WRITTEN), STOP, [], False),
        (replace(MOVES, order_id="8"), STOP, [], False),
    ],
)
def test_a_replaced_order_may_go_on_as_one_of_what_was_asked_once_it_has_ended(
    intent: Intent, order: Order, shown: list[Order], goes_on: bool
) -> None:
    account = account_of(intent)
    assert likeness.may_go_on(account, order, [order, *shown]) is goes_on
    assert likeness.may_be_unsettled(account, order, [order, *shown]) is goes_on


@pytest.mark.parametrize(
    ("order", "may"),
    [
        (ENTRY, True),
        (replace(ENTRY, quantity=D(5)), False),
        (STOP, True),
        (replace(STOP, stop_price=D(9)), True),
        (replace(STOP, symbol="QQQ"), False),
        (replace(STOP, side=Side.BUY), False),
        (TAKE, False),
    ],
)
@pytest.mark.parametrize("seen", [False, True], ids=["the entry is unknown", "the entry is known"])
def test_what_may_be_unsettled_is_a_placing_or_a_leg_whatever_its_price_by_now(
    order: Order, may: bool, seen: bool
) -> None:
    account = account_of(awaiting=(AWAITS,)) if seen else account_of(BUYS)
    assert likeness.may_be_unsettled(account, order, (order,)) is (may and not (seen and order.side is Side.BUY))
