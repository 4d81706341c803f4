"""`nightdesk simulate`: nights of the whole desk on the virtual clock, breaking all the time, from one seed."""

from __future__ import annotations

import sys
from typing import Any

import click

from trader.cli.common import as_json, print_json
from trader.cli.test import utc_of

DAYS_MAX = 366.0
SESSIONS_MAX = 200
"""Far above what one desk runs; each costs some megabytes of this machine."""


@click.command()
@click.option("--days", type=click.FloatRange(0, DAYS_MAX, min_open=True), default=1.0, show_default=True)
@click.option("--sessions", type=click.IntRange(1, SESSIONS_MAX), default=2, show_default=True)
@click.option("--faults", "level", type=click.Choice(("light", "heavy")), default="light", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Draws what breaks when.")
@click.option("--begin", default="2013-10-06T22:00:00Z", show_default=True, help="Market time at the start.")
@click.option("--connections", type=click.IntRange(1, 2), default=1, show_default=True, help="Each to its own venue.")
@click.option("--symbols", type=click.IntRange(1, 2), default=1, show_default=True, help="Of a session, at most.")
@click.option("--believed", is_flag=True, help="Nothing that nobody knows is drawn by the seed.")
@as_json
def simulate(
    days: float,
    sessions: int,
    level: Any,
    seed: int,
    begin: str,
    connections: int,
    symbols: int,
    believed: bool,
    as_json: bool,
) -> None:
    """Run the whole desk for DAYS of market time (weekends included) on the recorded week, repeated, and count.

    The same options give the same run. Exit code 0 only if books agree, no bar is missing or doubled, no order was
    sent twice, nothing crashed that was not killed, and book and broker were never apart too long.
    """
    from trader.simulate.night import Night, Plan
    from trader.simulate.report import report, result

    begin_utc = utc_of("--begin", begin, days=0)
    plan = Plan(days, sessions, level, seed, begin_utc, believed, connections, symbols)
    night = Night(plan)
    count = night.play()
    click.echo(report(night, count), err=as_json)
    if as_json:
        print_json(result(night, count))
    sys.exit(0 if count.passed else 1)
