"""What reads leave open: orders of ours that none shows any more, instructions that none settles. Somebody is told.

Acts inside a transaction of the journal, as ``settlement`` does, which looks for what became of them.
"""

from __future__ import annotations

import msgspec

from trader.manager.account import Account, Now
from trader.manager.execution import settling_since
from trader.manager.turns import UNSETTLED, VANISHED
from trader.orders.intents import IntentState

HISTORY_S = 7 * 86_400.0
"""So far back history is searched for an order of ours that is gone from today's: over a weekend and two holidays it is
the last trading day's."""
UNSETTLED_PAGE_S = 60.0
"""Machine seconds beyond ``on_its_way_s`` for the reads that settle an intent; one that is open longer (no read is
good, history is not to be had) is held and paged."""

replace = msgspec.structs.replace


# -- orders that no read shows any more --------------------------------------------------------------------------------


def missed(account: Account, shown: set[str], requested_s: float, now: Now) -> None:
    """A whole read has all open orders, so what it does not show is open no longer. What became of it history tells;
    until then nothing is concluded, but that it protects nothing."""
    journal, before = account.journal, account.missing
    account.missing = {}
    for order in list(journal.working.values()):
        if order.order_id in shown or requested_s < account.changed_s.get(order.symbol, 0.0):
            continue
        since_utc = now.utc - HISTORY_S * now.rate
        account.missing[order.order_id] = before.get(order.order_id, since_utc)
    if account.missing != before:
        account.stir()


def vanished(account: Account, order_id: str, now: Now) -> None:
    """Neither today's orders nor history have it: somebody must look. A release says that it has ended."""
    account.missing[order_id] = None
    order = account.journal.working.get(order_id)
    if order is not None and not order.out:
        account.journal.write_order(replace(order, out=True))
        text = f"no read and no history shows our {order.purpose} {order_id} any more; nothing is placed in its stead"
        hold(account, order.symbol, VANISHED, text, now)


# -- what no read settles ----------------------------------------------------------------------------------------------


def overdue_since_s(account: Account, now: Now) -> dict[str, float]:
    """By symbol, since when something of it has been unknown, where that is longer than a read should take."""
    late: dict[str, float] = {}
    for intent in account.journal.open_intents.values():
        if intent.state is IntentState.UNKNOWN:
            since_s = account.settling.setdefault(intent.number, settling_since(intent, now)).began_s
            if now.s > since_s + account.timing.on_its_way_s + UNSETTLED_PAGE_S:
                late[intent.symbol] = min(since_s, late.get(intent.symbol, since_s))
    return late


def held_when_overdue(account: Account, now: Now) -> None:
    """Nothing stays unknown without a word; what is settled after all is released of that hold."""
    journal, late = account.journal, overdue_since_s(account, now)
    for symbol, since_s in late.items():
        if not UNSETTLED.intersection(journal.holds_of(symbol)):
            text = f"an instruction has no outcome after {now.s - since_s:.0f} s, and no read tells it"
            hold(account, symbol, "unsettled", text, now)
    for symbol in account.session.symbols:
        unknown = any(i.state is IntentState.UNKNOWN for i in journal.open_intents.values() if i.symbol == symbol)
        if not unknown and journal.drop_holds(symbol, "unsettled"):
            text = f"{symbol}: what had no outcome is settled after all"
            account.event(now, "unsettled.over", "NOTIFY", text, incident=f"unsettled:{symbol}", state="resolved")


def hold(account: Account, symbol: str, why: str, text: str, now: Now) -> None:
    """Entries of the symbol are held, stored, and somebody is told, once."""
    if account.journal.add_hold(symbol, why, now.utc):
        incident = f"{why}:{symbol}"
        account.event(now, f"hold.{why}", "PAGE", f"{symbol}: {text}", incident=incident, state="opened")
