"""What protects a position, and for which hours: the form of its stops, and the view that people and strategies get.

Reads the account, writes nothing but the views that it keeps.
"""

from __future__ import annotations

from brokers.model import Duration
from trader.hours.market_hours import UNKNOWN_HOURS, Phase
from trader.manager.account import Account, Now
from trader.messages import PositionView
from trader.minding.cover import covered_for, has_extended_hours
from trader.orders.watched import take_keeper, trail_keeper


def extended(account: Account, symbol: str) -> bool:
    """Its protective orders are to be for the time before and after regular hours, too."""
    return account.session.extended_hours and has_extended_hours(account.journal.instruments.get(symbol))


def outside(account: Account, symbol: str, now: Now) -> bool:
    """It is before or after regular hours, the market trades, and the session's stops are for then."""
    if not extended(account, symbol) or account.moment(symbol, now).phase is not Phase.CLOSED:
        return False
    return account.extended_hours.get(symbol, UNKNOWN_HOURS).phase(now.utc) is Phase.OPEN


def protective(account: Account, symbol: str) -> Duration:
    """Of stops and takes that are placed from now on. A form that the venue has refused is not tried again."""
    durations, refused = account.capabilities.durations, account.journal.minded(symbol).regular_stops
    in_form = extended(account, symbol) and Duration.GTC_EXTENDED in durations and not refused
    return Duration.GTC_EXTENDED if in_form else Duration.GTC


def stop_becomes_exit(account: Account, symbol: str) -> bool:
    """By a replace. Where the venue takes no such market order, the stop is cancelled, and then comes the exit."""
    can, working = account.capabilities, account.working_of(symbol)
    in_form = extended(account, symbol) or any(order.duration is Duration.GTC_EXTENDED for order in working)
    takes = can.extended_market or not in_form
    return can.replace_to_market and takes and not account.journal.minded(symbol).inert_closes


def views(account: Account) -> tuple[PositionView, ...]:
    """Made anew where something has changed."""
    if not account.kept_views:
        account.kept_views = tuple([_view(account, symbol) for symbol in account.session.symbols])
    return account.kept_views


def _view(account: Account, symbol: str) -> PositionView:
    journal, working = account.journal, account.working_of(symbol)
    held, d = journal.holding(symbol), journal.declaration(symbol)
    stops = [order for order in working if order.protecting]
    told = [stop.stop_price for stop in stops if stop.stop_price is not None]
    fires, wanted = account.capabilities.extended_stops, extended(account, symbol)
    return PositionView(
        symbol=symbol,
        quantity=held.quantity,
        average_price=held.average_price,
        stop=(min(told) if held.quantity > 0 else max(told)) if told and len(told) == len(stops) else None,
        as_of_utc=held.as_of_utc,
        agreed=symbol in account.agreed_s and symbol not in account.differed,
        take=d.take,
        trail=d.trail,
        stop_held_by="venue" if stops else "",
        take_held_by=take_keeper(d, held.quantity, working),
        trail_held_by=trail_keeper(d, working),
        covered=covered_for(journal.instruments.get(symbol), stops, fires, extended=wanted) if stops else "",
    )
