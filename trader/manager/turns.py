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
from trader.data.bars import is_late
from trader.hours.market_hours import utc_text
from trader.manager.account import DIVERGENCE, Account, Now
from trader.manager.entering import refusal
from trader.manager.execution import settled
from trader.manager.order_frames import ended_by_other
from trader.manager.protection import views
from trader.manager.refusals import REJECTS, end_repeats, refuse_again
from trader.messages import Attach, Attached, Consumed, Cursor, Declared, RowNumber, TimerDue, Turn
from trader.orders.declaration import Declaration
from trader.orders.intents import IntentState
from trader.orders.own_order import protects
from trader.orders.position import clamped, same_side
from trader.orders.watched import with_protection

DEATHS_TO_SKIP = 2
"""A bar that has killed the trader so often is skipped."""

UNEXPLAINED = "unexplained"
"""Hold over a position that vanished without a closing fill."""
VANISHED = "vanished"
"""Hold over an order of ours that neither reads nor history show any more."""
AMBIGUOUS = "ambiguous"
UNSETTLED = frozenset({AMBIGUOUS, "unsettled"})
"""Holds over an instruction that no read can settle: several orders could be of it, or none that is shown."""
replace = msgspec.structs.replace


def attach(account: Account, request: Attach, now: Now) -> Attached:
    """A trader begins: where it goes on, after what killed its predecessor twice was skipped."""
    journal = account.journal
    account.start_no = max(account.start_no, request.start_no)
    if request.start_no <= journal.done.start_no:
        return Attached(done=True)
    if request.died_on is not None:
        _count_death(account, request.start_no, request.died_on, request.incarnation, now)
    account.last_word = 0
    return Attached(
        done=False,
        cursors=tuple(Cursor(symbol=s, interval_s=i, closed_utc=at) for (s, i), at in journal.cursors.items()),
        state=journal.state,
        last_row=journal.last_row,
        rows=journal.rows_after(journal.last_row),
        positions=views(account),
        timers=tuple(TimerDue(name, due_utc) for name, due_utc in journal.timers.items()),
    )


def _count_death(account: Account, start_no: int, what: Consumed, incarnation: int, now: Now) -> None:
    deaths = account.journal.count_death(what, incarnation)
    if deaths < DEATHS_TO_SKIP or account.journal.consumed(what):
        return
    account.journal.skip(start_no, what, now.s, now.utc)
    end = f"killed the trader {deaths} times: skipped, the strategy never saw it"
    if isinstance(what, Cursor):
        text = f"{what.symbol} bar of {utc_text(what.closed_utc)} {end}"
        account.event(now, "bar.skipped", "PAGE", text, symbol=what.symbol, closed_utc=what.closed_utc)
    elif isinstance(what, TimerDue):
        text = f"timer {what.name} of {utc_text(what.due_utc)} {end}"
        account.event(now, "timer.skipped", "PAGE", text, name=what.name, due_utc=what.due_utc)
    else:
        text = f"row {what.number} (a fill, sync, reject or phase) {end}; position and stop are minded as ever"
        account.event(now, "row.skipped", "PAGE", text, row=what.number)


def turn(account: Account, request: Turn, now: Now) -> None:
    """Commit one turn. The same turn sent again changes nothing: its answer was lost, not its effect."""
    journal = account.journal
    if request.start_no <= journal.done.start_no:
        raise Refused(f"trading of start {request.start_no} is done: {journal.done.reason}")
    if _seen_before(account, request):
        return
    from_utc, interval_s = _moment(request, now)
    late = request.late or is_late(from_utc, interval_s, now.utc, account.timing.late_machine_s, now.rate)
    journal.turn(request, now.s, now.utc, late=late)
    for symbol in request.resume:
        _resume(account, symbol, now)
    declare(account, request.declarations, now, from_utc, late=late, seen=request.rows_seen, tell=not request.row)


def _seen_before(account: Account, request: Turn) -> bool:
    """Committed already, by what it consumed. What consumes nothing is known by its number in this trader's life: the
    account manager has no life of its own without that trader's (one_for_all)."""
    row = RowNumber(request.row) if request.row else None
    told = [what for what in (request.bar, row, request.timer) if what is not None]
    if len(told) + (request.word > 0) != 1:
        raise Refused("a turn consumes one bar, one row or one timer, or is one word")
    if told:
        return account.journal.consumed(told[0])
    before, account.last_word = account.last_word, max(account.last_word, request.word)
    return request.word <= before


def _moment(request: Turn, now: Now) -> tuple[float, int]:
    """When what the turn was told was true, and the interval it speaks of. Its lateness is judged here again, as it may
    have waited in the trader. A row is never late: a fill is acted on whenever it is told."""
    if request.bar is not None:
        return request.bar.closed_utc, request.bar.interval_s
    if request.timer is not None:
        return request.timer.due_utc, 0
    return (request.as_of_utc if request.word else now.utc), 0


def finish(account: Account, start_no: int, reason: str, now: Now) -> None:
    """From here on positions are only minded: a position is never left alone."""
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
            refuse_again(account, now, symbol, "symbol", text, declared.quantity, row=tell)
            continue
        before = account.journal.declaration(symbol)
        declared = _absolute(before, declared)
        before = _followed(account, before, declared, now, seen)
        wanted = _wanted(before, declared, valid_until_utc, native=account.trails_native, late=late)
        refused = _diverged(account, wanted) or _not_allowed(account, before.quantity, wanted, now, late, seen)
        if refused is not None:
            refuse_again(account, now, symbol, *refused, declared.quantity, row=tell)
            wanted = _what_is_left(account, wanted)
        elif wanted.quantity != before.quantity:
            end_repeats(account, now, symbol)
        account.journal.declare(wanted)


def _absolute(before: Declaration, declared: Declared) -> Declared:
    """What is relative (``buy``, ``sell``, ``move_stop``) is added to what is declared now: a stop-out that crossed the
    turn has lowered that already. The turn is committed once, and so it is added once."""
    if not declared.relative:
        return declared
    return replace(declared, quantity=before.quantity + declared.quantity)


def _wanted(
    before: Declaration, declared: Declared, valid_until_utc: float, *, native: bool, late: bool
) -> Declaration:
    """The new declaration, all refusals forgotten. The same quantity again is the same decision: its validity stays."""
    wanted = with_protection(before, declared, native=native)
    price = declared.intended_price
    if declared.quantity == before.quantity:
        valid_until_utc, price = before.valid_until_utc, before.intended_price
        if wanted == before and not before.refused:
            return before
        late = before.late
    wanted = replace(wanted, quantity=declared.quantity, valid_until_utc=valid_until_utc, refused=())
    return replace(wanted, intended_price=price, late=late)


def _followed(account: Account, before: Declaration, declared: Declared, now: Now, seen: int | None) -> Declaration:
    """``after_divergence = follow``: another quantity than the voided one is a new decision of the strategy, by its
    session's word, and takes the place of a person's release (order-safety 1.9). What is relative to the exposure that
    the divergence left decides nothing about it, nor does what was declared before the strategy had heard of it."""
    if not before.voided or account.session.after_divergence != "follow" or declared.relative:
        return before
    symbol = declared.symbol
    if declared.quantity == before.voided_quantity or (seen is not None and account.journal.unseen(symbol, seen)):
        return before
    account.journal.drop_holds(symbol, DIVERGENCE)
    end_repeats(account, now, symbol)
    instead = f"declares {declared.quantity} instead of {before.voided_quantity}"
    text = f"{symbol}: after the divergence the strategy {instead}"
    account.event(now, "divergence.followed", "NOTIFY", text, incident=f"divergence:{symbol}", state="resolved")
    return replace(before, voided=False, voided_quantity=ZERO)


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
    return refusal(account, wanted, now, late=late)


def _what_is_left(account: Account, wanted: Declaration) -> Declaration:
    """A refused declaration: nothing is added, what it gives up goes, and its stop counts for what is held."""
    before = account.journal.declaration(wanted.symbol)
    if wanted.voided:
        held = account.journal.holding(wanted.symbol).quantity
        if not same_side(wanted.quantity, held):
            return before
        return replace(before, stop=wanted.stop, take=wanted.take, trail=wanted.trail, trail_native=wanted.trail_native)
    quantity: Decimal = clamped(wanted.quantity, before.quantity)
    return replace(wanted, quantity=quantity, valid_until_utc=before.valid_until_utc, late=before.late)


# -- after a divergence ------------------------------------------------------------------------------------------------


def _resume(account: Account, symbol: str, now: Now) -> None:
    """``on_sync`` answered RESUME: the strategy's explicit word takes the declaration up again, through the gates."""
    before = account.journal.declaration(symbol)
    if not before.voided:
        return
    account.journal.drop_holds(symbol, DIVERGENCE)
    account.journal.declare(replace(before, voided=False, voided_quantity=ZERO))
    text = f"{symbol}: the strategy resumes {before.voided_quantity} after the divergence"
    end_repeats(account, now, symbol)
    account.event(now, "divergence.resumed", "NOTIFY", text, incident=f"divergence:{symbol}", state="resolved")
    again = Declared(
        symbol=symbol,
        quantity=before.voided_quantity,
        stop=before.voided_stop,
        take=before.take,
        trail=before.trail,
    )
    declare(account, (again,), now, now.utc)


def _give_up_what_no_read_settles(account: Account, symbol: str, why: tuple[str, ...], now: Now) -> None:
    """A person has looked at the broker. What of it was ours cannot be told, so the next reads adopt what is there."""
    for order in account.working_of(symbol) if VANISHED in why else ():
        ended_by_other(account, order.order_id, now, presumed=True)
    if UNEXPLAINED in why:
        account.looked.add(symbol)
    if not UNSETTLED.intersection(why):
        return
    for intent in list(account.journal.open_intents.values()):
        if intent.symbol == symbol and intent.state is IntentState.UNKNOWN:
            settled(account, intent, IntentState.GIVEN_UP, "released by a person, its order was never told apart", now)
            ended_by_other(account, intent.order_id, now, presumed=True)
            account.changed_s[symbol], account.want_read = now.s, True  # it explained what reads before this one showed
    for entry in list(account.journal.awaiting.values()):
        if entry.symbol == symbol:
            account.journal.write_order(replace(entry, awaits=()))
    declaration, held = account.journal.declaration(symbol), account.journal.holding(symbol).quantity
    account.journal.declare(replace(declaration, quantity=clamped(declaration.quantity, held)))


def release(account: Account, symbol: str, now: Now) -> None:
    """A person's word: holds go, and what the strategy declares from now on is a new decision. Where orders were not
    told apart, and stops that nobody knows work on, none is placed beside them before a second word."""
    why = account.journal.drop_holds(symbol)
    _give_up_what_no_read_settles(account, symbol, why, now)
    account.journal.drop_holds(symbol, DIVERGENCE)  # of what the release itself has ended
    declaration, minded = account.journal.declaration(symbol), account.journal.minded(symbol)
    if not (why or declaration.stop_by_person or declaration.take_by_person or minded.regular_stops):
        raise Refused(f"{symbol} is not held: nothing to release")
    account.journal.mind(symbol, replace(minded, regular_stops=False))
    left = "removed" if UNSETTLED.intersection(why) and _stops_of_others(account, symbol) else ""
    account.journal.declare(
        replace(declaration, voided=False, voided_quantity=ZERO, stop_by_person=left, stop_less=ZERO, take_by_person="")
    )
    end_repeats(account, now, symbol)
    if not why:
        account.event(now, "stop.released", "NOTIFY", f"{symbol}: a person lets the desk place its stop again")
    for each in why:
        text = f"{symbol} released by a person: {each}"
        if each in UNSETTLED and left:
            text += "; the stops that work there stay, and no other is placed before it is released once more"
        if each == REJECTS and not _rejects_forgotten(account):
            account.event(now, "hold.released", "NOTIFY", text)
            continue
        incident = each if each == REJECTS else f"{each}:{symbol}"
        account.event(now, "hold.released", "NOTIFY", text, incident=incident, state="resolved")


def _stops_of_others(account: Account, symbol: str) -> bool:
    held = account.journal.holding(symbol).quantity
    others = [order for order in account.foreign_working if order.symbol == symbol and protects(order)]
    return any(order.side.sign * held < 0 for order in others)


def _rejects_forgotten(account: Account) -> bool:
    """A new count begins with the first release; the one incident of all symbols is over with the last."""
    account.journal.forget_rejects()
    return not any(why == REJECTS for _, why in account.journal.holds)
