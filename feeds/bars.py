"""The feed of one symbol's bars: the venue's stream published as closed bars, and its history on request.

It does not know which bars were seen before: after each start the most recent ones come again, and the data source keys
them by stamp. It makes no bars. What it was told lately it remembers (``recent.py``): the venue counts reads of bars by
key, and a desk of many series starts all of them at once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from brokers.broker import BarItem, StreamItem, StreamRequest
from brokers.errors import BrokerError
from brokers.model import Bar
from feeds.messages import (
    OPENING_S,
    Bars,
    BarsClosed,
    Listing,
    ReadHistory,
    ReadListing,
    ReadRecent,
    ReadSigns,
    Signs,
)
from feeds.recent import Recent
from feeds.stream import StreamFeed
from feeds.venue import open_broker
from supervisor.errors import Refused
from supervisor.messages import Message, Request
from supervisor.process.server import Caller

BACK = 100
"""Closed bars asked for at opening: what most strategies warm up with, and what closed while we were away. They cost no
read of their own (some 40 KB); more is read from history."""

LISTING_READS = 2
"""Contract and entitlement are two reads, at leisure: together they may take no longer than one read of history, so
that the stream waits no longer for them, and whoever asks waits long enough."""


AHEAD_MAX_S = 86_400.0
"""Market seconds by which a bar may end later than now by our clock, which may be behind. What ends later is none: it
would be waited for without end, and the history up to it be read in hundreds of requests."""


class OpeningOver(Message, frozen=True):
    """Timer: what the stream's opening has not answered is asked of the venue's history."""


class BarsFeed(StreamFeed):
    """``connections/<name>/feeds/bars/<symbol>/<interval>``; publishes ``BarsClosed`` on "bars"."""

    forming_utc = 0
    """The end of the newest bar that the venue showed in the making: so a bar with this stamp is to come."""
    newest_utc = 0
    """Of the bars that the venue streamed to us: its history reaches there, whatever our own clock says."""
    told = 0
    """Closed bars, by the stream that is open."""
    all_told = False
    """Its opening, which may come in pieces: what the first ones end with is not the newest bar."""

    def init(self) -> None:
        super().init()
        self.recent = Recent(self.feed.interval_s)
        self.waiting: list[tuple[ReadHistory | ReadRecent, Caller]] = []
        self.opening_until_s = self.world.now_s() + OPENING_S
        hasty = msgspec.structs.replace(self.timing, http_limit_s=self.timing.http_limit_s / LISTING_READS)
        self.hasty = open_broker(self.world, self.config, hasty, self.tokens, self.meter)

    def request(self) -> StreamRequest:
        return self.broker.bars_stream(self.feed.subject, self.feed.interval_s, BACK)

    def opening(self) -> None:
        self.told, self.all_told = 0, False
        self.opening_until_s = self.world.now_s() + OPENING_S
        self.world.after(OPENING_S, OpeningOver())

    def item(self, line: bytes) -> StreamItem | None:
        return self.broker.bars_item(self.feed.subject, self.feed.interval_s, line)

    def understood(self, lines: bytes, received_s: float) -> bool:
        read = self.broker.bars_read(self.feed.subject, self.feed.interval_s, lines)
        if read is None:
            return False
        self._tell(read.closed, read.forming_utc, received_s)
        return True

    def publish(self, items: list[StreamItem], received_s: float) -> None:
        bars = [item for item in items if isinstance(item, BarItem)]
        forming = [item.bar.closed_utc for item in bars if not item.closed]
        self._tell(tuple([item.bar for item in bars if item.closed]), forming[-1] if forming else 0, received_s)

    def _tell(self, bars: tuple[Bar, ...], forming_utc: int, received_s: float) -> None:
        """History comes first on a stream: a forming bar ends it, as its last bar does."""
        newest_utc, until_utc = max([bar.closed_utc for bar in bars], default=0), self.world.now_utc() + AHEAD_MAX_S
        if max(newest_utc, forming_utc) > until_utc:
            newest_utc = max(newest_utc, forming_utc)
            self.world.log.error("a bar that ends more than a day from now is left out", closed_utc=newest_utc)
            bars = tuple([bar for bar in bars if bar.closed_utc <= until_utc])
            forming_utc = forming_utc if forming_utc <= until_utc else 0
            newest_utc = max([bar.closed_utc for bar in bars], default=0)
        self.forming_utc = forming_utc or self.forming_utc
        if bars:
            self.newest_utc = max(self.newest_utc, newest_utc)
            self.told += len(bars)
            self.world.publish("bars", BarsClosed(bars, received_s))
            self.recent.told(bars)
        self.all_told = self.all_told or forming_utc > 0 or self.told >= BACK
        if self.waiting:
            self._answer_waiting()

    def handle_info(self, message: Message) -> None:
        if isinstance(message, OpeningOver):
            self._answer_waiting()
        else:
            super().handle_info(message)

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, ReadHistory | ReadRecent):
            return self._bars(request, caller)
        if isinstance(request, ReadSigns):
            return Signs(self.heard_s, self.forming_utc, self.newest_utc)
        if isinstance(request, ReadListing):
            return self._listing()
        return super().handle_call(request, caller)

    def _listing(self) -> Listing:
        """Asked of the venue each time: a continuous symbol rolls, an entitlement comes and goes."""
        symbol = self.feed.subject
        try:
            contract = self.hasty.instrument(symbol).symbol if symbol.startswith("@") else symbol
            return Listing(contract, self.hasty.delayed(symbol))
        except BrokerError as error:
            raise Refused(f"what {self.feed.subject} is was not read: {error}") from error

    # -- history ---------------------------------------------------------------------------------------------

    def _bars(self, request: ReadHistory | ReadRecent, caller: Caller) -> Bars | None:
        """While the stream's first bars are awaited, so is an answer that they may give."""
        if (known := self._known(request)) is not None:
            return known
        if not self.all_told and self.world.now_s() < self.opening_until_s:
            self.waiting.append((request, caller))
            return None
        return self._read(request)

    def _answer_waiting(self) -> None:
        waiting, self.waiting = self.waiting, []
        for request, caller in waiting:
            if self.world.now_s() >= caller.deadline_s:
                continue
            try:
                bars = self._bars(request, caller)
            except Refused as refused:
                self.refuse(caller, str(refused))
            else:
                if bars is not None:
                    self.reply(caller, bars)

    def _known(self, request: ReadHistory | ReadRecent) -> Bars | None:
        """Only while a stream tells what is new: else what is remembered grows old, and nobody would notice."""
        if not self.stream or not self.all_told:
            return None
        if isinstance(request, ReadRecent):
            return self.recent.last(request.count)
        return self.recent.since(request.after_utc, request.until_utc, self.world.now_s(), self.world.now_utc())

    def _read(self, request: ReadHistory | ReadRecent) -> Bars:
        """Complete up to the newest bar; without one, up to a moment that the venue had time to write up."""
        symbol, interval_s, now_utc = self.feed.subject, self.feed.interval_s, self.world.now_utc()
        sure_utc = int(now_utc - self.timing.late_machine_s * self.world.market_rate())
        try:
            if isinstance(request, ReadRecent):
                bars = self.broker.recent_bars(symbol, interval_s, request.count)
            else:
                until_utc = max(int(now_utc), self.newest_utc)
                bars = self.broker.bars_since(symbol, interval_s, request.after_utc, until_utc)
        except BrokerError as error:
            raise Refused(f"the history of {symbol} was not read: {error}") from error
        told = Bars(bars, complete_until_utc=max(sure_utc, bars[-1].closed_utc if bars else sure_utc))
        if isinstance(request, ReadHistory):
            self.recent.read(request.after_utc, told, self.world.now_s())
        elif bars:
            self.recent.read(bars[0].closed_utc - interval_s, told, self.world.now_s())
        return told
