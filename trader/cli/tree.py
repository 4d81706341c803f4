"""`nightdesk tree`: the supervision tree, once, or as it changes."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import click

from supervisor.control.client import Client
from supervisor.errors import CallFailed
from supervisor.messages import Tree
from trader.cli.common import NoSuchSession, as_json, control, home_of, print_json, read_tree
from trader.cli.lines import echo, wrapped
from trader.cli.main import home_option
from trader.view import changes, tree_lines, tree_row

DEATHS_WATCHED = 10
"""All that are kept of a child: between two looks it may die more than once."""
TREE_INDENT = 8
"""Of what a line goes on with on a narrow terminal."""
HOME, TO_END_OF_LINE, TO_END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@click.argument("under", default="")
@click.option("--deaths", type=click.IntRange(0), default=0, show_default=True, help="Show so many ends of each child.")
@click.option("-w", "--watch", is_flag=True, help="Go on: refresh on a terminal, print what changes when piped.")
@click.option("--every", "every_s", type=click.FloatRange(0.05), default=1.0, show_default=True, help="Seconds.")
@as_json
@home_option
@click.pass_context
def tree(
    context: click.Context, under: str, deaths: int, watch: bool, every_s: float, as_json: bool, home: str | None
) -> None:
    """The supervision tree: states, pids, restarts and why. Piped: columns separated by tabs."""
    folder = home_of(context, home)
    with control(folder) as client:
        seen = read_tree(client, folder, under, max(1, deaths))
        if under and not seen.children:
            raise NoSuchSession(f"not_found: nothing is called {under!r}; `nightdesk tree` shows the names")
        if watch:
            _watch(client, under, deaths, every_s, as_json)
    if as_json:
        _print_json(seen)
    elif sys.stdout.isatty():
        for line in tree_lines(seen, deaths):
            echo(line, TREE_INDENT)
    else:
        for child in seen.children:
            click.echo(tree_row(child, seen.now_s))


def _print_json(seen: Tree) -> None:
    print_json({"pid": seen.pid, "now_s": seen.now_s, "children": seen.children})


def _watch(client: Client, under: str, deaths: int, every_s: float, as_json: bool) -> None:
    """Until Ctrl-C; as JSON, one object whenever something changed. While nobody answers, that is what is shown."""
    before: Tree | None = None
    away = False
    while True:
        try:
            seen = client.tree(under, max(deaths, DEATHS_WATCHED))
        except CallFailed as failed:
            if not away and not as_json:
                _tell([f"control\tdoes not answer\t{failed}"], [f"(control does not answer: {failed})"])
            away = True
        else:
            rows = changes(before, seen)
            if not as_json:
                _tell(rows, tree_lines(seen, deaths))
            elif rows:
                _print_json(seen)
            before, away = seen, False
        time.sleep(every_s)


def _tell(rows: list[str], screen: list[str]) -> None:
    if sys.stdout.isatty():
        lines = [part for line in screen for part in wrapped(line, TREE_INDENT)]
        click.echo(HOME + "".join(f"{line}{TO_END_OF_LINE}\n" for line in lines) + TO_END_OF_SCREEN, nl=False)
        return
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    for row in rows:
        click.echo(f"{stamp}\t{row}")
