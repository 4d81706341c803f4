"""Numbers of order keys that are used up, beside the journal: a copy of yesterday brought back uses none of them again.

A journal knows the newest number that it has used, so one that was restored from a copy would use today's numbers once
more under the same key: the venue could take a new stop for an old one. So numbers are taken in blocks, and where the
next block begins stands in a small file of its own, written before the first of a block leaves. A start goes on there.
Knows of the world a file and the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from supervisor.errors import StoreFailed
from supervisor.process.world import World
from trader.manager.journal import Journal

BLOCK = 20
"""Numbers taken at once: one durable write in so many placings; a start skips what is left of its block."""
LEFT_MIN = BLOCK // 2
"""With fewer left the next are taken while nobody waits: their write made each tenth entry a millisecond late."""


class KeyFile(Protocol):
    def read(self) -> bytes | None: ...
    def write(self, data: bytes) -> None: ...


class UsedNumbers(msgspec.Struct, frozen=True):
    """Of the key ``key`` all numbers below ``below`` may have been used."""

    key: str
    below: int


def keys_path(session: str) -> str:
    return f"sessions/{session}.keys.json"


class KeyNumbers:
    """``key`` and ``newest``: as the journal has them; ``fresh``: it has just drawn the key. ``trouble``: why the file
    was not read or written, "" if it was."""

    def __init__(
        self, file: KeyFile, key: str, newest: int, *, fresh: bool = False, warn: Callable[[str], object] = str
    ) -> None:
        self._file, self._key, self._warn = file, key, warn
        self.trouble = ""
        taken = self._read()
        mine = taken is not None and taken.key == key
        self.behind = mine and taken is not None and newest + 1 < taken.below - BLOCK
        """The journal is older than what was sent: it was brought back from a copy."""
        self.unknown = not (mine or fresh)
        """Nothing says how far its key was used: it is not to be used any more."""
        self.next_number = max(newest + 1, taken.below) if mine and taken is not None else newest + 1
        self._below = self.next_number
        if fresh:
            self._write(self.next_number)

    def take_key(self, key: str) -> None:
        """Another key from now on; its numbers are all free."""
        self._key = key
        self._write(self.next_number)

    def take_ahead(self, number: int) -> None:
        """It would be the next one. (Where none was used since the start the file stays as it is, or each start would
        move it on from what the journal has.)"""
        if number > self.next_number and self._below - number < LEFT_MIN:
            self._write(number + BLOCK)

    def reserve(self, number: int) -> None:
        """It is about to be used. A file that cannot be written stops nothing: a stop goes before its bookkeeping."""
        if number >= self._below:
            self._write(number + BLOCK)

    def _write(self, below: int) -> None:
        try:
            self._file.write(msgspec.json.encode(UsedNumbers(self._key, below)))
        except StoreFailed as failed:
            self._troubled(f"numbers of order keys are not kept: {failed}")
        else:
            self._below, self.trouble = below, ""

    def _read(self) -> UsedNumbers | None:
        try:
            data = self._file.read()
            return None if data is None else msgspec.json.decode(data, type=UsedNumbers)
        except (StoreFailed, msgspec.DecodeError, UnicodeDecodeError) as failed:
            self._troubled(f"numbers of order keys cannot be read: {failed}")
            return None

    def _troubled(self, text: str) -> None:
        if text != self.trouble:
            self.trouble = text
            self._warn(text)


def number_keys(world: World, journal: Journal, session: str) -> KeyNumbers:
    """Where the journal's numbers go on; it takes another key where nothing says how far its own was used."""
    file = world.file(keys_path(session))
    numbers = KeyNumbers(file, journal.key, journal.newest_intent, fresh=journal.is_new, warn=world.log.warning)
    if numbers.unknown:
        with journal.transaction():
            journal.take_key(world.new_id())
        numbers.take_key(journal.key)
    journal.next_number = numbers.next_number
    if numbers.behind:
        text = "the journal is older than what was sent: brought back from a copy? What it lacks the broker tells"
        world.event("journal.behind", "NOTIFY", f"{session}: {text}")
    return numbers
