"""From a body to orders: what was asked for, built and checked, before anything is booked. PURE.

Fields and rules are those of the venue's documents. What is not served is refused in words (400), never
accepted and left lying.
"""

from __future__ import annotations

import datetime
from decimal import Decimal

import msgspec

from brokers.tradestation.emulator import activation, balances, book, checks, matching
from brokers.tradestation.emulator.bodies import Body, amount, choice, listed, lowered, text, truth, unbuilt
from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.expiry import DATED, DURATIONS, GOOD_TILL_DAYS_MAX
from brokers.tradestation.emulator.instruments import Instrument, instrument
from brokers.tradestation.emulator.lives import placed
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.order_wire import SIDE_TEXT
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now

CONFIRM_ID_CHARS_MAX = 22
GROUP_ORDERS_MAX = 25  # a limit of ours
ORDER_TYPES = {"market": "Market", "limit": "Limit", "stopmarket": "StopMarket", "stoplimit": "StopLimit"}
GROUP_TYPES = {"oco": "OCO", "brk": "BRK", "normal": "NORMAL"}
ACTIONS = {name.lower(): name for name in SIDE_TEXT}
_DURATIONS = {name.lower(): name for name in DURATIONS} | {f"{minutes} min": minutes for minutes in ("1", "3", "5")}
ADVANCED_SERVED = ("trailingstop", "allornone", "showonlyquantity", "marketactivationrules", "timeactivationrules")
PERCENT_END = 100
_DAY_S = 86_400


class Leg(msgspec.Struct):
    """One order of a request. ``parent`` and ``siblings`` are places in the same list; ``kind``: how it is tied to the
    siblings."""

    body: Body
    parent: int | None = None
    kind: str = "NORMAL"
    siblings: tuple[int, ...] = ()
    refusal: str = ""


# What was asked for


def legs_of_order(body: Body) -> list[Leg]:
    """The order and, behind it, the children of its OSOs, each with its own behind it."""
    legs: list[Leg] = []
    _add(legs, body, None, "NORMAL")
    return legs


def legs_of_group(body: Body) -> list[Leg]:
    legs: list[Leg] = []
    _add_group(legs, body, None)
    return legs


def _add(legs: list[Leg], body: Body, parent: int | None, kind: str) -> int:
    """The place of this order in the list."""
    place = len(legs)
    if place >= GROUP_ORDERS_MAX:
        raise unbuilt(f"more than {GROUP_ORDERS_MAX} orders in one request")
    legs.append(Leg(_of_one_leg(body), parent, kind))
    for group in listed(body, "osos"):
        _add_group(legs, group, place)
    return place


def _add_group(legs: list[Leg], body: Body, parent: int | None) -> None:
    kind, orders = _group(body)
    places = [_add(legs, one, parent, kind) for one in orders]
    if kind != "NORMAL":
        for place in places:
            legs[place].siblings = tuple(one for one in places if one != place)


def _of_one_leg(body: Body) -> Body:
    """``Legs`` with one leg is that order in another form [spec: samples leave out what a leg says]."""
    legs = listed(body, "legs")
    if not legs:
        return body
    if len(legs) > 1:
        raise unbuilt(f"{len(legs)} Legs are not served by this emulator, only one")
    told = dict(body)
    for name in ("symbol", "quantity", "tradeaction"):
        given, of_leg = body.get(name), legs[0].get(name)
        if given is not None and of_leg is not None and str(given).lower() != str(of_leg).lower():
            raise unbuilt(f"{name} is {given!r} in the order and {of_leg!r} in its leg")
        told[name] = of_leg if given is None else given
    return told


def _group(body: Body) -> tuple[str, list[Body]]:
    kind, orders = choice(body, "type", GROUP_TYPES), listed(body, "orders")
    if not 1 <= len(orders) <= GROUP_ORDERS_MAX:
        raise unbuilt(f"a group has {len(orders)} orders, the limits are 1 and {GROUP_ORDERS_MAX}")
    if kind == "BRK" and len({(str(one.get("symbol")), str(one.get("tradeaction")).lower()) for one in orders}) > 1:
        raise unbuilt("the orders of a bracket have one symbol and one side")
    return kind, orders


def confirm_id(body: Body) -> str:
    given = body.get("orderconfirmid")
    if given is None:
        return ""
    if not isinstance(given, str) or not 1 <= len(given) <= CONFIRM_ID_CHARS_MAX:
        raise unbuilt(f"OrderConfirmID must be text of 1 to {CONFIRM_ID_CHARS_MAX} characters, got {given!r}")
    return given


# Building


def build(state: State, leg: Leg, order_id: str, now: Now) -> book.OrderPlaced:
    """As it would be booked, with a reason where it is refused. Raises Refusal where no order could be built."""
    body = leg.body
    account, about = _account(state, body), _symbol(state, body)
    order_type, action = choice(body, "ordertype", ORDER_TYPES), choice(body, "tradeaction", ACTIONS)
    duration, good_till_day = _time_in_force(body, now)
    quantity, options = amount(body, "quantity"), options_of(body)
    trail, terms = trail_of(options), terms_of(state, options)
    if trail is not None and order_type != "StopMarket":
        raise unbuilt(f"a trailing stop is a StopMarket order, not {order_type}")
    stop_price = amount(body, "stopprice") if order_type in ("StopMarket", "StopLimit") and trail is None else None
    limit_price = amount(body, "limitprice") if order_type in ("Limit", "StopLimit") else None
    built = book.OrderPlaced(
        order_id=order_id,
        account=account,
        symbol=about.symbol,
        action=action,
        quantity=int(quantity) if quantity == int(quantity) else 0,
        order_type=order_type,
        at_utc=now.market_utc,
        stop_price=stop_price,
        duration=duration,
        confirm_id=confirm_id(body),
        reason=leg.refusal,
        limit_price=limit_price,
        trail=trail,
        good_till_day=good_till_day,
        terms=terms,
    )
    order = placed(built)
    reason = leg.refusal or _reason(state, order, quantity, about, is_child=leg.parent is not None)
    status = _status(state, order, leg, about)
    if not reason and status == built.status:
        return built
    return msgspec.structs.replace(built, reason=reason, status=status)


def _reason(state: State, built: Order, quantity: Decimal, about: Instrument, *, is_child: bool) -> str:
    """Why the order is refused inside the 200; "" where it is accepted. What a child needs (a position, buying power)
    is looked at when it is sent, since its parent makes it."""
    owner = state.ledger.accounts[built.account]
    refused = (
        checks.market_refusal(owner, about, built.action)
        or checks.quantity_refusal(quantity)
        or checks.price_refusal("StopPrice", built.stop_price, about)
        or checks.price_refusal("LimitPrice", built.limit_price, about)
        or _trail_refusal(built.trail, about)
        or checks.terms_refusal(built.terms, built.order_type, built.quantity, about)
        or checks.duration_refusal(built.duration, built.order_type, about, built.opened_utc)
    )
    if refused or is_child:
        return refused
    return checks.side_refusal(owner, about.symbol, built.action, built.quantity) or balances.buying_power_refusal(
        state, built, about
    )


def _trail_refusal(trail: book.Trail | None, about: Instrument) -> str:
    if trail is None or trail.amount is None:
        return ""
    return checks.price_refusal("TrailingStop", trail.amount, about)


def _status(state: State, built: Order, leg: Leg, about: Instrument) -> str:
    if leg.parent is not None:
        return "OSO"
    series = state.market.series(built.symbol)
    if series is None or matching.is_open(built, about, series, state.rules, built.opened_utc):
        return "ACK"
    return "DON"


def _account(state: State, body: Body) -> str:
    account = text(body, "accountid")
    if account not in state.ledger.accounts:
        raise Refusal(403, "Forbidden", "Invalid Account ID.")
    return account


def _symbol(state: State, body: Body) -> Instrument:
    """Orders go to the dated contract: a continuous symbol is none."""
    symbol = text(body, "symbol").upper()
    about = instrument(symbol)
    if about is None or state.market.series(symbol) is None:
        raise unbuilt("FAILED, INVALID SYMBOL")
    return about


def _time_in_force(body: Body, now: Now) -> tuple[str, int]:
    """The duration, and for one to a date that date in days since 1970 (at most 90 days ahead)."""
    given = body.get("timeinforce")
    if not isinstance(given, dict):
        raise unbuilt("TimeInForce is missing: an object with Duration")
    fields = lowered(given, "TimeInForce")
    duration = choice(fields, "duration", _DURATIONS)
    if duration not in DATED:
        return duration, 0
    try:
        moment = datetime.datetime.fromisoformat(text(fields, "expiration"))
    except ValueError as error:
        raise unbuilt(f"Expiration {fields.get('expiration')!r} is no time") from error
    day, today = moment.date().toordinal() - datetime.date(1970, 1, 1).toordinal(), int(now.market_utc // _DAY_S)
    if day < today:
        raise unbuilt(f"Expiration {moment.date()} is in the past")
    return duration, min(day, today + GOOD_TILL_DAYS_MAX)


def options_of(body: Body) -> Body:
    """AdvancedOptions; whatever stands there, is not empty and is not served is refused."""
    given = body.get("advancedoptions")
    if not given:
        return {}
    options = lowered(given, "AdvancedOptions")
    if inner := options.pop("advancedoptions", None):  # a sample of the venue's writes them inside themselves [spec]
        options = {**lowered(inner, "AdvancedOptions"), **options}
    for name, value in options.items():
        if value and name not in ADVANCED_SERVED:
            raise unbuilt(f"AdvancedOptions {name} is not served by this emulator")
    return options


def trail_of(options: Body) -> book.Trail | None:
    if not options.get("trailingstop"):
        return None
    trail = lowered(options["trailingstop"], "TrailingStop")
    by_amount, by_percent = trail.get("amount") is not None, trail.get("percent") is not None
    if by_amount == by_percent:
        raise unbuilt("TrailingStop has an Amount or a Percent, one of the two")
    found = amount(trail, "amount" if by_amount else "percent")
    if found <= 0 or (by_percent and found >= PERCENT_END):
        raise unbuilt("TrailingStop must be above 0, and a Percent below 100")
    return book.Trail(amount=found) if by_amount else book.Trail(percent=found)


def terms_of(state: State, options: Body) -> book.Terms:
    return book.Terms(
        all_or_none=truth(options, "allornone"),
        show_only=show_only_of(options),
        market_rules=activation.market_rules(state, options),
        time_rules=activation.time_rules(options),
    )


def show_only_of(options: Body) -> int:
    if not options.get("showonlyquantity"):
        return 0
    shown = amount(options, "showonlyquantity")
    if shown != int(shown) or shown <= 0:
        raise unbuilt(f"ShowOnlyQuantity must be a whole number above 0, got {shown}")
    return int(shown)
