"""Stops end by themselves: when, who is told before, and in which hours they work at all. PURE.

A GTC order ends after so many days. Whether a replace gives it new ones no venue's reference says, so nothing is built
on that; to cancel it and send another would leave a moment without one. So its end is told some days before, and when
it comes the stop is a declared one that is missing: the planner places it at once (``target``), as a rule right after
a close, with which such orders end.
"""

from __future__ import annotations

from brokers.model import Instrument
from trader.hours.market_hours import utc_text
from trader.minding.minded import DAY_S, Act, Minded, Scene, Told, replace
from trader.orders.lifecycle import OwnOrder

TOLD_DAYS = 3
"""Before a stop's end: a weekend, and a day to act in."""
EXPIRING = "stop_expires"
"""Name of the incident."""
STOCK = "STOCK"


def ends_utc(order: OwnOrder, gtc_days_max: int | None) -> float | None:
    """By the venue's word, else by its rule from the order's opening on; None: not by itself."""
    if order.good_till_utc is not None:
        return order.good_till_utc
    return order.opened_utc + gtc_days_max * DAY_S if gtc_days_max is not None and order.opened_utc else None


def stop_expires(scene: Scene, minded: Minded) -> Act | None:
    soonest = _soonest(scene)
    if minded.expiring and (soonest is None or soonest[1].order_id != minded.expiring):
        text = f"{scene.symbol}: the stop {minded.expiring} has ended or was replaced"
        return Act(replace(minded, expiring=""), None, Told("stop.expiry_over", "NOTIFY", text, EXPIRING, "resolved"))
    if minded.expiring or soonest is None:
        return None
    at_utc, stop = soonest
    text = (
        f"{scene.symbol}: the stop {stop.order_id} of {scene.held} ends by itself {utc_text(at_utc)}; it is placed"
        " again then. To have no gap, cancel it yourself while its market is closed and release the symbol"
    )
    told = Told("stop.expires", "PAGE", text, EXPIRING, "opened", stop.order_id)
    return Act(replace(minded, expiring=stop.order_id), None, told)


def _soonest(scene: Scene) -> tuple[float, OwnOrder] | None:
    """The stop that ends first, if that is near."""
    ends = [(at_utc, stop) for stop in scene.stops if (at_utc := ends_utc(stop, scene.words.gtc_days_max)) is not None]
    near = [each for each in ends if scene.now_utc >= each[0] - TOLD_DAYS * DAY_S]
    return min(near, key=lambda each: (each[0], each[1].order_id), default=None)


def covered_for(instrument: Instrument | None) -> str:
    """For which hours a stop of ours works: it is GTC, the form for the market's regular hours. Of a stock those leave
    out what trades before and after."""
    if instrument is None:
        return ""
    return "regular hours" if instrument.kind.upper() == STOCK else "all hours of its market"
