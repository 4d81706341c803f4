"""Numbers of order keys that are used up, beside the journal: a copy of yesterday brought back uses none of them again.

A journal knows the newest number that it has used, so one that was restored from a copy would use today's numbers once
more under the same key: the venue could take a new stop for an old one. So numbers are taken in blocks, and where the
next block begins stands in a small file of its own, written before the first of a block leaves. A start goes on there.
PURE but for the file that it is lent.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from supervisor.errors import StoreFailed

BLOCK = 20
"""Numbers taken at once: one durable write in so many placings; a start skips what is left of its block."""


class KeyFile(Protocol):
    def read(self) -> bytes | None: ...
    def write(self, data: bytes) -> None: ...


class Taken(msgspec.Struct, frozen=True):
    """Of the key ``key`` all numbers below ``below`` may have been used."""

    key: str
    below: int


def keys_path(session: str) -> str:
    return f"sessions/{session}.keys.json"


class KeyNumbers:
    """``key`` and ``newest``: as the journal has them; ``fresh``: it has just drawn the key. ``trouble``: why the file was
    not read or written, "" if it was."""

    def __init__(self, file: KeyFile, key: str, newest: int, *, fresh: bool = False) -> None:
        self._file, self._key = file, key
        self.trouble = ""
        taken = self._read()
        mine = taken is not None and taken.key == key
        self.behind = mine and taken is not None and newest + 1 < taken.below - BLOCK
        """The journal is older than what was sent: it was brought back from a copy."""
        self.unknown = not (mine or fresh)
        """Nothing says how far its key was used: it is not to be used any more."""
        self.next_number = max(newest + 1, taken.below) if mine and taken is not None else newest + 1
        self._below = self.next_number

    def take_key(self, key: str) -> None:
        """Another key from now on; its numbers are all free."""
        self._key, self._below = key, self.next_number

    def reserve(self, number: int) -> None:
        """It is about to be used. A file that cannot be written stops nothing: a stop goes before its bookkeeping."""
        if number < self._below:
            return
        try:
            self._file.write(msgspec.json.encode(Taken(self._key, number + BLOCK)))
        except StoreFailed as failed:
            self.trouble = f"numbers of order keys are not kept: {failed}"
        else:
            self._below, self.trouble = number + BLOCK, ""

    def _read(self) -> Taken | None:
        try:
            data = self._file.read()
            return None if data is None else msgspec.json.decode(data, type=Taken)
        except (StoreFailed, msgspec.DecodeError, UnicodeDecodeError) as failed:
            self.trouble = f"numbers of order keys cannot be read: {failed}"
            return None
