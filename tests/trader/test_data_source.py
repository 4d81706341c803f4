"""The data source: each closed bar once, in order; holes and doubts are read from history before anything later."""

from decimal import Decimal

import msgspec
import pytest

from brokers.model import Bar
from feeds.messages import Bars, BarsClosed, Listing, ReadHistory, ReadListing, ReadRecent, ReadSigns, Signs
from supervisor.errors import NoPeer, Refused
from supervisor.messages import Message, Subscribed
from tests.trader.session_world import ARGUMENTS, OPENED_UTC, SOURCE, SYMBOL, SessionWorld
from trader.data.data_source import DataSource
from trader.data.listing import contracts_in, contracts_path
from trader.messages import BarsAfter, CleanBars, DataAge, Need, NeedBars

FEED = f"connections/sim/feeds/bars/{SYMBOL}/60"
T = OPENED_UTC
CONTRACTS = contracts_path(ARGUMENTS["session"])


def bar(minute: int) -> Bar:
    one = Decimal(1)
    return Bar(SYMBOL, 60, T + 60 * minute, one, one, one, one, 1)


class Source:
    """A data source over a venue whose history is ``closed``: minutes after T, T itself included."""

    def __init__(
        self, *, warm_up: int = 0, after: int | None = None, minutes: int = 0, files: dict[str, bytes] | None = None
    ) -> None:
        self.world = SessionWorld(SOURCE)
        self.world.files.update(files or {})
        self.closed = [bar(minute) for minute in range(-5, minutes + 1)]
        self.world.answer(FEED, ReadHistory, self.history)
        self.world.answer(FEED, ReadRecent, lambda request: self.bars(self.closed[-request.count :]))
        self.source = self.world.start(DataSource, ARGUMENTS)
        after_utc = None if after is None else T + 60 * after
        self.world.ask(NeedBars((Need(SYMBOL, 60, warm_up, after_utc),)))

    def history(self, request: ReadHistory) -> Bars:
        return self.bars([b for b in self.closed if b.closed_utc > request.after_utc])

    def bars(self, bars: list[Bar]) -> Bars:
        return Bars(tuple(bars), self.closed[-1].closed_utc)

    def welcome(self, incarnation: int = 1) -> None:
        self.world.deliver(Subscribed(FEED, "bars", incarnation))

    def close(self, *minutes: int, told: bool = True) -> None:
        """Bars close at the venue; ``told`` False: the stream loses them."""
        self.closed += [bar(minute) for minute in minutes]
        if told:
            self.world.deliver(BarsClosed(tuple(bar(minute) for minute in minutes), self.world.now_s()))

    def asked(self, kind: type[Message]) -> int:
        return sum(isinstance(request, kind) for _, request in self.world.calls)

    @property
    def reads(self) -> int:
        return self.asked(ReadHistory)

    @property
    def given(self) -> list[int]:
        """Minutes of the bars passed on."""
        messages = [m for m in self.world.published_on("bars") if isinstance(m, CleanBars) and not m.warm_up]
        return [(c.bar.closed_utc - T) // 60 for m in messages for c in m.bars]

    @property
    def late(self) -> list[bool]:
        return [c.late for m in self.world.published_on("bars") if not m.warm_up for c in m.bars]


def test_a_fresh_start_begins_with_the_next_bar_to_close() -> None:
    source = Source()
    source.welcome()
    assert source.given == []
    source.world.advance(60)
    source.close(1)
    assert (source.given, source.late) == ([1], [False])


def test_warm_up_bars_are_given_apart() -> None:
    source = Source(warm_up=3)
    source.welcome()
    (warm,) = source.world.published_on("bars")
    assert warm.warm_up
    assert [c.bar.closed_utc for c in warm.bars] == [T - 120, T - 60, T]


@pytest.mark.parametrize(("warm_up", "after"), [(3, None), (0, None), (3, -2), (0, -2)])
def test_a_start_is_one_question(warm_up: int, after: int | None) -> None:
    """The bars before the first and those since are one read, also over a restart."""
    source = Source(warm_up=warm_up, after=after)
    source.welcome()
    source.world.advance(3)
    assert source.asked(ReadRecent) + source.reads == 1
    assert source.given == ([] if after is None else [-1, 0])


def test_a_read_that_does_not_go_back_to_the_cursor_is_followed_by_one_that_does() -> None:
    """Bars are counted, and of a clock that was wrong the count is too small."""
    source = Source(after=-4)
    source.world.answer(FEED, ReadRecent, lambda _: source.bars(source.closed[-1:]))
    source.world.ask(NeedBars((Need(SYMBOL, 60, 1, T - 240),)), incarnation=2)
    source.welcome()
    assert (source.asked(ReadRecent), source.reads) == (1, 1)
    assert source.given == [-3, -2, -1, 0]


def test_history_is_asked_as_far_as_it_must_be_known() -> None:
    source = Source()
    source.welcome()
    source.close(1, 2, told=False)
    source.close(3)
    asked = [request for _, request in source.world.calls if isinstance(request, ReadHistory)]
    assert asked[-1] == ReadHistory(T, T + 120)


def test_after_a_restart_it_goes_on_from_the_cursor_and_marks_what_came_late() -> None:
    source = Source(after=-2)
    source.world.advance(5)
    source.welcome()
    assert source.given == [-1, 0]
    assert source.late == [True, False]


def test_a_hole_in_the_stream_is_filled_from_history_first() -> None:
    source = Source()
    source.welcome()
    source.world.advance(180)
    source.close(1, 2, told=False)
    source.close(3)
    assert source.given == [1, 2, 3]


def test_a_reconnect_repeats_bars_and_loses_some_and_nothing_is_doubled_or_missing() -> None:
    source = Source()
    source.welcome()
    source.close(1)
    source.close(2, 3, told=False)
    source.welcome(incarnation=2)
    source.world.deliver(BarsClosed((bar(2), bar(3)), 0.0))
    assert source.given == [1, 2, 3]


def test_while_history_cannot_be_read_nothing_later_is_passed_on_and_it_is_tried_again() -> None:
    source = Source()
    source.welcome()
    source.world.answer(FEED, ReadHistory, NoPeer("gone"))
    source.close(1, told=False)
    source.close(2)
    assert source.given == []
    source.world.answer(FEED, ReadHistory, source.history)
    source.world.advance(3)
    assert source.given == [1, 2]


def test_failed_reads_are_tried_again_with_growing_pauses() -> None:
    source = Source()
    source.world.answer(FEED, ReadRecent, Refused("HTTP 503"))
    source.welcome()
    source.world.advance(120)
    tries = [request for _, request in source.world.calls if isinstance(request, ReadRecent)]
    assert 5 <= len(tries) <= 12


def test_the_last_bar_is_not_lost_when_its_frame_was() -> None:
    source = Source()
    source.welcome()
    source.world.advance(60)
    source.close(1, told=False)
    source.world.advance(15)
    assert (source.given, source.late) == ([1], [True])


def test_a_quiet_minute_is_asked_for_once_and_nothing_is_invented() -> None:
    source = Source()
    source.welcome()
    source.world.answer(FEED, ReadHistory, lambda _: Bars((), int(source.world.now_utc())))
    before = source.reads
    source.world.advance(75)
    assert source.given == []
    assert source.reads - before == 1


def test_a_market_without_bars_is_asked_for_ever_more_seldom() -> None:
    """A night of eight hours: it was a read each 66 s, 436 in all."""
    source = Source()
    source.welcome()
    source.world.answer(FEED, ReadHistory, lambda _: Bars((), int(source.world.now_utc())))
    before = source.reads
    source.world.advance(8 * 3600)
    assert 30 <= source.reads - before <= 36
    source.world.answer(FEED, ReadHistory, source.history)
    minute = (int(source.world.now_utc()) - T) // 60 + 1
    source.world.advance(60)
    source.close(minute)
    assert source.given == [minute], "the first bar of the morning is there with its frame"


def test_by_night_a_bar_that_was_seen_forming_is_asked_for_at_once_when_its_close_is_lost() -> None:
    source = Source()
    source.welcome()
    source.world.advance(4 * 3600)
    minute = (int(source.world.now_utc()) - T) // 60 + 1
    source.world.answer(FEED, ReadSigns, Signs(source.world.now_s(), T + 60 * minute, 0))
    source.close(minute, told=False)
    source.world.advance(60 + 66 + 60)
    assert source.given == [minute]


def test_a_bar_that_only_history_has_is_told() -> None:
    source = Source()
    source.welcome()
    source.world.advance(120)
    source.close(1, told=False)
    source.close(2)
    assert source.given == [1, 2]
    (told,) = source.world.events
    assert told.kind == "bar.filled"
    assert "SPY 60 s 2013-10-07T14:01:00Z" in told.text, "the moment in words, not in seconds since 1970"


def test_a_correction_and_a_bar_that_came_too_late_are_told_once_and_not_passed_on() -> None:
    source = Source()
    source.welcome()
    source.world.answer(FEED, ReadHistory, lambda _: Bars((), T + 120))
    source.world.advance(180)
    source.close(1)
    source.close(3)
    corrected = msgspec.structs.replace(bar(1), close=Decimal(2))
    for _ in range(3):
        source.world.deliver(BarsClosed((corrected, bar(2), bar(3)), 0.0))
    assert source.given == [1, 3]
    assert [event.kind for event in source.world.events] == ["bar.corrected", "bar.too_late"]


def test_freshness_is_told_by_symbol_and_only_after_a_while() -> None:
    source = Source()
    source.world.ask(NeedBars((Need("QQQ", 60),)))
    other = "connections/sim/feeds/bars/QQQ/60"
    source.world.answer(other, ReadRecent, lambda _: Bars((), int(source.world.now_utc())))
    source.world.answer(other, ReadHistory, lambda _: Bars((), int(source.world.now_utc())))
    source.welcome()
    source.world.answer(FEED, ReadHistory, Refused("503"))
    source.welcome(incarnation=2)
    source.world.advance(80)
    assert source.world.events == []
    source.world.advance(20)
    assert [(event.kind, event.incident_state) for event in source.world.events] == [("data.stale", "opened")]
    (told,) = [message for message in source.world.published_on("bars") if isinstance(message, DataAge)]
    assert (told.symbol, told.interval_s) == ("SPY", 60)
    assert 90.0 < told.age_s < 100.0
    assert "SPY" in source.world.events[0].text
    source.world.answer(FEED, ReadHistory, source.history)
    source.world.advance(40)
    assert [event.kind for event in source.world.events][1:] == ["data.fresh"]
    assert source.world.published_on("bars")[-1] == DataAge("SPY", 60, 0.0)


def test_delayed_prices_are_refused_for_trading_each_bar_of_them_is_late() -> None:
    source = Source()
    source.welcome()
    source.world.answer(FEED, ReadListing, Listing(SYMBOL, delayed=True))
    source.world.advance(2)
    source.close(1)
    assert (source.given, source.late) == ([1], [True])
    assert [(event.kind, event.level) for event in source.world.events] == [("data.delayed", "NOTIFY")]
    source.world.answer(FEED, ReadListing, Listing(SYMBOL, delayed=False))
    source.world.advance(901)
    assert [event.kind for event in source.world.events if event.kind[:5] == "data."] == [
        "data.delayed",
        "data.realtime",
    ]
    told = source.world.ask(BarsAfter(SYMBOL, 60, T))
    assert [c.bar.closed_utc for c in told.bars] == [T + 60]


def test_the_roll_of_a_continuous_symbol_is_announced() -> None:
    source = Source()
    source.welcome()
    for contract in ("ESZ13", "ESZ13", "ESH14"):
        source.world.answer(FEED, ReadListing, Listing(contract, delayed=False))
        source.world.advance(901)
    (event,) = [event for event in source.world.events if event.kind == "data.rolled"]
    assert "from ESZ13 to ESH14" in event.text


def test_a_venue_that_does_not_say_what_a_symbol_is_stops_no_bar_and_is_asked_again() -> None:
    source = Source()
    source.welcome()
    source.world.answer(FEED, ReadListing, Refused("no quote yet"))
    source.world.advance(200)
    assert 3 <= source.asked(ReadListing) <= 4
    source.close(1, 2, 3, 4)
    assert source.given == [1, 2, 3, 4]


def test_bars_after_come_from_the_ring_or_from_history() -> None:
    source = Source(after=-2)
    source.welcome()
    told = source.world.ask(BarsAfter(SYMBOL, 60, T - 60))
    assert [c.bar.closed_utc for c in told.bars] == [T]
    told = source.world.ask(BarsAfter(SYMBOL, 60, T - 240))
    assert [c.bar.closed_utc for c in told.bars] == [T - 180, T - 120, T - 60, T]
    with pytest.raises(Refused):
        source.world.ask(BarsAfter("QQQ", 60, T))


def test_a_market_clock_that_steps_back_loses_no_bar_and_makes_none_late() -> None:
    source = Source(after=0)
    source.welcome()
    source.world.advance(60.0)
    source.close(1)
    source.world._now_utc -= 7200
    for minute in (2, 3, 4):
        source.world.advance(60.0)
        source.close(minute, told=minute != 3)
    source.world.advance(2.0)
    assert source.given == [1, 2, 3, 4]
    assert source.late == [False] * 4


def test_machine_periods_go_on_when_the_market_clock_jumps_or_stands() -> None:
    source = Source(after=0)
    source.welcome()
    for step_s in (-7200, 7200, 86400):
        source.world._now_utc += step_s
        before = len(source.world.casts)
        source.world.advance(16.0)
        assert len(source.world.casts) > before, "the lease is renewed each 15 s of the machine"


def test_a_roll_while_the_session_was_away_is_announced_too() -> None:
    before = Source()
    before.welcome()
    before.world.answer(FEED, ReadListing, Listing("ESZ13", delayed=True))
    before.world.advance(10)
    after = Source(files=before.world.files)
    after.welcome()
    after.world.answer(FEED, ReadListing, Listing("ESH14", delayed=False))
    after.world.advance(10)
    assert [event.kind for event in after.world.events] == ["data.rolled"]


@pytest.mark.parametrize("kept", [b"", b"[]", b'{"SPY": 1}', b"\xff"])
def test_contracts_that_cannot_be_read_are_none(kept: bytes) -> None:
    source = Source(files={CONTRACTS: kept})
    source.welcome()
    source.world.answer(FEED, ReadListing, Listing("ESH14", delayed=False))
    source.world.advance(10)
    assert source.world.events == []
    assert contracts_in(source.world.files[CONTRACTS]) == {SYMBOL: "ESH14"}


def test_a_trader_that_was_started_again_alone_has_its_warm_up_and_what_passed_meanwhile_at_once() -> None:
    """Regression (night 72 with deaths at exact moments): the bar that closed while a held trader was away came with
    the next one, which after the last bar of the day is tomorrow's; its warm-up did not come at all."""
    source = Source(warm_up=2, after=0)
    source.welcome()
    source.close(1)
    source.world.ask(NeedBars((Need(SYMBOL, 60, 2, T),)))
    source.world.advance(1)
    before = source.given
    source.world.ask(NeedBars((Need(SYMBOL, 60, 2, T),)), incarnation=2)
    source.world.advance(1)
    warm = [m for m in source.world.published_on("bars") if m.warm_up]
    assert before == [1]
    assert source.given == [1, 1]
    assert [[c.bar.closed_utc for c in m.bars] for m in warm] == [[T - 60, T], [T - 60, T]]
