"""Events on their way to the recorder: kept here until it says that it has them. PURE.

The recorder may be away or die with a batch in its mailbox; it knows a row by (sender, incarnation, number), so that
sending again does not write twice.
"""

from __future__ import annotations

from collections import deque

from supervisor.messages import Event, RecordEvents

KEPT_MAX = 2000
"""Events kept while the recorder is away. Beyond that the oldest are dropped and counted; they are in the log, and the
record is told how many it lacks as soon as the recorder is back."""
BATCH_MAX = 100
"""Events in one message."""


class Outbox:
    def __init__(self, sender: str, incarnation: int) -> None:
        self._sender = sender
        self._incarnation = incarnation
        self._first = 1
        self._kept: deque[Event] = deque()
        self._dropped = 0

    def add(self, event: Event) -> None:
        self._kept.append(event)
        if len(self._kept) > KEPT_MAX:
            self._kept.popleft()
            self._first += 1
            self._dropped += 1

    def batch(self) -> RecordEvents | None:
        """What to send now; the same again until it is recorded."""
        if not self._kept:
            return None
        events = tuple(self._kept[place] for place in range(min(BATCH_MAX, len(self._kept))))
        return RecordEvents(self._sender, self._incarnation, self._first, events)

    def recorded(self, up_to: int) -> None:
        """The recorder has stored all up to this number."""
        newest = self._kept[-1] if self._kept else None
        while self._kept and self._first <= up_to:
            self._kept.popleft()
            self._first += 1
        if self._dropped and newest is not None and len(self._kept) < KEPT_MAX:
            count, self._dropped = self._dropped, 0
            text = f"{count} events of {self._sender} are not in the record: the recorder was away; its log has them"
            at = (newest.machine_s, newest.market_utc)
            self.add(Event("record.dropped", "NOTIFY", self._sender, text, *at, data={"count": count}))
