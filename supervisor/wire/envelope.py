"""The frame before each message between processes: who asks whom for what, until when. PURE."""

from __future__ import annotations

from typing import Literal

import msgspec

from supervisor.errors import BadMessage


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """``number`` joins call and reply; ``deadline_s`` is machine time, after which nobody wants it any more.
    ``error`` is the reason of a refusal."""

    kind: Literal["call", "cast", "reply", "refusal", "published", "restated"]
    sender: str
    incarnation: int
    number: int
    deadline_s: float = 0.0
    error: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


def pack(envelope: Envelope) -> bytes:
    return _encoder.encode(envelope)


def unpack(data: bytes) -> Envelope:
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise BadMessage(f"no envelope: {error}") from error
