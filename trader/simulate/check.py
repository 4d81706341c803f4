"""What must hold of a simulated night beyond the demo's count. PURE: reads what the emulator's book and journals say.

* A position never crosses zero by an order of ours, and a closing order of ours never opens one, unless a person
  traded in between (law 1: no order of ours is a guess at what somebody else did).
* No entry comes of a late bar, is sent to the venue past its validity, or is written while its symbol is held.
* Where no person has traded, profit and fees by our stored rows are those of the venue's own ledger.
* From the commit of a person's hold to its release no entry is sent, and when a flatten is told as confirmed the
  position at the broker is zero.
* The sessions of an account enter no more often than its limit allows.
* What a session that is flat at the close holds over it was told.
* A stop that the market has passed is not placed again and again.
* No entry is written while the market is closed or closes soon; each phase of it is told once, in sequence.
* Nothing dies but by an injected fault, or as a feed that says how its stream ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import ZERO, Side
from brokers.tradestation.emulator.ledger import Ledger, traded
from brokers.tradestation.emulator.money import Account, settle
from supervisor.process.world import Store
from trader.accounting.money import CENT, usd
from trader.data.bars import late_limit_s
from trader.demo.script import Stand
from trader.demo.verify import placing_keys, stopped_times
from trader.hours.market_hours import MarketHours, Phase
from trader.messages import Row, SessionRow
from trader.risk.usage import MINUTE_S
from trader.simulate.faults import SLOW_MAX_S
from trader.store.books import Readable, read_book

EXPECTED_DEATHS = ("feeds.stream.FeedEnded: ",)
HOLD_BEGINS = (
    *("divergence.adopted", "hold.unexplained", "hold.found", "hold.ambiguous", "hold.unsettled", "hold.vanished"),
    *("hold.rejects", "divergence.order"),
)
CLOSE_TOLD_S = 120.0
"""Machine seconds: an account manager that is dead at the close comes back, reads the account, and tells."""
HOLD_ENDS = (
    *("hold.released", "divergence.resumed", "divergence.followed", "unexplained.over", "unsettled.over", "found.over"),
)


def crashes(told: Iterable[str]) -> Iterator[str]:
    """``told``: ``SimDesk.crashes``, one traceback each. Those that nobody injected."""
    for trace in told:
        last = trace.rstrip().splitlines()[-1]
        if not last.startswith(EXPECTED_DEATHS):
            yield f"a process crashed: {trace.rstrip()}"


def crossings(ledger: Ledger, stand: Stand, journal: Readable, rate: float) -> Iterator[str]:
    """From a trade by hand until its adoption, and what follows from that, has reached the venue nothing is judged:
    what our orders then do was decided before. Nor is a stop that a trade by hand has orphaned and that we were just
    cancelling: its cancel can be lost, or its sender die."""
    purposes = placing_keys(journal)
    adopted = [row["adopted_utc"] for row in journal.query("SELECT adopted_utc FROM adoptions ORDER BY number")]
    cancels = journal.query("SELECT order_id, written_utc FROM intents WHERE kind = 'cancel'")
    held, by_hand_utc, orphans = 0, float("inf"), False
    for fill in ledger.fills:
        if (fill.account, fill.symbol) != (stand.account, stand.symbol):
            continue
        after = held + fill.quantity
        order, slow_utc = ledger.orders[fill.order_id], fill.at_utc - SLOW_MAX_S * rate
        purpose = purposes.get(order.confirm_id, "no intent")
        if order.by_hand:
            by_hand_utc, orphans = fill.at_utc, True
        elif any(by_hand_utc < at_utc < slow_utc for at_utc in adopted):
            by_hand_utc = float("inf")
        orphans = orphans and (purpose in ("stop", "take") or by_hand_utc < float("inf"))
        going = orphans and any(
            row["order_id"] == fill.order_id and slow_utc <= row["written_utc"] < fill.at_utc for row in cancels
        )
        wrong = held * after < 0 or (abs(after) > abs(held) and purpose != "entry")
        if wrong and by_hand_utc == float("inf") and not going:
            yield f"{stand.name}: order {fill.order_id} ({purpose}) took {held} to {after} unasked"
        held = after


def adoptions(journal: Readable, ledger: Ledger, stand: Stand) -> Iterator[str]:
    """A divergence that no person made is our own mistake: our orders and fills are known, whatever dies."""
    fills = [fill for fill in ledger.fills if (fill.account, fill.symbol) == (stand.account, stand.symbol)]
    by_hand = [fill.at_utc for fill in fills if ledger.orders[fill.order_id].by_hand]
    before_utc = 0.0
    for row in journal.query("SELECT * FROM adoptions ORDER BY number"):
        if not any(before_utc < at_utc <= row["adopted_utc"] for at_utc in by_hand):  # at the end the clock stands
            what = f"{row['before_quantity']} to {row['after_quantity']}"
            yield f"{stand.name}: {what} was adopted, and nobody had traded by hand"
        before_utc = row["adopted_utc"]


def money(journal: Store, ledger: Ledger, stand: Stand) -> Iterator[str]:
    """Whatever died and however often: to the cent."""
    fills = [fill for fill in ledger.fills if (fill.account, fill.symbol) == (stand.account, stand.symbol)]
    if any(ledger.orders[fill.order_id].by_hand for fill in fills):
        return
    theirs = Account(stand.account, "Futures", ZERO)
    for number, fill in enumerate(fills):
        settle(theirs, fill, traded(stand.symbol), str(number))
    book = read_book(journal, stand.name)
    ours = book.ledger(stand.symbol, 0.0)
    gained_usd = usd(ours.realised, book.instruments.get(stand.symbol))
    apart = gained_usd is None or abs(gained_usd - theirs.realized_usd) >= CENT
    if apart or ours.fees_usd != theirs.commission_usd or ours.gaps:
        told = f"{theirs.realized_usd} and {theirs.commission_usd}, ours are {gained_usd} and {ours.fees_usd}"
        yield f"{stand.name}: profit and fees of the venue are {told}, {len(ours.gaps)} gaps"


def late_entries(journal: Readable, ledger: Ledger, stand: Stand, late_machine_s: float, rate: float) -> Iterator[str]:
    """Entries of late bars, and those that were booked past their validity."""
    limit_s = late_limit_s(60, late_machine_s, rate)
    sql = (
        "SELECT key FROM intents JOIN turns ON committed_utc = written_utc WHERE kind = 'place' AND purpose = 'entry'"
        " AND (late = 1 OR committed_utc > closed_utc + ?) AND turns.symbol = intents.symbol AND NOT EXISTS (SELECT 1"
        " FROM turns AS other WHERE other.committed_utc = written_utc AND other.number <> turns.number)"
    )
    for row in journal.query(sql, (limit_s,)):
        yield f"{stand.name}: entry {row['key']} comes of a late bar"
    valid = "SELECT key, valid_until_utc FROM intents WHERE kind = 'place' AND valid_until_utc IS NOT NULL"
    for row in journal.query(valid):
        order_id = ledger.confirm_ids.get(row["key"])
        if order_id and ledger.orders[order_id].opened_utc > row["valid_until_utc"] + SLOW_MAX_S * rate:
            yield f"{stand.name}: entry {row['key']} was booked past its validity and the longest way"


def held_entries(journal: Readable, stand: Stand) -> Iterator[str]:
    """Entries that were written while a hold of the symbol stood in the journal."""
    events = [row for row in _rows(journal) if row["kind"] in (*HOLD_BEGINS, *HOLD_ENDS)]
    entries = journal.query("SELECT key, written_utc FROM intents WHERE kind = 'place' AND purpose = 'entry'")
    since: float | None = None
    for event in [*events, {"kind": HOLD_ENDS[0], "market_utc": float("inf")}]:
        if event["kind"] in HOLD_BEGINS:
            since = event["market_utc"] if since is None else since
            continue
        for entry in entries:
            if since is not None and since < entry["written_utc"] < event["market_utc"]:
                yield f"{stand.name}: entry {entry['key']} was written while entries were held"
        since = None


def entries_a_minute(journals: Iterable[Readable], account: str, most: int) -> Iterator[str]:
    """The account's own limit, over all its sessions: entries that were sent within 60 market seconds."""
    sql = "SELECT key, written_utc FROM intents WHERE kind = 'place' AND purpose = 'entry' AND state = 'accepted'"
    sent = sorted((row["written_utc"], row["key"]) for journal in journals for row in journal.query(sql))
    for number, (at_utc, key) in enumerate(sent):
        before = sum(at_utc - MINUTE_S < each <= at_utc for each, _ in sent[:number])
        if before >= most:
            yield f"{account}: entry {key} is number {before + 1} within a minute, limit {most}"


def late_booked(desk: Readable, journal: Readable, ledger: Ledger, stand: Stand, rate: float) -> Iterator[str]:
    """Entries that were booked after a person had stopped them, and the longest way."""
    keys = [row["key"] for row in journal.query("SELECT key FROM intents WHERE kind = 'place' AND purpose = 'entry'")]
    for since_utc, until_utc in stopped_times(desk, stand):
        for key in keys:
            order_id = ledger.confirm_ids.get(key)
            booked_utc = ledger.orders[order_id].opened_utc if order_id else since_utc
            if since_utc + SLOW_MAX_S * rate < booked_utc < until_utc:
                yield f"{stand.name}: entry {key} was booked long after a person had stopped entries"


def flattened(journal: Readable, ledger: Ledger, stand: Stand, rate: float) -> Iterator[str]:
    """Confirmed flat is flat, but for what a person has traded since the read may have left the venue."""
    fills = [fill for fill in ledger.fills if (fill.account, fill.symbol) == (stand.account, stand.symbol)]
    for event in journal.query("SELECT market_utc FROM events WHERE kind = 'flatten.confirmed'"):
        until_utc = event["market_utc"]
        before = [fill for fill in fills if fill.at_utc <= until_utc]
        recent = [fill for fill in before if fill.at_utc > until_utc - SLOW_MAX_S * rate]
        by_hand = any(ledger.orders[fill.order_id].by_hand for fill in recent)
        held = sum(fill.quantity for fill in before)
        if held and not by_hand:
            yield f"{stand.name}: a flatten was told as confirmed while the broker held {held}"


def kept_over_closes(journal: Readable, ledger: Ledger, stand: Stand, hours: MarketHours, rate: float) -> Iterator[str]:
    """Of a session that is flat at the close: what the broker held when its market closed was told (or somebody had
    traded by hand, or the position was flat soon after)."""
    fills = [fill for fill in ledger.fills if (fill.account, fill.symbol) == (stand.account, stand.symbol)]
    if not fills:
        return
    patience_s = CLOSE_TOLD_S * rate
    told = [row for row in _rows(journal) if row["kind"] in ("close.missed", "close.flat")]
    for closed_utc in hours.closes_utc:
        if not fills[0].at_utc < closed_utc < (ledger.stopped_at_utc or 0.0) - patience_s:
            continue
        held = sum(fill.quantity for fill in fills if fill.at_utc <= closed_utc)
        soon = [fill for fill in fills if abs(fill.at_utc - closed_utc) < patience_s]
        by_hand = any(ledger.orders[fill.order_id].by_hand for fill in soon)
        if not held or by_hand or held + sum(fill.quantity for fill in soon if fill.at_utc > closed_utc) == 0:
            continue
        before = [row["kind"] for row in told if row["market_utc"] < closed_utc + patience_s]
        if before[-1:] != ["close.missed"]:
            yield f"{stand.name}: the broker held {held} over the close of {closed_utc}, and nobody was told"


def sent_again(
    journal: Readable, stand: Stand, price_at: Callable[[float], Decimal | None], patience_s: float
) -> Iterator[str]:
    """Stops that the market had passed for ``patience_s`` (market seconds) when they were placed: the desk knows it by
    then, but for a death or a silent market. Once may be bad luck; again is a loop."""
    sent: Counter[tuple[str, str]] = Counter()
    sql = "SELECT side, stop_price, written_utc FROM intents WHERE kind = 'place' AND purpose = 'stop' ORDER BY number"
    for row in journal.query(sql):
        if row["stop_price"] is None:
            continue
        stop, sign = Decimal(row["stop_price"]), Side(row["side"]).sign
        prices = (price_at(row["written_utc"]), price_at(row["written_utc"] - patience_s))
        if all(price is not None and (price - stop) * sign >= 0 for price in prices):
            sent[row["side"], row["stop_price"]] += 1
    for (side, price), times in sent.items():
        if times > 1:
            yield f"{stand.name}: the {side} stop at {price} was placed {times} times while the market was beyond it"


def entries_outside_hours(journal: Readable, stand: Stand, hours: MarketHours, closing_s: float) -> Iterator[str]:
    for row in journal.query("SELECT key, written_utc FROM intents WHERE kind = 'place' AND purpose = 'entry'"):
        moment = hours.moment(row["written_utc"], closing_s)
        if moment.phase is not Phase.OPEN:
            yield f"{stand.name}: entry {row['key']} was written while the market was {moment.phase}"


def phases(journal: Readable, stand: Stand, hours: MarketHours, closing_s: float) -> Iterator[str]:
    """Those that were told: each one of the calendar's, and later than the one before."""
    before_utc = float("-inf")
    for row in journal.query("SELECT body FROM rows ORDER BY number"):
        told = msgspec.json.decode(row["body"], type=Row).content
        if not isinstance(told, SessionRow):
            continue
        moment = hours.moment(told.at_utc, closing_s)
        if (moment.phase, moment.began_utc) != (told.phase, told.at_utc):
            yield f"{stand.name}: phase {told.phase} of {told.at_utc:.0f} was told, the calendar has {moment.phase}"
        if told.at_utc <= before_utc:
            yield f"{stand.name}: phase {told.phase} of {told.at_utc:.0f} was told twice, or after a later one"
        before_utc = told.at_utc


def _rows(journal: Readable) -> list[dict[str, Any]]:
    return journal.query("SELECT kind, market_utc FROM events ORDER BY number")
