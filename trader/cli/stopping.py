"""What `halt`, `session hold` and `session flatten` share: asking first, waiting for confirmation, and its exit codes.

Nothing is told as done before the account managers' journals say so; a close not before the broker has shown it flat.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from trader.cli.common import BadUsage, Failed, RefusedByGate, UnknownOutcome, print_json
from trader.cli.confirm import Condition, Word, wait
from trader.cli.stored import status_now
from trader.messages import SessionStatus
from trader.view import duration


class Stopped(msgspec.Struct, frozen=True):
    """One session in the JSON output. ``flat``: the broker has confirmed it since; None where nobody asked for it."""

    session: str
    held: bool
    entries_working: int
    flat: bool | None
    positions: dict[str, str]
    orders_working: tuple[str, ...]
    waits_for: str = ""


class Watch:
    """Waits for one thing after the other, until one moment, and tells each as it comes."""

    def __init__(self, home: Path, sessions: list[str], timeout_s: float, *, quiet: bool) -> None:
        self.home, self.sessions, self.quiet = home, sessions, quiet
        self.until_s = time.monotonic() + timeout_s
        self.left: list[Word] = []
        self.what = ""

    def say(self, text: str) -> None:
        if not self.quiet:
            click.echo(f"  {time.strftime('%H:%M:%S')}  {text}", err=True)

    def wait(self, what: str, wanted: Condition, until_s: float | None = None) -> bool:
        """False: not all of them, and what follows is not waited for."""
        done, self.left = wait(self.home, self.sessions, wanted, min(self.until_s, until_s or self.until_s))
        self.what = what
        self.say(f"{what}: {len(done)} of {len(self.sessions)} confirmed")
        return not self.left

    def unknown(self, after: str) -> UnknownOutcome:
        """What is known, by the broker's last read where an account manager answers."""
        known = [self._known(each) for each in self.left]
        return UnknownOutcome(
            f"not confirmed: {self.what} ({'; '.join(known)}). {after} Look at the broker, and with `nightdesk status`."
        )

    def _known(self, left: Word) -> str:
        status = status_now(self.home, left.session)
        if status is None:
            return f"{left.told()}; its account manager does not answer"
        waits = f", waits for {status.flattening}" if status.flattening else ""
        return f"{left.told()}{waits}, {read_ages(status)}"


def read_ages(status: SessionStatus) -> str:
    ages = [f"{symbol} agreed with the broker {duration(age_s)} ago" for symbol, age_s in status.agreed_age_s.items()]
    return ", ".join(ages) or "never agreed with the broker in this run"


def taken_since(number: int) -> Condition:
    """The account manager has seen this change of the holds."""
    return lambda word: word.taken.seen >= number


def no_entries(word: Word) -> bool:
    return word.entries == 0


def flat_since(flattens: dict[str, int]) -> Condition:
    """Confirmed by the broker, or ended by a person's release, which is told apart."""
    return lambda word: word.taken.over >= flattens.get(word.session, 0)


def stopped(words: list[Word], flattens: dict[str, int] | None, home: Path) -> list[Stopped]:
    return [
        Stopped(
            session=each.session,
            held=each.taken.held,
            entries_working=each.entries,
            flat=None if flattens is None else each.taken.confirmed >= flattens.get(each.session, 0),
            positions=each.positions,
            orders_working=each.orders,
            waits_for=each.unread or _waits(each, flattens, home),
        )
        for each in words
    ]


def _waits(word: Word, flattens: dict[str, int] | None, home: Path) -> str:
    if flattens is None or word.taken.over >= flattens.get(word.session, 0):
        return ""
    status = status_now(home, word.session)
    return status.flattening if status is not None else "its account manager does not answer"


def released_meanwhile(words: list[Word], flattens: dict[str, int]) -> None:
    ended = [each.session for each in words if each.taken.confirmed < flattens.get(each.session, 0)]
    if ended:
        raise Failed(f"a person released {', '.join(ended)} before the broker had confirmed it flat")


def what_flatten_does(home: Path, sessions: list[tuple[str, str]]) -> list[str]:
    """One line a session: environment, entries, positions as the account manager and the broker's reads have them."""
    lines = []
    for name, environment in sessions:
        status = status_now(home, name)
        if status is None:
            lines.append(f"{environment} {name}: its account manager does not answer; what it holds is not known here")
            continue
        entries = sum(order.purpose == "entry" for order in status.orders)
        held = [f"close {p.symbol} {p.quantity} at market" for p in status.positions if p.quantity] or ["flat"]
        lines.append(f"{environment} {name}: hold, cancel {entries} entries, {', '.join(held)} ({read_ages(status)})")
    return lines


def ask(lines: list[str], word: str = "") -> None:
    """Once, on a terminal. ``word``: what must be typed (LIVE); "": yes or no."""
    for line in lines:
        click.echo(f"  {line}", err=True)
    click.echo(
        "  Protective stops stay until each position is confirmed flat; foreign orders are not touched.", err=True
    )
    if not sys.stdin.isatty():
        raise BadUsage("no terminal to ask on, so nothing was done. Give --yes to flatten without a question.")
    if word:
        if click.prompt(f"LIVE. Type the session's name ({word}) to go on", err=True) != word:
            raise RefusedByGate("that was another name; nothing was done")
    elif not click.confirm("Proceed?", err=True):
        raise Failed("nothing was done")


def finish(as_json: bool, content: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(content)
    else:
        click.echo(text, err=True)
