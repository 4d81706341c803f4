"""A session for extended hours: the form of its stops, what is told outside regular hours, what the venue refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import Duration, OrderStatus, OrderType
from tests.scripted_parts import HttpRequest
from tests.trader.session_world import SESSION, SYMBOL, Desk, reply
from tests.trader.test_session_hours import refused_by, write
from trader.hours.market_hours import EXTENDED, STOCKS
from trader.manager.protection import protective, stop_becomes_exit, views
from trader.messages import PositionView
from trader.orders.position import Holding

REGULAR_S, EVENING_S, MORNING_S, OPEN_S = 330.0, 390.0, 450.0, 510.0
"""From the beginning of each test to the close of regular hours, of extended ones, and to the next begin of both."""


def desk_of(*, fires: bool | None = None, **words: Any) -> Desk:
    """Days are short here."""
    desk = Desk(msgspec.structs.replace(SESSION, extended_hours=True, **words))
    account = desk.manager.account
    account.capabilities = msgspec.structs.replace(account.capabilities, extended_stops=fires)
    hours(desk)
    return desk


def hours(desk: Desk) -> None:
    write(desk, (-3600, REGULAR_S), (OPEN_S, 84_600))
    write(desk, (-7200, EVENING_S), (MORNING_S, 90_000), calendar=STOCKS + EXTENDED)


def view(desk: Desk) -> PositionView:
    (found,) = views(desk.manager.account)
    return found


def stops(desk: Desk) -> list[str]:
    found = desk.orders.items()
    return [order_id for order_id, order in found if order.working and order.type is OrderType.STOP_MARKET]


def told(desk: Desk, kind: str) -> int:
    return desk.events().count(kind)


def test_its_stop_is_in_the_form_for_extended_hours_and_what_it_covers_is_said() -> None:
    desk = desk_of()
    desk.long_and_covered()
    (stop,) = stops(desk)
    assert desk.orders[stop].duration is Duration.GTC_EXTENDED
    assert view(desk).covered == "regular hours; bare in extended hours, as far as anybody knows"
    assert "uncovered" not in desk.events(), "it works"


def test_a_session_for_regular_hours_has_the_other_form_and_hears_nothing_of_the_evening() -> None:
    desk = Desk()
    hours(desk)
    desk.long_and_covered()
    (stop,) = stops(desk)
    assert desk.orders[stop].duration is Duration.GTC
    assert view(desk).covered == "regular hours"
    desk.world.advance(REGULAR_S + 30.0)
    assert told(desk, "uncovered.extended") == 0


@pytest.mark.parametrize(("fires", "bare"), [(None, 1), (False, 1), (True, 0)])
def test_held_outside_regular_hours_it_is_told_as_bare_unless_its_stop_is_known_to_fire(
    fires: bool | None, bare: int
) -> None:
    desk = desk_of(fires=fires)
    desk.long_and_covered()
    desk.world.advance(REGULAR_S - 30.0)
    assert told(desk, "uncovered.extended") == 0
    desk.world.advance(60.0)
    assert told(desk, "uncovered.extended") == bare
    desk.world.advance(60.0)
    assert told(desk, "uncovered.extended") == told(desk, "uncovered.extended_over") == bare, "nothing trades now"
    desk.world.advance(60.0)
    assert told(desk, "uncovered.extended") == 2 * bare, "before the next open again"
    assert told(desk, "uncovered") == 0, "the stop works all the while"


def test_the_stretch_is_told_once_also_over_a_death() -> None:
    desk = desk_of()
    desk.long_and_covered()
    desk.world.advance(REGULAR_S + 20.0)
    desk.restart()
    desk.attach()
    desk.read()
    desk.world.advance(20.0)
    assert told(desk, "uncovered.extended") == 1


def test_a_stop_that_is_refused_for_its_form_is_placed_for_regular_hours_at_once() -> None:
    desk = desk_of()
    desk.on_order, desk.refuse_leg = refuse_the_form, "StopMarket"
    desk.ready()
    desk.declare(1)
    desk.fill(next(iter(desk.orders)))
    desk.stream()
    desk.world.advance(2.0)
    desk.read()
    desk.world.advance(2.0)
    (stop,) = stops(desk)
    assert desk.orders[stop].duration is Duration.GTC
    assert told(desk, "stop.regular_form") == 1
    assert not {"stop.refused", "uncovered"} & set(desk.events())
    assert view(desk).covered == "regular hours; bare in extended hours"
    tried = len(desk.sent("POST"))
    desk.change(stop, status=OrderStatus.EXPIRED)
    desk.read()
    assert len(desk.sent("POST")) == tried + 1, "the refused form is not tried again"


def test_where_the_other_form_is_refused_too_the_form_was_not_why() -> None:
    desk = desk_of()
    desk.on_order, desk.refuse_leg = refuse_all_stops, "StopMarket"
    desk.ready()
    desk.declare(1)
    desk.fill(next(iter(desk.orders)))
    desk.stream()
    desk.world.advance(5.0)
    assert len(desk.sent("POST")) == 2, "the entry, and its stop once more by itself"
    assert (told(desk, "stop.regular_form"), told(desk, "stop.refused")) == (1, 1)
    desk.on_order = None
    desk.declare(1, "165")
    (stop,) = stops(desk)
    assert desk.orders[stop].duration is Duration.GTC_EXTENDED


def refuse_all_stops(request: HttpRequest) -> Any:
    if msgspec.json.decode(request.body or b"")["OrderType"] == "StopMarket":
        return reply({"Orders": [{"Error": "FAILED", "Message": "the market is beyond the stop"}]})
    return None


def refuse_the_form(request: HttpRequest) -> Any:
    """Stops for extended hours, where they come alone."""
    body = msgspec.json.decode(request.body or b"")
    if body["OrderType"] == "StopMarket" and body["TimeInForce"]["Duration"] == "GCP":
        return reply({"Orders": [{"Error": "FAILED", "Message": "no such duration for this type"}]})
    return None


def test_an_exit_cancels_that_stop_first_since_it_cannot_become_a_market_order() -> None:
    desk = desk_of()
    desk.long_and_covered()
    (stop,) = stops(desk)
    desk.declare(0)
    assert desk.sent()[-1:] == ["DELETE"]
    assert "PUT" not in desk.sent()
    desk.stream()
    (exit_,) = [order for order in desk.orders.values() if order.working]
    assert (exit_.type, exit_.quantity, exit_.duration) == (OrderType.MARKET, Decimal(1), Duration.DAY)
    assert desk.orders[stop].status is OrderStatus.CANCELLED
    desk.fill(exit_.order_id)
    desk.stream()
    desk.read()
    assert desk.position == 0


def test_entries_wait_for_regular_hours() -> None:
    desk = desk_of()
    desk.ready()
    desk.world.advance(REGULAR_S + 20.0)
    desk.read()
    desk.declare(1)
    assert refused_by(desk) == ["market"]
    assert SYMBOL in desk.manager.account.extended_hours


# -- what protects a position, as it is seen ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("can", "extended", "duration", "inert_closes", "becomes"),
    [
        ({}, False, Duration.GTC, False, True),
        ({"replace_to_market": False}, False, Duration.GTC, False, False),
        ({}, False, Duration.GTC, True, False),
        ({}, True, Duration.GTC, False, False),
        ({}, False, Duration.GTC_EXTENDED, False, False),
        ({"extended_market": True}, True, Duration.GTC_EXTENDED, False, True),
        ({"extended_market": True, "replace_to_market": False}, True, Duration.GTC_EXTENDED, False, False),
    ],
)
def test_a_stop_becomes_the_exit_where_the_venue_takes_that_in_its_form(
    can: dict[str, Any], extended: bool, duration: Duration, inert_closes: bool, becomes: bool
) -> None:
    """Else it is cancelled first; one that does not fire is not trusted to become anything."""
    desk = Desk(msgspec.structs.replace(SESSION, extended_hours=extended))
    desk.long_and_covered()
    account, journal = desk.manager.account, desk.manager.journal
    able = {"replace_to_market": True, "extended_market": False, **can}
    account.capabilities = msgspec.structs.replace(account.capabilities, **able)
    with journal.transaction():
        journal.write_order(msgspec.structs.replace(journal.orders["2"], duration=duration))
        journal.mind(SYMBOL, msgspec.structs.replace(journal.minded(SYMBOL), inert_closes=inert_closes))
    assert stop_becomes_exit(account, SYMBOL) is becomes


@pytest.mark.parametrize(
    ("kind", "durations", "form"),
    [
        ("STOCK", (Duration.GTC, Duration.GTC_EXTENDED), Duration.GTC_EXTENDED),
        ("STOCK", (Duration.GTC,), Duration.GTC),
        ("FUTURE", (Duration.GTC, Duration.GTC_EXTENDED), Duration.GTC),
    ],
)
def test_the_form_for_extended_hours_is_asked_for_where_there_are_such_hours_and_such_a_form(
    kind: str, durations: tuple[Duration, ...], form: Duration
) -> None:
    desk = desk_of()
    desk.ready()
    account = desk.manager.account
    account.capabilities = msgspec.structs.replace(account.capabilities, durations=durations)
    instrument = msgspec.structs.replace(account.journal.instruments[SYMBOL], kind=kind)
    with account.journal.transaction():
        account.journal.write_instrument(instrument)
    assert protective(account, SYMBOL) is form


@pytest.mark.parametrize(
    ("quantity", "stops", "shown"),
    [(2, ("165", "166"), "165"), (-2, ("168", "169"), "169"), (2, ("165", None), None), (2, (), None)],
)
def test_of_several_stops_the_farthest_is_shown_and_none_where_one_trails_at_the_venue(
    quantity: int, stops: tuple[str | None, ...], shown: str | None
) -> None:
    desk = Desk()
    desk.long_and_covered()
    journal = desk.manager.journal
    like = journal.orders["2"]
    with journal.transaction():
        journal.hold_position(SYMBOL, Holding(Decimal(quantity), Decimal(167), 0.0))
        journal.write_order(msgspec.structs.replace(like, status=OrderStatus.CANCELLED))
        for number, price in enumerate(stops):
            stop = None if price is None else Decimal(price)
            journal.write_order(msgspec.structs.replace(like, order_id=f"s{number}", stop_price=stop))
    desk.manager.account.stir()
    seen = view(desk)
    assert seen.stop == (None if shown is None else Decimal(shown))
    assert (seen.stop_held_by, seen.covered) == (("venue", "regular hours") if stops else ("", ""))


def test_a_position_is_seen_as_agreed_from_the_first_read_and_while_none_differs() -> None:
    desk = Desk()
    desk.world.advance(1.0)
    assert not view(desk).agreed
    desk.read()
    assert view(desk).agreed
    desk.by_hand(1)
    desk.read()
    assert not view(desk).agreed
    desk.read()
    assert view(desk).agreed, "adopted"
