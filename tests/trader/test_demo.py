"""The demo's judge of a stop that the venue threw out: each lie about the time without one fails the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brokers.budget import Resource
from feeds.venue import open_meter
from supervisor.process.store import SqliteStore
from tests.scripted_world import ScriptedWorld
from trader.config import CONFIG_FILE, read_config
from trader.demo.lost_stop import NOTICED_MAX_S, REJECTED_AS, LostStop, lost_stops
from trader.demo.script import BY_THE_VENUE, REJECTS, STANDS, faults, script
from trader.demo.stage import CONFIG
from trader.manager.journal import SCHEMA

STAND = STANDS[0]
RATE = 60.0
T = 1_381_154_400.0
INSERT = (
    "INSERT INTO events (kind, level, subject, text, machine_s, market_utc, incident, incident_state, data)"
    " VALUES (?, ?, 'sessions/x', ?, 1.0, ?, '', '', ?)"
)


def order(order_id: str, opened_s: float, closed_s: float | None = None, **more: Any) -> dict[str, Any]:
    """Machine seconds from the moment of the rejection."""
    return {
        "OrderID": order_id, "AccountID": STAND.account, "Symbol": STAND.symbol, "TradeAction": "SELL", "ByHand": False,
        "StopPrice": "1664", "RejectReason": "", "OpenedUtc": T + opened_s * RATE,
        "ClosedUtc": None if closed_s is None else T + closed_s * RATE,
    } | more  # fmt: skip


def fill(at_s: float, quantity: int) -> dict[str, Any]:
    return {"AccountID": STAND.account, "Symbol": STAND.symbol, "Quantity": quantity, "AtUtc": T + at_s * RATE}


LOST = order("1", -5.0, 0.0, RejectReason=REJECTED_AS)
ENTRY = fill(-5.0, 1)


def judged(
    path: Path, over: tuple[float, float] | None, *, paged: bool = True, orders: Any = None, fills: Any = None
) -> LostStop:
    """``over``: when the record says that it was over, and how long it was. By itself the stop is back after 0.04."""
    journal = SqliteStore(path / "journal.db", SCHEMA)
    if paged:
        text = f"{STAND.symbol}: stop refused: {REJECTED_AS}"
        journal.execute(INSERT, ("stop.refused", "PAGE", text, T + 0.01 * RATE, "{}"))
    if over is not None:
        data = json.dumps({"machine_s": over[1], "market_s": over[1] * RATE})
        said = f"{STAND.symbol}: was without a working stop for {over[1]:.3f} s"
        journal.execute(INSERT, ("uncovered.over", "LOG", said, T + over[0] * RATE, data))
    told = {
        "Orders": [LOST, order("2", 0.04)] if orders is None else orders,
        "Fills": [ENTRY] if fills is None else fills,
    }
    (found,) = lost_stops(STAND, journal, told, RATE)
    journal.close()
    return found


def test_a_moment_that_is_recorded_in_full_closed_and_told_is_no_problem(tmp_path: Path) -> None:
    lost = judged(tmp_path, over=(0.06, 0.05))
    assert lost.problem == ""
    assert lost.noticed_s == pytest.approx(0.01)
    assert lost.bare_s == pytest.approx(0.04)
    assert lost.recorded_s == 0.05


def test_a_position_that_went_needs_no_stop_any_more(tmp_path: Path) -> None:
    lost = judged(tmp_path, over=(0.5, 0.5), orders=[LOST], fills=[ENTRY, fill(0.45, -1)])
    assert lost.problem == ""
    assert lost.bare_s == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"over": None}, "0.040 s without one are not recorded"),
        ({"over": (0.06, 0.05), "orders": [LOST]}, "never had one again"),
        ({"over": (0.06, 0.05), "orders": [LOST, order("2", 0.04, ByHand=True)]}, "never had one again"),
        ({"over": (0.06, 0.05), "orders": [LOST, order("2", 0.5)]}, "0.500 s without one are recorded as 0.050 s"),
        ({"over": (-1.0, 0.05)}, "are not recorded"),
        ({"over": (9.0, 9.0 - NOTICED_MAX_S - 1)}, "noticed after 6.000 s only, the limit is 5 s"),
        ({"over": (0.06, 0.05), "paged": False}, "nobody was told"),
    ],
)
def test_what_is_not_recorded_not_closed_longer_than_told_or_told_to_nobody_fails_it(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    assert complaint in judged(tmp_path, **changes).problem


@pytest.mark.parametrize("seed", range(20))
def test_each_script_has_the_venue_reject_a_stop_once_and_its_faults_stay_as_drawn(seed: int) -> None:
    played = script(seed, 20.0)
    (rejected,) = [each for each in played if each.kind == BY_THE_VENUE]
    assert REJECTS[0] * 20 <= rejected.at_s <= REJECTS[1] * 20
    assert [each for each in played if each in faults(seed, 20.0)] == faults(seed, 20.0)
    assert len(faults(seed, 20.0)) == 7


# -- the demo's desk ---------------------------------------------------------------------------------------------------


def test_no_snapshot_of_an_hour_is_held_up_by_the_desks_own_quota(tmp_path: Path) -> None:
    """Regression: the emulator's quota was off, the desk's was not, and after 80 s it was seldom agreed."""
    (tmp_path / CONFIG_FILE).write_text(CONFIG.format(rate=RATE, url="http://127.0.0.1:1"))
    config = read_config(tmp_path)
    world = ScriptedWorld("connections/sim/books/SIM1")
    meter = open_meter(world, config.connections["sim"])  # type: ignore[arg-type]
    for _ in range(int(3600 / config.timing.snapshot_every_s)):
        meter.before(Resource.ORDERS)  # raises where it has to wait
        world.advance(config.timing.snapshot_every_s)
