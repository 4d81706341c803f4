"""The feed of one symbol's quotes: the newest quote as the venue tells it, one message a read at most.

There only while a strategy has subscribed to it. Quotes are best effort: what changed between two reads is not kept,
and nothing asks for what was missed.
"""

from __future__ import annotations

from brokers.broker import QuoteItem, StreamItem, StreamRequest
from brokers.model import Quote
from feeds.messages import QuoteSeen
from feeds.stream import StreamFeed


class QuotesFeed(StreamFeed):
    """``connections/<name>/feeds/quotes/<symbol>``; publishes ``QuoteSeen`` on "quotes"."""

    quote: Quote | None = None
    """All that this stream has told so far, merged."""
    changed = False
    """Since it was published last."""
    complaint = ""

    def request(self) -> StreamRequest:
        return self.broker.quotes_stream([self.feed.subject])

    def opening(self) -> None:
        self.quote = None

    def item(self, line: bytes) -> StreamItem | None:
        told = self.broker.quotes_item(line)
        if not isinstance(told, QuoteItem):
            return told
        if told.quote is not None:
            self.quote = told.quote if self.quote is None else self.quote.merged(told.quote)
            self.changed = True
        elif told.error != self.complaint:
            self.complaint = told.error
            self.world.log.warning("the venue has no quotes of it", symbol=told.symbol, why=told.error)
        return None

    def publish(self, items: list[StreamItem], received_s: float) -> None:
        if self.changed and self.quote is not None:
            self.changed = False
            self.world.publish("quotes", QuoteSeen(self.quote, received_s))
