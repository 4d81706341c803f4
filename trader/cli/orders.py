"""`nightdesk orders`: what works by our books and at the broker, and whose it is."""

from __future__ import annotations

from typing import Any

import click

from trader.accounting.order_lines import OrderLine, order_lines
from trader.accounting.standing import spot
from trader.cli.books import Look, above, age, ask_for, confirmed, connection_cell, diff_option, end, looked_json, table
from trader.cli.common import as_json, home_of, print_json
from trader.cli.main import home_option

COLUMNS = (
    *("session", "env", "account", "symbol", "order", "state", "purpose", "side", "type", "quantity", "filled", "stop"),
    *("pending", "broker qty", "broker filled", "broker stop", "broker limit", "broker status", "read", "connection"),
)


@click.command()
@click.argument("session", default="")
@diff_option
@as_json
@home_option
@click.pass_context
def orders(context: click.Context, session: str, diff: bool, as_json: bool, home: str | None) -> None:
    """Working orders: ours from the store, and all that work at the broker, with whose they are. Piped: tabs.

    Exit code 5 where something differs. An order that is not ours is shown and never touched.
    """
    seen = confirmed(home_of(context, home), session, lambda each: [x.state for x in _lines(each, session)])
    above(seen)
    if diff:
        ask_for(seen)
    lines = _lines(seen, session)
    shown = [line for line in lines if line.state.difference or not diff]
    if as_json:
        print_json({**looked_json(seen), "orders": shown})
    else:
        table(COLUMNS, [_row(line, seen) for line in shown], "nothing differs" if diff else "no order works")
    end(seen, (line.state for line in lines), wanted=diff)


def _lines(seen: Look, session: str) -> list[OrderLine]:
    """Of one session: its own, and what others have in its symbols on its account."""
    lines = order_lines(seen.ours, seen.brokers, seen.places)
    return [
        line
        for line in lines
        if not session or line.session or (spot(seen.places, line.connection, line.account), line.symbol) in seen.owned
    ]


def _row(line: OrderLine, seen: Look) -> tuple[Any, ...]:
    theirs = line.theirs
    told: tuple[Any, ...] = (None,) * 5
    if theirs is not None:
        told = (theirs.quantity, theirs.filled_quantity, theirs.stop_price, theirs.limit_price, theirs.status)
    return (
        *(line.session or None, line.environment, line.account, line.symbol, line.order_id, line.state),
        *(line.purpose or None, line.side, line.type, line.quantity, line.filled_quantity, line.stop_price),
        *(line.pending or None, *told, age(line.read_age_s), connection_cell(seen, line.connection)),
    )
