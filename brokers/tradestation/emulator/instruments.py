"""What can be traded, by symbol: asset type, tick, point value, expiry. PURE.

Tick and point value of ES and GC are in the data's own notes, the other roots' are the exchange's contract sizes.
Margins and day-trade requirements are round numbers of this table.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from functools import lru_cache

import msgspec

MONTHS = "FGHJKMNQUVXZ"
_FUTURE = re.compile(rf"([A-Z0-9]{{1,3}}?)([{MONTHS}])(\d\d)")
_STOCK = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,2})?")
_WEDNESDAY, _FRIDAY = 2, 4
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


def _root(tick: str, point: str, exchange: str, name: str, margin: str, day: str, expires: str, roll: int) -> Root:
    return Root(Decimal(tick), Decimal(point), exchange, name, Decimal(margin), Decimal(day), expires, roll)


def _index(tick: str, point: str, exchange: str, name: str, margin: str, day: str) -> Root:
    return _root(tick, point, exchange, name, margin, day, "third_friday", 8)


def _metal(tick: str, point: str, exchange: str, name: str, margin: str, day: str) -> Root:
    return _root(tick, point, exchange, name, margin, day, "third_last_weekday", 28)


def _energy(tick: str, point: str, name: str, margin: str, day: str, expires: str) -> Root:
    return _root(tick, point, "NYMEX", name, margin, day, expires, 3)


def _bond(tick: str, point: str, name: str, margin: str, expires: str) -> Root:
    return _root(tick, point, "CBOT", name, margin, "500", expires, 22)


def _currency(tick: str, point: str, name: str, margin: str) -> Root:
    return _root(tick, point, "CME", name, margin, "500", "monday_before_third_wednesday", 5)


def _grain(tick: str, point: str, name: str, margin: str) -> Root:
    return _root(tick, point, "CBOT", name, margin, "500", "weekday_before_15th", 22)


ROOTS = {
    "ES": _index("0.25", "50", "CME", "E-mini S&P 500", "15500", "500"),
    "MES": _index("0.25", "5", "CME", "Micro E-mini S&P 500", "1550", "50"),
    "NQ": _index("0.25", "20", "CME", "E-mini Nasdaq 100", "20000", "1000"),
    "MNQ": _index("0.25", "2", "CME", "Micro E-mini Nasdaq 100", "2000", "100"),
    "RTY": _index("0.1", "50", "CME", "E-mini Russell 2000", "8000", "500"),
    "M2K": _index("0.1", "5", "CME", "Micro E-mini Russell 2000", "800", "50"),
    "YM": _index("1", "5", "CBOT", "E-mini Dow", "10000", "500"),
    "MYM": _index("1", "0.5", "CBOT", "Micro E-mini Dow", "1000", "50"),
    "GC": _metal("0.1", "100", "COMEX", "Gold", "10000", "1000"),
    "MGC": _metal("0.1", "10", "COMEX", "Micro Gold", "1000", "100"),
    "SI": _metal("0.005", "5000", "COMEX", "Silver", "15000", "1500"),
    "HG": _metal("0.0005", "25000", "COMEX", "Copper", "7000", "700"),
    "PL": _metal("0.1", "50", "NYMEX", "Platinum", "3000", "300"),
    "PA": _metal("0.5", "100", "NYMEX", "Palladium", "10000", "1000"),
    "CL": _energy("0.01", "1000", "Crude Oil", "6000", "1000", "third_weekday_before_25th_of_month_before"),
    "MCL": _energy("0.01", "100", "Micro Crude Oil", "600", "100", "fourth_weekday_before_25th_of_month_before"),
    "NG": _energy("0.001", "10000", "Natural Gas", "4000", "1000", "third_last_weekday_of_month_before"),
    "HO": _energy("0.0001", "42000", "NY Harbor ULSD", "7000", "1000", "last_weekday_of_month_before"),
    "RB": _energy("0.0001", "42000", "RBOB Gasoline", "7000", "1000", "last_weekday_of_month_before"),
    "TU": _bond("0.00390625", "2000", "2 Year U.S. Treasury Note", "1000", "last_weekday"),
    "FV": _bond("0.0078125", "1000", "5 Year U.S. Treasury Note", "1300", "last_weekday"),
    "TY": _bond("0.015625", "1000", "10 Year U.S. Treasury Note", "2000", "eighth_last_weekday"),
    "US": _bond("0.03125", "1000", "30 Year U.S. Treasury Bond", "4000", "eighth_last_weekday"),
    "UB": _bond("0.03125", "1000", "Ultra U.S. Treasury Bond", "5000", "eighth_last_weekday"),
    "EC": _currency("0.00005", "125000", "Euro FX", "2500"),
    "JY": _currency("0.00005", "125000", "Japanese Yen (per 100)", "3000"),
    "BP": _currency("0.0001", "62500", "British Pound", "2200"),
    "AD": _currency("0.00005", "100000", "Australian Dollar", "1700"),
    "CD": _currency("0.00005", "100000", "Canadian Dollar", "1200"),
    "SF": _currency("0.00005", "125000", "Swiss Franc", "4000"),
    "C": _grain("0.25", "50", "Corn", "1500"),
    "S": _grain("0.25", "50", "Soybeans", "2500"),
    "W": _grain("0.25", "50", "Wheat", "2000"),
    "KW": _grain("0.25", "50", "KC Wheat", "2000"),
    "BO": _grain("0.01", "600", "Soybean Oil", "2000"),
    "SM": _grain("0.1", "100", "Soybean Meal", "2000"),
    "BTC": _root("5", "5", "CME", "Bitcoin", "100000", "50000", "last_friday", 1),
    "MBT": _root("5", "0.1", "CME", "Micro Bitcoin", "2000", "1000", "last_friday", 1),
}
"""By the venue's names, which are those of the trading floors (EC, not 6E; TY, not ZN)."""


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
    days = _weekdays(year, month)
    before = _weekdays(year - (month == 1), (month - 2) % 12 + 1)
    match rule:
        case "third_friday":
            return [day for day in days if day.weekday() == _FRIDAY][2]
        case "last_friday":
            return [day for day in days if day.weekday() == _FRIDAY][-1]
        case "monday_before_third_wednesday":
            return [day for day in days if day.weekday() == _WEDNESDAY][2] - datetime.timedelta(2)
        case "weekday_before_15th":
            return [day for day in days if day.day < 15][-1]
        case "third_weekday_before_25th_of_month_before":
            return [day for day in before if day.day < 25][-3]
        case "fourth_weekday_before_25th_of_month_before":
            return [day for day in before if day.day < 25][-4]
    last = {"last_weekday": -1, "third_last_weekday": -3, "eighth_last_weekday": -8}
    name = rule.removesuffix("_of_month_before")
    return (before if name != rule else days)[last[name]]


def _weekdays(year: int, month: int) -> list[datetime.date]:
    first = datetime.date(year, month, 1)
    days = [first + datetime.timedelta(n) for n in range(31)]
    return [day for day in days if day.month == month and day.weekday() <= _FRIDAY]
