"""Each closed bar once, in order, over any interleaving of history, stream, reconnect, restart, corrections and nights.

A state machine over the pure series. The venue closes bars (some minutes are quiet); its stream tells, repeats, loses,
shuffles them and corrects old ones; history is the venue's truth so far, read as the data source reads it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from brokers.model import Bar
from trader.data.bars import QUIET_INTERVALS_MAX, BarSeries
from trader.hours.market_hours import UNKNOWN_HOURS, market_hours

STEP_S, LIMIT_S = 60, 11.0


def bar(stamp: int, price: int = 1) -> Bar:
    one = Decimal(price)
    return Bar("SPY", STEP_S, stamp, one, one, one, one, 1)


class Series(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.truth: dict[int, Bar] = {}
        self.delivered: list[int] = []
        self.hours = UNKNOWN_HOURS
        self.series = BarSeries("SPY", STEP_S)
        self.series.start(0)

    @initialize(
        opens=st.integers(0, 30), lasts=st.integers(1, 60), closed=st.integers(1, 60), known=st.sampled_from((0, 10**6))
    )
    def a_market_with_hours(self, opens: int, lasts: int, closed: int, known: int) -> None:
        """Days of so many minutes open and closed; or hours that nobody knows."""
        days = [opens + number * (lasts + closed) for number in range(40)]
        intervals = [(STEP_S * day, STEP_S * (day + lasts)) for day in days]
        self.hours = market_hours(intervals, 0, known)
        self.series.hours = self.hours

    def is_open(self) -> bool:
        return self.hours.trades_between(self.now - STEP_S, self.now)

    def take(self, bars: tuple[Bar, ...]) -> None:
        self.delivered += [each.closed_utc for each in bars]
        for news in self.series.take_news():
            assert news.kind != "too_late", "this venue's history never omits a bar"

    def read(self) -> None:
        found = [each for stamp, each in sorted(self.truth.items()) if stamp > self.series.last_utc]
        self.take(self.series.history(found, self.now))

    @rule(traded=st.booleans(), told=st.booleans(), forming=st.booleans())
    def minute(self, traded: bool, told: bool, forming: bool) -> None:
        self.now += STEP_S
        if not traded:
            return
        self.truth[self.now] = bar(self.now)
        if forming:
            self.series.shown(self.now)
        if told or not self.is_open():  # what trades outside its hours and is lost there has no hours to be missed by
            self.take(self.series.streamed([self.truth[self.now]]))

    @rule(minutes=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=6))
    def minutes_in_a_row(self, minutes: list[tuple[bool, bool]]) -> None:
        """Holes of the stream, seen by the bar that comes next."""
        for traded, told in minutes:
            self.minute(traded, told, False)

    @rule(minutes=st.integers(1, 40))
    def night(self, minutes: int) -> None:
        """Nothing trades; the data source looks each minute, and what it asks for it gets."""
        for _ in range(minutes):
            self.now += STEP_S
            self.look(True, False)

    @precondition(lambda self: self.truth)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Any bars of the past, in any sequence, as after a reconnect."""
        stamps = data.draw(st.lists(st.sampled_from(sorted(self.truth)), max_size=6))
        self.take(self.series.streamed([self.truth[stamp] for stamp in stamps]))

    @rule()
    def reconnect(self) -> None:
        self.series.doubt()
        self.take(self.series.streamed([self.truth[stamp] for stamp in sorted(self.truth)[-2:]]))

    @rule()
    def restart(self) -> None:
        """The session begins anew after its cursor; what the stream sends before it is told where to begin waits."""
        after = self.series.last_utc
        self.series = BarSeries("SPY", STEP_S)
        self.series.hours = self.hours
        self.take(self.series.streamed([self.truth[stamp] for stamp in sorted(self.truth)[-2:]]))
        self.series.start(after)

    @precondition(lambda self: self.truth)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        stamp = data.draw(st.sampled_from(sorted(self.truth)))
        self.truth[stamp] = msgspec.structs.replace(self.truth[stamp], close=self.truth[stamp].close + 1)
        self.take(self.series.streamed([self.truth[stamp]]))

    @rule(answers=st.booleans(), moving=st.booleans())
    def look(self, answers: bool, moving: bool) -> None:
        """The data source's turn; history may not be had."""
        before, series = self.series.need_history, self.series
        series.look(self.now + LIMIT_S + 1, LIMIT_S, moving=moving)
        overdue = self.hours.trades_between(series.known_until_utc, self.now) or series._shown_utc > series.last_utc
        assert overdue or series.need_history is before, "of a closed market history is not asked"
        if self.series.need_history and answers:
            self.read()

    @invariant()
    def a_prefix_of_the_truth_in_order(self) -> None:
        assert self.delivered == sorted(self.truth)[: len(self.delivered)], "a bar was skipped, doubled or moved"

    @invariant()
    def nothing_is_withheld_for_long(self) -> None:
        """A frame lost on a quiet night, with no sign of it, is asked for within QUIET_INTERVALS_MAX intervals."""
        series = self.series
        if series.need_history or not series.started:
            return
        due = series.hours.due(series.known_until_utc, STEP_S)
        later = due + QUIET_INTERVALS_MAX * STEP_S + LIMIT_S + 1
        probe = BarSeries("SPY", STEP_S)
        probe.__dict__.update({name: value for name, value in series.__dict__.items() if not name.startswith("_news")})
        probe.look(later, LIMIT_S)
        assert probe.need_history

    def teardown(self) -> None:
        self.series.doubt()
        self.read()
        assert self.delivered == sorted(self.truth), "after one good read nothing is missing"


TestSeries = Series.TestCase
TestSeries.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
