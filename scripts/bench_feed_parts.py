"""The children of the feeds' bench, beside the real feed. A module of its own: a forked child has it already."""

import time
from typing import Any

from feeds.messages import BarsClosed, ReadToken, Token
from scripts.bench_stream import DAY, FLAGS, LAST_S, RECEIVED, SEEN, SEEN_MAX, WELCOMES, WRONG, recorded_day
from supervisor.messages import Message, Request, Subscribed
from supervisor.process.server import Caller, Server


class TokenGiver(Server):
    """In place of the connection: a feed asks it for its token."""

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        return Token("bench", 1e12) if isinstance(request, ReadToken) else super().handle_call(request, caller)


class Subscriber(Server):
    """In place of the data source: counts bars, and how long each took since its bytes were sent."""

    def init(self) -> None:
        feeds = self.arguments["feeds"]
        self.day = {bar.stamp_utc: bar for bar in recorded_day()} if feeds[0].endswith(f"/{DAY}/60") else {}
        self.due = list(self.day)
        for feed in feeds:
            self.world.subscribe(feed, "bars")

    def handle_info(self, message: Message) -> None:
        if isinstance(message, BarsClosed):
            self._count(message)
        elif isinstance(message, Subscribed):
            FLAGS[WELCOMES] += 1
        else:
            super().handle_info(message)

    def _count(self, message: BarsClosed) -> None:
        now_s = time.monotonic()
        at = int(FLAGS[RECEIVED])
        for number, bar in enumerate(message.bars):
            if at + number < SEEN_MAX:
                SEEN[at + number] = now_s - bar.volume / 1e9
            if self.day:
                same = self.day[bar.closed_utc]
                told = (bar.open, bar.high, bar.low, bar.close, bar.volume)
                right = (same.open, same.high, same.low, same.close, same.volume)
                FLAGS[WRONG] += told != right or bar.closed_utc != self.due.pop(0)
        FLAGS[LAST_S] = now_s
        FLAGS[RECEIVED] += len(message.bars)
