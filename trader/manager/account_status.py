"""What an account manager tells of itself when it is asked: the views of ``status``, made of what its account has."""

from __future__ import annotations

from trader.manager.account import Account, Now
from trader.manager.halting import unconfirmed
from trader.manager.protection import views
from trader.messages import Cursor, Hindrance, Market, SessionStatus, Unsettled, WorkingOrder
from trader.orders.own_order import OwnOrder


def session_status(account: Account, now: Now) -> SessionStatus:
    journal = account.journal
    return SessionStatus(
        name=account.session.name,
        start_no=account.start_no,
        minding=account.trading_done,
        done_reason=journal.done.reason if account.trading_done else "",
        agreed_age_s={symbol: now.s - at for symbol, at in account.agreed_s.items()},
        positions=views(account),
        orders=tuple(map(_working, journal.working.values())),
        unsettled=tuple(
            Unsettled(key=i.key, symbol=i.symbol, kind=i.kind, purpose=i.purpose, since_utc=i.written_utc, why=i.reason)
            for i in journal.open_intents.values()
        ),
        holds=tuple(journal.holds.values()),
        cursors=tuple(Cursor(symbol=s, interval_s=i, closed_utc=at) for (s, i), at in journal.cursors.items()),
        foreign_orders=len(account.foreign_working),
        agreed_max_age_s=account.timing.agreed_max_age_s,
        hindrances=_hindrances(account),
        person_holds=account.in_force.holds,
        flattening=unconfirmed(account) if account.flattening else "",
        markets=tuple(_market(account, symbol, now) for symbol in account.session.symbols),
        stops_removed=tuple(s for s, each in journal.declarations.items() if each.stop_by_person == "removed"),
    )


def _market(account: Account, symbol: str, now: Now) -> Market:
    moment = account.moment(symbol, now)
    return Market(symbol, moment.phase, moment.until_utc)


def _hindrances(account: Account) -> tuple[Hindrance, ...]:
    name = account.session.account
    unknown = [s for s in account.session.symbols if s not in account.journal.instruments]
    unread = [name] if name in account.unread or not (account.agreed_s or account.differed or account.not_ours) else []
    holds = (Hindrance("holds", account.in_force.unread),) if account.in_force.unread else ()
    return (*holds, *(Hindrance(about, account.unread.get(about, "")) for about in (*unread, *unknown)))


def _working(order: OwnOrder) -> WorkingOrder:
    return WorkingOrder(
        order_id=order.order_id,
        symbol=order.symbol,
        purpose=order.purpose,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        stop_price=order.stop_price,
        pending=order.pending,
        limit_price=order.limit_price,
        trail=order.trail,
    )
