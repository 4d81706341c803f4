"""Values as columns of the journal and back. Exact: a Decimal is text there, never a float. PURE."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from trader.intents import Intent

T = TypeVar("T")


def intent_of(row: dict[str, Any]) -> Intent:
    return msgspec.convert({**row, "known": json.loads(row["known"])}, Intent, strict=False)


_encoder = msgspec.json.Encoder()


def to_json(value: object) -> str:
    return _encoder.encode(value).decode()


def from_json(text: str, kind: type[T]) -> T:
    return msgspec.json.decode(text, type=kind)


def decimal_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def text_or_none(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
