"""What ensure_sessions has to do: wanted against running. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from supervisor.messages import ChildInfo, Tree
from trader.sessions import Session, Wanted, clash, trader_name


class StartOf(msgspec.Struct, frozen=True):
    """It should run and does not."""

    session: Session


class Terminate(msgspec.Struct, frozen=True):
    """A person restarts it: what runs of it ends first."""

    session: Session


class RestartTrader(msgspec.Struct, frozen=True):
    """It should trade and its trader has ended (it was started again while it was minding)."""

    session: Session


class EndOf(msgspec.Struct, frozen=True):
    """It should only be minded and its trader is there."""

    session: Session


Step = StartOf | Terminate | RestartTrader | EndOf


def plan_sessions(sessions: list[Session], tree: Tree, to_restart: frozenset[str]) -> list[Step]:
    """The steps, at most one a session; the next look takes the next step."""
    running = {child.name: child for child in tree.children}
    return [step for session in sessions if (step := _step(session, running, to_restart)) is not None]


def in_its_way(session: Session, sessions: Sequence[Session], tree: Tree, venues: Mapping[str, str]) -> str | None:
    """Why it may not begin: another one trades there. Two connections that led to two venues when it was added may lead
    to one by today's configuration (``venues``: by connection). Who runs goes on; of the others the first begins."""
    up = {child.name for child in tree.children if child.state != "ended"}
    place = [each.name for each in sessions].index(session.name)
    before = [
        other
        for number, other in enumerate(sessions)
        if number < place or (number > place and f"sessions/{other.name}" in up)
    ]
    by_another = [each for each in before if each.wanted is not Wanted.OFF and each.connection != session.connection]
    troubles = [clash(session, other, venues) for other in by_another]
    return next(filter(None, troubles), None)


def _step(session: Session, running: dict[str, ChildInfo], to_restart: frozenset[str]) -> Step | None:
    group = running.get(f"sessions/{session.name}")
    trader = running.get(trader_name(session.name))
    if group is None or group.state == "ended":
        return StartOf(session) if session.wanted is not Wanted.OFF else None
    if session.name in to_restart:
        return Terminate(session)
    ended = trader is not None and trader.state == "ended"
    if session.wanted is Wanted.TRADE and ended:
        return RestartTrader(session)
    if session.wanted is Wanted.MIND and trader is not None and not ended:
        return EndOf(session)
    return None
