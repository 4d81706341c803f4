"""The short-lived writer of market hours, the recorder that stores them, and who has them renewed."""

from __future__ import annotations

from typing import Any

import msgspec

from feeds.config import ConnectionConfig
from supervisor.errors import NoPeer
from supervisor.messages import ChildInfo, ChildSpec, Done, Tree
from tests.trader.session_world import SessionWorld
from trader.config import DeskConfig
from trader.desk.commands import WriteMarketHours
from trader.desk.ensure import RENEWAL_EVERY_S, EnsureSessions
from trader.desk.recorder import Recorder
from trader.hours.market_hours import AHEAD_DAYS, BACK_DAYS, DAY_S, HoursConfig, Phase, calendars_of
from trader.hours.writer import RECORDER, RETRY_S, HoursWriter
from trader.specs import MARKET_HOURS, root_spec
from trader.store import desk
from trader.store.hours import read_hours, write_hours, written

HOURS = HoursConfig(calendars={"BTCUSD": "24/7", "XY": "NOPE"})
CONFIG = DeskConfig(
    {"sim": ConnectionConfig("sim", "http://api", "http://signin", "client", "login.json")}, market_hours=HOURS
)
ARGUMENTS: dict[str, Any] = {"config": msgspec.to_builtins(CONFIG)}


def requests(world: SessionWorld) -> list[WriteMarketHours]:
    return [request for _, request in world.calls if isinstance(request, WriteMarketHours)]


def writer() -> SessionWorld:
    world = SessionWorld(MARKET_HOURS)
    world.answer(RECORDER, WriteMarketHours, Done())
    return world


def test_it_writes_every_calendar_the_desk_may_need_and_ends() -> None:
    world = writer()
    world.start(HoursWriter, ARGUMENTS)
    assert requests(world) == [], "ready first: a desk does not wait for its calendar"
    world.advance(0.1)
    told = {request.calendar: request for request in requests(world)}
    assert set(told) == set(calendars_of(HOURS)) - {"NOPE"}
    today = int(world.now_utc()) // DAY_S * DAY_S
    assert {(each.from_utc, each.until_utc) for each in told.values()} == {
        (today - BACK_DAYS * DAY_S, today + AHEAD_DAYS * DAY_S)
    }
    assert all(len(each.opens_utc) == len(each.closes_utc) > 250 for each in told.values())
    assert told["XNYS"].source.startswith("exchange_calendars 4.")
    assert world.ended is not None
    assert [(each.kind, each.data["calendar"]) for each in world.events] == [("hours.not_written", "NOPE")]


def test_while_the_recorder_is_away_nothing_is_skipped() -> None:
    world = writer()
    world.answer(RECORDER, WriteMarketHours, NoPeer("restarting"))
    world.start(HoursWriter, ARGUMENTS)
    world.advance(3 * RETRY_S)
    assert len({request.calendar for request in requests(world)}) == 1
    assert world.ended is None
    world.answer(RECORDER, WriteMarketHours, Done())
    world.advance(2 * RETRY_S)
    assert len({request.calendar for request in requests(world)}) == len(calendars_of(HOURS)) - 1
    assert world.ended is not None


def hours(calendar: str = "XNYS", *intervals: tuple[int, int]) -> WriteMarketHours:
    opens, closes = tuple(a for a, _ in intervals), tuple(b for _, b in intervals)
    return WriteMarketHours(
        calendar=calendar, opens_utc=opens, closes_utc=closes, from_utc=0, until_utc=1000, source="test"
    )


def test_the_recorder_replaces_the_hours_of_one_calendar_and_leaves_the_others() -> None:
    world = SessionWorld("recorder", incarnation=5_000_001)
    world.start(Recorder, {})
    for request in (hours("XNYS", (10, 20), (30, 40)), hours("CMES", (1, 2)), hours("XNYS", (30, 35))):
        assert world.ask(request) == Done()
    store: Any = world.store(desk.DESK_DB)
    xnys = read_hours(store, "XNYS")
    assert (xnys.opens_utc, xnys.closes_utc, xnys.until_utc) == ((30,), (35,), 1000)
    assert read_hours(store, "CMES").phase(1) is Phase.OPEN
    assert read_hours(store, "XTKS").phase(1) is Phase.UNKNOWN
    assert written(store) == {"XNYS": world.now_utc(), "CMES": world.now_utc()}


def test_a_calendar_without_a_single_open_hour_is_known_to_be_closed() -> None:
    world = SessionWorld("recorder", incarnation=5_000_001)
    world.start(Recorder, {})
    world.ask(hours("XNYS"))
    assert read_hours(world.store(desk.DESK_DB), "XNYS").phase(500) is Phase.CLOSED  # type: ignore[arg-type]


class Ensuring:
    """ensure_sessions beside a writer of hours in this state."""

    def __init__(self, state: str, *, age_s: float) -> None:
        self.world = SessionWorld("ensure_sessions")
        store: Any = self.world.store(desk.DESK_DB, schema="trader.store.desk:migrations")
        for calendar in calendars_of(CONFIG.market_hours):
            write_hours(store, hours(calendar), self.world.now_utc() - age_s)
        child = ChildInfo(name=MARKET_HOURS, type="worker", state=state)
        found = Tree(now_s=0.0, pid=1, children=(child,))
        self.world.supervisor.tree = lambda under="": (  # type: ignore[method-assign]
            found if under == MARKET_HOURS else Tree(now_s=0.0, pid=1, children=())
        )
        self.world.start(EnsureSessions, ARGUMENTS)
        self.world.advance(1.0)

    @property
    def restarts(self) -> int:
        return self.world.supervisor.requests.count(("restart_child", MARKET_HOURS))


def test_hours_of_yesterday_are_renewed_once() -> None:
    ensuring = Ensuring("ended", age_s=DAY_S + 60)
    assert ensuring.restarts == 1
    ensuring.world.advance(10 * RENEWAL_EVERY_S)
    assert ensuring.restarts == 1, "a calendar that cannot be had is tried again tomorrow"


def test_hours_of_today_are_left_until_they_are_a_day_old() -> None:
    ensuring = Ensuring("ended", age_s=DAY_S - 2 * RENEWAL_EVERY_S)
    assert ensuring.restarts == 0
    ensuring.world.advance(3 * RENEWAL_EVERY_S)
    assert ensuring.restarts == 1


def test_a_writer_that_writes_or_is_slowed_down_is_left_to_its_supervisor() -> None:
    assert Ensuring("up", age_s=2 * DAY_S).restarts == 0
    assert Ensuring("held, waiting", age_s=2 * DAY_S).restarts == 0


def test_the_writer_is_a_child_of_the_root_and_of_no_simulated_one() -> None:
    def names(spec: ChildSpec) -> list[str]:
        return [child.id for child in spec.children]

    assert names(root_spec(CONFIG))[1:3] == ["recorder", MARKET_HOURS]
    assert MARKET_HOURS not in names(root_spec(CONFIG, writes_hours=False))
