"""What the rules of order safety promise of a simulated night, counted against the emulator's ledger. PURE.

Beyond ``check.py``, which looks at what a night must not do at all, this looks at each decision's grounds and bounds:

* An entry never takes the position beyond the larger of where it came from and where it was meant to go (3.9).
* No entry is blind: a read of the account that the venue has answered in the last 90 s showed what we had (law 3).
* After an adoption no entry and no exit is written before the strategy has had a turn, or a person has asked (law 1).
* Each fill of an order of ours is in our record once, whatever died in between (1.4).
* What a person has left at the broker still lies there as it was left, and what a person has cancelled is not ours to
  put back (3.10).
* What the record says of time without cover is as long as it was (law 4).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import Side
from brokers.tradestation.emulator.ledger import Ledger
from brokers.tradestation.emulator.order import Fill, Order
from trader.demo.script import Stand
from trader.simulate.faults import SLOW_MAX_S
from trader.store.books import Readable

ENTRIES = (
    "SELECT key, side, quantity, written_utc FROM intents"
    " WHERE kind = 'place' AND purpose = 'entry' ORDER BY written_utc, number"
)
DECISIONS = (
    "SELECT key, kind, purpose, written_utc FROM intents WHERE purpose IN ('entry', 'exit') AND kind <> 'cancel'"
    " ORDER BY number"
)
BY_OTHER = "order.cancelled_by_other"
FLATTENS = ("flatten.begun", "flatten.confirmed", "flatten.ended")
MINDED = ("stop.passed", "stop.inert", "take.reached", "close.begun")
"""By these the desk closes what is held, by what was declared for it and the session's word: what was adopted, too."""


def exceeded(journal: Readable, ledger: Ledger, stand: Stand) -> Iterator[str]:
    """Judged up to the first trade by hand, from then on what an entry meets is not of our making, and as long as
    market time tells what came first. What older entries had not filled yet is meant, too."""
    entries = journal.query(ENTRIES)
    keys = {row["key"] for row in entries}
    written = [row["written_utc"] for row in entries]
    fills = _fills(ledger, stand)
    opening = [order for order in ledger.orders.values() if order.confirm_id in keys]
    end_utc = float("inf") if ledger.stopped_at_utc is None else ledger.stopped_at_utc
    held = 0
    for fill in fills:
        order = ledger.orders[fill.order_id]
        if order.by_hand or fill.at_utc >= end_utc:
            return
        before, held = held, held + fill.quantity
        if order.confirm_id not in keys:
            continue
        newest = bisect_right(written, fill.at_utc) - 1
        if newest < 0:
            continue
        row = entries[newest]
        came_from = Decimal(sum(one.quantity for one in fills if one.at_utc <= row["written_utc"]))
        meant = came_from + _signed(row["side"], Decimal(row["quantity"])) + _left(opening, fills, row["written_utc"])
        if Decimal(abs(held)) > max(abs(came_from), abs(meant), Decimal(abs(before))):
            yield (
                f"{stand.name}: order {fill.order_id} took {before} to {held}, beyond what entry {row['key']} was to "
                f"make of {came_from}: {meant}"
            )


def _left(opening: Iterable[Order], fills: Iterable[Fill], at_utc: float) -> int:
    """What entries that were at the venue by then had not filled, signed."""
    filled: dict[str, int] = {}
    for fill in fills:
        if fill.at_utc <= at_utc:
            filled[fill.order_id] = filled.get(fill.order_id, 0) + fill.quantity
    there = [o for o in opening if o.opened_utc <= at_utc and (o.closed_utc is None or o.closed_utc > at_utc)]
    return sum(order.signed_quantity - filled.get(order.order_id, 0) for order in there)


def blind(
    journal: Readable, ledger: Ledger, stand: Stand, reads_utc: Sequence[float], max_age_s: float, rate: float
) -> Iterator[str]:
    """``reads_utc``: when the venue has answered a read of the account's positions, in sequence."""
    fills, history = _fills(ledger, stand), _history(journal, stand)
    moments = [at_utc for at_utc, _ in history]
    for row in journal.query(ENTRIES):
        written_utc = row["written_utc"]
        first = bisect_left(reads_utc, written_utc - max_age_s * rate)
        recent = reads_utc[first : bisect_right(reads_utc, written_utc)]
        if not any(_agreed(fills, history, moments, at_utc, written_utc, rate) for at_utc in recent):
            yield f"{stand.name}: entry {row['key']} is blind: {len(recent)} reads in {max_age_s:g} s, none agrees"


def _agreed(
    fills: Iterable[Fill],
    history: list[tuple[float, Decimal]],
    moments: list[float],
    read_utc: float,
    written_utc: float,
    rate: float,
) -> bool:
    """What the venue has said is what we had when we read it, the longest way later at most."""
    theirs = Decimal(sum(fill.quantity for fill in fills if fill.at_utc <= read_utc))
    until_utc = min(written_utc, read_utc + SLOW_MAX_S * rate)
    first, last = bisect_right(moments, read_utc) - 1, bisect_right(moments, until_utc)
    had = [quantity for _, quantity in history[max(first, 0) : last]]
    return theirs in (had if first >= 0 else [Decimal(0), *had])


def _history(journal: Readable, stand: Stand) -> list[tuple[float, Decimal]]:
    """What we had from when on, by our own record: fills, and what was adopted after so many of them."""
    changes: list[tuple[int, int, float, Decimal | None, Decimal]] = []
    for row in journal.query("SELECT * FROM fills WHERE symbol = ? ORDER BY number", (stand.symbol,)):
        changes.append((row["number"], 0, row["seen_utc"], None, _signed(row["side"], Decimal(row["quantity"]))))
    for row in journal.query("SELECT * FROM adoptions WHERE symbol = ? ORDER BY number", (stand.symbol,)):
        changes.append(
            (row["after_fill"], row["number"], row["adopted_utc"], Decimal(row["after_quantity"]), Decimal(0))
        )
    held, history = Decimal(0), []
    for _, _, at_utc, adopted, change in sorted(changes, key=lambda each: each[:2]):
        held = held + change if adopted is None else adopted
        history.append((at_utc, held))
    return history


def reactions(journal: Readable, stand: Stand, stopped_utc: float | None = None) -> Iterator[str]:
    """Stops move after an adoption; nothing else does by itself, but for a stop or take that the market has passed, and
    the close. ``stopped_utc``: from when on market time stands, and does not say any more what came first."""
    end_utc = float("inf") if stopped_utc is None else stopped_utc
    decisions = journal.query(DECISIONS)
    turns = [row["committed_utc"] for row in journal.query("SELECT committed_utc FROM turns ORDER BY committed_utc")]
    marks = ", ".join("?" for _ in FLATTENS)
    asked = journal.query(f"SELECT kind, market_utc FROM events WHERE kind IN ({marks}) ORDER BY number", FLATTENS)
    minded = _moments(journal, MINDED)
    for adoption in journal.query("SELECT adopted_utc FROM adoptions WHERE taken_over = 0 ORDER BY number"):
        adopted_utc = adoption["adopted_utc"]
        next_turn = bisect_right(turns, adopted_utc)
        until_utc = turns[next_turn] if next_turn < len(turns) else float("inf")
        for row in decisions:
            at_utc = row["written_utc"]
            passed = row["purpose"] == "exit" and any(adopted_utc <= each <= at_utc for each in minded)
            if adopted_utc <= at_utc < min(until_utc, end_utc) and not (passed or _flattening(asked, at_utc)):
                yield f"{stand.name}: {row['purpose']} {row['key']} follows from an adoption alone"


def _moments(journal: Readable, kinds: Sequence[str]) -> list[float]:
    marks = ", ".join("?" for _ in kinds)
    rows = journal.query(f"SELECT market_utc FROM events WHERE kind IN ({marks}) ORDER BY number", kinds)
    return [row["market_utc"] for row in rows]


def _flattening(asked: Iterable[dict[str, Any]], at_utc: float) -> bool:
    """One that ended at this very moment was still on: at the end of a night market time stands."""
    before = [row["kind"] for row in asked if row["market_utc"] < at_utc]
    begins = any(row["kind"] == "flatten.begun" and row["market_utc"] == at_utc for row in asked)
    return begins or (bool(before) and before[-1] == "flatten.begun")


def filled_once(journal: Readable, ledger: Ledger, stand: Stand) -> Iterator[str]:
    """Order by order: the venue's fills of all that we know as ours. (A trade by hand can be taken for an order of
    unknown fate that asked for the very same; when that one shows up after all, it is somebody else's to us.)"""
    placed = journal.query("SELECT key, result_order_id FROM intents WHERE kind = 'place' AND result_order_id <> ''")
    strange = [row for row in placed if row["result_order_id"] not in ledger.orders]
    for row in strange:
        yield f"{stand.name}: order {row['result_order_id']} of {row['key']} is none of the account's venue"
    mistaken = {row["key"] for row in placed if row not in strange and ledger.orders[row["result_order_id"]].by_hand}
    released = journal.query("SELECT key FROM intents WHERE state = 'given_up' AND reason LIKE 'released by a person%'")
    mistaken |= {row["key"] for row in released}
    ours: dict[str, Decimal] = {}
    for row in journal.query("SELECT order_id, quantity FROM fills WHERE symbol = ?", (stand.symbol,)):
        ours[row["order_id"]] = ours.get(row["order_id"], Decimal(0)) + Decimal(row["quantity"])
    theirs: dict[str, Decimal] = {}
    for fill in _fills(ledger, stand):
        order = ledger.orders[fill.order_id]
        if fill.order_id in ours or not (order.by_hand or order.confirm_id in mistaken):
            theirs[fill.order_id] = theirs.get(fill.order_id, Decimal(0)) + abs(fill.quantity)
    for order_id in sorted(ours.keys() | theirs.keys()):
        had, has = ours.get(order_id, Decimal(0)), theirs.get(order_id, Decimal(0))
        if had != has:
            yield f"{stand.name}: of order {order_id} we have {had} filled, the venue {has}"


def touched(ledger: Ledger, left: Mapping[str, Order]) -> Iterator[str]:
    """``left``: what a person has laid out at the broker, as it was then."""
    for order_id, then in left.items():
        now = ledger.orders[order_id]
        if not now.is_open or (now.quantity, now.limit_price, now.filled) != (then.quantity, then.limit_price, 0):
            yield f"order {order_id}, which a person has left at the broker, is {now.status}: it was touched"


def put_back(journal: Readable, stand: Stand, cancelled: Mapping[str, float], rate: float) -> Iterator[str]:
    """``cancelled``: orders of ours that a person has cancelled, and when. That it was somebody else is noticed, or the
    stop would be placed again; where we were changing it ourselves just then nobody can tell."""
    told = " ".join(row["text"] for row in journal.query("SELECT text FROM events WHERE kind = ?", (BY_OTHER,)))
    known = {row["order_id"] for row in journal.query("SELECT order_id FROM orders")}
    for order_id, at_utc in cancelled.items():
        changes = journal.query("SELECT settled_utc FROM intents WHERE order_id = ?", (order_id,))
        ours = any((row["settled_utc"] or at_utc) > at_utc - 1.0 * rate for row in changes)
        if order_id in known and not ours and order_id not in told:
            yield f"{stand.name}: that a person has cancelled order {order_id} was taken for our own doing"


def gaps(journal: Readable, stand: Stand, seen_s: float, look_every_s: float, now_s: float) -> Iterator[str]:
    """``seen_s``: for how long the journal has said, look by look, that something is without cover."""
    over = journal.query("SELECT data FROM events WHERE kind = 'uncovered.over'")
    lengths = [float(msgspec.json.decode(row["data"])["machine_s"]) for row in over]
    lengths += [now_s - row["since_s"] for row in journal.query("SELECT since_s FROM uncovered")]
    if abs(sum(lengths) - seen_s) > look_every_s * (len(lengths) + 1):
        yield f"{stand.name}: {len(lengths)} gaps of cover are told as {sum(lengths):.1f} s, seen were {seen_s:.1f} s"


def _fills(ledger: Ledger, stand: Stand) -> list[Fill]:
    return [fill for fill in ledger.fills if (fill.account, fill.symbol) == (stand.account, stand.symbol)]


def _signed(side: str, quantity: Decimal) -> Decimal:
    return Side(side).sign * quantity
