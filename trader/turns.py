"""The strategy's turn as the account manager commits it, as one: what it consumed, its state, its declarations.

A declaration that adds exposure passes the gates here, at once, so that its refusal reaches the strategy; one that
reduces or only moves the stop always passes. After a divergence what had been declared is void (order-safety 1.9).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from brokers.model import ZERO
from supervisor.errors import Refused
from trader.account import Account, Now
from trader.bars import is_late
from trader.execution import settled
from trader.intents import IntentState, Kind
from trader.messages import Attach, Attached, Cursor, Declared, Turn
from trader.target import Declaration, clamped, same_side

DEATHS_TO_SKIP = 2
"""A bar that has killed the trader so often is skipped (DESIGN 5, the trader's turn)."""

DIVERGENCE = "divergence"
UNSETTLED = frozenset({"ambiguous", "unsettled"})
"""Holds over a placing that no read can settle: several orders could be of it, or none that is shown."""
replace = msgspec.structs.replace


def attach(account: Account, request: Attach, now: Now) -> Attached:
    """A trader begins: where it goes on, after what killed its predecessor twice was skipped."""
    journal = account.journal
    account.start_no = max(account.start_no, request.start_no)
    if request.start_no <= journal.done.start_no:
        return Attached(done=True)
    if request.died_on is not None:
        _count_death(account, request.start_no, request.died_on, request.incarnation, now)
    return Attached(
        done=False,
        cursors=tuple(Cursor(symbol=s, interval_s=i, closed_utc=at) for (s, i), at in journal.cursors.items()),
        state=journal.state,
        last_row=journal.last_row,
        rows=journal.rows_after(journal.last_row),
        positions=account.views(),
    )


def _count_death(account: Account, start_no: int, bar: Cursor, incarnation: int, now: Now) -> None:
    deaths = account.journal.count_death(bar, incarnation)
    if deaths < DEATHS_TO_SKIP or consumed(account, bar):
        return
    account.journal.skip(start_no, bar, now.s, now.utc)
    text = f"{bar.symbol} bar {bar.closed_utc} killed the trader {deaths} times: skipped, the strategy never saw it"
    account.event(now, "bar.skipped", "PAGE", text, symbol=bar.symbol, closed_utc=bar.closed_utc)


def consumed(account: Account, bar: Cursor) -> bool:
    return bar.closed_utc <= account.journal.cursors.get((bar.symbol, bar.interval_s), -1)


def turn(account: Account, request: Turn, now: Now) -> None:
    """Commit one turn. The same turn sent again changes nothing: its answer was lost, not its effect."""
    journal = account.journal
    if request.start_no <= journal.done.start_no:
        raise Refused(f"trading of start {request.start_no} is done: {journal.done.reason}")
    if (request.bar is None) == (request.row == 0):
        raise Refused("a turn consumes one bar or one row")
    if consumed(account, request.bar) if request.bar is not None else request.row <= journal.last_row:
        return
    late = request.late or (request.bar is not None and _late(account, request.bar, now))
    journal.turn(request, now.s, now.utc, late=late)
    for symbol in request.resume:
        _resume(account, symbol, now)
    from_utc = request.bar.closed_utc if request.bar is not None else now.utc
    declare(account, request.declarations, now, from_utc, late=late, seen=request.rows_seen, tell=not request.row)


def _late(account: Account, bar: Cursor, now: Now) -> bool:
    """Judged again here: the bar may have waited in the trader."""
    return is_late(bar.closed_utc, bar.interval_s, now.utc, account.timing.late_machine_s, now.rate)


def finish(account: Account, start_no: int, reason: str, now: Now) -> None:
    """From here on positions are only minded (DESIGN 3: a position is never left alone)."""
    if start_no > account.journal.done.start_no:
        account.journal.set_done(start_no, reason)
        account.event(now, "trading.done", "NOTIFY", f"trading of start {start_no} is done: {reason}")


# -- declarations ------------------------------------------------------------------------------------------------------


def declare(
    account: Account,
    declarations: Iterable[Declared],
    now: Now,
    from_utc: float,
    *,
    late: bool = False,
    seen: int | None = None,
    tell: bool = True,
) -> None:
    """``from_utc``: where an entry's validity begins (the bar's stamp). ``tell`` False: a refusal makes no new row, so
    that a strategy which declares again in ``on_reject`` does not go round for ever."""
    timing = account.timing
    valid_until_utc = from_utc + timing.entry_valid_s + timing.late_machine_s * now.rate
    for declared in declarations:
        symbol = declared.symbol
        if symbol not in account.session.symbols:
            text = f"{symbol} is not of this session"
            account.refuse_again(now, symbol, "symbol", text, declared.quantity, row=tell)
            continue
        before = account.journal.declaration(symbol)
        wanted = _wanted(before, declared, valid_until_utc)
        refusal = _diverged(account, wanted) or _not_allowed(account, before.quantity, wanted, now, late, seen)
        if refusal is not None:
            account.refuse_again(now, symbol, *refusal, declared.quantity, row=tell)
            wanted = _what_is_left(account, wanted)
        elif wanted.quantity != before.quantity:
            account.end_repeats(now, symbol)
        account.journal.declare(wanted)


def _wanted(before: Declaration, declared: Declared, valid_until_utc: float) -> Declaration:
    """The new declaration, all refusals forgotten. The same quantity again is the same decision: its validity stays."""
    stop = declared.stop
    if stop is None and same_side(declared.quantity, before.quantity):
        stop = before.stop
    price = declared.intended_price
    if declared.quantity == before.quantity:
        valid_until_utc, price = before.valid_until_utc, before.intended_price
        if stop == before.stop and not before.refused:
            return before
    wanted = replace(before, quantity=declared.quantity, stop=stop, valid_until_utc=valid_until_utc, refused=())
    return replace(wanted, intended_price=price)


def _diverged(account: Account, wanted: Declaration) -> tuple[str, str] | None:
    """Of a voided declaration nothing comes back; only a new one that reduces what is held passes, as an exit."""
    held = account.journal.holding(wanted.symbol).quantity
    if not wanted.voided or wanted.quantity == held:
        return None
    reduces = clamped(wanted.quantity, held) == wanted.quantity and abs(wanted.quantity) < abs(held)
    if reduces and wanted.quantity != wanted.voided_quantity:
        return None
    return "diverged", (
        f"the broker differed and {held} was adopted: what was declared is void until a person releases"
        f" {wanted.symbol} or on_sync answers RESUME"
    )


def _not_allowed(
    account: Account, before: Decimal, wanted: Declaration, now: Now, late: bool, seen: int | None
) -> tuple[str, str] | None:
    """The gates, where the declaration adds to what is held and was declared (``before``)."""
    if wanted.quantity == before:
        return None
    held = account.journal.holding(wanted.symbol).quantity
    if clamped(wanted.quantity, held) == wanted.quantity and not account.flattening:
        return None  # nothing is added; while a person flattens, to declare again what is held would add
    if seen is not None and account.journal.unseen(wanted.symbol, seen):
        return "unseen", f"declared before a fill or sync of {wanted.symbol} was seen"
    return account.refusal(wanted, now, late=late)


def _what_is_left(account: Account, wanted: Declaration) -> Declaration:
    """A refused declaration: nothing is added, what it gives up goes, and its stop counts for what is held."""
    before = account.journal.declaration(wanted.symbol)
    if wanted.voided:
        held = account.journal.holding(wanted.symbol).quantity
        stop = wanted.stop if same_side(wanted.quantity, held) else before.stop
        return replace(before, stop=stop)
    quantity: Decimal = clamped(wanted.quantity, before.quantity)
    return replace(wanted, quantity=quantity, valid_until_utc=before.valid_until_utc)


# -- after a divergence ------------------------------------------------------------------------------------------------


def _resume(account: Account, symbol: str, now: Now) -> None:
    """``on_sync`` answered RESUME: the strategy's explicit word takes the declaration up again, through the gates."""
    before = account.journal.declaration(symbol)
    if not before.voided:
        return
    account.journal.drop_holds(symbol, DIVERGENCE)
    account.journal.declare(replace(before, voided=False, voided_quantity=ZERO))
    text = f"{symbol}: the strategy resumes {before.voided_quantity} after the divergence"
    account.end_repeats(now, symbol)
    account.event(now, "divergence.resumed", "NOTIFY", text, incident=f"divergence:{symbol}", state="resolved")
    again = Declared(symbol=symbol, quantity=before.voided_quantity, stop=before.voided_stop)
    declare(account, (again,), now, now.utc)


def _give_up_what_no_read_settles(account: Account, symbol: str, why: tuple[str, ...], now: Now) -> None:
    """A person has looked at the broker. What of it was ours cannot be told, so the next reads adopt what is there."""
    if not UNSETTLED.intersection(why):
        return
    for intent in list(account.journal.open_intents.values()):
        if intent.symbol == symbol and intent.kind is Kind.PLACE and intent.state is IntentState.UNKNOWN:
            settled(account, intent, IntentState.GIVEN_UP, "released by a person, its order was never told apart", now)
            account.want_read = True
    declaration, held = account.journal.declaration(symbol), account.journal.holding(symbol).quantity
    account.journal.declare(replace(declaration, quantity=clamped(declaration.quantity, held)))


def release(account: Account, symbol: str, now: Now) -> None:
    """A person's word: holds go, and what the strategy declares from now on is a new decision."""
    why = account.journal.drop_holds(symbol)
    _give_up_what_no_read_settles(account, symbol, why, now)
    declaration = account.journal.declaration(symbol)
    if not why and not declaration.stop_by_person:
        raise Refused(f"{symbol} is not held: nothing to release")
    account.journal.declare(replace(declaration, voided=False, voided_quantity=ZERO, stop_by_person=""))
    account.end_repeats(now, symbol)
    if not why:
        account.event(now, "stop.released", "NOTIFY", f"{symbol}: a person lets the desk place its stop again")
    for each in why:
        text = f"{symbol} released by a person: {each}"
        account.event(now, "hold.released", "NOTIFY", text, incident=f"{each}:{symbol}", state="resolved")
