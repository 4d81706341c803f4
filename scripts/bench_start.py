"""What the start of a desk of many series asks of the venue, in the simulated world with the venue's quotas on.

scripts/bench start [--sessions N] [--rate R] [--json]

All sessions are of one key. The whole machine is killed a minute after its start and started again,
three times, so all four starts fall into one window of the quota. In a lively hour; before the market opens, when there
are minutes without a trade, so bars of the stream do not follow each other; and with ten sessions on each symbol.
"""

import argparse
import datetime
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache

import msgspec

from brokers.tradestation.emulator.book import RequestSeen
from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.market import Bar, Market, Series
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from scripts.bench_tools import Figure, figure, run, say
from trader.hosting.code import find_code
from trader.sessions import Session, journal_path
from trader.simulate.assembly import Machine, machine

BENCH = "start"
RECORDED = "SPY"
LIVELY = datetime.datetime(2013, 10, 8, 15, 0, 10, tzinfo=datetime.UTC).timestamp()
"""Each minute before it has a bar, for longer than a strategy looks back."""
QUIET = datetime.datetime(2013, 10, 8, 10, 58, 10, tzinfo=datetime.UTC).timestamp()
STARTS = 4
AGAIN_S = 62.0
WATCHED_S = 300.0
"""Machine seconds after the last start: what has taken no bar by then is counted as without."""
LOOK_EVERY_S = 1.0


class Start(msgspec.Struct, frozen=True):
    """Of one start of the desk, by series. ``reads``: of bars, openings of streams among them. ``late_s``: market
    seconds from the close of the first bar after the start to its turn in the journal; none of a series without."""

    reads: list[int]
    refused: int
    late_s: list[float]


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench start", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--sessions", type=int, default=50, help="of one key (default 50)")
    options.add_argument("--rate", type=float, default=1.0, help="market seconds in a machine second (default 1)")
    return run(measure, options)


def measure(chosen: argparse.Namespace) -> Iterator[Figure]:
    count = chosen.sessions
    for words, begins_utc, symbols in (
        ("lively", LIVELY, count),
        ("quiet", QUIET, count),
        ("ten on a symbol", LIVELY, max(1, count // 10)),
    ):
        say(f"{count} sessions, {words}: {STARTS} starts, {AGAIN_S:g} s between them")
        for number, each in enumerate(play(many(count, begins_utc, symbols, chosen.rate), count), 1):
            name = f"{words}, start {number}"
            yield figure(BENCH, f"{name}: reads a series", each.reads, "1")
            yield figure(BENCH, f"{name}: reads of all", [sum(each.reads)], "1")
            yield figure(BENCH, f"{name}: refused by the venue", [each.refused], "1")
            if each.late_s:
                yield figure(BENCH, f"{name}: first bar taken after", each.late_s, "s")
            yield figure(BENCH, f"{name}: sessions without a bar", [count - len(each.late_s)], "1")


def many(count: int, begins_utc: float, symbols: int, rate: float = 1.0) -> Machine:
    """``count`` sessions on so many symbols, of one key. The venue counts in fixed windows, which forgive less, and its
    streams come in pieces."""
    code, class_name = find_code("ema_cross")
    names = [name(number) for number in range(symbols)]
    sessions = [
        Session(session(number), "ema_cross", class_name, code.sha256, "SIM100001M", (names[number % symbols],), "sim")
        for number in range(count)
    ]
    market = Market([Series(each, recorded()) for each in names])
    settings = Settings(switches=Switches(quota="fixed", chunks="random"))
    coded = [(each, code) for each in sessions]
    return machine(market, coded, origin_utc=begins_utc, rate=rate, settings=settings)


def play(built: Machine, count: int) -> list[Start]:
    return [_life(built, number, count) for number in range(1, STARTS + 1)]


def _life(built: Machine, number: int, count: int) -> Start:
    """The last one is watched until all have a bar."""
    kernel, seen = built.kernel, len(built.outside._book)
    desk = built.life(number)
    desk.boot()
    until_s = kernel.now_s + (WATCHED_S if number == STARTS else AGAIN_S)
    begun_utc = built.outside.market_utc(kernel.now_s)
    due_utc = next(bar.stamp_utc for bar in recorded() if bar.stamp_utc > begun_utc)
    late_s: dict[str, float] = {}
    while kernel.now_s < until_s and (number < STARTS or len(late_s) < count):
        kernel.run(min(kernel.now_s + LOOK_EVERY_S, until_s))
        for each in map(session, range(count)):
            if each not in late_s and _taken(built, each, due_utc):
                late_s[each] = built.outside.market_utc(kernel.now_s) - due_utc
    desk.kill_all()
    told = [entry.what for entry in built.outside._book[seen:] if isinstance(entry.what, RequestSeen)]
    bars = [each for each in told if "/barcharts/" in each.path]
    reads = Counter(each.path.rpartition("/")[2] for each in bars)
    return Start(list(reads.values()), sum(each.status == 429 for each in bars), list(late_s.values()))


def _taken(built: Machine, name: str, closed_utc: int) -> bool:
    disk = built.kernel.disks.get(journal_path(name))
    sql = "SELECT 1 FROM turns WHERE closed_utc = ?"
    return disk is not None and disk.execute(sql, (closed_utc,)).fetchone() is not None


@cache
def recorded() -> tuple[Bar, ...]:
    series = load_market([RECORDED]).series(RECORDED)
    assert series is not None
    return tuple(series.closed(1, 0, float("inf")))


def session(number: int) -> str:
    return f"s{number}"


def name(number: int) -> str:
    """Of a made-up share."""
    return f"Q{chr(ord('A') + number // 26)}{chr(ord('A') + number % 26)}"


if __name__ == "__main__":
    sys.exit(main())
