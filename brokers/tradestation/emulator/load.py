"""Reading files (CSV, plain or gzip) into series: bars here, quotes and ticks in load_finer.py. EDGE. What is wrong is
named by file, line, value; nothing is repaired, but the same bar said twice in a row is used once, with a warning."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from brokers.tradestation.emulator.csv_lines import OUT_OF_ORDER, price_of, rows_of, stamp_of, volume_of
from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.instruments import ROOTS, instrument
from brokers.tradestation.emulator.load_finer import QUOTE_FILE, TICK_FILE, load_quotes, load_ticks
from brokers.tradestation.emulator.market import MINUTE_S, Bar, Market, Quotes, Series
from brokers.tradestation.emulator.ticks import Tick, TickSeries, by_minute, joined

HEADER = "time,open,high,low,close,volume"
SUFFIX = "_1m.csv.gz"
PLAIN_SUFFIX = "_1m.csv"
BUNDLED = Path(__file__).parent / "data"
SUSPICIOUS_BARS = 20
"""Of so many minute bars some follow each other; where none do they were probably cut longer."""
_OTHER_SIZE = re.compile(r".+_(\d+[a-zA-Z]+)\.csv(?:\.gz)?")

Part = tuple[Path, Series]


def load_market(names: Sequence[str], warn: Callable[[str], None] | None = None) -> Market:
    """Bars of bundled symbols ("ESZ13") or of files (".../GCZ13_1m.csv.gz", "GCZ13=..." whatever the file is called),
    and files of quotes and ticks of the same symbols. Raises DataError. ``warn`` is told, in one line a file, what was
    left out (default: stderr)."""
    if not names:
        raise DataError(f"no bars were named; bundled are {', '.join(bundled_symbols())}")
    bars: dict[str, list[Part]] = {}
    quotes: dict[str, Quotes] = {}
    ticks: dict[str, list[Tick]] = {}
    seen: dict[str, Path] = {}
    for path, symbol in [_named(name) for name in names]:
        if symbol:
            bars.setdefault(symbol, []).append((path, load_series(path, warn or to_stderr, symbol)))
        elif found := QUOTE_FILE.fullmatch(path.name):
            quotes[_known(path, found[1])] = load_quotes(_once(path, seen))
        elif found := TICK_FILE.fullmatch(path.name):
            ticks.setdefault(_known(path, found[1]), []).extend(load_ticks(_once(path, seen)))
        else:
            one = load_series(path, warn or to_stderr)
            bars.setdefault(one.symbol, []).append((path, one))
    series = {symbol: _in_one(symbol, parts) for symbol, parts in bars.items()}
    if alone := sorted(set(quotes) - set(series) - set(ticks)):
        raise DataError(f"quotes of {', '.join(alone)} were given, but no bars or ticks of it")
    symbols = dict.fromkeys([*series, *ticks])
    return Market([_put_together(name, series.get(name), quotes.get(name), ticks.get(name)) for name in symbols])


def _once(path: Path, seen: dict[str, Path]) -> Path:
    """Of quotes there is one file a symbol, of ticks one a day: their names are their own."""
    name = path.name.removesuffix(".gz")
    if name in seen:
        raise DataError(f"{name} was given twice: {seen[name]} and {path}")
    seen[name] = path
    return path


def _in_one(symbol: str, parts: list[Part]) -> Series:
    """Of files that follow each other; which of two overlapping ones is right is not ours to guess."""
    ordered = sorted(parts, key=lambda part: part[1].stamps[0])
    for (path, one), (next_path, following) in pairwise(ordered):
        if one.stamps[-1] >= following.stamps[0]:
            raise DataError(f"bars of {symbol} were given twice for the same time: {path} and {next_path}")
    return ordered[0][1] if len(ordered) == 1 else Series(symbol, tuple(bar for _, one in ordered for bar in one.bars))


def _put_together(symbol: str, series: Series | None, quotes: Quotes | None, ticks: list[Tick] | None) -> Series:
    bars = series.bars if series else ()
    if ticks:
        paths = by_minute(sorted(ticks, key=lambda tick: tick.at_utc))
        return TickSeries(symbol, joined(bars, paths), paths, quotes)
    return Series(symbol, bars, quotes) if quotes or series is None else series


def _known(path: Path, symbol: str) -> str:
    if instrument(symbol) is None:
        raise DataError(f"{path}: {symbol!r} is no symbol of a stock or a future (roots {', '.join(ROOTS)})")
    return symbol


def bundled_symbols() -> list[str]:
    return sorted(path.name.removesuffix(SUFFIX) for path in BUNDLED.glob(f"*{SUFFIX}") if "_quote" not in path.name)


def load_series(path: Path, warn: Callable[[str], None], symbol: str = "") -> Series:
    """The same bar said twice in a row is dropped and counted: exporters that append do that. A bar told twice with
    different values, or out of order, is refused: which one is right is not ours to guess. ``symbol``: of a file whose
    name does not tell it."""
    symbol = symbol or _symbol_of(path)
    if (other := _OTHER_SIZE.fullmatch(path.name)) and not symbol:
        raise DataError(
            f"{path}: bars of {other[1]} are not played, only those of one minute (SYMBOL{SUFFIX}): all longer ones "
            "are made of them"
        )
    if instrument(symbol) is None:
        raise DataError(
            f"{path}: the name must be SYMBOL{SUFFIX} or SYMBOL{PLAIN_SUFFIX} (or the symbol be given), the symbol a "
            "stock of 1 to 5 capital letters (as BRK.B where it has a class) or a future (root + month letter + "
            f"two-digit year) of {', '.join(ROOTS)}; it is {symbol!r}"
        )
    bars: list[Bar] = []
    doubled: list[int] = []
    for number, fields in rows_of(path, HEADER):
        bar = _bar(f"{path}, line {number}", fields)
        if bars and bar == bars[-1]:
            doubled.append(number)
            continue
        if bars and bar.stamp_utc <= bars[-1].stamp_utc:
            what = "comes twice, with other values" if bar.stamp_utc == bars[-1].stamp_utc else OUT_OF_ORDER
            raise DataError(f"{path}, line {number}: the time {fields[0]} {what}")
        bars.append(bar)
    if not bars:
        raise DataError(f"{path}: no bars after the header")
    if doubled:
        first = f"(first: line {doubled[0]})"
        warn(f"{path}: {len(doubled)} bars come twice with the same values {first}; one of each is used")
    if len(bars) >= SUSPICIOUS_BARS and (gap_s := _least_gap_s(bars)) > MINUTE_S:
        apart = f"less than {gap_s // MINUTE_S} minutes apart"
        warn(f"{path}: no two of the {len(bars)} bars are {apart}; are they bars of one minute?")
    return Series(symbol, tuple(bars))


def _symbol_of(path: Path) -> str:
    """Nothing where the name does not tell."""
    for suffix in (SUFFIX, PLAIN_SUFFIX):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return ""


def to_stderr(warning: str) -> None:
    sys.stderr.write(f"warning: {warning}\n")


def _named(name: str) -> tuple[Path, str]:
    """The file, and its symbol where that is given beside it."""
    symbol, _, path = name.partition("=")
    if path and instrument(symbol) is not None:
        return _path(path), symbol
    return _path(name), ""


def _path(name: str) -> Path:
    if name in bundled_symbols():
        return BUNDLED / f"{name}{SUFFIX}"
    if not Path(name).is_file():
        raise DataError(f"{name or repr(name)}: no such file, and not bundled ({', '.join(bundled_symbols())})")
    return Path(name)


def _bar(where: str, fields: list[str]) -> Bar:
    opened, high, low, close = (price_of(where, text) for text in fields[1:5])
    bar = Bar(stamp_of(where, fields[0]), opened, high, low, close, volume_of(where, fields[5]))
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise DataError(f"{where}: low, open, close and high contradict each other: {','.join(fields)[:80]!r}")
    return bar


def _least_gap_s(bars: list[Bar]) -> int:
    return min(following.stamp_utc - bar.stamp_utc for bar, following in pairwise(bars))
