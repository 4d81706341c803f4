"""`nightdesk session ...`: the life of a trading session."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from feeds.config import AccountLimits
from trader.cli.books import table
from trader.cli.common import (
    BadConfiguration,
    BadUsage,
    as_json,
    control,
    home_of,
    parameters_of,
    print_json,
)
from trader.cli.holding import flatten, hold, release
from trader.cli.main import home_option
from trader.cli.starting import wait_for, wait_for_agreement
from trader.cli.stored import hold_line, live, status_of, stored, stored_holds, stored_one, uncovered_line
from trader.cli.strategy import examined
from trader.cli.words import bare, no_outcome, order_line, position_line, symbol_hold
from trader.config import BadConfig, DeskConfig, read_config
from trader.desk.commands import AddSession, RemoveSession, StartSession, StopSession
from trader.holds import EVERYBODY
from trader.hosting.code import BadStrategy, find_code
from trader.hours.market_hours import calendar_of, root_of, said
from trader.messages import SessionStatus
from trader.risk.limits import limits_of, live_refusal
from trader.risk.limits import shown as shown_limits
from trader.sessions import (
    FLAT_AT_CLOSE_MAX_MIN,
    AfterDivergence,
    Code,
    InertStop,
    Session,
    StopPassed,
    journal_path,
    trader_name,
)

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
FLAT_AT_CLOSE_MIN = 5
"""Market minutes: as long as no entry goes before a close anyway; a market order needs seconds."""
wait_option = click.option(
    "--timeout", "timeout_s", type=float, default=20.0, show_default=True, help="How long to wait for it to show."
)


@click.group()
def session() -> None:
    """Add, list, show, start, stop, restart, hold, flatten, release and remove trading sessions."""


for command in (hold, flatten, release):
    session.add_command(command)


@session.command()
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
    code, class_name = _code(strategy)
    config = _config(folder)
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


@session.command("list")
@as_json
@home_option
@click.pass_context
def list_(context: click.Context, as_json: bool, home: str | None) -> None:
    """All sessions and what is wanted of them, one a line."""
    sessions = stored(home_of(context, home))
    if as_json:
        print_json({"sessions": sessions})
        return
    columns = ("name", "wanted", "account", "symbols", "strategy", "env")
    rows = [(s.name, s.wanted, s.account, ",".join(s.symbols), s.strategy, environment(s)) for s in sessions]
    table(columns, rows)


@session.command()
@click.argument("name")
@as_json
@home_option
@click.pass_context
def show(context: click.Context, name: str, as_json: bool, home: str | None) -> None:
    """One session: what is stored, what runs, what its account manager knows."""
    folder = home_of(context, home)
    row = stored_one(folder, name)
    tree, status = live(folder, name)
    limits = _limits(folder, row)
    holds = [each for each in stored_holds(folder).standing if each.session in (EVERYBODY, name)]
    if as_json:
        processes = tree.children if tree else ()
        print_json(
            {"session": row, "limits": limits, "holds": holds, "processes": processes, "account_manager": status}
        )
        return
    symbols = ", ".join(row.symbols)
    click.echo(f"{row.name}  {environment(row)}  wanted {row.wanted}  start {row.start_no}  {row.account}  {symbols}")
    click.echo(f"  strategy  {row.strategy} ({row.class_name})  code {row.code_sha256[:12]}{changed(row)}")
    click.echo(f"  parameters  {json.dumps(row.parameters)}")
    click.echo(f"  limits  {shown_limits(limits['session'])}")
    click.echo(f"  limits of {row.account}  {shown_limits(limits['account'])}")
    click.echo(f"  after a divergence  {row.after_divergence}")
    click.echo(f"  orders by {row.connection}, data from {row.feeds_from}")
    for line in protection_lines(row):
        click.echo(f"  {line}")
    click.echo(f"  without a working stop  {uncovered_line(folder, name)}")
    of_the_file = [each for each in status.person_holds if not each.number] if status else []
    for each in (*holds, *of_the_file):
        click.echo(f"  hold  {hold_line(each)}")
    for child in tree.children if tree else ():
        pid = f"  pid {child.pid}" if child.pid else ""
        click.echo(f"  {child.name}  {child.state}{pid}  ↺{child.restarts}  {child.why}".rstrip())
    if status is not None:
        for line in _status_lines(status):
            click.echo(f"  {line}")


@session.command()
@click.argument("name")
@click.option("--take-over", is_flag=True, help="Take over a position that is there already as this session's own.")
@wait_option
@home_option
@click.pass_context
def start(context: click.Context, name: str, take_over: bool, timeout_s: float, home: str | None) -> None:
    """Trade: with the strategy's file as it is now. Waits until the tree shows the trader."""
    _start(home_of(context, home), name, take_over=take_over, restart=take_over, timeout_s=timeout_s)


@session.command()
@click.argument("name")
@wait_option
@home_option
@click.pass_context
def restart(context: click.Context, name: str, timeout_s: float, home: str | None) -> None:
    """End all of the session's processes and start it anew, with the strategy's file as it is now."""
    _start(home_of(context, home), name, take_over=False, restart=True, timeout_s=timeout_s)


@session.command()
@click.argument("name")
@wait_option
@home_option
@click.pass_context
def stop(context: click.Context, name: str, timeout_s: float, home: str | None) -> None:
    """End the session's trading. An open position is minded, and its stop stays at the broker, until it is flat."""
    folder = home_of(context, home)
    with control(folder) as client:
        client.call(StopSession(name=name))
        child = wait_for(client, trader_name(name), ("ended", "gone"), timeout_s)
        status = status_of(client, name)
    click.echo(f"session {name}: trading ended ({child})", err=True)
    for line in _left_resting(status):
        click.echo(f"  {line}", err=True)


@session.command()
@click.argument("name")
@home_option
@click.pass_context
def rm(context: click.Context, name: str, home: str | None) -> None:
    """Forget a session that is off. Its journal stays on disk, and what it has made in the sums of its account."""
    with control(home_of(context, home)) as client:
        client.call(RemoveSession(name=name))
    path = journal_path(name)
    click.echo(f"session {name} removed; its journal stays in {path}, its result in its account's sums", err=True)


# -- what the commands are made of ------------------------------------------------------------------


def _start(home: Path, name: str, *, take_over: bool, restart: bool, timeout_s: float) -> None:
    row = stored_one(home, name)
    code, class_name = _code(f"{row.strategy}:{row.class_name}" if ":" not in row.strategy else row.strategy)
    examined(code, class_name, row.parameters)
    with control(home) as client:
        before = {child.incarnation for child in client.tree(trader_name(name)).children}
        client.call(StartSession(name=name, code=code, take_over=take_over, restart=restart))
        not_among = before if restart else set[int]()
        word = wait_for(client, trader_name(name), ("up",), timeout_s, not_among=not_among, known=before)
        wait_for_agreement(client, row, timeout_s)
    click.echo(f"session {name}: trader {word}, position agreed with the broker", err=True)


def _status_lines(status: SessionStatus) -> list[str]:
    lines = [f"trading is done ({status.done_reason}); minding" if status.minding else "trading"]
    for position in status.positions:
        lines.append(f"position  {position_line(position)}")
        lines += [f"bare  {told}"] if (told := bare(status.name, position, status)) else []
    lines += [f"hours  {each.symbol} {said(each.phase, each.until_utc)}" for each in status.markets]
    lines += [f"order  {order_line(each)}" for each in status.orders]
    lines += [f"hold  {symbol_hold(status.name, each)}" for each in status.holds]
    lines += [f"flattening  {status.flattening}"] if status.flattening else []
    lines += [f"hindered  {each.about}: {each.text or 'not read yet'}" for each in status.hindrances]
    lines += [f"unsettled  {no_outcome(each)}" for each in status.unsettled]
    return lines


def protection_lines(row: Session) -> list[str]:
    """The session's words about stops and the close, for people."""
    passed = "executed as an exit at once" if row.stop_passed == "exit" else "paged, entries held"
    inert = "paged" if row.inert_stop == "page" else "paged, entries held, cancelled, the position closed"
    flat = f"{row.flat_at_close_min} min before each close" if row.flat_at_close_min else "no: kept over the close"
    return [
        f"a stop that the market has passed  {passed}",
        f"a stop that does not fire  {inert}",
        f"flat at the close  {flat}",
        f"stops and takes  {'for extended hours too' if row.extended_hours else 'for regular hours'}",
    ]


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


def _left_resting(status: SessionStatus | None) -> list[str]:
    if status is None:
        return ["nothing runs any more for it"]
    open_positions = [each for each in status.positions if each.quantity]
    lines = [f"minding {each.symbol} {each.quantity}, stop {each.stop}" for each in open_positions]
    return lines or ["flat: the session ends by itself"]


def _code(strategy: str) -> tuple[Code, str]:
    try:
        return find_code(strategy)
    except BadStrategy as error:
        raise BadUsage(str(error)) from error


def _absolute(strategy: str) -> str:
    """A file is remembered by its full path: the next `session start` may come from another folder."""
    path, colon, name = strategy.partition(":")
    return f"{Path(path).resolve()}{colon}{name}" if path.endswith(".py") else strategy


def changed(row: Session) -> str:
    """Whether what the trader runs is still what stands in the strategy's file, in words; "" if it is."""
    try:
        code, _ = find_code(f"{row.strategy}:{row.class_name}" if ":" not in row.strategy else row.strategy)
    except BadStrategy:
        return "  file unreadable since"
    return "" if code.sha256 == row.code_sha256 else "  file changed since start"


def environment(row: Session) -> str:
    """SIM or LIVE, shown wherever a session is."""
    return "LIVE" if row.live else "SIM"


def _limits(home: Path, row: Session) -> dict[str, AccountLimits]:
    """As nightdesk.toml has them now; a desk that runs has read it at its start."""
    section = _config(home).limits
    return {"session": limits_of(section, row.name), "account": section.accounts.get(row.account, AccountLimits())}


def _config(home: Path) -> DeskConfig:
    try:
        return read_config(home)
    except BadConfig as error:
        raise BadConfiguration(str(error)) from error


def _connection(config: DeskConfig, name: str | None) -> str:
    if name is not None and name not in config.connections:
        raise BadUsage(
            f"no connection is called {name!r} in nightdesk.toml (there are: {', '.join(config.connections)})"
        )
    return name or next(iter(config.connections))
