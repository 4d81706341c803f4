"""The planner: reaches what is declared, and never passes through more, whatever subset of our orders fills."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import OrderStatus, OrderType, Side
from tests.trader.situations import SPY, order, replace, situation
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import clamped
from trader.orders.prices import safe_stop
from trader.orders.target import Cancel, Place, RefuseEntry, ReplaceStop, Situation, StopToMarket, plan


def test_an_entry_is_placed_when_flat() -> None:
    assert plan(situation(2, 0)) == (Place(Purpose.ENTRY, Side.BUY, Decimal(2), OrderType.MARKET),)


def test_an_entry_past_its_validity_is_refused_and_never_placed() -> None:
    (action,) = plan(situation(2, 0, now_utc=61.0))
    assert isinstance(action, RefuseEntry)
    assert (action.gate, action.left) == ("validity", Decimal(0))


def test_a_closed_gate_refuses_the_entry_but_not_the_stop() -> None:
    actions = plan(situation(2, 1, entry_refusal=("hold", "held")))
    assert actions == (
        Place(Purpose.STOP, Side.SELL, Decimal(1), OrderType.STOP_MARKET, Decimal(166)),
        RefuseEntry("hold", "held", Decimal(1)),
    )


@pytest.mark.parametrize("seen", [0, -1, 1])
def test_no_exit_is_larger_than_what_the_last_read_says_is_there(seen: int) -> None:
    """A person may have closed it already: the exit would open the other side. It waits for the confirming read."""
    stop = order(Purpose.STOP, Side.SELL, 2, "166")
    assert plan(situation(0, 2, stop, seen=Decimal(seen))) == ()
    assert plan(situation(0, 2, seen=Decimal(seen))) == ()
    assert plan(situation(2, 2, seen=Decimal(seen))) == (), "nor a new stop"


def test_an_exit_within_what_the_last_read_says_goes_and_the_stop_stays_as_it_is() -> None:
    stop = order(Purpose.STOP, Side.SELL, 1, "166")
    assert plan(situation(0, 1, stop, seen=Decimal(3))) == (StopToMarket(stop, Decimal(1)),)
    assert plan(situation(1, 1, stop, seen=Decimal(0))) == ()


def test_while_an_exit_is_without_outcome_the_stop_becomes_an_exit_of_its_own_quantity_only() -> None:
    """Two held, one of them in an exit whose answer was lost: that exit and a market order of two would cross zero."""
    stop = order(Purpose.STOP, Side.SELL, 1, "166")
    assert plan(situation(0, 2, stop, unsettled=True)) == (StopToMarket(stop, Decimal(1)),)
    assert plan(situation(0, 2, stop)) == (StopToMarket(stop, Decimal(2)),)


def test_while_a_placing_is_without_outcome_the_stop_does_not_grow() -> None:
    stop = order(Purpose.STOP, Side.SELL, 1, "166")
    assert plan(situation(2, 2, stop, unsettled=True)) == ()


def test_an_unsettled_placing_blocks_every_new_placing_but_lets_replaces_pass() -> None:
    assert plan(situation(2, 0, unsettled=True)) == ()
    stop = order(Purpose.STOP, Side.SELL, 2, "165")
    assert plan(situation(2, 2, stop, unsettled=True)) == (ReplaceStop(stop, Decimal(2), Decimal(166)),)


def test_the_stop_is_moved_by_replace_and_follows_the_position() -> None:
    stop = order(Purpose.STOP, Side.SELL, 1, "165")
    assert plan(situation(2, 2, stop)) == (ReplaceStop(stop, Decimal(2), Decimal(166)),)


def test_a_stop_that_is_as_declared_is_left_alone() -> None:
    assert plan(situation(2, 2, order(Purpose.STOP, Side.SELL, 2, "166"))) == ()


def test_an_exit_is_made_of_the_working_stop() -> None:
    stop = order(Purpose.STOP, Side.SELL, 2, "166")
    assert plan(situation(0, 2, stop)) == (StopToMarket(stop, Decimal(2)),)


def test_without_replace_to_market_the_stop_is_cancelled_and_the_exit_waits_for_it() -> None:
    stop = order(Purpose.STOP, Side.SELL, 2, "166")
    assert plan(situation(0, 2, stop, replace_to_market=False)) == (Cancel(stop),)
    assert plan(situation(0, 2, replace(stop, pending="cancel"), replace_to_market=False)) == ()
    (action,) = plan(situation(0, 2, replace(stop, status=OrderStatus.CANCELLED), replace_to_market=False))
    assert action == Place(Purpose.EXIT, Side.SELL, Decimal(2), OrderType.MARKET)


def test_a_reversal_goes_through_flat() -> None:
    stop = order(Purpose.STOP, Side.SELL, 2, "166")
    assert plan(situation(-2, 2, stop)) == (StopToMarket(stop, Decimal(2)),)
    assert plan(situation(-2, 0)) == (Place(Purpose.ENTRY, Side.SELL, Decimal(2), OrderType.MARKET),)


def test_a_reduction_first_shrinks_the_stop() -> None:
    stop = order(Purpose.STOP, Side.SELL, 3, "166")
    assert plan(situation(1, 3, stop)) == (ReplaceStop(stop, Decimal(1), Decimal(166)),)
    small = replace(stop, quantity=Decimal(1))
    assert plan(situation(1, 3, small)) == (Place(Purpose.EXIT, Side.SELL, Decimal(2), OrderType.MARKET),)


def test_an_orphan_stop_is_cancelled_before_a_new_entry() -> None:
    stop = order(Purpose.STOP, Side.SELL, 2, "166")
    assert plan(situation(2, 0, stop)) == (Cancel(stop),)


def test_a_stop_that_a_person_removed_is_not_put_back() -> None:
    removed = situation(1, 1)
    assert plan(replace(removed, declaration=replace(removed.declaration, stop_by_person="removed"))) == ()


def test_a_stop_that_a_person_moved_stays_there() -> None:
    moved = situation(1, 1, order(Purpose.STOP, Side.SELL, 1, "150"))
    assert plan(replace(moved, declaration=replace(moved.declaration, stop_by_person="changed"))) == ()


def test_stops_are_rounded_to_the_tick_on_the_safe_side() -> None:
    tick = Decimal("0.25")
    assert safe_stop(Decimal("1670.01"), Side.BUY, tick) == Decimal("1670.25")
    assert safe_stop(Decimal("1670.24"), Side.SELL, tick) == Decimal("1670.00")
    assert safe_stop(Decimal("-0.30"), Side.BUY, tick) == Decimal("-0.25")


def test_a_stop_that_is_to_be_renewed_is_replaced_by_itself_and_no_other() -> None:
    first, second = (order(Purpose.STOP, Side.SELL, 1, "166", order_id=each) for each in "12")
    held = situation(2, 2, first, second)
    assert plan(held) == ()
    assert plan(replace(held, renew="2")) == (ReplaceStop(second, Decimal(1), Decimal(166)),)
    assert plan(replace(held, renew="3")) == ()
    pending = replace(second, pending="replace")
    assert plan(situation(2, 2, first, pending, renew="2")) == ()
    assert ReplaceStop(first, Decimal(1), Decimal(166)) not in plan(situation(0, 1, first, renew="1")), (
        "it becomes the exit"
    )


# -- whatever fills, in whatever sequence ------------------------------------------------------------------------------


class Market:
    """A venue that is told the planner's actions and fills, acknowledges or delays them as the draw says."""

    def __init__(self, data: st.DataObject, to_market: bool) -> None:
        self.data, self.to_market = data, to_market
        self.position = Decimal(0)
        self.orders: dict[str, OwnOrder] = {}
        self.bound = Decimal(0)
        self.renew = ""
        self.declare(0)

    def declare(self, quantity: int) -> None:
        self.declaration = Declaration("SPY", Decimal(quantity), Decimal(166), valid_until_utc=60.0)
        in_flight = self.bound if any(o.working for o in self.orders.values()) else Decimal(0)
        self.bound = max(in_flight, abs(self.position), abs(self.declaration.quantity))

    def look(self) -> Situation:
        orders = tuple(self.orders.values())
        return Situation(
            self.declaration, self.position, orders, SPY, 0.0, replace_to_market=self.to_market, renew=self.renew
        )

    def wants_renewed(self) -> None:
        """A stop is to be replaced by itself, or none is."""
        stops = [o.order_id for o in self.orders.values() if o.working and o.purpose is Purpose.STOP]
        self.renew = self.data.draw(st.sampled_from(["", *stops]))

    def step(self) -> bool:
        """One plan; False when there was nothing to do."""
        actions = plan(self.look())
        for action in actions:
            self.act(action)
        self.check()
        return bool(actions)

    def act(self, action: object) -> None:
        if isinstance(action, Place):
            number = str(len(self.orders) + 1)
            self.orders[number] = OwnOrder(
                number, 1, action.purpose, "SPY", action.side, action.type, action.quantity, action.stop_price,
                OrderStatus.WORKING,
            )  # fmt: skip
        elif isinstance(action, ReplaceStop | StopToMarket):
            self.renew = "" if action.order.order_id == self.renew else self.renew
            market = isinstance(action, StopToMarket)
            kind = OrderType.MARKET if market else OrderType.STOP_MARKET
            price = None if isinstance(action, StopToMarket) else action.stop_price
            asked = {"asked_quantity": action.quantity, "asked_type": kind, "asked_stop_price": price}
            self.orders[action.order.order_id] = replace(action.order, pending="replace", **asked)
        elif isinstance(action, Cancel):
            self.orders[action.order.order_id] = replace(action.order, pending="cancel")

    def check(self) -> None:
        """The rule itself: the worst subset of what may fill, from here."""
        working = [o for o in self.orders.values() if o.working]
        adds = sum((o.remaining_at_most for o in working if o.side is Side.BUY), Decimal(0))
        takes = sum((o.remaining_at_most for o in working if o.side is Side.SELL), Decimal(0))
        highest, lowest = self.position + adds, self.position - takes
        assert highest <= self.bound
        assert lowest >= -self.bound
        if self.position > 0:
            assert lowest >= 0
        if self.position < 0:
            assert highest <= 0

    def answer(self) -> None:
        """One thing happens at the venue: a part of an order fills, or a pending change takes or does not."""
        working = [o for o in self.orders.values() if o.working]
        if not working:
            return
        o = self.data.draw(st.sampled_from(working))
        if o.pending and self.data.draw(st.booleans()):
            self.orders[o.order_id] = self.settled(o)
            return
        part = Decimal(self.data.draw(st.integers(1, int(o.remaining))))
        self.position += o.side.sign * part
        after = replace(o, filled_quantity=o.filled_quantity + part)
        if after.filled_quantity == after.quantity:
            after = replace(after, status=OrderStatus.FILLED, pending="")
        self.orders[o.order_id] = after
        if o.purpose is Purpose.STOP and not o.exiting:
            left = clamped(self.declaration.quantity, self.position)
            self.declaration = replace(self.declaration, quantity=left)

    def settled(self, o: OwnOrder) -> OwnOrder:
        if o.pending == "cancel":
            return replace(o, status=OrderStatus.CANCELLED, pending="")
        quantity = max(o.asked_quantity or o.quantity, o.filled_quantity)
        done = replace(
            o,
            quantity=quantity,
            type=o.asked_type or o.type,
            stop_price=o.asked_stop_price,
            pending="",
            asked_quantity=None,
            asked_type=None,
            asked_stop_price=None,
        )
        return replace(done, status=OrderStatus.FILLED) if done.filled_quantity == quantity else done

    def settle_all(self) -> None:
        for o in list(self.orders.values()):
            if o.working and o.pending:
                o = self.orders[o.order_id] = self.settled(o)
            if o.working and (o.purpose is Purpose.ENTRY or o.exiting):
                self.position += o.side.sign * o.remaining
                self.orders[o.order_id] = replace(o, filled_quantity=o.quantity, status=OrderStatus.FILLED)


@given(st.data(), st.booleans())
def test_no_subset_of_fills_crosses_zero_or_exceeds_the_larger_exposure(data: st.DataObject, to_market: bool) -> None:
    market = Market(data, to_market)
    for quantity in data.draw(st.lists(st.integers(-4, 4), min_size=1, max_size=5)):
        market.declare(quantity)
        for _ in range(data.draw(st.integers(0, 6))):
            market.wants_renewed()
            market.step()
            market.answer()
            market.check()


@given(st.data(), st.lists(st.integers(-4, 4), min_size=1, max_size=5), st.booleans())
def test_the_declared_exposure_is_reached_with_its_stop(
    data: st.DataObject, wanted: list[int], to_market: bool
) -> None:
    market = Market(data, to_market)
    for quantity in wanted:
        market.declare(quantity)
        for _ in range(20):
            if not market.step():
                break
            market.settle_all()
        assert market.position == quantity
        stops = [o for o in market.orders.values() if o.working]
        assert sum((o.remaining for o in stops), Decimal(0)) == abs(quantity)
        assert all(o.protecting and o.stop_price == Decimal(166) for o in stops)
