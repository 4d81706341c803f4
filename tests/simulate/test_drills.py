"""Drills of order safety 5, by name: the whole desk on the simulated machine, one thing broken on purpose.

Each ends with the oracle over the venue's book (``drill_world.Drill.judge``). Those that need real processes or one
room only are elsewhere: the table in docs/order-safety.md says where each drill is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from supervisor.process.server import Caller
from supervisor.process.world import HttpReply
from tests.simulate.drill_world import ACCOUNT, JOURNAL, MANAGER, STAND, Drill
from trader.manager.key_numbers import BLOCK
from trader.messages import ReleaseHold
from trader.simulate.hours import venue_hours
from trader.simulate.measure import DIVERGENCE_MAX_S

EMPTY = b'{"Positions": [], "Errors": []}'
BOOKS = f"connections/sim/books/{ACCOUNT.account}"


@pytest.fixture
def drill() -> Drill:
    made = Drill()
    made.held_with_stop()
    return made


def released(drill: Drill) -> None:
    """What `nightdesk session release` asks."""
    caller = Caller("person", 0, 1, drill.machine.kernel.now_s + 10.0)
    drill.desk.kids[MANAGER].world.on_call(ReleaseHold(symbol=STAND.symbol), caller)
    drill.run(0.1)


# -- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["orders", "positions", "bars"])
def test_silent_half_open_stream(drill: Drill, kind: str) -> None:
    """Its socket lives and brings nothing: found by the deadline of a beat, opened anew, and no bar is missing."""
    about = {"symbol": STAND.symbol} if kind == "bars" else {"account": STAND.account}
    drill.tell("stall", kind=kind, seconds=86_400.0, **about)
    drill.until(lambda: drill.desk_events("feed.silence"), 60.0)
    drill.trade(-1)
    took_s = drill.until(lambda: drill.ours == 0)
    assert took_s <= DIVERGENCE_MAX_S
    drill.run(90.0)
    drill.judge()


def test_heartbeats_but_the_fill_is_withheld() -> None:
    """The stream is well and never tells of the entry: the books do, and the stop is placed."""
    drill = Drill()
    drill.tell("fault", fault="drop_order", kind="orders", times=0, for_s=300.0)
    drill.until(lambda: drill.theirs == 1)
    took_s = drill.until(lambda: drill.ours == 1 and drill.stops)
    assert took_s <= DIVERGENCE_MAX_S
    drill.run(60.0)
    assert len(drill.entries) == 1
    drill.judge()


def test_positions_stream_dying_every_five_seconds_for_an_hour(drill: Drill) -> None:
    """The snapshot misses no cycle, whatever the stream does."""
    before = len(drill.machine.outside.reads_utc[STAND.account])
    for _ in range(720):
        drill.tell("end", account=STAND.account, kind="positions", how="reset")
        drill.run(5.0)
    reads = len(drill.machine.outside.reads_utc[STAND.account]) - before
    assert reads >= 3600 / 30
    assert not drill.desk_events("books.unread")
    drill.judge()


# -- reads that lie ----------------------------------------------------------------------------------------------------


def test_empty_positions_for_ten_minutes(drill: Drill) -> None:
    """The likeliest lie: 200, and nothing in it. Nothing is adopted, the stop stays, it pages, nothing is sent."""
    orders = len(drill.orders)

    def lie(method: str, path: str, answer: HttpReply | None) -> HttpReply | None:
        lies = method == "GET" and path.endswith("/positions") and answer is not None and answer.status == 200
        return HttpReply(200, answer.headers, EMPTY) if lies and answer is not None else answer

    drill.spoil = lie
    drill.run(600.0)
    assert (drill.ours, drill.theirs, len(drill.stops)) == (1, 1, 1)
    assert [row["level"] for row in drill.events("hold.unexplained")] == ["PAGE"]
    drill.spoil = lambda method, path, answer: answer
    drill.until(lambda: drill.events("unexplained.over"), 40.0)
    drill.run(30.0)
    assert len(drill.orders) == orders
    drill.judge()


def test_partial_positions_for_ten_minutes(drill: Drill) -> None:
    """200 with an error inside: a read that failed in a part has failed. What was agreed gets old, and nothing else."""

    def partial(method: str, path: str, answer: HttpReply | None) -> HttpReply | None:
        if method != "GET" or not path.endswith("/positions") or answer is None:
            return answer
        body = msgspec.json.decode(answer.body)
        errors = [{"AccountID": STAND.account, "Error": "InternalServerError", "Message": "partly"}]
        return HttpReply(200, answer.headers, msgspec.json.encode({**body, "Positions": [], "Errors": errors}))

    drill.spoil = partial
    drill.run(600.0)
    assert (drill.ours, drill.theirs, len(drill.stops)) == (1, 1, 1)
    assert drill.desk_events("books.unread")
    assert not drill.events("divergence.seen", "hold.unexplained", "divergence.adopted")
    drill.spoil = lambda method, path, answer: answer
    drill.until(lambda: drill.desk_events("books.read_again"), 40.0)
    drill.judge()


def test_snapshot_older_than_the_fill() -> None:
    """Its answer is on the way while the entry fills: it shows no position, and is not believed."""
    drill = Drill()
    slow: list[HttpReply] = []

    def stale(method: str, path: str, answer: HttpReply | None) -> HttpReply | None:
        """Positions as they were before the entry, for as long as a slow read may take."""
        if method == "GET" and path.endswith("/positions") and answer is not None and answer.status == 200:
            slow.append(answer)
            if drill.theirs and drill.machine.kernel.now_s < filled_s[0] + 8.0:
                return slow[0]
        if drill.theirs and filled_s[0] == float("inf"):
            filled_s[0] = drill.machine.kernel.now_s
        return answer

    filled_s = [float("inf")]
    drill.spoil = stale
    drill.held_with_stop()
    drill.run(60.0)
    assert drill.theirs == drill.ours == 1
    assert not drill.events("divergence.adopted")
    assert len(drill.entries) == 1
    drill.judge()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refused_reads_for_ten_minutes(drill: Drill, status: int) -> None:
    """No snapshot: what is agreed gets old, entries close, the stop lies at the broker, and it is told."""
    drill.tell("fault", fault="status", path="GET /v3/brokerage/*", status=status, when="before", times=0, for_s=600.0)
    drill.run(600.0)
    assert (drill.ours, drill.theirs, len(drill.stops)) == (1, 1, 1)
    assert drill.desk_events("books.unread")
    drill.until(lambda: drill.desk_events("books.read_again"), 60.0)
    drill.run(30.0)
    drill.judge()


# -- orders ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("when", ["before", "after"])
def test_refused_orders(status: int, when: str) -> None:
    """A 5xx says nothing of what was done: the entry is settled by reads, and never placed twice."""
    drill = Drill()
    path = "POST /v3/orderexecution/orders"
    drill.tell("fault", fault="status", path=path, status=status, when=when, times=2)
    drill.run(240.0)
    assert len(drill.entries) <= 2
    assert drill.theirs <= 1
    drill.until(lambda: drill.theirs == drill.ours == len(drill.stops), 120.0)
    drill.judge()


def test_post_that_times_out_after_acceptance() -> None:
    """Both the entry and its stop: each is found by a read, and there is one of each."""
    drill = Drill()
    drill.tell("order_reply", lose=2, when="after")
    drill.until(lambda: drill.theirs == 1 and drill.ours == 1)
    drill.run(120.0)
    assert (len(drill.entries), len(drill.stops)) == (1, 1)
    drill.judge()


def test_fill_during_a_replace() -> None:
    """The stop is hit while each bar moves it; the replace of a dead order ends, and nothing opens the other side."""
    drill = Drill(parameters={"trails": True, "stop_percent": "0.02"})
    drill.run(300.0)
    assert len(drill.events("order.filled")) > 4
    assert drill.query("SELECT count(*) AS n FROM intents WHERE kind = 'replace'")[0]["n"] > 3
    drill.until(lambda: drill.theirs == drill.ours, 40.0)
    drill.judge()


# -- reboots -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away_s", [2.0, 120.0])
def test_reboot_with_a_working_stop(drill: Drill, away_s: float) -> None:
    stop = drill.stops[0].order_id
    drill.desk.kill_all()
    drill.run(away_s)
    drill.boot()
    drill.run(60.0)
    assert [order.order_id for order in drill.stops] == [stop]
    assert len(drill.entries) == 1
    drill.judge()


def test_reboot_with_an_orphan_stop(drill: Drill) -> None:
    """The position was closed by phone meanwhile: explained, so it is adopted, and our stop does not open a new one."""
    drill.desk.kill_all()
    drill.trade(-1)
    drill.run(30.0)
    drill.boot()
    drill.until(lambda: drill.events("divergence.adopted"), DIVERGENCE_MAX_S)
    drill.until(lambda: not drill.stops, 60.0)
    drill.run(120.0)
    assert (drill.theirs, drill.ours, len(drill.entries)) == (0, 0, 1)
    drill.judge()


def test_reboot_with_a_naked_position(drill: Drill) -> None:
    """Its stop was cancelled by phone meanwhile: it is not put back, and somebody is told within seconds."""
    drill.desk.kill_all()
    drill.cancel(drill.stops[0].order_id)
    drill.run(30.0)
    drill.boot()
    drill.until(lambda: any(row["level"] == "PAGE" for row in drill.events("uncovered")), DIVERGENCE_MAX_S)
    drill.run(120.0)
    assert (drill.theirs, drill.ours, drill.stops) == (1, 1, [])
    released(drill)
    drill.until(lambda: drill.stops, 20.0)
    assert drill.events("uncovered.over")
    drill.judge()


# -- the owner at the phone, the strategy with the same on every bar ---------------------------------------------------


def test_owner_flattens_by_phone(drill: Drill) -> None:
    drill.trade(-1)
    drill.until(lambda: drill.events("divergence.adopted"), DIVERGENCE_MAX_S)
    drill.run(300.0)
    assert (drill.theirs, drill.ours, drill.stops, len(drill.entries)) == (0, 0, [], 1)
    drill.judge()


def test_owner_buys_more_by_phone(drill: Drill) -> None:
    """The stop grows with what is held; nothing is sold to mend it."""
    drill.trade(1)
    drill.until(lambda: drill.events("divergence.adopted"), DIVERGENCE_MAX_S)
    drill.run(120.0)
    assert (drill.theirs, drill.ours, len(drill.entries)) == (2, 2, 1)
    assert sum(order.quantity for order in drill.stops) == 2
    drill.judge()


def test_owner_cancels_the_stop_by_phone(drill: Drill) -> None:
    drill.cancel(drill.stops[0].order_id)
    drill.until(lambda: drill.events("uncovered"), DIVERGENCE_MAX_S)
    drill.run(300.0)
    assert (drill.theirs, drill.stops) == (1, [])
    drill.judge()


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_token_expiry_in_mid_stream() -> None:
    """Streams end with the token that opened them, all night."""
    settings = Settings(token_lifetime_s=110.0, switches=Switches(stream_ends_with_token=True))
    drill = Drill(settings=settings)
    drill.held_with_stop()
    drill.run(600.0)
    assert drill.machine.outside.state.ledger.tokens_issued > 4
    assert not drill.desk_events("books.unread")
    drill.judge()


def test_refresh_token_rotated_and_the_answer_lost() -> None:
    """The old one is spent, the new one never came: the token that lives is used to its end, a login is asked for, and
    the position lies with its stop at the broker."""
    drill = Drill(settings=Settings(token_lifetime_s=200.0, rotate_refresh_tokens=True))
    drill.held_with_stop()
    drill.tell("fault", fault="lose_reply", path="POST /oauth/token", when="after", times=1)
    drill.run(600.0)
    needed = drill.desk_events("connection.login_needed")
    assert needed, drill.log()
    assert {row["level"] for row in needed} == {"PAGE"}
    assert (drill.theirs, drill.ours, len(drill.stops)) == (1, 1, 1)
    drill.judge(bars=False)


# -- the machine -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2.0, -2.0])
def test_clock_step_of_two_seconds(drill: Drill, seconds: float) -> None:
    """Market time steps; machine time does not. No bar is doubled, missing or late, and nothing is sent for it."""
    orders = len(drill.orders)
    drill.machine.outside._origin_utc += seconds
    drill.run(120.0)
    assert len(drill.orders) == orders
    drill.judge()


@pytest.mark.parametrize("seconds", [10.0, 30.0, 90.0])
def test_host_paused(drill: Drill, seconds: float) -> None:
    """Nothing is killed and nothing expires: leases, feeds and sessions are those of before."""
    before = {name: kid.incarnation for name, kid in drill.desk.kids.items()}
    drill.machine.kernel.stand_still(seconds)
    drill.run(120.0)
    after = {name: kid.incarnation for name, kid in drill.desk.kids.items()}
    ended = [row["text"] for row in drill.desk_events("child.died", "child.ended")]
    assert {name: number for name, number in after.items() if "feeds" not in name} == {
        name: number for name, number in before.items() if "feeds" not in name
    }, ended
    assert after.keys() == before.keys()
    assert not drill.events("divergence.adopted")
    drill.judge()


@pytest.mark.parametrize("role", ["bars", "orders", "positions"])
def test_terminate_with_a_hung_feed(drill: Drill, role: str) -> None:
    feed = next(name for name in drill.desk.kids if f"/feeds/{role}/" in name)
    drill.desk.kids[feed].freeze()
    drill.desk.shut_down()
    drill.until(lambda: drill.desk.finished is not None, 60.0)
    assert (drill.theirs, len(drill.stops)) == (1, 1)
    drill.boot()
    drill.run(30.0)
    drill.judge()


# -- the market's calendar ---------------------------------------------------------------------------------------------


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


WEEKS_OF_THE_CLOCKS: Any = [("2013-11-01T18:00", 1), ("2014-03-07T19:00", 0)]
"""From summer to winter time, and back; the recorded contract has ended by then, so in spring nothing is entered."""


@pytest.mark.parametrize(("begin", "held"), WEEKS_OF_THE_CLOCKS)
def test_week_of_the_clock_change(begin: str, held: int) -> None:
    """From Friday afternoon over the weekend: the market opens by New York's clock, and no bar is lost or late."""
    drill = Drill(begin_utc=utc(begin), parameters={"stop_percent": 40})
    drill.run(62 * 3600 / 20)
    opens = {new for each in venue_hours(int(utc(begin)), int(utc(begin)) + 4 * 86_400) for new in each.opens_utc}
    told = drill.query("SELECT json_extract(body, '$.content.at_utc') AS at_utc FROM rows")
    assert {row["at_utc"] for row in told if row["at_utc"]} & opens
    assert drill.theirs == drill.ours == held
    drill.judge()


# -- the disk ----------------------------------------------------------------------------------------------------------


def test_journal_restored_from_yesterday() -> None:
    """A copy of an hour ago is brought back: no number is used twice under one key, what it lacks is read back from the
    broker and held, and the position is not traded for it."""
    drill = Drill(parameters={"trails": True, "stop_percent": "0.02"})
    drill.held_with_stop()
    copy = drill.machine.kernel.disks[JOURNAL].serialize()
    drill.until(lambda: drill.query("SELECT max(number) AS n FROM intents")[0]["n"] > 2 * BLOCK, 900.0)
    drill.desk.kill_all()
    drill.machine.kernel.disks[JOURNAL].deserialize(copy)
    used = {order.confirm_id for order in drill.orders}
    newest = drill.query("SELECT max(number) AS n FROM intents")[0]["n"]
    drill.boot()
    drill.run(240.0)
    assert drill.desk_events("journal.behind")
    for hold in drill.query("SELECT symbol FROM holds"):
        assert hold["symbol"] == STAND.symbol
        released(drill)
    drill.run(240.0)
    placed = [row["key"] for row in drill.query("SELECT key FROM intents WHERE number > ? AND kind = 'place'", newest)]
    assert placed, "it trades again"
    assert not used.intersection(placed)
    assert drill.theirs == drill.ours
