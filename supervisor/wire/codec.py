"""Messages as bytes: msgpack of ``[name, fields]``, so that the receiver picks the decoder before it decodes.

What cannot be decoded is a ``BadMessage`` with the reason, and never anything else: bytes from outside are not
trusted, also those of our own processes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

import supervisor.messages  # noqa: F401 - who decodes knows at least these
from supervisor.errors import BadMessage
from supervisor.message_base import MESSAGE_TYPES, Message

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""The largest message that is decoded: a day of one-minute bars is a tenth of it."""

_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    return _encoder.encode((type(message).__name__, message))


def decode(data: bytes) -> Message:
    """Raises ``BadMessage`` naming what is wrong."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"a message of {len(data)} bytes, limit {MESSAGE_BYTES_MAX}")
    try:
        name, body = _outer.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadMessage(f"no message: {error}") from error
    kind = MESSAGE_TYPES.get(name)
    if kind is None:
        raise BadMessage(f"unknown message {name[:60]!r}")
    try:
        message = _decoder(kind).decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadMessage(f"{name}: {error}") from error
    assert isinstance(message, Message)
    return message


_outer = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])


@cache
def _decoder(kind: type[Message]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)
