"""`nightdesk positions`: what each session holds, risks and has made, and what the broker says."""

from __future__ import annotations

from typing import Any

import click

from trader.accounting.standing import AccountTotal, Standing, standings, totals
from trader.cli import books
from trader.cli.books import (
    Look,
    above,
    age,
    ages,
    ask_for,
    confirmed,
    connection_cell,
    diff_option,
    end,
    looked_json,
    table,
    text,
)
from trader.cli.common import as_json, home_of, print_json
from trader.cli.lines import echo
from trader.cli.main import home_option

COLUMNS = (
    *("session", "env", "account", "symbol", "state", "ours", "average", "broker", "broker avg", "read", "stop"),
    *("risk", "price", "open", "exposure", "realised today", "realised", "fees today", "fees", "unknown since"),
    "connection",
)


@click.command()
@click.argument("session", default="")
@diff_option
@as_json
@home_option
@click.pass_context
def positions(context: click.Context, session: str, diff: bool, as_json: bool, home: str | None) -> None:
    """Positions and profit of all sessions, or of one: ours from the store, and the broker's. Piped: tabs.

    Exit code 5 where something differs. Works without a running desk, then with our side only; with --diff that is 3.
    """
    seen = confirmed(home_of(context, home), session, lambda each: [x.state for x in lines_of(each, session)])
    above(seen)
    if diff:
        ask_for(seen)
    lines = lines_of(seen, session)
    shown = [line for line in lines if line.state.difference or (line.shown and not diff)]
    sums = totals(lines, seen.brokers, seen.places)
    if as_json:
        print_json({**looked_json(seen), "positions": shown, "totals": sums})
    else:
        table(COLUMNS, [row(line, seen) for line in shown], "nothing differs" if diff else "no positions")
        _for_people(seen, sums, diff)
    end(seen, (line.state for line in lines), wanted=diff)


def lines_of(seen: Look, session: str) -> list[Standing]:
    lines = standings(seen.ours, seen.brokers, seen.places, seen.now_utc)
    return [line for line in lines if not session or line.session == session]


def row(line: Standing, seen: Look) -> tuple[Any, ...]:
    unknown = [f"{gap.before}->{gap.after}" for gap in line.gaps]
    return (
        *(line.session or None, line.environment, line.account, line.symbol, line.state, line.ours),
        *(line.average_price, line.theirs, line.their_average_price, age(line.read_age_s), line.stop, line.risk_usd),
        *(line.price, line.open_usd, line.exposure_usd, line.realised_today_usd, line.realised_usd),
        *(line.fees_today_usd, line.fees_usd, ",".join(unknown) or None, connection_cell(seen, line.connection)),
    )


def _for_people(seen: Look, sums: list[AccountTotal], diff: bool) -> None:
    """On a terminal only: the ages, the sums and what the figures mean."""
    if not books.on_terminal():
        return
    for each in sums if not diff else ():
        account = seen.account(each.connection, each.account)
        echo(
            f"{each.environment} {account}  realised today {text(each.realised_today_usd)}  in all"
            f" {text(each.realised_usd)}  fees {text(each.fees_usd)}  open {text(each.open_usd)}  exposure"
            f" {text(each.exposure_usd)}  risk {text(each.risk_usd)}  broker's equity {text(each.broker_equity_usd)}"
        )
        if each.profit_unknown:
            echo(f"  profit of {', '.join(each.profit_unknown)} is unknown over an adoption: the sums are without it")
    for line in ages(seen):
        echo(line)
    echo("USD; open profit at the broker's last price, as old as its read; today is the account's trading day.")
