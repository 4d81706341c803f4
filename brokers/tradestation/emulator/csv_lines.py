"""Rows and fields of the data files, checked: header, times, prices, sizes. EDGE. Each mistake is a DataError that
names file, line and value.

What exporters do differently and means the same is read: a byte order mark, CRLF, quoted fields, columns in another
order or more of them, gzip or not whatever the name says, a time with any offset. What could mean two things is
refused.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.market import MINUTE_S

OUT_OF_ORDER = "is earlier than the line before; sort the file by time"
FILE_BYTES_MAX = 512 * 1024 * 1024  # unpacked; about twenty years of minutes
PRICE_MIN = Decimal("0.00000001")  # the last digit that is shown of a price
PRICE_END = Decimal(10_000_000)  # the dearest stock is below a tenth of it
PRICE_DIGITS_MAX = 20  # so that money, with all its factors, keeps to 28 digits nearly always
VOLUME_MAX = 10**15  # whole numbers up to here are exact for clients that read them as floats, sums of them too
YEARS = (1970, 2099)
_GZIP = b"\x1f\x8b"

Row = tuple[int, list[str]]


def rows_of(path: Path, header: str) -> Iterator[Row]:
    """The line number of each row behind the header and its fields, in the order of ``header``. Other columns are left
    unread; empty lines at the end are no rows."""
    reader = csv.reader(io.StringIO(_text(path), newline=None), skipinitialspace=True, strict=True)
    try:
        told = next(reader, [])
        places = _places(path, told, header.split(","))
        emptied = 0
        for fields in reader:
            if not fields:
                emptied = emptied or reader.line_num
                continue
            if emptied:
                raise DataError(f"{path}, line {emptied}: the line is empty, and more lines follow")
            if len(fields) != len(told):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(told)} fields are due, {len(fields)} are there: "
                    f"{','.join(fields)[:80]!r}"
                )
            yield reader.line_num, [fields[place] for place in places]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: no row of a CSV file: {error}") from error


def _places(path: Path, told: list[str], due: list[str]) -> list[int]:
    names = [name.strip().lower() for name in told]
    if missing := [name for name in due if names.count(name) != 1]:
        shown = ",".join(told)[:200]
        raise DataError(
            f"{path}, line 1: the header must be {','.join(due)!r} (in any order, more columns may follow), is "
            f"{shown!r}: {', '.join(missing)} must be there once"
        )
    return [names.index(name) for name in due]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except EOFError as error:
        raise DataError(f"{path}: the gzip file is cut short; fetch it again") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if len(raw) > FILE_BYTES_MAX:
        raise DataError(f"{path}: more than {FILE_BYTES_MAX} bytes unpacked; give it in parts")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte {error.start} of the file is not UTF-8; save it as UTF-8"
        ) from error


def stamp_of(where: str, text: str) -> int:
    stamp = int(moment_of(where, text))
    if stamp % MINUTE_S:
        raise DataError(f"{where}: a minute bar ends on a full minute ({MINUTE_S} s), this one at {text!r}")
    return stamp


def moment_of(where: str, text: str) -> float:
    """Seconds since 1970."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{where}: the time must be YYYY-MM-DDTHH:MM:SSZ, is {text[:40]!r}") from error
    if moment.tzinfo is None:
        raise DataError(f"{where}: the time must be YYYY-MM-DDTHH:MM:SSZ (Z or an offset), {text!r} has no zone")
    if not YEARS[0] <= moment.year <= YEARS[1]:
        raise DataError(f"{where}: the time must be of the years {YEARS[0]} to {YEARS[1]}, is {text!r}")
    return moment.timestamp()


def price_of(where: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise DataError(f"{where}: not a price: {text[:40]!r}") from error
    if not price.is_finite() or not text.isascii() or "_" in text:
        raise DataError(f"{where}: not a finite price: {text[:40]!r}")
    if not PRICE_MIN <= price < PRICE_END or len(price.as_tuple().digits) > PRICE_DIGITS_MAX:
        raise DataError(
            f"{where}: a price is above 0 (at least {PRICE_MIN:f}) and below {PRICE_END}, of at most "
            f"{PRICE_DIGITS_MAX} digits; this one is {text[:40]!r}"
        )
    return price


def volume_of(where: str, text: str) -> int:
    """Also as ``100.0``: exporters that hold columns as floats write it so."""
    number = text.removesuffix(".0")
    if not (number.isascii() and number.isdecimal()) or len(number) > len(str(VOLUME_MAX)) or int(number) > VOLUME_MAX:
        raise DataError(
            f"{where}: volume must be a whole number of at least 0 and at most {VOLUME_MAX}, is {text[:40]!r}; write 0 "
            "where it is not known"
        )
    return int(number)
