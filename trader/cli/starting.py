"""What a command that starts or ends something waits for: a child's state, and that a session could enter."""

from __future__ import annotations

import time
from collections.abc import Collection

from supervisor.control.client import Client
from trader.cli.common import Failed, RefusedByGate
from trader.cli.stored import hold_line, status_of
from trader.messages import SessionStatus
from trader.sessions import Session

POLL_S = 0.1
PATIENCE_S = 5.0
"""Machine seconds in which what hinders a start may pass by itself: a token's refresh, a confirming read."""


def wait_for(
    client: Client,
    name: str,
    states: tuple[str, ...],
    timeout_s: float,
    *,
    not_among: Collection[int] = (),
    known: Collection[int] | None = None,
) -> str:
    """Poll the tree until the child is in one of these states (a held child that is up counts as up). ``known``: what
    is none of these incarnations and is held has failed to start, which is told without waiting on."""
    began_s = time.monotonic()
    while True:
        found = client.tree(name).children
        state = found[0].state if found else "gone"
        fresh = not (found and found[0].incarnation in not_among)
        if fresh and any(state == wanted or state.endswith(f", {wanted}") for wanted in states):
            return state
        failed = known is not None and state.startswith("held") and found[0].incarnation not in known
        if failed or time.monotonic() > began_s + timeout_s:
            raise Failed(
                f"{name} is {state} after {time.monotonic() - began_s:.1f} s{_cause(client, name)}. What was commanded "
                f"is stored and goes on being tried; `nightdesk logs {name}` tells more."
            )
        time.sleep(POLL_S)


def _cause(client: Client, name: str) -> str:
    """Why a child is not there: its own end, or that of the one in its group that is held."""
    group = client.tree(name.rpartition("/")[0]).children
    causes = [child for child in group if child.name == name and child.why]
    causes += [child for child in group if child.state.startswith("held") and child.name != name]
    return "".join(f": {child.name + ' is held: ' if child.name != name else ''}{child.why}" for child in causes[:1])


def wait_for_agreement(client: Client, row: Session, timeout_s: float) -> None:
    """Until the started session could enter; else one message with the cause that the venue gave. What it says at
    first (no token yet, say) may pass by itself; what it says for ``PATIENCE_S`` is told."""
    until_s = time.monotonic() + timeout_s
    said_s = until_s
    while True:
        status = status_of(client, row.name)
        found = hindrances(row, status)
        if not found:
            return
        now_s = time.monotonic()
        told = status is not None and (_held(status) or any(each.text for each in status.hindrances))
        said_s = min(said_s, now_s) if told else until_s
        if now_s >= min(until_s, said_s + PATIENCE_S):
            kind = RefusedByGate if status is not None and _held(status) else Failed
            raise kind(
                f"session {row.name} runs, but cannot enter: {'; '.join(found)}. It goes on trying by itself; "
                f"`nightdesk status` shows when it can, `nightdesk session stop {row.name}` ends it."
            )
        time.sleep(POLL_S)


def _held(status: SessionStatus) -> bool:
    return bool(status.holds or status.person_holds)


def hindrances(row: Session, status: SessionStatus | None) -> list[str]:
    """What keeps a session from entering, in words; empty when nothing does."""
    if status is None:
        return ["its account manager does not answer"]
    found = [f"{each.about}: {each.text.rstrip('.') or 'not read from the venue yet'}" for each in status.hindrances]
    found += [f"entries are held: {hold_line(each)}" for each in status.person_holds]
    found += [f"entries of {each.symbol} are held: {each.why}" for each in status.holds]
    if not found:
        missing = [symbol for symbol in row.symbols if symbol not in status.agreed_age_s]
        found = [f"{symbol}: position not agreed with the broker yet" for symbol in missing]
    return found
