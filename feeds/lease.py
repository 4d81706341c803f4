"""Lease: how an account manager or a data source keeps a connection, its feeds and its books running.

The holder makes one in ``init``, calls ``start``, and gives it each ``handle_info`` message first. The lease does
not care whether the connection lives: where it is not there, the supervisor is asked to ensure it.
"""

from __future__ import annotations

from feeds import paths
from feeds.config import ConnectionConfig, Timing
from feeds.messages import StillNeeded
from feeds.specs import connection_spec
from supervisor.errors import CallFailed
from supervisor.messages import Message, Up
from supervisor.process.world import World


class RenewLease(Message, frozen=True):
    """Timer of a holder: say again what is needed of this connection."""

    connection: str


class Lease:
    """``feeds`` are ends of names (``paths.bars``, ``paths.orders`` ...), ``accounts`` those whose books we read."""

    def __init__(
        self,
        world: World,
        config: ConnectionConfig,
        timing: Timing,
        *,
        feeds: tuple[str, ...],
        accounts: tuple[str, ...] = (),
    ) -> None:
        self.world, self.config, self.timing = world, config, timing
        self.feeds, self.accounts = feeds, accounts
        self.connection = paths.process(config.name)

    def start(self) -> None:
        """The first word is said in the turn after ``init``: the supervisor is starting us and is not waited for."""
        self.world.supervisor.watch(self.connection)
        self.world.after(0.0, RenewLease(self.config.name))

    def handle_info(self, message: Message) -> bool:
        """Whether the message was the lease's own. (``Up`` of the connection may interest the holder as well.)"""
        if isinstance(message, RenewLease) and message.connection == self.config.name:
            self.world.after(self.timing.still_needed_every_s, message)
            self.renew()
            return True
        if isinstance(message, Up) and message.name == self.connection:
            self.say()
        return False

    def change(self, *, feeds: tuple[str, ...], accounts: tuple[str, ...] = ()) -> None:
        """Something else is needed from now on; nothing at all gives the lease back."""
        self.feeds, self.accounts = feeds, accounts
        self.say()

    def renew(self) -> None:
        if not self.say():
            self.ensure_connection()

    def say(self) -> bool:
        return self.world.cast(self.connection, StillNeeded(self.world.name, self.feeds, self.accounts))

    def ensure_connection(self) -> None:
        """If it cannot be had now, the next renewal asks again; when it comes up, ``Up`` makes us say it at once."""
        try:
            self.world.supervisor.ensure_child(paths.CONNECTIONS, connection_spec(self.config, self.timing))
        except CallFailed as error:
            self.world.log.warning(
                "the connection is not there and cannot be started; it is asked for again",
                connection=self.config.name,
                error=str(error),
                again_s=self.timing.still_needed_every_s,
            )
