"""The end of a dated contract: no entry in its last days, a page the day before it with a position. PURE.

A session trades the contract that it was added with, so a contract never changes under a position; to roll is a
person's act, a new session. The venue tells the last trading day. First notice, which of a contract that is delivered
comes weeks earlier, it does not tell surely: a person does (``[symbols.NAME] first_notice``), and what comes first
counts.
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

from brokers.model import Instrument
from trader.hours.market_hours import utc_text
from trader.minding.minded import DAY_S, Act, Minded, Scene, Told, replace

TOLD_DAYS = 1
ROLL = "roll"
"""Name of the incident."""


class LastDay(NamedTuple):
    """By when a contract must be left. ``what``: in words, with its name, what comes then."""

    at_utc: float
    what: str


def notice_utc(first_notice: datetime.date) -> float:
    """The day's first moment by UTC: so the venue tells the day on which a contract ends."""
    return datetime.datetime.combine(first_notice, datetime.time.min, datetime.UTC).timestamp()


def last_day(instrument: Instrument | None, first_notice_utc: float | None) -> LastDay | None:
    """The earlier of a contract's end and its first notice, as far as they are known; None: neither is."""
    if instrument is None:
        return None
    known = []
    if instrument.expires_utc is not None:
        known.append(LastDay(instrument.expires_utc, f"{instrument.symbol} ends"))
    if first_notice_utc is not None:
        known.append(LastDay(first_notice_utc, f"first notice of {instrument.symbol} is"))
    return min(known, default=None)


def entry_refusal(
    instrument: Instrument | None, first_notice_utc: float | None, days: int | None, now_utc: float
) -> str:
    """Why the contract's last days forbid an entry; "" where they do not."""
    last = last_day(instrument, first_notice_utc)
    if last is None or days is None or now_utc < last.at_utc - days * DAY_S:
        return ""
    on = utc_text(last.at_utc)[:10]
    return f"{last.what} {on}, no entry in the last {days} days before; add a session for the next one"


def contract_ends(scene: Scene, minded: Minded) -> Act | None:
    if minded.rolls:
        if scene.held:
            return None
        text = f"{scene.symbol}: nothing is held any more of the contract that ends"
        return Act(replace(minded, rolls=False), None, Told("contract.left", "NOTIFY", text, ROLL, "resolved"))
    last = last_day(scene.instrument, scene.first_notice_utc)
    if not scene.held or last is None or scene.now_utc < last.at_utc - TOLD_DAYS * DAY_S:
        return None
    text = f"{scene.symbol}: {scene.held} is held and {last.what} {utc_text(last.at_utc)[:10]}; close or roll it"
    return Act(replace(minded, rolls=True), None, Told("contract.ends", "PAGE", text, ROLL, "opened"))
