"""What the client promises of a venue: the same behaviours over real HTTP, in the simulated world and against a double.

``desk`` is each of the three in turn, ``market`` those two behind which a market moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from brokers.broker import BarItem, EndSnapshot, Heartbeat, OrderItem, PositionItem, StreamItem
from brokers.errors import NotAllowed
from brokers.model import (
    Accepted,
    Change,
    Duration,
    Group,
    Grouped,
    GroupKind,
    GroupOutcome,
    Order,
    OrderStatus,
    OrderType,
    Placing,
    RefusedByVenue,
    Side,
    Trail,
    Unknown,
)
from tests.brokers import golden
from tests.brokers.desks import ACCOUNT, MAKERS, Desk

ORDERS = "POST /v3/orderexecution/orders"
GROUPS = "POST /v3/orderexecution/ordergroups"
FAR = Decimal("1000.25")
"""A price that the market does not come near to."""

Made = Callable[[str], Desk]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """One of each for the whole module."""
    desks: dict[str, Desk] = {}
    open_ones = []

    def give(name: str) -> Desk:
        if name not in desks:
            opened = MAKERS[name](tmp_path_factory.mktemp(name))
            desks[name] = opened.__enter__()
            open_ones.append(opened)
        return desks[name]

    yield give
    for opened in open_ones:
        opened.__exit__(None, None, None)


@pytest.fixture(params=["http", "simulated", "double"])
def desk(request: pytest.FixtureRequest, made: Made) -> Iterator[Desk]:
    given = made(request.param)
    given.script({})
    yield given
    if request.param != "double":
        _tidied(given)


@pytest.fixture(params=["http", "simulated"])
def market(request: pytest.FixtureRequest, made: Made) -> Iterator[Desk]:
    given = made(request.param)
    yield given
    _tidied(given)


def _tidied(desk: Desk) -> None:
    """Working orders bind buying power."""
    for each in desk.client.orders(ACCOUNT):
        if each.working:
            desk.client.cancel(each.order_id)


def placing(desk: Desk, side: Side, kind: OrderType, **more: Any) -> Placing:
    key = more.pop("key", "") or desk.key()
    return Placing(key, ACCOUNT, desk.symbol, side, Decimal(1), kind, **more)


def far(desk: Desk, **more: Any) -> Placing:
    return placing(desk, Side.BUY, OrderType.LIMIT, limit_price=FAR, **more)


def off_the_tick(desk: Desk) -> Placing:
    """Refused in words, inside a 200."""
    return placing(desk, Side.BUY, OrderType.LIMIT, limit_price=Decimal("1000.1"))


def exits(desk: Desk, kind: GroupKind = GroupKind.OCO) -> Group:
    at = desk.last
    target = placing(desk, Side.SELL, OrderType.LIMIT, limit_price=at + 60)
    return Group(kind, (target, placing(desk, Side.SELL, OrderType.STOP_MARKET, stop_price=at - 60)))


def read(desk: Desk, order_id: str) -> Order:
    (found,) = desk.client.orders_by_id(ACCOUNT, [order_id])
    return found


def placed(desk: Desk, wanted: Placing) -> Order:
    told = desk.client.place(wanted)
    assert isinstance(told, Accepted), told
    return read(desk, told.order_id)


def ids(told: GroupOutcome) -> tuple[str, ...]:
    assert isinstance(told, Grouped)
    assert told.whole, told
    return told.order_ids


# -- the three outcomes --------------------------------------------------------------------------------------------


def test_an_order_is_accepted_with_an_id(desk: Desk) -> None:
    told = desk.client.place(far(desk))
    assert isinstance(told, Accepted)
    assert told.order_id.isdigit()


def test_a_refusal_inside_a_200_is_one_and_no_duplicate(desk: Desk) -> None:
    desk.script({ORDERS: (200, golden.PLACING_REFUSED)})
    told = desk.client.place(off_the_tick(desk))
    assert isinstance(told, RefusedByVenue)
    assert (told.duplicate, told.dead, bool(told.reason)) == (False, False, True)


def test_a_key_used_before_is_a_duplicate(desk: Desk) -> None:
    assert isinstance(desk.client.place(far(desk, key=f"twice-{desk.keys}")), Accepted)
    desk.script({ORDERS: (200, golden.PLACING_DUPLICATE)})
    told = desk.client.place(far(desk, key=f"twice-{desk.keys}"))
    assert isinstance(told, RefusedByVenue)
    assert told.duplicate


def test_what_cannot_be_built_is_refused_in_words(desk: Desk) -> None:
    words = b'{"Error":"BadRequest","Message":"Failed to build order: FAILED, INVALID SYMBOL"}'
    desk.script({ORDERS: (400, words)})
    told = desk.client.place(Placing(desk.key(), ACCOUNT, "6EZ13", Side.BUY, Decimal(1), OrderType.MARKET))
    assert isinstance(told, RefusedByVenue)
    assert "INVALID SYMBOL" in told.reason


@pytest.mark.parametrize("group", [False, True])
def test_an_answer_that_is_lost_is_unknown(desk: Desk, group: bool) -> None:
    desk.lose()
    told: object = desk.client.place_group(exits(desk)) if group else desk.client.place(far(desk))
    assert isinstance(told, Unknown)
    assert told.sent


@pytest.mark.parametrize("status", [503, 504, 429, 408])
def test_a_status_that_proves_nothing_is_unknown(desk: Desk, status: int) -> None:
    desk.script({ORDERS: (status, b"")})
    desk.fault(fault="status", status=status, path="POST */orders", when="after", body="empty")
    told = desk.client.place(far(desk))
    assert isinstance(told, Unknown)
    assert told.sent


def test_an_order_is_moved_and_cancelled_and_then_it_is_dead(desk: Desk) -> None:
    told = desk.client.place(far(desk))
    assert isinstance(told, Accepted)
    working = Order(
        told.order_id, ACCOUNT, desk.symbol, Side.BUY, OrderType.LIMIT, Decimal(1), OrderStatus.WORKING, "", 0
    )
    moved = desk.client.replace(working, Change(limit_price=FAR - 1))
    assert isinstance(moved, Accepted)
    assert isinstance(desk.client.cancel(moved.order_id), Accepted)
    dead = (400, b'{"Error":"BadRequest","Message":"Not an open order."}')
    desk.script({f"{method} /v3/orderexecution/orders/{moved.order_id}": dead for method in ("PUT", "DELETE")})
    for again in (desk.client.cancel(moved.order_id), desk.client.replace(working, Change(limit_price=FAR))):
        assert isinstance(again, RefusedByVenue)
        assert again.dead


def test_a_group_is_accepted_with_an_id_for_each(desk: Desk) -> None:
    first, second = ids(desk.client.place_group(exits(desk)))
    assert first != second


def test_of_a_group_one_can_be_refused_and_the_other_not(desk: Desk) -> None:
    desk.script({GROUPS: (200, golden.GROUP_MIXED)})
    told = desk.client.place_group(Group(GroupKind.NORMAL, (far(desk), off_the_tick(desk))))
    assert isinstance(told, Grouped)
    assert (len(told.order_ids), len(told.refusals), told.missing, told.whole) == (1, 1, 0, False)


# -- reads ---------------------------------------------------------------------------------------------------------


def test_accounts_symbols_and_balances_are_read(desk: Desk) -> None:
    assert sorted(account.kind for account in desk.client.accounts()) == ["Futures", "Margin"]
    es = desk.client.instrument(desk.symbol)
    assert (es.symbol, es.tick_size, es.point_value_usd) == (desk.symbol, Decimal("0.25"), Decimal(50))
    assert desk.client.balance(ACCOUNT).equity_usd > 0
    assert not desk.client.delayed(desk.symbol)


def test_a_snapshot_is_of_one_account_and_whole(desk: Desk) -> None:
    desk.client.place(placing(desk, Side.BUY, OrderType.MARKET))
    snapshot = desk.client.snapshot(ACCOUNT)
    assert {order.account for order in snapshot.orders} == {ACCOUNT}
    assert [held.symbol for held in snapshot.positions] == [desk.symbol]
    assert all(order.filled_quantity <= order.quantity for order in snapshot.orders)


def test_an_unknown_symbol_is_refused_in_words(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        desk.client.instrument("NIX99")


def test_another_account_is_refused_in_words(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        desk.client.snapshot("SIM000000F")


def test_a_refused_token_is_replaced_once(market: Desk) -> None:
    market.token = "no token of theirs"
    assert market.client.accounts()
    assert market.token != "no token of theirs"


def test_bars_are_read_by_count_and_by_dates(market: Desk) -> None:
    bars = market.client.recent_bars("ESZ13", 60, 5)
    assert [bar.closed_utc - bars[0].closed_utc for bar in bars] == [0, 60, 120, 180, 240]
    assert market.client.bars_since("ESZ13", 60, bars[1].closed_utc, bars[3].closed_utc) == bars[2:4]


def test_an_order_is_confirmed_and_not_placed(market: Desk) -> None:
    before = {each.order_id for each in market.client.orders(ACCOUNT)}
    (estimate,) = market.client.confirm(far(market))
    assert (estimate.account, estimate.price, estimate.commission_usd) == (ACCOUNT, FAR, Decimal("1.25"))
    assert len(market.client.confirm_group(exits(market))) == 2
    with pytest.raises(NotAllowed):
        market.client.confirm(off_the_tick(market))
    assert {each.order_id for each in market.client.orders(ACCOUNT)} == before


def test_routes_and_triggers_are_read(market: Desk) -> None:
    assert "Intelligent" in [each.route_id for each in market.client.routes()]
    assert {"STT", "DTT", "TAB"} <= {each.key for each in market.client.activation_triggers()}


# -- streams -------------------------------------------------------------------------------------------------------


def until(items: Iterator[StreamItem | None], kind: type[StreamItem]) -> list[StreamItem]:
    """All up to and with the first of this kind."""
    seen: list[StreamItem] = []
    for item in items:
        if item is not None:
            seen.append(item)
        if isinstance(item, kind):
            return seen
    raise AssertionError(f"the stream ended without a {kind.__name__}")


def test_the_orders_stream_replays_ends_its_snapshot_and_beats(desk: Desk) -> None:
    desk.client.place(far(desk))
    items = desk.account_items(desk.client.orders_stream(ACCOUNT))
    *before, end = until(items, EndSnapshot)
    assert isinstance(end, EndSnapshot)
    assert any(isinstance(item, OrderItem) for item in before)
    until(items, Heartbeat)


def test_the_positions_stream_gives_a_snapshot_and_its_end(desk: Desk) -> None:
    desk.client.place(placing(desk, Side.BUY, OrderType.MARKET))
    before = until(desk.account_items(desk.client.positions_stream(ACCOUNT)), EndSnapshot)
    held = [item.position.symbol for item in before if isinstance(item, PositionItem)]
    assert set(held) == {desk.symbol}


def test_the_bars_stream_begins_with_what_has_closed(desk: Desk) -> None:
    request = desk.client.bars_stream(desk.symbol, 60, 1)
    for line in desk.lines(request):
        item = desk.client.bars_item(desk.symbol, 60, line)
        if item is not None:
            break
    assert isinstance(item, BarItem)
    assert item.closed


def test_the_bars_stream_gives_two_closed_bars_and_goes_on(market: Desk) -> None:
    closed: list[int] = []
    for line in market.lines(market.client.bars_stream("SPY", 60, 2)):
        item = market.client.bars_item("SPY", 60, line)
        if isinstance(item, BarItem) and item.closed:
            closed.append(item.bar.closed_utc)
        if len(closed) == 4:
            break
    assert [stamp - closed[0] for stamp in closed] == [0, 60, 120, 180]


def test_a_cancel_is_told_on_the_stream(market: Desk) -> None:
    order_id = placed(market, far(market)).order_id
    items = market.account_items(market.client.orders_stream(ACCOUNT))
    until(items, EndSnapshot)
    assert isinstance(market.client.cancel(order_id), Accepted)
    for item in items:
        orders = item.orders if isinstance(item, OrderItem) else ()
        if (order_id, OrderStatus.CANCELLED) in [(order.order_id, order.status) for order in orders]:
            return
    raise AssertionError("the stream ended without the cancel")


# -- a market behind it --------------------------------------------------------------------------------------------


def test_a_market_order_becomes_a_position(market: Desk) -> None:
    before = {held.symbol: held.quantity for held in market.client.positions(ACCOUNT)}
    order = placed(market, placing(market, Side.BUY, OrderType.MARKET))
    assert (order.status, order.filled_quantity, order.side) == (OrderStatus.FILLED, Decimal(1), Side.BUY)
    (held,) = [held for held in market.client.positions(ACCOUNT) if held.symbol == "ESZ13"]
    assert held.quantity == before.get("ESZ13", 0) + 1


@pytest.mark.parametrize(("when", "booked"), [("before", 0), ("after", 1)])
def test_an_order_whose_answer_was_lost_is_found_by_reading_or_is_not_there(
    market: Desk, when: str, booked: int
) -> None:
    before = {order.order_id for order in market.client.snapshot(ACCOUNT).orders}
    market.lose(when)
    assert isinstance(market.client.place(far(market)), Unknown)
    assert len({order.order_id for order in market.client.snapshot(ACCOUNT).orders} - before) == booked


def test_limit_and_stop_limit_come_back_with_their_prices_and_move(market: Desk) -> None:
    at = market.last
    bought = placed(market, placing(market, Side.BUY, OrderType.LIMIT, limit_price=at - 50))
    assert (bought.type, bought.limit_price, bought.working) == (OrderType.LIMIT, at - 50, True)
    assert isinstance(market.client.replace(bought, Change(limit_price=at - 49)), Accepted)
    assert read(market, bought.order_id).limit_price == at - 49
    both = placing(market, Side.BUY, OrderType.STOP_LIMIT, stop_price=at + 50, limit_price=at + 51)
    order = placed(market, both)
    assert (order.stop_price, order.limit_price) == (at + 50, at + 51)


@pytest.mark.parametrize("renews", [True, False])
def test_a_stop_is_replaced_by_itself_and_works_on_with_an_end_that_is_no_earlier(market: Desk, renews: bool) -> None:
    """Whether it is later, a venue shows and no reference says (``Capabilities.renews_by_replace``)."""
    market.tell("switch", {"replace_renews": renews})
    stop = placing(market, Side.SELL, OrderType.STOP_MARKET, stop_price=market.last - 60, duration=Duration.GTC)
    before = placed(market, stop)
    told = market.client.replace(before, Change(stop_price=before.stop_price))
    assert isinstance(told, Accepted)
    after = read(market, told.order_id)
    assert (after.working, after.stop_price, after.quantity) == (True, before.stop_price, before.quantity)
    assert before.good_till_utc is not None
    assert after.good_till_utc is not None
    assert after.good_till_utc >= before.good_till_utc
    assert market.client.capabilities.renews_by_replace is None


def test_a_stop_for_extended_hours_is_no_market_order_and_works_on(market: Desk) -> None:
    """So says ``Capabilities.extended_market``: it has to be cancelled before an exit goes."""
    assert not market.client.capabilities.extended_market
    at = market.last - 60
    wanted = placing(market, Side.SELL, OrderType.STOP_MARKET, stop_price=at, duration=Duration.GTC_EXTENDED)
    stop = placed(market, wanted)
    assert isinstance(market.client.replace(stop, Change(to_market=True)), RefusedByVenue)
    after = read(market, stop.order_id)
    assert (after.type, after.working, after.stop_price) == (OrderType.STOP_MARKET, True, at)


@pytest.mark.parametrize("trail", [Trail(amount=Decimal(10)), Trail(percent=Decimal(5))])
def test_a_trail_comes_back_as_it_was_sent(market: Desk, trail: Trail) -> None:
    assert placed(market, placing(market, Side.SELL, OrderType.STOP_MARKET, trail=trail)).trail == trail


@pytest.mark.parametrize("duration", [each for each in Duration if each not in (Duration.FOK, Duration.IOC)])
def test_a_duration_comes_back_as_it_was_sent(market: Desk, duration: Duration) -> None:
    till = 1_381_363_200.0 if duration.dated else None  # 2013-10-10
    order = placed(market, far(market, duration=duration, good_till_utc=till))
    assert (order.duration, order.working) == (duration, True)
    if till:
        assert order.good_till_utc == till


def test_what_is_good_at_once_only_is_cancelled_and_all_of_it_at_once_is_refused(market: Desk) -> None:
    order = placed(market, far(market, duration=Duration.IOC))
    assert (order.duration, order.status) == (Duration.IOC, OrderStatus.CANCELLED)
    assert Duration.FOK not in market.client.capabilities.durations
    assert isinstance(market.client.place(far(market, duration=Duration.FOK)), RefusedByVenue)


def test_an_oco_pair_names_each_other(market: Desk) -> None:
    first, second = ids(market.client.place_group(exits(market)))
    links = [(link.relation, link.order_id) for each in (first, second) for link in read(market, each).links]
    assert links == [("OCO", second), ("OCO", first)]


def test_a_market_order_with_a_bracket_has_three_ids_and_its_exits_know_their_parent(market: Desk) -> None:
    entry = placing(market, Side.BUY, OrderType.MARKET, children=(exits(market, GroupKind.BRACKET),))
    parent, *children = ids(market.client.place_with_children(entry))
    for each in children:
        assert ("OSP", parent) in [(link.relation, link.order_id) for link in read(market, each).links]


def test_a_group_of_orders_with_children_has_an_id_for_each(market: Desk) -> None:
    entries = tuple(far(market, children=(exits(market),)) for _ in range(2))
    told = ids(market.client.place_group(Group(GroupKind.OCO, entries)))
    assert len(told) == 6
    assert isinstance(market.client.cancel(told[0]), Accepted)
    assert [read(market, each).working for each in told[:3]] == [False, False, False]
