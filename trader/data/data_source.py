"""The data source of a session: each closed bar once, in order, holes filled from history, late ones marked.

Thin: ``bars.BarSeries`` decides what may be passed on, ``listing.py`` what a symbol is. It makes no bars: on a quiet
minute nothing comes. It starts empty with its trader (one_for_all), which tells it from where on it needs bars.

Whether a minute is missing or had no trade is told by history, and when that has to be asked by: the next bar, the
forming bar that the feed has seen (``ReadSigns``), bars of the session's other series, the market's hours. Outside
these nothing is missing, and history is left alone; where they are unknown it is asked as if the market were open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from brokers.model import Bar
from feeds import paths
from feeds.lease import Lease
from feeds.messages import OPENING_S, Bars, BarsClosed, Listing, ReadHistory, ReadListing, ReadRecent, ReadSigns
from supervisor.errors import CallFailed, Refused, StoreFailed
from supervisor.messages import Done, Down, Message, Request, Subscribed, Up
from supervisor.process.server import Caller, Server
from trader.arguments import SessionArguments
from trader.data.bars import BarSeries, is_late, late_limit_s
from trader.data.listing import ASK_AGAIN_S, ASK_EVERY_S, changes, contracts_in, contracts_path
from trader.hours.book import HoursBook
from trader.hours.market_hours import Phase, bars_calendar_of, said, utc_text
from trader.messages import BarsAfter, CleanBar, CleanBars, DataAge, Need, NeedBars

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
    """One series, and what it waits for. ``asker``: the incarnation of the trader that it is kept for. ``warm`` False:
    its bars from before the beginning are still to be read."""

    need: Need
    feed: str
    series: BarSeries
    asker: int
    warm: bool = False
    retry_s: float = RETRY_MIN_S
    next_try_s: float = 0.0
    listing: Listing | None = None
    ask_listing_s: float = 0.0
    ask_signs_s: float = 0.0
    doubtful_since_s: float | None = None
    stale: bool = False
    phase: Phase = Phase.UNKNOWN


class DataSource(Server):
    """``sessions/<name>/data_source``; publishes ``CleanBars`` on "bars"."""

    def init(self) -> None:
        settings = msgspec.convert(self.arguments, SessionArguments)
        self.timing, self.connection = settings.timing, settings.connection.name
        self.contracts_file = self.world.file(contracts_path(settings.session))
        self.contracts = self._contracts_kept()
        self.kept: dict[tuple[str, int], Kept] = {}
        self.hours, self.hours_config = HoursBook(self.world), settings.market_hours
        self.lease = Lease(self.world, settings.connection, self.timing, feeds=())
        self.lease.start()
        self.world.after(self.timing.look_every_s, Check())

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, NeedBars):
            for need in request.needs:
                self._keep(need, caller.incarnation)
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

    def _keep(self, need: Need, asker: int) -> None:
        """Who asks again has it already. Another trader (it was started again alone) knows nothing: its warm-up, and
        what passed while it was away, are told from its cursor on, not with the next bar, which may be tomorrow's."""
        if need.warm_up > WARM_UP_MAX:
            raise Refused(f"{need.symbol}: a warm-up of {need.warm_up} bars, limit {WARM_UP_MAX}")
        key = (need.symbol, need.interval_s)
        if (kept := self.kept.get(key)) is not None:
            if kept.asker != asker:
                kept.need, kept.asker, kept.series, kept.warm = need, asker, BarSeries(*key), False
                kept.next_try_s, kept.retry_s = 0.0, RETRY_MIN_S
            return
        feed = paths.bars(*key)
        self.hours.follow(need.symbol, bars_calendar_of(need.symbol, self.hours_config))
        self.kept[key] = Kept(need, feed, BarSeries(*key), asker)
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
            self._tell_news(kept)

    def _check(self) -> None:
        self.world.after(self.timing.look_every_s, Check())
        rate = self.world.market_rate()
        now_utc = self.world.now_utc()
        newest_utc = max((kept.series.last_utc for kept in self.kept.values()), default=0)
        self.hours.look()
        for kept in self.kept.values():
            self._judge_hours(kept, now_utc)
            series = kept.series
            limit_s = late_limit_s(kept.need.interval_s, self.timing.late_machine_s, rate)
            series.clock_says(now_utc)
            if series.overdue(now_utc, limit_s) and not series.need_history:
                self._ask_signs(kept)
                series.look(now_utc, limit_s, moving=newest_utc > series.known_until_utc)
            self._catch_up(kept)
            self._judge_freshness(kept)
            self._ask_listing(kept)

    def _judge_hours(self, kept: Kept, now_utc: float) -> None:
        """Of a closed market no bar is awaited before it opens again."""
        kept.series.hours = self.hours.of(kept.need.symbol)
        moment = kept.series.hours.moment(now_utc)
        if moment.phase is not kept.phase:
            kept.phase = moment.phase
            self.world.log.info(said(moment.phase, moment.until_utc), feed=kept.feed)

    def _ask_signs(self, kept: Kept) -> None:
        """Has the feed seen the overdue bar in the making? Once in an interval; the feed answers from memory."""
        now_s = self.world.now_s()
        if now_s < kept.ask_signs_s:
            return
        kept.ask_signs_s = now_s + kept.need.interval_s / self.world.market_rate()
        try:
            signs = self.world.call(self._feed(kept), ReadSigns(), timeout_s=self.timing.http_limit_s)
        except CallFailed as failed:
            self.world.log.info("the feed does not say what it has seen", feed=kept.feed, why=str(failed))
        else:
            kept.series.shown(max(signs.forming_utc, signs.newest_utc))

    def _ask_listing(self, kept: Kept) -> None:
        if not kept.warm or kept.series.need_history or self.world.now_s() < kept.ask_listing_s:
            return
        try:
            listing = self.world.call(self._feed(kept), ReadListing(), timeout_s=self._venue_limit_s)
        except CallFailed as failed:
            kept.ask_listing_s = self.world.now_s() + ASK_AGAIN_S
            self.world.log.info("contract and entitlement are not known yet", feed=kept.feed, why=str(failed))
            return
        kept.ask_listing_s = self.world.now_s() + ASK_EVERY_S
        incident = f"delayed:{self.world.name}:{kept.feed}"
        for each in changes(kept.need.symbol, self._listed_before(kept), listing):
            joins = incident if each.opened or each.resolved else ""
            self.world.event(
                each.kind, each.level, each.text, incident=joins, opened=each.opened, resolved=each.resolved
            )
        kept.listing = listing
        self._keep_contract(kept.need.symbol, listing.contract)

    def _contracts_kept(self) -> dict[str, str]:
        try:
            return contracts_in(self.contracts_file.read())
        except StoreFailed as failed:
            self.world.log.warning("the contracts that were kept are not read", why=str(failed))
            return {}

    def _listed_before(self, kept: Kept) -> Listing | None:
        """After a restart: the contract that an earlier incarnation knew, and nothing of an entitlement."""
        contract = self.contracts.get(kept.need.symbol)
        return kept.listing or (Listing(contract, delayed=False) if contract else None)

    def _keep_contract(self, symbol: str, contract: str) -> None:
        if self.contracts.get(symbol) == contract:
            return
        self.contracts[symbol] = contract
        try:
            self.contracts_file.write(msgspec.json.encode(self.contracts))
        except StoreFailed as failed:
            self.world.log.warning("the contract is not kept; a roll in a restart would go untold", why=str(failed))

    def _judge_freshness(self, kept: Kept) -> None:
        """A series in doubt for too long: nobody can say whether a bar is missing. By symbol, others may go on. While
        the market is closed nobody waits for one: the time of doubt begins when it opens."""
        now_s = self.world.now_s()
        doubtful = kept.series.need_history or not kept.warm
        if doubtful and kept.phase is Phase.CLOSED and not kept.stale:
            kept.doubtful_since_s = None
            return
        if doubtful and kept.doubtful_since_s is None:
            kept.doubtful_since_s = now_s
        since_s = kept.doubtful_since_s
        incident = f"stale:{self.world.name}:{kept.feed}"
        if doubtful and since_s is not None and now_s - since_s > self.timing.agreed_max_age_s and not kept.stale:
            kept.stale = True
            text = f"{kept.feed}: no bar is passed on, as history has not been read for {now_s - since_s:.0f} s"
            self.world.event("data.stale", "NOTIFY", text, incident=incident, opened=True)
            self._tell_age(kept, (now_s - since_s) * self.world.market_rate())
        if not doubtful:
            kept.doubtful_since_s = None
            if kept.stale:
                kept.stale = False
                self._tell_age(kept, 0.0)
                self.world.event(
                    "data.fresh", "DIGEST", f"{kept.feed}: complete again", incident=incident, resolved=True
                )

    def _tell_age(self, kept: Kept, age_s: float) -> None:
        self.world.publish("bars", DataAge(kept.need.symbol, kept.need.interval_s, age_s))

    def _tell_news(self, kept: Kept) -> None:
        for news in kept.series.take_news():
            name = f"{news.bar.symbol} {news.bar.interval_s} s {utc_text(news.bar.closed_utc)}"
            if news.kind == "corrected":
                text = f"bar {name} was corrected after it was passed on; the strategy has seen the first one"
                data = {"before": msgspec.to_builtins(news.before), "now": msgspec.to_builtins(news.bar)}
                self.world.event("bar.corrected", "DIGEST", text, **data)
            elif news.kind == "too_late":
                text = f"bar {name} came after a later one; it is not passed on"
                self.world.event("bar.too_late", "DIGEST", text, now=msgspec.to_builtins(news.bar))
            else:
                self.world.event("bar.filled", "LOG", f"bar {name}: the stream has not told it, history has")

    # -- history -----------------------------------------------------------------------------------------------------

    def _catch_up(self, kept: Kept) -> None:
        """Read what is missing, if anything is; a read that fails is tried again later, and nothing is skipped."""
        needed = not kept.warm or kept.series.need_history
        if not needed or self.world.now_s() < kept.next_try_s:
            return
        try:
            told = self._since(kept) if kept.warm else self._begin(kept)
        except CallFailed as failed:
            self._failed(kept, str(failed))
            return
        kept.retry_s = RETRY_MIN_S
        self._pass_on(kept, kept.series.last_utc, kept.series.history(told.bars, told.complete_until_utc))
        self._tell_news(kept)
        if kept.series.need_history:
            self._failed(kept, "the history ends before the stream's bars begin")

    def _since(self, kept: Kept) -> Bars:
        return self._ask(kept, ReadHistory(kept.series.last_utc, kept.series.need_until_utc))

    def _begin(self, kept: Kept) -> Bars:
        """The bars from before the first; a fresh start begins after the newest that has closed. Gives those that came
        since: the same read has them, if it goes back as far."""
        need, after_utc = kept.need, kept.need.after_utc
        behind = 0 if after_utc is None else max(0, int(self.world.now_utc()) - after_utc) // need.interval_s + 1
        recent: Bars | None = None
        if need.warm_up or after_utc is None:
            recent = self._ask(kept, ReadRecent(count=min(max(need.warm_up, 1) + behind, WARM_UP_MAX)))
            if after_utc is None:
                after_utc = recent.bars[-1].closed_utc if recent.bars else recent.complete_until_utc
            warm = [bar for bar in recent.bars if bar.closed_utc <= after_utc][-need.warm_up :] if need.warm_up else []
            self._publish(kept, warm[0].closed_utc - need.interval_s if warm else after_utc, warm, warm_up=True)
        assert after_utc is not None
        kept.series.start(after_utc)
        kept.warm = True
        if recent is None or (recent.bars and recent.bars[0].closed_utc - need.interval_s > after_utc):
            return self._since(kept)
        return recent

    def _ask(self, kept: Kept, request: ReadHistory | ReadRecent) -> Bars:
        """The feed may await its stream's first bars, then read the venue, and have to be given a token first."""
        return self.world.call(self._feed(kept), request, timeout_s=OPENING_S + self._venue_limit_s)

    @property
    def _venue_limit_s(self) -> float:
        return 2 * self.timing.http_limit_s + self.timing.connect_limit_s

    def _feed(self, kept: Kept) -> str:
        return paths.feed(self.connection, kept.feed)

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
            clean = tuple([CleanBar(bar=bar, late=not warm_up and self._late(kept, bar)) for bar in part])
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
            told = self._ask(kept, ReadHistory(request.after_utc, kept.series.last_utc))
            bars = tuple(bar for bar in told.bars if bar.closed_utc <= kept.series.last_utc)
        return CleanBars(
            symbol=request.symbol,
            interval_s=request.interval_s,
            after_utc=request.after_utc,
            bars=tuple(CleanBar(bar=bar, late=self._late(kept, bar)) for bar in bars[:BARS_IN_ONE_MESSAGE]),
        )

    def _late(self, kept: Kept, bar: Bar) -> bool:
        if kept.listing is not None and kept.listing.delayed:
            return True
        now_utc, rate = self.world.now_utc(), self.world.market_rate()
        return is_late(bar.closed_utc, bar.interval_s, now_utc, self.timing.late_machine_s, rate)
