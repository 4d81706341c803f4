"""A strategy's state as bytes and back, so that it comes back as it was: a Decimal is a Decimal again. PURE."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

STATE_BYTES_MAX = 256 * 1024
"""A state is committed with each turn: a few numbers and short lists, never a history of bars."""

DECIMAL = 1
"""Our msgpack extension type: msgpack itself would make text of a Decimal, and it would come back as text."""


Plain = bool | int | float | str | None
"""What msgpack gives back as it was. (Put together once: each value of each turn is asked.)"""


EMPTY = msgspec.msgpack.encode({})


class BadState(Exception):
    """The state holds what cannot be stored; the message names where, and what may be stored."""


def encode(state: dict[str, Any]) -> bytes:
    """Raises ``BadState``."""
    if state == {}:
        return EMPTY
    data = msgspec.msgpack.encode(_packed(state, "self.state"))
    if len(data) > STATE_BYTES_MAX:
        raise BadState(f"self.state has {len(data)} bytes, limit {STATE_BYTES_MAX}: keep what decides, not history")
    return data


def decode(data: bytes) -> dict[str, Any]:
    """The state of the last committed turn; empty before the first."""
    if not data:
        return {}
    return msgspec.msgpack.Decoder(dict[str, Any], ext_hook=_decimal).decode(data)


def _packed(value: Any, where: str) -> Any:
    if isinstance(value, Plain):
        return value
    if isinstance(value, Decimal):
        return msgspec.msgpack.Ext(DECIMAL, str(value).encode())
    if isinstance(value, list):
        return [_packed(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {
            key: item if isinstance(item, Plain) else _packed(item, f"{where}[{key!r}]") for key, item in value.items()
        }
    raise BadState(
        f"{where} is a {type(value).__name__}: a state holds None, bool, int, float, str, Decimal, lists, and dicts"
        " with text keys, which come back as they were"
    )


def _decimal(code: int, data: memoryview) -> Any:
    if code != DECIMAL:
        raise BadState(f"a stored state with the unknown type {code}: written by a newer version")
    return Decimal(bytes(data).decode())
