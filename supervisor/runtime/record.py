"""The supervisor's own events, numbered and kept for whoever writes the record. Bounded: the recorder may be away."""

from __future__ import annotations

from collections import deque

from supervisor.core.tree import Record
from supervisor.messages import Event, Supervision

KEPT_MAX = 10_000
"""Events kept for a recorder that is away: hours of a bad night. Beyond that the oldest go; they are in the log."""


class RecordRing:
    """Numbers begin with 1 in each life of the supervisor."""

    def __init__(self) -> None:
        self._rows: deque[Supervision] = deque(maxlen=KEPT_MAX)
        self._number = 0

    def add(self, action: Record, machine_s: float, market_utc: float) -> Supervision:
        self._number += 1
        event = Event(
            kind=action.kind,
            level=action.level,
            subject=action.subject or "nightdesk",
            text=action.text,
            machine_s=machine_s,
            market_utc=market_utc,
            incident=action.incident,
            incident_state=action.incident_state,
            data=action.data,
        )
        row = Supervision(number=self._number, event=event)
        self._rows.append(row)
        return row

    def since(self, after: int) -> list[Supervision]:
        """The rows above ``after`` that are still kept."""
        return [row for row in self._rows if row.number > after]
