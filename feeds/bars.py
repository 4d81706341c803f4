"""The feed of one symbol's bars: the venue's stream published as closed bars, and its history on request.

It does not know which bars were seen before: after each start the two most recent ones come again, and the data
source keys them by stamp. It makes no bars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from brokers.broker import BarItem, StreamItem, StreamRequest
from brokers.errors import BrokerError
from brokers.model import Bar
from feeds.messages import (
    Bars,
    BarsClosed,
    Listing,
    ReadHistory,
    ReadListing,
    ReadRecent,
    ReadSigns,
    Signs,
)
from feeds.stream import StreamFeed
from feeds.venue import open_broker
from supervisor.errors import Refused
from supervisor.messages import Message, Request
from supervisor.process.server import Caller

BACK = 2
"""Closed bars asked for at opening: the one that closed while we were away and the one before it; a longer hole is
filled from history by the data source."""


LISTING_READS = 2
"""Contract and entitlement are two reads, at leisure: together they may take no longer than one read of history, so
that the stream waits no longer for them, and whoever asks waits long enough."""


class BarsFeed(StreamFeed):
    """``connections/<name>/feeds/bars/<symbol>/<interval>``; publishes ``BarsClosed`` on "bars"."""

    forming_utc = 0
    """The end of the newest bar that the venue showed in the making: so a bar with this stamp is to come."""
    newest_utc = 0
    """Of the bars that the venue streamed to us: its history reaches there, whatever our own clock says."""

    def init(self) -> None:
        super().init()
        hasty = msgspec.structs.replace(self.timing, http_limit_s=self.timing.http_limit_s / LISTING_READS)
        self.hasty = open_broker(self.world, self.config, hasty, self.tokens, self.meter)

    def request(self) -> StreamRequest:
        return self.broker.bars_stream(self.feed.subject, self.feed.interval_s, BACK)

    def item(self, line: bytes) -> StreamItem | None:
        return self.broker.bars_item(self.feed.subject, self.feed.interval_s, line)

    def understood(self, lines: bytes, received_s: float) -> bool:
        read = self.broker.bars_read(self.feed.subject, self.feed.interval_s, lines)
        if read is None:
            return False
        self.forming_utc = read.forming_utc or self.forming_utc
        self._tell(read.closed, received_s)
        return True

    def publish(self, items: list[StreamItem], received_s: float) -> None:
        bars = [item for item in items if isinstance(item, BarItem)]
        for item in bars:
            self.forming_utc = self.forming_utc if item.closed else item.bar.closed_utc
        self._tell(tuple([item.bar for item in bars if item.closed]), received_s)

    def _tell(self, bars: tuple[Bar, ...], received_s: float) -> None:
        if bars:
            self.newest_utc = max(self.newest_utc, max([bar.closed_utc for bar in bars]))
            self.world.publish("bars", BarsClosed(bars, received_s))

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, ReadHistory):
            return self._history(request.after_utc)
        if isinstance(request, ReadRecent):
            return self._read(lambda symbol, interval_s: self.broker.recent_bars(symbol, interval_s, request.count))
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

    def _history(self, after_utc: int) -> Bars:
        until_utc = max(int(self.world.now_utc()), self.newest_utc)
        return self._read(lambda symbol, interval_s: self.broker.bars_since(symbol, interval_s, after_utc, until_utc))

    def _read(self, read: Callable[[str, int], tuple[Bar, ...]]) -> Bars:
        """Complete up to the newest bar; without one, up to a moment that the venue had time to write up."""
        sure_utc = int(self.world.now_utc() - self.timing.late_machine_s * self.world.market_rate())
        try:
            bars = read(self.feed.subject, self.feed.interval_s)
        except BrokerError as error:
            raise Refused(f"the history of {self.feed.subject} was not read: {error}") from error
        newest_utc = bars[-1].closed_utc if bars else sure_utc
        return Bars(bars, complete_until_utc=max(sure_utc, newest_utc))
