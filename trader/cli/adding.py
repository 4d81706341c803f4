"""`nightdesk session add`: what a session says of itself, checked against the configuration before it is stored."""

from __future__ import annotations

import re
from pathlib import Path

import click

from trader.cli.common import BadConfiguration, BadUsage, control, home_of, parameters_of
from trader.cli.main import home_option
from trader.cli.stored import config_of
from trader.cli.strategy import code_of, examined
from trader.config import DeskConfig
from trader.desk.commands import AddSession
from trader.hours.market_hours import calendar_of, root_of
from trader.risk.limits import live_refusal
from trader.sessions import FLAT_AT_CLOSE_MAX_MIN, AfterDivergence, InertStop, Session, StopPassed, name_fault

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
FLAT_AT_CLOSE_MIN = 5
"""Market minutes: as long as no entry goes before a close anyway; a market order needs seconds."""


@click.command()
@click.argument("name")
@click.option("--strategy", required=True, help="A bundled name (breakout), a module, or a file; :Class optional.")
@click.option("--account", required=True)
@click.option("--symbol", "symbols", multiple=True, required=True, help="Repeatable.")
@click.option("--connection", default=None, help="Of nightdesk.toml; default: its first.")
@click.option("--data-connection", default=None, help="Bars and quotes from another one; default: the same.")
@click.option("--live", is_flag=True, help="It trades LIVE; without this word it is SIM.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy; repeatable.")
@click.option(
    "--after-divergence",
    type=click.Choice(["hold", "follow"]),
    default="hold",
    show_default=True,
    help="After the broker differed: entries wait for you, or also follow another quantity that the strategy declares.",
)
@click.option(
    "--stop-passed",
    type=click.Choice(["exit", "page"]),
    default="exit",
    show_default=True,
    help="A declared stop that does not work and that the market has passed: exit at once, or page and hold.",
)
@click.option(
    "--inert-stop",
    type=click.Choice(["page", "close"]),
    default="page",
    show_default=True,
    help="A working stop that the market has passed and that does not fire: page; or also hold, cancel and close.",
)
@click.option(
    "--flat-at-close",
    "flat_at_close_min",
    type=click.IntRange(1, FLAT_AT_CLOSE_MAX_MIN),
    is_flag=False,
    flag_value=FLAT_AT_CLOSE_MIN,
    default=None,
    metavar="[MINUTES]",
    help=f"Close the position so many market minutes before each close, {FLAT_AT_CLOSE_MIN} where no number is said.",
)
@click.option(
    "--extended-hours",
    is_flag=True,
    help="Of stocks: stops and takes are for the time before and after regular hours, too, in the venue's form for it.",
)
@home_option
@click.pass_context
def add(
    context: click.Context,
    name: str,
    strategy: str,
    account: str,
    symbols: tuple[str, ...],
    connection: str | None,
    data_connection: str | None,
    live: bool,
    settings: tuple[str, ...],
    after_divergence: AfterDivergence,
    stop_passed: StopPassed,
    inert_stop: InertStop,
    flat_at_close_min: int | None,
    extended_hours: bool,
    home: str | None,
) -> None:
    """Store a session with a copy of its strategy's code. It is off until `session start`."""
    folder = home_of(context, home)
    if not NAME.fullmatch(name):
        raise BadUsage(f"session name {name!r}: wanted 1 to 40 of a-z 0-9 _ -, beginning with a letter or digit")
    if fault := name_fault(account, symbols):
        raise BadUsage(f"{fault}. It was not added.")
    code, class_name = code_of(strategy)
    config = config_of(folder)
    parameters = parameters_of(settings)
    examined(code, class_name, parameters)
    new = Session(
        name=name,
        strategy=_absolute(strategy),
        class_name=class_name,
        code_sha256=code.sha256,
        account=account,
        symbols=symbols,
        connection=_connection(config, connection),
        data_connection="" if data_connection is None else _connection(config, data_connection),
        parameters=parameters,
        live=live,
        after_divergence=after_divergence,
        stop_passed=stop_passed,
        inert_stop=inert_stop,
        flat_at_close_min=flat_at_close_min or 0,
        extended_hours=extended_hours,
    )
    unknown = [each for each in symbols if flat_at_close_min and not calendar_of(each, config.market_hours)]
    if unknown:
        raise BadConfiguration(
            f"{', '.join(unknown)}: nobody knows when its market closes, so nothing can be flat by then. Name its "
            "calendar in nightdesk.toml ([market_hours] calendars). It was not added."
        )
    if extended_hours:
        _check_extended(symbols, config)
    refusal = live_refusal(new, config.connections[new.connection].environment, config.limits)
    if refusal is not None:
        raise BadConfiguration(f"{refusal}. It was not added.")
    with control(folder) as client:
        client.call(AddSession(session=new, code=code))
    click.echo(f"session {name} added, off. → nightdesk session start {name}", err=True)


def _check_extended(symbols: tuple[str, ...], config: DeskConfig) -> None:
    """Futures have no such hours; of a stock it must be known when they are."""
    futures = [each for each in symbols if root_of(each)]
    if futures:
        raise BadUsage(
            f"{', '.join(futures)}: a future has no extended hours, its stops work whenever its market trades. Leave "
            "--extended-hours out. It was not added."
        )
    unknown = [each for each in symbols if each not in config.market_hours.extended]
    if unknown:
        raise BadConfiguration(
            f"{', '.join(unknown)}: its bars before and after regular hours are not asked for. Name it in "
            "nightdesk.toml ([market_hours] extended). It was not added."
        )


def _absolute(strategy: str) -> str:
    """A file is remembered by its full path: the next `session start` may come from another folder."""
    path, colon, name = strategy.partition(":")
    return f"{Path(path).resolve()}{colon}{name}" if path.endswith(".py") else strategy


def _connection(config: DeskConfig, name: str | None) -> str:
    if name is not None and name not in config.connections:
        raise BadUsage(
            f"no connection is called {name!r} in nightdesk.toml (there are: {', '.join(config.connections)})"
        )
    return name or next(iter(config.connections))
