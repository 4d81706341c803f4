"""The feeds' figures: throughput and delay of the path read -> lines -> decode -> publish -> subscriber.

    scripts/bench feeds [throughput|delay|streams] [--json] [--rounds N]
    scripts/bench feeds day [--minutes N]     a recorded day of SPY, tick by tick at 60x; only when it is named

The feed is the real one, below a real supervisor, with one subscriber in a process of its own. Floors, over the same
bytes from the same venue in the same run: a bare ``requests`` stream with msgspec decoding each line; a blocking socket
read and one ZeroMQ hop, a process each. The feed's path needs three cores at once (venue, feed, subscriber) and the
floor two, so on two cores the wall clock compares them unfairly: "of CPU" compares the feed's processor time alone.
"""

import argparse
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import requests
import zmq

from feeds.config import ConnectionConfig, Timing
from feeds.specs import FeedArguments, plain
from scripts import bench_stream as stream
from scripts.bench_stream import FLAGS, FLOOR_SEEN, SEEN
from scripts.bench_supervisor import cpu_s, pss_mib
from scripts.bench_tools import Figure, figure, run, say
from supervisor import ChildSpec, Supervisor, SupervisorFlags

BENCH = "feeds"
ROUNDS = 5
LIMIT_S = 60.0
STREAMS = 100
PRELOAD = ("supervisor.process.real", "feeds.bars", "scripts.bench_feed_parts")
PLENTY = SupervisorFlags(intensity=1000, period_s=1.0)
READ_BYTES = 65536


class PlainLine(msgspec.Struct, rename="pascal"):
    """What the floor decodes a line into: the fields of a bar, prices as the exact numbers that whoever trades on them
    needs. Nothing is checked, nothing is made of them."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    time_stamp: str
    total_volume: str
    bar_status: str


class TextLine(msgspec.Struct, rename="pascal"):
    """The same, prices left as text: the least that msgspec can do with a line."""

    open: str
    high: str
    low: str
    close: str
    time_stamp: str
    total_volume: str
    bar_status: str


def measure(chosen: argparse.Namespace) -> Iterator[Figure]:
    if chosen.part == "day":
        yield from day(chosen)
        return
    for name in [chosen.part] if chosen.part else list(PARTS):
        say(name)
        yield from PARTS[name](chosen)


# -- throughput -------------------------------------------------------------------------------------------------------


def throughput(chosen: argparse.Namespace) -> Iterator[Figure]:
    """The first figure is the hard case: every line is a closed bar, so every line is published."""
    cases = (
        (stream.BURST, "parse and publish", stream.LINES, stream.LINES),
        (stream.SMALL, "parse and publish, a line a chunk", stream.LINES // 4, stream.LINES // 4),
        (stream.FORMING, "parse and publish, 19 of 20 lines forming", stream.LINES, stream.LINES // 20),
    )
    with stream.venue() as url:
        for symbol, name, lines, bars in cases:
            ours, floors, texts, cpu, floors_cpu = [], [], [], [], []
            with feeds(url, (symbol,)) as supervisor:
                for _ in range(chosen.rounds):
                    before_s = cpu_s(pid_of(supervisor, symbol))
                    ours.append(lines / one_burst(supervisor, bars))
                    cpu.append(lines / (cpu_s(pid_of(supervisor, symbol)) - before_s))
                    floors.append(lines / floor_burst(url, symbol, lines, PlainLine))
                    floors_cpu.append(lines / FLAGS[stream.FLOOR_CPU_S])
                    texts.append(lines / floor_burst(url, symbol, lines, TextLine))
                    if symbol == stream.BURST and len(ours) == chosen.rounds:
                        yield figure(BENCH, "feed PSS after bursts", [pss_of(supervisor, symbol)], "MiB", digits=1)
            yield figure(BENCH, name, ours, "lines/s", floors, digits=0)
            yield figure(BENCH, f"{name}; of CPU", cpu, "lines/CPU s", floors_cpu, digits=0)
            yield figure(BENCH, f"{name}; floor leaves text", ours, "lines/s", texts, digits=0)


def one_burst(supervisor: Supervisor, bars: int) -> float:
    """Seconds from the first byte sent to the last bar at the subscriber."""
    FLAGS[stream.RECEIVED] = 0.0
    FLAGS[stream.GO] += 1.0
    until(supervisor, lambda: FLAGS[stream.RECEIVED] >= bars, f"{bars} bars at the subscriber")
    return FLAGS[stream.LAST_S] - FLAGS[stream.STARTED_S]


def floor_burst(url: str, symbol: str, lines: int, shape: type[msgspec.Struct]) -> float:
    """In a process of its own, as the feed is; alone with the venue: the feed's stream is idle meanwhile."""
    FLAGS[stream.FLOOR_N] = FLAGS[stream.FLOOR_LAST_S] = 0.0
    process = multiprocessing.get_context("fork").Process(target=bare_loop, args=(f"{url}/{symbol}F", lines, shape))
    process.start()
    process.join(LIMIT_S)
    if FLAGS[stream.FLOOR_N] != lines:
        raise SystemExit(f"bench feeds: the floor has read {FLAGS[stream.FLOOR_N]:.0f} of {lines} lines")
    return FLAGS[stream.FLOOR_LAST_S] - FLAGS[stream.STARTED_S]


def bare_loop(url: str, lines: int, shape: type[msgspec.Struct]) -> None:
    decoder, rest, count = msgspec.json.Decoder(shape), b"", 0
    with requests.get(url, stream=True, timeout=LIMIT_S) as answer:
        before_s = time.process_time()
        for data in answer.iter_content(None):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                if b"Heartbeat" not in line[:12]:
                    decoder.decode(line)
                    count += 1
            if count >= lines:
                break
        FLAGS[stream.FLOOR_CPU_S] = time.process_time() - before_s
        FLAGS[stream.FLOOR_LAST_S] = time.monotonic()
        FLAGS[stream.FLOOR_N] = count


# -- delay ------------------------------------------------------------------------------------------------------------


def delay(chosen: argparse.Namespace) -> Iterator[Figure]:
    """Ticks go to the feed and to the floor in turn, half a pause apart."""
    with stream.venue() as url, tempfile.TemporaryDirectory() as folder, feeds(url, (stream.TICK,)) as supervisor:
        address = f"ipc://{folder}/hop"
        started = multiprocessing.get_context("fork").Process
        sink = started(target=floor_sink, args=(address,), daemon=True)
        relay = started(target=floor_relay, args=(url, address), daemon=True)
        sink.start()
        relay.start()
        FLAGS[stream.RECEIVED] = FLAGS[stream.FLOOR_N] = 0.0
        supervisor.work(1.0)
        FLAGS[stream.GO] += 1.0
        until(supervisor, lambda: min(FLAGS[stream.RECEIVED], FLAGS[stream.FLOOR_N]) >= stream.TICKS, "all ticks")
        sink.terminate()
        relay.terminate()
        ours = [1e6 * SEEN[i] for i in range(stream.TICKS)]
        yield figure(BENCH, "tick to subscriber", ours, "us", [1e6 * FLOOR_SEEN[i] for i in range(stream.TICKS)], 1)


def floor_relay(url: str, address: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    out = zmq.Context().socket(zmq.PUB)
    out.bind(address)
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(f"GET /{stream.FLOOR_TICK} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        while data := peer.recv(READ_BYTES):
            out.send(data)


def floor_sink(address: str) -> None:
    into = zmq.Context().socket(zmq.SUB)
    into.connect(address)
    into.set(zmq.SUBSCRIBE, b"")
    while True:
        data = into.recv()
        now_s = time.monotonic()
        for part in data.split(b'"TotalVolume":"')[1:]:  # two ticks may have come in one read
            FLOOR_SEEN[int(FLAGS[stream.FLOOR_N])] = now_s - int(part.partition(b'"')[0]) / 1e9
            FLAGS[stream.FLOOR_N] += 1.0


# -- many streams, a day, size ----------------------------------------------------------------------------------------


def streams(chosen: argparse.Namespace) -> Iterator[Figure]:
    """A bar a second each, spread over the second. Late is a bar that comes when the next is due, or a feed that has
    died, of silence or of its own missed beats."""
    symbols = tuple(f"{stream.SECOND}{number}" for number in range(STREAMS))
    bars = STREAMS * stream.SECONDS
    with stream.venue() as url, feeds(url, symbols) as supervisor:
        before = incarnations(supervisor)
        FLAGS[stream.RECEIVED] = 0.0
        FLAGS[stream.GO] += 1.0
        until(supervisor, lambda: FLAGS[stream.RECEIVED] >= bars, f"{bars} bars")
        took = [SEEN[i] for i in range(bars)]
        died = sum(incarnations(supervisor)[name] != first for name, first in before.items())
        late = [float(each > 1.0) for each in took]
        yield figure(BENCH, "100 streams", [sum(late) + died], "late")
        yield figure(BENCH, "100 streams, bar to subscriber", [1000 * each for each in took], "ms")
        sizes = [pss_of(supervisor, symbol) for symbol in symbols[:10]]
        yield figure(BENCH, "100 streams, feed PSS", sizes, "MiB", digits=1)


def incarnations(supervisor: Supervisor) -> dict[str, int]:
    return {name: node.incarnation for name, node in supervisor.runtime.tree.nodes.items() if "/bars/" in name}


def day(chosen: argparse.Namespace) -> Iterator[Figure]:
    FLAGS[stream.MINUTES] = chosen.minutes
    with stream.venue() as url, feeds(url, (stream.DAY,)) as supervisor:
        FLAGS[stream.RECEIVED] = FLAGS[stream.SENT] = FLAGS[stream.WRONG] = 0.0
        FLAGS[stream.GO] += 1.0
        limit_s = chosen.minutes + LIMIT_S
        until(supervisor, lambda: FLAGS[stream.RECEIVED] >= chosen.minutes, "the day", limit_s)
        yield figure(BENCH, "recorded day at 60x: ticks sent", [FLAGS[stream.SENT]], "1", digits=0)
        yield figure(BENCH, "recorded day at 60x: bars received", [FLAGS[stream.RECEIVED]], "1", digits=0)
        yield figure(BENCH, "recorded day at 60x: lost, doubled or wrong", [FLAGS[stream.WRONG]], "1", digits=0)


@contextmanager
def feeds(url: str, symbols: tuple[str, ...]) -> Iterator[Supervisor]:
    """A tree of feeds with their token giver and one subscriber, which has been welcomed by all."""
    config = ConnectionConfig("bench", url, url, "bench", "none.json")
    ends = [f"bars/{symbol}/60" for symbol in symbols]
    children = tuple(
        ChildSpec(id=end, start="feeds.bars:BarsFeed", arguments=plain(FeedArguments(config, Timing(), end)))
        for end in ends
    )
    names = [f"connections/bench/feeds/{end}" for end in ends]
    root = inner(
        "bench",
        inner(
            "connections",
            inner(
                "bench",
                ChildSpec(id="connection", start="scripts.bench_feed_parts:TokenGiver"),
                inner("feeds", *children),
            ),
        ),
        ChildSpec(id="subscriber", start="scripts.bench_feed_parts:Subscriber", arguments={"feeds": names}),
    )
    FLAGS[stream.WELCOMES] = 0.0
    with tempfile.TemporaryDirectory() as home, Supervisor(root, home, preload=PRELOAD) as supervisor:
        until(supervisor, lambda: FLAGS[stream.WELCOMES] >= len(names), "every feed's welcome")
        supervisor.work(1.0)  # the streams are open
        yield supervisor


def inner(id: str, *children: ChildSpec) -> ChildSpec:
    return ChildSpec(id=id, type="supervisor", supervisor=PLENTY, children=children)


def until(supervisor: Supervisor, done: Any, what: str, limit_s: float = LIMIT_S) -> None:
    if not supervisor.until(done, limit_s):
        state = f"{FLAGS[stream.RECEIVED]:.0f} bars, {FLAGS[stream.WELCOMES]:.0f} welcomes"
        raise SystemExit(f"bench feeds: not within {limit_s:g} s: {what} ({state})")


def pss_of(supervisor: Supervisor, symbol: str) -> float:
    return pss_mib(pid_of(supervisor, symbol))


def pid_of(supervisor: Supervisor, symbol: str) -> int:
    return supervisor.runtime.tree.nodes[f"connections/bench/feeds/bars/{symbol}/60"].pid


PARTS = {"throughput": throughput, "delay": delay, "streams": streams}


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench feeds", description="The feeds' figures.")
    options.add_argument("part", nargs="?", choices=[*PARTS, "day"])
    options.add_argument("--rounds", type=int, default=ROUNDS, help=f"bursts (default {ROUNDS})")
    options.add_argument("--minutes", type=int, default=stream.DAY_MINUTES, help="of the day (default all)")
    return run(measure, options)


if __name__ == "__main__":
    sys.exit(main())
