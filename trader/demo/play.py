"""The demo from curtain to count: start two processes, add two sessions, break things, let it heal, stop the market,
wait until every bar is committed, end everything, and count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from supervisor.errors import CallFailed, StoreFailed
from supervisor.process.store import SqliteStore
from trader.demo.lost_stop import REJECTED_AS, lost_stops
from trader.demo.script import BY_A_PERSON, BY_THE_VENUE, STANDS, Fault, Stand, script, told
from trader.demo.show import Show
from trader.demo.stage import Alarm, Failed, Stage
from trader.demo.verify import Books, Count, count, count_bars
from trader.desk.commands import LiftHold, SetHold
from trader.messages import ReadSessionStatus
from trader.sessions import journal_path, manager_name
from trader.store import desk

SETTLE_LIMIT_S = 25.0
"""After the market has stopped: the slowest way back is a feed's silence, a restart and the history read."""
READY_LIMIT_S = 20.0
POLL_S = 0.1
QUIET_S = 0.3
"""So long before and after it nothing else is broken when the venue rejects a stop: what is bare then, is by that."""
REJECT_LIMIT_S = 60.0
"""The run goes on for so long past its end, if no position had a working stop in a quiet moment before."""


class Plan(msgspec.Struct, frozen=True):
    """What the command asked for."""

    length_s: float
    rate: float
    seed: int
    home: Path | None


def play(plan: Plan, show: Show, alarm: Alarm) -> Count:
    """Raises ``Failed`` when the demo's own machinery does not come up. Leaves no process, whatever happens."""
    began_s = time.monotonic()
    stage = Stage(plan.home, plan.rate, alarm)
    try:
        with closed(stage):
            _open(stage, show)
            injected = _run(stage, plan, show)
            bars = _stop_the_market(stage, show)
            orders = stage.ask_emulator("orders")
            show.tree(stage.tree())
            show.say("the desk is told to end; its positions and stops stay at the broker")
            stage.close_desk()
            with books_of(stage.home, STANDS, orders, bars) as books:
                return counted(books, injected, time.monotonic() - began_s, plan.rate)
    finally:
        stage.remove()


def counted(books: Books, injected: int, seconds: float, rate: float) -> Count:
    """The count, and what became of each stop that the venue has rejected."""
    lost = [
        each
        for stand in books.stands
        for each in lost_stops(stand, books.journals[stand], books.orders[stand.connection], rate)
    ]
    problems = [each.problem for each in lost if each.problem]
    if not lost:
        problems.append("no position ever had a working stop that the venue could reject: nothing is shown by this run")
    return msgspec.structs.replace(count(books, injected, seconds, problems), lost_stops=tuple(lost))


@contextmanager
def closed(stage: Stage) -> Iterator[None]:
    try:
        yield
    finally:
        stage.close()


def _open(stage: Stage, show: Show) -> None:
    show.say(f"home {stage.home}; the market runs {stage.rate:g}x, so machine periods are shorter than a real desk's")
    stage.start_emulator()
    show.say(f"emulator of TradeStation on {stage.url}, replaying 2013-10-07 from 14:00Z")
    stage.start_desk()
    for stand in STANDS:
        stage.trade(stand)
        show.say(f"session {stand.name}: strategy {stand.strategy} on {stand.symbol}, account {stand.account}")


def _run(stage: Stage, plan: Plan, show: Show) -> int:
    """Let it trade, and break what the script says; the number of faults that were injected."""
    _wait(lambda: all(_agreed(stage, stand) for stand in STANDS), stage, show, READY_LIMIT_S, "no session agrees")
    began_s = time.monotonic()
    injected = 0
    venue = Venue(stage, show)
    for fault in script(plan.seed, plan.length_s):
        _watch(stage, show, venue, until_s=began_s + fault.at_s)
        if fault.kind == BY_THE_VENUE:
            venue.rejects_from_now_on(fault.stand)
            continue
        if fault.kind in BY_A_PERSON:
            show.say(told(fault))
        else:
            show.fault(told(fault))
            injected += 1
        _inject(stage, fault)
        venue.broke()
    _watch(stage, show, venue, until_s=began_s + plan.length_s)
    if venue.waits:
        show.say("it goes on until a position has a stop that the venue can reject")
        _watch(stage, show, venue, until_s=time.monotonic() + REJECT_LIMIT_S, enough=lambda: not venue.waits)
    return injected


class Venue:
    """Rejects a working stop, once, in the first quiet moment of a session that agrees with it."""

    def __init__(self, stage: Stage, show: Show) -> None:
        self._stage, self._show = stage, show
        self._stands: tuple[Stand, ...] = ()
        self._broke_s = time.monotonic()

    @property
    def waits(self) -> bool:
        return bool(self._stands)

    def rejects_from_now_on(self, first: Stand) -> None:
        """``first``: whose stop it takes if there are several."""
        self._stands = tuple(sorted(STANDS, key=lambda stand: stand != first))

    def broke(self) -> None:
        """Something else was broken just now."""
        self._broke_s = time.monotonic()

    def look(self, next_s: float) -> None:
        """``next_s``: when something else happens next."""
        now_s = time.monotonic()
        if not self._stands or now_s < self._broke_s + QUIET_S or now_s > next_s - QUIET_S:
            return
        state = self._stage.ask_emulator("state")
        for stand in self._stands:
            if _protected(state, stand) and _agreed(self._stage, stand):
                told = {"account": stand.account, "symbol": stand.symbol, "message": REJECTED_AS}
                if self._stage.tell_emulator("reject", **told)["Orders"]:
                    self._show.fault(f"the venue rejects the stop of {stand.symbol}: its position is bare")
                    self._stands = ()
                return


def _protected(state: dict[str, Any], stand: Stand) -> bool:
    """By the venue: a stop of ours works, and a stream that speaks tells the orders of its account."""
    stops = any(
        (one["AccountID"], one["Symbol"], one["Status"]) == (stand.account, stand.symbol, "ACK")
        and one["StopPrice"] is not None
        and not one["ByHand"]
        for one in state["OpenOrders"]
    )
    hears = any(
        one["Kind"] == "orders" and stand.account in one["Accounts"] and not one["StalledForS"]
        for one in state["Streams"]
    )
    return stops and hears


def _agreed(stage: Stage, stand: Stand) -> bool:
    try:
        status = stage.client.call(ReadSessionStatus(), timeout_s=1.0, to=manager_name(stand.name))
    except CallFailed:
        return False
    return stand.symbol in status.agreed_age_s and not status.unsettled


def _inject(stage: Stage, fault: Fault) -> None:
    stand = fault.stand
    match fault.kind:
        case "goaway":
            stage.tell_emulator("goaway", symbol=stand.symbol, kind="bars", form=fault.form)
        case "stall" if fault.feed == "bars":
            stage.tell_emulator("stall", symbol=stand.symbol, kind="bars", seconds=600)
        case "stall":
            stage.tell_emulator("stall", account=stand.account, kind=fault.feed, seconds=600)
        case "hand_trade":
            stage.tell_emulator("trade", account=stand.account, symbol=stand.symbol, quantity=fault.quantity)
        case "kill_supervisor":
            stage.kill_desk()
            stage.start_desk()
        case "kill_connection":
            stage.kill("connections/sim/connection")
        case "kill_trader":
            stage.kill(f"sessions/{stand.name}/trader")
        case "kill_account_manager":
            stage.kill(manager_name(stand.name))
        case "hold":
            stage.client.call(SetHold(session=stand.name, level="hold", by="the demo", why="to show it"))
        case "release":
            stage.client.call(LiftHold(session=stand.name, by="the demo"))
        case _:
            raise ValueError(f"nothing injects {fault.kind!r}")


def _stop_the_market(stage: Stage, show: Show) -> dict[str, list[int]]:
    """Freeze market time; wait until each session has committed the last bar that was closed, and has agreed since."""
    show.say("the market clock is stopped; waiting until every session has committed its last bar")
    stage.tell_emulator("clock", action="stop")
    bars = {stand.symbol: stage.ask_emulator("bars", symbol=stand.symbol)["Stamps"] for stand in STANDS}
    stopped_s = time.monotonic()
    until_s = stopped_s + SETTLE_LIMIT_S
    while time.monotonic() < until_s:
        if all(settled(stage, stand, bars[stand.symbol], stopped_s) for stand in STANDS):
            break
        show.tree(stage.tree())
        time.sleep(POLL_S)
    return bars


def settled(stage: Stage, stand: Stand, closed_bars: list[int], stopped_s: float) -> bool:
    """Its last bar is committed, nothing is unsettled, and a read begun after the stop agreed."""
    try:
        journal = SqliteStore(stage.home / journal_path(stand.name), None)
    except StoreFailed:
        return False
    try:
        bars = count_bars(stand, journal, closed_bars)
    finally:
        journal.close()
    if not bars.seen or bars.missing:
        return False
    try:
        status = stage.client.call(ReadSessionStatus(), timeout_s=1.0, to=manager_name(stand.name))
    except CallFailed:
        return False
    age_s = status.agreed_age_s.get(stand.symbol)
    return age_s is not None and age_s < time.monotonic() - stopped_s and not status.unsettled


@contextmanager
def books_of(
    home: Path, stands: tuple[Stand, ...], orders: dict[str, Any], bars: dict[str, list[int]]
) -> Iterator[Books]:
    """What the desk has left on disk, open for reading."""
    with ExitStack() as closing:

        def opened(path: str) -> SqliteStore:
            store = SqliteStore(home / path, None)
            closing.callback(store.close)
            return store

        log = (home / "logs" / "nightdesk.log").read_text(errors="replace")
        journals = {stand: opened(journal_path(stand.name)) for stand in stands}
        told = dict.fromkeys((stand.connection for stand in stands), orders)
        closed = {stand: bars[stand.symbol] for stand in stands}
        yield Books(stands, opened(desk.DESK_DB), journals, told, closed, log.count("supervisor starts"))


def _watch(stage: Stage, show: Show, venue: Venue, until_s: float, enough: Callable[[], bool] = lambda: False) -> None:
    while time.monotonic() < until_s and not enough():
        show.tree(stage.tree())
        show.events(stage.home)
        venue.look(until_s)
        time.sleep(min(POLL_S, max(0.0, until_s - time.monotonic())))


def _wait(ready: Callable[[], bool], stage: Stage, show: Show, limit_s: float, what: str) -> None:
    until_s = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > until_s:
            raise Failed(f"{what} with the broker within {limit_s:g} s; look into {stage.home}/logs")
        show.tree(stage.tree())
        time.sleep(POLL_S)
