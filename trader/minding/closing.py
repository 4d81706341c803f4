"""Flat at the close, and what is held over night. PURE.

So many market minutes before its market closes (half-days as its calendar has them) a symbol's entries end and its
position is closed, by the session's own rule, whatever its strategy declares. Flat is what a read says that was asked
for after our last fill and instruction. A position that is not confirmed flat when the market really closes is paged,
and goes on being minded: its stop stays, or is placed again.

What a person makes of the position meanwhile is the person's: it is told, and left under its stop (order-safety 1.11).
"""

from __future__ import annotations

from brokers.model import ZERO
from trader.hours.market_hours import utc_text
from trader.minding.minded import Act, Minded, Scene, Told, replace
from trader.orders.position import clamped

MINUTE_S = 60.0
CLOSE = "close"
"""Name of the incident."""
MARGIN_S = 15 * MINUTE_S
"""So long before a close the margin over night is looked at: time for a person to act on it."""


def flat_at_close(scene: Scene, minded: Minded) -> Act | None:
    """A close that is under way goes on also where the session does not say so any more."""
    minutes, closes_utc = scene.words.flat_at_close_min, scene.closes_utc
    if minutes and closes_utc is not None and scene.now_utc >= closes_utc - minutes * MINUTE_S:
        begins = minded.close_utc != closes_utc
        if begins and (scene.held or scene.declaration.quantity or scene.orders):
            begun = replace(minded, close_utc=closes_utc, kept=False, to_close=scene.held)
            made_since = minded.flat_utc == closes_utc and scene.declaration.voided
            return _left(scene, replace(begun, to_close=ZERO)) if made_since else _begin(scene, begun)
    if not minded.close_utc:
        return None
    if not scene.not_flat:
        return _over(scene, minded)
    if scene.now_utc < minded.close_utc:
        return _closing(scene, minded)
    return _missed(scene, minded)


def _closing(scene: Scene, minded: Minded) -> Act | None:
    """What was held when it began is closed, and what is left of that; never what was adopted beyond it since."""
    declared, left = scene.declaration, clamped(minded.to_close, scene.held)
    after = replace(minded, to_close=left)
    if declared.voided and declared.quantity and scene.held != left:
        return None if minded.kept else _left(scene, after)
    if declared.quantity:
        return Act(after, replace(declared, quantity=ZERO))
    return Act(after) if left != minded.to_close else None


def _left(scene: Scene, minded: Minded) -> Act:
    text = (
        f"{scene.symbol}: {scene.held} is held, {minded.to_close} of it since before the close was begun: what a person"
        " has made of the position is left as it is, under its stop; close it by hand, or `nightdesk session flatten`"
    )
    return Act(replace(minded, kept=True), None, Told("close.left", "PAGE", text, CLOSE, "opened"))


def _begin(scene: Scene, minded: Minded) -> Act:
    """What the venue has refused before is tried again."""
    text = f"{scene.symbol}: flat at the close of {utc_text(minded.close_utc)}: entries end, {scene.held} is closed"
    told = Told("close.begun", "DIGEST", text)
    return Act(minded, replace(scene.declaration, quantity=ZERO, refused=()), told)


def _over(scene: Scene, minded: Minded) -> Act:
    text = f"{scene.symbol}: the broker says flat, and no order of ours works there"
    opened = minded.close_missed or minded.kept
    told = Told("close.flat", "NOTIFY", text, CLOSE, "resolved") if opened else Told("close.flat", "DIGEST", text)
    done = replace(minded, flat_utc=minded.close_utc, close_utc=0.0, close_missed=False, kept=False, to_close=ZERO)
    return Act(done, None, told)


def _missed(scene: Scene, minded: Minded) -> Act | None:
    """Told once. Where no order closes the position any more, what is left is kept under its stop."""
    keeps = bool(scene.held) and not (minded.kept or scene.exits or scene.flattening)
    if minded.close_missed and not keeps:
        return None
    declaration = None
    if keeps and scene.declaration.quantity == 0:
        declaration = replace(scene.declaration, quantity=scene.held, refused=())
    after = replace(minded, close_missed=True, kept=minded.kept or keeps)
    if minded.close_missed:
        return Act(after, declaration)
    text = f"{scene.symbol}: not confirmed flat at the close of {utc_text(minded.close_utc)}: {scene.not_flat}"
    goes_on = "It goes on being minded, its stop stays or is placed again; look at the broker"
    return Act(after, declaration, Told("close.missed", "PAGE", f"{text}. {goes_on}", CLOSE, "opened"))


def wants_read(scene: Scene, minded: Minded) -> bool:
    """What our book has as flat waits for the broker's word, as long as the close has not come; else the books' own
    rhythm is enough."""
    return bool(minded.close_utc) and not minded.close_missed and bool(scene.not_flat) and not scene.held


def overnight_margin(scene: Scene, minded: Minded) -> Act | None:
    """Before the close: what is held over it needs more than the account has. Once for each close."""
    closes_utc, lacking = scene.closes_utc, _lacking(scene)
    if not scene.held or closes_utc is None or not lacking:
        return None
    near = scene.now_utc >= closes_utc - MARGIN_S - scene.words.flat_at_close_min * MINUTE_S
    if not near or minded.margin_utc == closes_utc:
        return None
    text = f"{scene.symbol}: {scene.held} is held and its market closes {utc_text(closes_utc)}; {lacking}"
    return Act(replace(minded, margin_utc=closes_utc), None, Told("margin.overnight", "PAGE", text))


def _lacking(scene: Scene) -> str:
    """What the account lacks over night, in words; "" where it lacks nothing, or the venue does not tell."""
    margin_usd, equity_usd, free_usd = scene.margin_usd, scene.equity_usd, scene.overnight_free_usd
    if margin_usd is not None and equity_usd is not None and margin_usd > equity_usd:
        return f"the account's positions need {margin_usd} USD over night, its equity is {equity_usd} USD"
    if free_usd is not None and free_usd <= 0:
        return f"all that the account may hold over night is held, or more: its buying power then is {free_usd} USD"
    return ""
