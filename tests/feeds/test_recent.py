"""What a feed remembers: it never answers with less than there is, whatever the stream lost and the clock did."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Bar
from feeds.messages import Bars
from feeds.recent import KEPT_BARS, SAME_LOOK_S, Recent

T = 1_795_186_800


def bar(minute: int, close: int = 1) -> Bar:
    one = Decimal(1)
    return Bar("ESZ26", 60, T + 60 * minute, one, one, one, Decimal(close), 1)


def bars(*minutes: int) -> list[Bar]:
    return [bar(minute) for minute in minutes]


def at(minute: int) -> int:
    return T + 60 * minute


def after(opening: range) -> Recent:
    recent = Recent(60)
    recent.told(bars(*opening))
    return recent


def since(recent: Recent, minute: int, until: int = 0, now_s: float = 0.0, now: int = 1_000) -> list[int] | None:
    known = recent.since(at(minute), at(until) if until else 0, now_s, at(now))
    return None if known is None else [(each.closed_utc - T) // 60 for each in known.bars]


def test_an_opening_of_bars_that_follow_each_other_answers_for_all_of_its_time() -> None:
    recent = after(range(1, 11))
    assert since(recent, 0) == list(range(1, 11))
    assert since(recent, 7) == [8, 9, 10]
    assert since(recent, 10) == []
    assert recent.since(at(7), 0, 0.0, at(11)) == Bars(tuple(bars(8, 9, 10)), at(10))
    assert recent.last(3) == Bars(tuple(bars(8, 9, 10)), at(10))


@pytest.mark.parametrize(
    "ask",
    [
        lambda recent: since(recent, -1),
        lambda recent: since(recent, 11),
        lambda recent: since(recent, 5, until=11),
        lambda recent: recent.last(11),
        lambda recent: since(Recent(60), 0),
        lambda recent: Recent(60).last(1),
    ],
    ids=["from before it", "from behind it", "further than it reaches", "more than there are", "nothing", "none"],
)
def test_what_it_does_not_know_is_not_answered(ask: Callable[[Recent], object]) -> None:
    assert ask(after(range(1, 11))) is None


def test_behind_a_hole_it_begins_anew_until_history_has_filled_it() -> None:
    recent = after(range(1, 6))
    recent.told(bars(8, 9))
    assert since(recent, 3) is None
    assert since(recent, 7) == [8, 9]
    recent.read(at(5), Bars(tuple(bars(7, 8, 9)), at(9)), 0.0)
    assert since(recent, 5) == [7, 8, 9], "history has shown that minute 6 had no trade"


def test_a_hole_in_the_opening_itself_is_one() -> None:
    recent = Recent(60)
    recent.told(bars(1, 2, 5, 6))
    assert since(recent, 2) is None
    assert since(recent, 4) == [5, 6]


def test_the_venues_newest_word_of_a_bar_counts() -> None:
    recent = after(range(1, 4))
    recent.told([bar(2, close=7)])
    assert recent.last(2) == Bars((bar(2, close=7), bar(3)), at(3))


def test_that_nothing_traded_is_remembered_for_who_looks_at_the_same_time_and_no_longer() -> None:
    recent = after(range(1, 4))
    recent.read(at(3), Bars((), at(6)), 100.0)
    assert since(recent, 3, until=5, now_s=100.0 + SAME_LOOK_S) == []
    assert since(recent, 3, until=5, now_s=100.1 + SAME_LOOK_S) is None
    assert since(recent, 3, until=5, now_s=100.0, now=5) is None, "the clock went back"


def test_it_forgets_what_is_oldest() -> None:
    recent = after(range(1, KEPT_BARS + 11))
    assert recent.last(KEPT_BARS + 1) is None
    assert since(recent, 9) is None
    assert since(recent, 10) == list(range(11, KEPT_BARS + 11))


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[int], list[tuple[str, int, int]]]:
    """Which minutes traded, and what happens at some of them: (what, minute, a number)."""
    traded = sorted(draw(st.sets(st.integers(0, 40), min_size=1)))
    whats = st.sampled_from(["told", "lost", "opened", "read", "recent"])
    return traded, [(draw(whats), minute, draw(st.integers(1, 12))) for minute in range(41)]


@given(markets())
def test_an_answer_has_each_bar_of_its_time(drawn: tuple[list[int], list[tuple[str, int, int]]]) -> None:
    """Streams that lose bars and open anew, thin minutes, reads of history: what is answered is the whole truth."""
    traded, moments = drawn
    recent = Recent(60)
    for what, now, number in moments:
        closed = [minute for minute in traded if minute <= now]
        if what == "told" and now in traded:
            recent.told(bars(now))
        elif what == "opened":
            recent.told(bars(*closed[-number:]))
        elif what == "read":
            told = bars(*(minute for minute in closed if minute > now - number))
            recent.read(at(now - number), Bars(tuple(told), at(now)), 60.0 * now)
        elif what == "recent" and closed:
            told = bars(*closed[-number:])
            recent.read(told[0].closed_utc - 60, Bars(tuple(told), at(now)), 60.0 * now)
        check(recent, closed, now)


def check(recent: Recent, closed: list[int], now: int) -> None:
    for begin in range(-1, now + 1):
        for until in (0, now):
            known = recent.since(at(begin), at(until) if until else 0, 60.0 * now, at(now))
            if known is not None:
                reach = (known.complete_until_utc - T) // 60
                assert reach >= until
                assert list(known.bars) == bars(*(minute for minute in closed if begin < minute <= reach))
    for count in (1, 5):
        if (last := recent.last(count)) is not None:
            reach = (last.complete_until_utc - T) // 60
            assert list(last.bars) == bars(*[minute for minute in closed if minute <= reach][-count:])
