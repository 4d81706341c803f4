"""The book on disk: locked, appended, synced, read back. EDGE; what the lines mean is in book.py."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from brokers.tradestation.emulator.book import Entry, decode, encode
from brokers.tradestation.emulator.errors import BookError


class BookFile:
    """The book on disk, held by a lock for as long as this process lives."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise BookError(f"{path}: another emulator has this book open; end it, or use another book") from error

    def __enter__(self) -> BookFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self) -> list[Entry]:
        """Whole entries. A last line cut short by a kill is taken off the file: its reply never left."""
        text = self.path.read_bytes()
        replay = decode(text, str(self.path))
        if replay.torn_bytes:
            os.ftruncate(self._fd, len(text) - replay.torn_bytes)
            sys.stderr.write(
                f"{self.path}: the last line was cut short by a kill ({replay.torn_bytes} bytes) and taken off; "
                f"{len(replay.entries)} entries are whole\n"
            )
        return replay.entries

    def append(self, entries: list[Entry]) -> None:
        if entries:
            _write_all(self._fd, encode(entries))
            os.fsync(self._fd)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
