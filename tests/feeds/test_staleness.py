"""When a stream is silent."""

from hypothesis import given
from hypothesis import strategies as st

from feeds.staleness import watch_opened


def judged(heard_s: list[float], until_s: float, stall: tuple[float, float] = (0.0, 0.0)) -> float | None:
    """When the watch says silent, opened at 0, hearing at these seconds; the judge stands still from .. to."""
    watch = watch_opened(0.0, heartbeat_s=5.0, first_byte_s=10.0)
    pending = sorted(heard_s)
    while watch.next_turn_s <= until_s:
        now_s = watch.next_turn_s
        if stall[0] < now_s <= stall[1]:
            now_s = stall[1]
        while pending and pending[0] < now_s:
            at_s = pending.pop(0)
            watch = watch.heard(stall[1] if stall[0] < at_s <= stall[1] else at_s)
        watch = watch.turn(now_s)
        if watch.silent(now_s):
            return now_s
    return None


def test_three_missed_heartbeats_are_silence() -> None:
    silent_s = judged([1.0], 60.0)
    assert silent_s is not None
    assert 16.0 < silent_s <= 17.0


def test_any_byte_is_a_sign_of_life() -> None:
    assert judged([4.9 * turn for turn in range(1, 20)], 80.0) is None


def test_a_stream_that_never_sends_a_byte_has_its_own_limit() -> None:
    silent_s = judged([], 60.0)
    assert silent_s is not None
    assert 10.0 < silent_s <= 11.0


@given(st.floats(1.0, 300.0))
def test_a_judge_who_stood_still_accuses_nobody(stall_s: float) -> None:
    """The bytes of the stall are read after the judge's turn, as they are behind it in the mailbox."""
    watch = watch_opened(0.0, heartbeat_s=5.0, first_byte_s=10.0).heard(1.0)
    late_s = watch.next_turn_s + stall_s
    watch = watch.turn(late_s)
    assert not watch.silent(late_s)
    assert watch.heard(late_s).deadline_s == late_s + 15.0


@given(st.floats(0.0, 300.0))
def test_a_stall_delays_the_verdict_by_no_more_than_itself(stall_s: float) -> None:
    silent_s = judged([1.0], 1000.0, stall=(5.0, 5.0 + stall_s))
    assert silent_s is not None
    assert silent_s <= 17.0 + stall_s + 1.0


def test_a_feed_is_called_stale_only_after_it_would_have_ended_itself() -> None:
    silence = watch_opened(99.0, heartbeat_s=5.0, first_byte_s=10.0).heard(100.0)
    judged_late_s = 100.0 + silence.limit_s + silence.turn_every_s
    assert silence.silent(judged_late_s)
    assert 100.0 + silence.contact_s > judged_late_s
