"""The keeper of one account's own limits, over all its sessions: answers from memory, within a millisecond.

A process of its own beside the books, because their reads block their mailbox for seconds and an entry waits for this
answer for one. It asks the venue nothing: what the account holds comes with the books' snapshots; what it has promised
since, it remembers (``reservations.py``). After a crash it promises nothing before a read that was requested so late
that whatever its predecessor let pass is in it. It is there only where the account has limits of its own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from feeds import paths
from feeds.config import AccountLimits, Timing
from feeds.messages import (
    AccountSeen,
    ReadSnapshot,
    Release,
    Reserve,
    Reserved,
    Snapshot,
    SnapshotFailed,
    StillReserved,
)
from feeds.reservations import Standing
from feeds.specs import BooksArguments
from supervisor.errors import Refused
from supervisor.messages import Message, Request, Subscribed
from supervisor.process.server import Caller, Server

ON_ITS_WAY_S = 60.0
"""Machine seconds after its validity in which an entry may still reach the venue: six times the limit of a request."""


def in_flight_s(timing: Timing) -> float:
    """Machine seconds from a promise until its order is at the venue or never sent: its validity, and two requests."""
    return timing.entry_valid_s + timing.late_machine_s + 2 * timing.http_limit_s


class LimitsKeeper(Server):
    """``connections/<name>/limits/<account>``."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, BooksArguments)
        timing, self.account = settings.timing, settings.account
        self.books = paths.books(settings.config.name, self.account)
        crashed = self.world.predecessor is not None
        self.standing = Standing(
            limits=settings.config.account_limits.get(self.account, AccountLimits()),
            read_max_age_s=timing.agreed_max_age_s,
            given_for_s=in_flight_s(timing) + ON_ITS_WAY_S,
            not_before_s=self.world.now_s() + (in_flight_s(timing) if crashed else 0.0),
        )
        self.world.subscribe(self.books, "snapshot")

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if not isinstance(request, Reserve):
            return super().handle_call(request, caller)
        now_s = self.world.now_s()
        refusal = self.standing.refusal(request, now_s, self.world.now_utc())
        if refusal is not None:
            raise Refused(f"{self.account}: {refusal}")
        self.standing = self.standing.taken(request, now_s)
        return Reserved()

    def handle_cast(self, message: Message) -> None:
        if isinstance(message, Release):
            self.standing = self.standing.released(message.key, self.world.now_s(), filled=message.filled)
        elif isinstance(message, StillReserved):
            for each in message.reservations:
                self.standing = self.standing.taken(each, self.world.now_s())
        else:
            super().handle_cast(message)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Snapshot):
            self.standing = self.standing.read_again(message.requested_s, message.content)
        elif isinstance(message, AccountSeen):
            self.standing = msgspec.structs.replace(self.standing, seen=message)
        elif isinstance(message, Subscribed):
            self.world.cast(self.books, ReadSnapshot())
        elif not isinstance(message, SnapshotFailed):
            super().handle_info(message)
