"""`nightdesk fills`: what was bought and sold, at what price against the intended one, and what it cost."""

from __future__ import annotations

from typing import Any

import click

from trader.accounting.order_lines import FillLine, fill_lines, foreign_fill_lines
from trader.accounting.standing import freshest, of_account
from trader.cli.books import (
    Look,
    above,
    age,
    ask_for,
    confirmed,
    connection_cell,
    diff_option,
    end,
    fills_of,
    looked_json,
    stamp,
    table,
)
from trader.cli.common import BadUsage, as_json, home_of, print_json
from trader.cli.main import home_option
from trader.moments import moment_utc

COLUMNS = (
    *("time", "session", "env", "account", "symbol", "order", "state", "purpose", "side", "quantity", "price"),
    *("intended", "slippage", "fee", "broker filled", "read", "connection"),
)


@click.command()
@click.argument("session", default="")
@click.option(
    "-S",
    "--since",
    default="",
    help="From here on: '2026-11-19 02:00', 02:00, -2h (UTC); today, yesterday (trading days).",
)
@click.option("-U", "--until", default="", help="Up to here, the same spellings.")
@diff_option
@as_json
@home_option
@click.pass_context
def fills(
    context: click.Context, session: str, since: str, until: str, diff: bool, as_json: bool, home: str | None
) -> None:
    """Fills of all sessions, or of one, in a window of the market's time; and what others have filled. Piped: tabs.

    Exit code 5 where the broker has filled more or less of an order than we know.
    """
    folder = home_of(context, home)
    seen = confirmed(folder, session, lambda each: [x.state for x in _lines(each, session, since, until)])
    above(seen)
    if diff:
        ask_for(seen)
    lines = _lines(seen, session, since, until)
    shown = [line for line in lines if line.state.difference or not diff]
    if as_json:
        print_json({**looked_json(seen), "fills": shown})
    else:
        table(COLUMNS, [_row(line, seen) for line in shown], "nothing differs" if diff else "no fills")
    end(seen, (line.state for line in lines), wanted=diff)


def _lines(seen: Look, session: str, since: str, until: str) -> list[FillLine]:
    """In the sequence of their times."""
    lines: list[FillLine] = []
    _window(since, until, seen.now_utc, "")  # what is no moment is refused, whether there is a session or not
    for each in seen.ours:
        read = seen.broker(each.session)
        found = fills_of(seen.home, each.session, *_window(since, until, seen.now_utc, read.kind))
        lines += fill_lines(each, found, read)
    for read in freshest(seen.brokers):
        on_account = of_account(seen.ours, read, seen.places)
        foreign = foreign_fill_lines(read, on_account, *_window(since, until, seen.now_utc, read.kind))
        lines += [line for line in foreign if not session or (read.spot, line.symbol) in seen.owned]
    return sorted(lines, key=lambda line: line.at_utc)


def _window(since: str, until: str, now_utc: float, kind: str) -> tuple[float, float]:
    """From and to, by the days of an account of this kind."""
    try:
        return (
            moment_utc(since, now_utc, kind) if since else 0.0,
            moment_utc(until, now_utc, kind) if until else float("inf"),
        )
    except ValueError as error:
        raise BadUsage(str(error)) from error


def _row(line: FillLine, seen: Look) -> tuple[Any, ...]:
    return (
        *(stamp(line.at_utc), line.session or None, line.environment, line.account, line.symbol, line.order_id),
        *(line.state, line.purpose or None, line.side, line.quantity, line.price, line.intended_price),
        *(line.slippage_usd, line.fee_usd, line.their_filled_quantity, age(line.read_age_s)),
        connection_cell(seen, line.connection),
    )
