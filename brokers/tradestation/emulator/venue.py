"""One emulator alive: state, book and clock in one hand, and the queues of the open streams. EDGE.

Knows no HTTP. No answer and no frame leaves before its entries are in the book: kill -9 loses nothing anyone was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from brokers.tradestation.emulator.app import advance, app, drop_stream, next_due
from brokers.tradestation.emulator.book_file import BookFile
from brokers.tradestation.emulator.clock import ClockFile
from brokers.tradestation.emulator.errors import BookError
from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.state import Settings, new_state, rebuilt
from brokers.tradestation.emulator.values import Answer, Now, OpenStream, Request, StreamBytes

TURN_S_MIN = 0.002  # the pump never spins, however fast the market clock runs
TURN_S_MAX = 1.0  # and looks now and then: a wall clock may be set back
CHUNKS_WAITING_MAX = 10_000  # for a client that does not read; beyond, its connection is reset


class Venue:
    """State, book and clock in one hand, and the queues of the open streams."""

    def __init__(self, settings: Settings, market: Market, book_file: BookFile, clock_file: ClockFile) -> None:
        self._book = book_file
        self._clock_file = clock_file
        entries = book_file.read()
        self._state = rebuilt(settings, market, entries) if entries else new_state(settings, market, self._now())
        self._queues: dict[int, asyncio.Queue[bytes | None]] = {}
        self._broken: dict[int, str] = {}
        self._wake = asyncio.Event()
        self._failure: BookError | None = None
        self._commit()

    def answer(self, request: Request) -> Answer:
        self._check()
        answer = app(self._state, request, self._now())
        self._commit()
        if isinstance(answer, OpenStream):
            self._queues[answer.stream_id] = asyncio.Queue()
        self._wake.set()
        return answer

    async def pump(self) -> None:
        """Let market and machine time act on the open streams, for as long as the process lives."""
        while True:
            self._check()
            outputs = advance(self._state, self._now())
            self._commit()
            for output in outputs:
                if isinstance(output, StreamBytes):
                    self._put(output.stream_id, output.data)
                else:
                    self._end(output.stream_id, output.how)
            self._wake.clear()
            await asyncio.sleep(TURN_S_MIN)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._pause_s())

    def chunks(self, stream_id: int) -> AsyncIterator[bytes]:
        """To be asked for before anything else can end the stream; to be read whenever the client does."""
        return _drained(self._queues[stream_id])

    def broken(self, stream_id: int) -> str:
        """How its connection is to be broken off: reset or half; "" where its body simply ends."""
        return self._broken.get(stream_id, "")

    def forget(self, stream_id: int) -> None:
        """Its connection is over, whoever ended it."""
        self._queues.pop(stream_id, None)
        self._broken.pop(stream_id, None)
        drop_stream(self._state, stream_id)

    def end_all(self) -> None:
        for stream_id in list(self._queues):
            self._end(stream_id, "close")

    def _put(self, stream_id: int, data: bytes) -> None:
        queue = self._queues.get(stream_id)
        if queue is None:
            return
        if queue.qsize() < CHUNKS_WAITING_MAX:
            queue.put_nowait(data)
        else:
            self._end(stream_id, "reset")

    def _end(self, stream_id: int, how: str) -> None:
        queue = self._queues.pop(stream_id, None)
        if queue is None:
            return
        if how != "close":
            self._broken[stream_id] = how
        queue.put_nowait(None)

    def _now(self) -> Now:
        """Wall seconds as machine time: tokens and the market clock outlive this process."""
        wall_s = time.time()
        return Now(wall_s, self._clock_file.clock.market_utc(wall_s))

    def _pause_s(self) -> float:
        now = self._now()
        due = next_due(self._state, now)
        moments = [due.machine_s, self._clock_file.clock.wall_s(due.market_utc) if due.market_utc is not None else None]
        first_s = min((one for one in moments if one is not None), default=now.machine_s + TURN_S_MAX)
        return min(max(first_s - now.machine_s, 0.0), TURN_S_MAX)

    def _commit(self) -> None:
        """Entries to disk; then the clock file, where the market was stopped."""
        try:
            self._book.append(self._state.take_entries())
        except OSError as error:
            self._failure = BookError(
                f"{self._book.path}: could not be written ({error}); the emulator ends, since what it answered from "
                "now on would not be in its book. Make room and start it again."
            )
            self._wake.set()
            raise self._failure from error
        if self._state.ledger.stopped_at_utc is not None:
            self._clock_file.stop(self._state.ledger.stopped_at_utc)

    def _check(self) -> None:
        """After a failed write nothing may be answered: the pump's raising ends the process."""
        if self._failure is not None:
            raise self._failure


async def _drained(queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (chunk := await queue.get()) is not None:
        yield chunk
