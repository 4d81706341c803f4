"""The planner and what the venue ties: pairs, what showed up late, what is in the way."""

from decimal import Decimal

import pytest

from brokers.model import OrderStatus, OrderType, Side, Trail
from tests.trader.situations import order, pair, replace, situation, with_take
from trader.orders.intents import Purpose
from trader.orders.legs import Leg, LegPurpose
from trader.orders.pairs import closes_at_most
from trader.orders.prices import behind, safe_take, safe_trail, tighter
from trader.orders.target import (
    PAIRS_MAX,
    Action,
    Cancel,
    Place,
    RefuseEntry,
    ReplaceStop,
    ReplaceTake,
    Situation,
    StopToMarket,
    plan,
    promised,
)


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


def test_a_take_that_stands_alone_goes_and_not_the_stop_that_is_back_beside_it() -> None:
    """Regression: what a stop covered was left to the take, and the stop was cancelled as too much."""
    _, take = pair(2)
    for late in (False, True):
        stop = order(Purpose.STOP, Side.SELL, 2, "166", order_id="2", intent=2, late=late)
        assert plan(with_take(situation(2, 2, take, stop))) == (Cancel(take),)
        going = replace(take, status=OrderStatus.CANCELLING)
        assert plan(with_take(situation(2, 2, going, stop))) == ()


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


def test_of_an_entry_that_is_bare_for_too_long_the_rest_goes_also_where_no_more_of_it_is_wanted() -> None:
    entry = order(Purpose.ENTRY, Side.BUY, 3, order_id="e", filled_quantity=Decimal(1))
    leg = order(Purpose.STOP, Side.SELL, 3, "166", order_id="s", parent="e", status=OrderStatus.RECEIVED)
    (refused,) = plan(situation(3, 1, entry, leg, uncovered_s=11.0))
    assert isinstance(refused, RefuseEntry)
    assert refused.left == 1
    assert plan(situation(1, 1, entry, leg, uncovered_s=11.0)) == (Cancel(entry),)


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


# -- what each part of a plan leaves alone -----------------------------------------------------------------------------

D1 = Decimal(1)


def exit_of(quantity: int) -> Place:
    return Place(Purpose.EXIT, Side.SELL, Decimal(quantity), OrderType.MARKET)


def stop_of(quantity: int) -> Place:
    return Place(Purpose.STOP, Side.SELL, Decimal(quantity), OrderType.STOP_MARKET, D166)


def entry_of(quantity: int) -> Place:
    return Place(Purpose.ENTRY, Side.BUY, Decimal(quantity), OrderType.MARKET)


ONE = order(Purpose.STOP, Side.SELL, 1, "166", order_id="1")
OTHER = order(Purpose.STOP, Side.SELL, 1, "166", order_id="2", intent=2)
TWO = order(Purpose.STOP, Side.SELL, 2, "166", order_id="2", intent=2)
LEAVING = replace(ONE, type=OrderType.MARKET, stop_price=None)
"""A stop that was turned into an exit."""
LEAVING_TAKE = replace(pair(1)[1], type=OrderType.MARKET, limit_price=None)
ENTRY = order(Purpose.ENTRY, Side.BUY, 2, order_id="e")
EXIT = order(Purpose.EXIT, Side.SELL, 1, order_id="x")
GOING = pair(2, status=OrderStatus.CANCELLING)


@pytest.mark.parametrize(
    ("seen", "does"),
    [
        pytest.param(situation(0, 2, EXIT, ENTRY), (Cancel(ENTRY), exit_of(1)), id="an entry goes, the exit stays"),
        pytest.param(
            situation(0, 2, LEAVING, OTHER, replace_to_market=False),
            (Cancel(OTHER),),
            id="what closes stays",
        ),
        pytest.param(situation(0, 2, LEAVING_TAKE), (exit_of(1),), id="nor is a take that closes"),
        pytest.param(situation(1, 1, ONE, stop=None), (), id="a stop that works stays where none is declared"),
        pytest.param(situation(3, 3, *pair(2), stop=None), (Cancel(pair(2)[1]),), id="and none is added to it"),
        pytest.param(
            with_take(situation(2, 0, stop=None)), (entry_of(2),), id="an entry without a stop takes none along"
        ),
        pytest.param(situation(0, 2, LEAVING, OTHER), (StopToMarket(OTHER, D1),), id="nor is it asked for twice"),
        pytest.param(
            situation(0, 2, EXIT, ONE, OTHER),
            (StopToMarket(ONE, D1), Cancel(OTHER)),
            id="beside an exit one stop is enough",
        ),
        pytest.param(
            situation(0, 3, replace(TWO, pending="replace", asked_quantity=Decimal(2))),
            (),
            id="no exit beside a stop that is asked for something",
        ),
        pytest.param(situation(3, 3, LEAVING, TWO), (), id="an exit is not moved as if it were a stop"),
        pytest.param(situation(3, 3, LEAVING_TAKE, TWO), (), id="nor withdrawn as if it were a take"),
        pytest.param(situation(3, 3, LEAVING), (stop_of(2),), id="what stays beside an exit gets a stop"),
        pytest.param(with_take(situation(3, 3, *pair(2))), (stop_of(1),), id="and so does what stays beside a pair"),
        pytest.param(
            situation(3, 3, replace(ONE, pending="replace"), OTHER),
            (ReplaceStop(OTHER, Decimal(2), D166),),
            id="a stop that can be asked grows",
        ),
        pytest.param(with_take(situation(2, 2, *GOING)), (), id="a pair whose stop is going keeps its take"),
        pytest.param(
            situation(1, 1, replace(ONE, stop_price=None, trail=Trail(amount=Decimal(2)))),
            (),
            id="what trails at the venue trails on under a plain stop",
        ),
        pytest.param(
            with_take(situation(2, 2, GOING[1], replace(GOING[0], status=OrderStatus.WORKING))),
            (),
            id="a pair as declared",
        ),
        pytest.param(
            with_take(situation(2, 2, pair(2)[0], replace(pair(2)[1], status=OrderStatus.CANCELLING)), "171"),
            (),
            id="a take that is going is not moved",
        ),
        pytest.param(with_take(situation(2, 2, pair(2)[1], stop=None)), (), id="without a stop a take may stand alone"),
        pytest.param(
            with_take(situation(3, 3, *pair(2)), stop_by_person="removed"), (), id="none is added that a person removed"
        ),
        pytest.param(with_take(situation(3, 3, pair(2)[1], stop=None)), (), id="none is added that nobody declared"),
        pytest.param(situation(1, 1, unpriced=True), (), id="none is sent that the market may have passed"),
        pytest.param(situation(3, 1, EXIT), (), id="no entry while an exit works"),
        pytest.param(
            situation(2, 1, ONE, replace(OTHER, side=Side.BUY)),
            (Cancel(replace(OTHER, side=Side.BUY)), entry_of(1)),
            id="a stop of the other side is in no entry's way",
        ),
        pytest.param(
            situation(2, 0, replace(ENTRY, side=Side.SELL), entry_refusal=("hold", "held")),
            (Cancel(replace(ENTRY, side=Side.SELL)), RefuseEntry("hold", "held", Decimal(0))),
            id="an entry of the other side is no part of what is declared",
        ),
        pytest.param(
            replace(with_take(situation(2, 0)), instrument=None), (entry_of(2),), id="no leg without a tick size"
        ),
        pytest.param(
            situation(0, 1, replace(LEAVING, late=True)),
            (Cancel(replace(LEAVING, late=True)),),
            id="an exit that showed up late goes, once",
        ),
    ],
)
def test_a_plan_leaves_alone_what(seen: Situation, does: tuple[Action, ...]) -> None:
    assert plan(seen) == does


def test_what_an_entry_had_filled_when_it_ended_is_promised_to_no_leg() -> None:
    leg = order(Purpose.STOP, Side.SELL, 3, "166", order_id="s", parent="e", status=OrderStatus.RECEIVED)
    part = replace(ENTRY, filled_quantity=Decimal(1))
    assert promised([part, leg]) == 1
    assert promised([replace(part, status=OrderStatus.CANCELLED), leg]) == 0
    assert promised([part, replace(leg, status=OrderStatus.CANCELLED)]) == 0
