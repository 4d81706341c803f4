"""What of a strategy's turns counts, and how often: verbs, timers, words, and what killed the trader."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.errors import Refused
from tests.trader.session_world import MANAGER, OPENED_UTC, SESSION, SYMBOL, TRADER, Desk
from tests.trader.test_runner import Desk as Runner
from trader.hosting.state import decode
from trader.messages import (
    Attach,
    BeginSeries,
    BeginTimers,
    Cursor,
    Declared,
    ReadSessionStatus,
    RowNumber,
    TimerDue,
    Turn,
    TurnDone,
)
from trader.sessions import Session

FOLLOWS = msgspec.structs.replace(SESSION, after_divergence="follow")


def declared(desk: Desk) -> Decimal:
    return desk.manager.journal.declaration(SYMBOL).quantity


def says(desk: Desk, change: int, stop: str | None = "166") -> None:
    """A bar's turn with ``buy``, ``sell`` or (0) ``move_stop``."""
    desk.stamp = max(desk.stamp + 60, int(desk.world.now_utc()))
    price = None if stop is None else Decimal(stop)
    words = (Declared(SYMBOL, Decimal(change), price, relative=True),)
    bar = Cursor(SYMBOL, 60, desk.stamp)
    desk.world.ask(Turn(1, b"", desk.manager.journal.newest_row, bar, declarations=words))


def diverged(session: Session = SESSION, by_hand: int = -1) -> Desk:
    """One unit long, then a person trades, and two reads adopt it."""
    made = Desk(session)
    made.long_and_covered()
    made.by_hand(by_hand)
    made.read()
    made.read()
    made.stream()
    return made


# -- verbs -------------------------------------------------------------------------------------------------------------


def test_buy_and_sell_change_what_is_declared_and_move_stop_only_the_stop(desk: Desk) -> None:
    says(desk, 1)
    assert (declared(desk), desk.sent()) == (1, ["POST"])
    says(desk, 2, None)
    assert declared(desk) == 3
    says(desk, -3, None)
    assert declared(desk) == 0


def test_a_turn_with_buy_sent_again_buys_once(desk: Desk) -> None:
    turn = Turn(
        1,
        b"",
        0,
        Cursor(SYMBOL, 60, OPENED_UTC),
        declarations=(Declared(SYMBOL, Decimal(1), Decimal(166), relative=True),),
    )
    desk.world.ask(turn)
    desk.world.ask(turn)
    assert declared(desk) == 1


def test_move_stop_moves_by_replace_and_never_opens(desk: Desk) -> None:
    says(desk, 0, "165")
    assert desk.sent() == []
    desk.long_and_covered()
    says(desk, 0, "166.50")
    assert desk.orders["2"].stop_price == Decimal("166.50")
    assert "POST" not in desk.sent()[1:]


def test_a_sell_that_crosses_the_stop_out_opens_no_short(desk: Desk) -> None:
    desk.long_and_covered()
    seen = desk.manager.journal.newest_row
    desk.fill("2", "166")
    desk.stream()
    words = (Declared(SYMBOL, Decimal(-1), Decimal(168), relative=True),)
    desk.world.ask(Turn(1, b"", seen, Cursor(SYMBOL, 60, desk.stamp + 60), declarations=words))
    assert desk.rows()[-1].gate == "unseen"
    assert (declared(desk), desk.sent()) == (0, ["POST"])


@pytest.mark.parametrize("session", [SESSION, FOLLOWS])
@pytest.mark.parametrize("quantity", [1, 2, -1])
def test_buy_and_sell_after_a_divergence_are_refused_as_voided(session: Session, quantity: int) -> None:
    desk = diverged(session)
    says(desk, quantity)
    assert desk.rows()[-1].gate == "diverged"
    assert desk.sent("POST") == ["POST"]


# -- after a divergence ------------------------------------------------------------------------------------------------


def test_follow_refuses_the_voided_quantity_and_takes_another_as_a_new_decision() -> None:
    desk = diverged(FOLLOWS)
    desk.declare(1)
    assert desk.rows()[-1].gate == "diverged"
    desk.declare(2)
    assert desk.sent("POST") == ["POST", "POST"]
    assert desk.world.ask(ReadSessionStatus()).holds == ()
    assert "divergence.followed" in desk.events()


def test_follow_takes_the_old_quantity_up_again_once_another_was_declared() -> None:
    desk = diverged(FOLLOWS)
    desk.declare(0, None)
    assert desk.sent("POST") == ["POST"]
    desk.declare(1)
    assert desk.sent("POST") == ["POST", "POST"]


def test_follow_takes_nothing_for_a_new_decision_that_was_declared_before_the_adoption_was_heard_of() -> None:
    """Night 306: a bar's turn waited while the adoption was written; it would have closed what a person had opened."""
    desk = Desk(FOLLOWS)
    desk.ready()
    seen = desk.manager.journal.newest_row
    desk.by_hand(-1)
    desk.read()
    desk.read()
    desk.declare(1, "166", seen=seen)
    assert (desk.rows()[-1].gate, desk.sent()) == ("diverged", [])
    desk.declare(1, "166")
    assert desk.sent() == ["POST"], "on the next bar it knows"


def test_follow_does_not_close_what_a_repeated_flat_was_voided_for() -> None:
    """Flat was declared, a person bought: the next bar's ``close`` is the voided word, not a new one."""
    desk = Desk(FOLLOWS)
    desk.ready()
    desk.declare(0, None)
    desk.by_hand(1)
    desk.read()
    desk.read()
    desk.declare(0, None)
    assert desk.rows()[-1].gate == "diverged"
    assert desk.sent() == []


def test_move_stop_decides_nothing_after_a_divergence_but_moves_the_stop_of_what_is_held() -> None:
    desk = diverged(FOLLOWS, by_hand=2)
    says(desk, 0, "166.50")
    assert desk.orders["2"].stop_price == Decimal("166.50")
    assert [hold.why for hold in desk.world.ask(ReadSessionStatus()).holds] == ["divergence"]


def test_follow_passes_a_gate_like_any_entry() -> None:
    desk = diverged(FOLLOWS)
    desk.declare(2, None)
    assert desk.rows()[-1].gate == "stop"
    assert desk.sent("POST") == ["POST"]


# -- timers and words --------------------------------------------------------------------------------------------------


def timer_turn(desk: Desk, due_utc: int, quantity: int = 1) -> Any:
    words = (Declared(SYMBOL, Decimal(quantity), Decimal(166)),)
    return desk.world.ask(Turn(1, b"s", 0, timer=TimerDue("t", due_utc), declarations=words))


def test_a_timers_moment_counts_once_also_after_a_kill(desk: Desk) -> None:
    begin = int(desk.world.now_utc())
    desk.world.ask(BeginTimers((TimerDue("t", begin),)))
    timer_turn(desk, begin + 1)
    timer_turn(desk, begin + 1)
    desk.world.ask(BeginTimers((TimerDue("t", begin),)))
    assert len(desk.query("SELECT * FROM turns")) == 1
    desk.restart()
    assert desk.attach().timers == (TimerDue("t", begin + 1),)
    assert desk.query("SELECT timer, closed_utc, row FROM turns") == [{"timer": "t", "closed_utc": None, "row": None}]


@pytest.mark.parametrize(("age_s", "sent"), [(1, ["POST"]), (60, [])])
def test_an_entry_out_of_a_late_timer_is_refused(desk: Desk, age_s: int, sent: list[str]) -> None:
    timer_turn(desk, int(desk.world.now_utc()) - age_s)
    assert desk.sent() == sent
    assert [row.gate for row in desk.rows()] == ["late"] * (not sent)


@pytest.mark.parametrize(("age_s", "sent"), [(1, ["POST"]), (60, [])])
def test_an_entry_out_of_an_old_quote_is_refused(desk: Desk, age_s: int, sent: list[str]) -> None:
    words = (Declared(SYMBOL, Decimal(1), Decimal(166)),)
    as_of_utc = desk.world.now_utc() - age_s
    desk.world.ask(Turn(1, b"", 0, word=1, as_of_utc=as_of_utc, declarations=words))
    assert desk.sent() == sent


def test_a_word_sent_again_counts_once_and_the_next_traders_begin_anew(desk: Desk) -> None:
    words = (Declared(SYMBOL, Decimal(1), Decimal(166), relative=True),)
    turn = Turn(1, b"", 0, word=1, as_of_utc=desk.world.now_utc(), declarations=words)
    desk.world.ask(turn)
    desk.world.ask(turn)
    assert declared(desk) == 1
    desk.attach()
    desk.world.ask(turn)
    assert declared(desk) == 2


@pytest.mark.parametrize(
    "turn", [Turn(1, b"", 0), Turn(1, b"", 0, row=1, word=1), Turn(1, b"", 0, row=1, timer=TimerDue("t", 1))]
)
def test_a_turn_that_consumes_nothing_or_two_things_is_refused(desk: Desk, turn: Turn) -> None:
    with pytest.raises(Refused, match="consumes one"):
        desk.world.ask(turn)


@pytest.mark.parametrize(
    ("what", "kind"), [(TimerDue("t", OPENED_UTC), "timer.skipped"), (RowNumber(1), "row.skipped")]
)
def test_what_kills_the_trader_twice_is_skipped_and_reported(desk: Desk, what: TimerDue | RowNumber, kind: str) -> None:
    desk.declare(1, None)  # refused: that is row 1
    assert not desk.manager.journal.consumed(what)
    desk.world.ask(Attach(1, 2, what))
    desk.world.ask(Attach(1, 2, what))
    assert not desk.manager.journal.consumed(what), "the same death told twice is one"
    attached = desk.world.ask(Attach(1, 3, what))
    assert desk.manager.journal.consumed(what)
    assert kind in desk.events()
    assert (attached.last_row, attached.rows == ()) == ((1, True) if isinstance(what, RowNumber) else (0, False))
    desk.restart()
    assert desk.manager.journal.consumed(what)
    assert [row["skipped"] for row in desk.query("SELECT skipped FROM turns ORDER BY number")] == [0, 1]


# -- any history -------------------------------------------------------------------------------------------------------

COUNTS = """
from trader.strategy import Strategy

class Example(Strategy):
    def setup(self):
        self.subscribe(self.symbols[0])
        self.timer("t", every_s=60)

    def on_bar(self, bar):
        self.count("bar")
        self.buy(bar.symbol, 1, stop=bar.close - 1)

    def on_timer(self, name):
        self.count("timer")
        self.sell(self.symbols[0], 1)

    def on_reject(self, reject):
        self.count("row")

    def count(self, what):
        self.state[what] = self.state.get(what, 0) + 1
"""


class Once(RuleBasedStateMachine):
    """A trader and its account manager, killed together at any moment: before a turn's commit, after it with the answer
    lost, between turns. What each hook has done to the state is then always what the journal has of turns."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.desk.ready()
        self.minute = 0
        self.dies = ""
        self.begin()

    def begin(self) -> None:
        """A new trader, attached to the account manager as it is now."""
        self.trader = Runner(source=COUNTS)
        self.trader.world.advance(self.desk.world.now_utc() - self.trader.world.now_utc())
        for request in (Attach, BeginSeries, BeginTimers):
            self.trader.world.answer(MANAGER, request, self.desk.world.ask)
        self.trader.world.answer(MANAGER, Turn, self.answer)
        self.trader.start()

    def answer(self, turn: Turn) -> TurnDone:
        if self.dies == "before":
            raise KilledError
        done: TurnDone = self.desk.world.ask(turn)
        if self.dies == "after":
            raise KilledError
        return done

    def do(self, act: Any, dies: str) -> None:
        self.dies = dies
        try:
            act()
        except KilledError:
            self.restart()
        self.dies = ""

    @rule()
    def restart(self) -> None:
        self.dies = ""
        self.desk.restart()
        self.desk.ready()
        self.begin()

    @rule(dies=st.sampled_from(["", "", "before", "after"]))
    def bar(self, dies: str) -> None:
        self.minute += 1
        self.do(lambda: self.trader.bars(*range(1, self.minute + 1), after=0), dies)

    @precondition(lambda self: self.minute)
    @rule(dies=st.sampled_from(["", "before", "after"]))
    def bars_come_again(self, dies: str) -> None:
        self.do(lambda: self.trader.bars(*range(1, self.minute + 1), after=0), dies)

    @rule(seconds=st.sampled_from([1.0, 59.0, 61.0, 300.0]), dies=st.sampled_from(["", "", "before", "after"]))
    def time_passes(self, seconds: float, dies: str) -> None:
        self.desk.world.advance(seconds)
        self.do(lambda: self.trader.world.advance(seconds), dies)

    @invariant()
    def each_hook_has_counted_each_committed_turn_once(self) -> None:
        rows = self.desk.query(
            "SELECT CASE WHEN closed_utc IS NOT NULL THEN 'bar' WHEN timer IS NOT NULL THEN 'timer' ELSE 'row' END"
            " AS what, count(*) AS n FROM turns WHERE skipped = 0 GROUP BY what"
        )
        assert decode(self.desk.manager.journal.state) == {row["what"]: row["n"] for row in rows}
        stamps = [r["closed_utc"] for r in self.desk.query("SELECT closed_utc FROM turns WHERE symbol IS NOT NULL")]
        assert stamps == sorted(set(stamps)), "each bar once, in order"


class KilledError(BaseException):
    """kill -9, as far as a test in one process can have it."""


Once.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOnce = Once.TestCase


def test_each_buy_of_a_committed_turn_counts_once_over_crashes() -> None:
    """The same without gates in the way: what is declared is the number of bars whose turn was committed."""
    machine = Once()
    for dies in ("", "before", "after", "", "after", "before", ""):
        machine.bar(dies)
        machine.desk.stream()
    machine.bars_come_again("")
    committed = machine.desk.query("SELECT count(*) AS n FROM turns WHERE symbol IS NOT NULL")[0]["n"]
    assert committed == machine.minute == 7
    refused = machine.desk.query("SELECT count(*) AS n FROM rows")[0]["n"]
    assert declared(machine.desk) + refused == 7
    assert declared(machine.desk) > 0
    assert machine.trader.world.name == TRADER
