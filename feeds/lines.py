"""Bytes of a stream into lines, whatever the chunks were. PURE.

Chunk borders mean nothing: a line may span many, one may hold many. ``\\r\\n``, blank lines and a last line without
newline are tolerated (tradestation v3, 10).
"""

from __future__ import annotations

LINE_BYTES_MAX = 1 << 20
"""A frame is some hundred bytes, an order with rules some thousand. Beyond this it is no stream of lines."""


class LineTooLong(Exception):
    """A line exceeds ``LINE_BYTES_MAX``: what comes is not what we think."""


class LineSplitter:
    """Feed it with ``push``; what is no whole line yet is kept, up to the limit."""

    def __init__(self, limit_bytes: int = LINE_BYTES_MAX) -> None:
        self._limit_bytes = limit_bytes
        self._parts: list[bytes] = []  # of the unfinished line; joined once, so that small chunks cost no square
        self._length = 0

    def push(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete, without their ends and without blank ones."""
        may_exceed = self._length + len(data) > self._limit_bytes
        *complete, rest = data.split(b"\n")
        if complete and self._parts:
            complete[0] = b"".join([*self._parts, complete[0]])
            self._parts, self._length = [], 0
        if rest:
            self._parts.append(rest)
            self._length += len(rest)
        if may_exceed:
            self._check([self._length, *map(len, complete)])
        return [line for part in complete if (line := part.strip())]

    def _check(self, lengths: list[int]) -> None:
        longest = max(lengths)
        if longest > self._limit_bytes:
            raise LineTooLong(f"a line of {longest} bytes or more, allowed are {self._limit_bytes}")

    def finish(self) -> list[bytes]:
        """The stream is over: what is left is a line too."""
        return self.push(b"\n")
