"""Stops end by themselves: they are renewed before, or it is told, and placed again. PURE.

A GTC order ends after so many days. Whether a replace gives it new ones no venue's reference says, so it is tried: some
days before, at a calm moment, the stop is replaced by itself (same order, price and size: no moment without it, never
two), and reads say what came of it. Where its end stays, or nothing may be tried, the end is told days before;
when it comes the stop is a declared one that is missing, and the planner places it at once (``target``), as a rule
right after a close, with which such orders end.

Left alone are stops that a person has moved, and those that the venue trails: a replace would begin their trail anew.
"""

from __future__ import annotations

from trader.hours.market_hours import Phase, utc_text
from trader.minding.minded import DAY_S, Act, Minded, Renewal, Scene, Told, replace
from trader.orders.own_order import OwnOrder

TOLD_DAYS = 3
"""Before a stop's end: a weekend, and a day to act in."""
RENEW_DAYS = 10
"""Before a stop's end: a week before it would be told, so that days pass in which the market trades and is calm."""
RENEWAL_READS = 3
"""Reads of the account that are asked for after the replace and still show the old end, before it counts as kept: a
venue's books may be behind."""
LATER_S = DAY_S / 2
"""An end that is later by less is the same, told otherwise: the venue tells dates."""
CALM_TICKS = 20
"""So far from the stop nothing fires while the replace is on its way."""
CALM_PRICE_S = 300.0
"""Market seconds, and the machine allowance: a price that is older says nothing of where the market is now."""
EXPIRING = "stop_expires"
"""Name of the incident."""


def ends_utc(order: OwnOrder, gtc_days_max: int | None) -> float | None:
    """By the venue's word, else by its rule from the order's opening on; None: not by itself."""
    if order.good_till_utc is not None:
        return order.good_till_utc
    return order.opened_utc + gtc_days_max * DAY_S if gtc_days_max is not None and order.opened_utc else None


# -- by a replace ------------------------------------------------------------------------------------------------------


def renew(scene: Scene, minded: Minded) -> Act | None:
    """One stop after the other. That it is wanted lets the planner replace it; the replace writes down that it was
    asked (``asked``)."""
    renewal = minded.renewal
    if renewal is None:
        return _begun(scene, minded)
    stop = next((each for each in scene.orders if renewal.order_id in (each.order_id, each.renews)), None)
    if stop is None or not stop.working or not scene.held:
        return Act(replace(minded, renewal=None))
    if renewal.wanted:
        return None if _calm(scene, minded, stop) else Act(replace(minded, renewal=None))
    return None if stop.pending else _seen(scene, minded, renewal, stop)


def asked(minded: Minded, order_id: str, now_utc: float) -> Minded:
    """A replace of this order is written now, for whatever reason: if it was to be renewed, this does it."""
    renewal = minded.renewal
    if renewal is None or not renewal.wanted or renewal.order_id != order_id:
        return minded
    return replace(minded, renewal=replace(renewal, asked_utc=now_utc))


def under_way(minded: Minded, order_id: str) -> bool:
    """A replace of this order has been asked for to renew it, and what came of it is not known yet."""
    renewal = minded.renewal
    return renewal is not None and renewal.order_id == order_id and not (renewal.wanted or renewal.failed)


def not_sent(minded: Minded, order_id: str) -> Minded:
    """The venue was not reached: it is as if nothing had been asked."""
    return replace(minded, renewal=None) if under_way(minded, order_id) else minded


def refused(minded: Minded, symbol: str, why: str) -> Act:
    """The venue does not replace a stop by itself. The stop works on as it was, so nothing else follows."""
    assert minded.renewal is not None
    return _kept(minded, minded.renewal, symbol, f"the venue refused the replace ({why})")


def _begun(scene: Scene, minded: Minded) -> Act | None:
    soonest = _soonest(scene, RENEW_DAYS)
    if soonest is None or scene.words.renews_by_replace is False or not _calm(scene, minded, soonest[1]):
        return None
    at_utc, stop = soonest
    return Act(replace(minded, renewal=Renewal(stop.order_id, at_utc)))


def _calm(scene: Scene, minded: Minded, stop: OwnOrder) -> bool:
    """The market is open by its hours and trades far from the stop; nothing is under way, and nobody wants the position
    closed. Of stops that no replace should touch no moment is."""
    declared, price, instrument = scene.declaration, scene.price, scene.instrument
    if declared.stop_by_person or stop.trail is not None or stop.stop_price is None:
        return False
    if scene.moment.phase is not Phase.OPEN or price is None or instrument is None:
        return False
    closing = scene.exits or scene.flattening or declared.quantity * scene.held <= 0
    if closing or stop.pending or not stop.protecting or minded.close_utc or minded.inert or minded.passed:
        return False
    fresh = scene.now_utc - price.at_utc <= CALM_PRICE_S + scene.words.machine_allowance_s * scene.rate
    return fresh and abs(price.price - stop.stop_price) >= CALM_TICKS * instrument.tick_size


def _seen(scene: Scene, minded: Minded, renewal: Renewal, stop: OwnOrder) -> Act | None:
    """What the reads say that were asked for after the replace. A venue that is said to renew is tried each day, any
    other once a stop."""
    at_utc = ends_utc(stop, scene.words.gtc_days_max)
    if at_utc is not None and at_utc >= renewal.ends_utc + LATER_S:
        before, now = utc_text(renewal.ends_utc)[:10], utc_text(at_utc)[:10]
        text = f"{scene.symbol}: the stop {stop.order_id} was replaced by itself and ends {now}, not {before}"
        return Act(replace(minded, renewal=None), None, Told("stop.renewed", "DIGEST", text, order_id=stop.order_id))
    if renewal.failed:
        again = scene.words.renews_by_replace is True and scene.now_utc >= renewal.asked_utc + DAY_S
        return Act(replace(minded, renewal=None)) if again else None
    if scene.read_utc <= max(renewal.asked_utc, renewal.read_utc):
        return None
    counted = replace(renewal, order_id=stop.order_id, reads=renewal.reads + 1, read_utc=scene.read_utc)
    if counted.reads < RENEWAL_READS:
        return Act(replace(minded, renewal=counted))
    return _kept(minded, counted, scene.symbol, f"{counted.reads} reads after the replace show it")


def _kept(minded: Minded, renewal: Renewal, symbol: str, why: str) -> Act:
    text = f"{symbol}: the stop {renewal.order_id} keeps its end {utc_text(renewal.ends_utc)[:10]}: {why}"
    after = "; it is told again days before, and the stop is placed again when it comes"
    told = Told("stop.not_renewed", "DIGEST", text + after, order_id=renewal.order_id)
    return Act(replace(minded, renewal=replace(renewal, failed=True)), None, told)


# -- by a person, or when it has ended ---------------------------------------------------------------------------------


def stop_expires(scene: Scene, minded: Minded) -> Act | None:
    soonest = _soonest(scene, TOLD_DAYS)
    if minded.expiring and (soonest is None or soonest[1].order_id != minded.expiring):
        text = f"{scene.symbol}: the stop {minded.expiring} has ended, was replaced or renewed"
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


def _soonest(scene: Scene, days: int) -> tuple[float, OwnOrder] | None:
    """The stop that ends first, if that is within so many days."""
    ends = [(at_utc, stop) for stop in scene.stops if (at_utc := ends_utc(stop, scene.words.gtc_days_max)) is not None]
    near = [each for each in ends if scene.now_utc >= each[0] - days * DAY_S]
    return min(near, key=lambda each: (each[0], each[1].order_id), default=None)
