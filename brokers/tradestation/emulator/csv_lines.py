"""Lines and fields of the data files, checked: header, times, prices, sizes. EDGE. Each mistake is a DataError that
names file, line and value."""

from __future__ import annotations

import datetime
import gzip
import zlib
from decimal import Decimal, InvalidOperation
from pathlib import Path

from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.market import MINUTE_S

OUT_OF_ORDER = "is earlier than the line before; sort the file by time"
FILE_BYTES_MAX = 512 * 1024 * 1024  # unpacked; about twenty years of minutes


def lines_of(path: Path, header: str, *, more_columns: bool = False) -> list[str]:
    """The first of them is the header, or begins with it where more columns are allowed."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        text = raw.decode("ascii")
    except EOFError as error:
        raise DataError(f"{path}: the gzip file is cut short; fetch it again") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not ASCII") from error
    if len(raw) > FILE_BYTES_MAX:
        raise DataError(f"{path}: more than {FILE_BYTES_MAX} bytes unpacked")
    lines = text.splitlines()
    told = lines[0] if lines else ""
    if told != header and not (more_columns and told.startswith(f"{header},")):
        raise DataError(f"{path}, line 1: the header must be {header!r}, is {told!r}")
    return lines


def stamp_of(where: str, text: str) -> int:
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise DataError(f"{where}: the time must be YYYY-MM-DDTHH:MM:SSZ, is {text!r}") from error
    if moment.second:
        raise DataError(f"{where}: a minute bar ends on a full minute ({MINUTE_S} s), this one at {text!r}")
    return int(moment.timestamp())


def price_of(where: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise DataError(f"{where}: not a price: {text!r}") from error
    if not price.is_finite():
        raise DataError(f"{where}: not a finite price: {text!r}")
    return price


def volume_of(where: str, text: str) -> int:
    if not text.isdecimal():
        raise DataError(f"{where}: volume must be a whole number of at least 0, is {text!r}")
    return int(text)
