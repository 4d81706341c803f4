"""Nights that once failed, with what it was. Each runs again with the hundred.

Seeds mean what they meant with the faults of their day; when these change a regression may meet something else, so
each cause has a unit test beside its room as well, named here.
"""

from __future__ import annotations

from trader.simulate.faults import Level
from trader.simulate.night import Plan
from trader.simulate.week import BEGINS_UTC

HOUR_S = 3600
MONDAY_UTC = BEGINS_UTC + 16 * HOUR_S
"""2013-10-07T14:00:00Z: both markets are open."""


def night(
    seed: int,
    hours: float = 1.0,
    sessions: int = 2,
    level: Level = "heavy",
    begin_utc: float = 0.0,
    *,
    believed: bool = False,
) -> Plan:
    return Plan(hours / 24, sessions, level, seed, begin_utc or MONDAY_UTC, believed)


REGRESSIONS: tuple[tuple[Plan, str], ...] = (
    (
        night(107, hours=2.0, believed=True),
        "an entry whose answer was lost, and the same bought by hand: no read could tell them apart, and a person's "
        "release did not end the doubt, so that the position was never adopted "
        "(test_never_twice: a_persons_release_ends_the_doubt)",
    ),
    (
        night(131),
        "sold by hand while a purchase of ours had no outcome: the difference waited for it, which explained nothing "
        "(test_reconcile: what_an_unsettled_instruction_cannot_explain)",
    ),
    (
        night(266),
        "each death of the account manager began the wait for an instruction's fate anew "
        "(test_settlement: our_own_death_does_not_begin_the_wait_anew)",
    ),
)
