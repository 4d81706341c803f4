"""An account manager and market hours: phases as rows, the gate of entries, what is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trader.session_world import ARGUMENTS, SYMBOL, Desk
from trader.desk.commands import WriteMarketHours
from trader.hours.book import LOOK_EVERY_S
from trader.hours.market_hours import CLOSING_S, Phase
from trader.messages import ReadSessionStatus, RejectRow, SessionRow, SessionStatus
from trader.store.desk import DESK_DB
from trader.store.hours import write_hours

DAY_S = 86_400


def write(
    desk: Desk, *intervals: tuple[float, float], written_utc: float | None = None, calendar: str = "XNYS"
) -> None:
    """As the recorder does, when the hours' writer has asked it: intervals in seconds from now."""
    now = int(desk.world.now_utc())
    request = WriteMarketHours(
        calendar=calendar,
        opens_utc=tuple(now + int(opens) for opens, _ in intervals),
        closes_utc=tuple(now + int(closes) for _, closes in intervals),
        from_utc=now - 10 * DAY_S,
        until_utc=now + 10 * DAY_S,
        source="test",
    )
    store: Any = desk.world.store(DESK_DB)
    write_hours(store, request, desk.world.now_utc() if written_utc is None else written_utc)


def phases(desk: Desk) -> list[str]:
    return [str(row.phase) for row in desk.rows() if isinstance(row, SessionRow)]


def status(desk: Desk) -> SessionStatus:
    told = desk.world.ask(ReadSessionStatus())
    assert isinstance(told, SessionStatus)
    return told


def refused_by(desk: Desk) -> list[str]:
    return [row.gate for row in desk.rows() if isinstance(row, RejectRow)]


def test_each_phase_of_a_market_is_a_row_told_once() -> None:
    desk = Desk()
    opens_utc = int(desk.world.now_utc()) + 100
    write(desk, (100, 1000), (2000, 3000))
    desk.ready()
    desk.world.advance(3500.0)
    assert phases(desk) == ["closed", "open", "closing", "closed", "open", "closing", "closed"]
    told = [row for row in desk.rows() if isinstance(row, SessionRow)]
    assert told[1] == SessionRow(symbol=SYMBOL, phase=Phase.OPEN, at_utc=opens_utc)
    assert told[2].at_utc == opens_utc + 900 - CLOSING_S


def test_a_phase_is_told_when_it_begins_however_seldom_the_desk_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARGUMENTS, "timing", {**ARGUMENTS["timing"], "look_every_s": 3600.0})
    desk = Desk()
    write(desk, (5000, 6000))
    desk.world.advance(4000.0)
    assert phases(desk) == ["closed"]
    for seconds, told in ((999.0, "closed"), (2.0, "open"), (697.0, "open"), (4.0, "closing"), (299.0, "closed")):
        desk.world.advance(seconds)
        assert phases(desk)[-1] == told


def test_a_phase_is_not_told_again_after_a_restart_and_a_missed_one_of_another_day_is() -> None:
    desk = Desk()
    write(desk, (-100, 10_000), (DAY_S, DAY_S + 10_000))
    desk.ready()
    desk.world.advance(20.0)
    desk.restart()
    desk.world.advance(20.0)
    assert phases(desk) == ["open"]
    desk.world.advance(float(DAY_S))  # one step of the clock: the machine was off over the close
    assert phases(desk)[-1] == "open"
    assert desk.rows()[-1].at_utc > desk.rows()[0].at_utc


def test_hours_that_come_later_are_taken_up_and_unknown_ones_are_told_meanwhile() -> None:
    desk = Desk()
    desk.ready()
    desk.world.advance(90.0)
    assert phases(desk) == []
    assert status(desk).markets[0].phase is Phase.UNKNOWN
    assert [each.kind for each in desk.world.events] == ["hours.unknown"]
    write(desk, (-100, 10_000))
    desk.world.advance(20.0)
    assert phases(desk) == ["open"]
    assert [each.kind for each in desk.world.events] == ["hours.unknown", "hours.known"]
    assert status(desk).markets[0].until_utc > desk.world.now_utc()


def test_an_entry_waits_for_the_market_and_an_exit_does_not() -> None:
    desk = Desk()
    write(desk, (-1000, 2000))
    desk.long_and_covered()
    desk.world.advance(1800.0)  # closing
    desk.read()
    desk.declare(2)
    assert refused_by(desk) == ["market"]
    before = len(desk.sent())
    desk.declare(0)
    assert len(desk.sent()) > before, "an exit goes in the closing minutes"


def test_outside_its_hours_an_entry_is_refused_by_the_gate_of_the_market() -> None:
    desk = Desk()
    write(desk, (3600, 7200))
    desk.ready()
    desk.world.advance(LOOK_EVERY_S)
    desk.declare(1)
    assert refused_by(desk) == ["market"]
    assert desk.sent("POST") == []


def test_where_hours_are_unknown_a_fresh_bar_is_proof_enough() -> None:
    desk = Desk()
    desk.ready()
    desk.declare(1)
    assert refused_by(desk) == []
    assert desk.sent("POST") == ["POST"]


def test_a_stop_is_placed_also_while_the_market_is_closed() -> None:
    desk = Desk()
    write(desk, (-1000, 400))
    desk.ready()
    desk.world.advance(60.0)
    desk.read()
    desk.refuse_leg = "StopMarket"
    desk.declare(1)
    assert refused_by(desk) == []
    desk.world.advance(500.0)  # closed
    desk.fill("1")
    desk.stream()
    assert desk.sent("POST") == ["POST", "POST"], "what filled late is covered, whatever the hours"


def test_a_session_whose_trading_is_done_keeps_the_phase_and_writes_no_rows() -> None:
    desk = Desk()
    write(desk, (-1000, 800))
    desk.long_and_covered()
    desk.world.advance(20.0)
    desk.manager.journal.set_done(1, "test")
    desk.manager.journal.commit()
    desk.world.advance(1000.0)
    assert phases(desk) == ["open"]
    assert desk.manager.journal.phases[SYMBOL][0] == "closed"
