"""The count at the end: what the emulator's book (the oracle) says against what the desk recorded. PURE but for the
stores that it is lent: files of a real desk, or the disks of a simulated one.

It reads these and the emulator only; nothing of the desk is asked, so that a desk that lies to itself is found out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from trader.demo.lost_stop import LostStop
from trader.demo.script import Stand
from trader.orders.legs import Leg, leg_key
from trader.store.books import Readable, uncovered_s


class Books(msgspec.Struct, frozen=True):
    """What is compared. ``journals``: of each stand, what its session's tells of its symbol; ``orders``: the emulators'
    answers to /emulator/orders, by connection; ``bars``: the stamps that were closed where each has its bars from;
    ``starts``: lives of the supervisor."""

    stands: tuple[Stand, ...]
    desk: Readable
    journals: Mapping[Stand, Readable]
    orders: Mapping[str, dict[str, Any]]
    bars: Mapping[Stand, list[int]]
    starts: int


class Count(msgspec.Struct, frozen=True):
    """The demo's result. ``restarts``: decisions, one per death. ``faults``: injected ones."""

    bars_expected: int
    bars_seen: int
    bars_missing: int
    bars_doubled: int
    intents: int
    broker_orders: int
    orders_twice: int
    foreign_orders: int
    divergences: int
    books_agree: bool
    restarts: int
    expected_restarts: int
    supervisor_starts: int
    goaways: int
    uncovered_s: float
    faults: int
    seconds: float
    problems: tuple[str, ...]
    holds: int = 0
    """Times that a person has stopped entries."""
    gaps: int = 0
    longest_gap_s: float = 0.0
    """Times that an open position was without its stop, each over by the end, and the longest of them."""
    released: int = 0
    """Of the holds, those that a person has released."""
    bare: tuple[str, ...] = ()
    """Positions that had no working stop at the end, in words."""
    lost_stops: tuple[LostStop, ...] = ()
    """Stops that the venue has rejected, and what became of each."""

    @property
    def passed(self) -> bool:
        return not self.problems


class Bars(msgspec.Struct, frozen=True):
    expected: int
    seen: int
    missing: tuple[int, ...]
    doubled: tuple[int, ...]


def count(books: Books, faults: int, seconds: float, broken: Sequence[str] = ()) -> Count:
    """``broken``: problems that were found by others."""
    journals = books.journals
    by_stand = {stand: count_bars(stand, journals[stand], books.bars[stand]) for stand in books.stands}
    keys = {key for journal in journals.values() for key in placing_keys(journal)}
    orders = [order for told in books.orders.values() for order in told["Orders"]]
    sent = [order for order in orders if not order["ByHand"] and not order["Renews"]]
    used = Counter(order["OrderConfirmID"] for order in sent)
    twice = sum(number - 1 for number in used.values() if number > 1) + sum(key not in keys for key in used)
    wrong = [
        text for stand in books.stands for text in books_differ(stand, journals[stand], books.orders[stand.connection])
    ]
    deaths = books.desk.query(
        "SELECT kind, data FROM events WHERE kind IN ('child.died', 'child.ended', 'child.start_failed')"
    )
    hows = Counter(msgspec.json.decode(row["data"])["how"] for row in deaths)
    blind = [stand.name for stand in books.stands if books.bars[stand] and not by_stand[stand].seen]
    wrong_entries = [text for stand in books.stands for text in stopped_entries(books.desk, journals[stand], stand)]
    gaps_s = [length_s for journal in journals.values() for length_s in uncovered_s(journal)]
    problems = [
        *wrong,
        *wrong_entries,
        *(f"{name} saw no bar at all" for name in blind),
        *bar_problems(by_stand),
        *broken,
    ]
    if twice:
        problems.append(f"{twice} orders were sent twice or are not in any journal")
    return Count(
        bars_expected=sum(each.expected for each in by_stand.values()),
        bars_seen=sum(each.seen for each in by_stand.values()),
        bars_missing=sum(len(each.missing) for each in by_stand.values()),
        bars_doubled=sum(len(each.doubled) for each in by_stand.values()),
        intents=len(keys),
        broker_orders=sum(used.values()),
        orders_twice=twice,
        foreign_orders=sum(bool(order["ByHand"]) for order in orders),
        divergences=sum(len(j.query("SELECT number FROM adoptions WHERE taken_over = 0")) for j in journals.values()),
        books_agree=not wrong,
        restarts=hows["abnormal"] + hows["expected"],
        expected_restarts=hows["expected"],
        supervisor_starts=books.starts,
        goaways=len(books.desk.query("SELECT number FROM events WHERE kind = 'feed.goaway'")),
        uncovered_s=round(sum(gaps_s), 3),
        gaps=len(gaps_s),
        bare=tuple(text for stand in books.stands for text in _bare(journals[stand], stand)),
        longest_gap_s=round(max(gaps_s, default=0.0), 3),
        faults=faults,
        seconds=round(seconds, 1),
        problems=tuple(problems),
        released=len(books.desk.query("SELECT number FROM events WHERE kind = 'hold.released'")),
        holds=len(books.desk.query("SELECT number FROM events WHERE kind IN ('hold.set', 'halt.set')")),
    )


def count_bars(stand: Stand, journal: Readable, closed: list[int]) -> Bars:
    """Each bar that the emulator closed, from the session's first on, is in exactly one committed turn."""
    sql = "SELECT closed_utc FROM turns WHERE closed_utc IS NOT NULL AND symbol = ? ORDER BY number"
    rows = journal.query(sql, (stand.symbol,))
    seen = [int(row["closed_utc"]) for row in rows]
    if not seen:
        return Bars(0, 0, (), ())
    expected = [stamp for stamp in closed if stamp >= seen[0]]
    doubled = [stamp for stamp, number in Counter(seen).items() if number > 1]
    return Bars(len(expected), len(set(seen)), tuple(sorted(set(expected) - set(seen))), tuple(doubled))


def bar_problems(by_stand: dict[Stand, Bars]) -> list[str]:
    problems = []
    for stand, bars in by_stand.items():
        if bars.missing:
            problems.append(f"{stand.name} misses {len(bars.missing)} bars of {stand.symbol}, first {bars.missing[0]}")
        if bars.doubled:
            problems.append(
                f"{stand.name} saw {len(bars.doubled)} bars of {stand.symbol} twice, first {bars.doubled[0]}"
            )
    return problems


def placing_keys(journal: Readable) -> dict[str, str]:
    """The keys of all orders that the journal knows to have been sent, each with its purpose: a bracket has several."""
    found: dict[str, str] = {}
    for row in journal.query("SELECT key, purpose, legs FROM intents WHERE kind = 'place'"):
        found[row["key"]] = row["purpose"]
        for leg in msgspec.json.decode(row["legs"], type=tuple[Leg, ...]):
            found[leg_key(row["key"], leg)] = leg.purpose
    return found


def books_differ(stand: Stand, journal: Readable, orders: dict[str, Any]) -> list[str]:
    """Positions and working orders: ours against the emulator's fills and orders. ``orders``: of its connection."""
    theirs = sum((Decimal(str(fill["Quantity"])) for fill in orders["Fills"] if _of(fill, stand)), start=Decimal(0))
    rows = journal.query("SELECT quantity FROM positions WHERE symbol = ?", (stand.symbol,))
    ours = Decimal(rows[0]["quantity"]) if rows else Decimal(0)
    problems = [] if ours == theirs else [f"{stand.name}: our position is {ours}, the broker's is {theirs}"]
    open_theirs = {
        order["OrderID"]
        for order in orders["Orders"]
        if _of(order, stand) and order["Closed"] is None and not order["ByHand"]
    }
    open_ours = {
        row["order_id"]
        for row in journal.query("SELECT order_id FROM orders WHERE working = 1 AND symbol = ?", (stand.symbol,))
    }
    if open_ours != open_theirs:
        problems.append(
            f"{stand.name}: our working orders are {open_ours or 'none'}, the broker's {open_theirs or 'none'}"
        )
    return problems


def _of(thing: dict[str, Any], stand: Stand) -> bool:
    return bool(thing["AccountID"] == stand.account and thing["Symbol"] == stand.symbol)


def _bare(journal: Readable, stand: Stand) -> Iterator[str]:
    for row in journal.query("SELECT symbol FROM uncovered ORDER BY symbol"):
        yield f"{row['symbol']} of {stand.name}"


def stopped_entries(desk: Readable, journal: Readable, stand: Stand) -> Iterator[str]:
    """Entries that were written while a person's hold stood, and sent all the same."""
    sent = journal.query(
        "SELECT key, written_utc FROM intents WHERE kind = 'place' AND purpose = 'entry' AND state = 'accepted'"
    )
    for since_utc, until_utc in stopped_times(desk, stand):
        for entry in sent:
            if since_utc < entry["written_utc"] < until_utc:
                yield f"{stand.name}: entry {entry['key']} was sent while a person had stopped entries"


def stopped_times(desk: Readable, stand: Stand) -> Iterator[tuple[float, float]]:
    """From when to when a hold of this session, or of all, stood in desk.db (market time)."""
    told = desk.query(
        "SELECT kind, subject, market_utc FROM events WHERE kind IN ('hold.set', 'halt.set', 'hold.released')"
        " AND subject IN ('sessions', ?) ORDER BY number",
        (f"sessions/{stand.name}",),
    )
    since: dict[str, float] = {}
    for event in told:
        if event["kind"] != "hold.released":
            since.setdefault(event["subject"], event["market_utc"])
        elif event["subject"] in since:
            yield since.pop(event["subject"]), event["market_utc"]
    yield from ((at_utc, float("inf")) for at_utc in since.values())
