"""What an order at the broker can be, by what it looks like, where no answer and no parent has told it.

A bracket's entry is known by its own terms and by the legs that are shown with it; a leg by its kind, price and time.
Only decides, over the account as it stands: ``settlement`` and ``brackets`` act by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brokers.model import ZERO, Order
from trader.manager.account import Account
from trader.orders.intents import OPENED_SKEW_S, Intent, IntentState, Kind, matches, succeeds
from trader.orders.legs import CHILD, Leg, leg_of, parent_of
from trader.orders.terms import terms, terms_of


def explains_nothing(account: Account, order: Order) -> bool:
    """No fill of it was taken for somebody else's, where an agreed position had to be explained."""
    return not account.journal.foreign.get(order.order_id)


# -- a bracket's entry -------------------------------------------------------------------------------------------------


def likely(intent: Intent, found: list[Order], orders: tuple[Order, ...]) -> list[Order]:
    """Of orders that look like a bracket's entry, those that can be it: told by its answer, if there was one, and not
    with the legs of another bracket."""
    if not intent.legs:
        return found
    return [
        order for order in _told(intent, found) if all(_can_be_leg(intent, leg) for leg in _legs_shown(order, orders))
    ]


def proven(intent: Intent, found: list[Order], orders: tuple[Order, ...]) -> list[Order]:
    """Those of them of which a leg is shown, too: the same bought by hand has none. (Where the venue names no parents,
    by what the leg is.)"""
    if not intent.legs:
        return found
    named = {parent_of(order) for order in orders}
    parents = [o for o in found if o.order_id in named or any(link.relation == CHILD for link in o.links)]
    alone = any(not o.links and _looks_like_a_leg(intent, o) for o in orders)
    return parents or (found if alone else [])


def moved(intent: Intent, found: list[Order], orders: Iterable[Order]) -> list[Order]:
    """Those of which the legs shown are ours in side and kind, and one is not at our price: so it looks when a person
    moves a stop that we have not heard of yet. Nothing tells it from a bracket that a person has sent, so it counts
    only where nothing else can come any more."""
    orders = tuple(orders)
    return [o for o in _told(intent, found) if _alike_in_kind(intent, _legs_shown(o, orders))]


def _told(intent: Intent, found: Iterable[Order]) -> list[Order]:
    told = intent.result_order_id.split()
    return [order for order in found if not told or order.order_id in told]


def _legs_shown(entry: Order, orders: Iterable[Order]) -> list[Order]:
    return [order for order in orders if parent_of(order) == entry.order_id]


def _alike_in_kind(intent: Intent, legs: list[Order]) -> bool:
    """A bracket has no two legs of a kind."""
    kinds = [leg_of(leg, intent.side, intent.legs) for leg in legs]
    ours = None not in kinds and len(set(kinds)) == len(kinds)
    return ours and not all(_can_be_leg(intent, leg) for leg in legs)


def named_by_another(account: Account, intent: Intent) -> frozenset[str]:
    """Ids that answers to other brackets have named: these are theirs, whatever they look like."""
    others = [i for i in account.journal.open_intents.values() if i.legs and i.number != intent.number]
    told = [order_id for other in others for order_id in other.result_order_id.split()]
    return frozenset([*told, *(order_id for e in account.journal.awaiting.values() for order_id in e.told)])


# -- a leg -------------------------------------------------------------------------------------------------------------


def _can_be_leg(intent: Intent, order: Order) -> bool:
    leg = leg_of(order, intent.side, intent.legs)
    return leg is not None and priced_as(leg, order)


def _looks_like_a_leg(intent: Intent, order: Order, *, smaller: bool = False) -> bool:
    """``smaller``: also one from which the venue may have taken what the other has filled."""
    fits = order.quantity <= intent.quantity if smaller else order.quantity == intent.quantity
    alike = fits and order.symbol == intent.symbol and order.opened_utc >= intent.written_utc - OPENED_SKEW_S
    return alike and _can_be_leg(intent, order)


def priced_as(leg: Leg, order: Order) -> bool:
    return leg.trail is not None or (order.stop_price, order.limit_price) == (leg.stop_price, leg.limit_price)


def legs_like(
    account: Account, intent: Intent, orders: Iterable[Order], *, alone: bool = False, closed: bool = False
) -> int:
    """Legs of which no frame has come, of the very terms that this stop or replace asks for: of entries that are known,
    and of those without outcome. (Where the venue names parents, or an answer has named ids, these tell them.)
    ``alone``: only such as are tied to no take, so that it does not matter which is which. ``closed``: of history,
    which has a leg's entry where it has the leg."""
    orders = tuple(orders)
    if any(order.links for order in orders):
        return 0
    opened = [i for i in account.journal.open_intents.values() if not i.result_order_id]
    if closed:
        opened = [i for i in opened if any(matches(i, order, ()) for order in orders)]
    known = [e for e in account.journal.awaiting.values() if not e.told]
    brackets = [(e.symbol, e.side, e.quantity, e.awaits, e.group > 0) for e in known]
    brackets += [(i.symbol, i.side, i.quantity, i.legs, False) for i in opened]
    asked = (intent.symbol, intent.side.opposite, terms_of(intent))
    return sum(
        (symbol, side, terms(quantity, leg.type, leg.stop_price, leg.limit_price, leg.trail)) == asked
        for symbol, side, quantity, legs, tied in brackets
        for leg in legs
        if not (alone and (tied or len(legs) > 1))
    )


def may_be_ours(account: Account, orders: Iterable[Order]) -> frozenset[str]:
    """Those that look like a leg of a bracket whose entry nobody has seen, or like such a bracket whole, moved by a
    person, that has come and gone: what they fill explains no position before that is settled."""
    orders = tuple(orders)
    brackets = [intent for intent in account.journal.open_intents.values() if intent.legs]
    legs = [o.order_id for i in brackets for o in orders if _looks_like_a_leg(i, o, smaller=True)]
    return frozenset([*legs, *(order_id for each in brackets for order_id in _come_and_gone(each, orders))])


def _come_and_gone(intent: Intent, orders: tuple[Order, ...]) -> Iterator[str]:
    """Its fills make nothing of a position, so that one which agrees says nothing about them."""
    for entry in moved(intent, [o for o in orders if matches(intent, o, ()) and not parent_of(o)], orders):
        whole = [entry, *_legs_shown(entry, orders)]
        if not sum((order.side.sign * order.filled_quantity for order in whole), ZERO):
            yield from (order.order_id for order in whole)


# -- anything of unknown fate ------------------------------------------------------------------------------------------


def may_be_unsettled(account: Account, order: Order, orders: Iterable[Order]) -> bool:
    """Whether it can be what an instruction without outcome has become, or a leg that no frame has shown yet."""
    placings = [i for i in account.journal.open_intents.values() if i.kind is Kind.PLACE]
    sent = [(i.symbol, leg_of(order, i.side, i.legs)) for i in placings]
    sent += [(e.symbol, leg_of(order, e.side, e.awaits)) for e in account.journal.awaiting.values()]
    leg = any(symbol == order.symbol and found is not None for symbol, found in sent)
    return leg or any(matches(i, order, ()) for i in placings) or may_go_on(account, order, orders)


# -- a replaced order under another id ---------------------------------------------------------------------------------


def may_go_on(account: Account, order: Order, orders: Iterable[Order]) -> bool:
    """Whether it can be the order as which a replaced one goes on that has ended, or is not shown. That one's end must
    come of something, so ``settlement`` tells that first."""
    working = {each.order_id for each in orders if each.working}
    for intent in account.journal.open_intents.values():
        old = account.journal.orders.get(intent.order_id)
        unknown = intent.kind is Kind.REPLACE and intent.state is IntentState.UNKNOWN
        if not unknown or old is None or old.order_id in working or parent_of(order) not in ("", old.parent):
            continue
        if succeeds(intent, order, old.filled_quantity, (), tied=old.group > 0):
            return True
    return False
