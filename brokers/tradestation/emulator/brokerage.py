"""The reads of accounts, balances, positions and orders. PURE.

Reads of several accounts answer 200 with the good ones plus ``Errors``.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from brokers.tradestation.emulator import streams
from brokers.tradestation.emulator.balances import balance_object
from brokers.tradestation.emulator.day_start import bod_balance_object
from brokers.tradestation.emulator.errors import bad_request
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.order_wire import order_object
from brokers.tradestation.emulator.paging import PAGE_MAX, page
from brokers.tradestation.emulator.query import split, symbols_of, when_utc, whole
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object

ACCOUNTS_MAX = 25
ORDER_IDS_MAX = 50
SYMBOLS_MAX = 50
_DAY_S = 86_400
_STATUS_GROUPS = {
    "open": (),
    "filled": ("FLL", "FLP"),
    "cancelled": ("OUT", "CAN", "TSC", "EXP", "BRC"),
    "canceled": ("OUT", "CAN", "TSC", "EXP", "BRC"),
    "rejected": ("REJ",),
}
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
    shown = [balance_object(state, state.ledger.accounts[one], now.market_utc) for one in good]
    return {"Balances": shown, "Errors": errors}


def bod_balances(state: State, ids: str, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    return {"BODBalances": [bod_balance_object(state, one, now.market_utc) for one in good], "Errors": errors}


def positions(state: State, ids: str, request: Request, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    wanted = symbols_of(request.query.get("symbol", "*"), SYMBOLS_MAX)
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
    known = list(state.ledger.orders.values())
    if state.lagging:
        known = [told for order in known if (told := _as_told(state, order, now)) is not None]
    return [
        order
        for order in reversed(known)
        if order.account in wanted and (order.is_open or today in _days(order)) and not _is_hidden(state, order, now)
    ]


def _as_told(state: State, order: Order, now: Now) -> Order | None:
    """By the fault of orders that lag."""
    lag = state.lagging.get(order.account)
    return order if lag is None or now.machine_s >= lag.until_s else lag.orders.get(order.order_id)


def _is_hidden(state: State, order: Order, now: Now) -> bool:
    """By the fault of late booking."""
    return bool(state.hidden_until_s) and now.machine_s < state.hidden_until_s.get(order.order_id, 0.0)


def orders(state: State, ids: str, request: Request, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    return _page(state, todays_orders(state, good, now), request, errors, now)


def orders_by_id(state: State, ids: str, order_ids: str, now: Now) -> Object:
    good, errors = known_accounts(state, ids)
    found, missing = _by_id(todays_orders(state, good, now), good, order_ids)
    return {"Orders": [_shown(state, order) for order in found], "Errors": errors + missing}


def historical_orders(state: State, ids: str, request: Request, now: Now, order_ids: str = "") -> Object:
    """Closed before today and opened on ``since`` or later."""
    good, errors = known_accounts(state, ids)
    since, today = when_utc(request.query.get("since", ""), "since"), now.market_utc // _DAY_S
    closed = [
        order
        for order in reversed(state.ledger.orders.values())
        if order.account in good
        and order.closed_utc is not None
        and order.closed_utc // _DAY_S < today
        and order.opened_utc >= since
    ]
    if order_ids:
        closed, missing = _by_id(closed, good, order_ids)
        errors += missing
    return _page(state, closed, request, errors, now)


def _by_id(orders: list[Order], good: list[str], order_ids: str) -> tuple[list[Order], list[Object]]:
    """Those asked for, in the order asked for, and an error for each that is not there."""
    asked = split(order_ids, ORDER_IDS_MAX, "order ids")
    by_id = {order.order_id: order for order in orders}
    missing = [
        {"AccountID": ",".join(good), "OrderID": one, "Error": "NotFound", "Message": "Invalid order ID."}
        for one in asked
        if one not in by_id
    ]
    return [by_id[one] for one in asked if one in by_id], missing


def _days(order: Order) -> set[float]:
    return {order.opened_utc // _DAY_S, (order.closed_utc or order.opened_utc) // _DAY_S}


def _page(state: State, found: list[Order], request: Request, errors: list[Object], now: Now) -> Object:
    size = whole(request.query, "pagesize", PAGE_MAX, 1, PAGE_MAX)
    if small := state.struck.get("small_pages"):
        size = min(size, small.count)
    found = _of_status(found, request.query.get("status", ""))
    token = request.query.get("nexttoken", "")
    after_id = state.pages.resume(token, request.path, now.machine_s) if token else ""
    start, end = page([order.order_id for order in found], after_id, size)
    shown: Object = {"Orders": [_shown(state, order) for order in found[start:end]], "Errors": errors}
    if end < len(found):
        shown["NextToken"] = state.pages.give(request.path, found[end - 1].order_id, now.machine_s)
    return shown


def _of_status(found: list[Order], asked: str) -> list[Order]:
    """The filter of the newer text of the venue [spec 2026-09]: Open, Filled, Cancelled or Canceled, Rejected."""
    if not asked:
        return found
    wanted = _STATUS_GROUPS.get(asked.lower())
    if wanted is None:
        raise bad_request(f"status must be Open, Filled, Cancelled or Rejected, got {asked!r}")
    return [order for order in found if (order.is_open if asked.lower() == "open" else order.status in wanted)]


def _shown(state: State, order: Order) -> Object:
    return order_object(order, expired_shows_executed=state.rules.expired_shows_executed)
