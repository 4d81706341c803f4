"""What a person's hold, halt or flatten does to a session's account. Acts inside a transaction of the journal.

Level-triggered: each step asks again what stands and how far it is, so that a death between any two steps changes
nothing. Sends nothing itself: it takes back what was declared, and the planner withdraws the entries and makes the exit
of the working stop.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.model import ZERO
from trader.holds import InForce, Taken
from trader.manager.account import Account, Now
from trader.orders.intents import Intent, IntentState, Kind, Purpose
from trader.orders.position import clamped, same_side

FLATTEN_PAGE_S = 60.0
"""Machine seconds after which a flatten that the broker has not confirmed pages: twice the rhythm of the snapshots."""
INCIDENT = "flatten"

replace = msgspec.structs.replace


def take(account: Account, in_force: InForce, now: Now) -> None:
    """What stands now; from the commit of this step on the journal says that it was taken in."""
    was_held, account.in_force = account.in_force.held, in_force
    taken = account.journal.taken
    if was_held or in_force.held:
        for symbol in account.session.symbols:
            _drop_what_was_not_sent(account, symbol)
    if in_force.flatten > taken.begun:
        _begin(account, in_force, now)
    elif taken.begun > taken.over and not account.flattening:
        _released(account, now)
    if account.flattening and not account.flatten_since_s:
        account.flatten_since_s = now.s  # a new life goes on with it
    account.journal.set_taken(
        replace(
            account.journal.taken,
            seen=in_force.seen,
            file=in_force.file,
            held=in_force.held,
            halted=in_force.halted,
        )
    )


def impose(account: Account) -> None:
    """Halted: nothing is declared beyond what is held. Flattening: nothing at all."""
    if not account.in_force.halted:
        return
    for symbol in account.session.symbols:
        declaration = account.journal.declaration(symbol)
        left = ZERO if account.flattening else clamped(declaration.quantity, account.journal.holding(symbol).quantity)
        if declaration.quantity != left:
            account.journal.declare(replace(declaration, quantity=left))


def _drop_what_was_not_sent(account: Account, symbol: str) -> None:
    """What was declared and has no order yet is void, lest it fire when the hold is released within its validity."""
    declaration = account.journal.declaration(symbol)
    left = _sent(account, symbol, declaration.quantity)
    if left != declaration.quantity:
        account.journal.declare(replace(declaration, quantity=left))


def _sent(account: Account, symbol: str, declared: Decimal) -> Decimal:
    """The part of an exposure that is held, or that an entry which is at the broker (perhaps) would bring. What is held
    is never less for one to the other side: a release would close it."""
    entries = [order for order in account.working_of(symbol) if order.purpose is Purpose.ENTRY]
    coming = [order.side.sign * order.remaining for order in entries]
    coming += [i.side.sign * i.quantity for i in account.journal.open_intents.values() if _perhaps_sent(i, symbol)]
    held = account.journal.holding(symbol).quantity
    if same_side(held, declared):
        coming = [each for each in coming if same_side(each, declared)]
    return clamped(declared, held + sum(coming, ZERO))


def _perhaps_sent(intent: Intent, symbol: str) -> bool:
    entry = intent.kind is Kind.PLACE and intent.purpose is Purpose.ENTRY
    return entry and intent.symbol == symbol and intent.state is IntentState.UNKNOWN


# -- flatten -----------------------------------------------------------------------------------------------------------


def _begin(account: Account, in_force: InForce, now: Now) -> None:
    """Asked again, it tries again what the venue has refused."""
    for symbol in account.session.symbols:
        declaration = account.journal.declaration(symbol)
        account.journal.declare(replace(declaration, quantity=ZERO, refused=()))
    account.flatten_since_s = now.s
    account.want_read = True
    account.journal.set_taken(replace(account.journal.taken, begun=in_force.flatten))
    held = ", ".join(f"{s} {account.journal.holding(s).quantity}" for s in account.session.symbols)
    account.event(
        now, "flatten.begun", "NOTIFY", f"flatten: held is {held}; entries are cancelled, what is held closes"
    )


def _released(account: Account, now: Now) -> None:
    """What the exit has not closed yet it still closes: nothing declares it any more."""
    taken = account.journal.taken
    kind = "flatten.ended"
    text = "a person released the hold before the broker had confirmed the position flat"
    _end(account, kind, text, replace(taken, over=taken.begun), now)


def follow_flatten(account: Account, now: Now) -> None:
    """Confirmed by the broker, or told when that takes too long."""
    if not account.flattening:
        return
    missing = unconfirmed(account)
    if not missing:
        _confirmed(account, now)
    elif not account.journal.taken.paged and now.s - account.flatten_since_s > FLATTEN_PAGE_S:
        account.journal.set_taken(replace(account.journal.taken, paged=True))
        text = f"flatten is not confirmed after {FLATTEN_PAGE_S:g} s: {missing}. It goes on; look at the broker"
        account.event(now, "flatten.unconfirmed", "PAGE", text, incident=INCIDENT, state="opened")


def _confirmed(account: Account, now: Now) -> None:
    taken, symbols = account.journal.taken, ", ".join(account.session.symbols)
    kind = "flatten.confirmed"
    text = f"the broker says flat in {symbols}, and no order of ours works there; entries stay held"
    _end(account, kind, text, replace(taken, over=taken.begun, confirmed=taken.begun), now)


def _end(account: Account, kind: str, text: str, taken: Taken, now: Now) -> None:
    if taken.paged:
        account.event(now, kind, "NOTIFY", text, incident=INCIDENT, state="resolved")
    else:
        account.event(now, kind, "NOTIFY", text)
    account.journal.set_taken(replace(taken, paged=False))


def unconfirmed(account: Account) -> str:
    """What a flatten still waits for, in words; "" when a read that was requested after the last change says flat."""
    since_s = account.flatten_since_s
    found = [text for symbol in account.session.symbols if (text := not_flat(account, symbol, since_s))]
    return "; ".join(found)


def not_flat(account: Account, symbol: str, since_s: float) -> str:
    """Why it cannot be said that nothing is left of a symbol, by a read that was requested after ``since_s``."""
    journal = account.journal
    held, orders = journal.holding(symbol).quantity, account.working_of(symbol)
    if symbol in account.not_ours:
        return f"{symbol}: a position that is not this session's own is not touched"
    if symbol in account.differed:
        return f"{symbol}: we hold {held}, the broker says {account.differed[symbol]}"
    if held:
        refused = " (the venue refused the exit)" if Purpose.EXIT in journal.declaration(symbol).refused else ""
        return f"{symbol}: {held} is still open{refused}"
    if any(intent.symbol == symbol for intent in journal.open_intents.values()):
        return f"{symbol}: the outcome of an instruction is not known"
    if orders:
        return f"{symbol}: {len(orders)} orders of ours still work"
    if account.agreed_s.get(symbol, -1.0) < max(account.changed_s.get(symbol, 0.0), since_s):
        return f"{symbol}: not read since the close"
    return ""
