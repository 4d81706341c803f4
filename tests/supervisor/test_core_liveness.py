"""The judge of silence: whole stalls accuse nobody, a single hung child is found in time. Time is a number here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.liveness import LOOKS_A_LIMIT, MARGIN_S, POLL_MIN_S, STALL_S, Judge, next_look_s, overdue, stalled

LIMIT_S = 10.0


class Machine:
    """Children that write now + LIMIT_S every ``beat_s`` while they run, and a judge who sleeps till his next look."""

    def __init__(self, beats_s: list[float], stalls: list[tuple[float, float]], wake_late_s: float = 0.0) -> None:
        self.beats_s = beats_s
        self.stalls = sorted(stalls)
        self.wake_late_s = wake_late_s
        self.hung_at_s: dict[int, float] = {}
        self.judge = Judge()
        self.looks = 0

    def running(self, at_s: float) -> float:
        """The first moment from ``at_s`` on at which the machine runs."""
        for start_s, length_s in self.stalls:
            if start_s <= at_s < start_s + length_s:
                at_s = start_s + length_s
        return at_s

    def page(self, now_s: float) -> list[tuple[int, float]]:
        return [(slot, self.last_beat(slot, now_s) + LIMIT_S) for slot in range(len(self.beats_s))]

    def last_beat(self, slot: int, now_s: float) -> float:
        """A child sleeps for its beat, and is as late as the machine when it wakes."""
        at_s = last_s = 0.0
        while at_s <= now_s and at_s <= self.hung_at_s.get(slot, now_s):
            last_s, at_s = at_s, self.running(at_s + self.beats_s[slot])
        return last_s

    def watch(self, until_s: float) -> dict[int, float]:
        """Who is accused, and when."""
        accused: dict[int, float] = {}
        now_s = 0.0
        while now_s < until_s and len(accused) < len(self.beats_s):
            asleep_since_s = now_s
            planned_s = next_look_s(self.judge, self.page(now_s), now_s, LIMIT_S)
            now_s = self.running(planned_s + self.wake_late_s)
            if now_s - planned_s > STALL_S:
                self.judge = stalled(self.judge, now_s - asleep_since_s, self.page_stopped(asleep_since_s, now_s))
            self.looks += 1
            for slot, _ in overdue(self.judge, self.page_stopped(asleep_since_s, now_s), now_s):
                accused.setdefault(slot, now_s)
        return accused

    def page_stopped(self, asleep_since_s: float, now_s: float) -> list[tuple[int, float]]:
        """The page as the judge finds it who is the very first to run after a stall: nobody has written yet."""
        for start_s, length_s in self.stalls:
            if start_s + length_s == now_s:
                return self.page(start_s - 1e-6) if start_s > 0 else self.page(0.0)
        return self.page(now_s)


beats = st.lists(st.floats(0.5, 9.0), min_size=1, max_size=4)


@given(beats, st.floats(1.0, 40.0), st.floats(0.0, 90.0))
def test_a_stop_of_the_whole_group_accuses_nobody(beats_s: list[float], at_s: float, length_s: float) -> None:
    assert Machine(beats_s, [(at_s, length_s)]).watch(200.0) == {}


@given(beats, st.lists(st.tuples(st.floats(1.0, 15.0), st.floats(0.0, 30.0)), max_size=5))
def test_stops_one_after_the_other_accuse_nobody(beats_s: list[float], gaps: list[tuple[float, float]]) -> None:
    stalls, at_s = [], 0.0
    for gap_s, length_s in gaps:
        stalls.append((at_s + gap_s, length_s))
        at_s += gap_s + length_s
    assert Machine(beats_s, stalls).watch(at_s + 60.0) == {}


def test_a_group_stopped_for_90_s_and_continued_accuses_nobody_who_had_time_left() -> None:
    # The judge sleeps till 10 s, all are stopped at 1 s: moved by his lateness alone the number is used up at once.
    assert Machine([9.0], [(1.0, 90.0)]).watch(200.0) == {}


def test_a_stop_that_ends_just_after_the_planned_look_accuses_nobody() -> None:
    # Stopped from 8.9 s to 10.1 s: the judge is late by less than a stall, the child missed its beat at 9 s.
    assert Machine([9.0], [(8.9, 1.2)]).watch(60.0) == {}


@given(beats, st.floats(0.1, 30.0), st.floats(0.0, STALL_S * 0.99))
def test_a_single_hung_child_is_found_in_time(beats_s: list[float], hung_at_s: float, wake_late_s: float) -> None:
    machine = Machine([*beats_s, 1.0], [], wake_late_s)
    slot = len(beats_s)
    machine.hung_at_s = {slot: hung_at_s}
    until_s = machine.last_beat(slot, 100.0) + LIMIT_S
    accused = machine.watch(until_s + 5.0)
    assert set(accused) == {slot}
    assert until_s + MARGIN_S <= accused[slot] <= until_s + 0.25 + POLL_MIN_S + 2 * wake_late_s


def test_a_hung_child_is_found_after_a_stall_too_and_others_are_not() -> None:
    machine = Machine([4.0, 4.0], [(20.0, 90.0)])
    machine.hung_at_s = {0: 30.0}
    accused = machine.watch(200.0)
    assert set(accused) == {0}
    assert accused[0] <= 110.0 + 2 * LIMIT_S


def test_a_stall_excuses_only_the_numbers_that_were_on_the_page() -> None:
    judge = stalled(Judge(), 90.0, [(1, 10.0), (2, 10.0)])
    assert overdue(judge, [(1, 10.0), (2, 10.0)], 99.0) == []
    assert [slot for slot, _ in overdue(judge, [(1, 10.0), (2, 20.0)], 99.0)] == [2]


def test_a_second_stall_adds_only_to_what_has_not_been_written_since() -> None:
    # Regression: one excuse was kept for all slots, so a child that had written since was excused for both stalls.
    judge = stalled(Judge(), 90.0, [(1, 10.0), (2, 10.0)])
    judge = stalled(judge, 5.0, [(1, 10.0), (2, 110.0)])
    assert overdue(judge, [(1, 10.0), (2, 110.0)], 105.2) == []
    assert [slot for slot, _ in overdue(judge, [(1, 10.0), (2, 110.0)], 115.5)] == [1, 2]


def test_a_declared_blocking_call_is_not_a_hang() -> None:
    assert overdue(Judge(), [(1, 160.0)], 159.0) == []


def test_the_judge_sleeps_while_nobody_can_be_overdue() -> None:
    machine = Machine([5.0] * 100, [])
    machine.watch(60.0)
    assert machine.looks <= 60.0 / (LIMIT_S / LOOKS_A_LIMIT) + 1
    assert next_look_s(Judge(), [], 5.0, 1000.0) == 65.0


def test_who_declares_a_long_call_and_comes_back_early_is_looked_at_within_its_own_limit() -> None:
    # Regression: the look was planned for the end of the declared call, so a hang after it was found up to 30 s late.
    looked_s, declared_until_s = 0.0, 70.0
    planned_s = next_look_s(Judge(), [(0, declared_until_s)], looked_s, LIMIT_S)
    assert planned_s <= looked_s + LIMIT_S / LOOKS_A_LIMIT


@given(st.dictionaries(st.integers(0, 5), st.floats(0, 50), min_size=1, max_size=5), st.floats(0, 50))
def test_the_next_look_lies_ahead_and_not_behind_the_first_who_could_be_accused(
    page: dict[int, float], now_s: float
) -> None:
    look_s = next_look_s(Judge(), page.items(), now_s, LIMIT_S)
    assert now_s + POLL_MIN_S <= look_s <= max(min(page.values()) + MARGIN_S, now_s + POLL_MIN_S)
