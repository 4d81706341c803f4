"""`nightdesk child ...`: OTP's functions of a supervisor on the command line, one command each."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from supervisor.messages import ChildRow, ChildSpec, Started
from trader.cli.common import BadUsage, as_json, control, home_of, print_json
from trader.cli.main import home_option


@click.group()
def child() -> None:
    """OTP's functions of a supervisor, for any process of the tree.

    For sessions use `nightdesk session`: what is started here is not stored, and what ensure_sessions wants it starts
    again. A NAME is a path of `nightdesk tree`; UNDER is a supervisor's.
    """


@child.command("list")
@click.argument("under", default="")
@as_json
@home_option
@click.pass_context
def list_(context: click.Context, under: str, as_json: bool, home: str | None) -> None:
    """which_children: the children of one supervisor (default: the root), the eldest first."""
    with control(home_of(context, home)) as client:
        children = client.which_children(under).children
    if as_json:
        print_json({"children": children})
    elif sys.stdout.isatty():
        width = max((len(each.id) for each in children), default=0)
        for each in children:
            click.echo(f"{each.id:<{width}}  {each.status:<10}  {each.type:<10}  {each.pid or '-':<8}  {each.start}")
    else:
        for each in children:
            click.echo("\t".join(map(str, _cells(each))))


def _cells(row: ChildRow) -> tuple[Any, ...]:
    return row.id, row.status, row.type, row.pid or "", row.incarnation or "", row.start, row.name


@child.command()
@click.argument("under", default="")
@as_json
@home_option
@click.pass_context
def count(context: click.Context, under: str, as_json: bool, home: str | None) -> None:
    """count_children: specs, active, supervisors and workers of one supervisor."""
    with control(home_of(context, home)) as client:
        counts = client.count_children(under)
    if as_json:
        print_json(counts)
        return
    for key, value in msgspec.structs.asdict(counts).items():
        click.echo(f"{key}\t{value}")


@child.command()
@click.argument("name")
@as_json
@home_option
@click.pass_context
def spec(context: click.Context, name: str, as_json: bool, home: str | None) -> None:
    """get_childspec, as JSON: what `child start` takes."""
    with control(home_of(context, home)) as client:
        found = client.get_childspec(name)
    if as_json:
        print_json({"spec": found})
        return
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


@child.command()
@click.argument("file", type=click.File("rb"))
@click.option("--under", default="", help="The supervisor's name; default: the root.")
@click.option("--ensure", is_flag=True, help="Content with one that runs already (ensure_child).")
@as_json
@home_option
@click.pass_context
def start(context: click.Context, file: Any, under: str, ensure: bool, as_json: bool, home: str | None) -> None:
    """start_child with the spec in FILE (JSON; - is stdin). Returns when it is ready."""
    wanted = read_spec(file.read())
    with control(home_of(context, home)) as client:
        _told((client.ensure_child if ensure else client.start_child)(under, wanted), as_json)


@child.command()
@click.argument("name")
@as_json
@home_option
@click.pass_context
def terminate(context: click.Context, name: str, as_json: bool, home: str | None) -> None:
    """terminate_child: end it, and do not start it again. Returns when it is down."""
    with control(home_of(context, home)) as client:
        client.terminate_child(name)
    _done(name, "terminated", as_json)


@child.command()
@click.argument("name")
@as_json
@home_option
@click.pass_context
def restart(context: click.Context, name: str, as_json: bool, home: str | None) -> None:
    """restart_child: start one that has ended and whose spec is kept."""
    with control(home_of(context, home)) as client:
        _told(client.restart_child(name), as_json)


@child.command()
@click.argument("name")
@as_json
@home_option
@click.pass_context
def delete(context: click.Context, name: str, as_json: bool, home: str | None) -> None:
    """delete_child: forget the spec of one that has ended."""
    with control(home_of(context, home)) as client:
        client.delete_child(name)
    _done(name, "deleted", as_json)


def read_spec(data: bytes) -> ChildSpec:
    try:
        return msgspec.json.decode(data, type=ChildSpec)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadUsage(f"bad_spec: {error}") from error


def _told(started: Started, as_json: bool) -> None:
    if as_json:
        print_json(started)
    elif not started.incarnation:
        click.echo(f"{started.name} had nothing to do", err=True)
    else:
        word = "runs already" if started.already else "started"
        click.echo(f"{started.name} {word}, pid {started.pid}", err=True)


def _done(name: str, word: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "done": word})
    else:
        click.echo(f"{name} {word}", err=True)
