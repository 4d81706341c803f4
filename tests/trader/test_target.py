"""The planner: reaches what is declared, and never passes through more, whatever subset of our orders fills."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Instrument, OrderStatus, OrderType, Side, Trail
from trader.orders.intents import Purpose
from trader.orders.legs import Leg, LegPurpose
from trader.orders.lifecycle import OwnOrder
from trader.orders.pairs import behind, closes_at_most, safe_take, safe_trail, tighter
from trader.orders.target import (
    PAIRS_MAX,
    Cancel,
    Declaration,
    Place,
    RefuseEntry,
    ReplaceStop,
    ReplaceTake,
    Situation,
    StopToMarket,
    clamped,
    plan,
    safe_stop,
)

SPY = Instrument(symbol="SPY", kind="stock", tick_size=Decimal("0.01"), point_value_usd=Decimal(1))
replace = msgspec.structs.replace


def order(purpose: Purpose, side: Side, quantity: int, stop: str | None = None, **more: object) -> OwnOrder:
    kind = OrderType.STOP_MARKET if purpose is Purpose.STOP else OrderType.MARKET
    price = None if stop is None else Decimal(stop)
    own = OwnOrder("1", 1, purpose, "SPY", side, kind, Decimal(quantity), price, OrderStatus.WORKING)
    return replace(own, **more)


def situation(declared: int, position: int, *orders: OwnOrder, stop: str | None = "166", **more: object) -> Situation:
    declaration = Declaration("SPY", Decimal(declared), None if stop is None else Decimal(stop), valid_until_utc=60.0)
    return replace(Situation(declaration, Decimal(position), orders, SPY, now_utc=0.0), **more)


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


# -- stops and takes that the venue ties ------------------------------------------------------------------------------


def pair(quantity: int, stop: str = "166", take: str = "170", group: int = 1, **of_stop: object) -> list[OwnOrder]:
    more: dict[str, object] = {"group": group, "intent": group}
    tied = order(Purpose.STOP, Side.SELL, quantity, stop, order_id=f"{group}s", **more)
    limit = order(Purpose.TAKE, Side.SELL, quantity, order_id=f"{group}t", **more)
    return [replace(tied, **of_stop), replace(limit, type=OrderType.LIMIT, limit_price=Decimal(take))]


def with_take(s: Situation, take: str | None = "170", **declared: object) -> Situation:
    price = None if take is None else Decimal(take)
    return replace(s, declaration=replace(s.declaration, take=price, **declared), children=True, takes_native=True)


def test_a_pair_as_declared_is_left_alone_and_its_prices_move_by_replace() -> None:
    stop, take = pair(2)
    assert plan(with_take(situation(2, 2, stop, take))) == ()
    moved = plan(with_take(situation(2, 2, stop, take, stop="167"), "171"))
    assert moved == (ReplaceStop(stop, Decimal(2), Decimal(167)), ReplaceTake(take, Decimal(2), Decimal(171)))


def test_of_a_part_filled_take_the_whole_quantity_is_asked_for() -> None:
    stop, take = pair(3)
    stop, take = replace(stop, quantity=Decimal(2)), replace(take, filled_quantity=Decimal(1))
    assert plan(with_take(situation(2, 2, stop, take), "171")) == (ReplaceTake(take, Decimal(3), Decimal(171)),)


def test_an_exit_of_a_pair_is_its_stop_and_leaves_the_take_to_the_venue() -> None:
    stop, take = pair(2)
    assert plan(with_take(situation(0, 2, stop, take))) == (StopToMarket(stop, Decimal(2)),)
    filled = replace(stop, quantity=Decimal(3), filled_quantity=Decimal(1))
    assert plan(with_take(situation(0, 2, filled, take))) == (StopToMarket(filled, Decimal(3)),)


def test_what_the_other_of_a_pair_has_filled_is_not_asked_for_twice() -> None:
    """The venue will take one from the stop's three: two go, whichever it hears first."""
    stop, take = pair(3, owed=Decimal(1))
    take = replace(take, filled_quantity=Decimal(1))
    assert plan(with_take(situation(0, 2, stop, take))) == (StopToMarket(stop, Decimal(3)),)
    assert plan(with_take(situation(2, 2, stop, take, stop="167"))) == (), "nor moved while its size is the venue's"
    stop, take = pair(3, filled_quantity=Decimal(1))
    assert plan(with_take(situation(2, 2, stop, replace(take, owed=Decimal(1))), "171")) == (), "nor is the take"


def test_an_exit_of_all_counts_a_stop_that_is_under_way() -> None:
    """Two stops of two; one is being moved, so the other one alone becomes an exit, of its own size."""
    first = order(Purpose.STOP, Side.SELL, 2, "166", order_id="1", pending="replace", asked_quantity=Decimal(2))
    second = order(Purpose.STOP, Side.SELL, 2, "166", order_id="2", intent=2)
    assert plan(situation(0, 4, first, second)) == (StopToMarket(second, Decimal(2)),)


def test_what_no_stop_covers_goes_with_the_exit_of_one_stop_only() -> None:
    first = order(Purpose.STOP, Side.SELL, 1, "166", order_id="1")
    second = order(Purpose.STOP, Side.SELL, 1, "166", order_id="2", intent=2)
    actions = plan(situation(0, 5, first, second))
    assert sum(a.quantity for a in actions if isinstance(a, StopToMarket | Place)) == 5
    assert len(actions) == 2, "and by no order beside them, which could fill first"


def test_what_pairs_do_not_cover_is_closed_by_an_exit_of_its_own() -> None:
    stop, take = pair(2)
    actions = plan(with_take(situation(0, 3, stop, take)))
    assert actions == (StopToMarket(stop, Decimal(2)), Place(Purpose.EXIT, Side.SELL, Decimal(1), OrderType.MARKET))


def test_a_take_that_stands_alone_goes_before_an_exit_and_before_a_stop() -> None:
    _, take = pair(2)
    assert plan(with_take(situation(0, 2, take))) == (Cancel(take),)
    assert plan(with_take(situation(2, 2, take))) == (Cancel(take),)
    removed = with_take(situation(2, 2, take), stop_by_person="removed")
    assert plan(removed) == (), "a person wants no stop: the take stays"


def test_where_another_size_of_a_pair_is_wanted_its_take_goes_first() -> None:
    stop, take = pair(3)
    assert plan(with_take(situation(2, 3, stop, take))) == (Cancel(take),)
    one, other = pair(1), pair(2, group=2)
    assert plan(with_take(situation(1, 3, *one, *other))) == (Cancel(other[0]), Cancel(other[1])), "or all of it"


def test_what_an_entry_has_filled_in_part_is_its_legs_to_protect() -> None:
    """It waits at the venue for the rest: a second stop beside it would close more than there is."""
    entry = order(Purpose.ENTRY, Side.BUY, 3, order_id="e", filled_quantity=Decimal(1))
    leg = order(Purpose.STOP, Side.SELL, 3, "166", order_id="s", parent="e", status=OrderStatus.RECEIVED)
    assert plan(with_take(situation(3, 1, entry, leg), None)) == ()
    unseen = replace(entry, awaits=(Leg(LegPurpose.STOP, price=Decimal(166)),))
    assert plan(with_take(situation(3, 1, unseen), None)) == (), "also before any frame has shown it"
    assert plan(situation(3, 1, entry)) == (Place(Purpose.STOP, Side.SELL, Decimal(1), OrderType.STOP_MARKET, D166),)


D166 = Decimal(166)


def test_the_part_that_stays_of_a_late_entry_is_kept_and_the_rest_of_it_goes() -> None:
    entry = order(Purpose.ENTRY, Side.BUY, 2, order_id="1")
    assert plan(situation(2, 0, entry)) == ()
    assert plan(situation(2, 0, replace(entry, late=True))) == (Cancel(replace(entry, late=True)),)
    second = order(Purpose.ENTRY, Side.BUY, 2, order_id="2")
    assert plan(situation(2, 0, entry, second)) == (Cancel(second),), "together they are more than was declared"
    assert plan(situation(-2, 0, entry)) == (Cancel(entry),)


def test_an_exit_that_showed_up_late_is_cancelled() -> None:
    late = order(Purpose.EXIT, Side.SELL, 1, order_id="1", late=True)
    assert Cancel(late) in plan(situation(2, 2, late))
    assert Cancel(late) in plan(situation(0, 2, late))


def test_an_exit_that_works_is_counted() -> None:
    assert plan(situation(0, 2, order(Purpose.EXIT, Side.SELL, 2))) == ()
    rest = plan(situation(0, 3, order(Purpose.EXIT, Side.SELL, 2)))
    assert rest == (Place(Purpose.EXIT, Side.SELL, Decimal(1), OrderType.MARKET),)


def test_an_exit_counts_a_pair_that_is_under_way_and_one_that_is_too_large_loses_its_take_first() -> None:
    moving, take = pair(2, pending="replace", asked_quantity=Decimal(2))
    rest = Place(Purpose.EXIT, Side.SELL, Decimal(1), OrderType.MARKET)
    assert plan(with_take(situation(0, 3, moving, take))) == (rest,)
    stop, take = pair(3)
    assert plan(with_take(situation(0, 2, stop, take))) == (Cancel(take),)


def test_a_stop_makes_room_for_an_exit_that_works_and_a_late_one_beside_it_goes() -> None:
    leaves = order(Purpose.EXIT, Side.SELL, 1, order_id="x")
    stop = order(Purpose.STOP, Side.SELL, 2, "166", order_id="s")
    assert plan(situation(2, 2, leaves, stop)) == (ReplaceStop(stop, Decimal(1), D166),)
    late = replace(stop, late=True)
    assert plan(situation(0, 2, replace(leaves, quantity=Decimal(2)), late)) == (Cancel(late),)


def test_of_two_stops_the_one_that_showed_up_late_goes() -> None:
    late = order(Purpose.STOP, Side.SELL, 1, "166", order_id="1", late=True)
    successor = order(Purpose.STOP, Side.SELL, 1, "166", order_id="2", intent=2)
    assert plan(situation(1, 1, late, successor)) == (Cancel(late),)


def test_one_stop_grows_by_what_is_missing_and_not_one_that_is_going() -> None:
    first = order(Purpose.STOP, Side.SELL, 1, "166", order_id="1")
    second = order(Purpose.STOP, Side.SELL, 1, "166", order_id="2", intent=2)
    assert plan(situation(3, 3, first, second)) == (ReplaceStop(first, Decimal(2), D166),)
    going = replace(first, status=OrderStatus.CANCELLING)
    assert plan(situation(3, 3, going, second)) == (ReplaceStop(second, Decimal(2), D166),)
    assert plan(situation(1, 1, replace(going, stop_price=Decimal(165)))) == (), "nor is that one moved"


def test_a_pair_that_is_too_much_waits_for_the_size_that_the_venue_gives_it() -> None:
    rest = pair(2, group=2, owed=Decimal(1))
    assert plan(with_take(situation(1, 1, *pair(1), *rest))) == ()


def test_a_pair_whose_stop_is_the_exit_already_is_left_to_the_venue() -> None:
    leaving, take = pair(2, pending="replace", asked_type=OrderType.MARKET, asked_quantity=Decimal(2))
    assert plan(with_take(situation(1, 3, leaving, take, *pair(1, group=2)))) == ()


def test_a_take_that_a_person_moved_stays_there_and_of_two_alone_one_is_enough() -> None:
    stop, take = pair(2, take="169")
    assert plan(with_take(situation(2, 2, stop, take), take_by_person="changed")) == ()
    assert plan(with_take(situation(2, 2, stop, take), None, take_by_person="changed")) == ()
    first, second = pair(2)[1], pair(2, group=2)[1]
    assert plan(with_take(situation(2, 2, first, second), stop_by_person="removed")) == (Cancel(second),)


def test_a_refused_stop_and_one_without_a_tick_size_are_not_sent() -> None:
    stop = order(Purpose.STOP, Side.SELL, 1, "165")
    for orders in ((), (stop,)):
        plain = situation(1, 1, *orders)
        assert plan(replace(plain, declaration=replace(plain.declaration, refused=(Purpose.STOP,)))) == ()
        assert plan(replace(plain, instrument=None)) == ()


def test_an_entry_goes_to_the_end_of_its_validity_and_waits_for_what_is_in_its_way() -> None:
    enters = Place(Purpose.ENTRY, Side.BUY, Decimal(2), OrderType.MARKET)
    assert plan(situation(2, 0, now_utc=60.0)) == (enters,)
    going = order(Purpose.ENTRY, Side.BUY, 1, pending="cancel")
    assert plan(situation(2, 0, going)) == ()
    bought_back = order(Purpose.EXIT, Side.BUY, 1)
    one = order(Purpose.STOP, Side.SELL, 1, "166", order_id="2")
    assert plan(situation(2, 1, bought_back, one)) == (Cancel(bought_back),)
    moving = order(Purpose.STOP, Side.SELL, 2, "166", pending="replace", asked_quantity=Decimal(2))
    assert plan(situation(2, 0, moving)) == (), "a stop that is being moved is cancelled when that is settled"


def test_beyond_so_many_stops_an_entry_brings_none() -> None:
    held = [each for group in range(1, PAIRS_MAX + 1) for each in pair(1, group=group)]
    (entry,) = plan(with_take(situation(PAIRS_MAX + 1, PAIRS_MAX, *held)))
    assert isinstance(entry, Place)
    assert entry.legs == ()
    under_way = order(Purpose.ENTRY, Side.BUY, 1, order_id="e")
    leg = order(Purpose.STOP, Side.SELL, 1, "166", order_id="s", parent="e", status=OrderStatus.RECEIVED)
    (entry,) = plan(with_take(situation(PAIRS_MAX + 1, PAIRS_MAX - 1, *held[:-2], under_way, leg)))
    assert isinstance(entry, Place)
    assert entry.legs == ()


def test_a_group_closes_no_more_than_its_larger_and_what_stands_alone_adds_up() -> None:
    stop, take = pair(3)
    assert closes_at_most([stop, take]) == 3
    assert closes_at_most([stop, replace(take, quantity=Decimal(2))]) == 3
    assert closes_at_most([replace(stop, group=0), replace(take, group=0)]) == 6
    growing = replace(stop, group=0, pending="replace", asked_quantity=Decimal(5))
    assert closes_at_most([growing]) == 5, "whichever size fills"


def test_an_entry_brings_a_take_only_where_the_venue_ties_it_and_nobody_removed_it() -> None:
    stop, take = Leg(LegPurpose.STOP, price=D166), Leg(LegPurpose.TAKE, price=Decimal(170))
    both = with_take(situation(2, 0))
    assert [a.legs for a in plan(both) if isinstance(a, Place)] == [(stop, take)]
    for less in (
        replace(both, takes_native=False),
        replace(both, declaration=replace(both.declaration, take_by_person="removed")),
    ):
        assert [a.legs for a in plan(less) if isinstance(a, Place)] == [(stop,)]
    assert [a.legs for a in plan(with_take(situation(2, 0), stop_by_person="removed")) if isinstance(a, Place)] == [()]


def test_a_trail_of_the_venue_is_changed_only_within_its_kind_and_never_against_a_person() -> None:
    by_amount, by_percent = Trail(amount=Decimal("2.005")), Trail(percent=Decimal(1))
    stop = order(Purpose.STOP, Side.SELL, 2, trail=Trail(amount=Decimal(3)))
    trailing = with_take(situation(2, 2, stop), None, trail=by_amount, trail_native=True)
    assert plan(trailing) == (ReplaceStop(stop, Decimal(2), None, Trail(amount=Decimal("2.00"))),), "nearer, in ticks"
    assert plan(replace(trailing, declaration=replace(trailing.declaration, stop_by_person="changed"))) == ()
    assert plan(replace(trailing, declaration=replace(trailing.declaration, trail=by_percent))) == ()
    assert safe_trail(Trail(amount=Decimal("0.001")), Decimal("0.01")) == Trail(amount=Decimal("0.01")), "one tick"


def test_takes_are_rounded_away_from_the_market_and_trails_lie_behind_it() -> None:
    tick = Decimal("0.25")
    assert safe_take(Decimal("1670.01"), Side.BUY, tick) == Decimal("1670.25")
    assert safe_take(Decimal("1670.24"), Side.SELL, tick) == Decimal("1670.00")
    assert behind(Decimal(200), Trail(percent=Decimal(1)), Side.BUY) == 198
    assert behind(Decimal(200), Trail(amount=Decimal(3)), Side.SELL) == 203
    assert tighter(Decimal(198), Decimal(199), Side.BUY) == tighter(Decimal(200), Decimal(199), Side.SELL) == 199


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
