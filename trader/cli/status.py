"""`nightdesk status`: the one screen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size

import click
import msgspec

from supervisor.control.client import Client
from supervisor.errors import CallFailed, NoPeer
from supervisor.messages import ChildInfo, Tree
from supervisor.process.printable import printable
from supervisor.runtime.home import owner_of
from trader.accounting.standing import Standing, standings
from trader.cli.books import look_with, on_terminal, text
from trader.cli.common import Failed, as_json, control, home_of, print_json, read_tree
from trader.cli.incidents import HELD_UP, open_pages, told_by_cause
from trader.cli.lines import echo
from trader.cli.main import home_option
from trader.cli.session import changed, environment
from trader.cli.stored import hold_line, stored, stored_holds
from trader.cli.words import bare, no_outcome, symbol_hold
from trader.holds import EVERYBODY, PersonHold
from trader.hours.market_hours import said
from trader.incidents import by_cause
from trader.messages import PositionView, ReadSessionStatus, SessionStatus
from trader.sessions import Session, Wanted, manager_name, trader_name
from trader.store import desk
from trader.view import duration

EXIT_DEGRADED = 5
INDENT = 6
"""Of what is told of a session."""
ASK_LIMIT_S = 2.0


class SessionView(msgspec.Struct, frozen=True):
    """A session as `status` shows it. ``money``: a line a symbol, as `positions` has it. ``trouble``: what a person
    should know, in words. ``changed``: the strategy's file is no longer what was started."""

    session: Session
    state: str
    account_manager: SessionStatus | None
    trouble: tuple[str, ...]
    money: tuple[Standing, ...] = ()
    changed: str = ""


@click.command()
@click.option("-a", "--all", "all_of", is_flag=True, help="Also each incident that follows from another one.")
@as_json
@home_option
@click.pass_context
def status(context: click.Context, all_of: bool, as_json: bool, home: str | None) -> None:
    """The whole desk on one screen. Exit code 0 all well, 3 not running, 5 running but degraded."""
    folder = home_of(context, home)
    unread: list[str] = []
    with control(folder) as client:
        tree = _tree_or_left_open(client, folder, as_json=as_json)
        sessions = stored_or_told(folder, unread)
        money = money_of(client, folder, sessions, tree.now_s, unread)
        views = [
            msgspec.structs.replace(session_view(client, each, tree), money=money.get(each.name, ()))
            for each in sessions
        ]
    holds = holds_or_told(folder, unread)
    feeds_from = {each.name: each.feeds_from for each in sessions}
    events, causes = by_cause(open_pages(folder, unread, tree.now_s), tree.children, feeds_from)
    degraded = (
        bool(events)
        or bool(unread)
        or bool(holds)
        or any(view.trouble for view in views)
        or any(_bad(child) for child in tree.children)
    )
    if as_json:
        word = "degraded" if degraded else "ok"
        print_json(
            {
                "state": word,
                "pid": tree.pid,
                "holds": holds,
                "sessions": views,
                "open": events,
                "causes": causes,
                "unread": unread,
                "tree": tree.children,
            }
        )
    else:
        slowed = [child for child in tree.children if _bad(child)]
        _print_status(tree, views, degraded, holds, unread)
        for line in told_by_cause(events, causes, slowed, tree.now_s, all_of=all_of):
            echo(f"  {line}")
    sys.exit(EXIT_DEGRADED if degraded else 0)


def _tree_or_left_open(client: Client, home: Path, *, as_json: bool) -> Tree:
    """The tree. Of a desk that does not run, people are told first what it has left open at the broker."""
    try:
        return read_tree(client, home)
    except NoPeer:
        if not owner_of(str(home)) and not as_json:
            for line in left_open(home):
                echo(line)
        raise


def left_open(home: Path) -> list[str]:
    """What sessions hold by their journals, without a desk; and what of it is not known."""
    if not (home / desk.DESK_DB).exists():
        return []
    unread: list[str] = []
    money = money_of(None, home, stored_or_told(home, unread), 0.0, unread)
    held = [(name, line) for name, lines in money.items() for line in lines if line.ours is None or line.ours]
    told = [f"  ▲ {name}  {'  '.join(money_line(line, None, asked=False))}" for name, line in held]
    return [*(f"  ✖ {text}" for text in unread), *told]


def session_view(client: Client, row: Session, tree: Tree) -> SessionView:
    child = next((each for each in tree.children if each.name == trader_name(row.name)), None)
    state, why = (child.state, child.why) if child else ("not running", "")
    manager = None
    trouble: list[str] = []
    if row.wanted is not Wanted.OFF:
        try:
            manager = client.call(ReadSessionStatus(), timeout_s=ASK_LIMIT_S, to=manager_name(row.name))
        except CallFailed as error:
            trouble.append(f"account manager does not answer: {error}")
    if manager is not None:
        trouble += _troubles(row, manager)
    if row.wanted is Wanted.TRADE and state == "idle":
        trouble.append("trader waits until account manager and data source are up")
    elif row.wanted is Wanted.TRADE and state != "up":
        trouble.append(f"trader is {state}{': ' + why if why else ''}")
    return SessionView(
        row, state, manager, tuple(trouble), changed=changed(row).strip() if row.wanted is Wanted.TRADE else ""
    )


def _troubles(row: Session, manager: SessionStatus) -> list[str]:
    found = [f"entries held: {hold_line(hold)}" for hold in manager.person_holds]
    found += [symbol_hold(row.name, hold) for hold in manager.holds]
    found += [f"flatten waits for {manager.flattening}"] if manager.flattening else []
    found += [f"{each.about}: {each.text or 'not read from the venue yet'}" for each in manager.hindrances]
    found += [no_outcome(each) for each in manager.unsettled]
    for symbol in row.symbols:
        age_s = manager.agreed_age_s.get(symbol)
        if age_s is None:
            found.append(f"{symbol}: position never agreed with the broker in this run")
        elif age_s > manager.agreed_max_age_s:
            found.append(f"{symbol}: position last agreed {duration(age_s)} ago")
    return found + [told for each in manager.positions if (told := bare(row.name, each, manager))]


def money_of(
    client: Client | None, home: Path, sessions: list[Session], now_s: float, unread: list[str]
) -> dict[str, tuple[Standing, ...]]:
    """Each session's lines. What cannot be read goes to ``unread``: the processes are shown all the same."""
    try:
        seen = look_with(client, home, sessions, now_s)
    except Failed as error:
        unread.append(str(error))
        return {}
    unread += [seen.misconfigured] if seen.misconfigured else []
    unread += [text for text in seen.unread if text not in unread]
    lines = standings(seen.ours, seen.brokers, seen.places, seen.now_utc)
    return {each.name: tuple(line for line in lines if line.session == each.name) for each in sessions}


def stored_or_told(home: Path, unread: list[str]) -> list[Session]:
    """The stored sessions; where desk.db cannot be read, ``unread`` says so and the rest of the desk is shown."""
    try:
        return stored(home)
    except Failed as error:
        unread.append(str(error))
        return []


def holds_or_told(home: Path, unread: list[str]) -> tuple[PersonHold, ...]:
    """What a person has stopped; where desk.db cannot be read that was told already."""
    try:
        return stored_holds(home).standing
    except Failed as error:
        unread += [] if str(error) in unread else [str(error)]
        return ()


def _bad(child: ChildInfo) -> bool:
    return child.state.startswith("held") or child.state == "waiting"


def _print_status(
    tree: Tree, views: list[SessionView], degraded: bool, holds: tuple[PersonHold, ...], unread: Sequence[str]
) -> None:
    """The head, what could not be read (before the figures that it may falsify), then the sessions."""
    workers = [child for child in tree.children if child.type == "worker"]
    restarts = sum(child.restarts for child in workers)
    up = sum(child.state in ("up", HELD_UP) for child in workers)
    wanted = sum(child.state != "ended" for child in workers)  # what ended by itself (market hours are written) is done
    slowed = [child for child in tree.children if _bad(child)]
    more = f", {len(slowed)} slowed down" if slowed else ""
    sign, word = ("▲", "degraded") if degraded else ("●", "ok")
    click.echo(f"{sign} nightdesk  {environments(views)}  {word}   pid {tree.pid}")
    click.echo(f"  processes  {up} up of {wanted}{more}   restarts {restarts}")
    for told in unread:
        echo(f"  ✖ {told}")
    for hold in holds:
        echo(f"  ▲ {'HALTED' if hold.session == EVERYBODY else 'held ' + hold.session}  {hold_line(hold)}")
    several = len({view.session.connection for view in views}) > 1
    for view in views:
        _print_session(view, holds, several=several)


def money_line(
    line: Standing, agreed_s: float | None, position: PositionView | None = None, *, asked: bool = True
) -> list[str]:
    """In parts: ``ESZ13  2 @ 1672.25  stop 1664  take 1680 (venue)  risk 825.00  day 387.50  open 54.00 (price 12.1s
    old)  agreed 4.2s ago``. Of take and trail it says who sees to them; a stop is always an order at the venue, and
    ``covered`` says in which hours it works. ``asked``: its session is not off.

    The day is what was realised in the account's trading day, less fees; where nothing was, a flat symbol has none.
    """
    if line.ours is None:
        theirs = "not read" if line.theirs is None else f"{line.theirs} ({duration(line.read_age_s or 0.0)} old)"
        return [line.symbol, "position not known: its journal cannot be read", f"the broker's {theirs}"]
    told = [line.symbol, f"{line.ours} @ {text(line.average_price)}" if line.ours else "flat"]
    if line.ours:
        told += [f"stop {text(line.stop)}", *_held(position), f"risk {text(line.risk_usd)}"]
    today_usd = None if line.realised_today_usd is None else line.realised_today_usd - line.fees_today_usd
    if line.ours or today_usd != 0:
        told.append(f"day {text(today_usd)}" + (" and unknown over an adoption" if line.gaps else ""))
    if line.ours and line.open_usd is not None and line.read_age_s is not None:
        told.append(f"open {text(line.open_usd)} (price {duration(line.read_age_s)} old)")
    if asked:
        told.append("not agreed" if agreed_s is None else f"agreed {duration(agreed_s)} ago")
    return told


def _held(position: PositionView | None) -> list[str]:
    told = []
    if position is not None and position.take is not None:
        told.append(f"take {text(position.take)} ({position.take_held_by or 'nobody'})")
    if position is not None and position.trail is not None:
        trail = position.trail
        behind = text(trail.amount) if trail.amount is not None else f"{trail.percent}%"
        told.append(f"trail {behind} ({position.trail_held_by or 'nobody'})")
    if position is not None and position.covered:
        told.append(f"covered {position.covered}")
    return told


def environments(views: list[SessionView]) -> str:
    """What trades here: SIM unless a session says LIVE."""
    words = {environment(view.session) for view in views}
    return " and ".join(sorted(words)) or "SIM"


def _print_session(view: SessionView, holds: tuple[PersonHold, ...], *, several: bool = False) -> None:
    """``several``: sessions of more than one connection are shown, so each says which is its own."""
    row, manager = view.session, view.account_manager
    sign = "▲" if view.trouble else "○" if row.wanted is Wanted.OFF else "●"
    live = "LIVE  " if row.live else ""
    account = f"{row.account} by {row.connection}" if several else row.account
    echo(
        f"  {sign} {row.name}  {live}{', '.join(row.symbols)}  {account}  wanted {row.wanted}, trader {view.state}"
        + (f"  {view.changed}" if view.changed else "")
    )
    positions = {each.symbol: each for each in manager.positions} if manager else {}
    phases = {each.symbol: said(each.phase, each.until_utc) for each in manager.markets} if manager else {}
    for line in view.money:
        agreed_s = manager.agreed_age_s.get(line.symbol) if manager else None
        told = money_line(line, agreed_s, positions.get(line.symbol), asked=row.wanted is not Wanted.OFF)
        for part in _folded([*told, phases.get(line.symbol, "")]):
            click.echo(f"      {part}".rstrip())
    above = {f"entries held: {hold_line(hold)}" for hold in holds}  # who, when and why stand in the head
    for trouble in dict.fromkeys("entries held, see above" if each in above else each for each in view.trouble):
        echo(f"      ▲ {printable(trouble)}")


def _folded(parts: list[str]) -> list[str]:
    """In lines of the terminal's width, broken between parts; piped, one line."""
    width = get_terminal_size().columns - INDENT if on_terminal() else sys.maxsize
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(f"  {part}")
    return lines
