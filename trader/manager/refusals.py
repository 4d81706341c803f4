"""What is refused is told: to the record, and as a row to the strategy. One that is refused over and over is held.

Acts inside a transaction of the journal.
"""

from __future__ import annotations

from decimal import Decimal

from trader.manager.account import Account, Now
from trader.messages import RejectRow
from trader.risk.usage import MINUTE_S

REJECTS = "rejects"
"""Why entries are held: refusals in a loop."""


def reject(
    account: Account, now: Now, symbol: str, gate: str, text: str, quantity: Decimal, *, row: bool = True
) -> None:
    """A refusal goes to the record and, as a row, to the strategy."""
    account.event(now, "order.refused", "DIGEST", f"{symbol}: {text}", gate=gate, quantity=quantity)
    if row:
        _tell(account, now, symbol, gate, text, quantity)


def refuse_again(
    account: Account, now: Now, symbol: str, gate: str, text: str, quantity: Decimal, *, row: bool
) -> None:
    """A declaration refused. A strategy that says the same on each bar makes one event, then a count."""
    before, times = account.repeats.get(symbol, ("", 0))
    if before == gate:
        account.repeats[symbol] = (gate, times + 1)
        if row:
            _tell(account, now, symbol, gate, text, quantity)
        return
    end_repeats(account, now, symbol)
    account.repeats[symbol] = (gate, 0)
    reject(account, now, symbol, gate, text, quantity, row=row)


def end_repeats(account: Account, now: Now, symbol: str) -> None:
    """The symbol's refusals are over, or another gate goes on with them: how many there were goes to the record."""
    gate, times = account.repeats.pop(symbol, ("", 0))
    if times:
        text = f"{symbol}: refused {times} times more by the gate {gate!r}"
        account.event(now, "order.refused_again", "DIGEST", text, gate=gate, times=times)


def _tell(account: Account, now: Now, symbol: str, gate: str, text: str, quantity: Decimal) -> None:
    row = RejectRow(symbol=symbol, gate=gate, text=text, quantity=quantity, refused_utc=now.utc)
    account.journal.add_row(row)
    _hold_a_loop(account, now)


def _hold_a_loop(account: Account, now: Now) -> None:
    """A session that is refused over and over goes round in a loop: it enters nothing more before a person looks
    (docs/order-safety.md, "Refusals in a loop"). One incident for all its symbols."""
    most, minutes, journal = account.limits.max_rejects, account.limits.rejects_within_minutes, account.journal
    if most is None or minutes is None or journal.usage.rejects.since(now.utc - minutes * MINUTE_S) < most:
        return
    held = [symbol for symbol in account.session.symbols if journal.add_hold(symbol, REJECTS, now.utc)]
    if held:
        text = f"{most} refusals within {minutes} market minutes: entries of {', '.join(held)} are held"
        account.event(now, "hold.rejects", "PAGE", text, incident=REJECTS, state="opened")
