"""Messages over a socketpair: a length, then msgpack. Used by the supervisor (never blocking) and its children."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from supervisor.errors import BadMessage
from supervisor.messages import Message
from supervisor.wire.codec import decode, encode

FRAME_BYTES_MAX = 4 * 1024 * 1024
"""A tree of 2,000 children is half a megabyte; more than eight times that is not ours."""
_LENGTH = struct.Struct("!I")


def frame(message: Message) -> bytes:
    body = encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise BadMessage(f"{type(message).__name__} has {len(body)} bytes, limit {FRAME_BYTES_MAX}; not sent")
    return _LENGTH.pack(len(body)) + body


class Unframer:
    """Bytes in, messages out; a rest is kept for the next read."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        self._rest += data
        while len(self._rest) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._rest)
            if length > FRAME_BYTES_MAX:
                raise BadMessage(f"a frame of {length} bytes, limit {FRAME_BYTES_MAX}")
            end = _LENGTH.size + length
            if len(self._rest) < end:
                return
            body = bytes(self._rest[_LENGTH.size : end])
            del self._rest[:end]
            yield decode(body)
