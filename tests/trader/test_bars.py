"""A clean series: each closed bar once, in order, whatever the stream, its reconnects and the history do."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Bar
from trader.data.bars import RING_BARS, BarSeries, is_late
from trader.hours.market_hours import market_hours

STEP = 60


def bar(stamp: int) -> Bar:
    return Bar("SPY", STEP, stamp, Decimal(1), Decimal(1), Decimal(1), Decimal(1), 1)


def stamps(bars: tuple[Bar, ...]) -> list[int]:
    return [each.closed_utc for each in bars]


def started(after: int = 0) -> BarSeries:
    series = BarSeries("SPY", STEP)
    series.start(after)
    series.history((), after)
    return series


def test_bars_that_follow_each_other_are_passed_on_and_repeats_are_not() -> None:
    series = started()
    assert stamps(series.streamed([bar(60), bar(120)])) == [60, 120]
    assert stamps(series.streamed([bar(60), bar(120), bar(180)])) == [180]


HOURS = market_hours([(0, 600), (6000, 9000)], -1_000_000, 1_000_000)
"""Ten minutes, a night of ninety, then fifty more."""


def quiet(series: BarSeries, minutes: int) -> None:
    """Nothing trades, and history says so each time it is asked."""
    for minute in range(minutes):
        now = series.last_utc + 60 * minute
        series.look(now, 5.0)
        if series.need_history:
            series.history((), now)


def test_however_quiet_it_was_before_the_close_the_opening_is_looked_at_at_once() -> None:
    series = started()
    series.hours = HOURS
    quiet(series, 10)
    series.history((), 700)
    series.look(6059.0, 5.0)
    assert not series.need_history, "the first bar ends at 6060"
    series.look(6066.0, 5.0)
    assert series.need_history


def test_a_bar_that_is_seen_in_the_making_is_due_outside_market_hours_too() -> None:
    series = started(600)
    series.hours = HOURS
    series.look(3066.0, 5.0)
    assert not series.need_history
    series.shown(3060)
    series.look(3064.0, 5.0)
    assert not series.need_history, "it is not overdue yet"
    series.look(3066.0, 5.0)
    assert series.need_history


def test_a_hole_is_read_before_anything_later_is_passed_on() -> None:
    series = started()
    assert series.streamed([bar(180)]) == ()
    assert series.need_history
    assert stamps(series.history([bar(60), bar(120), bar(180)], 180)) == [60, 120, 180]


def test_a_quiet_minute_is_not_invented() -> None:
    series = started()
    series.streamed([bar(60), bar(180)])
    assert stamps(series.history([bar(180)], 180)) == [180]
    assert not series.need_history


def test_bars_of_the_stream_wait_while_history_is_in_doubt() -> None:
    series = started()
    series.doubt()
    assert series.streamed([bar(60)]) == ()
    assert stamps(series.history([], 0)) == [60]


def test_an_overdue_bar_is_noticed_though_nothing_came() -> None:
    series = started()
    assert not series.overdue(65.0, 10.0)
    assert series.overdue(70.5, 10.0)


def test_the_ring_says_when_it_does_not_reach_back_far_enough() -> None:
    series = started()
    last = (RING_BARS + 2) * STEP
    series.streamed([bar(stamp) for stamp in range(STEP, last + 1, STEP)][:500])
    series.streamed([bar(stamp) for stamp in range(STEP, last + 1, STEP)])
    series.streamed([bar(stamp) for stamp in range(STEP, last + 1, STEP)])
    assert series.last_utc == last
    assert series.after(0) is None
    assert stamps(series.after(last - STEP) or ()) == [last]


def test_lateness_has_a_market_part_and_a_machine_part() -> None:
    assert not is_late(60, 60, 60 + 6 + 5, 5.0, 1.0)
    assert is_late(60, 60, 60 + 6 + 5.1, 5.0, 1.0)
    assert not is_late(60, 60, 60 + 6 + 300, 5.0, 60.0)
    assert is_late(0, 3600, 366, 5.0, 1.0)


@given(st.data())
def test_each_closed_bar_once_in_order_over_any_interleaving(data: st.DataObject) -> None:
    """The venue closes bars (some minutes are quiet). The stream loses, repeats, reconnects; history is the truth so
    far; the process restarts from its last bar. At the end one good read comes."""
    minutes = data.draw(st.lists(st.booleans(), min_size=1, max_size=25))
    truth = [bar((index + 1) * STEP) for index, traded in enumerate(minutes) if traded]
    series, delivered = started(), list[int]()

    def read(until: int) -> None:
        closed = [b for b in truth if series.last_utc < b.closed_utc <= until]
        delivered.extend(stamps(series.history(closed, until)))

    for index in range(len(minutes)):
        now = (index + 1) * STEP
        recent = [b for b in truth if b.closed_utc <= now]
        what = data.draw(st.sampled_from(["stream", "reconnect", "lose", "restart", "read"]))
        if what == "stream" and recent and recent[-1].closed_utc == now:
            delivered.extend(stamps(series.streamed(recent[-1:])))
        elif what == "reconnect":
            delivered.extend(stamps(series.streamed(recent[-2:])))
        elif what == "restart":
            after, series = series.last_utc, BarSeries("SPY", STEP)
            series.streamed(recent[-2:])
            series.start(after)
        if what == "read" or (series.need_history and data.draw(st.booleans())):
            read(now)
        assert delivered == [b.closed_utc for b in truth][: len(delivered)], "a bar was skipped, doubled or moved"
    series.doubt()
    read(len(minutes) * STEP)
    assert delivered == [b.closed_utc for b in truth]


def test_doubled_unsorted_and_late_bars_of_one_read_come_out_once_and_in_order() -> None:
    series = started()
    assert stamps(series.streamed([bar(120), bar(60), bar(120), bar(60), bar(180)])) == [60, 120, 180]
    assert stamps(series.streamed([bar(60), bar(240), bar(180)])) == [240]


def test_a_clock_that_was_ahead_and_stepped_back_hides_no_lost_bar() -> None:
    """While it was two hours ahead, a read of history seemed complete up to then."""
    series = started()
    series.history([bar(60)], 7200)
    series.clock_says(65)
    assert series.streamed([bar(180)]) == (), "bar 120 was lost by the stream: it must be read first"
    assert stamps(series.history([bar(120), bar(180)], 180)) == [120, 180]


def test_a_clock_behind_takes_nothing_back_that_was_delivered() -> None:
    series = started()
    series.streamed([bar(60), bar(120)])
    series.clock_says(0)
    assert stamps(series.streamed([bar(180)])) == [180]
