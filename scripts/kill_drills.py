"""Kill drills with real processes: kill -9 inside windows that the emulator holds open, again and again.

    scripts/bench drills [--for SECONDS] [--seed N] [--json]

A window is an answer of the venue that is carried out at once and told half a second later. In it dies who waits for
it, or somebody else whom it concerns. The oracle is the emulator's book, at the end, over all of it.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from brokers.tradestation.emulator.book import decode
from brokers.tradestation.emulator.ledger import Ledger
from supervisor.errors import CallFailed
from trader.demo.play import books_of, settled
from trader.demo.script import Stand
from trader.demo.stage import Stage
from trader.demo.verify import count
from trader.messages import ReadSessionStatus
from trader.sessions import manager_name
from trader.simulate import check, promises

RATE = 60.0
STAND = Stand("restless", "ESZ13", "SIM100001F", "restless")
ANSWER_S = 0.5
"""So long a window is open; the desk's own limit for an answer is 4 s here."""
OPENS_LIMIT_S = 20.0
READY_LIMIT_S = 20.0
SETTLE_LIMIT_S = 40.0
POLL_S = 0.01
STRATEGY = '''\
from decimal import Decimal
from trader.strategy import Bar, Strategy

class Restless(Strategy):
    """In, the stop moved twice, out; each four bars."""

    def setup(self):
        self.subscribe(self.symbols[0])

    def on_bar(self, bar: Bar):
        number = self.state["bars"] = self.state.get("bars", 0) + 1
        if number % 4 == 3:
            self.close(bar.symbol)
        else:
            self.target(bar.symbol, 1, stop=bar.close * (Decimal("0.99") + number % 4 * Decimal("0.001")))
'''
ORDERS, CHANGES = "POST */orders", "PUT */orders/*"
BOOKS, FEEDS = "connections/sim/books/SIM100001F", "connections/sim/feeds"
SUPERVISOR = "nightdesk"


class Window(msgspec.Struct, frozen=True):
    """``path``: whose answer is slow; "" none, it dies whenever. ``victim``: who dies in it."""

    victim: str
    path: str = ""
    nudge: str = ""
    """Who is killed before, so that the request is made."""

    @property
    def name(self) -> str:
        return f"{self.victim} in {self.path}" if self.path else self.victim


MANAGER, SOURCE, TRADER = (f"sessions/restless/{role}" for role in ("account_manager", "data_source", "trader"))
WINDOWS = (
    Window(MANAGER, ORDERS),
    Window(MANAGER, CHANGES),
    Window(SUPERVISOR, ORDERS),
    Window(TRADER, ORDERS),
    Window(BOOKS, "GET */positions"),
    Window(f"{FEEDS}/orders/SIM100001F", ORDERS),
    Window(SOURCE, "GET */barcharts/*", nudge=SOURCE),
    Window(SUPERVISOR, CHANGES),
    Window("connections/sim/connection", ORDERS),
    Window("recorder", CHANGES),
    Window(TRADER),
    Window(f"{FEEDS}/bars/ESZ13/60", "GET */barcharts/*", nudge=f"{FEEDS}/bars/ESZ13/60"),
    Window(f"{FEEDS}/positions/SIM100001F", ORDERS),
    Window(MANAGER),
)


class Result(msgspec.Struct):
    kills: Counter[str] = msgspec.field(default_factory=Counter)
    missed: Counter[str] = msgspec.field(default_factory=Counter)
    """Windows that did not open within their limit, or whose victim was not there."""
    problems: list[str] = []
    intents: int = 0
    seconds: float = 0.0


def play(home: Path, windows: Iterator[Window], length_s: float) -> Result:
    """Kill for so long, let it heal, stop the market, and count."""
    result, began_s = Result(), time.monotonic()
    stage = Stage(home, RATE)
    try:
        stage.start_emulator()
        stage.start_desk()
        _trade(stage)
        until_s = time.monotonic() + length_s
        while time.monotonic() < until_s:
            window = next(windows)
            (result.kills if _kill_in(stage, window) else result.missed)[window.name] += 1
            _wait(lambda: _agreed(stage), READY_LIMIT_S)
        _count(stage, result)
    finally:
        stage.close()
    result.seconds = time.monotonic() - began_s
    return result


def _trade(stage: Stage) -> None:
    path = stage.home / "restless.py"
    path.write_text(STRATEGY)
    stage.trade(msgspec.structs.replace(STAND, strategy=str(path)))
    if not _wait(lambda: _agreed(stage), READY_LIMIT_S):
        raise SystemExit(f"drills: the session does not agree with the broker within {READY_LIMIT_S:g} s")


def _kill_in(stage: Stage, window: Window) -> bool:
    """Whether somebody died in it."""
    if not window.path:
        return stage.kill(window.victim)
    stage.tell_emulator("fault", fault="slow_reply", path=window.path, seconds=ANSWER_S)
    if window.nudge:
        stage.kill(window.nudge)
    if not _wait(lambda: _opened(stage), OPENS_LIMIT_S):
        stage.tell_emulator("heal")
        return False
    if window.victim != SUPERVISOR:
        return stage.kill(window.victim)
    stage.kill_desk()
    stage.start_desk()
    return True


def _opened(stage: Stage) -> bool:
    """The rule has acted: it is not among those that wait any more, or counts its hit."""
    return all(rule["Hits"] for rule in stage.ask_emulator("faults")["Armed"])


def _agreed(stage: Stage) -> bool:
    try:
        status = stage.client.call(ReadSessionStatus(), timeout_s=1.0, to=manager_name(STAND.name))
    except CallFailed:
        return False
    return STAND.symbol in status.agreed_age_s


def _wait(ready: Callable[[], bool], limit_s: float) -> bool:
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if ready():
            return True
        time.sleep(POLL_S)
    return False


# -- the oracle --------------------------------------------------------------------------------------------------------


def _count(stage: Stage, result: Result) -> None:
    stage.tell_emulator("clock", action="stop")
    bars = {STAND.symbol: stage.ask_emulator("bars", symbol=STAND.symbol)["Stamps"]}
    stopped_s = time.monotonic()
    if not _wait(lambda: settled(stage, STAND, bars[STAND.symbol], stopped_s), SETTLE_LIMIT_S):
        result.problems.append(f"not settled within {SETTLE_LIMIT_S:g} s after the market had stopped")
    orders: dict[str, Any] = stage.ask_emulator("orders")
    stage.close_desk()
    ledger = ledger_of(stage.home)
    with books_of(stage.home, (STAND,), orders, bars) as books:
        journal = books.journals[STAND]
        broken = [*check.crossings(ledger, STAND, journal, RATE), *check.adoptions(journal, ledger, STAND)]
        broken += promises.exceeded(journal, ledger, STAND)
        broken += promises.reactions(journal, STAND, ledger.stopped_at_utc)
        broken += promises.filled_once(journal, ledger, STAND)
        counted = count(books, sum(result.kills.values()), 0.0, broken)
    result.intents = counted.intents
    result.problems += counted.problems


def ledger_of(home: Path) -> Ledger:
    """The emulator's book, added up by itself: nothing of the desk is asked."""
    ledger = Ledger()
    book = home / "emulator" / "book.jsonl"
    for entry in decode(book.read_bytes(), str(book)).entries:
        ledger.apply(entry)
    return ledger


# -- the command -------------------------------------------------------------------------------------------------------


def drawn(seed: int) -> Iterator[Window]:
    """Each once in the sequence of the table, then at random for ever."""
    yield from WINDOWS
    draw = random.Random(seed)
    while True:
        yield draw.choice(WINDOWS)


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nightdesk-drills-") as folder:
        yield Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench drills", description=__doc__)
    parser.add_argument("--for", dest="length_s", type=float, default=300.0, help="seconds of killing (300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with scratch() as home:
        result = play(home, drawn(asked.seed), asked.length_s)
    if asked.json:
        print(json.dumps({"schema": 1, "seed": asked.seed, **msgspec.to_builtins(result)}))
    else:
        for name, number in sorted(result.kills.items()):
            print(f"{number:5} {name}")
        print(f"{sum(result.kills.values())} kills, {result.intents} placings, {result.seconds:.0f} s")
        print(f"windows that did not open: {dict(result.missed) or 'none'}")
        for problem in result.problems:
            print(f"  ✖ {problem}")
        print("FAILED" if result.problems else "PASSED: nothing lost, nothing sent twice, books agree")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
