"""The frame before each message between processes: who asks whom for what, until when. PURE.

On the wire: ``[protocol, [kind, sender, incarnation, number, ...]]``. These keep their place in all versions, so that a
peer of another one can be told so.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from supervisor.errors import BadMessage, OtherProtocol

PROTOCOL = 1
"""Version of envelope and framing. Raised when a peer that does not know of a change would misunderstand it; messages
that are added, and fields that are added with a default, are no such change."""
SENDER_LENGTH_MAX = 200
"""Twice the longest name of a child: what is longer is not ours, and would go into our log."""


Kind = Literal["call", "cast", "reply", "refusal", "published", "restated"]


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """``number`` joins call and reply; ``deadline_s`` is machine time, after which nobody wants it any more.
    ``error`` is the reason of a refusal."""

    kind: Kind
    sender: str
    incarnation: int
    number: int
    deadline_s: float = 0.0
    error: str = ""


class Versioned(msgspec.Struct, frozen=True, array_like=True):
    """An envelope on the wire."""

    protocol: int
    envelope: Envelope


class Foreign(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an envelope of another version. Further fields are left alone."""

    kind: str
    sender: str
    incarnation: int
    number: int


class ForeignVersioned(msgspec.Struct, frozen=True, array_like=True):
    protocol: int
    envelope: Foreign


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Versioned)
_foreign = msgspec.msgpack.Decoder(ForeignVersioned)


def pack(envelope: Envelope) -> bytes:
    return _encoder.encode(Versioned(PROTOCOL, envelope))


def unpack(data: bytes) -> Envelope:
    """Raises ``OtherProtocol`` for an envelope of another version, ``BadMessage`` for what is none at all."""
    try:
        came = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        _say_if_foreign(data)
        raise BadMessage(f"no envelope: {error}") from error
    if came.protocol != PROTOCOL:
        _say_if_foreign(data)
    if len(came.envelope.sender) > SENDER_LENGTH_MAX:
        raise BadMessage(f"no envelope: a sender's name of {len(came.envelope.sender)} characters")
    return came.envelope


def _say_if_foreign(data: bytes) -> None:
    try:
        came = _foreign.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return
    if came.protocol != PROTOCOL:
        known = came.envelope
        raise OtherProtocol(came.protocol, PROTOCOL, kind=known.kind, number=known.number)
