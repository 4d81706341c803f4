"""Bars that wait for their turn: each once and in sequence, bounded, and what is dropped is known."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Bar
from trader.hosting import waiting
from trader.hosting.waiting import WaitingBars
from trader.messages import CleanBar, CleanBars

KEY = ("ES", 60)
ONE = Decimal(1)


def bars(after: int, *stamps: int, symbol: str = "ES") -> CleanBars:
    told = tuple(CleanBar(Bar(symbol, 60, at, ONE, ONE, ONE, ONE, 1), late=False) for at in stamps)
    return CleanBars(symbol=symbol, interval_s=60, after_utc=after, bars=told)


def taken(some: WaitingBars) -> list[int]:
    stamps = []
    while some:
        stamps.append(some.next().bar.closed_utc)
    return stamps


def test_a_series_that_nobody_knew_begins_where_its_first_bars_say() -> None:
    some = WaitingBars({})
    some.take(bars(60, 120))
    assert (some.unbegun, some.newest, taken(some)) == ({KEY: 60}, {KEY: 120}, [120])


def test_a_hole_is_asked_for_and_nothing_later_is_taken_before() -> None:
    some = WaitingBars({KEY: 60})
    some.take(bars(120, 180))
    assert some.behind == {KEY}
    some.take(bars(180, 240))
    assert not some
    some.caught_up(bars(60, 120, 180, 240))
    assert (some.behind, taken(some)) == (set(), [120, 180, 240])


def test_another_series_goes_on_meanwhile() -> None:
    some = WaitingBars({KEY: 60, ("NQ", 60): 60})
    some.take(bars(120, 180))
    some.take(bars(60, 120, symbol="NQ"))
    assert taken(some) == [120]


@given(cuts=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), max_size=40))
def test_however_slow_the_turns_are_each_bar_comes_once_and_in_sequence(cuts: list[tuple[int, int]]) -> None:
    """``cuts``: so many bars come at once, then so many turns are taken."""
    most, waiting.WAITING_BARS = waiting.WAITING_BARS, 5
    try:
        some, sent, told = WaitingBars({KEY: 0}), 0, []
        for come, turns in cuts:
            some.take(bars(sent * 60, *(60 * n for n in range(sent + 1, sent + come + 1))))
            sent += come
            told += [some.next().bar.closed_utc for _ in range(turns) if some]
            assert len(some._bars) <= 5
        while some or some.behind:
            told += taken(some)
            if some.behind:
                newest = some.newest[KEY]
                some.caught_up(bars(newest, *range(newest + 60, sent * 60 + 60, 60)))
        assert told == [60 * n for n in range(1, sent + 1)]
    finally:
        waiting.WAITING_BARS = most
