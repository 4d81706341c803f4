"""A venue that only streams bars, for measuring: a process of its own with plain sockets, driven over shared memory.

Each bar carries the monotonic nanosecond at which its bytes were given to the kernel as its volume, so whoever gets it
knows how long it took. What a stream sends is said by its symbol; it begins when ``GO`` is raised.
"""

import json
import mmap
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from brokers.tradestation.emulator.load import BUNDLED, SUFFIX, load_series, to_stderr
from brokers.tradestation.emulator.market import Bar as Minute

FIRST_UTC = 1_381_154_400
MINUTE_S = 60
READ_BYTES = 65536
BURST, SMALL, FORMING = "BURST", "SMALL", "FORMING"
LINES = 100_000
TICK, FLOOR_TICK, SECOND, DAY = "TICK", "TICKF", "S", "SPY"
TICKS = 1000
TICK_EVERY_S = 0.005
SECONDS = 30
SEEN_MAX = 200_000
DAY_TICKS = 250_601
"""Trades of SPY on 2013-10-07 in the recorded day. The project carries its minutes only (QuantConnect Lean, Apache-2.0,
beside the emulator's data); so many ticks are made of them, in proportion to volume, the same ones each time."""
DAY_BEGINS_UTC = 1_381_152_600
DAY_RATE = 60.0
DAY_MINUTES = 390

_map = mmap.mmap(-1, 8 * 64)
FLAGS = memoryview(_map).cast("d")
"""Shared by all processes of the bench."""
GO, STARTED_S, RECEIVED, LAST_S, SENT, WRONG, WELCOMES, FLOOR_N, FLOOR_LAST_S, MINUTES, FLOOR_CPU_S = range(11)
_seen = mmap.mmap(-1, 8 * SEEN_MAX)
SEEN = memoryview(_seen).cast("d")
"""Seconds that each bar took, in sequence of arrival."""
_floor = mmap.mmap(-1, 8 * SEEN_MAX)
FLOOR_SEEN = memoryview(_floor).cast("d")


def bar_line(closed_utc: int, volume: int, prices: tuple[str, ...], status: str = "Closed") -> bytes:
    """As the venue writes it, all fields."""
    opened, high, low, close = prices
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(closed_utc))
    shape = {
        "High": high, "Low": low, "Open": opened, "Close": close, "TimeStamp": stamp, "TotalVolume": str(volume),
        "DownTicks": 402, "DownVolume": 911, "OpenInterest": "0", "IsRealtime": True, "IsEndOfHistory": False,
        "TotalTicks": 801, "UnchangedTicks": 0, "UnchangedVolume": 0, "UpTicks": 399, "UpVolume": 923,
        "Epoch": closed_utc * 1000, "BarStatus": status,
    }  # fmt: skip
    return json.dumps(shape, separators=(",", ":")).encode() + b"\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def burst(lines: list[bytes], lines_a_chunk: int) -> bytes:
    starts = range(0, len(lines), lines_a_chunk)
    return b"".join(chunked(b"".join(lines[start : start + lines_a_chunk])) for start in starts)


def price_texts(index: int) -> tuple[str, str, str, str]:
    low = 165 + index % 7
    return f"{low}.25", f"{low + 1}.5", f"{low}", f"{low}.75"


@contextmanager
def venue() -> Iterator[str]:
    """Its address, while it runs."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


def serve(listener: socket.socket) -> None:
    closed = [bar_line(FIRST_UTC + MINUTE_S * i, 1834, price_texts(i)) for i in range(LINES)]
    # Of 20 lines 19 tell of the forming bar, as on a lively minute.
    lively = [
        bar_line(FIRST_UTC + MINUTE_S * (i // 20), 1834, price_texts(i), "Closed" if i % 20 == 19 else "Open")
        for i in range(LINES)
    ]
    bursts = {BURST: burst(closed, 150), SMALL: burst(closed[: LINES // 4], 1), FORMING: burst(lively, 150)}
    del closed, lively
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=answer, args=(peer, bursts), daemon=True).start()


def answer(peer: socket.socket, bursts: dict[str, bytes]) -> None:
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(READ_BYTES)
    symbol = head.split(b" ", 2)[1].partition(b"?")[0].rpartition(b"/")[2].decode()
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.sendall(chunked(b'{"Heartbeat":1}\n'))
    if symbol.removesuffix("F") in bursts and symbol not in bursts:
        FLAGS[STARTED_S] = time.monotonic()
        peer.sendall(bursts[symbol.removesuffix("F")])
        return
    send: Callable[[socket.socket], None]
    if symbol in bursts:
        data = bursts[symbol]
        send = lambda to: to.sendall(data)  # noqa: E731 - three ways of sending, one line each
    elif symbol == DAY:
        send = send_day
    elif symbol.startswith(TICK):
        send = lambda to: send_ticks(to, TICKS, TICK_EVERY_S, TICK_EVERY_S / 2 * (symbol == FLOOR_TICK))  # noqa: E731
    else:
        send = lambda to: send_ticks(to, SECONDS, 1.0, int(symbol[1:]) / 100)  # noqa: E731
    try:
        rounds = 0.0
        while True:
            rounds = wait_for_go(peer, rounds)
            FLAGS[STARTED_S] = time.monotonic()
            send(peer)
    except OSError:
        peer.close()  # who read has gone


def wait_for_go(peer: socket.socket, before: float) -> float:
    beat_s = time.monotonic() + 1.0
    while FLAGS[GO] == before or not FLAGS[GO]:
        time.sleep(0.002)
        if time.monotonic() > beat_s:
            beat_s += 1.0
            peer.sendall(chunked(b'{"Heartbeat":1}\n'))
    return FLAGS[GO]


def send_ticks(peer: socket.socket, count: int, every_s: float, offset_s: float) -> None:
    due_s = time.monotonic() + offset_s
    for index in range(count):
        time.sleep(max(0.0, due_s - time.monotonic()))
        due_s += every_s
        line = bar_line(FIRST_UTC + MINUTE_S * index, time.monotonic_ns(), price_texts(index))
        peer.sendall(chunked(line))


def recorded_day(minutes: int = DAY_MINUTES) -> tuple[Minute, ...]:
    """Its regular hours, from the beginning."""
    series = load_series(BUNDLED / f"{DAY}{SUFFIX}", to_stderr)
    return tuple(bar for bar in series.bars if bar.stamp_utc > DAY_BEGINS_UTC)[:minutes]


def send_day(peer: socket.socket) -> None:
    """Each tick shows the bar in the making once more, then the bar is closed; a minute takes a second."""
    bars = recorded_day()[: int(FLAGS[MINUTES])]
    volume = sum(bar.volume for bar in bars) or 1
    ticks = DAY_TICKS * len(bars) / DAY_MINUTES
    begin_s = time.monotonic()
    for number, bar in enumerate(bars):
        count = max(4, round(ticks * bar.volume / volume))
        path = (bar.open, bar.high, bar.low, bar.close)
        for tick in range(count):
            seen = path[: 1 + 4 * tick // count]
            prices = [f"{price:f}" for price in (seen[0], max(seen), min(seen), seen[-1])]
            line = bar_line(bar.stamp_utc, bar.volume * (tick + 1) // count, tuple(prices), "Open")
            time.sleep(max(0.0, begin_s + (number + tick / count) / (DAY_RATE / MINUTE_S) - time.monotonic()))
            peer.sendall(chunked(line))
        closed = tuple(f"{price:f}" for price in path)
        peer.sendall(chunked(bar_line(bar.stamp_utc, bar.volume, closed)))
        FLAGS[SENT] += count
