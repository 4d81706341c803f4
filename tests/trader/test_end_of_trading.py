"""The end of trading: done is committed first, then what is open is minded, then the session is over."""

from decimal import Decimal

import pytest

from brokers.model import OrderStatus
from supervisor.errors import Refused
from tests.trader.session_world import JOURNAL, SYMBOL, TRADER, Desk
from trader.messages import (
    Attach,
    Declared,
    EndTrading,
    ReadSessionStatus,
    SetWanted,
    StopTrading,
    TradingDone,
)


def wanted(desk: Desk) -> list[str]:
    return [request.wanted for request in desk.asked(SetWanted)]


def test_done_is_committed_then_minded_then_off_when_flat() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(TradingDone(1, "market closed", b""))
    assert wanted(desk) == ["mind"]
    desk.restart()
    desk.read()
    assert wanted(desk) == ["mind"]
    assert desk.world.ask(Attach(1, 2)).done
    desk.world.advance(0.1)
    desk.fill("2", "166")
    desk.stream()
    assert desk.world.ended is None, "flat by our fill, not yet agreed by a read"
    desk.read()
    assert wanted(desk) == ["mind", "off"]
    assert desk.world.ended is not None


def test_while_minding_entries_are_refused_and_the_stop_is_put_back() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(TradingDone(1, "stop", b"", (Declared(SYMBOL, Decimal(2), Decimal(166)),)))
    assert desk.rows()[-1].gate == "done"
    desk.change("2", status=OrderStatus.EXPIRED)
    desk.read()
    assert desk.orders["3"].working


def test_an_absent_recorder_is_asked_again() -> None:
    desk = Desk()
    desk.ready()
    answers, desk.world.answers[:] = list(desk.world.answers), []
    desk.world.ask(TradingDone(1, "stop", b""))
    assert desk.world.ended is None
    desk.world.answers[:] = answers
    desk.world.advance(1.0)
    assert desk.world.ended is not None


def test_end_trading_commits_done_first_and_terminates_a_trader_past_its_limit() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.trace.clear()
    desk.world.ask(EndTrading(1, "session stop", 10.0))
    assert desk.world.trace[0] == ("commit", JOURNAL)
    assert (TRADER, StopTrading("session stop")) in desk.world.casts
    with pytest.raises(Refused, match="done"):
        desk.declare(0)
    desk.world.advance(11.0)
    assert ("terminate_child", TRADER) in desk.world.supervisor.requests


def test_a_trader_that_ended_by_itself_is_not_terminated() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(EndTrading(1, "session stop", 10.0))
    desk.world.ask(TradingDone(1, "session stop", b""))
    desk.world.advance(11.0)
    assert ("terminate_child", TRADER) not in desk.world.supervisor.requests


def test_a_new_start_number_trades_again() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.world.ask(TradingDone(1, "stop", b""))
    assert not desk.attach(start_no=2).done
    assert not desk.world.ask(ReadSessionStatus()).minding
