"""All kinds of orders against the emulator over real HTTP: what one side writes, the other reads and tells again."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.model import (
    Accepted,
    Change,
    Group,
    Grouped,
    GroupKind,
    GroupOutcome,
    Order,
    OrderType,
    Placing,
    RefusedByVenue,
    Side,
    Trail,
)
from tests.brokers.test_against_emulator import ACCOUNT, Desk, running_emulator

SYMBOL = "ESZ13"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_emulator(Path(tmp_path_factory.mktemp("orders"))) as made:
        yield made


@pytest.fixture(autouse=True)
def _cancelled_after(desk: Desk) -> Iterator[None]:
    """Working orders bind buying power."""
    yield
    for each in desk.client.orders(ACCOUNT):
        if each.working:
            desk.client.cancel(each.order_id)


def placing(key: str, side: Side, kind: OrderType, **more: object) -> Placing:
    return Placing(key, ACCOUNT, SYMBOL, side, Decimal(1), kind, **more)  # type: ignore[arg-type]


def last(desk: Desk) -> Decimal:
    price = desk.client.quotes([SYMBOL])[0].last
    assert price is not None
    return price


def far(desk: Desk, key: str) -> Placing:
    return placing(key, Side.BUY, OrderType.LIMIT, limit_price=last(desk) - 60)


def order(desk: Desk, order_id: str) -> Order:
    (found,) = desk.client.orders_by_id(ACCOUNT, [order_id])
    return found


def ids(told: GroupOutcome) -> tuple[str, ...]:
    assert isinstance(told, Grouped)
    assert told.whole, told
    return told.order_ids


def placed(desk: Desk, wanted: Placing) -> Order:
    told = desk.client.place(wanted)
    assert isinstance(told, Accepted), told
    return order(desk, told.order_id)


def test_limit_and_stop_limit_come_back_with_their_prices_and_move(desk: Desk) -> None:
    at = last(desk)
    bought = placed(desk, placing("l-1", Side.BUY, OrderType.LIMIT, limit_price=at - 50))
    assert (bought.type, bought.limit_price, bought.working) == (OrderType.LIMIT, at - 50, True)
    assert isinstance(desk.client.replace(bought, Change(limit_price=at - 49)), Accepted)
    both = placed(desk, placing("l-2", Side.BUY, OrderType.STOP_LIMIT, stop_price=at + 50, limit_price=at + 51))
    assert (both.stop_price, both.limit_price) == (at + 50, at + 51)


@pytest.mark.parametrize("trail", [Trail(amount=Decimal(10)), Trail(percent=Decimal(5))])
def test_a_trail_comes_back_as_it_was_sent(desk: Desk, trail: Trail) -> None:
    key = f"t-{trail.amount or 'percent'}"
    assert placed(desk, placing(key, Side.SELL, OrderType.STOP_MARKET, trail=trail)).trail == trail


def test_an_oco_pair_names_each_other(desk: Desk) -> None:
    at = last(desk)
    pair = (
        placing("g-1", Side.SELL, OrderType.LIMIT, limit_price=at + 60),
        placing("g-2", Side.SELL, OrderType.STOP_MARKET, stop_price=at - 60),
    )
    first, second = ids(desk.client.place_group(Group(GroupKind.OCO, pair)))
    links = [(link.relation, link.order_id) for each in (first, second) for link in order(desk, each).links]
    assert links == [("OCO", second), ("OCO", first)]


def test_a_market_order_with_a_bracket_has_three_ids_and_its_exits_know_their_parent(desk: Desk) -> None:
    at = last(desk)
    exits = Group(
        GroupKind.BRACKET,
        (
            placing("x-1", Side.SELL, OrderType.LIMIT, limit_price=at + 40),
            placing("x-2", Side.SELL, OrderType.STOP_MARKET, stop_price=at - 40),
        ),
    )
    told = desk.client.place_with_children(placing("o-1", Side.BUY, OrderType.MARKET, children=(exits,)))
    parent, target, stop = ids(told)
    for exit_id in (target, stop):
        assert ("OSP", parent) in [(link.relation, link.order_id) for link in order(desk, exit_id).links]


def test_a_key_used_before_is_a_duplicate(desk: Desk) -> None:
    placed(desk, far(desk, "twice"))
    told = desk.client.place(far(desk, "twice"))
    assert isinstance(told, RefusedByVenue)
    assert told.duplicate
