"""Stops that do not do what they are for: one that cannot be placed any more, and one that does not fire. PURE.

A declared stop that does not work and that the market has passed is never sent again and again: by the session's word
it is executed as an exit at once, or paged and held (order-safety 4). A stop that works, that the market has passed for
some time and by some ticks, and that is still *working* by a read asked for later, is an alarm; by the session's word
it is cancelled, the cancel confirmed, and the position closed at the market: never both at full size (3.9).
"""

from __future__ import annotations

from decimal import Decimal

from brokers.model import ZERO, Instrument, Side
from trader.hours.market_hours import Phase, utc_text
from trader.minding.minded import Act, Minded, Overrun, Scene, Told, beyond, replace
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.prices import safe_stop

INERT_TICKS = 2
"""So far beyond: at the stop's own price the market may have turned before the venue's trigger saw it."""
INERT_S = 30.0
"""Market seconds, and the machine allowance: a stop of the venue's simulator took 18 s to fire."""
PASSED = "stop_passed"
INERT = "inert_stop"
"""Why entries are held; also names of the incidents."""


# -- the stop that cannot be placed ------------------------------------------------------------------------------------


def passed(scene: Scene) -> bool:
    """A declared stop that no order stands for is behind the market by the newest price that is known."""
    d, price = scene.declaration, scene.price
    if not scene.held or d.stop is None or d.stop_by_person == "removed" or scene.closing or price is None:
        return False
    return d.quantity * scene.held > 0 and reached(price.price, d.stop, scene.side, scene.instrument)


def reached(price: Decimal, stop: Decimal, protects: Side, instrument: Instrument | None) -> bool:
    """Whether a price is at a declared stop, or beyond it, as that would be sent: on the tick."""
    on_tick = stop if instrument is None else safe_stop(stop, protects, instrument.tick_size)
    return beyond(price, on_tick, protects, ZERO)


def stop_passed(scene: Scene, minded: Minded) -> Act | None:
    d = scene.declaration
    if passed(scene):
        return _exit(scene, minded) if scene.words.stop_passed == "exit" else _page(scene, minded)
    if not minded.passed or (scene.price is None and scene.held):  # no price known is not one on the right side
        return None
    again = replace(d, refused=tuple(each for each in d.refused if each is not Purpose.STOP))
    text = f"{scene.symbol}: the market is on the right side of the stop again, or nothing is left to protect"
    told = Told("stop.passed_over", "NOTIFY", text, PASSED, "resolved")
    return Act(replace(minded, passed=False), again, told)


def _exit(scene: Scene, minded: Minded) -> Act:
    closed = replace(scene.declaration, quantity=ZERO)
    return Act(minded, closed, Told("stop.passed", "NOTIFY", f"{_behind(scene)}: closed at the market instead"))


def _page(scene: Scene, minded: Minded) -> Act | None:
    """Not sent while that is so, whatever the strategy declares on."""
    d = scene.declaration
    if minded.passed and Purpose.STOP in d.refused:
        return None
    waits = replace(d, refused=(*(each for each in d.refused if each is not Purpose.STOP), Purpose.STOP))
    if minded.passed:
        return Act(minded, waits)
    text = f"{_behind(scene)}, and is not sent. The position is open; close it, or declare another stop"
    return Act(replace(minded, passed=True), waits, Told("stop.passed", "PAGE", text, PASSED, "opened"), PASSED)


def _behind(scene: Scene) -> str:
    assert scene.price is not None
    known = f"{scene.price.price} at {utc_text(scene.price.at_utc)}"
    stop = f"the stop {scene.declaration.stop} of {scene.held} does not work"
    return f"{scene.symbol}: {stop} and the market has passed it ({known})"


# -- the stop that does not fire ---------------------------------------------------------------------------------------


def overrun(scene: Scene, before: Overrun | None) -> Overrun | None:
    """The working stop that the newest price is beyond, and since when that is known. In a closed market there is
    none: nothing fires then."""
    if scene.price is None or scene.instrument is None or scene.moment.phase is Phase.CLOSED:
        return None
    by = scene.instrument.tick_size * INERT_TICKS
    for stop in scene.stops:
        price = stop.stop_price
        if price is None or not beyond(scene.price.price, price, scene.side, by):
            continue
        if before is not None and (before.order_id, before.stop_price) == (stop.order_id, price):
            return before
        return Overrun(stop.order_id, price, scene.now_utc)
    return None


def overdue_utc(scene: Scene) -> float | None:
    """When the passed stop should have fired at the latest, by what the desk allows; None where none is passed."""
    if scene.overrun is None:
        return None
    return scene.overrun.since_utc + INERT_S + scene.words.machine_allowance_s * scene.rate


def wants_read(scene: Scene, minded: Minded) -> bool:
    """It is late, and only a read tells whether it has fired."""
    due_utc = overdue_utc(scene)
    return due_utc is not None and not minded.inert and scene.read_utc < due_utc <= scene.now_utc


def stop_inert(scene: Scene, minded: Minded) -> Act | None:
    if minded.inert:
        return _goes_on(scene, minded)
    due_utc, seen = overdue_utc(scene), scene.overrun
    if due_utc is None or seen is None or scene.read_utc < due_utc:
        return None
    assert scene.price is not None
    since = f"since {utc_text(seen.since_utc)} the market is beyond it, now {scene.price.price}"
    text = f"{scene.symbol}: the stop {seen.order_id} at {seen.stop_price} does not fire: {since}, and it still works"
    closes = scene.words.inert_stop == "close"
    after = replace(minded, inert=seen.order_id, inert_price=seen.stop_price, inert_closes=closes)
    does = "it is cancelled, then the position is closed at the market" if closes else "look at the broker at once"
    told = Told("stop.inert", "PAGE", f"{text}; {does}", INERT, "opened", seen.order_id)
    declaration = replace(scene.declaration, quantity=ZERO, refused=()) if closes else None
    return Act(after, declaration, told, INERT if closes else "")


def _goes_on(scene: Scene, minded: Minded) -> Act | None:
    """Until it has fired, was moved, or is gone; where the desk closes, until nothing is held, whatever is declared."""
    if minded.inert_closes and scene.held:
        if scene.declaration.quantity == 0:
            return None
        return Act(minded, replace(scene.declaration, quantity=ZERO))
    if scene.held and any(_is(stop, minded) for stop in scene.orders):
        return None
    over = replace(minded, inert="", inert_price=None, inert_closes=False)
    text = f"{scene.symbol}: the stop {minded.inert} has fired, was moved or is gone; held is {scene.held}"
    return Act(over, None, Told("stop.inert_over", "NOTIFY", text, INERT, "resolved"))


def _is(order: OwnOrder, minded: Minded) -> bool:
    price: Decimal | None = order.stop_price
    return order.working and (order.order_id, price) == (minded.inert, minded.inert_price)
