"""A data source and market hours: of a closed market nothing is missing, nothing is asked, nothing is stale."""

from __future__ import annotations

from typing import Any

from feeds.messages import ReadHistory, ReadSigns
from supervisor.errors import NoPeer
from tests.trader.test_data_source import FEED, Source, T
from trader.desk.commands import WriteMarketHours
from trader.hours.book import LOOK_EVERY_S
from trader.store.desk import DESK_DB
from trader.store.hours import write_hours

MINUTE_S = 60


class Hours(Source):
    """``days`` are minutes after T, of a market that is known for a week around."""

    def __init__(self, *days: tuple[int, int]) -> None:
        super().__init__()
        store: Any = self.world.store(DESK_DB, schema="trader.store.desk:migrations")
        request = WriteMarketHours(
            calendar="XNYS",
            opens_utc=tuple(T + MINUTE_S * opens for opens, _ in days),
            closes_utc=tuple(T + MINUTE_S * closes for _, closes in days),
            from_utc=T - 500_000,
            until_utc=T + 500_000,
            source="test",
        )
        write_hours(store, request, self.world.now_utc())
        self.welcome()
        self.world.advance(LOOK_EVERY_S)

    def go_to(self, minute: float) -> None:
        self.world.advance(T + MINUTE_S * minute - self.world.now_utc())


def test_of_a_night_no_history_is_read_and_the_open_is_not_missed() -> None:
    source = Hours((-60, 3), (600, 900))
    for minute in (1, 2, 3):
        source.go_to(minute)
        source.close(minute)
    before = source.reads
    source.go_to(600)
    assert source.reads == before
    source.go_to(601)
    source.close(601)
    assert source.reads == before, "what lies between is a closed market"
    assert source.given == [1, 2, 3, 601]


def test_the_last_bar_before_the_close_is_asked_for_and_the_first_after_the_open_too() -> None:
    source = Hours((-60, 3), (600, 900))
    for minute in (1, 2):
        source.go_to(minute)
        source.close(minute)
    source.go_to(3)
    source.close(3, told=False)
    source.go_to(3.5)
    assert source.given == [1, 2, 3]
    source.go_to(601)
    source.close(601, told=False)
    source.go_to(601.5)
    assert source.given == [1, 2, 3, 601]


def test_a_hole_in_trading_outside_the_hours_is_a_hole_all_the_same() -> None:
    """Stocks trade before and after; bars of that time come once, in order, too."""
    source = Hours((-60, 3), (600, 900))
    for minute in (1, 2, 3):
        source.go_to(minute)
        source.close(minute)
    source.go_to(101)
    source.close(100, told=False)
    source.close(101)
    assert source.given == [1, 2, 3, 100, 101]
    source.close(550, told=False)
    source.go_to(601)
    source.close(601)
    assert source.given == [1, 2, 3, 100, 101, 550, 601]


def test_without_trades_in_market_hours_history_is_asked_as_ever() -> None:
    source = Hours((-60, 900))
    source.go_to(30)
    assert source.reads > 3
    assert source.asked(ReadSigns) > 0


def test_doubt_while_the_market_is_closed_is_not_stale_before_it_opens() -> None:
    source = Hours((-60, 3), (600, 900))
    source.go_to(4)
    source.world.answer(FEED, ReadHistory, NoPeer("maintenance"))
    source.welcome(incarnation=2)
    source.go_to(599)
    assert source.world.event_kinds() == []
    source.go_to(603)
    assert source.world.event_kinds() == ["data.stale"]
    source.world.answer(FEED, ReadHistory, source.history)
    source.go_to(604)
    assert source.world.event_kinds() == ["data.stale", "data.fresh"]
