"""Where the longer minute bars of a stock begin and end: cut from the opening of its regular session. PURE.

From 09:30 on (New York), the last one of the regular hours ends with them, however short it is; before the opening they
are cut backwards from it, after the close onwards from that [infer for both]. None crosses New York's midnight, so they
follow each other, however long they are. Futures are cut from midnight UTC.
"""

from __future__ import annotations

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.instruments import Instrument


def bounds(about: Instrument | None, stamp_utc: int, length_s: int) -> tuple[int, int]:
    """Begin and end of the bar of this length that holds the minute bar of this stamp."""
    if about is None or about.is_future:
        return _forward(0, stamp_utc, length_s)
    day = hours.new_york_day(stamp_utc - 1)
    begins_utc, ends_utc = int(hours.midnight_utc(day)), int(hours.midnight_utc(day + 1))
    session = hours.session_of(about, day)
    if session.day != day:  # no trading day
        return _within(begins_utc, ends_utc, _forward(begins_utc, stamp_utc, length_s))
    opens_utc, closes_utc = int(session.opens_utc), int(session.closes_utc)
    if stamp_utc > closes_utc:
        return _within(closes_utc, ends_utc, _forward(closes_utc, stamp_utc, length_s))
    around = _forward(opens_utc, stamp_utc, length_s)
    return _within(opens_utc, closes_utc, around) if stamp_utc > opens_utc else _within(begins_utc, opens_utc, around)


def _within(begins_utc: int, ends_utc: int, bar: tuple[int, int]) -> tuple[int, int]:
    return max(bar[0], begins_utc), min(bar[1], ends_utc)


def _forward(origin_utc: int, stamp_utc: int, length_s: int) -> tuple[int, int]:
    """Also backwards, where the stamp is before the origin."""
    end_utc = origin_utc - (origin_utc - stamp_utc) // length_s * length_s
    return end_utc - length_s, end_utc
