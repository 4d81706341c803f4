"""What can be traded, by symbol: asset type, tick, point value, expiry. PURE.

Tick and point value of ES and GC are in the data's own notes, the other roots' are the exchange's contract sizes.
Margins and day-trade requirements are round numbers of this table, for display: the emulator checks no margin.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from functools import lru_cache

import msgspec

MONTHS = "FGHJKMNQUVXZ"
_FUTURE = re.compile(rf"([A-Z0-9]{{1,3}}?)([{MONTHS}])(\d\d)")
_STOCK = re.compile(r"[A-Z]{1,5}")
_FRIDAY = 4
_CENTURY = 2000
COMMISSION_PER_CONTRACT_USD = Decimal("1.25")


class Root(msgspec.Struct, frozen=True):
    tick: Decimal
    point_usd: Decimal
    exchange: str
    name: str
    initial_margin_usd: Decimal
    day_trade_usd: Decimal
    expires: str
    roll_days: int
    """So long before a contract expires the next one is in front [infer]."""


def _index(tick: str, point: str, exchange: str, name: str, margin: str, day: str) -> Root:
    return Root(Decimal(tick), Decimal(point), exchange, name, Decimal(margin), Decimal(day), "third_friday", 8)


def _metal(tick: str, point: str, name: str, margin: str, day: str) -> Root:
    return Root(Decimal(tick), Decimal(point), "COMEX", name, Decimal(margin), Decimal(day), "third_last_weekday", 28)


ROOTS = {
    "ES": _index("0.25", "50", "CME", "E-mini S&P 500", "15500", "500"),
    "MES": _index("0.25", "5", "CME", "Micro E-mini S&P 500", "1550", "50"),
    "NQ": _index("0.25", "20", "CME", "E-mini Nasdaq 100", "20000", "1000"),
    "MNQ": _index("0.25", "2", "CME", "Micro E-mini Nasdaq 100", "2000", "100"),
    "RTY": _index("0.1", "50", "CME", "E-mini Russell 2000", "8000", "500"),
    "M2K": _index("0.1", "5", "CME", "Micro E-mini Russell 2000", "800", "50"),
    "YM": _index("1", "5", "CBOT", "E-mini Dow", "10000", "500"),
    "MYM": _index("1", "0.5", "CBOT", "Micro E-mini Dow", "1000", "50"),
    "GC": _metal("0.1", "100", "Gold", "10000", "1000"),
    "MGC": _metal("0.1", "10", "Micro Gold", "1000", "100"),
    "SI": _metal("0.005", "5000", "Silver", "15000", "1500"),
}


class Instrument(msgspec.Struct, frozen=True):
    symbol: str
    asset_type: str  # STOCK or FUTURE
    tick: Decimal
    point_usd: Decimal
    exchange: str
    description: str
    commission_usd: Decimal = Decimal(0)
    initial_margin_usd: Decimal = Decimal(0)
    day_trade_usd: Decimal = Decimal(0)
    root: str = ""
    expires: str = ""  # YYYY-MM-DD, futures only

    @property
    def is_future(self) -> bool:
        return self.asset_type == "FUTURE"


@lru_cache(maxsize=1024)
def instrument(symbol: str) -> Instrument | None:
    """The instrument of a dated contract or a stock (1 to 5 letters); None for everything else."""
    parts = _FUTURE.fullmatch(symbol)
    if parts and parts[1] in ROOTS:
        return _future(symbol, parts[1], parts[2], _CENTURY + int(parts[3]))
    if _STOCK.fullmatch(symbol):
        return Instrument(symbol, "STOCK", Decimal("0.01"), Decimal(1), "NYSE", symbol)
    return None


def _future(symbol: str, root: str, month: str, year: int) -> Instrument:
    about = ROOTS[root]
    number = MONTHS.index(month) + 1
    return Instrument(
        symbol=symbol,
        asset_type="FUTURE",
        tick=about.tick,
        point_usd=about.point_usd,
        exchange=about.exchange,
        description=f"{about.name} {datetime.date(year, number, 1):%b %Y}",
        commission_usd=COMMISSION_PER_CONTRACT_USD,
        initial_margin_usd=about.initial_margin_usd,
        day_trade_usd=about.day_trade_usd,
        root=root,
        expires=_expiry(about.expires, year, number).isoformat(),
    )


def _expiry(rule: str, year: int, month: int) -> datetime.date:
    """Exchange holidays are not known here: a rule day that is a holiday is shown unmoved."""
    day = datetime.date(year, month, 1)
    days = [day + datetime.timedelta(n) for n in range(31)]
    weekdays = [d for d in days if d.month == month and d.weekday() <= _FRIDAY]
    if rule == "third_friday":
        return [d for d in weekdays if d.weekday() == _FRIDAY][2]
    return weekdays[-3]
