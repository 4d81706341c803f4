"""The trader: one turn at a time, rows before bars, and nothing of it is lost with the process."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import Bar, Side
from supervisor.errors import NoPeer, OutcomeUnknown, Refused
from supervisor.messages import Done, Predecessor, Subscribed
from supervisor.process.server import IgnoreStart
from tests.trader.session_world import ARGUMENTS, MANAGER, OPENED_UTC, SESSION, SOURCE, SYMBOL, TRADER, session_world
from trader.hosting.loader import UnfitStrategy
from trader.hosting.runner import Trader
from trader.hosting.state import BadState, decode, encode
from trader.messages import (
    Attach,
    Attached,
    BarsAfter,
    BeginSeries,
    BeginTimers,
    CleanBar,
    CleanBars,
    Cursor,
    FillRow,
    NeedBars,
    PositionView,
    ReadRows,
    Row,
    Rows,
    RowsWaiting,
    StopTrading,
    SyncRow,
    TradingDone,
    Turn,
    TurnDone,
)

SOURCE_TEXT = """
import msgspec
from trader.strategy import RESUME, Strategy

class Example(Strategy):
    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1

    def setup(self):
        for symbol in self.symbols:
            self.subscribe(symbol, warm_up=2)

    def on_bar(self, bar):
        self.seen("bar")
        if self.parameters.quantity == 13:
            raise ValueError("unlucky")
        self.target(bar.symbol, self.parameters.quantity, stop=bar.close - 1)

    def on_fill(self, fill):
        self.seen("fill %s" % self.position(fill.symbol).quantity)

    def on_sync(self, before, after):
        self.seen("sync %s %s" % (before.quantity, after.quantity))
        return RESUME

    def on_stop(self, reason):
        self.close(self.symbols[0])

    def seen(self, what):
        self.state["seen"] = [*self.state.get("seen", []), what]
"""

FILL = FillRow(SYMBOL, Side.BUY, Decimal(1), Decimal(167), "1", "entry", Decimal(1), 0.0)
HELD = PositionView(SYMBOL, Decimal(1), Decimal(167))


def clean(minute: int, *, late: bool = False) -> CleanBar:
    price = Decimal(167)
    return CleanBar(Bar(SYMBOL, 60, OPENED_UTC + 60 * minute, price, price, price, price, 1), late)


class Desk:
    """A trader, and what its account manager and data source answer."""

    def __init__(
        self,
        parameters: dict[str, Any] | None = None,
        source: str = SOURCE_TEXT,
        timing: dict[str, Any] | None = None,
        **attached: Any,
    ) -> None:
        session = msgspec.structs.replace(SESSION, parameters=parameters or {})
        self.world = session_world(TRADER, session, source)
        self.attached = Attached(done=False, **attached)
        self.timing = timing or {}
        self.rows: tuple[Row, ...] = ()
        self.world.answer(MANAGER, Attach, lambda _: self.attached)
        self.world.answer(MANAGER, BeginSeries, Done())
        self.world.answer(MANAGER, BeginTimers, Done())
        self.world.answer(MANAGER, Turn, lambda _: self.answer_turn())
        self.world.answer(MANAGER, ReadRows, lambda _: Rows(self.rows, (HELD,)))
        self.world.answer(MANAGER, TradingDone, Done())
        self.world.answer(SOURCE, NeedBars, Done())

    def answer_turn(self) -> TurnDone:
        return TurnDone(self.rows, (HELD,))

    def start(self) -> Desk:
        arguments = {**ARGUMENTS, "timing": {**ARGUMENTS["timing"], **self.timing}}
        self.trader = self.world.start(Trader, arguments)
        self.world.deliver(Subscribed(SOURCE, "bars", 1))
        return self

    def bars(self, *minutes: int, after: int | None = None, late: bool = False) -> None:
        first = minutes[0] - 1 if after is None else after
        bars = tuple(clean(minute, late=late) for minute in minutes)
        self.world.deliver(CleanBars(SYMBOL, 60, OPENED_UTC + 60 * first, bars))
        self.world.advance(0.01)

    def asked(self, kind: type[Any]) -> list[Any]:
        return [request for _, request in self.world.calls if isinstance(request, kind)]

    @property
    def turns(self) -> list[Turn]:
        return self.asked(Turn)

    @property
    def seen(self) -> list[str]:
        return list(self.trader.strategy.state.get("seen", []))


def test_a_turn_is_one_call_with_bar_state_and_declarations() -> None:
    desk = Desk().start()
    desk.bars(1, late=True)
    (turn,) = desk.turns
    assert turn.bar == Cursor(SYMBOL, 60, OPENED_UTC + 60)
    assert turn.late
    assert decode(turn.state) == {"seen": ["bar"]}
    assert [(d.quantity, d.stop) for d in turn.declarations] == [(Decimal(1), Decimal(166))]


def test_beginning_of_a_fresh_series_is_durable_before_its_first_turn_and_told_once() -> None:
    desk = Desk().start()
    desk.bars(1)
    desk.bars(2)
    kinds = [type(request) for _, request in desk.world.calls if isinstance(request, BeginSeries | Turn)]
    assert kinds == [BeginSeries, Turn, Turn]
    assert desk.asked(BeginSeries) == [BeginSeries(Cursor(SYMBOL, 60, OPENED_UTC))]


def test_first_turn_waits_until_the_beginning_is_durable() -> None:
    desk = Desk().start()
    desk.world.answer(MANAGER, BeginSeries, OutcomeUnknown("lost"))
    desk.bars(1)
    assert desk.turns == []
    desk.world.answer(MANAGER, BeginSeries, Done())
    desk.world.advance(1.0)
    assert [turn.bar for turn in desk.turns] == [Cursor(SYMBOL, 60, OPENED_UTC + 60)]


def test_series_with_a_cursor_has_begun_long_ago() -> None:
    desk = Desk(cursors=(Cursor(SYMBOL, 60, OPENED_UTC),)).start()
    desk.bars(1)
    assert desk.asked(BeginSeries) == []
    assert len(desk.turns) == 1


def test_rows_come_before_bars_and_the_position_is_updated_in_the_fill_hook() -> None:
    desk = Desk(rows=(Row(1, FILL),), positions=(HELD,)).start()
    desk.bars(1)
    assert desk.seen == ["fill 1", "bar"]
    assert [turn.row for turn in desk.turns] == [1, 0]


def test_a_row_that_comes_with_a_turns_answer_goes_before_the_next_bar() -> None:
    desk = Desk().start()
    desk.rows = (Row(1, FILL),)
    desk.bars(1, 2)
    assert desk.seen == ["bar", "fill 1", "bar"]
    assert [turn.rows_seen for turn in desk.turns] == [0, 1, 1]


def test_a_nudge_makes_it_read_rows() -> None:
    desk = Desk().start()
    desk.rows = (Row(1, FILL),)
    desk.world.tell(RowsWaiting(1))
    desk.world.advance(0.01)
    assert desk.seen == ["fill 1"]


def test_a_turn_without_answer_is_sent_again_unchanged_and_the_hook_is_not() -> None:
    desk = Desk().start()
    answers = iter([OutcomeUnknown("late"), NoPeer("gone"), TurnDone((), ())])
    desk.world.answer(MANAGER, Turn, lambda _: next(answers))
    desk.bars(1)
    desk.world.advance(1.0)
    assert len(desk.turns) == 3
    assert len(set(desk.turns)) == 1
    assert desk.seen == ["bar"]


def test_state_and_cursor_are_restored_before_setup_and_bars_go_on_from_there() -> None:
    cursor = Cursor(SYMBOL, 60, OPENED_UTC + 60)
    desk = Desk(state=encode({"seen": ["before"]}), cursors=(cursor,)).start()
    (need,) = desk.asked(NeedBars)[0].needs
    assert (need.after_utc, need.warm_up) == (OPENED_UTC + 60, 2)
    desk.bars(1, 2, after=0)
    assert desk.seen == ["before", "bar"]


def test_warm_up_bars_are_seen_by_bars_and_not_by_on_bar() -> None:
    desk = Desk().start()
    warm = tuple(clean(minute) for minute in (-1, 0))
    desk.world.deliver(CleanBars(SYMBOL, 60, OPENED_UTC - 120, warm, warm_up=True))
    desk.bars(1)
    assert desk.seen == ["bar"]
    assert [bar.closed_utc for bar in desk.trader.strategy.bars(SYMBOL, 9)] == [
        OPENED_UTC - 60,
        OPENED_UTC,
        OPENED_UTC + 60,
    ]


def test_bars_that_were_missed_are_asked_for() -> None:
    desk = Desk().start()
    desk.bars(1)
    answer = CleanBars(SYMBOL, 60, OPENED_UTC + 60, tuple(clean(minute) for minute in (2, 3)))
    desk.world.answer(SOURCE, BarsAfter, answer)
    desk.bars(3, after=2)
    desk.world.advance(1.0)
    assert [turn.bar.closed_utc - OPENED_UTC for turn in desk.turns if turn.bar] == [60, 120, 180]


def test_resume_goes_with_the_turn_that_consumes_the_sync() -> None:
    row = Row(1, SyncRow(SYMBOL, Decimal(1), Decimal(0), None, 0.0))
    desk = Desk(rows=(row,)).start()
    desk.world.advance(0.01)
    (turn,) = desk.turns
    assert (turn.row, turn.resume) == (1, (SYMBOL,))
    assert desk.seen == ["sync 1 0"]


def test_an_error_in_the_strategy_ends_the_process_with_its_file_and_line() -> None:
    desk = Desk({"quantity": 13}).start()
    with pytest.raises(ValueError, match="unlucky") as raised:
        desk.bars(1)
    assert str(raised.traceback[-1].path).endswith("x.py")
    assert raised.traceback[-1].lineno + 1 == 16
    assert desk.world.notes[-1] == f"bar {SYMBOL} 60 {OPENED_UTC + 60}"


def test_the_bar_that_killed_the_predecessor_is_told_and_only_if_it_was_killed() -> None:
    note = f"bar {SYMBOL} 60 {OPENED_UTC}"
    for abnormal, told in ((True, Cursor(SYMBOL, 60, OPENED_UTC)), (False, None)):
        desk = Desk()
        desk.world.predecessor = Predecessor("killed", note, abnormal)
        desk.start()
        assert desk.asked(Attach)[0].died_on == told


def test_a_start_number_that_is_done_is_ignored() -> None:
    desk = Desk()
    desk.attached = Attached(done=True)
    with pytest.raises(IgnoreStart):
        desk.start()


def test_an_absent_account_manager_is_asked_again() -> None:
    desk = Desk()
    answers = iter([NoPeer("not yet"), desk.attached])
    desk.world.answer(MANAGER, Attach, lambda _: next(answers))
    desk.trader = desk.world.start(Trader, ARGUMENTS)
    assert desk.world.subscriptions == []
    desk.world.advance(1.0)
    assert desk.world.subscriptions == [(SOURCE, "bars")]
    desk.world.deliver(Subscribed(SOURCE, "bars", 1))
    desk.bars(1)
    assert desk.seen == ["bar"]


def test_stop_is_the_last_hook_and_done_the_last_act() -> None:
    desk = Desk().start()
    desk.bars(1)
    desk.world.tell(StopTrading("session stop"))
    (done,) = desk.asked(TradingDone)
    assert [(d.symbol, d.quantity) for d in done.declarations] == [(SYMBOL, Decimal(0))]
    assert desk.world.ended is not None


def test_a_refused_turn_is_the_last_one() -> None:
    desk = Desk().start()
    desk.world.answer(MANAGER, Turn, Refused("trading is done"))
    desk.bars(1, 2)
    assert len(desk.turns) == 1


def test_parameters_are_validated_before_anything_starts() -> None:
    with pytest.raises(UnfitStrategy, match="quantity"):
        Desk({"quantity": "many"}).start()
    with pytest.raises(UnfitStrategy, match="unknown field"):
        Desk({"size": 1}).start()


def test_a_state_comes_back_as_it_was_and_what_cannot_is_refused() -> None:
    state = {"price": Decimal("1.10"), "list": [1, 2.5, None, True, {"a": "b"}]}
    assert decode(encode(state)) == state
    assert isinstance(decode(encode(state))["price"], Decimal)
    with pytest.raises(BadState, match=r"self\.state\['x'\]\[0\] is a set"):
        encode({"x": [set()]})
    with pytest.raises(BadState, match="limit"):
        encode({"x": "a" * 300_000})
