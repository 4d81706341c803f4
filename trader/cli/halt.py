"""`nightdesk halt` and `nightdesk release --all`: the kill-switch. It works with every process but the account managers
dead: the file `halt` in the home comes first, each account manager looks for it, and their journals confirm."""

from __future__ import annotations

import secrets
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from supervisor.errors import StoreFailed
from supervisor.process.files import SharedFile
from supervisor.runtime.home import owner_of
from trader.cli import stopping
from trader.cli.common import (
    BadConfiguration,
    BadUsage,
    Failed,
    NotRunning,
    UnknownOutcome,
    as_json,
    control,
    home_of,
    print_json,
)
from trader.cli.confirm import POLL_S, Condition, word
from trader.cli.holding import environment_of, wait_option, why_option, yes_option
from trader.cli.main import home_option
from trader.cli.stopping import Watch
from trader.cli.stored import hold_line, running, stored_holds, who
from trader.desk.commands import LiftHold, SetHold
from trader.holds import EVERYBODY, HALT_FILE, HaltFile, Holds, digest, those_of
from trader.sessions import Session

NOBODY_S = 3.0
"""Where control does not answer: an account manager that lives has taken the file by then, three times over."""
UNREAD = "SIM or LIVE?"
"""Of a session whose configuration or row cannot be read."""
STANDS = "The halt stands over restarts and reboots, for sessions to come too → nightdesk release --all"


@click.command()
@click.option("--flatten", is_flag=True, help="Close all positions too, and wait until the broker shows them flat.")
@yes_option
@why_option
@wait_option
@as_json
@home_option
@click.pass_context
def halt(
    context: click.Context,
    flatten: bool,
    yes: bool,
    why: str,
    timeout_s: float,
    as_json: bool,
    home: str | None,
) -> None:
    """Stop everything: hold all sessions, present and future, and cancel their working entries. No question asked."""
    folder = home_of(context, home)
    if not folder.is_dir():
        raise BadUsage(f"{folder} is no folder: nothing was halted. Give --home of the desk.")
    if flatten and not yes:
        stopping.ask(stopping.what_flatten_does(folder, list(_running(folder).items())))
    mark = write_halt_file(folder, why, flatten=flatten)
    trouble = _store(folder, SetHold(session=EVERYBODY, level="halt", by=who(), why=why, flatten=flatten))
    watch = Watch(folder, list(_running(folder)), timeout_s, quiet=as_json)
    if trouble:
        watch.say(f"{trouble} The file {folder / HALT_FILE} halts all the same.")
    _halted(watch, mark, trouble, as_json)
    flattens = _flattens(watch, mark) if flatten else None
    if flattens is not None and not watch.wait("flat by the broker", stopping.flat_since(flattens)):
        _report(watch, flattens, as_json)
        raise watch.unknown(f"It is stored and goes on. {STANDS}.")
    if flattens is not None:
        stopping.released_meanwhile([word(folder, each) for each in watch.sessions], flattens)
    _report(watch, flattens, as_json)
    if not as_json:
        click.echo(f"HALTED by {who()}. {STANDS}", err=True)


@click.command()
@click.option("--all", "all_", is_flag=True, help="Lift the halt of all sessions.")
@wait_option
@as_json
@home_option
@click.pass_context
def release(context: click.Context, all_: bool, timeout_s: float, as_json: bool, home: str | None) -> None:
    """Lift a halt, its file included. Sessions held by name stay held."""
    folder = home_of(context, home)
    if not all_:
        raise BadUsage(
            "release what? `nightdesk release --all` lifts a halt, `nightdesk session release NAME` one hold"
        )
    with control(folder) as client:
        lifted = client.call(LiftHold(session=EVERYBODY, by=who()))
    watch = Watch(folder, list(lifted.sessions), timeout_s, quiet=as_json)
    confirmed = watch.wait("released", stopping.taken_since(lifted.number))
    left = stored_holds(folder).standing
    if as_json:
        print_json({"lifted": lifted.lifted, "still_held": left, "confirmed": confirmed})
    if not confirmed:
        raise watch.unknown("The release is stored; entries pass when the account managers have seen it.")
    if as_json:
        return
    click.echo(f"released; it was: {hold_line(lifted.lifted)}", err=True)
    for each in left:
        click.echo(
            f"  still held: {each.session}: {hold_line(each)} → nightdesk session release {each.session}", err=True
        )


def write_halt_file(home: Path, why: str, *, flatten: bool) -> str:
    """Durable before anything else is tried; its digest. A full disk has room for an empty file; that halts as well."""
    written = datetime.now(UTC).isoformat(timespec="seconds")
    file = HaltFile(by=who(), why=why, written=written, flatten=flatten, id=secrets.token_hex(8))
    data = msgspec.json.encode(file)
    try:
        SharedFile(home / HALT_FILE, lambda limit_s: nullcontext()).write(data)
    except StoreFailed as failed:
        data = _empty_halt_file(home / HALT_FILE, failed)
    return digest(data)


def _empty_halt_file(path: Path, failed: StoreFailed) -> bytes:
    """What is in it now: nothing, or what an earlier halt has written."""
    try:
        path.touch(mode=0o600)
        data = path.read_bytes()
    except OSError as error:
        raise Failed(f"NOT HALTED: {failed} An empty file neither: {error}. Use the broker's own screen.") from failed
    click.echo(f"  {failed} The empty file {path} halts as well, but does not say who and why.", err=True)
    return data


def _running(home: Path) -> dict[str, str]:
    """The environment of each session that may trade; where desk.db cannot be read, of each that has a journal."""
    try:
        rows = running(home)
    except Failed as failed:
        click.echo(f"  {failed.format_message()}", err=True)
        return {path.stem: UNREAD for path in sorted((home / "sessions").glob("*.db"))}
    return {row.name: _environment(home, row) for row in rows}


def _environment(home: Path, row: Session) -> str:
    try:
        return environment_of(home, row)
    except BadConfiguration:
        return UNREAD


def _store(home: Path, request: SetHold) -> str:
    """Why the desk could not store it now, in words; "" when it has."""
    try:
        with control(home) as client:
            client.call(request)
    except (NotRunning, UnknownOutcome, Failed) as error:
        return error.format_message()
    return ""


def _halted(watch: Watch, mark: str, trouble: str, as_json: bool) -> None:
    """Raises where the account managers have not confirmed: 3 where none is there at all, 7 where nobody knows."""
    soon_s = time.monotonic() + NOBODY_S
    if trouble and not _anybody(watch, mark, soon_s):
        _report(watch, None, as_json)
        if pid := owner_of(str(watch.home)):
            raise UnknownOutcome(
                f"the desk runs (pid {pid}), and none of its account managers answers: each obeys the file before it "
                f"enters anything, and cancels the entries that work when it is back. {STANDS}. Look at the broker."
            )
        raise NotRunning(
            f"no account manager of this home answers: it seems that no desk runs, so nothing enters. {STANDS}. "
            "Entries that work at the broker are cancelled at the next start, not before: look at the broker."
        )
    if not (watch.wait("held", _taken(mark)) and watch.wait("entries cancelled", stopping.no_entries)):
        _report(watch, None, as_json)
        raise watch.unknown(f"It goes on. {STANDS}.")


def _anybody(watch: Watch, mark: str, until_s: float) -> bool:
    """Whether at least one account manager is there by then, to take the file."""
    while time.monotonic() < until_s:
        if any(_taken(mark)(word(watch.home, each)) for each in watch.sessions):
            return True
        time.sleep(POLL_S)
    return False


def _taken(mark: str) -> Condition:
    """It has seen this very file, and says that it is halted."""
    return lambda word: word.taken.halted and word.taken.file == mark


def _flattens(watch: Watch, mark: str) -> dict[str, int]:
    """The numbers under which the recorder has stored the closes, with the halt itself."""
    while True:
        holds = _holds_or_none(watch.home)
        halt = those_of(EVERYBODY, holds.standing)
        if halt is not None and halt.file == mark:
            return holds.flattens
        if time.monotonic() > watch.until_s:
            raise UnknownOutcome(
                "halted, but no position is being closed: the recorder has not stored the halt, and begins the close "
                f"when it is back. {STANDS}. Look at the broker."
            )
        time.sleep(POLL_S)


def _holds_or_none(home: Path) -> Holds:
    try:
        return stored_holds(home)
    except Failed:
        return Holds()  # nobody knows; it is waited for as if it were not stored yet


def _report(watch: Watch, flattens: dict[str, int] | None, as_json: bool) -> None:
    if as_json:
        words = [word(watch.home, each) for each in watch.sessions]
        print_json({"halted": True, "sessions": stopping.stopped(words, flattens, watch.home)})
