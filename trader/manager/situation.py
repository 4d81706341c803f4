"""What the planner is told of a symbol: what is held, works, is not known. Reads the account, writes nothing."""

from __future__ import annotations

from brokers.model import ZERO
from trader.manager.account import Account, Now
from trader.manager.entering import refusal
from trader.manager.lagging import may_lag
from trader.manager.protection import stop_becomes_exit
from trader.orders.intents import Intent
from trader.orders.target import Situation


def situation(account: Account, symbol: str, now: Now, without: Intent | None = None) -> Situation:
    """``without``: an intent that is not counted, to see whether it would be planned again. Before the first read
    of this life nobody knows what is left of the position, so nothing new is placed; what works may be changed."""
    declaration, held = account.journal.declaration(symbol), account.journal.holding(symbol).quantity
    unsettled = account.unsettled(symbol, without) or symbol not in account.shown or may_lag(account, symbol, now)
    missing = not unsettled and account.entry_missing(symbol)
    return Situation(
        declaration=declaration,
        position=held,
        orders=account.working_of(symbol),
        instrument=account.journal.instruments.get(symbol),
        now_utc=now.utc,
        seen=account.differed.get(symbol, ZERO if _may_be_twice(account, symbol, now) else None),
        unsettled=unsettled,
        entry_refusal=refusal(account, declaration, now, late=declaration.late) if missing else None,
        entry_waits=missing and _begins(account, symbol),
        replace_to_market=stop_becomes_exit(account, symbol),
        children=account.capabilities.children,
        takes_native=account.takes_native,
        early_children=account.capabilities.children_early or account.journal.minded(symbol).early_children,
        uncovered_s=account.uncovered_s(symbol, now),
        renew=_to_renew(account, symbol),
        unpriced=_unpriced(account, symbol, now),
    )


def _begins(account: Account, symbol: str) -> bool:
    """This life has not read yet what the gates look at: what was declared before it waits as long as it is valid,
    lest each death between an exit and the entry that follows it leave the session flat."""
    priced = account.limits.max_open_risk_usd is None or symbol in account.closes
    return symbol not in account.agreed_s or account.seen is None or not priced


def _may_be_twice(account: Account, symbol: str, now: Now) -> bool:
    """What we hold may contain a fill twice, until a read agrees. Where none comes an exit does not wait for it."""
    since_s = account.unconfirmed.get(symbol)
    return since_s is not None and now.s < since_s + account.timing.snapshot_every_s


def _to_renew(account: Account, symbol: str) -> str:
    renewal = account.journal.minded(symbol).renewal
    return renewal.order_id if renewal is not None and renewal.wanted else ""


def _unpriced(account: Account, symbol: str, now: Now) -> bool:
    """So a stop that may be passed, and then is to be paged, is not sent yet."""
    young = now.s < account.began_s + account.timing.settle_s
    return young and account.session.stop_passed == "page" and account.untold(symbol)
