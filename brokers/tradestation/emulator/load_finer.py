"""Reading files of quotes and ticks. EDGE. What is wrong is named by file, line, value; nothing is repaired."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from brokers.tradestation.emulator.csv_lines import OUT_OF_ORDER, moment_of, price_of, rows_of, stamp_of, volume_of
from brokers.tradestation.emulator.errors import DataError
from brokers.tradestation.emulator.series import Quote, Quotes
from brokers.tradestation.emulator.ticks import Tick

QUOTE_HEADER = "time,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
TICK_HEADER = "time,price,size"
QUOTE_FILE = re.compile(r"(.+)_quote_1m\.csv(\.gz)?")
TICK_FILE = re.compile(r"(.+)_(\d{8})_ticks\.csv(\.gz)?")


def load_quotes(path: Path) -> Quotes:
    stamps: list[int] = []
    opens: list[Quote] = []
    closes: list[Quote] = []
    for number, fields in rows_of(path, QUOTE_HEADER):
        where = f"{path}, line {number}"
        stamp = stamp_of(where, fields[0])
        if stamps and stamp <= stamps[-1]:
            raise DataError(f"{where}: the time {fields[0]} {OUT_OF_ORDER}")
        stamps.append(stamp)
        bid_size, ask_size = (volume_of(where, text or "0") for text in (fields[5], fields[10]))
        opens.append(Quote(_side(where, fields[1]), bid_size, _side(where, fields[6]), ask_size))
        closes.append(Quote(_side(where, fields[4]), bid_size, _side(where, fields[9]), ask_size))
    return Quotes(tuple(stamps), tuple(opens), tuple(closes))


def load_ticks(path: Path) -> list[Tick]:
    """Several trades may share a moment; none may be earlier than the line before."""
    ticks: list[Tick] = []
    for number, fields in rows_of(path, TICK_HEADER):
        where = f"{path}, line {number}"
        at_utc = moment_of(where, fields[0])
        if ticks and at_utc < ticks[-1].at_utc:
            raise DataError(f"{where}: the time {fields[0]} {OUT_OF_ORDER}")
        ticks.append(Tick(at_utc, price_of(where, fields[1]), volume_of(where, fields[2])))
    if not ticks:
        raise DataError(f"{path}: no ticks after the header")
    return ticks


def _side(where: str, text: str) -> Decimal | None:
    """An empty price is a side without a quote."""
    return price_of(where, text) if text else None
