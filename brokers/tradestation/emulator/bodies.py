"""Bodies of orders: names in any case, numbers as strings or numbers ([infer], [spec]). PURE.

What is missing or makes no sense is a 400 that says so.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from brokers.tradestation.emulator.errors import Refusal, bad_request

BODY_BYTES_MAX = 65_536
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some libraries of .NET write it
NUMBER_EXPONENT_MAX = 30
"""A quantity or a price has no more digits than this before or behind its point: "1e999999999" is none."""

Body = dict[str, Any]


class BodyError(ValueError):
    """Bytes that are not the JSON that was due; says why."""


def decoded(raw: bytes, shape: Any = Any) -> Any:
    """JSON as anybody may send it: texts that are no UTF-8 and ten thousand brackets are wrong like any other. Raises
    BodyError."""
    try:
        return msgspec.json.decode(raw.removeprefix(BYTE_ORDER_MARK), type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(str(error)) from error


def parse(raw: bytes) -> Body:
    if len(raw) > BODY_BYTES_MAX:
        raise bad_request(f"the body has {len(raw)} bytes, the limit is {BODY_BYTES_MAX}")
    try:
        body = decoded(raw)
    except BodyError as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    return lowered(body, "the body")


def lowered(value: Any, what: str) -> Body:
    if not isinstance(value, dict):
        raise bad_request(f"{what} must be one JSON object, got {type(value).__name__}")
    return {str(name).lower(): one for name, one in value.items()}


def listed(body: Body, name: str) -> list[Body]:
    """A list of objects; absent is empty."""
    value = body.get(name)
    if not value:
        return []
    if not isinstance(value, list):
        raise unbuilt(f"{name} must be a list, got {type(value).__name__}")
    return [lowered(one, f"an element of {name}") for one in value]


def text(body: Body, name: str) -> str:
    value = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise unbuilt(f"{name} is missing or not a text")
    return value


def choice(body: Body, name: str, choices: dict[str, str]) -> str:
    given = text(body, name)
    if given.lower() not in choices:
        raise unbuilt(f"{name} {given!r} is not served by this emulator, only {', '.join(choices.values())}")
    return choices[given.lower()]


def amount(body: Body, name: str) -> Decimal:
    given = body.get(name)
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise unbuilt(f"{name} is missing or not a number")
    try:
        number = Decimal(str(given))
    except InvalidOperation as error:
        raise unbuilt(f"{name} {given!r} is not a number") from error
    if not number.is_finite() or abs(number.adjusted()) > NUMBER_EXPONENT_MAX:
        raise unbuilt(f"{name} {str(given)[:40]!r} is not a finite number")
    return number


def truth(body: Body, name: str) -> bool:
    """Also as a word; absent is false."""
    given = body.get(name)
    if given is None or isinstance(given, bool):
        return bool(given)
    return choice(body, name, {"true": "true", "false": "false"}) == "true"


def unbuilt(why: str) -> Refusal:
    return bad_request(f"Failed to build order: {why}")
