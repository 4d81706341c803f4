"""Names and child specs of a connection."""

from pkgutil import resolve_name

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds import paths
from feeds.paths import Feed, parse_feed
from feeds.specs import FeedArguments, books_spec, connection_spec, feed_spec
from supervisor.process.server import Server
from tests.feeds.parts import CONFIG, TIMING


def test_names_are_paths() -> None:
    assert paths.process("sim") == "connections/sim/connection"
    assert paths.books("sim", "SIM1") == "connections/sim/books/SIM1"
    assert paths.feed("sim", paths.bars("SPY", 60)) == "connections/sim/feeds/bars/SPY/60"
    assert paths.feed("sim", paths.orders("SIM1")) == "connections/sim/feeds/orders/SIM1"
    assert paths.feed("sim", paths.positions("SIM1")) == "connections/sim/feeds/positions/SIM1"


@given(st.text(min_size=1), st.integers(1, 10**6))
def test_a_feeds_name_tells_what_it_is(subject: str, interval_s: int) -> None:
    assert parse_feed(paths.bars(subject, interval_s)) == Feed("bars", subject, interval_s)
    assert parse_feed(paths.orders(subject)) == Feed("orders", subject)
    assert parse_feed(paths.positions(subject)) == Feed("positions", subject)


@pytest.mark.parametrize(
    "name", ["", "bars", "bars/SPY", "bars/SPY/x", "bars/SPY/0", "bars//60", "orders/", "quotes/", "ticks/X"]
)
def test_what_is_no_feed_is_told_in_words(name: str) -> None:
    with pytest.raises(ValueError, match="is no feed: bars/<symbol>/<seconds>"):
        parse_feed(name)


def test_a_connection_ends_with_its_connection_process_and_only_then() -> None:
    spec = connection_spec(CONFIG, TIMING)
    assert (spec.id, spec.type, spec.restart) == ("sim", "supervisor", "transient")
    assert spec.supervisor is not None
    assert spec.supervisor.auto_shutdown == "any_significant"
    assert spec.supervisor.strategy == "one_for_one"
    process, feeds = spec.children
    assert (process.id, process.restart, process.significant) == ("connection", "transient", True)
    assert feeds.supervisor is not None
    assert feeds.supervisor.dynamic
    assert not feeds.significant
    assert spec.supervisor.back_off is not None
    assert feeds.supervisor.back_off is not None


@pytest.mark.parametrize(
    "spec",
    [
        connection_spec(CONFIG, TIMING).children[0],
        feed_spec(CONFIG, TIMING, "bars/SPY/60"),
        feed_spec(CONFIG, TIMING, "orders/SIM1"),
        feed_spec(CONFIG, TIMING, "positions/SIM1"),
        books_spec(CONFIG, TIMING, "SIM1"),
    ],
    ids=lambda spec: spec.id,
)
def test_each_spec_starts_a_server_and_outlasts_its_longest_call(spec: msgspec.Struct) -> None:
    fields = msgspec.structs.asdict(spec)
    assert issubclass(resolve_name(fields["start"]), Server)
    assert fields["shutdown_s"] > 2 * TIMING.http_limit_s


def test_arguments_survive_the_way_through_a_spec() -> None:
    spec = feed_spec(CONFIG, TIMING, "bars/SPY/60")
    assert msgspec.convert(spec.arguments, FeedArguments) == FeedArguments(CONFIG, TIMING, "bars/SPY/60")
