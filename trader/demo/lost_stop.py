"""Stops that the venue has thrown out while a position was open: what the emulator's book says of the time without one,
against what the desk has recorded of it and whom it has told. PURE.

The book knows the moment at which the stop ended and the one at which the next was there, or the position gone. Judged
is what the desk says: that it was bare, from when to when, and that somebody was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from trader.demo.script import Stand
from trader.store.books import Readable

REJECTED_AS = "the venue's risk desk has thrown it out"
"""The reason that the emulator is told to give: by it the book's orders are known again."""
NOTICED_MAX_S = 5.0
"""Machine seconds in which the desk must have heard of it: the stream tells at once, else the books within a cycle (2 s
in the demo) and a settling read (2 s)."""
SAME_S = 0.005
"""Two clocks of one moment: the emulator's and the desk's own reading of market time, in machine seconds."""


class LostStop(msgspec.Struct, frozen=True):
    """Machine seconds. ``bare_s``: by the venue's book, None where it never ended; ``noticed_s``: until the desk knew;
    ``recorded_s``: what the desk says it was, None where it says nothing."""

    session: str
    symbol: str
    order_id: str
    bare_s: float | None
    noticed_s: float | None
    recorded_s: float | None
    told: bool

    @property
    def problem(self) -> str:
        """What is wrong with it; "" where nothing is."""
        what = f"{self.session}: the venue rejected stop {self.order_id} of {self.symbol}"
        if self.bare_s is None:
            return f"{what}, and the position never had one again"
        if self.recorded_s is None or self.noticed_s is None:
            return f"{what}: {self.bare_s:.3f} s without one are not recorded, or are not told as over"
        if self.noticed_s > NOTICED_MAX_S:
            return f"{what}: noticed after {self.noticed_s:.3f} s only, the limit is {NOTICED_MAX_S:g} s"
        if self.bare_s > self.noticed_s + self.recorded_s + SAME_S:
            return f"{what}: {self.bare_s:.3f} s without one are recorded as {self.recorded_s:.3f} s"
        return "" if self.told else f"{what}, and nobody was told"


class _Record(NamedTuple):
    """A time without cover as the journal has it: its end (market time) and its length."""

    end_utc: float
    length_s: float


def lost_stops(stand: Stand, journal: Readable, orders: dict[str, Any], rate: float) -> Iterator[LostStop]:
    """``orders``: the emulator's answer to /emulator/orders; ``rate``: market seconds a machine second."""
    ours = [each for each in orders["Orders"] if _of(each, stand)]
    for order in ours:
        if order["RejectReason"] == REJECTED_AS:
            yield _judged(stand, journal, order, _back_utc(order, ours, orders["Fills"], stand), rate)


def _judged(stand: Stand, journal: Readable, order: dict[str, Any], back_utc: float | None, rate: float) -> LostStop:
    lost_utc = order["ClosedUtc"]
    record = next((each for each in _records(journal, stand) if each.end_utc > lost_utc), None)
    began_utc = record.end_utc - record.length_s * rate if record else 0.0
    return LostStop(
        session=stand.name,
        symbol=stand.symbol,
        order_id=order["OrderID"],
        bare_s=None if back_utc is None else (back_utc - lost_utc) / rate,
        noticed_s=max(0.0, began_utc - lost_utc) / rate if record else None,
        recorded_s=record.length_s if record else None,
        told=_told(journal, stand, lost_utc),
    )


def _back_utc(lost: dict[str, Any], ours: list[dict[str, Any]], fills: list[Any], stand: Stand) -> float | None:
    """When the next stop of that side was there, or the position gone, whichever was first."""
    lost_utc, moments, held = lost["ClosedUtc"], [], 0
    for order in ours:
        stops = order["StopPrice"] is not None and order["TradeAction"] == lost["TradeAction"]
        if stops and not order["ByHand"] and not order["RejectReason"] and order["OpenedUtc"] >= lost_utc:
            moments.append(order["OpenedUtc"])
    for fill in (each for each in fills if _of(each, stand)):
        held += fill["Quantity"]
        if not held and fill["AtUtc"] >= lost_utc:
            moments.append(fill["AtUtc"])
    return min(moments, default=None)


def _records(journal: Readable, stand: Stand) -> Iterator[_Record]:
    rows = journal.query("SELECT text, data, market_utc FROM events WHERE kind = 'uncovered.over' ORDER BY number")
    for row in rows:
        if row["text"].startswith(f"{stand.symbol}: "):
            yield _Record(row["market_utc"], float(msgspec.json.decode(row["data"])["machine_s"]))


def _told(journal: Readable, stand: Stand, since_utc: float) -> bool:
    """An event that a person is shown: of the stop itself, or of the position without one."""
    pages = journal.query(
        "SELECT text FROM events WHERE kind IN ('stop.refused', 'uncovered') AND level = 'PAGE' AND market_utc >= ?",
        (since_utc,),
    )
    return any(page["text"].startswith(f"{stand.symbol}: ") for page in pages)


def _of(thing: dict[str, Any], stand: Stand) -> bool:
    return bool(thing["AccountID"] == stand.account and thing["Symbol"] == stand.symbol)
