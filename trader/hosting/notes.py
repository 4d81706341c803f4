"""A trader's note in its liveness slot: what its strategy is told, for the next incarnation if this one dies. PURE."""

from __future__ import annotations

from supervisor.messages import Predecessor
from trader.messages import Cursor, RowNumber, TimerDue


def note_of(what: Cursor | RowNumber | TimerDue) -> str:
    if isinstance(what, Cursor):
        return f"bar {what.symbol} {what.interval_s} {what.closed_utc}"
    return f"row {what.number}" if isinstance(what, RowNumber) else f"timer {what.name} {what.due_utc}"


def died_on(last: Predecessor | None) -> Cursor | RowNumber | TimerDue | None:
    """What the last incarnation was told when it died. What would not come again (a quote) is not counted."""
    match last.note.split() if last is not None and last.abnormal else []:
        case ["bar", symbol, interval_s, closed_utc]:
            return Cursor(symbol=symbol, interval_s=int(interval_s), closed_utc=int(closed_utc))
        case ["timer", name, due_utc]:
            return TimerDue(name, int(due_utc))
        case ["row", number]:
            return RowNumber(int(number))
    return None
