"""What a frame of an order that the venue ties to others means, and what only together with theirs. Pure."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from brokers.model import Order, OrderStatus, OrderType, Side
from trader.manager.account import Account, Now
from trader.manager.brackets import Judged, judged, not_taken, outlived, owe
from trader.orders.intents import Purpose
from trader.orders.legs import Leg, LegPurpose
from trader.orders.own_order import OwnOrder

replace = msgspec.structs.replace
D = Decimal
WORKING, CANCELLED, FILLED, RECEIVED = (
    OrderStatus.WORKING,
    OrderStatus.CANCELLED,
    OrderStatus.FILLED,
    OrderStatus.RECEIVED,
)
SETTLE_S = 10.0


def own(order_id: str, purpose: Purpose, side: Side = Side.SELL, **more: Any) -> OwnOrder:
    like = {"status": WORKING, "parent": "1", "group": 1, **more}
    return replace(OwnOrder(order_id, 1, purpose, "SPY", side, OrderType.MARKET, D(3), None), **like)


ENTRY = own("1", Purpose.ENTRY, Side.BUY, parent="", status=FILLED, filled_quantity=D(3))
ENTERING = replace(ENTRY, status=WORKING, filled_quantity=D(0))
AWAITS = replace(ENTRY, awaits=(Leg(LegPurpose.TAKE, D(170)),))
STOP, TAKE = own("2", Purpose.STOP), own("3", Purpose.TAKE)
LONE = replace(STOP, group=0)
OWED = replace(STOP, owed=D(1))
ASKED = replace(STOP, pending="replace", asked_quantity=D(2))
MOVING = replace(TAKE, pending="replace")
WITHDRAWN = replace(TAKE, withdrawn=True, pending="cancel")
GONE = replace(WITHDRAWN, status=CANCELLED)
PAIR, GOING = [ENTRY, STOP, TAKE], [ENTRY, STOP, WITHDRAWN]
READ: dict[str, Any] = {"read": True}
SHOWN, ENDED = {**READ, "beside": "3"}, {**READ, "ended": "3"}


def frame(order: OwnOrder, **changes: Any) -> Order:
    like = order.order_id, "A", "SPY", order.side, order.type, order.quantity, order.status, "X", 0.0
    return replace(Order(*like, order.filled_quantity), **changes)


def account_of(*orders: OwnOrder, vanished: str = "") -> Any:
    known = {order.order_id: order for order in orders}
    working = {order_id: order for order_id, order in known.items() if order.working}
    journal = SimpleNamespace(orders=known, working=working, write_order=lambda o: known.update({o.order_id: o}))
    missing = {vanished: None} if vanished else {}
    timing = SimpleNamespace(settle_s=SETTLE_S)
    return SimpleNamespace(journal=journal, missing=missing, want_read=False, timing=timing)


TAKEN, WAITS, BY_VENUE = Judged(), Judged(wait=True), Judged(by_venue=True)
ENDS, LESS, PART = {"status": CANCELLED}, {"quantity": D(2)}, {"filled_quantity": D(1)}


@pytest.mark.parametrize(
    ("told", "orders", "changes", "how", "means"),
    [
        # an entry is tied to its legs, and they wait for it, not it for them
        ("an entry's end", [ENTERING, STOP, TAKE], ENDS, {"of": "1"}, TAKEN),
        # what a leg fills while its entry works
        ("a fill", [ENTERING, LONE], PART, {}, WAITS),
        ("a fill beside its entry's frame", [ENTERING, LONE], PART, {"beside": "1"}, WAITS),
        ("a fill in a read that shows the entry", [ENTERING, LONE], PART, {"read": True, "beside": "1"}, TAKEN),
        ("a fill in a read without the entry", [ENTERING, LONE], PART, READ, WAITS),
        ("a fill when the entry has vanished", [ENTERING, LONE], PART, {"read": True, "vanished": "1"}, TAKEN),
        ("the same by the stream", [ENTERING, LONE], PART, {"vanished": "1"}, WAITS),
        ("a fill after the entry", [ENTRY, LONE], PART, {}, TAKEN),
        ("a fill whose entry is forgotten", [LONE], PART, {}, TAKEN),
        ("no fill", [ENTERING, LONE], {}, {}, TAKEN),
        ("a fill that is known", [ENTERING, replace(LONE, **PART)], {}, {}, TAKEN),
        # ends
        ("an end", PAIR, ENDS, {}, WAITS),
        ("an end in a read without the other", PAIR, ENDS, READ, WAITS),
        ("an end in a read that shows the other", PAIR, ENDS, SHOWN, TAKEN),
        ("an end when the other has vanished", PAIR, ENDS, {"read": True, "vanished": "3"}, TAKEN),
        ("an end that we asked for", [ENTRY, replace(STOP, pending="cancel"), TAKE], ENDS, {}, TAKEN),
        ("an end that is known", [ENTRY, replace(STOP, status=CANCELLED), TAKE], ENDS, {}, TAKEN),
        ("an end that a replace may have made", PAIR, ENDS, {"replacing": True}, TAKEN),
        ("but not what the other filled", [ENTRY, replace(STOP, owed=D(3)), TAKE], ENDS, {"replacing": True}, BY_VENUE),
        ("an end of what the other has filled", [ENTRY, OWED, TAKE], ENDS, {}, BY_VENUE),
        ("an end with its entry's", [replace(ENTERING, status=CANCELLED), STOP, TAKE], ENDS, {}, BY_VENUE),
        ("an end before its entry's", [ENTERING, STOP, TAKE], ENDS, {}, WAITS),
        ("an end of one that is tied to none", [ENTRY, LONE], ENDS, {}, TAKEN),
        ("an end beside another group", [ENTRY, STOP, replace(TAKE, group=2)], ENDS, {}, TAKEN),
        ("an end of a lone one beside a lone one", [ENTRY, LONE, replace(TAKE, group=0)], ENDS, {}, TAKEN),
        ("an end when the other was not seen yet", [AWAITS, STOP], ENDS, READ, WAITS),
        ("an end of a lone one whose entry awaits", [AWAITS, LONE], ENDS, READ, TAKEN),
        ("an end beside the other, by the stream", PAIR, ENDS, {"beside": "3"}, WAITS),
        ("an end whose entry is forgotten", [STOP, TAKE], ENDS, {}, WAITS),
        # ends of a group that we have begun
        ("an end after our cancel of the other", [ENTRY, STOP, GONE], ENDS, {}, BY_VENUE),
        ("an end after that in another group", [ENTRY, STOP, replace(GONE, group=2)], ENDS, {}, TAKEN),
        ("an end while that works on", GOING, ENDS, SHOWN, TAKEN),
        ("an end with it", GOING, ENDS, ENDED, BY_VENUE),
        ("an end when nothing is told of that", GOING, ENDS, {}, WAITS),
        ("an end when that has vanished", GOING, ENDS, {"read": True, "vanished": "3"}, BY_VENUE),
        ("an end after that, as an older frame has it", [ENTRY, STOP, GONE], ENDS, {**READ, "stale": "3"}, BY_VENUE),
        ("an end beside a lone one that we ended", [ENTRY, LONE, replace(GONE, group=0)], ENDS, {}, TAKEN),
        # an other that may go on under another id
        ("an end beside a replaced one's", [ENTRY, STOP, MOVING], ENDS, ENDED, WAITS),
        ("an end beside one that is being replaced", [ENTRY, STOP, MOVING], ENDS, SHOWN, TAKEN),
        ("an end beside an end", PAIR, ENDS, ENDED, TAKEN),
        # a smaller size
        ("less", PAIR, LESS, {}, WAITS),
        ("less in a read that shows why not", PAIR, LESS, SHOWN, TAKEN),
        ("less by what the other has filled", [ENTRY, OWED, TAKE], LESS, {}, BY_VENUE),
        ("less by more than that", [ENTRY, OWED, TAKE], {"quantity": D(1)}, SHOWN, TAKEN),
        ("less by what is told with it", PAIR, LESS, {"filled": "3"}, BY_VENUE),
        ("less while its entry works", [ENTERING, STOP, TAKE], LESS, {"filled": "3"}, WAITS),
        ("less while one was not seen", [AWAITS, STOP, TAKE], LESS, {"filled": "3"}, WAITS),
        ("less as we asked", [ENTRY, ASKED, TAKE], LESS, {}, TAKEN),
        ("less, and we asked for another size", [ENTRY, replace(ASKED, asked_quantity=D(1)), TAKE], LESS, {}, WAITS),
        ("less as we had asked once", [ENTRY, replace(ASKED, pending=""), TAKE], LESS, {}, WAITS),
        ("less of a lone one", [ENTRY, LONE, replace(TAKE, group=0)], LESS, {}, TAKEN),
        ("less of a lone one while its entry works", [ENTERING, LONE], LESS, {}, TAKEN),
        ("less while a replace may have taken", PAIR, LESS, {"replacing": True}, WAITS),
        ("a fill of all that is left", PAIR, {**LESS, "status": FILLED, **PART}, {}, TAKEN),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_a_frame_of_what_is_tied_means(
    told: str, orders: list[OwnOrder], changes: dict[str, Any], how: dict[str, Any], means: Judged
) -> None:
    known = {order.order_id: order for order in orders}
    mine = known[how.get("of", "2")]
    account, shown = account_of(*orders, vanished=how.get("vanished", "")), {mine.order_id: frame(mine, **changes)}
    for word, other in (("beside", {}), ("ended", ENDS), ("filled", PART), ("stale", {"status": WORKING})):
        if word in how:
            shown[how[word]] = frame(known[how[word]], **other)
    found = judged(
        account,
        mine,
        shown[mine.order_id],
        read=how.get("read", False),
        shown=shown,
        replacing=how.get("replacing", False),
    )
    assert found == means
    assert not found.wait or account.want_read or how.get("read"), "who waits for a read asks for one"


@pytest.mark.parametrize(
    ("entry", "status", "asks"),
    [(ENTERING, WORKING, True), (ENTERING, RECEIVED, False), (ENTRY, WORKING, False)],
)
def test_a_leg_that_works_while_its_entry_does_is_a_reason_to_read(
    entry: OwnOrder, status: OrderStatus, asks: bool
) -> None:
    """Its entry has filled, or it would not work."""
    account = account_of(entry, STOP, TAKE)
    assert judged(account, STOP, frame(STOP, status=status), read=False, shown={}, replacing=False) == TAKEN
    assert account.want_read is asks


@pytest.mark.parametrize(
    ("order", "after_s", "left"),
    [
        (OWED, SETTLE_S, 0),
        (OWED, SETTLE_S - 1.0, 1),
        (replace(STOP, owed=D(-1)), SETTLE_S, -1),
        (replace(STOP, owed=D(1), status=FILLED), SETTLE_S, 1),
        (STOP, SETTLE_S, 0),
    ],
)
def test_what_the_venue_has_not_taken_so_long_after_the_others_fill_is_ours_to_take(
    order: OwnOrder, after_s: float, left: int
) -> None:
    assert not_taken(account_of(), replace(order, owed_since_s=100.0), 100.0 + after_s).owed == left


@pytest.mark.parametrize(
    ("mine", "changes", "other", "forgotten"),
    [
        (STOP, {}, GONE, True),
        (STOP, {}, WITHDRAWN, False),
        (STOP, {}, replace(GONE, group=2), False),
        (LONE, {}, replace(GONE, group=0), False),
        (STOP, ENDS, GONE, False),
    ],
)
def test_what_outlives_our_cancel_of_the_other_was_not_ended_by_it(
    mine: OwnOrder, changes: dict[str, Any], other: OwnOrder, forgotten: bool
) -> None:
    account = account_of(ENTRY, mine, other)
    outlived(cast(Account, account), mine, frame(mine, **changes))
    assert account.journal.orders["3"].withdrawn is not forgotten


def test_what_one_of_a_group_fills_is_owed_by_the_others_and_never_by_their_entry() -> None:
    """Some venues send the legs at the entry's first part: it goes on filling."""
    others = replace(TAKE, order_id="4", group=2), replace(TAKE, order_id="5", status=CANCELLED)
    account = account_of(ENTERING, STOP, TAKE, *others)
    owe(cast(Account, account), STOP, D(1), Now(5.0, 5.0, 1.0))
    assert {order_id: order.owed for order_id, order in account.journal.orders.items()} == {
        "1": 0,
        "2": 0,
        "4": 0,
        "5": 0,
        "3": 1,
    }
