"""The desk's figures: memory of each role, time from a bar to its order, and how fast the simulated world runs.

    scripts/bench desk [memory|latency|simulated] [--json]

Latency is measured from the moment at which a closed bar's bytes are written to the feed's socket to the first byte of
the order at the venue, over feed -> data source -> trader -> account manager: three hops between processes and one
synced commit. Its floor is as much, bare, in the same run and with the same pauses.
"""

import argparse
import datetime
import json
import multiprocessing
import os
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq

from brokers.tradestation.emulator.load import load_market
from scripts.bench_tools import Figure, figure, run, say
from scripts.bench_venue import ACCOUNT, MINUTE_S, SYMBOL, BenchVenue
from supervisor.errors import CallFailed
from supervisor.sim.kernel import START_S
from trader.code import find_code
from trader.commands import AddSession, StartSession
from trader.demo.script import STANDS, Stand
from trader.demo.stage import CONFIG, LOGIN, Stage
from trader.messages import ReadSessionStatus, SessionStatus
from trader.sessions import Session, journal_path, manager_name
from trader.simulate.assembly import machine

BENCH = "desk"
RATE = 60.0
READY_LIMIT_S = 30.0
MEMORY_AFTER_S = 15.0
"""Of trading, before memory is looked at: every role has worked by then."""

ENTRIES = 250
WARM_UP = 10
"""Entries before these, not counted: the first reads of history, the first write of each table."""
BAR_EVERY_S = 0.12
"""Machine seconds between bars: one, its order, its fill and its stop are done within a tenth of it."""
ORDER_LIMIT_S = 2.0
FLAT_LIMIT_S = 2.0
HOPS = 3
ORPHAN_LOOK_MS = 1000
STRATEGY = """
from trader.strategy import Strategy

class Alternating(Strategy):
    \"\"\"In on every second bar, out on the others.\"\"\"

    def setup(self):
        self.subscribe(self.symbols[0])

    def on_bar(self, bar):
        if self.position(bar.symbol).quantity:
            self.close(bar.symbol)
        else:
            self.target(bar.symbol, 1, stop=bar.close - 1)
"""

DAY_BEGINS = datetime.datetime(2013, 10, 8, 13, 30, tzinfo=datetime.UTC).timestamp()
DAY_ENDS = datetime.datetime(2013, 10, 8, 20, 0, tzinfo=datetime.UTC).timestamp()
"""A regular day of SPY in the bundled bars."""
DAYS = 3
PARTS = ("memory", "latency", "simulated")


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench desk", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    return run(measure, options)


def measure(chosen: argparse.Namespace) -> Iterator[Figure]:
    parts = {"memory": memory, "latency": latency, "simulated": simulated}
    unknown = set(chosen.parts) - set(parts)
    if unknown:
        sys.exit(f"bench desk: no part is called {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    for name in chosen.parts or parts:
        yield from parts[name]()


# -- memory ------------------------------------------------------------------------------------------------------------


def memory() -> Iterator[Figure]:
    """PSS of a demo that trades, by role; shared pages are counted in parts, so the sum is what the desk costs."""
    stage = Stage(None, RATE)
    try:
        stage.start_emulator()
        stage.start_desk()
        for stand in STANDS:
            begin(stage, stand, stand.strategy)
        say(f"memory: two sessions trade for {MEMORY_AFTER_S:g} s")
        time.sleep(MEMORY_AFTER_S)
        found = pss_by_role(stage)
    finally:
        stage.close()
        stage.remove()
    for role in sorted(found):
        yield figure(BENCH, f"pss {role}", found[role], "MiB", digits=1)
    total = sum(map(sum, found.values()))
    yield figure(BENCH, "pss of all processes", [total], "MiB", digits=1)


def pss_by_role(stage: Stage) -> dict[str, list[float]]:
    tree = stage.tree()
    found: dict[str, list[float]] = defaultdict(list)
    found["supervisor"].append(pss_mib(tree.pid))
    for child in tree.children:
        if child.type == "worker" and child.pid:
            found[role(child.name)].append(pss_mib(child.pid))
    return found


def role(name: str) -> str:
    """``sessions/es/trader`` is a trader, ``connections/sim/feeds/bars/SPY/60`` a feed of bars."""
    parts = name.split("/")
    if parts[0] == "connections":
        return f"{parts[3]} feed" if parts[2] == "feeds" else parts[2]
    return parts[-1]


def pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup tells no Pss")


# -- from bar to order -------------------------------------------------------------------------------------------------


class BenchStage(Stage):
    """The demo's stage with our venue instead of the emulator, and a market clock of our own."""

    def __init__(self, venue: BenchVenue) -> None:
        super().__init__(None, rate=MINUTE_S / BAR_EVERY_S)
        self.url = venue.url

    def prepare(self, origin_utc: float) -> None:
        (self.home / "emulator").mkdir()
        clock = {"origin_utc": origin_utc, "rate": self.rate, "anchor_wall_s": time.time()}
        (self.home / "emulator" / "clock.json").write_text(json.dumps(clock))
        (self.home / "nightdesk.toml").write_text(CONFIG.format(rate=self.rate, url=self.url))
        (self.home / "login.json").touch(mode=0o600)
        (self.home / "login.json").write_text(LOGIN)
        (self.home / "alternating.py").write_text(STRATEGY)

    def agreed(self, name: str) -> bool:
        try:
            status: SessionStatus = self.client.call(ReadSessionStatus(), timeout_s=1.0, to=manager_name(name))
        except CallFailed:
            return False
        return bool(status.agreed_age_s) and not status.hindrances


def latency() -> Iterator[Figure]:
    venue = BenchVenue()
    stage = BenchStage(venue)
    floor = Floor(stage.home / "floor")
    origin_utc = DAY_BEGINS
    began_s = time.monotonic()
    try:
        venue.close_bar(int(origin_utc))
        stage.prepare(origin_utc)
        stage.start_desk()
        begin(stage, Stand("bench", SYMBOL, ACCOUNT, "alternating"), str(stage.home / "alternating.py"))
        until(lambda: stage.agreed("bench") and venue.listeners("bars") > 0, "the session does not agree")
        say(f"latency: {ENTRIES} entries, a bar each {BAR_EVERY_S:g} s")
        taken, bare = entries(venue, floor, lambda s: int(origin_utc + (s - began_s) * stage.rate))
        commits = commit_times(stage.home / "commit.db")
    finally:
        floor.close()
        stage.close()
        stage.remove()
    yield figure(BENCH, f"bar at the feed's socket to order, {HOPS} hops", taken, "ms", bare)
    yield figure(BENCH, "one synced commit alone", commits, "ms")


def entries(venue: BenchVenue, floor: "Floor", market_utc: Any) -> tuple[list[float], list[float]]:
    """Milliseconds of each bar that an entry came of, and of the floor between them."""
    taken: list[float] = []
    bare: list[float] = []
    stamp = market_utc(time.monotonic()) // MINUTE_S * MINUTE_S
    misses = 0
    while len(taken) < WARM_UP + ENTRIES:
        stamp = max(stamp + MINUTE_S, market_utc(time.monotonic()) // MINUTE_S * MINUTE_S)
        entering = venue.position == 0
        sent_s = venue.close_bar(stamp)
        if entering:
            came_s = venue.first_byte_s(ORDER_LIMIT_S)
            misses += came_s is None
            if came_s is not None:
                taken.append(1000 * (came_s - sent_s))
        if misses > ENTRIES // 5:
            raise SystemExit(f"bench desk: no order came of {misses} bars within {ORDER_LIMIT_S:g} s")
        time.sleep(BAR_EVERY_S / 2)
        bare.append(floor.once())
        time.sleep(BAR_EVERY_S / 2)
    if misses:
        say(f"latency: {misses} bars without an order (the position was just being confirmed)")
    return taken[WARM_UP:], bare[WARM_UP:]


class Floor:
    """As many processes in a row as the desk's path has hops, bare: take, pass on; the last commits and stamps."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        fork = multiprocessing.get_context("fork")
        self._processes = [fork.Process(target=relay, args=(folder, number)) for number in range(HOPS)]
        for process in self._processes:
            process.start()
        self._context = zmq.Context()
        self._out = self._context.socket(zmq.PUSH)
        self._out.connect(f"ipc://{folder}/0")
        self._back = self._context.socket(zmq.PULL)
        self._back.bind(f"ipc://{folder}/{HOPS}")
        self.once()

    def once(self) -> float:
        """Milliseconds from our send to the end of the last one's commit."""
        sent_s = time.monotonic()
        self._out.send(b"x" * 200)
        return 1000 * (float(self._back.recv()) - sent_s)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        self._context.destroy(linger=0)


def relay(folder: Path, number: int) -> None:
    context = zmq.Context()
    take, give = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    take.bind(f"ipc://{folder}/{number}")
    give.connect(f"ipc://{folder}/{number + 1}")
    store = durable(folder / "floor.db") if number == HOPS - 1 else None
    parent = os.getppid()
    while True:
        while not take.poll(ORPHAN_LOOK_MS):
            if os.getppid() != parent:
                return  # the bench was killed
        message = take.recv()
        if store is not None:
            commit(store)
            message = repr(time.monotonic()).encode()
        give.send(message)


def durable(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE bare (a INTEGER, b TEXT)")
    return store


def commit(store: sqlite3.Connection) -> None:
    store.execute("BEGIN IMMEDIATE")
    store.execute("INSERT INTO bare VALUES (1, 'an intent has about as many bytes as this')")
    store.execute("COMMIT")


def commit_times(path: Path) -> list[float]:
    store = durable(path)
    taken = []
    for _ in range(200):
        began_s = time.monotonic()
        commit(store)
        taken.append(1000 * (time.monotonic() - began_s))
    return taken


def begin(stage: Stage, stand: Stand, strategy: str) -> None:
    code, class_name = find_code(strategy)
    session = Session(
        name=stand.name,
        strategy=strategy,
        class_name=class_name,
        code_sha256=code.sha256,
        account=stand.account,
        symbols=(stand.symbol,),
        connection="sim",
    )
    stage.client.call(AddSession(session=session, code=code))
    stage.client.call(StartSession(name=stand.name, code=code))


def until(condition: Any, what: str) -> None:
    until_s = time.monotonic() + READY_LIMIT_S
    while not condition():
        if time.monotonic() > until_s:
            raise SystemExit(f"bench desk: {what} within {READY_LIMIT_S:g} s")
        time.sleep(0.05)


# -- the simulated world -----------------------------------------------------------------------------------------------


def simulated() -> Iterator[Figure]:
    """At market rate 1, so with all the machine periods that a real day has."""
    market = load_market([SYMBOL])
    say(f"simulated: {DAYS} times one session over one regular {SYMBOL} day")
    days = [simulated_day(market) for _ in range(DAYS)]
    yield figure(BENCH, "simulated session-days an hour", [3600 / each for each in days], "1/h", digits=1)


def simulated_day(market: Any) -> float:
    """Seconds of this machine."""
    code, class_name = find_code("ema_cross")
    session = Session(
        name="day",
        strategy="ema_cross",
        class_name=class_name,
        code_sha256=code.sha256,
        account="SIM100001M",
        symbols=(SYMBOL,),
        connection="",
    )
    began_s = time.monotonic()
    built = machine(market, [(session, code)], origin_utc=DAY_BEGINS, rate=1.0)
    built.life(1).boot()
    built.kernel.run(START_S + DAY_ENDS - DAY_BEGINS)
    taken_s = time.monotonic() - began_s
    (turns,) = built.store(journal_path("day")).query("SELECT count(*) AS bars FROM turns WHERE closed_utc IS NOT NULL")
    wanted = int(DAY_ENDS - DAY_BEGINS) // MINUTE_S - 1
    if turns["bars"] < wanted:
        raise SystemExit(f"bench desk: the simulated day had {turns['bars']} bars, wanted {wanted}")
    return taken_s


if __name__ == "__main__":
    sys.exit(main())
