"""A session that is slowed down with a position: how loud, and until when."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import OrderStatus, OrderType, Side
from supervisor.messages import ChildInfo, Tree
from tests.trader.session_world import SessionWorld
from tests.trader.test_hours_writer import CONFIG
from trader.desk.ensure import EnsureSessions
from trader.desk.unattended import PAGED_AFTER_S, Attention, Exposure, look_after, slowed_down
from trader.incidents import Incident, by_cause
from trader.manager.journal import SCHEMA, Journal
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding
from trader.sessions import Session, Wanted, journal_path
from trader.store import desk

D = Decimal


def child(role: str, state: str = "held, waiting") -> ChildInfo:
    return ChildInfo(name=f"sessions/es/{role}", type="worker", state=state, why="ZeroDivisionError in on_bar")


TRADER, MANAGER = child("trader"), child("account_manager")
COVERED: Exposure = {"ESZ13": (D(-2), D(2))}
BARE: Exposure = {"ESZ13": (D(2), D(1))}


@pytest.mark.parametrize(
    ("slowed", "exposure", "level", "words"),
    [
        ([TRADER], {}, None, ""),
        ([TRADER], COVERED, "NOTIFY", "-2 ESZ13 is held, a stop works for 2; its account manager minds it"),
        ([TRADER], BARE, "PAGE", "2 ESZ13 is held, a stop works for 1"),
        ([TRADER], {"ESZ13": (D(1), D(0))}, "PAGE", "NO STOP works"),
        ([TRADER], {**COVERED, "SPY": (D(1), D(0))}, "PAGE", "1 SPY is held, NO STOP works"),
        ([MANAGER], COVERED, "PAGE", "nobody minds it"),
        ([TRADER], None, "PAGE", "What it holds is not known"),
    ],
)
def test_a_position_with_its_stop_and_somebody_who_minds_it_is_no_page(
    slowed: list[ChildInfo], exposure: Exposure | None, level: str | None, words: str
) -> None:
    told, kept = look_after("es", slowed, exposure, None, 100.0)
    assert (told.level if told else None) == level
    assert (kept is None) == (level is None)
    assert words in (told.text if told else "")


def test_what_lasts_is_paged_once_and_told_when_it_is_over() -> None:
    told, kept = look_after("es", [TRADER], COVERED, None, 100.0)
    assert told is not None
    assert told.level == "NOTIFY"
    assert look_after("es", [TRADER], COVERED, kept, 100.0 + PAGED_AFTER_S - 1) == (None, kept)
    told, kept = look_after("es", [TRADER], COVERED, kept, 100.0 + PAGED_AFTER_S)
    assert told is not None
    assert (told.kind, told.level, kept) == ("session.unattended", "PAGE", Attention(100.0, "PAGE"))
    assert look_after("es", [TRADER], COVERED, kept, 999.0) == (None, kept)
    told, kept = look_after("es", [], {}, kept, 1000.0)
    assert told is not None
    assert (told.kind, told.level, kept) == ("session.attended", "NOTIFY", None)


def test_a_stop_that_is_lost_meanwhile_is_paged_at_once_and_one_that_comes_back_makes_no_page_undone() -> None:
    _, kept = look_after("es", [TRADER], COVERED, None, 100.0)
    told, kept = look_after("es", [TRADER], BARE, kept, 101.0)
    assert told is not None
    assert told.level == "PAGE"
    assert look_after("es", [TRADER], COVERED, kept, 102.0) == (None, kept)


def test_flat_is_over_although_it_still_dies() -> None:
    _, kept = look_after("es", [TRADER], COVERED, None, 100.0)
    told, kept = look_after("es", [TRADER], {}, kept, 101.0)
    assert told is not None
    assert (told.kind, told.level, kept) == ("session.attended", "DIGEST", None)


def test_one_that_dies_of_each_bar_is_up_between_two_and_is_paged_all_the_same() -> None:
    on_trial = child("trader", "held, up")
    assert look_after("es", [on_trial], COVERED, None, 90.0) == (None, None)
    _, kept = look_after("es", [TRADER], COVERED, None, 100.0)
    assert look_after("es", [on_trial], COVERED, kept, 105.0) == (None, kept)
    assert look_after("es", [on_trial], COVERED, kept, 999.0) == (None, kept)
    told, _ = look_after("es", [TRADER], COVERED, kept, 999.0)
    assert told is not None
    assert told.level == "PAGE"


def test_one_that_waits_for_another_or_belongs_to_another_session_is_not_named() -> None:
    children = [child("account_manager", "up"), child("data_source", "idle"), child("trader", "up")]
    assert slowed_down(children, "es") == []
    assert slowed_down([TRADER, ChildInfo(name="sessions/es2/trader", type="worker", state="held, idle")], "es") == [
        TRADER
    ]


class Ensuring:
    """ensure_sessions over a session ``es`` that holds 1 ESZ13 by its journal, with a stop for so many."""

    def __init__(self, stop: int) -> None:
        self.world = SessionWorld("ensure_sessions")
        store: Any = self.world.store(desk.DESK_DB, schema="trader.store.desk:migrations")
        desk.write_session(
            store,
            Session(
                name="es", strategy="x", class_name="X", code_sha256="0", account="SIM1", symbols=("ESZ13",),
                connection="sim", wanted=Wanted.TRADE, start_no=1,
            ),
        )  # fmt: skip
        journal = Journal(self.world.store(journal_path("es"), schema=SCHEMA), lambda: "0123456789abcdefghijkl")  # type: ignore[arg-type]
        with journal.transaction():
            journal.hold_position("ESZ13", Holding(D(1), D(1672), 1.0))
            for number in range(stop):
                order = OwnOrder(
                    f"o{number}", number, Purpose.STOP, "ESZ13", Side.SELL, OrderType.STOP_MARKET, D(1), D(1664),
                    OrderStatus.WORKING,
                )  # fmt: skip
                journal.write_order(order)
        self.state("held, waiting")
        self.world.start(EnsureSessions, {"config": msgspec.to_builtins(CONFIG)})

    def state(self, trader: str) -> None:
        group = ChildInfo(name="sessions/es", type="supervisor", state="up")
        found = Tree(now_s=0.0, pid=1, children=(group, child("account_manager", "up"), child("trader", trader)))
        self.world.supervisor.tree = lambda under="": found  # type: ignore[method-assign]

    def told(self, seconds: float) -> list[tuple[str, str, str]]:
        self.world.advance(seconds)
        events = [each for each in self.world.events if each.kind.startswith("session.")]
        return [(each.kind, each.level, each.incident_state) for each in events]


def test_what_is_held_is_read_from_the_journal_and_told_until_the_session_is_well() -> None:
    ensuring = Ensuring(stop=1)
    first = ("session.unattended", "NOTIFY", "opened")
    assert ensuring.told(1.0) == [first]
    assert ensuring.told(PAGED_AFTER_S + 10.0) == [first, ("session.unattended", "PAGE", "opened")]
    ensuring.state("up")
    assert ensuring.told(10.0)[2:] == [("session.attended", "NOTIFY", "resolved")]
    assert {each.incident for each in ensuring.world.events} == {"unattended:es"}


def test_a_position_without_a_stop_is_paged_at_the_first_look() -> None:
    assert Ensuring(stop=0).told(1.0) == [("session.unattended", "PAGE", "opened")]


def test_the_supervisors_word_of_the_same_session_is_under_the_one_that_tells_of_the_position() -> None:
    held = Incident("held 1", "child.held", "NOTIFY", "sessions/es/trader", "slows down", 1.0)
    other = Incident("held 2", "child.held", "NOTIFY", "sessions/spy/trader", "slows down", 1.0)
    page = Incident("unattended:es", "session.unattended", "PAGE", "ensure_sessions", "es: ...", 2.0)
    told, causes = by_cause([held, other, page], [], {})
    assert [each.caused_by for each in told] == ["unattended:es", "", ""]
    assert causes == []
