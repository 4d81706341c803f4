"""The data source of a session: each closed bar once, in order, holes filled from history, late ones marked.

Thin: ``bars.BarSeries`` decides what may be passed on. It makes no bars: on a quiet minute nothing comes. It starts
empty with its trader (one_for_all), which tells it from where on it needs bars.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from brokers.model import Bar
from feeds import paths
from feeds.lease import Lease
from feeds.messages import Bars, BarsClosed, ReadHistory, ReadRecent
from supervisor.errors import CallFailed, Refused
from supervisor.messages import Done, Down, Message, Request, Subscribed, Up
from supervisor.process.server import Caller, Server
from trader.arguments import SessionArguments
from trader.bars import BarSeries, is_late, late_limit_s
from trader.messages import BarsAfter, CleanBar, CleanBars, Need, NeedBars

RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0
"""A failed read of history is tried again after so long, doubled each time; meanwhile nothing is passed on."""
BARS_IN_ONE_MESSAGE = 2000
"""Of a long history: a bounded message (a bar has about 150 bytes)."""
WARM_UP_MAX = 5000
"""Bars that a strategy may have before its first: two weeks of minutes in market hours."""


class Check(Message, frozen=True):
    """Timer: is a bar overdue, is a read of history due?"""


class Kept(msgspec.Struct):
    """One series, and what it waits for. ``warm`` False: its bars from before the beginning are still to be read."""

    need: Need
    feed: str
    series: BarSeries
    warm: bool = False
    retry_s: float = RETRY_MIN_S
    next_try_s: float = 0.0


class DataSource(Server):
    """``sessions/<name>/data_source``; publishes ``CleanBars`` on "bars"."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, SessionArguments)
        self.timing, self.connection = settings.timing, settings.connection.name
        self.kept: dict[tuple[str, int], Kept] = {}
        self.lease = Lease(self.world, settings.connection, self.timing, feeds=())
        self.lease.start()
        self.world.after(self.timing.look_every_s, Check())

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, NeedBars):
            for need in request.needs:
                self._keep(need)
            return Done()
        if isinstance(request, BarsAfter):
            return self._bars_after(request)
        return super().handle_call(request, caller)

    def handle_info(self, message: Message) -> None:
        if isinstance(message, BarsClosed):
            self._streamed(message.bars)
        elif self.lease.handle_info(message):
            return
        elif isinstance(message, Subscribed):
            self._subscribed(message.publisher)
        elif isinstance(message, Check):
            self._check()
        elif not isinstance(message, Up | Down):
            super().handle_info(message)

    # -- what comes in -----------------------------------------------------------------------------------------------

    def _keep(self, need: Need) -> None:
        """A series that is kept already goes on: the trader asks for what it missed with BarsAfter."""
        if need.warm_up > WARM_UP_MAX:
            raise Refused(f"{need.symbol}: a warm-up of {need.warm_up} bars, limit {WARM_UP_MAX}")
        key = (need.symbol, need.interval_s)
        if key in self.kept:
            return
        feed = paths.bars(*key)
        self.kept[key] = Kept(need, feed, BarSeries(*key))
        self.lease.change(feeds=tuple(kept.feed for kept in self.kept.values()))
        self.world.subscribe(paths.feed(self.connection, feed), "bars")

    def _subscribed(self, publisher: str) -> None:
        """Welcome, or a new incarnation of the feed: what lies between its bars and ours is in the history."""
        for kept in self.kept.values():
            if publisher == paths.feed(self.connection, kept.feed):
                kept.series.doubt()
                kept.next_try_s, kept.retry_s = 0.0, RETRY_MIN_S
                self._catch_up(kept)

    def _streamed(self, bars: tuple[Bar, ...]) -> None:
        kept = self.kept.get((bars[0].symbol, bars[0].interval_s)) if bars else None
        if kept is not None:
            self._pass_on(kept, kept.series.last_utc, kept.series.streamed(bars))
            self._catch_up(kept)

    def _check(self) -> None:
        self.world.after(self.timing.look_every_s, Check())
        rate = self.world.market_rate()
        for kept in self.kept.values():
            limit_s = late_limit_s(kept.need.interval_s, self.timing.late_machine_s, rate)
            kept.series.clock_says(self.world.now_utc())
            if kept.series.overdue(self.world.now_utc(), limit_s):
                kept.series.doubt()
            self._catch_up(kept)

    # -- history -----------------------------------------------------------------------------------------------------

    def _catch_up(self, kept: Kept) -> None:
        """Read what is missing, if anything is; a read that fails is tried again later, and nothing is skipped."""
        needed = not kept.warm or kept.series.need_history
        if not needed or self.world.now_s() < kept.next_try_s:
            return
        try:
            if not kept.warm:
                self._begin(kept)
            told = self._ask(kept, ReadHistory(after_utc=kept.series.last_utc))
        except CallFailed as failed:
            self._failed(kept, str(failed))
            return
        kept.retry_s = RETRY_MIN_S
        self._pass_on(kept, kept.series.last_utc, kept.series.history(told.bars, told.complete_until_utc))
        if kept.series.need_history:
            self._failed(kept, "the history ends before the stream's bars begin")

    def _begin(self, kept: Kept) -> None:
        """The bars from before the first; a fresh start begins after the newest that has closed."""
        need, after_utc = kept.need, kept.need.after_utc
        behind = 0 if after_utc is None else max(0, int(self.world.now_utc()) - after_utc) // need.interval_s + 1
        if need.warm_up or after_utc is None:
            recent = self._ask(kept, ReadRecent(count=min(max(need.warm_up, 1) + behind, WARM_UP_MAX)))
            if after_utc is None:
                after_utc = recent.bars[-1].closed_utc if recent.bars else recent.complete_until_utc
            warm = [bar for bar in recent.bars if bar.closed_utc <= after_utc][-need.warm_up :] if need.warm_up else []
            self._publish(kept, warm[0].closed_utc - need.interval_s if warm else after_utc, warm, warm_up=True)
        assert after_utc is not None
        kept.series.start(after_utc)
        kept.warm = True

    def _ask(self, kept: Kept, request: ReadHistory | ReadRecent) -> Bars:
        """The feed reads the venue, and may have to be given a token first."""
        limit_s = 2 * self.timing.http_limit_s + self.timing.connect_limit_s
        return self.world.call(paths.feed(self.connection, kept.feed), request, timeout_s=limit_s)

    def _failed(self, kept: Kept, why: str) -> None:
        self.world.log.warning("history is not there yet", feed=kept.feed, why=why, again_s=kept.retry_s)
        kept.next_try_s = self.world.now_s() + kept.retry_s
        kept.retry_s = min(2 * kept.retry_s, RETRY_MAX_S)

    # -- what goes out -----------------------------------------------------------------------------------------------

    def _pass_on(self, kept: Kept, after_utc: int, bars: Iterable[Bar]) -> None:
        self._publish(kept, after_utc, list(bars))

    def _publish(self, kept: Kept, after_utc: int, bars: list[Bar], *, warm_up: bool = False) -> None:
        series = kept.series
        for start in range(0, len(bars), BARS_IN_ONE_MESSAGE):
            part = bars[start : start + BARS_IN_ONE_MESSAGE]
            clean = tuple([CleanBar(bar=bar, late=not warm_up and self._late(bar)) for bar in part])
            self.world.publish(
                "bars",
                CleanBars(
                    symbol=series.symbol,
                    interval_s=series.interval_s,
                    after_utc=after_utc,
                    bars=clean,
                    warm_up=warm_up,
                ),
            )
            after_utc = part[-1].closed_utc

    def _bars_after(self, request: BarsAfter) -> CleanBars:
        """From the ring; what is older than it, from history: of that, only what was delivered before."""
        kept = self.kept.get((request.symbol, request.interval_s))
        if kept is None or not kept.series.started:
            raise Refused(f"{request.symbol} {request.interval_s} s: no bars yet")
        bars = kept.series.after(request.after_utc)
        if bars is None:
            told = self._ask(kept, ReadHistory(after_utc=request.after_utc))
            bars = tuple(bar for bar in told.bars if bar.closed_utc <= kept.series.last_utc)
        return CleanBars(
            symbol=request.symbol,
            interval_s=request.interval_s,
            after_utc=request.after_utc,
            bars=tuple(CleanBar(bar=bar, late=self._late(bar)) for bar in bars[:BARS_IN_ONE_MESSAGE]),
        )

    def _late(self, bar: Bar) -> bool:
        now_utc, rate = self.world.now_utc(), self.world.market_rate()
        return is_late(bar.closed_utc, bar.interval_s, now_utc, self.timing.late_machine_s, rate)
