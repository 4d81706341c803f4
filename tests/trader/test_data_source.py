"""The data source: each closed bar once, in order; holes and doubts are read from history before anything later."""

from decimal import Decimal

import pytest

from brokers.model import Bar
from feeds.messages import Bars, BarsClosed, ReadHistory, ReadRecent
from supervisor.errors import NoPeer, Refused
from supervisor.messages import Subscribed
from tests.trader.session_world import ARGUMENTS, OPENED_UTC, SOURCE, SYMBOL, SessionWorld
from trader.data_source import DataSource
from trader.messages import BarsAfter, CleanBars, Need, NeedBars

FEED = f"connections/sim/feeds/bars/{SYMBOL}/60"
T = OPENED_UTC


def bar(minute: int) -> Bar:
    one = Decimal(1)
    return Bar(SYMBOL, 60, T + 60 * minute, one, one, one, one, 1)


class Source:
    """A data source over a venue whose history is ``closed``: minutes after T, T itself included."""

    def __init__(self, *, warm_up: int = 0, after: int | None = None, minutes: int = 0) -> None:
        self.world = SessionWorld(SOURCE)
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
    before = len(source.world.calls)
    source.world.advance(75)
    assert source.given == []
    assert len(source.world.calls) - before == 1


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
