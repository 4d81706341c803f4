"""The figures of orders: from a bar to its order, alone and with 50 sessions at once; intents a second.

    scripts/bench orders [latency|rate|sessions] [--json] [--sessions N]

From a bar to its order: from the moment at which a closed bar's bytes are written to the feed's socket to the first
byte of the order at the venue, over feed -> data source -> trader -> account manager: five hops, two of them sockets,
and one synced commit. Its floor is as much, bare, in the same run and with the same pauses.
"""

import argparse
import datetime
import itertools
import json
import multiprocessing
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import zmq

from scripts.bench_tools import Figure, figure, run, say
from scripts.bench_venue import ACCOUNT, MINUTE_S, PRICE, READ_BYTES, SYMBOL, BenchVenue
from supervisor.errors import CallFailed
from trader.demo.script import Stand
from trader.demo.stage import CONFIG, LOGIN, Stage
from trader.messages import Declared, ReadSessionStatus, SessionStatus, Turn
from trader.sessions import manager_name

BENCH = "orders"
ENTRIES = 250
WARM_UP = 10
"""Entries before these, not counted: the first reads of history, the first write of each table."""
BAR_EVERY_S = 0.12
"""Machine seconds between bars: one, its order, its fill and its stop are done within a tenth of it."""
BARS_TOGETHER_EVERY_S = 3.0
"""Of many sessions: two cores need a while for all of them."""
TOGETHER = 20
"""Bars of each of many sessions; every second one is an entry."""
ORDER_LIMIT_S = 2.0
READY_LIMIT_S = 30.0
MANY_READY_LIMIT_S = 180.0
RELAYS = 4
"""Feed, data source, trader, account manager: between bench and bench they make five hops, two of them sockets."""
TURNS = 500
ORPHAN_LOOK_MS = 1000
BEGINS = datetime.datetime(2013, 10, 8, 13, 30, tzinfo=datetime.UTC).timestamp()
HOURS = """
[market_hours]
calendars = {{ {symbols} }}
"""
"""The bench's market never closes."""
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

class Idle(Strategy):
    \"\"\"Does nothing: the bench declares in its place.\"\"\"
"""


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench orders", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    options.add_argument("--sessions", type=int, default=50, help="whose bars close together (default 50)")
    return run(measure, options)


def measure(chosen: argparse.Namespace) -> Iterator[Figure]:
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        sys.exit(f"bench orders: no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for name in chosen.parts or PARTS:
        yield from PARTS[name](chosen)


class BenchStage(Stage):
    """The demo's stage with our venue instead of the emulator, and a market clock of our own. Its desk keeps no quota:
    by the venue's own, 50 series of one key share 500 reads of bars in five minutes, and a third of them would still
    wait for their history when the bars begin."""

    def __init__(self, venue: BenchVenue, bar_every_s: float, symbols: tuple[str, ...] = (SYMBOL,)) -> None:
        super().__init__(None, rate=MINUTE_S / bar_every_s)
        self.url = venue.url
        (self.home / "emulator").mkdir()
        clock = {"origin_utc": BEGINS, "rate": self.rate, "anchor_wall_s": time.time()}
        (self.home / "emulator" / "clock.json").write_text(json.dumps(clock))
        hours = HOURS.format(symbols=", ".join(f'{symbol} = "24/7"' for symbol in symbols))
        (self.home / "nightdesk.toml").write_text(CONFIG.format(rate=self.rate, url=self.url) + hours)
        (self.home / "login.json").touch(mode=0o600)
        (self.home / "login.json").write_text(LOGIN)
        (self.home / "strategy.py").write_text(STRATEGY)
        self.began_s = time.monotonic()

    def begin(self, name: str, symbol: str, strategy: str) -> None:
        self.trade(Stand(name, symbol, ACCOUNT, f"{self.home}/strategy.py:{strategy}"))

    def market_utc(self) -> int:
        return int(BEGINS + (time.monotonic() - self.began_s) * self.rate)

    def agreed(self, name: str) -> bool:
        try:
            status: SessionStatus = self.client.call(ReadSessionStatus(), timeout_s=1.0, to=manager_name(name))
        except CallFailed:
            return False
        return bool(status.agreed_age_s) and not status.hindrances


# -- from bar to order -------------------------------------------------------------------------------------------------


def latency(_: argparse.Namespace) -> Iterator[Figure]:
    venue = BenchVenue()
    venue.close_bar(int(BEGINS))
    stage = BenchStage(venue, BAR_EVERY_S)
    floor = Floor(stage.home / "floor")
    try:
        stage.start_desk()
        stage.begin("bench", SYMBOL, "Alternating")
        until(lambda: stage.agreed("bench") and venue.listeners() > 0, "the session does not agree")
        say(f"latency: {ENTRIES} entries, a bar each {BAR_EVERY_S:g} s")
        taken, bare = entries(venue, floor, stage.market_utc)
        commits = commit_times(stage.home / "commit.db")
    finally:
        floor.close()
        stage.close()
        stage.remove()
    yield figure(BENCH, f"bar to order, {RELAYS + 1} hops", taken, "ms", bare)
    yield figure(BENCH, "one synced commit alone", commits, "ms")


def entries(venue: BenchVenue, floor: "Floor", market_utc: Callable[[], int]) -> tuple[list[float], list[float]]:
    """Milliseconds of each bar that an entry came of, and of the floor between them."""
    taken: list[float] = []
    bare: list[float] = []
    stamp = market_utc() // MINUTE_S * MINUTE_S
    misses = 0
    while len(taken) < WARM_UP + ENTRIES:
        stamp = max(stamp + MINUTE_S, market_utc() // MINUTE_S * MINUTE_S)
        entering = venue.position() == 0
        sent_s = venue.close_bar(stamp)
        if entering:
            came_s = venue.first_byte_s(ORDER_LIMIT_S)
            misses += came_s is None
            if came_s is not None:
                taken.append(1000 * (came_s - sent_s))
        if misses > ENTRIES // 5:
            raise SystemExit(f"bench orders: no order came of {misses} bars within {ORDER_LIMIT_S:g} s")
        time.sleep(BAR_EVERY_S / 2)
        bare.append(floor.once())
        time.sleep(BAR_EVERY_S / 2)
    if misses:
        say(f"latency: {misses} bars without an order (the position was just being confirmed)")
    return taken[WARM_UP:], bare[WARM_UP:]


def together(chosen: argparse.Namespace) -> Iterator[Figure]:
    """All sessions' bars close in the same moment; each its own symbol, all of one account."""
    symbols = tuple(f"{SYMBOL[0]}{one}{two}" for one, two in itertools.product("ABCDEFGH", repeat=2))[: chosen.sessions]
    venue = BenchVenue()
    for symbol in symbols:
        venue.close_bar(int(BEGINS), symbol)
    stage = BenchStage(venue, BARS_TOGETHER_EVERY_S, symbols)
    try:
        stage.start_desk()
        for symbol in symbols:
            stage.begin(symbol.lower(), symbol, "Alternating")
        say(f"sessions: {len(symbols)} come up")
        for symbol in symbols:
            ready = lambda s=symbol: stage.agreed(s.lower()) and venue.listeners(s) > 0  # noqa: E731
            until(ready, f"session {symbol.lower()} does not agree", MANY_READY_LIMIT_S)
        say(f"sessions: {TOGETHER} bars of each, one each {BARS_TOGETHER_EVERY_S:g} s")
        taken, misses = orders_together(venue, symbols, stage.market_utc)
    finally:
        stage.close()
        stage.remove()
    yield figure(BENCH, f"bar to order, {len(symbols)} sessions", taken, "ms")
    yield figure(BENCH, f"bar to order, {len(symbols)} sessions: without one", [float(misses)], "bars", digits=0)


def orders_together(
    venue: BenchVenue, symbols: tuple[str, ...], market_utc: Callable[[], int]
) -> tuple[list[float], int]:
    taken: list[float] = []
    misses, stamp = 0, 0
    for _ in range(TOGETHER):
        stamp = max(stamp + MINUTE_S, market_utc() // MINUTE_S * MINUTE_S)
        begin_s = time.monotonic()
        entering = [symbol for symbol in symbols if venue.position(symbol) == 0]
        sent_s = {symbol: venue.close_bar(stamp, symbol) for symbol in symbols}
        for symbol in entering:
            came_s = venue.first_byte_s(max(0.0, begin_s + ORDER_LIMIT_S - time.monotonic()), symbol)
            misses += came_s is None
            if came_s is not None:
                taken.append(1000 * (came_s - sent_s[symbol]))
        time.sleep(max(0.0, begin_s + BARS_TOGETHER_EVERY_S - time.monotonic()))
    return taken, misses


# -- one account manager ----------------------------------------------------------------------------------------------


def rate(_: argparse.Namespace) -> Iterator[Figure]:
    """Each turn moves the stop: an intent, its commit, a request to the venue, the commit of its outcome. The bench is
    the trader: it gives the next turn as soon as the last one is committed (one that comes while a replace is under way
    is joined to the next). Floor: two synced commits."""
    venue = BenchVenue()
    venue.close_bar(int(BEGINS))
    stage = BenchStage(venue, BAR_EVERY_S)
    try:
        stage.start_desk()
        stage.begin("bench", SYMBOL, "Idle")
        until(lambda: stage.agreed("bench") and venue.listeners("orders") > 0, "the session does not agree")
        stops = [Decimal(repr(PRICE)) - 1, Decimal(repr(PRICE)) - 2]
        word = declare(stage, 0, stops[0])
        until(lambda: protected(stage), "the position has no stop")
        say(f"rate: {TURNS} moves of the stop")
        begin_s = time.monotonic()
        for number in range(1, TURNS + 1):
            word = declare(stage, word, stops[number % 2])
        until(lambda: protected(stage), "the last stop does not work")
        taken_s = time.monotonic() - begin_s
        commits = commit_times(stage.home / "commit.db")
        moved = intents(stage.home / "sessions" / "bench.db")
    finally:
        stage.close()
        stage.remove()
    if moved < TURNS // 2:
        raise SystemExit(f"bench orders: {moved} intents came of {TURNS} turns")
    two_ms = 2 * sorted(commits)[len(commits) // 2]
    yield figure(BENCH, "intents a second, one account manager", [moved / taken_s], "1/s", [1000 / two_ms], 0)


def declare(stage: BenchStage, word: int, stop: Decimal) -> int:
    declared = Declared(symbol=SYMBOL, quantity=Decimal(1), stop=stop)
    told = Turn(1, b"", 0, word=word + 1, as_of_utc=float(stage.market_utc()), declarations=(declared,))
    stage.client.call(told, timeout_s=READY_LIMIT_S, to=manager_name("bench"))
    return word + 1


def protected(stage: BenchStage) -> bool:
    status: SessionStatus = stage.client.call(ReadSessionStatus(), timeout_s=READY_LIMIT_S, to=manager_name("bench"))
    return bool(status.positions[0].quantity and status.positions[0].stop) and not status.unsettled


def intents(journal: Path) -> int:
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as store:
        (count,) = store.execute("SELECT count(*) FROM intents WHERE kind = 'replace'").fetchone()
        return int(count)


# -- floors -----------------------------------------------------------------------------------------------------------


class Floor:
    """The desk's path bare: as many processes, joined as they are, of which each takes and passes on; the last commits.

    A socket in, ZeroMQ between them, a socket out.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        fork = multiprocessing.get_context("fork")
        listener = socket.create_server(("127.0.0.1", 0), backlog=RELAYS)
        address = listener.getsockname()
        self._processes = [fork.Process(target=relay, args=(folder, number, address)) for number in range(RELAYS)]
        for process in self._processes:
            process.start()
        ends = dict(hello(listener.accept()[0]) for _ in ("in", "out"))
        self._in, self._out = ends[0], ends[RELAYS - 1]
        self.once()

    def once(self) -> float:
        """Milliseconds from our send to what the last one sends after its commit."""
        sent_s = time.monotonic()
        self._in.sendall(b"x" * 200)
        self._out.recv(READ_BYTES)
        return 1000 * (time.monotonic() - sent_s)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()


def hello(peer: socket.socket) -> tuple[int, socket.socket]:
    """Which relay has connected."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer.recv(1)[0], peer


def relay(folder: Path, number: int, bench: tuple[str, int]) -> None:
    context, last = zmq.Context(), RELAYS - 1
    if number in (0, last):
        peer = socket.create_connection(bench)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(bytes([number]))
    if number > 0:
        take = context.socket(zmq.PULL)
        take.bind(f"ipc://{folder}/{number}")
    if number < last:
        give = context.socket(zmq.PUSH)
        give.connect(f"ipc://{folder}/{number + 1}")
    store = durable(folder / "floor.db") if number == last else None
    parent = os.getppid()
    while True:
        while number > 0 and not take.poll(ORPHAN_LOOK_MS):
            if os.getppid() != parent:
                return  # the bench was killed
        message = take.recv() if number > 0 else peer.recv(READ_BYTES)
        if not message:
            return  # the same, by its socket
        if store is not None:
            commit(store)
            peer.sendall(message)
        else:
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


def until(condition: Callable[[], Any], what: str, limit_s: float = READY_LIMIT_S) -> None:
    until_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until_s:
            raise SystemExit(f"bench orders: {what} within {limit_s:g} s")
        time.sleep(0.05)


PARTS = {"latency": latency, "rate": rate, "sessions": together}


if __name__ == "__main__":
    sys.exit(main())
