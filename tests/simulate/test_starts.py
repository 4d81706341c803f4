"""What starts of a desk ask of the venue. A key has 500 reads of bars in five minutes, and all series start at once."""

import pytest

from scripts.bench_start import LIVELY, QUIET, STARTS, many, play, session
from trader.sessions import journal_path

SESSIONS = 10
A_START = 2
"""Reads of a series: the stream's opening, and history where that does not reach. So 50 series can be started five
times before the quota holds one up."""


@pytest.mark.parametrize(
    ("begins_utc", "symbols", "most"),
    [(LIVELY, SESSIONS, 1), (QUIET, SESSIONS, A_START), (LIVELY, 2, 1)],
    ids=["lively", "quiet", "five sessions on a symbol"],
)
def test_each_start_asks_little_and_every_session_has_its_first_bar_in_time(
    begins_utc: float, symbols: int, most: int
) -> None:
    built = many(SESSIONS, begins_utc, symbols)
    starts = play(built, SESSIONS)
    assert len(starts) == STARTS
    for each in starts:
        assert len(each.reads) == symbols
        assert max(each.reads) <= most
        assert each.refused == 0
        assert len(each.late_s) == SESSIONS
        assert max(each.late_s) <= 2.0
    for number in range(SESSIONS):
        journal = built.store(journal_path(session(number)))
        (first,) = journal.query("SELECT min(closed_utc) AS closed_utc FROM turns")
        assert begins_utc < first["closed_utc"] <= begins_utc + 120, "a fresh start begins with the next bar to close"
