"""What the commands share: the home, the exit codes, a control socket, output for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from supervisor.control.client import Client
from supervisor.errors import NoPeer, OutcomeUnknown, Refused
from supervisor.messages import ReadTree, Tree
from supervisor.runtime.home import owner_of

SCHEMA = 1
"""Of all JSON output; raised when a key changes its meaning."""
TREE_LIMIT_S = 10.0
"""The supervising process answers in milliseconds; one that is asleep for so long is told as that."""

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


class Failed(click.ClickException):
    """1: it did not work."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        click.echo(f"nightdesk: {self.format_message()}", err=True)


class BadUsage(Failed):
    exit_code = 2


class NotRunning(Failed):
    exit_code = 3


class NoSuchSession(Failed):
    """Nor any process of that name."""

    exit_code = 4


class BadConfiguration(Failed):
    exit_code = 78


class RefusedByGate(Failed):
    exit_code = 6


class UnknownOutcome(Failed):
    exit_code = 7


class NoAnswer(UnknownOutcome):
    """The desk runs, by the lock of its home, and nobody answers for it: control is away, or the supervisor hangs."""


class LoginNeeded(Failed):
    """A person must sign in, or the sign-in was refused."""

    exit_code = 8


def home_of(context: click.Context, home: str | None) -> Path:
    """The folder given after the command, before it, or by NIGHTDESK_HOME."""
    chosen = home or context.obj
    if not chosen:
        raise BadUsage("no home: give --home DIR or set NIGHTDESK_HOME (the folder of nightdesk.toml)")
    return Path(chosen).expanduser().resolve()


@contextmanager
def control(home: Path) -> Iterator[Client]:
    """The control socket of a running desk; failures become exit codes."""
    with Client(str(home)) as client:
        try:
            yield client
        except NoPeer as error:
            if pid := owner_of(str(home)):
                raise NoAnswer(f"{no_answer(home, pid)} Nothing was done.") from error
            raise NotRunning(f"no desk runs on {home}. `nightdesk --home {home} run` starts it.") from error
        except OutcomeUnknown as error:
            raise UnknownOutcome(f"{error}. Look with `nightdesk status` before you repeat it.") from error
        except Refused as error:
            if error.word == "outcome unknown":  # of what control asked of the recorder
                raise UnknownOutcome(str(error)) from error
            unknown = "no session is called" in str(error) or error.word == "not_found"
            raise (NoSuchSession if unknown else Failed)(str(error)) from error


def read_tree(client: Client, home: Path, under: str = "", deaths: int = 1, limit_s: float = TREE_LIMIT_S) -> Tree:
    """The tree, for who only looks: without an answer he need not wonder what may have happened."""
    try:
        return client.call(ReadTree(under=under, deaths=deaths), timeout_s=limit_s)
    except OutcomeUnknown as error:
        raise NoAnswer(no_answer(home, owner_of(str(home)))) from error
    except Refused as error:
        if error.word == "ending":  # control itself: it gave up waiting for the supervisor
            raise NoAnswer(no_answer(home, owner_of(str(home)))) from error
        raise


def no_answer(home: Path, pid: int) -> str:
    who, end = (f" (pid {pid})", f"`kill -9 {pid}`") if pid else ("", "end its supervising process")
    return (
        f"the desk on {home} runs{who} but does not answer: its control starts again or is held, or the supervising "
        f"process hangs. Try again in a few seconds; {home / 'logs' / 'nightdesk.log'} tells. If it stays, {end} and "
        "run it again (systemd does both): positions and stops stay at the broker. `nightdesk positions` and "
        "`nightdesk halt` work all the same."
    )


def print_json(value: dict[str, Any] | msgspec.Struct) -> None:
    click.echo(json.dumps({"schema": SCHEMA, **msgspec.to_builtins(value)}))


def parameters_of(settings: tuple[str, ...]) -> dict[str, Any]:
    """``--set KEY=VALUE``: a value that is JSON is taken as that, anything else as text."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.isidentifier():
            raise BadUsage(f"--set {setting!r}: wanted KEY=VALUE")
        try:
            parameters[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            parameters[key] = value
    return parameters
