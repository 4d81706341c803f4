"""One step of an account manager: a transaction of its journal, what follows from it, and the record of both."""

from __future__ import annotations

from typing import Any, Protocol

from supervisor.process.world import World
from trader.manager.account import Account, Now
from trader.manager.journal import Journal


def now_of(world: World) -> Now:
    return Now(world.now_s(), world.now_utc(), world.market_rate())


class Steps(Protocol):
    """Whoever makes steps."""

    account: Account
    journal: Journal

    def follow(self, now: Now, plans: bool) -> None:
        """What follows from what happened; with ``plans`` also intents."""

    def log_committed(self) -> None:
        """What was recorded is on disk now."""


class Step:
    """``with``: one transaction. What happened (the body), what follows from it, how it is covered, and the record of
    all that. (A class: as a generator it would cost more than the decisions of a calm turn.)"""

    __slots__ = ("_manager", "_now", "_plans")

    def __init__(self, manager: Steps, now: Now, plans: bool) -> None:
        self._manager, self._now, self._plans = manager, now, plans

    def __enter__(self) -> Now:
        return self._now

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        manager = self._manager
        account, journal = manager.account, manager.journal
        if error is not None:
            journal.forget()
            return
        if not account.at_rest:
            manager.follow(self._now, self._plans)
        journal.commit()
        if account.committed:
            manager.log_committed()
