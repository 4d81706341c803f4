"""What `positions`, `orders`, `fills`, `reconcile` and `status` look at: our books from the store, and the broker's
last read from the books of each account. Reading changes nothing and asks no session's process for anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, TypeVar

import click
import msgspec

from feeds import paths
from feeds.day_start import day_start
from feeds.messages import LastSnapshot, Snapshot
from feeds.trading_day import began_utc, trading_day
from supervisor.control.client import Client
from supervisor.errors import CallFailed, NoPeer, StoreFailed
from supervisor.process.clock import BadClock, Clock
from supervisor.process.store import SqliteStore
from trader.accounting.money import Fill
from trader.accounting.order_lines import TradedOrder
from trader.accounting.standing import (
    Broker,
    Ours,
    Place,
    SessionBook,
    Spot,
    State,
    freshest,
    place_of,
    spot,
)
from trader.cli.common import BadConfiguration, Failed, NoAnswer, NoSuchSession, NotRunning, control, read_tree
from trader.cli.stored import config_in_force, stored, stored_removed
from trader.config import DeskConfig
from trader.sessions import Session, Wanted, journal_path
from trader.store.books import read_book, read_fills
from trader.view import duration

EXIT_DIFFERS = 5
ASK_LIMIT_S = 2.0
CONFIRM_S = 1.0
"""A difference is looked at again so much later (machine seconds): the account manager takes a read a moment after the
books have it."""

UNKNOWN = "-"
"""A cell of which nothing is known."""

L = TypeVar("L")

diff_option = click.option(
    "--diff", is_flag=True, help="Only what differs from the broker's; 3 where no desk runs to ask."
)


class Look(msgspec.Struct, frozen=True):
    """One look at both sides. ``running``: a desk was there to be asked. ``places``: of all connections that are
    configured. ``unread``: stores that cannot be read. ``misconfigured``: why nightdesk.toml cannot be used."""

    home: Path
    now_utc: float
    running: bool
    places: dict[str, Place]
    ours: tuple[Ours, ...]
    brokers: tuple[Broker, ...]
    unread: tuple[str, ...]
    misconfigured: str = ""

    def broker(self, session: Session) -> Broker:
        return next(b for b in self.brokers if (b.connection, b.account) == (session.connection, session.account))

    @property
    def owned(self) -> set[tuple[Spot, str]]:
        """Account and symbol of each session."""
        sessions = [each.session for each in self.ours]
        return {(spot(self.places, s.connection, s.account), symbol) for s in sessions for symbol in s.symbols}

    def account(self, connection: str, account: str) -> str:
        """For people: by which connection, where there are several."""
        return f"{account} by {connection}" if len(self.places) > 1 else account

    @property
    def unsettled(self) -> list[tuple[str, str]]:
        """Session and symbol of each placing whose outcome is not known."""
        return [(each.session.name, symbol) for each in self.ours for symbol in sorted(each.book.unsettled)]

    @property
    def missing(self) -> list[Broker]:
        """Accounts of sessions that run, without a read."""
        used = {(o.session.connection, o.session.account) for o in self.ours if o.session.wanted is not Wanted.OFF}
        return [each for each in self.brokers if each.content is None and (each.connection, each.account) in used]


def look(home: Path, name: str = "") -> Look:
    """At all sessions, or at one, removed ones too: what they have made is their account's. The broker first: what is
    newer in our books then shows itself as newer."""
    sessions, removed = _named(stored(home), name), _named(stored_removed(home), name)
    if name and not sessions and not removed:
        raise NoSuchSession(f"no session is called {name!r}; `nightdesk session list` shows them")
    try:
        with control(home) as client:
            return look_with(client, home, sessions, read_tree(client, home).now_s, removed)
    except NoAnswer:  # the books of an account answer for themselves
        with Client(str(home)) as client:
            return look_with(client, home, sessions, time.monotonic(), removed)
    except NotRunning:
        return look_with(None, home, sessions, 0.0, removed)


def look_with(
    client: Client | None, home: Path, sessions: Sequence[Session], now_s: float, removed: Sequence[Session] = ()
) -> Look:
    """``client`` None: no desk runs. ``now_s``: its machine time."""
    config, misconfigured = config_in_force(home)
    clock = _clock(home, config)
    places = _places(config, (*sessions, *removed))
    accounts = dict.fromkeys((each.connection, each.account) for each in (*sessions, *removed))
    unread: list[str] = []
    brokers = tuple(
        _broker(client, *each, place_of(places, each[0]), _kind(home, *each, unread), clock, now_s) for each in accounts
    )
    ours = [_ours(home, each, brokers, places, unread) for each in sessions]
    ours += [_ours(home, each, brokers, places, unread, removed=True) for each in removed]
    now_utc = clock.market_utc()
    return Look(home, now_utc, client is not None, places, tuple(ours), brokers, tuple(unread), misconfigured)


def _places(config: DeskConfig | None, sessions: Iterable[Session]) -> dict[str, Place]:
    """Where the connections lead. Without a configuration each is a venue of its own, and what is stored of a session
    says whether it is LIVE."""
    if config is None:
        return {each.connection: Place("LIVE" if each.live else "SIM", each.connection) for each in sessions}
    return {name: Place(each.environment, each.venue) for name, each in config.connections.items()}


def _broker(
    client: Client | None, connection: str, account: str, place: Place, kind: str, clock: Clock, now_s: float
) -> Broker:
    nothing = Broker(place, connection, account, kind=kind)
    if client is None:
        return msgspec.structs.replace(nothing, why="no desk runs: nobody asks the broker")
    try:
        last = client.call(LastSnapshot(), timeout_s=ASK_LIMIT_S, to=paths.books(connection, account))
    except NoPeer:
        return msgspec.structs.replace(nothing, why=f"{account}: its books are not there; no session needs them now")
    except CallFailed as failed:
        return msgspec.structs.replace(nothing, why=str(failed))
    return _read(nothing, last, clock, now_s)


def _read(nothing: Broker, last: Snapshot, clock: Clock, now_s: float) -> Broker:
    age_s = max(0.0, now_s - last.requested_s)
    read_utc = clock.market_utc() - age_s * clock.rate()
    return msgspec.structs.replace(nothing, content=last.content, age_s=age_s, read_utc=read_utc)


def _kind(home: Path, connection: str, account: str, unread: list[str]) -> str:
    """By which an account's trading days are cut. Where its books have never read it, there is nothing to count yet."""
    path = paths.day_start(connection, account)
    try:
        start = day_start((home / path).read_bytes(), path)
    except FileNotFoundError:
        return ""
    except (OSError, StoreFailed) as error:
        unread.append(f"when the trading day of {account} began is not known, New York's date is taken: {error}")
        return ""
    return start.kind if start is not None else ""


def _ours(
    home: Path,
    session: Session,
    brokers: Iterable[Broker],
    places: dict[str, Place],
    unread: list[str],
    *,
    removed: bool = False,
) -> Ours:
    known = len(unread)
    book = _book(home, session, brokers, places, unread)
    return Ours(session, book, removed, unread=len(unread) > known)


def _book(
    home: Path, session: Session, brokers: Iterable[Broker], places: dict[str, Place], unread: list[str]
) -> SessionBook:
    """Empty where the session has never run."""
    where = spot(places, session.connection, session.account)
    told = [b.content.orders for b in brokers if b.spot == where and b.content is not None]
    ids = tuple(order.order_id for orders in told for order in orders)
    return in_journal(home, session, SessionBook(), unread, lambda store, path: read_book(store, path, ids))


def fills_of(
    home: Path, session: Session, since_utc: float, until_utc: float
) -> list[tuple[Fill, TradedOrder, Decimal]]:
    unread: list[str] = []  # the look has said it already
    return in_journal(home, session, [], unread, lambda store, path: read_fills(store, path, since_utc, until_utc))


def in_journal(home: Path, session: Session, nothing: L, unread: list[str], read: Callable[[SqliteStore, str], L]) -> L:
    """``read`` over a session's journal, as of one moment; ``nothing`` where there is none, or it cannot be read."""
    path = home / journal_path(session.name)
    if not path.exists():
        return nothing
    try:
        store = SqliteStore(path, None)
        try:
            store.execute("BEGIN")
            return read(store, str(path))
        finally:
            store.roll_back()
            store.close()
    except StoreFailed as error:
        unread.append(str(error))
        return nothing


def confirmed(home: Path, name: str, states: Callable[[Look], Iterable[State]]) -> Look:
    """A look; where something differs, a second one a moment later decides."""
    seen = look(home, name)
    if not any(state.difference for state in states(seen)):
        return seen
    time.sleep(CONFIRM_S)
    return look(home, name)


def ask_for(seen: Look) -> None:
    """``--diff`` wants the broker's side: 3 where no desk runs."""
    if not seen.running:
        raise NotRunning(f"no desk runs on {seen.home}, so the broker's side is not known. `nightdesk run` starts it.")


def above(seen: Look) -> None:
    """What has to be read before the figures."""
    if seen.misconfigured:
        click.echo(f"nightdesk: {seen.misconfigured}", err=True)


def end(seen: Look, states: Iterable[State], *, wanted: bool) -> None:
    """What could not be read is said; the exit code. ``wanted``: the broker's side was asked for. (That the
    configuration cannot be used was said above it all: ``above``.)"""
    for text in seen.unread:
        click.echo(f"nightdesk: {text}", err=True)
    for name, symbol in seen.unsettled:
        text = f"{name}: an instruction of {symbol} has no outcome, so the broker may have more than is shown here"
        click.echo(f"nightdesk: {text} → nightdesk doctor", err=True)
    for each in seen.missing if seen.running else ():
        account = seen.account(each.connection, each.account)
        click.echo(f"nightdesk: the broker's side of {account} is not known: {each.why}", err=True)
    if not seen.running:
        click.echo(f"nightdesk: no desk runs on {seen.home}: the broker's side is not known, ours is stored", err=True)
    if seen.misconfigured:
        sys.exit(BadConfiguration.exit_code)
    if seen.unread or (wanted and seen.missing):
        sys.exit(1)
    if any(state.difference for state in states):
        sys.exit(EXIT_DIFFERS)


def _accounts(seen: Look) -> list[dict[str, Any]]:
    """Each account's read, without what it says; and its trading day, which is what is meant by today."""
    return [
        {
            "environment": each.environment,
            "connection": each.connection,
            "account": each.account,
            "read_age_s": each.age_s,
            "read_utc": each.read_utc or None,
            "why": each.why,
            "day": trading_day(seen.now_utc, each.kind).isoformat(),
            "day_began_utc": began_utc(seen.now_utc, each.kind),
        }
        for each in seen.brokers
    ]


def looked_json(seen: Look) -> dict[str, Any]:
    """What each of these commands tells of its look, whatever it looks at."""
    unsettled = [{"session": name, "symbol": symbol} for name, symbol in seen.unsettled]
    wrong = {"misconfigured": seen.misconfigured} if seen.misconfigured else {}
    return {**wrong, "now_utc": seen.now_utc, "accounts": _accounts(seen), "unsettled": unsettled}


def ages(seen: Look) -> list[str]:
    """For people: how old the broker's word is, by account, and since when it is today there."""
    return [
        f"{each.environment} {seen.account(each.connection, each.account)}  broker read "
        + (f"{duration(each.age_s)} ago" if each.age_s is not None else f"absent: {each.why}")
        + f"; today is since {stamp(began_utc(seen.now_utc, each.kind))[:16]}Z"
        for each in freshest(seen.brokers)
    ]


# -- output ------------------------------------------------------------------------------------------------------------


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], none: str = "") -> None:
    """Aligned under its columns for people; piped: one row a line, cells separated by tabs, nothing cut. ``none``: what
    people are told where there is no row: silence could as well be a command that does not work."""
    cells = [[text(each) for each in row] for row in rows]
    if not on_terminal():
        for row in cells:
            click.echo("\t".join(row))
        return
    if not cells and none:
        click.echo(none)
    for line in aligned(columns, cells, get_terminal_size().columns):
        click.echo(line)


def aligned(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    """Without the columns that nothing is known of. What is wider than ``width`` comes in bands below each other, each
    of which begins with what names its rows: the first column, and the symbol."""
    if not cells:
        return []
    kept = [n for n in range(len(columns)) if n == 0 or any(row[n] != UNKNOWN for row in cells)]
    wide = {n: max(len(columns[n]), *(len(row[n]) for row in cells)) for n in kept}
    names = [n for n in kept if n == 0 or columns[n] == "symbol"]
    bands = [list(names)]
    for n in (each for each in kept if each not in names):
        if sum(wide[each] + 2 for each in bands[-1]) + wide[n] > width and len(bands[-1]) > len(names):
            bands.append(list(names))
        bands[-1].append(n)
    lines: list[str] = []
    for band in bands:
        lines += [""] if lines else []
        lines += ["  ".join(row[n].ljust(wide[n]) for n in band).rstrip() for row in [list(columns), *cells]]
    return lines


def connection_cell(seen: Look, connection: str) -> str | None:
    """The last cell of a row: for people only where there are several."""
    return connection if len(seen.places) > 1 or not on_terminal() else None


def on_terminal() -> bool:
    return sys.stdout.isatty()


def text(value: Any) -> str:
    """A cell; for people, too."""
    if value is None:
        return UNKNOWN
    if isinstance(value, Decimal):
        return f"{value:f}"
    return " ".join(str(value).split())


def age(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)


def stamp(utc: float) -> str:
    """ISO, UTC, in milliseconds."""
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _named(sessions: Sequence[Session], name: str) -> list[Session]:
    return [each for each in sessions if name in ("", each.name)]


def _clock(home: Path, config: DeskConfig | None) -> Clock:
    """Without a configuration this machine's."""
    try:
        return Clock(str(home / config.desk.clock) if config and config.desk.clock else "")
    except BadClock as error:
        raise Failed(str(error)) from error
