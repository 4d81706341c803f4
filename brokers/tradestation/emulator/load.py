"""Reading bar files (CSV, plain or gzip) into series. EDGE. What is wrong is named by file, line, value; nothing is
repaired, but the same bar said twice in a row is used once, with a warning."""

from __future__ import annotations

import datetime
import gzip
import sys
import zlib
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.instruments import ROOTS, instrument
from brokers.tradestation.emulator.market import MINUTE_S, Bar, Market, Series

HEADER = "time,open,high,low,close,volume"
SUFFIX = "_1m.csv.gz"
PLAIN_SUFFIX = "_1m.csv"
BUNDLED = Path(__file__).parent / "data"
OUT_OF_ORDER = "is earlier than the line before; sort the file by time"
FILE_BYTES_MAX = 512 * 1024 * 1024  # unpacked; about twenty years of minutes


def load_market(names: Sequence[str], warn: Callable[[str], None] | None = None) -> Market:
    """Bars of bundled symbols ("ESZ13") or of files (".../GCZ13_1m.csv.gz"). Raises DataError. ``warn`` is told, in
    one line a file, what was left out (default: stderr)."""
    if not names:
        raise DataError(f"no bars were named; bundled are {', '.join(bundled_symbols())}")
    series = [load_series(_path(name), warn or to_stderr) for name in names]
    seen: set[str] = set()
    for one in series:
        if one.symbol in seen:
            raise DataError(f"bars of {one.symbol} were given twice: {', '.join(names)}")
        seen.add(one.symbol)
    return Market(series)


def bundled_symbols() -> list[str]:
    return sorted(path.name.removesuffix(SUFFIX) for path in BUNDLED.glob(f"*{SUFFIX}"))


def load_series(path: Path, warn: Callable[[str], None], symbol: str = "") -> Series:
    """The same bar said twice in a row is dropped and counted: exporters that append do that. A bar told twice with
    different values, or out of order, is refused: which one is right is not ours to guess. ``symbol``: of a file whose
    name does not tell it."""
    symbol = symbol or _symbol_of(path)
    if instrument(symbol) is None:
        raise DataError(
            f"{path}: the name must be SYMBOL{SUFFIX} or SYMBOL{PLAIN_SUFFIX} (or the symbol be given), the symbol a "
            f"stock of 1 to 5 letters or a future (root + month letter + two-digit year) of {', '.join(ROOTS)}; it is "
            f"{symbol!r}"
        )
    bars: list[Bar] = []
    doubled: list[int] = []
    for number, line in enumerate(_lines(path)[1:], 2):
        bar = _bar(path, number, line)
        if bars and bar == bars[-1]:
            doubled.append(number)
            continue
        if bars and bar.stamp_utc <= bars[-1].stamp_utc:
            what = "comes twice, with other values" if bar.stamp_utc == bars[-1].stamp_utc else OUT_OF_ORDER
            raise DataError(f"{path}, line {number}: the time {line.split(',')[0]} {what}")
        bars.append(bar)
    if not bars:
        raise DataError(f"{path}: no bars after the header")
    if doubled:
        first = f"(first: line {doubled[0]})"
        warn(f"{path}: {len(doubled)} bars come twice with the same values {first}; one of each is used")
    return Series(symbol, tuple(bars))


def _symbol_of(path: Path) -> str:
    """Nothing where the name does not tell."""
    for suffix in (SUFFIX, PLAIN_SUFFIX):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return ""


def to_stderr(warning: str) -> None:
    sys.stderr.write(f"warning: {warning}\n")


def _path(name: str) -> Path:
    if name in bundled_symbols():
        return BUNDLED / f"{name}{SUFFIX}"
    if not Path(name).is_file():
        raise DataError(f"{name}: no such file, and not bundled ({', '.join(bundled_symbols())})")
    return Path(name)


def _lines(path: Path) -> list[str]:
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
    if not lines or lines[0] != HEADER:
        raise DataError(f"{path}, line 1: the header must be {HEADER!r}, is {lines[0] if lines else ''!r}")
    return lines


def _bar(path: Path, number: int, line: str) -> Bar:
    where = f"{path}, line {number}"
    fields = line.split(",")
    if len(fields) != 6:
        raise DataError(f"{where}: 6 fields are due, {len(fields)} are there: {line[:80]!r}")
    opened, high, low, close = (_price(where, text) for text in fields[1:5])
    bar = Bar(_stamp(where, fields[0]), opened, high, low, close, _volume(where, fields[5]))
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise DataError(f"{where}: low, open, close and high contradict each other: {line[:80]!r}")
    return bar


def _stamp(where: str, text: str) -> int:
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise DataError(f"{where}: the time must be YYYY-MM-DDTHH:MM:SSZ, is {text!r}") from error
    if moment.second:
        raise DataError(f"{where}: a minute bar ends on a full minute ({MINUTE_S} s), this one at {text!r}")
    return int(moment.timestamp())


def _price(where: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise DataError(f"{where}: not a price: {text!r}") from error
    if not price.is_finite():
        raise DataError(f"{where}: not a finite price: {text!r}")
    return price


def _volume(where: str, text: str) -> int:
    if not text.isdecimal():
        raise DataError(f"{where}: volume must be a whole number of at least 0, is {text!r}")
    return int(text)
