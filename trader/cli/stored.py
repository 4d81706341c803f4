"""What commands read of a home and ask of its account managers: configuration, sessions, holds, status. Files also
without a desk."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from supervisor.control.client import Client
from supervisor.errors import CallFailed, StoreFailed
from supervisor.messages import GetChildspec, Tree
from supervisor.process.store import SqliteStore
from supervisor.process.world import Store
from supervisor.runtime.home import owner_of
from trader.cli.common import (
    BadConfiguration,
    Failed,
    NoAnswer,
    NoSuchSession,
    NotRunning,
    control,
    no_answer,
    read_tree,
)
from trader.config import BadConfig, DeskConfig, read_config
from trader.holds import Holds, PersonHold
from trader.messages import ReadSessionStatus, SessionStatus
from trader.sessions import Session, Wanted, journal_path, manager_name
from trader.specs import ENSURE
from trader.store import desk
from trader.store.books import uncovered_s
from trader.store.holds import read_holds

T = TypeVar("T")
SHOW_LIMIT_S = 3.0


def config_of(home: Path) -> DeskConfig:
    try:
        return read_config(home)
    except BadConfig as error:
        raise BadConfiguration(str(error)) from error


def config_in_force(home: Path) -> tuple[DeskConfig | None, str]:
    """For whoever only looks, or stops something in alarm: the file's; where that cannot be used, what the running desk
    was started with, None where there is none; and what is wrong with the file, "" where nothing is."""
    try:
        return read_config(home), ""
    except BadConfig as error:
        config = _config_of_desk(home)
        shown = "what the running desk was started with is shown" if config else "what is stored is shown without it"
        return config, f"{error} Meanwhile {shown}."


def _config_of_desk(home: Path) -> DeskConfig | None:
    """As ensure_sessions has it, which starts all else by it."""
    try:
        with Client(str(home)) as client:
            arguments = client.call(GetChildspec(ENSURE), timeout_s=SHOW_LIMIT_S).arguments
        return msgspec.convert(arguments["config"], DeskConfig)
    except (CallFailed, KeyError, msgspec.ValidationError):
        # No desk, none that answers, or one of other code: then nothing is known of it.
        return None


def stored(home: Path) -> list[Session]:
    """The sessions of desk.db, read from the file: also when no desk runs."""
    return _of_desk(home, desk.read_sessions)


def stored_removed(home: Path) -> list[Session]:
    """Those that a person has removed and whose journal is still there."""
    return [each for each in _of_desk(home, desk.read_removed) if (home / journal_path(each.name)).exists()]


def stored_holds(home: Path) -> Holds:
    """What a person has stopped, as desk.db has it."""
    return _of_desk(home, read_holds)


def _of_desk(home: Path, read: Callable[[Store], T]) -> T:
    try:
        with closing(SqliteStore(home / desk.DESK_DB, None)) as store:
            return read(store)
    except StoreFailed as error:
        if (home / desk.DESK_DB).exists():
            raise Failed(str(error)) from error
        raise NotRunning(
            f"no desk has ever run on {home} (it has no {desk.DESK_DB}). `nightdesk --home {home} run` starts one."
        ) from error


def stored_one(home: Path, name: str) -> Session:
    for each in stored(home):
        if each.name == name:
            return each
    raise NoSuchSession(f"no session is called {name!r}; `nightdesk session list` shows them")


def running(home: Path) -> list[Session]:
    """Those that are not off: they may have positions and orders. None where no desk has ever run."""
    if not (home / desk.DESK_DB).exists():
        return []
    return [each for each in stored(home) if each.wanted is not Wanted.OFF]


def live(home: Path, name: str) -> tuple[Tree | None, SessionStatus | None]:
    """Its processes, and what its account manager knows: each of itself, None where nobody answers."""
    status = status_now(home, name)
    try:
        with control(home) as client:
            return read_tree(client, home, f"sessions/{name}", limit_s=SHOW_LIMIT_S), status
    except (NotRunning, NoAnswer):
        return None, status


def no_processes(home: Path) -> str:
    """Why none can be shown, in words."""
    pid = owner_of(str(home))
    return f"not known: {no_answer(home, pid)}" if pid else f"none: no desk runs on {home}"


def status_now(home: Path, name: str) -> SessionStatus | None:
    """Asked of the account manager itself: also where control or the supervising process does not answer."""
    with Client(str(home)) as client:
        return status_of(client, name)


def status_of(client: Client, name: str) -> SessionStatus | None:
    try:
        return client.call(ReadSessionStatus(), timeout_s=SHOW_LIMIT_S, to=manager_name(name))
    except CallFailed:
        # It is not there (off, restarting): the tree says so in the same output.
        return None


def uncovered_line(home: Path, name: str) -> str:
    """How often and how long positions of a session were without a working stop, to the millisecond."""
    path = home / journal_path(name)
    if not path.exists():
        return "never"
    try:
        with closing(SqliteStore(path, None)) as store:
            over_s = uncovered_s(store)
            now = [row["symbol"] for row in store.query("SELECT symbol FROM uncovered ORDER BY symbol")]
    except StoreFailed as error:
        raise Failed(str(error)) from error
    told = f"{len(over_s)} times, {sum(over_s):.3f} s in all, longest {max(over_s):.3f} s" if over_s else "never"
    return f"now: {', '.join(now)}; before: {told}" if now else told


def who() -> str:
    """The person at the command line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def hold_line(hold: PersonHold) -> str:
    """Who, when, why."""
    since = f"since {moment(hold.since_utc)}" if hold.since_utc else "by its file, not stored yet"
    return f"{hold.told()} ({since})"


def moment(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
