"""A small desk for the tests of real processes: connections, and one holder that needs a feed of each kind."""

from __future__ import annotations

from typing import Any

import msgspec

from feeds import paths
from feeds.config import ConnectionConfig, Timing
from feeds.lease import Lease
from feeds.messages import BarsClosed, OrdersSeen, PositionsSeen, ReadRecent, Snapshot
from supervisor.errors import CallFailed
from supervisor.messages import ChildSpec, Message, Request, Subscribed, SupervisorFlags
from supervisor.process.server import Caller, Server
from supervisor.runtime.main import run
from supervisor.runtime.settings import Settings

ACCOUNT = "SIM100001F"
BARS = paths.bars("ESZ13", 60)
ORDERS, POSITIONS = paths.orders(ACCOUNT), paths.positions(ACCOUNT)

TIMING = Timing(
    still_needed_every_s=0.3,
    lease_valid_s=1.2,
    prune_every_s=0.6,
    listen_after_crash_s=1.2,
    snapshot_every_s=0.5,
    heartbeat_s=0.3,
    connect_limit_s=2.0,
    http_limit_s=3.0,
)


class Seen(Message, frozen=True):
    """What has come so far: stamps of bars, how many messages of each other kind, quantities held."""

    stamps: tuple[int, ...]
    orders: int
    positions: int
    snapshots: int
    held: tuple[int, ...]


class ReadSeen(Request[Seen], frozen=True):
    REPLY = Seen


class ReadHole(Message, frozen=True):
    """To itself: the history could not be read just now."""


class Holder(Server):
    def init(self) -> None:
        config = msgspec.convert(self.arguments, ConnectionConfig)
        self.stamps: list[int] = []
        self.seen = {OrdersSeen: 0, PositionsSeen: 0, Snapshot: 0}
        self.held: tuple[int, ...] = ()
        self.lease = Lease(self.world, config, TIMING, feeds=(BARS, ORDERS, POSITIONS), accounts=(ACCOUNT,))
        self.lease.start()
        self.bars_feed = paths.feed(config.name, BARS)
        for feed, topic in ((BARS, "bars"), (ORDERS, paths.orders_topic("ESZ13")), (POSITIONS, "positions")):
            self.world.subscribe(paths.feed(config.name, feed), topic)
        self.world.subscribe(paths.books(config.name, ACCOUNT), "snapshot")

    def handle_info(self, message: Message) -> None:
        self.lease.handle_info(message)
        if isinstance(message, BarsClosed):
            self.stamps += [bar.closed_utc for bar in message.bars]
        elif isinstance(message, ReadHole) or (isinstance(message, Subscribed) and message.topic == "bars"):
            self.read_hole()
        elif isinstance(message, OrdersSeen | PositionsSeen | Snapshot):
            self.seen[type(message)] += 1
        if isinstance(message, PositionsSeen):
            self.held = tuple(int(held.quantity) for held in message.positions)

    def read_hole(self) -> None:
        """As a data source does after each welcome: a new incarnation may have published before we were back.

        Regression: without it a bar was missing where the reconnection took longer than the two bars that come again.
        """
        if not self.stamps:
            return
        try:
            bars = self.world.call(self.bars_feed, ReadRecent(count=10), timeout_s=3.0)
        except CallFailed:
            self.world.after(0.2, ReadHole())
        else:
            self.stamps += [bar.closed_utc for bar in bars.bars if bar.closed_utc >= self.stamps[0]]

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        return Seen(tuple(self.stamps), *self.seen.values(), self.held)


def desk(config: ConnectionConfig) -> ChildSpec:
    holder = ChildSpec(
        id="holder", start="tests.feeds.real_desk:Holder", arguments=msgspec.to_builtins(config), restart="transient"
    )
    return ChildSpec(
        id="desk",
        type="supervisor",
        supervisor=SupervisorFlags(intensity=50, period_s=60.0),
        children=(
            ChildSpec(id="control", start="supervisor.control.server:ControlServer"),
            ChildSpec(
                id="connections",
                type="supervisor",
                supervisor=SupervisorFlags(intensity=50, period_s=60.0, dynamic=True),
            ),
            holder,
        ),
    )


def main(home: str, url: str) -> int:
    """Run it. Not started by ``python -m``: its messages would then have two modules."""
    config = ConnectionConfig(name="sim", api_url=url, signin_url=url, client_id="demo-client", login_file="login.json")
    return run(desk(config), Settings(home=home, title="feeds"), ("supervisor.process.real", "feeds.connection"))
