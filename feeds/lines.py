"""Bytes of a stream into lines, whatever the chunks were. PURE.

Chunk borders mean nothing: a line may span many, one may hold many. ``\\r\\n``, blank lines and a last line without
newline are tolerated.
"""

from __future__ import annotations

LINE_BYTES_MAX = 1 << 20
"""A frame is some hundred bytes, an order with rules some thousand. Beyond this it is no stream of lines."""


class LineTooLong(Exception):
    """A line exceeds ``LINE_BYTES_MAX``: what comes is not what we think."""


class LineSplitter:
    """Feed it with ``whole`` or ``push``; what is no whole line yet is kept, up to the limit."""

    def __init__(self, limit_bytes: int = LINE_BYTES_MAX) -> None:
        self._limit_bytes = limit_bytes
        self._parts: list[bytes] = []  # of the unfinished line; joined once, so that small chunks cost no square
        self._length = 0

    def whole(self, data: bytes) -> bytes:
        """What these bytes complete, as it came, up to and with the last newline; empty where none came."""
        may_exceed = self._length + len(data) > self._limit_bytes
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            if may_exceed:
                self._check(self._length)
            return b""
        lines = data[:end] if end < len(data) else data
        if self._parts:
            lines = b"".join([*self._parts, lines])
            self._parts, self._length = [], 0
        if end < len(data):
            self._keep(data[end:])
        if may_exceed:
            self._check(max(self._length, *map(len, lines.split(b"\n"))))
        return lines

    def push(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete, without their ends and without blank ones."""
        return lines_of(self.whole(data))

    def finish(self) -> list[bytes]:
        """The stream is over: what is left is a line too."""
        return self.push(b"\n")

    def _keep(self, rest: bytes) -> None:
        if rest:
            self._parts.append(rest)
            self._length += len(rest)

    def _check(self, longest: int) -> None:
        if longest > self._limit_bytes:
            raise LineTooLong(f"a line of {longest} bytes or more, allowed are {self._limit_bytes}")


def lines_of(whole: bytes) -> list[bytes]:
    """One by one, without their ends and without blank ones."""
    return [line for part in whole.split(b"\n") if (line := part.strip())]
