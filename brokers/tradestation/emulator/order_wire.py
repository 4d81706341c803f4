"""The Order object of the venue, from our values: field names, types and texts as documented. PURE.

Futures show no ``OpenOrClose`` and no ``Routing``; their legs have expiry and underlying [client 1, real].
"""

from __future__ import annotations

from brokers.tradestation.emulator import activation
from brokers.tradestation.emulator.book import Trail
from brokers.tradestation.emulator.expiry import CANCELLED_ONLY, DATED, good_till_day
from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.wire import DAY_S, Object, day_text, number, time_text

STATUS_TEXT = {
    "ACK": "Received",
    "ASS": "Option Assignment",
    "BRC": "Bracket Canceled",
    "BRF": "Bracket Filled",
    "BRO": "Broken",
    "CAN": "Canceled",
    "CHG": "Change",
    "CND": "Condition Met",
    "COR": "Fill Corrected",
    "CSN": "Cancel Sent",
    "DIS": "Dispatched",
    "DOA": "Dead",
    "DON": "Queued",
    "ECN": "Expiration Cancel Request",
    "EXE": "Option Exercise",
    "EXP": "Expired",
    "FLL": "Filled",
    "FLP": "Partial Fill (UROut)",
    "FPR": "Partial Fill (Alive)",
    "LAT": "Too Late to Cancel",
    "OPN": "Sent",
    "OSO": "OSO Order",
    "OTHER": "Other",
    "OUT": "UROut",
    "PLA": "Sending",
    "REC": "Recall Request",
    "REJ": "Rejected",
    "RJC": "Cancel Request Rejected",
    "RJR": "Change Request Rejected",
    "RPD": "Replace Pending",
    "RSN": "Replace Sent",
    "SCN": "Recalled",
    "STP": "Stop Hit",
    "STT": "Message",
    "SUS": "Suspended",
    "TSC": "Trade Server Canceled",
    "UCH": "Replaced",
    "UCN": "Cancel Sent",
}
SIDE_TEXT = {"BUY": "Buy", "SELL": "Sell", "SELLSHORT": "SellShort", "BUYTOCOVER": "BuyToCover"}


def order_object(order: Order, status: str = "", *, expired_shows_executed: bool = True) -> Object:
    """``status``: another code than the order's own, for the frames between two states."""
    about = traded(order.symbol)
    code = status or order.shown_status or order.status
    shown: Object = {
        "AccountID": order.account,
        "CommissionFee": number(order.commission_usd),
        "Currency": "USD",
        "Duration": order.duration,
        "FilledPrice": number(order.fill_price or 0),
        "Legs": [_leg(order, about, expired_shows_executed)],
        "OpenedDateTime": time_text(order.opened_utc),
        "OrderID": order.order_id,
        "OrderType": order.order_type,
        "PriceUsedForBuyingPower": number(order.limit_price or order.stop_price or 0),
        "Status": code,
        "StatusDescription": STATUS_TEXT.get(code, code),
        "UnbundledRouteFee": "0",
    }
    if about.is_future:
        shown["ConversionRate"] = "1"
    else:
        shown["Routing"] = "Intelligent"
    if order.stop_price is not None:
        shown["StopPrice"] = number(order.stop_price)
    if order.limit_price is not None:
        shown["LimitPrice"] = number(order.limit_price)
    if order.trail is not None:
        shown["TrailingStop"] = trail_object(order.trail)
    if order.terms.show_only:
        shown["ShowOnlyQuantity"] = str(order.terms.show_only)
    shown |= activation.shown(order.terms)
    if advanced := _advanced(order):
        shown["AdvancedOptions"] = advanced
    if order.links:
        shown["ConditionalOrders"] = [{"Relationship": kind, "OrderID": other} for kind, other in order.links]
    if order.group:
        shown["GroupName"] = f"{'OCO' if order.linked('OCO') else 'BRK'} {order.group}"
    if order.duration in DATED or order.duration in CANCELLED_ONLY:
        shown["GoodTillDate"] = time_text(good_till_day(order) * DAY_S)
    if order.closed_utc is not None:
        shown["ClosedDateTime"] = time_text(order.closed_utc)
    if order.reason:
        shown["RejectReason"] = order.reason
    return shown


def trail_object(trail: Trail) -> Object:
    if trail.amount is not None:
        return {"Amount": number(trail.amount)}
    return {"Percent": number(trail.percent or 0)}


def _advanced(order: Order) -> str:
    """KEY=VALUE; items. A stop watches the single trade tick, as every order here does."""
    items = ""
    if order.trail is not None:
        items += f"TRL={number(order.trail.amount)};" if order.trail.amount is not None else ""
        items += f"TRL={number(order.trail.percent)}%;" if order.trail.percent is not None else ""
    if order.order_type in ("StopMarket", "StopLimit"):
        items += "STPTRG=STT;"
    if order.group:
        items += f"OCA={order.group};"
    items += "AON=Y;" if order.terms.all_or_none else ""
    items += f"SHWQTY={order.terms.show_only};" if order.terms.show_only else ""
    return items + activation.items(order.terms)


def _leg(order: Order, about: Instrument, expired_shows_executed: bool) -> Object:
    executed = order.filled
    if order.status == "EXP" and expired_shows_executed:
        executed = order.quantity  # a real one, without any price [report]
    leg: Object = {
        "AssetType": about.asset_type,
        "BuyOrSell": SIDE_TEXT[order.action],
        "ExecQuantity": str(executed),
        "QuantityOrdered": str(order.quantity),
        "QuantityRemaining": str(order.remaining if order.is_open else 0),
        "Symbol": order.symbol,
    }
    if order.fill_price is not None:
        leg["ExecutionPrice"] = number(order.fill_price)
    if about.is_future:
        leg |= {"ExpirationDate": day_text(about.expires), "Underlying": about.root}
    else:
        leg["OpenOrClose"] = "Open" if order.action in ("BUY", "SELLSHORT") else "Close"
    return leg
