"""What stands in a path or a query, checked: lists, whole numbers, dates. PURE.

Each mistake is a 400 that names the limit.
"""

from __future__ import annotations

import datetime
import re

from brokers.tradestation.emulator.errors import bad_request


def split(ids: str, limit: int, what: str) -> list[str]:
    asked = list(dict.fromkeys(one for one in ids.split(",") if one))
    if not 1 <= len(asked) <= limit:
        raise bad_request(f"{len(asked)} {what} were asked for, the limits are 1 and {limit}")
    return asked


def since_utc(text: str) -> float:
    parts = re.split(r"[-/]", text)
    if len(parts) == 3 and len(parts[2]) == 4:
        parts = [parts[2], parts[0], parts[1]]
    try:
        year, month, day = (int(part) for part in parts)
        return datetime.datetime(year, month, day, tzinfo=datetime.UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise bad_request(f"since must be a date like 2013-10-07 or 10-07-2013, got {text!r}") from error


def when_utc(text: str, name: str) -> float:
    """YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f"{name} must be YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, got {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def whole(query: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = str(query.get(name, default))
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise bad_request(f"{name} must be a whole number from {least} to {most}, got {text!r}")
    return int(text)
