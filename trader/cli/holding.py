"""`nightdesk session hold`, `release` and `flatten`: what a person stops in one session."""

from __future__ import annotations

from pathlib import Path

import click

from trader.cli import stopping
from trader.cli.common import Failed, as_json, control, home_of, print_json
from trader.cli.confirm import word
from trader.cli.main import home_option
from trader.cli.stopping import Watch
from trader.cli.stored import config_in_force, hold_line, status_of, stored_holds, stored_one, who
from trader.cli.words import put_back
from trader.desk.commands import HoldLifted, LiftHold, SetHold
from trader.holds import EVERYBODY, those_of
from trader.messages import ReleaseHold
from trader.sessions import Session, Wanted, manager_name

wait_option = click.option(
    "--timeout", "timeout_s", type=float, default=20.0, show_default=True, help="How long to wait for confirmation."
)
why_option = click.option("--why", default="", help="Shown wherever the hold is shown.")
yes_option = click.option("--yes", is_flag=True, help="Flatten without a question.")


@click.command()
@click.argument("name")
@why_option
@wait_option
@as_json
@home_option
@click.pass_context
def hold(context: click.Context, name: str, why: str, timeout_s: float, as_json: bool, home: str | None) -> None:
    """No new entries until `session release`; exits, stops and working entries go on."""
    folder = home_of(context, home)
    row = stored_one(folder, name)
    with control(folder) as client:
        number = client.call(SetHold(session=name, level="hold", by=who(), why=why)).number
    watch = _watch(folder, row, timeout_s, as_json)
    if not watch.wait("entries held", stopping.taken_since(number)):
        if as_json:
            print_json({"sessions": stopping.stopped(watch.left, None, folder)})
        raise watch.unknown("It is stored, and the account manager takes it before its next entry.")
    _finish(watch, as_json, f"session {name} held; it stays so until `nightdesk session release {name}`")


@click.command()
@click.argument("name")
@yes_option
@why_option
@wait_option
@as_json
@home_option
@click.pass_context
def flatten(
    context: click.Context, name: str, yes: bool, why: str, timeout_s: float, as_json: bool, home: str | None
) -> None:
    """Hold, cancel entries, close the position, and wait until the broker shows it flat."""
    folder = home_of(context, home)
    row = stored_one(folder, name)
    environment = environment_of(folder, row)
    if not yes:
        lines = stopping.what_flatten_does(folder, [(name, environment)])
        stopping.ask(lines, word=name if environment == "LIVE" else "")
    with control(folder) as client:
        number = client.call(SetHold(session=name, level="halt", by=who(), why=why, flatten=True)).number
    watch = _watch(folder, row, timeout_s, as_json)
    flattens = {name: number}
    if not (
        watch.wait("entries held", stopping.taken_since(number))
        and watch.wait("entries cancelled", stopping.no_entries)
        and watch.wait("flat by the broker", stopping.flat_since(flattens))
    ):
        if as_json:
            print_json({"sessions": stopping.stopped(watch.left, flattens, folder)})
        raise watch.unknown("It is stored and goes on.")
    words = [word(folder, each) for each in watch.sessions]
    stopping.released_meanwhile(words, flattens)
    _finish(watch, as_json, f"session {name} is flat; held until `nightdesk session release {name}`", flattens)


@click.command()
@click.argument("name")
@click.argument("symbols", nargs=-1, metavar="[SYMBOL]...")
@wait_option
@as_json
@home_option
@click.pass_context
def release(
    context: click.Context, name: str, symbols: tuple[str, ...], timeout_s: float, as_json: bool, home: str | None
) -> None:
    """Let entries pass again: lift the hold a person has set, and what the desk itself holds, as after a divergence
    that you understood. With SYMBOL only what the desk itself holds of these.

    What the strategy declares from then on is a new decision.
    """
    folder = home_of(context, home)
    row = stored_one(folder, name)
    lifted, released = None, []
    with control(folder) as client:
        if not symbols and those_of(name, stored_holds(folder).standing) is not None:
            lifted = client.call(LiftHold(session=name, by=who()))
            _confirm(folder, row, lifted, timeout_s, as_json)
        status = status_of(client, name)
        held = {each.symbol for each in status.holds} if status is not None else set()
        for symbol in symbols or tuple(each for each in row.symbols if each in held):
            client.call(ReleaseHold(symbol=symbol), to=manager_name(name))
            released.append(symbol)
    removed = status.stops_removed if status else ()
    left = [f"{symbol}: no stop, {put_back(name, symbol)}" for symbol in removed if symbol not in released]
    if lifted is None and not released:
        hinders = "; ".join(left) or f"`nightdesk session show {name}` tells what hinders it"
        raise Failed(f"session {name}: nothing is held{_still_halted(folder)}; {hinders}")
    if as_json:
        told = {"lifted": lifted.lifted if lifted else None, "symbols": released, "confirmed": True}
        print_json({"session": name, **told})
        return
    if lifted is not None:
        click.echo(f"session {name} released; it was: {hold_line(lifted.lifted)}{_still_halted(folder)}", err=True)
    for symbol in released:
        click.echo(f"session {name}: {symbol} released", err=True)
    for text in left:
        click.echo(f"  {text}", err=True)


def environment_of(home: Path, row: Session) -> str:
    """SIM or LIVE. A connection of which nobody knows any more counts as LIVE: rather asked than not."""
    config, _ = config_in_force(home)
    connection = config.connections.get(row.connection) if config else None
    return connection.environment if connection is not None else "LIVE"


def _watch(home: Path, row: Session, timeout_s: float, as_json: bool) -> Watch:
    """One that is off has no account manager; what is stored is read before its first entry."""
    return Watch(home, [] if row.wanted is Wanted.OFF else [row.name], timeout_s, quiet=as_json)


def _confirm(home: Path, row: Session, lifted: HoldLifted, timeout_s: float, as_json: bool) -> None:
    watch = _watch(home, row, timeout_s, as_json)
    if not watch.wait("released", stopping.taken_since(lifted.number)):
        if as_json:
            print_json({"session": row.name, "lifted": lifted.lifted, "symbols": [], "confirmed": False})
        raise watch.unknown("The release is stored; entries pass when the account manager has seen it.")


def _finish(watch: Watch, as_json: bool, text: str, flattens: dict[str, int] | None = None) -> None:
    words = [word(watch.home, each) for each in watch.sessions]
    off = "" if watch.sessions else " (it is off: no process, no order, no position of it)"
    stopping.finish(as_json, {"sessions": stopping.stopped(words, flattens, watch.home)}, f"{text}{off}")


def _still_halted(home: Path) -> str:
    halt = those_of(EVERYBODY, stored_holds(home).standing)
    return "" if halt is None else f"; still: {hold_line(halt)} → nightdesk release --all"
