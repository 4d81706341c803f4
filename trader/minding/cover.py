"""For which hours a stop works. PURE."""

from __future__ import annotations

from brokers.model import Instrument

STOCK = "STOCK"


def covered_for(instrument: Instrument | None) -> str:
    """For which hours a stop of ours works: it is GTC, the form for the market's regular hours. Of a stock those leave
    out what trades before and after."""
    if instrument is None:
        return ""
    return "regular hours" if instrument.kind.upper() == STOCK else "all hours of its market"
