"""What stands in a path or a query, checked: lists, whole numbers, dates. PURE.

Each mistake is a 400 that names the limit.
"""

from __future__ import annotations

import datetime
import re

from brokers.tradestation.emulator.errors import bad_request

_MONTH_FIRST = re.compile(r"^(\d\d?)-(\d\d?)-(\d{4})")
_ONE_DIGIT = re.compile(r"-(\d)(?=-|T|$)")


def split(ids: str, limit: int, what: str) -> list[str]:
    asked = list(dict.fromkeys(one for one in ids.split(",") if one))
    if not 1 <= len(asked) <= limit:
        raise bad_request(f"{len(asked)} {what} were asked for, the limits are 1 and {limit}")
    return asked


def symbols_of(names: str, limit: int) -> list[str]:
    """In capitals, however they were asked for [infer]."""
    return split(names.upper(), limit, "symbols")


def when_utc(text: str, name: str) -> float:
    """YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ; the month first, and slashes, as the venue says for ``since`` [spec] and some
    clients write everywhere."""
    given = _MONTH_FIRST.sub(r"\3-\1-\2", text.upper().replace("/", "-"))
    try:
        moment = datetime.datetime.fromisoformat(_ONE_DIGIT.sub(r"-0\1", given))
    except ValueError as error:
        raise bad_request(
            f"{name} must be a date like 2013-10-07 or 10-07-2013, or a time like 2013-10-07T14:00:00Z, got {text!r}"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def whole(query: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = str(query.get(name, default))
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise bad_request(f"{name} must be a whole number from {least} to {most}, got {text!r}")
    return int(text)
