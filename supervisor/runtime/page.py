"""The liveness page: one shared memory page, one slot a child.

A child writes ``alive_until_s`` (monotonic) on each turn of its loop, ``fresh_until_s`` when it delivers, and a short
note of what it is doing. The supervisor reads. One aligned 8-byte store a turn: no message, no lock, nothing that can
block either side.
"""

from __future__ import annotations

import mmap

SLOTS_MAX = 4096
"""More children than one small server carries (200 sessions are about 1,000 processes)."""
SLOT_BYTES = 128
NOTE_BYTES_MAX = 111
_FRESH_AT = 8
_NOTE_LENGTH_AT = 16
_NOTE_AT = 17


class Page:
    """Made by the supervisor before the first fork; every child inherits the mapping."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, SLOTS_MAX * SLOT_BYTES)
        self._numbers = memoryview(self._map).cast("d")
        self._free = list(range(SLOTS_MAX - 1, -1, -1))
        self._used = 0
        """Slots up to here have been in use; the rest need not be looked at."""

    def take(self, alive_until_s: float) -> int:
        """A slot for a new child, cleared. Raises ``IndexError`` when all are taken."""
        slot = self._free.pop()
        self._used = max(self._used, slot + 1)
        self.write_note(slot, "")
        self.write_fresh(slot, 0.0)
        self.write(slot, alive_until_s)
        return slot

    def release(self, slot: int) -> None:
        self.write_fresh(slot, 0.0)
        self._free.append(slot)

    def write(self, slot: int, alive_until_s: float) -> None:
        self._numbers[slot * SLOT_BYTES // 8] = alive_until_s

    def read(self, slot: int) -> float:
        return float(self._numbers[slot * SLOT_BYTES // 8])

    def write_fresh(self, slot: int, fresh_until_s: float) -> None:
        self._numbers[(slot * SLOT_BYTES + _FRESH_AT) // 8] = fresh_until_s

    def read_fresh(self, slot: int) -> float:
        """0: it has never declared that what it delivers can become stale."""
        return float(self._numbers[(slot * SLOT_BYTES + _FRESH_AT) // 8])

    def declared(self) -> dict[int, float]:
        """``fresh_until_s`` by slot, of those that have declared one."""
        every = SLOT_BYTES // 8
        numbers = self._numbers[_FRESH_AT // 8 : self._used * every : every].tolist()
        return {slot: until_s for slot, until_s in enumerate(numbers) if until_s}

    def write_note(self, slot: int, text: str) -> None:
        """The length goes last, so that a kill in the middle leaves an old or an empty note, never a torn one."""
        data = text.encode()[:NOTE_BYTES_MAX]
        at = slot * SLOT_BYTES
        self._map[at + _NOTE_LENGTH_AT] = 0
        self._map[at + _NOTE_AT : at + _NOTE_AT + len(data)] = data
        self._map[at + _NOTE_LENGTH_AT] = len(data)

    def read_note(self, slot: int) -> str:
        at = slot * SLOT_BYTES
        length = min(self._map[at + _NOTE_LENGTH_AT], NOTE_BYTES_MAX)
        return self._map[at + _NOTE_AT : at + _NOTE_AT + length].decode(errors="replace")
