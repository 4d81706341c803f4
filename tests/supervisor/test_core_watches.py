"""The pure halves of what the supervisor looks after besides liveness: memory, freshness, whose an orphan is."""

from __future__ import annotations

import pytest

from supervisor.core import freshness, memory
from supervisor.core.liveness import MARGIN_S
from supervisor.core.orphans import Mark, named, verdict
from supervisor.core.tree import NEVER_S, Exit
from supervisor.runtime.mark import CHILD, INCARNATION, SUPERVISOR, parse, written

MIB = 1024 * 1024
DIED = Exit("abnormal", "exit status 1: MemoryError:  at toys.py:7", peak_mib=80.0)

# -- memory -----------------------------------------------------------------------------------------------------------


def test_without_a_ceiling_nothing_is_ever_due() -> None:
    assert memory.next_look_s(100.0, anybody=False) == NEVER_S
    assert memory.next_look_s(100.0, anybody=True) == 100.0 + memory.LOOK_EVERY_S


def test_who_is_above_the_ceiling_is_over_and_who_is_just_at_it_is_not() -> None:
    assert memory.over([("a", 100.0, 100.0), ("b", 100.1, 100.0), ("c", 0.0, 16.0)]) == [("b", 100.1)]


def test_burst_limit_is_a_multiple_of_the_ceiling_above_what_the_child_was_born_with() -> None:
    assert memory.data_limit(50 * MIB, 1000.0) == (50 + 2000) * MIB
    assert memory.data_limit(50 * MIB, 16.0) == (50 + 256) * MIB, "threads have stacks of 8 MiB"


def test_memory_error_of_a_child_with_a_ceiling_is_put_down_to_the_ceiling() -> None:
    why = memory.understood(DIED, "MemoryError:  at toys.py:7", 64.0).why
    assert why == "memory: an allocation was refused, ceiling 64 MiB (MemoryError:  at toys.py:7)"


@pytest.mark.parametrize(
    ("exit", "last_words", "ceiling_mib"),
    [
        (DIED, "MemoryError:  at toys.py:7", None),
        (DIED, "ValueError: MemoryError at toys.py:7", 64.0),
        (Exit("normal", "exit status 0"), "MemoryError:  at toys.py:7", 64.0),
    ],
    ids=["no ceiling", "another exception", "it went on and ended well"],
)
def test_other_ends_are_understood_as_they_are(exit: Exit, last_words: str, ceiling_mib: float | None) -> None:
    assert memory.understood(exit, last_words, ceiling_mib) == exit


# -- freshness --------------------------------------------------------------------------------------------------------


def judged(watch: freshness.Watch, page: list[tuple[int, float]], now_s: float) -> tuple[list[int], list[int]]:
    _, stale, fresh = freshness.judge(watch, page, now_s)
    return stale, fresh


def test_who_has_declared_nothing_is_never_stale_and_wakes_nobody() -> None:
    watch = freshness.Watch()
    assert judged(watch, [(1, 0.0)], 1e9) == ([], [])
    assert freshness.next_look_s(watch, [(1, 0.0)], 100.0) == NEVER_S


def test_stale_and_fresh_are_told_once_each() -> None:
    watch, told = freshness.Watch(), []
    for now_s, until_s in ((9.0, 10.0), (11.0, 10.0), (12.0, 10.0), (13.0, 20.0), (14.0, 20.0), (21.0, 20.0)):
        watch, stale, fresh = freshness.judge(watch, [(7, until_s)], now_s)
        told.append((stale, fresh))
    assert told == [([], []), ([7], []), ([], []), ([], [7]), ([], []), ([7], [])]


def test_it_is_not_stale_before_it_had_its_chance() -> None:
    assert judged(freshness.Watch(), [(1, 10.0)], 10.0 + MARGIN_S / 2) == ([], [])
    assert judged(freshness.Watch(), [(1, 10.0)], 10.0 + MARGIN_S) == ([1], [])


def test_time_that_the_judge_did_not_watch_is_excused() -> None:
    watch = freshness.stalled(freshness.Watch(), 30.0, [(1, 10.0)])
    assert judged(watch, [(1, 10.0)], 39.0) == ([], [])
    assert judged(watch, [(1, 10.0)], 40.0 + MARGIN_S) == ([1], [])
    assert judged(watch, [(1, 36.0)], 36.0 + MARGIN_S) == ([1], []), "who has declared since was not stopped any more"


def test_the_next_look_is_at_the_first_number_that_passes() -> None:
    watch = freshness.Watch()
    assert freshness.next_look_s(watch, [(1, 50.0), (2, 40.0), (3, 0.0)], 10.0) == 40.0


def test_while_somebody_is_stale_the_page_is_read_every_second() -> None:
    watch, _, _ = freshness.judge(freshness.Watch(), [(1, 10.0), (2, 50.0)], 11.0)
    assert freshness.next_look_s(watch, [(1, 10.0), (2, 50.0)], 11.0) == 12.0


def test_who_is_gone_is_forgotten() -> None:
    watch, _, _ = freshness.judge(freshness.Watch(), [(1, 10.0)], 11.0)
    watch, stale, fresh = freshness.judge(watch, [], 12.0)
    assert (watch.stale, stale, fresh) == (frozenset(), [], [])
    assert freshness.next_look_s(watch, [], 12.0) == NEVER_S


def test_declared_for_ever_is_never_stale() -> None:
    assert judged(freshness.Watch(), [(1, NEVER_S)], 1e12) == ([], [])
    assert freshness.next_look_s(freshness.Watch(), [(1, NEVER_S)], 10.0) == NEVER_S


# -- whose is it? -----------------------------------------------------------------------------------------------------

HOME, OTHER = "this home", "another home"
LIVING_INCARNATIONS, LIVING_PIDS = {3, 4}, {103, 104}


@pytest.mark.parametrize(
    ("mark", "session", "expected"),
    [
        (Mark(HOME, 3, "a"), 900, "keep"),
        (Mark(HOME, 2, "a"), 900, "end"),
        (Mark(HOME, 2, "a"), 103, "end"),
        (Mark(OTHER, 2, "a"), 900, "foreign"),
        (Mark(OTHER, 3, "a"), 103, "foreign"),
        (None, 103, "keep"),
        (None, 900, "unknown"),
        (Mark(HOME), 900, "unknown"),
        (Mark(HOME), 104, "keep"),
    ],
)
def test_an_orphan_is_judged_by_its_mark_and_without_one_by_its_session(
    mark: Mark | None, session: int, expected: str
) -> None:
    assert verdict(mark, session, HOME, LIVING_INCARNATIONS, LIVING_PIDS) == expected


def test_many_processes_are_named_in_one_line_of_bounded_length() -> None:
    assert named(["sleep (1)"]) == "1 process: sleep (1)"
    assert named([f"p ({number})" for number in range(12)]).endswith("p (9) and 2 more")


# -- the mark ---------------------------------------------------------------------------------------------------------


def test_what_is_written_into_the_memory_of_the_environment_is_read_again() -> None:
    mark = Mark("0123456789abcdef", 1_000_007, "sessions/es/trader")
    assert parse(b"PATH=/bin\0HOME=/ro" + written(mark, 1000)) == mark


def test_where_there_is_little_room_the_name_is_cut_and_where_there_is_less_nothing_is_written() -> None:
    mark = Mark("0123456789abcdef", 7, "sessions/es/trader")
    whole = len(written(mark, 1000))
    cut = written(mark, whole - 7)
    assert len(cut) == whole - 7
    assert parse(cut) == Mark("0123456789abcdef", 7, "sessions/es")
    assert written(mark, 40) == b""


def test_the_last_mark_counts() -> None:
    outer = f"{SUPERVISOR}=outer\0{INCARNATION}=5\0{CHILD}=x\0".encode()
    assert parse(outer + written(Mark("inner", 0, ""), 100)) == Mark("inner", 0, "")


@pytest.mark.parametrize("environ", [b"", b"\0\0", b"PATH=/bin\0", f"{SUPERVISOR}=\0".encode(), b"\xff\xfe=\xff\0"])
def test_an_environment_without_a_mark_has_none(environ: bytes) -> None:
    assert parse(environ) is None


def test_a_number_that_is_none_is_no_incarnation() -> None:
    assert parse(f"{SUPERVISOR}=x\0{INCARNATION}=seven\0".encode()) == Mark("x", 0, "")
