"""`nightdesk doctor`: one line a check, with the command that mends what it found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from supervisor.errors import StoreFailed
from supervisor.process.store import SqliteStore
from trader.cli.common import BadUsage, as_json, home_of, print_json
from trader.cli.lines import echo
from trader.cli.main import home_option
from trader.doctor import machine
from trader.doctor.findings import Finding, exit_code
from trader.doctor.hours import market_hours
from trader.doctor.orders import unsettled
from trader.doctor.venue import VenueChecks
from trader.sessions import Session
from trader.store import desk

LINE_INDENT = 31
"""What is said of a check stands in a column."""


@click.command()
@click.argument("connection", required=False)
@as_json
@home_option
@click.pass_context
def doctor(context: click.Context, connection: str | None, as_json: bool, home: str | None) -> None:
    """Check everything that could stop tonight's run; of CONNECTION only, or of all.

    It reads and changes nothing, whether the desk runs or not. Exit code 0 all well, 5 warnings, 1 errors, 8 a login is
    needed, 78 the configuration is bad.
    """
    found: list[Finding] = []
    for each in checks(home_of(context, home), connection):
        found.append(each)
        if not as_json:
            for line in each.line.splitlines():
                echo(line, LINE_INDENT)
    code = exit_code(found)
    if as_json:
        print_json({"exit_code": code, "findings": found})
    sys.exit(code)


def checks(home: Path, connection: str | None) -> Iterator[Finding]:
    configuration, config = machine.configuration(home)
    yield configuration
    if config is None:
        return
    if connection is not None and connection not in config.connections:
        raise BadUsage(f"no connection is called {connection!r} (there are: {', '.join(config.connections)})")
    yield from machine.home_modes(home)
    running, pid = machine.desk(home)
    yield running
    yield from machine.limits(home, pid)
    yield machine.systemd(home)
    unread: list[str] = []
    sessions = _sessions(home, unread)
    for text in unread:
        yield Finding("sessions", "error", text, "nightdesk status")
    yield from market_hours(home, config, sessions)
    yield from unsettled(home, config, sessions)
    for name in [connection] if connection else list(config.connections):
        yield from VenueChecks(home, config.connections[name], config.timing, sessions).findings()


def _sessions(home: Path, unread: list[str]) -> list[Session]:
    """None where no desk has ever run here."""
    if not (home / desk.DESK_DB).exists():
        return []
    try:
        with closing(SqliteStore(home / desk.DESK_DB, None)) as store:
            return desk.read_sessions(store)
    except StoreFailed as error:
        unread.append(str(error))
        return []
