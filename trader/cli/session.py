"""`nightdesk session ...`: the life of a trading session."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from feeds.config import AccountLimits
from trader.cli.adding import add
from trader.cli.books import table
from trader.cli.common import (
    BadConfiguration,
    as_json,
    control,
    home_of,
    print_json,
)
from trader.cli.holding import flatten, hold, release
from trader.cli.main import home_option
from trader.cli.starting import wait_for, wait_for_agreement
from trader.cli.stored import (
    config_in_force,
    hold_line,
    live,
    no_processes,
    status_of,
    stored,
    stored_holds,
    stored_one,
    uncovered_line,
)
from trader.cli.strategy import code_of, examined, of_session
from trader.cli.words import bare, no_outcome, order_line, position_line, symbol_hold
from trader.config import DeskConfig
from trader.desk.commands import RemoveSession, StartSession, StopSession
from trader.holds import EVERYBODY
from trader.hosting.code import BadStrategy, find_code
from trader.hours.market_hours import said
from trader.messages import SessionStatus
from trader.risk.limits import limits_of
from trader.risk.limits import shown as shown_limits
from trader.sessions import (
    Session,
    Wanted,
    journal_path,
    trader_name,
)

wait_option = click.option(
    "--timeout", "timeout_s", type=float, default=20.0, show_default=True, help="How long to wait for it to show."
)


@click.group()
def session() -> None:
    """Add, list, show, start, stop, restart, hold, flatten, release and remove trading sessions."""


for command in (add, hold, flatten, release):
    session.add_command(command)


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
    columns = ("name", "wanted", "account", "symbols", "strategy", "env", "connection")
    rows = [
        (s.name, s.wanted, s.account, ",".join(s.symbols), s.strategy, environment(s), s.connection) for s in sessions
    ]
    table(columns, rows, "no sessions → nightdesk session add")


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
    config, misconfigured = config_in_force(folder)
    if misconfigured:
        click.echo(f"nightdesk: {misconfigured}", err=True)
    limits = _limits(config, row)
    holds = [each for each in stored_holds(folder).standing if each.session in (EVERYBODY, name)]
    if as_json:
        processes = tree.children if tree else ()
        print_json(
            {"session": row, "limits": limits, "holds": holds, "processes": processes, "account_manager": status}
        )
        sys.exit(BadConfiguration.exit_code if misconfigured else 0)
    symbols = ", ".join(row.symbols)
    click.echo(f"{row.name}  {environment(row)}  wanted {row.wanted}  start {row.start_no}  {row.account}  {symbols}")
    click.echo(f"  strategy  {row.strategy} ({row.class_name})  code {row.code_sha256[:12]}{changed(row)}")
    click.echo(f"  parameters  {json.dumps(row.parameters)}")
    click.echo(f"  limits  {shown_limits(limits['session']) if limits else 'not known'}")
    click.echo(f"  limits of {row.account}  {shown_limits(limits['account']) if limits else 'not known'}")
    click.echo(f"  after a divergence  {row.after_divergence}")
    click.echo(f"  orders by {row.connection}, data from {row.feeds_from}")
    for line in protection_lines(row):
        click.echo(f"  {line}")
    click.echo(f"  without a working stop  {uncovered_line(folder, name)}")
    of_the_file = [each for each in status.person_holds if not each.number] if status else []
    for each in (*holds, *of_the_file):
        click.echo(f"  hold  {hold_line(each)}")
    if tree is None and row.wanted is not Wanted.OFF:
        click.echo(f"  processes  {no_processes(folder)}")
    for child in tree.children if tree else ():
        pid = f"  pid {child.pid}" if child.pid else ""
        click.echo(f"  {child.name}  {child.state}{pid}  ↺{child.restarts}  {child.why}".rstrip())
    if status is not None:
        for line in _status_lines(status):
            click.echo(f"  {line}")
    if misconfigured:
        sys.exit(BadConfiguration.exit_code)


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
    code, class_name = code_of(of_session(row))
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


def _left_resting(status: SessionStatus | None) -> list[str]:
    if status is None:
        return ["nothing runs any more for it"]
    open_positions = [each for each in status.positions if each.quantity]
    lines = [f"minding {each.symbol} {each.quantity}, stop {each.stop}" for each in open_positions]
    return lines or ["flat: the session ends by itself"]


def changed(row: Session) -> str:
    """Whether what the trader runs is still what stands in the strategy's file, in words; "" if it is."""
    try:
        code, _ = find_code(of_session(row))
    except BadStrategy:
        return "  file unreadable since"
    return "" if code.sha256 == row.code_sha256 else "  file changed since start"


def environment(row: Session) -> str:
    """SIM or LIVE, shown wherever a session is."""
    return "LIVE" if row.live else "SIM"


def _limits(config: DeskConfig | None, row: Session) -> dict[str, AccountLimits] | None:
    """As nightdesk.toml has them now; a desk that runs has read it at its start."""
    if config is None:
        return None
    section = config.limits
    return {"session": limits_of(section, row.name), "account": section.accounts.get(row.account, AccountLimits())}
