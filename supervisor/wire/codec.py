"""Messages as bytes: msgpack of ``[name, fields]``, so that the receiver picks the decoder before it decodes.

What cannot be decoded is a ``BadMessage`` with the reason, and never anything else: bytes from outside are not
trusted, also those of our own processes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

import supervisor.messages  # noqa: F401 - who decodes knows at least these
from supervisor.errors import BadMessage, BadSpec
from supervisor.message_base import MESSAGE_TYPES, Message

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""The largest message that is decoded: a day of one-minute bars is a tenth of it."""

REASON_LENGTH_MAX = 1000
"""Characters of a reason that quotes what came: it goes into an answer and into a log."""
_encoder = msgspec.msgpack.Encoder()
_NO_MESSAGE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError)


def encode(message: Message) -> bytes:
    return _encoder.encode((type(message).__name__, message))


def decode(data: bytes) -> Message:
    """Raises ``BadMessage`` naming what is wrong."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"a message of {len(data)} bytes, limit {MESSAGE_BYTES_MAX}")
    try:
        name, body = _outer.decode(data)
    except _NO_MESSAGE as error:
        raise BadMessage(f"no message: {error}") from error
    kind = MESSAGE_TYPES.get(name)
    if kind is None:
        raise BadMessage(f"unknown message {name[:60]!r}")
    try:
        message = _decoder(kind).decode(body)
    except _NO_MESSAGE as error:
        raise BadMessage(f"{name}: {str(error)[:REASON_LENGTH_MAX]}") from error
    assert isinstance(message, Message)
    return message


def refusal_of(error: BadMessage) -> str:
    """A request that could not be decoded, refused in words. A child spec is checked as it is decoded."""
    bad_spec = isinstance(error.__cause__ and error.__cause__.__cause__, BadSpec)
    return f"{'bad_spec' if bad_spec else 'bad_request'}: {error}"


_outer = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])


@cache
def _decoder(kind: type[Message]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)
