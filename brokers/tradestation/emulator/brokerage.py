"""The reads of accounts, balances, positions and orders. PURE.

Reads of several accounts answer 200 with the good ones plus ``Errors`` (tradestation-v3, section 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from brokers.tradestation.emulator import streams, wire
from brokers.tradestation.emulator.balances import balance_object
from brokers.tradestation.emulator.ledger import Order
from brokers.tradestation.emulator.query import since_utc, split, whole
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object

ACCOUNTS_MAX = 25
ORDER_IDS_MAX = 50
SYMBOLS_MAX = 50
PAGE_MAX = 600
_DAY_S = 86_400
_BAD_ACCOUNT = {"Error": "Forbidden", "Message": "Invalid Account ID."}


# Accounts


def accounts(state: State) -> Object:
    return {"Accounts": [_account_object(one.account, one.kind) for one in state.ledger.accounts.values()]}


def _account_object(name: str, kind: str) -> Object:
    shown: Object = {"AccountID": name, "Currency": "USD", "Status": "Active", "AccountType": kind}
    if kind != "Futures":
        shown["AccountDetail"] = {
            "IsStockLocateEligible": False,
            "EnrolledInRegTProgram": kind == "Margin",
            "RequiresBuyingPowerWarning": False,
            "DayTradingQualified": True,
            "OptionApprovalLevel": 0,
            "PatternDayTrader": False,
        }
    return shown


def balances(state: State, ids: str, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    shown = [balance_object(state.ledger.accounts[one], state.market, now.market_utc) for one in good]
    return {"Balances": shown, "Errors": errors}


def positions(state: State, ids: str, request: Request, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    wanted = split(request.query.get("symbol", "*"), SYMBOLS_MAX, "symbols")
    shown = [
        frame
        for (_, symbol), frame in streams.position_objects(state, tuple(good), now).items()
        if any(fnmatchcase(symbol, pattern) for pattern in wanted)
    ]
    return {"Positions": shown, "Errors": errors}


def known_accounts(state: State, ids: str) -> tuple[list[str], list[Object]]:
    asked = split(ids, ACCOUNTS_MAX, "account ids")
    good = [one for one in asked if one in state.ledger.accounts]
    return good, [{"AccountID": one, **_BAD_ACCOUNT} for one in asked if one not in good]


# Orders


def todays_orders(state: State, account_ids: Iterable[str], now: Now) -> list[Order]:
    """Open ones and those opened or closed today (UTC), newest first."""
    wanted, today = set(account_ids), now.market_utc // _DAY_S
    return [
        order
        for order in reversed(state.ledger.orders.values())
        if order.account in wanted and (order.is_open or today in _days(order))
    ]


def orders(state: State, ids: str, request: Request, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    return _page(todays_orders(state, good, now), request, errors)


def orders_by_id(state: State, ids: str, order_ids: str, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    asked = split(order_ids, ORDER_IDS_MAX, "order ids")
    found = {order.order_id: order for order in todays_orders(state, good, now)}
    errors += [
        {"AccountID": ",".join(good), "OrderID": one, "Error": "NotFound", "Message": "Invalid order ID."}
        for one in asked
        if one not in found
    ]
    return {"Orders": [wire.order_object(found[one]) for one in asked if one in found], "Errors": errors}


def historical_orders(state: State, ids: str, request: Request, now: Now) -> Object:
    """Closed before today and opened on ``since`` or later."""
    good, errors = known_accounts(state, ids)
    since, today = since_utc(request.query.get("since", "")), now.market_utc // _DAY_S
    closed = [
        order
        for order in reversed(state.ledger.orders.values())
        if order.account in good
        and order.closed_utc is not None
        and order.closed_utc // _DAY_S < today
        and order.opened_utc >= since
    ]
    return _page(closed, request, errors)


def _days(order: Order) -> set[float]:
    return {order.opened_utc // _DAY_S, (order.closed_utc or order.opened_utc) // _DAY_S}


def _page(found: list[Order], request: Request, errors: list[Object]) -> Object:
    """``NextToken`` is the last id of this page: what follows is older."""
    size = whole(request.query, "pagesize", PAGE_MAX, 1, PAGE_MAX)
    before = request.query.get("nexttoken", "")
    if before:
        found = [order for order in found if order.order_id < before]
    shown: Object = {"Orders": [wire.order_object(order) for order in found[:size]], "Errors": errors}
    if len(found) > size:
        shown["NextToken"] = found[size - 1].order_id
    return shown
