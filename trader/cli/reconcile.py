"""`nightdesk reconcile`: ours and the broker's position of each symbol, with the age of each read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from feeds import paths
from feeds.messages import LastSnapshot, ReadSnapshot
from supervisor.control.client import Client
from supervisor.errors import CallFailed
from trader.accounting.standing import Standing, State
from trader.cli.books import (
    Look,
    above,
    age,
    ages,
    ask_for,
    confirmed,
    connection_cell,
    end,
    look,
    looked_json,
    on_terminal,
    table,
)
from trader.cli.common import Failed, as_json, control, home_of, print_json, read_tree
from trader.cli.lines import echo
from trader.cli.main import home_option
from trader.cli.positions import lines_of
from trader.messages import ReadSessionStatus
from trader.sessions import Wanted, manager_name
from trader.view import duration

COLUMNS = (
    "session",
    "env",
    "account",
    "symbol",
    "state",
    "ours",
    "broker",
    "broker read",
    "agreed",
    "ours since",
    "connection",
)
ASK_LIMIT_S = 2.0
POLL_S = 0.1


@click.command()
@click.argument("session", default="")
@click.option("--now", is_flag=True, help="Have the broker read anew first.")
@click.option("--timeout", "timeout_s", type=float, default=20.0, show_default=True, help="How long --now may take.")
@as_json
@home_option
@click.pass_context
def reconcile(
    context: click.Context, session: str, now: bool, timeout_s: float, as_json: bool, home: str | None
) -> None:
    """Ours and the broker's, of each symbol. Adopting is automatic and never waits for this command. Piped: tabs.

    Exit code 0 agrees, 3 no desk runs, 5 something differs, 1 with --now the broker could not be read anew.
    """
    folder = home_of(context, home)
    seen = look(folder, session)
    above(seen)
    ask_for(seen)
    if now:
        read_anew(folder, seen, timeout_s)
    seen = confirmed(folder, session, lambda each: [x.state for x in lines_of(each, session)])
    lines = [line for line in lines_of(seen, session) if line.state is not State.PAST]
    agreed = _agreed(folder, seen)
    if as_json:
        shown = [
            {
                "session": line.session,
                "environment": line.environment,
                "connection": line.connection,
                "account": line.account,
                "symbol": line.symbol,
                "state": line.state,
                "ours": line.ours,
                "ours_utc": line.as_of_utc or None,
                "theirs": line.theirs,
                "read_age_s": line.read_age_s,
                "agreed_age_s": agreed.get((line.session, line.symbol)),
            }
            for line in lines
        ]
        print_json({**looked_json(seen), "symbols": shown})
    else:
        table(COLUMNS, [_row(line, agreed.get((line.session, line.symbol)), seen) for line in lines])
        for text in ages(seen) if on_terminal() else ():
            echo(text)
    end(seen, (line.state for line in lines), wanted=True)


def read_anew(home: Path, seen: Look, timeout_s: float) -> None:
    """Each account of a session that runs is read once more, and the read is there on return. Raises ``Failed``."""
    used = {(o.session.connection, o.session.account) for o in seen.ours if o.session.wanted is not Wanted.OFF}
    with control(home) as client:
        since_s = read_tree(client, home).now_s
        for connection, account in used:
            if not client.cast(paths.books(connection, account), ReadSnapshot(0.0)):
                raise Failed(f"{account}: its books do not run just now; nothing was read. Try again in a moment.")
        for connection, account in used:
            _wait_for_read(client, paths.books(connection, account), since_s, timeout_s)


def _wait_for_read(client: Client, books: str, since_s: float, timeout_s: float) -> None:
    until_s = time.monotonic() + timeout_s
    why = "no whole read came"
    while time.monotonic() < until_s:
        try:
            if client.call(LastSnapshot(), timeout_s=ASK_LIMIT_S, to=books).requested_s >= since_s:
                return
        except CallFailed as failed:
            why = str(failed)
        time.sleep(POLL_S)
    raise Failed(f"{books}: {why} within {timeout_s:g} s. Nothing was changed; `nightdesk logs {books}` tells why.")


def _agreed(home: Path, seen: Look) -> dict[tuple[str, str], float]:
    """How long ago each account manager last agreed with the broker, as far as it answers."""
    ages_s: dict[tuple[str, str], float] = {}
    with control(home) as client:
        for each in seen.ours:
            if each.session.wanted is Wanted.OFF:
                continue
            name = each.session.name
            try:
                status = client.call(ReadSessionStatus(), timeout_s=ASK_LIMIT_S, to=manager_name(name))
            except CallFailed as failed:
                click.echo(f"nightdesk: {name}: its account manager does not answer: {failed}", err=True)
                continue
            ages_s |= {(name, symbol): age_s for symbol, age_s in status.agreed_age_s.items()}
    return ages_s


def _row(line: Standing, agreed_s: float | None, seen: Look) -> tuple[Any, ...]:
    since = duration(max(0.0, seen.now_utc - line.as_of_utc)) if line.as_of_utc else None
    return (
        *(line.session or None, line.environment, line.account, line.symbol, line.state, line.ours, line.theirs),
        *(age(line.read_age_s), age(agreed_s), since, connection_cell(seen, line.connection)),
    )
