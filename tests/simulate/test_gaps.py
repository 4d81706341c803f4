"""Sunday: the market opens 1.4 % below Friday's last price, beyond the stop of what was held over the weekend.

Where the stop works at the venue, the venue fills it. Where it does not (the venue took it back meanwhile), the
position is closed at the market, or paged, by the session's word; the stop itself is never sent again. And the account
manager is killed (kill -9) as the market opens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest

from brokers.tradestation.emulator.book import OrderCancelled, OrderEvent, OrderExpired, OrderRejected
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.values import Now
from feeds.config import Timing
from supervisor.process.server import Caller
from tests.simulate.drill_world import JOURNAL, MANAGER, RATE, STAND, Drill
from trader.messages import ReleaseHold
from trader.simulate import check
from trader.simulate.faults import Mishaps, Odds
from trader.simulate.measure import PASSED, Watch, bound_s
from trader.simulate.moments import Aimed


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


FRIDAY, SUNDAY = utc("2013-10-11T21:00"), utc("2013-10-13T22:00")
"""15 minutes before the future's close; its opening."""
BEFORE_S = 40.0
"""Machine seconds before the opening at which the machine, off over the weekend, is switched on again."""
WITHIN_S = bound_s(Timing())
"""Machine seconds in which the position is closed or somebody is told."""
Policy = Literal["exit", "page"]
POLICIES: tuple[Policy, ...] = ("exit", "page")


def over_the_weekend(policy: Policy, ends: Callable[[str, float], OrderEvent] | None = None) -> Drill:
    """Long one unit with a stop half a percent below Friday's price, up to the moment before Sunday's opening.
    ``ends``: what the venue does with the stop on Saturday."""
    settings = Settings(rules=Rules(expired_shows_executed=False))
    drill = Drill(begin_utc=FRIDAY, settings=settings, parameters={"stop_percent": "0.5"}, stop_passed=policy)
    drill.held_with_stop()
    drill.desk.kill_all()
    outside, kernel = drill.machine.outside, drill.machine.kernel
    drill.run((SUNDAY - outside.market_utc(kernel.now_s)) / RATE - BEFORE_S)
    if ends is not None:
        at_utc = outside.market_utc(kernel.now_s)
        outside.state.record(ends(drill.stops[0].order_id, at_utc), Now(kernel.now_s, at_utc))
    return drill


def opens(drill: Drill) -> None:
    """And kill -9 of the account manager at that moment."""
    drill.until(lambda: drill.machine.outside.market_utc(drill.machine.kernel.now_s) >= SUNDAY, BEFORE_S + 1.0)
    drill.desk.kill_process(MANAGER)


def refuses_stops(drill: Drill) -> None:
    """Whoever sends one to this venue is told why not."""
    place = "POST /v3/orderexecution/orders"
    drill.tell("fault", fault="status", path=place, status=400, message="beyond the market", when="before", times=0)


def stops_sent(drill: Drill) -> int:
    placed: int = drill.query("SELECT count(*) AS n FROM intents WHERE kind = 'place' AND purpose = 'stop'")[0]["n"]
    return placed


def paged(drill: Drill, *kinds: str) -> bool:
    return any(row["level"] == "PAGE" for row in drill.events(*kinds))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_stop_that_works_at_the_venue_is_filled_there_at_the_opening(policy: Policy) -> None:
    drill = over_the_weekend(policy)
    drill.boot()
    opens(drill)
    sent = stops_sent(drill)
    drill.until(lambda: drill.theirs == drill.ours == 0, WITHIN_S)
    drill.run(120.0)
    assert (drill.theirs, drill.ours, len(drill.entries), stops_sent(drill)) == (0, 0, 1, sent)
    assert not drill.events("stop.passed")
    drill.judge(bars=False)


EXPIRED: Callable[[str, float], OrderEvent] = OrderExpired


def rejected(order_id: str, at_utc: float) -> OrderEvent:
    return OrderRejected(order_id, "the exchange does not take it", at_utc)


def cancelled(order_id: str, at_utc: float) -> OrderEvent:
    return OrderCancelled(order_id, at_utc)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("ends", "killed"),
    [(EXPIRED, False), (EXPIRED, True), (rejected, True)],
    ids=["expired", "expired, killed", "rejected, killed"],
)
def test_a_stop_that_died_at_the_weekend_is_an_exit_or_a_page_at_the_opening(
    ends: Callable[[str, float], OrderEvent], killed: bool, policy: Policy
) -> None:
    """The machine comes back when the market is open; nothing of the desk has seen the stop go."""
    drill = over_the_weekend(policy, ends)
    drill.run(BEFORE_S + 10.0)
    sent = stops_sent(drill)
    drill.boot()
    if killed:
        drill.run(2.0)
        drill.desk.kill_process(MANAGER)
    if policy == "exit":
        drill.until(lambda: drill.theirs == drill.ours == 0, WITHIN_S)
    else:
        drill.until(lambda: paged(drill, "stop.passed", "stop.refused"), WITHIN_S)
    drill.run(120.0)
    assert stops_sent(drill) <= sent + 1
    assert len(drill.entries) == 1
    assert (drill.theirs == 0) == (policy == "exit")
    drill.judge(bars=False)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_stop_that_was_refused_at_the_weekend_is_an_exit_or_a_page_at_the_opening(policy: Policy) -> None:
    """It died, the desk placed it again while the market was closed, and was refused in words."""
    drill = over_the_weekend(policy, EXPIRED)
    refuses_stops(drill)
    drill.boot()
    drill.until(lambda: paged(drill, "stop.refused"), WITHIN_S)
    drill.tell("heal")
    opens(drill)
    sent = stops_sent(drill)
    if policy == "exit":
        drill.until(lambda: drill.theirs == drill.ours == 0, WITHIN_S)
    else:
        drill.until(lambda: paged(drill, "stop.passed"), WITHIN_S)
    drill.run(120.0)
    assert (stops_sent(drill), len(drill.entries)) == (sent, 1)
    assert (drill.theirs == 0) == (policy == "exit")
    drill.judge(bars=False)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_stop_that_was_cancelled_at_the_weekend_pages_and_a_release_closes_or_pages(policy: Policy) -> None:
    """Nobody can tell the venue's cancel from a person's: it is not put back before a person says so."""
    drill = over_the_weekend(policy, cancelled)
    drill.boot()
    drill.until(lambda: paged(drill, "uncovered"), WITHIN_S)
    opens(drill)
    sent = stops_sent(drill)
    drill.run(WITHIN_S)
    assert (drill.theirs, drill.ours, drill.stops, stops_sent(drill)) == (1, 1, [], sent)
    caller = Caller("person", 0, 1, drill.machine.kernel.now_s + 10.0)
    drill.desk.kids[MANAGER].world.on_call(ReleaseHold(symbol=STAND.symbol), caller)
    if policy == "exit":
        drill.until(lambda: drill.theirs == drill.ours == 0, WITHIN_S)
    else:
        drill.until(lambda: paged(drill, "stop.passed"), WITHIN_S)
    drill.run(60.0)
    assert (stops_sent(drill), len(drill.entries)) == (sent, 1)
    drill.judge(bars=False)


# -- the oracle sees it --------------------------------------------------------------------------------------------


def watched(drill: Drill, seconds: int, policy: Policy) -> list[str]:
    """What the nights' own watch says of this time."""
    watch = Watch(drill.machine, (STAND,), Mishaps(Odds(0.0, 0.0, 0.0), Aimed()), policy)
    for _ in range(seconds):
        drill.run(1.0)
        watch.look(drill.desk)
    return list(watch.problems.values())


@pytest.mark.parametrize("minds", [True, False])
def test_a_desk_that_did_nothing_about_a_passed_stop_would_be_found(
    monkeypatch: pytest.MonkeyPatch, minds: bool
) -> None:
    if not minds:
        monkeypatch.setattr("trader.manager.guarding.RULES", ())
    drill = over_the_weekend("exit", EXPIRED)
    refuses_stops(drill)
    drill.boot()
    drill.until(lambda: paged(drill, "stop.refused"), WITHIN_S)
    if minds:  # its exit is taken
        drill.tell("heal")
    found = [text for text in watched(drill, int(BEFORE_S + WITHIN_S) + 30, "exit") if PASSED in text]
    assert bool(found) != minds, found
    series = drill.machine.outside.state.market.series(STAND.symbol)
    assert series is not None
    again = check.sent_again(drill.machine.store(JOURNAL), STAND, lambda utc: series.last_print(utc).price, 160.0)  # type: ignore[union-attr]
    assert bool(list(again)) != minds


class Placed:
    """A journal in which these stops were placed: price and moment."""

    def __init__(self, *placed: tuple[str, float]) -> None:
        self.rows = [{"side": "sell", "stop_price": price, "written_utc": at_utc} for price, at_utc in placed]

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return self.rows


def falls(at_utc: float) -> Decimal:
    """The market is at 100, and from the moment 1000 on at 90."""
    return Decimal(90 if at_utc >= 1000 else 100)


@pytest.mark.parametrize(
    ("placed", "found"),
    [
        ([("95", 1200.0), ("95", 1300.0)], 1),
        ([("95", 1200.0), ("94", 1300.0)], 0),
        ([("95", 900.0), ("95", 1050.0)], 0),
        ([("85", 1200.0), ("85", 1300.0)], 0),
    ],
    ids=["again and again", "once each", "nobody can know yet", "not passed"],
)
def test_a_passed_stop_that_is_placed_again_and_again_would_be_found(
    placed: list[tuple[str, float]], found: int
) -> None:
    assert len(list(check.sent_again(Placed(*placed), STAND, falls, 100.0))) == found
