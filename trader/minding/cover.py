"""For which hours stops work, and the hours in which a position has none that does. PURE.

The desk's stops are GTC, the form for the market's regular hours: of a future that is all that its market trades, of a
stock it leaves out what trades before and after. A session that was added for extended hours has its stops in the
venue's form for these. Whether such a stop fires then its venue says, or nobody knows: what is not known to fire is no
cover there, so that position is bare in these hours, which is told at their beginning.
"""

from __future__ import annotations

from collections.abc import Iterable

from brokers.model import ZERO, Duration, Instrument
from trader.hours.market_hours import utc_text
from trader.minding.minded import Act, Minded, Scene, Told, replace
from trader.orders.own_order import OwnOrder

STOCK = "STOCK"
BARE = "extended_hours"
"""Name of the incident."""


def has_extended_hours(instrument: Instrument | None) -> bool:
    return instrument is not None and instrument.kind.upper() == STOCK


def covered_for(instrument: Instrument | None, stops: Iterable[OwnOrder], fires: bool | None, *, extended: bool) -> str:
    """In words, for which hours working stops are. ``fires``: those of the extended form do outside regular hours, as
    far as is known. ``extended``: its session wants them to."""
    if instrument is None:
        return ""
    if not has_extended_hours(instrument):
        return "all hours of its market"
    in_form = all(stop.duration is Duration.GTC_EXTENDED for stop in stops)
    if in_form and fires:
        return "regular and extended hours"
    if not extended:
        return "regular hours"
    if in_form and fires is None:
        return "regular hours; bare in extended hours, as far as anybody knows"
    return "regular hours; bare in extended hours"


def bare(scene: Scene) -> bool:
    """It is before or after regular hours, and of the position a part has no stop that is known to fire now."""
    if not scene.outside or not scene.held:
        return False
    fires = scene.words.extended_stops is True
    firing = [stop for stop in scene.stops if fires and stop.duration is Duration.GTC_EXTENDED]
    return sum((stop.remaining for stop in firing), ZERO) < abs(scene.held)


def bare_outside(scene: Scene, minded: Minded) -> Act | None:
    """Told once for each stretch of such hours, and how long it was."""
    if bare(scene):
        if minded.bare_utc:
            return None
        text = f"{scene.symbol}: {scene.held} is held outside regular hours, {_why(scene)}"
        told = Told("uncovered.extended", "NOTIFY", text, BARE, "opened")
        return Act(replace(minded, bare_utc=scene.now_utc), None, told)
    if not minded.bare_utc:
        return None
    lasted_s = scene.now_utc - minded.bare_utc
    text = (
        f"{scene.symbol}: was bare in extended hours since {utc_text(minded.bare_utc)}, {lasted_s:.3f} market seconds;"
        f" held is {scene.held}"
    )
    return Act(replace(minded, bare_utc=0.0), None, Told("uncovered.extended_over", "DIGEST", text, BARE, "resolved"))


def _why(scene: Scene) -> str:
    stops = ", ".join(f"{stop.order_id} at {stop.stop_price}" for stop in scene.stops)
    if not stops:
        return "and has no working stop"
    if any(stop.duration is not Duration.GTC_EXTENDED for stop in scene.stops):
        return f"and its stop {stops} is for regular hours"
    if scene.words.extended_stops is True:
        return f"and its stop {stops} protects less than that"
    known = "is not known to fire" if scene.words.extended_stops is None else "does not fire"
    return f"and its stop {stops} {known} now at this venue; it does when the market opens"
