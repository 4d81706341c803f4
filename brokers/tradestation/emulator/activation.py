"""Rules that hold an order back until a price or a time: read from a body, shown again, and when they are met. PURE.

Fields are the venue's [spec]. How the venue reads them was never seen, so all of this is
[infer]: a rule once met stays met; ``LogicOperator`` ties a rule to the one before it, from the first to the last; a
time is the next one of that hour (UTC); rules of both kinds must be met. A single trade tick needs one print beyond the
price, a double one two in a row, twice any two; bid and ask ticks are watched on the trades, too. A replace begins the
watch anew.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from brokers.tradestation.emulator.bodies import Body, amount, choice, listed, lowered, text, unbuilt
from brokers.tradestation.emulator.book import MarketRule, Terms
from brokers.tradestation.emulator.checks import PRICE_MAX
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.market import Print, Series
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.wire import Object, number

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

RULES_MAX = 10  # a limit of ours
TRIGGERS = tuple(f"{count}{sort}" for count in "SDT" for sort in ("TT", "TTN", "BA", "AB"))
PREDICATES = {"lt": "Lt", "lte": "Lte", "gt": "Gt", "gte": "Gte"}
OPERATORS = {"and": "And", "or": "Or"}
_SIGNS = {"Lt": "<", "Lte": "<=", "Gt": ">", "Gte": ">="}
_TRIGGERS = {name.lower(): name for name in TRIGGERS}
_DAY_S = 86_400


# Reading


def market_rules(state: State, options: Body) -> tuple[MarketRule, ...]:
    """Raises Refusal(400)."""
    return tuple(_market_rule(state, one) for one in _bounded(options, "marketactivationrules"))


def time_rules(options: Body) -> tuple[int, ...]:
    """As seconds of the day of UTC. Raises Refusal(400)."""
    return tuple(_second_of_day(text(one, "timeutc")) for one in _bounded(options, "timeactivationrules"))


def changed(state: State, options: Body, terms: Terms) -> Terms:
    """As a replace tells it: ``{"ClearAll": bool, "Rules": []}`` [spec]; the new ones come to those that stay."""
    market, times = terms.market_rules, terms.time_rules
    if options.get("marketactivationrules") is not None:
        change = lowered(options["marketactivationrules"], "MarketActivationRules")
        given = market_rules(state, {"marketactivationrules": change.get("rules")})
        market = given if change.get("clearall") is True else (*market, *given)
    if options.get("timeactivationrules") is not None:
        change = lowered(options["timeactivationrules"], "TimeActivationRules")
        given_times = time_rules({"timeactivationrules": change.get("rules")})
        times = given_times if change.get("clearall") is True else (*times, *given_times)
    return msgspec.structs.replace(terms, market_rules=market, time_rules=times)


def _bounded(options: Body, name: str) -> list[Body]:
    rules = listed(options, name)
    if len(rules) > RULES_MAX:
        raise unbuilt(f"{name} has {len(rules)} rules, the limit is {RULES_MAX}")
    return rules


def _market_rule(state: State, rule: Body) -> MarketRule:
    if rule.get("ruletype") is not None:
        choice(rule, "ruletype", {"price": "Price"})
    symbol = text(rule, "symbol").upper()
    if state.market.series(symbol) is None:
        raise unbuilt(f"FAILED, INVALID SYMBOL (of an activation rule: {symbol[:20]!r})")
    price = amount(rule, "price")
    if not 0 < price <= PRICE_MAX:
        raise unbuilt(f"the Price of an activation rule must be above 0 and at most {PRICE_MAX}, got {number(price)}")
    return MarketRule(
        symbol=symbol,
        predicate=choice(rule, "predicate", PREDICATES),
        price=price,
        trigger=choice(rule, "triggerkey", _TRIGGERS) if rule.get("triggerkey") else "STT",
        operator=choice(rule, "logicoperator", OPERATORS) if rule.get("logicoperator") else "And",
    )


def _second_of_day(given: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(given)
    except ValueError as error:
        raise unbuilt(f"TimeUtc {given[:40]!r} is no time") from error
    return moment.hour * 3600 + moment.minute * 60 + moment.second


# Showing


def shown(terms: Terms) -> Object:
    fields: Object = {}
    if terms.market_rules:
        fields["MarketActivationRules"] = [_market_object(rule) for rule in terms.market_rules]
    if terms.time_rules:
        fields["TimeActivationRules"] = [{"TimeUtc": f"0001-01-01T{_clock(second)}Z"} for second in terms.time_rules]
    return fields


def items(terms: Terms) -> str:
    """The KEY=VALUE; items of the order's AdvancedOptions [spec]."""
    conditions = (
        f"CND={rule.symbol}{_SIGNS[rule.predicate]}{number(rule.price)}({rule.trigger});" for rule in terms.market_rules
    )
    return "".join([*conditions, *(f"TIM={_clock(second)};" for second in terms.time_rules)])


def _market_object(rule: MarketRule) -> Object:
    return {
        "RuleType": "Price",
        "Symbol": rule.symbol,
        "Predicate": rule.predicate,
        "TriggerKey": rule.trigger,
        "Price": number(rule.price),
        "LogicOperator": rule.operator,
    }


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


# When they are met


def met_utc(state: State, order: Order) -> float | None:
    """The moment from which nothing holds this order back; None: within the bars there are, never."""
    begins_utc, terms = order.armed_utc, order.terms
    price_utc: float | None = begins_utc
    for n, rule in enumerate(terms.market_rules):
        its_utc = _rule_utc(state.market.series(rule.symbol), rule, begins_utc)
        price_utc = its_utc if n == 0 else _tied(rule.operator, price_utc, its_utc)
    if price_utc is None:
        return None
    return max([price_utc, *(_next_utc(second, begins_utc) for second in terms.time_rules)])


def _tied(operator: str, one: float | None, other: float | None) -> float | None:
    known = [each for each in (one, other) if each is not None]
    if operator == "Or":
        return min(known, default=None)
    return max(known) if len(known) == 2 else None


def _next_utc(second: int, after_utc: float) -> float:
    at_utc = after_utc // _DAY_S * _DAY_S + second
    return at_utc if at_utc >= after_utc else at_utc + _DAY_S


def _rule_utc(series: Series | None, rule: MarketRule, begins_utc: float) -> float | None:
    if series is None:
        return None
    upward = rule.predicate in ("Gt", "Gte")
    level = _level(rule)
    last = series.last_print(begins_utc)
    first = last if last is not None and _beyond(last, level, upward) else None
    at_utc = begins_utc if first is not None else None
    while True:
        found = first or series.next_through(begins_utc if at_utc is None else at_utc, level, upward=upward)
        if found is None:
            return None
        at_utc = max(found.at_utc, begins_utc)
        if rule.trigger[0] == "S":
            return at_utc
        if rule.trigger[0] == "T":
            second = series.next_through(at_utc, level, upward=upward)
            return second.at_utc if second else None
        following = series.next_print(at_utc)
        if following is None or _beyond(following, level, upward):
            return following.at_utc if following else None
        first, at_utc = None, following.at_utc


def _level(rule: MarketRule) -> Decimal:
    """The first price that satisfies it: Lt and Gt leave out the price itself, so by a tick."""
    about = instrument(rule.symbol)
    if about is None or rule.predicate in ("Lte", "Gte"):
        return rule.price
    below = rule.price // about.tick * about.tick
    if rule.predicate == "Gt":
        return below + about.tick
    return below if below < rule.price else below - about.tick


def _beyond(found: Print, level: Decimal, upward: bool) -> bool:
    return found.price >= level if upward else found.price <= level
