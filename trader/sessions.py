"""What a session is and what is wanted of it. PURE.

A session is one strategy, on one account, on its symbols, that we keep running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

import msgspec

from supervisor.spec import is_name

SYMBOL_LENGTH_MAX = 64
"""Of a symbol or an account: it stands in names of processes, beside the kind of feed and the interval."""


class Wanted(StrEnum):
    """What is wanted of a session: trade; mind (no trader, positions are looked after); off."""

    TRADE = "trade"
    MIND = "mind"
    OFF = "off"


AfterDivergence = Literal["hold", "follow"]
"""What lets a strategy's entries pass again after a divergence: a person alone, or also another quantity that it
declares than the one which the divergence has voided."""
StopPassed = Literal["exit", "page"]
"""What becomes of a declared stop that does not work and that the market has passed: an exit at once, or a page."""
InertStop = Literal["page", "close"]
"""What follows when the market has passed a working stop that does not fire: a page; or also hold, cancel, close."""
FLAT_AT_CLOSE_MAX_MIN = 720
"""Half a day: more is a slip of the pen."""


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of desk.db, as every process of the session reads it at its start.

    ``strategy`` is what the user gave (a file or an importable name, ``:Class`` optional); ``code_sha256`` names the
    stored copy that runs. ``start_no`` is raised by each ``session start``; a trader whose number is done is over.
    """

    name: str
    strategy: str
    class_name: str
    code_sha256: str
    account: str
    symbols: tuple[str, ...]
    connection: str
    parameters: dict[str, Any] = {}
    wanted: Wanted = Wanted.OFF
    start_no: int = 0
    take_over: bool = False
    """Take over a position that a new journal finds at the broker (order-safety 3.7)."""
    live: bool = False
    """Trades LIVE: said by a person when the session is added; its connection must say the same (law 10)."""
    after_divergence: AfterDivergence = "hold"
    data_connection: str = ""
    """Bars and quotes come from here; "" is its ``connection``, which its orders go to in any case."""
    stop_passed: StopPassed = "exit"
    inert_stop: InertStop = "page"
    flat_at_close_min: int = 0
    """So many market minutes before each close entries end and the position is closed; 0: it is kept."""
    extended_hours: bool = False
    """Stops and takes of stocks are for the time before and after regular hours, too."""

    @property
    def feeds_from(self) -> str:
        return self.data_connection or self.connection


def name_fault(account: str, symbols: Sequence[str]) -> str:
    """Why these cannot be a session's; "" if they can. They become parts of process names, and so of paths."""
    for what, name in (("account", account), *(("symbol", symbol) for symbol in symbols)):
        if not is_name(name) or len(name) > SYMBOL_LENGTH_MAX:
            return (
                f"{what} {name!r}: wanted 1 to {SYMBOL_LENGTH_MAX} of A-Z a-z 0-9 @ $ . _ : + = - (/ between them), "
                "as it becomes a part of process names"
            )
    twice = [symbol for symbol in dict.fromkeys(symbols) if symbols.count(symbol) > 1]
    return f"symbol {twice[0]} is given twice" if twice else ""


def clash(new: Session, other: Session, venues: Mapping[str, str]) -> str:
    """Why the two cannot both trade; "" if they can: an account has one connection, a symbol on it one owner.
    ``venues`` by connection: one account name at two of them is two accounts; of a connection that is not configured
    any more nobody knows where it led."""
    one, another = new.connection, other.connection
    may_be_one = one == another or one not in venues or another not in venues or venues[one] == venues[another]
    if new.account != other.account or not may_be_one:
        return ""
    if one != another:
        return (
            f"session {other.name} trades account {new.account} by connection {another}; one connection an account, or "
            "its limits would be counted twice. Use that connection"
        )
    both = {each.upper() for each in new.symbols} & {each.upper() for each in other.symbols}
    owns = f"session {other.name} owns {', '.join(sorted(both))} on account {new.account}"
    return f"{owns}; one owner per account and symbol. Use another account" if both else ""


class Code(msgspec.Struct, frozen=True):
    """A stored copy of a strategy's file. ``filename`` is where it came from, for messages and tracebacks."""

    sha256: str
    filename: str
    source: str


# Names: a session's processes. Peers hold these, never pids or sockets.


def manager_name(session: str) -> str:
    return f"sessions/{session}/account_manager"


def data_source_name(session: str) -> str:
    return f"sessions/{session}/data_source"


def trader_name(session: str) -> str:
    return f"sessions/{session}/trader"


def journal_path(session: str) -> str:
    """The session's journal, below the home."""
    return f"sessions/{session}.db"
