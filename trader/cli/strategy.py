"""`nightdesk strategy ...`: what can be run, and with which parameters."""

from __future__ import annotations

import subprocess
import sys
from pkgutil import iter_modules
from typing import Any

import click
import msgspec

from trader.cli.common import BadUsage, as_json, print_json
from trader.hosting.code import BadStrategy, find_code
from trader.hosting.examine import Answer, Question
from trader.hosting.loader import told
from trader.sessions import Code, Session

EXAMINE_LIMIT_S = 30.0
"""Seconds for the import of a strategy and all that it imports; the trader has 15 of them to start."""


@click.group()
def strategy() -> None:
    """List the bundled strategies, or show one strategy and its parameters."""


@strategy.command("list")
@as_json
def list_(as_json: bool) -> None:
    """The bundled strategies, one a line: name and what it does."""
    import trader.strategies

    names = sorted(module.name for module in iter_modules(trader.strategies.__path__))
    rows = [(name, found(name)[1].about.partition("\n")[0]) for name in names]
    if as_json:
        print_json({"strategies": [{"name": name, "about": about} for name, about in rows]})
        return
    for row in rows:
        click.echo("\t".join(row))


@strategy.command()
@click.argument("strategy")
@as_json
def show(strategy: str, as_json: bool) -> None:
    """STRATEGY (as in `session add`): its file, the hash of its code, what it does, its parameters with their types."""
    code, answer = found(strategy)
    if as_json:
        print_json(
            {
                "file": code.filename,
                "code_sha256": code.sha256,
                "about": answer.about,
                "parameters": answer.parameters,
            }
        )
        return
    click.echo(f"{code.filename}  code {code.sha256[:12]}")
    for line in answer.about.splitlines():
        click.echo(f"  {line.strip()}")
    click.echo("parameters (--set KEY=VALUE):" if answer.parameters else "no parameters")
    for each in answer.parameters:
        click.echo(f"  {told(each)}")


def found(strategy: str) -> tuple[Code, Answer]:
    code, class_name = code_of(strategy)
    return code, examined(code, class_name)


def code_of(strategy: str) -> tuple[Code, str]:
    """The code and the class's name."""
    try:
        return find_code(strategy)
    except BadStrategy as error:
        raise BadUsage(str(error)) from error


def of_session(row: Session) -> str:
    """What a session runs, as ``code_of`` takes it: its class stays the one that it was added with."""
    return row.strategy if ":" in row.strategy else f"{row.strategy}:{row.class_name}"


def examined(code: Code, class_name: str, settings: dict[str, Any] | None = None) -> Answer:
    """The answer of a process that imported it. ``BadUsage`` where it cannot be started with these parameters."""
    question = msgspec.json.encode(Question(code, class_name, settings or {}))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "trader.hosting.examine"],
            input=question,
            capture_output=True,
            timeout=EXAMINE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        text = f"{code.filename} was not imported within {EXAMINE_LIMIT_S:g} s; nothing was stored or started"
        raise BadUsage(text) from late
    try:
        answer = msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.DecodeError as error:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        told = f"exit {done.returncode}{': ' if last else ''}{''.join(last)}"
        text = f"{code.filename} ended the interpreter that imported it ({told}); nothing was stored or started"
        raise BadUsage(text) from error
    if answer.error:
        raise BadUsage(f"{class_name} cannot be started: {answer.error}. Nothing was stored or started.")
    return answer
