"""What an account was worth when its trading day began: the first good read of that day, on disk at once.

So the day's loss is measured from the same number whatever dies, and by all sessions of the account. Its process is the
account's books, which lends its world.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from feeds import paths
from feeds.trading_day import trading_day
from supervisor.errors import StoreFailed
from supervisor.process.world import World


class DayStart(msgspec.Struct, frozen=True):
    """``day``: ISO date; ``equity_usd`` at the first good read of it. ``kind``: the venue's kind of the account, by
    which its days are cut: whoever looks while no process runs needs it."""

    day: str
    equity_usd: Decimal
    read_utc: float
    kind: str = ""


class DayStarts:
    def __init__(self, world: World, connection: str, account: str) -> None:
        self._world = world
        self._path = paths.day_start(connection, account)
        self._known: DayStart | None = None

    def of(self, equity_usd: Decimal, kind: str) -> DayStart:
        """Of the day that it is now; a new day begins with this equity. ``StoreFailed`` where it cannot be kept."""
        now_utc = self._world.now_utc()
        day = trading_day(now_utc, kind).isoformat()
        known = self._known or day_start(self._world.file(self._path).read(), self._path)
        if known is None or known.day != day:
            start = DayStart(day, equity_usd, now_utc, kind)
        else:
            start = msgspec.structs.replace(known, kind=kind)  # an older program has written none
        if start != known:
            self._world.file(self._path).write(msgspec.json.encode(start))
        self._known = start
        return start


def day_start(data: bytes | None, path: str) -> DayStart | None:
    """What the file at ``path`` holds; None: there is none yet. ``StoreFailed`` where it is garbled."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=DayStart)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = f"{path} has no start of a day ({error}). Remove it when you have looked: a new one is written"
        raise StoreFailed(text) from error
