"""How content is cut into the bytes of a connection (in chunks, or whole), taken off as they come. PURE.

``requests`` gives a read for each chunk, and venues send a chunk for each line: at a lively minute that is ten calls of
Python a line. Taken off here, all that lies in the socket is one read.
"""

from __future__ import annotations

HEAD_BYTES_MAX = 1024
"""Of a chunk's size with its extensions: beyond it, what comes is no chunk."""


class BadChunks(Exception):
    """Not the chunked encoding."""


class Chunks:
    """``push`` gives the content that these bytes hold; ``ended``: the last chunk has come (its trailers are left)."""

    def __init__(self) -> None:
        self.ended = False
        self._due = 0  # content bytes still to come of this chunk, and then its line end (2)
        self._head = b""

    def push(self, data: bytes) -> bytes:
        found: list[bytes] = []
        if self._head:
            data, self._head = self._head + data, b""
        at, length = 0, len(data)
        while at < length and not self.ended:
            if self._due > 2:
                content = data[at : min(at + self._due - 2, length)]
                found.append(content)
                at += len(content)
                self._due -= len(content)
            elif self._due:
                at = self._line_end(data, at)
            else:
                at = self._size(data, at)
        return found[0] if len(found) == 1 else b"".join(found)

    @property
    def whole(self) -> bool:
        """A connection that is closed now has told all."""
        return self.ended

    def _line_end(self, data: bytes, at: int) -> int:
        """What stands behind the content: \\\\r\\\\n, perhaps cut in two."""
        end = data[at : at + self._due]
        if not b"\r\n"[2 - self._due :].startswith(end):
            raise BadChunks(f"{end!r} behind a chunk")
        self._due -= len(end)
        return at + len(end)

    def _size(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._head = data[at:]
            if len(self._head) > HEAD_BYTES_MAX:
                raise BadChunks(f"no size of a chunk within {HEAD_BYTES_MAX} bytes")
            return len(data)
        text = data[at:end].partition(b";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError:
            raise BadChunks(f"{text[:40]!r} is no size of a chunk") from None
        if size < 0:
            raise BadChunks(f"a chunk of {size} bytes")
        self.ended = size == 0
        self._due = size + 2 if size else 0
        return end + 1


class Whole:
    """Content that is sent as it is: ``length_bytes`` of it, or until the connection is closed (None)."""

    def __init__(self, length_bytes: int | None) -> None:
        self._left = length_bytes
        self.ended = length_bytes == 0

    def push(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        self.ended = self._left == 0
        return data

    @property
    def whole(self) -> bool:
        """A connection that is closed now has told all."""
        return self.ended or self._left is None
