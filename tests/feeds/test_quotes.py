"""The feed of quotes: the newest as the venue tells it, one message a read, nothing kept."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.model import Quote
from feeds import paths, specs
from feeds.messages import QuoteSeen
from feeds.quotes import QuotesFeed
from tests.feeds.parts import CONFIG, TIMING, with_tokens
from tests.scripted_world import ScriptedWorld


def opened() -> ScriptedWorld:
    world = with_tokens(ScriptedWorld(paths.feed("sim", paths.quotes("SPY"))))
    world.start(QuotesFeed, specs.plain(specs.FeedArguments(CONFIG, TIMING, paths.quotes("SPY"))))
    world.advance(0.0)
    world.opened()
    return world


def line(**fields: str) -> bytes:
    return msgspec.json.encode({"Symbol": "SPY", **fields}) + b"\n"


def seen(world: ScriptedWorld) -> list[Quote]:
    assert all(isinstance(message, QuoteSeen) for message in world.published_on("quotes"))
    return [message.quote for message in world.published_on("quotes")]


def test_the_symbols_quotes_are_asked_for() -> None:
    assert opened().streams[-1].url.endswith("/marketdata/stream/quotes/SPY")


def test_what_changed_is_merged_and_one_read_is_one_message() -> None:
    world = opened()
    world.feed(line(Bid="167.01", Ask="167.02"))
    world.feed(line(Bid="167.03") + line(Ask="167.05") + line(Bid="167.04"))
    assert [(quote.bid, quote.ask) for quote in seen(world)] == [
        (Decimal("167.01"), Decimal("167.02")),
        (Decimal("167.04"), Decimal("167.05")),
    ]


def test_a_heartbeat_and_the_venues_word_about_the_symbol_are_no_quotes() -> None:
    world = opened()
    world.feed(b'{"Heartbeat": 1, "Timestamp": "2013-10-07T14:00:00Z"}\n')
    for _ in range(2):
        world.feed(line(Error="FAILED, EntitlementNeeded"))
    assert seen(world) == []
    assert world.log.text.count("FAILED, EntitlementNeeded") == 1


def test_another_stream_begins_with_all_of_a_quote_again() -> None:
    world = opened()
    world.feed(line(Bid="167.01", Ask="167.02"))
    server = world.server
    assert isinstance(server, QuotesFeed)
    server.opening()
    world.feed(line(Bid="168"))
    assert [(quote.bid, quote.ask) for quote in seen(world)][-1] == (Decimal(168), None)
