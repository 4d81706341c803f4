"""The end of a dated contract: no entry in its last days, a page the day before with a position. PURE.

A session trades the contract that it was added with, so a contract never changes under a position; to roll is a
person's act, a new session. The venue tells the last trading day; it tells no first notice, which of a contract that is
delivered comes weeks earlier: there the limit of days is to be as long.
"""

from __future__ import annotations

from brokers.model import Instrument
from trader.hours.market_hours import utc_text
from trader.minding.minded import DAY_S, Act, Minded, Scene, Told, replace

TOLD_DAYS = 1
ROLL = "roll"
"""Name of the incident."""


def entry_refusal(instrument: Instrument | None, days: int | None, now_utc: float) -> str:
    """Why the contract's end forbids an entry; "" where it does not."""
    if instrument is None or instrument.expires_utc is None or days is None:
        return ""
    if now_utc < instrument.expires_utc - days * DAY_S:
        return ""
    ends = utc_text(instrument.expires_utc)[:10]
    return f"{instrument.symbol} ends {ends}, no entry in the last {days} days before; add a session for the next one"


def contract_ends(scene: Scene, minded: Minded) -> Act | None:
    if minded.rolls:
        if scene.held:
            return None
        text = f"{scene.symbol}: nothing is held any more of the contract that ends"
        return Act(replace(minded, rolls=False), None, Told("contract.left", "NOTIFY", text, ROLL, "resolved"))
    expires_utc = scene.instrument.expires_utc if scene.instrument is not None else None
    if not scene.held or expires_utc is None or scene.now_utc < expires_utc - TOLD_DAYS * DAY_S:
        return None
    text = f"{scene.symbol}: {scene.held} is held and the contract ends {utc_text(expires_utc)[:10]}; close or roll it"
    return Act(replace(minded, rolls=True), None, Told("contract.ends", "PAGE", text, ROLL, "opened"))
