"""What else a strategy is told (timers, quotes, the age of its data), within which time, and what its errors say."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from brokers.model import Quote
from feeds import paths
from feeds.messages import QuoteSeen, StillNeeded
from supervisor.errors import OutcomeUnknown
from supervisor.messages import Done, Predecessor
from supervisor.runtime.child import innermost
from tests.trader.session_world import CONNECTION, MANAGER, OPENED_UTC, SYMBOL
from tests.trader.test_runner import FILL, HELD, Desk
from trader.hosting.hooks import HookTooLong
from trader.hosting.state import decode
from trader.hours.market_hours import Phase
from trader.messages import Attach, BeginTimers, DataAge, Row, RowNumber, SessionRow, TimerDue, Turn
from trader.strategy import BadDeclaration

TOLD = """
from trader.strategy import Strategy, Trail

class Example(Strategy):
    def setup(self):
        self.subscribe(self.symbols[0])
        {setup}

    def on_bar(self, bar):
        {on_bar}
        self.seen("bar")

    def on_fill(self, fill):
        self.seen("fill")

    def on_timer(self, name):
        {on_timer}
        self.seen("%s %d" % (name, self.now))

    def on_quote(self, quote):
        self.seen("quote %s" % quote.bid)

    def on_data_age(self, symbol, age_s):
        self.seen("age %s %g" % (symbol, age_s))

    def on_session(self, symbol, phase):
        self.seen("%s %s" % (symbol, phase))

    def seen(self, what):
        self.state["seen"] = [*self.state.get("seen", []), what]
"""
QUOTES = paths.feed("sim", paths.quotes(SYMBOL))


def told(setup: str = "pass", on_bar: str = "pass", on_timer: str = "pass", **more: Any) -> Desk:
    return Desk(source=TOLD.format(setup=setup, on_bar=on_bar, on_timer=on_timer), **more)


# -- timers ------------------------------------------------------------------------------------------------------------


def test_a_timer_begins_durably_and_is_told_at_each_of_its_moments() -> None:
    desk = told("self.timer('t', every_s=90)").start()
    assert desk.asked(BeginTimers) == [BeginTimers((TimerDue("t", OPENED_UTC),))]
    desk.world.advance(200.0)
    assert [turn.timer for turn in desk.turns] == [TimerDue("t", OPENED_UTC + 90), TimerDue("t", OPENED_UTC + 180)]
    assert desk.seen == [f"t {OPENED_UTC + 90}", f"t {OPENED_UTC + 180}"]


def test_nothing_of_a_timer_is_told_before_its_beginning_is_durable() -> None:
    desk = told("self.timer('t', every_s=60)")
    desk.world.answer(MANAGER, BeginTimers, OutcomeUnknown("lost"))
    desk.start()
    desk.world.advance(100.0)
    assert desk.turns == []
    desk.world.answer(MANAGER, BeginTimers, Done())
    desk.world.advance(21.0)
    assert [turn.timer for turn in desk.turns] == [TimerDue("t", OPENED_UTC + 60), TimerDue("t", OPENED_UTC + 120)]


def test_after_a_night_of_nothing_a_timer_is_told_once_with_its_newest_moment() -> None:
    desk = told("self.timer('t', every_s=60)", timers=(TimerDue("t", OPENED_UTC - 36_000),)).start()
    desk.world.advance(0.1)
    assert desk.asked(BeginTimers) == []
    assert [turn.timer for turn in desk.turns] == [TimerDue("t", OPENED_UTC)]
    desk.world.advance(59.0)
    assert len(desk.turns) == 1


def test_timers_that_are_due_together_are_told_one_after_the_other() -> None:
    desk = told("self.timer('a', every_s=60); self.timer('b', at='14:01')").start()
    desk.world.advance(61.0)
    assert [turn.timer.name for turn in desk.turns if turn.timer] == ["a", "b"]


def test_a_machine_that_stood_still_tells_a_timer_once() -> None:
    desk = told("self.timer('t', every_s=60)").start()
    desk.world.stall(600.0)
    desk.world.advance(0.1)
    assert [turn.timer for turn in desk.turns] == [TimerDue("t", OPENED_UTC + 600)]


def test_a_timers_turn_that_has_no_answer_is_sent_again_unchanged() -> None:
    desk = told("self.timer('t', every_s=60)").start()
    desk.world.answer(MANAGER, Turn, OutcomeUnknown("late"))
    desk.world.advance(61.0)
    assert len(desk.turns) > 1
    assert len(set(desk.turns)) == 1
    assert desk.seen == [f"t {OPENED_UTC + 60}"]


@pytest.mark.parametrize(
    ("note", "what"),
    [("timer t 1381154460", TimerDue("t", 1_381_154_460)), ("row 7", RowNumber(7)), ("quote SPY", None), ("", None)],
)
def test_what_killed_the_predecessor_is_told_if_it_would_come_again(note: str, what: object) -> None:
    desk = told()
    desk.world.predecessor = Predecessor("killed by SIGKILL", note, True)
    desk.start()
    assert desk.asked(Attach)[0].died_on == what


def test_the_note_says_what_the_strategy_is_in() -> None:
    desk = told("self.timer('t', every_s=60)", rows=(Row(1, FILL),), positions=(HELD,)).start()
    desk.bars(1)
    desk.world.advance(61.0)
    notes = [note for note in desk.world.notes if note]
    assert notes == ["row 1", f"bar {SYMBOL} 60 {OPENED_UTC + 60}", f"timer t {OPENED_UTC + 60}"]
    assert desk.world.notes[-1] == "", "what is committed killed nobody"


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        ("self.timer('t')", "wanted one of every_s"),
        ("[self.timer(str(n), every_s=60) for n in range(51)]", "limit 50"),
        ("self.subscribe_quotes('TSLA')", "'TSLA' is not of this session"),
        ("self.buy(self.symbols[0], 0)", "wanted more than 0"),
        ("self.sell(self.symbols[0], -1)", "wanted more than 0"),
        ("self.move_stop(self.symbols[0], float('nan'))", "which is no number"),
        ("self.target(self.symbols[0], 1e300, stop=1)", "at most 15 digits"),
        ("self.target(self.symbols[0], 1, stop=-1e-300)", "at most 15 digits"),
        ("self.target(self.symbols[0], 1, stop=1, take=1e16)", "at most 15 digits"),
        ("self.target(self.symbols[0], 1, stop=1, trail=Trail(amount=float('inf')))", "which is no number"),
        ("self.target(self.symbols[0], 1, stop=1, trail=Trail(percent=float('nan')))", "which is no number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_users_line(setup: str, complaint: str) -> None:
    with pytest.raises(BadDeclaration, match=complaint) as raised:
        told(setup).start()
    assert innermost(raised.value) == "x.py:7"


# -- market hours ------------------------------------------------------------------------------------------------------


def test_a_phase_is_a_row_told_before_bars_and_is_a_plain_word() -> None:
    rows = tuple(Row(n, SessionRow(SYMBOL, phase, 0.0)) for n, phase in enumerate((Phase.OPEN, Phase.CLOSING), 1))
    desk = told(rows=rows).start()
    desk.rows = rows
    desk.bars(1)
    assert desk.seen == [f"{SYMBOL} open", f"{SYMBOL} closing", "bar"]
    assert [turn.row for turn in desk.turns] == [1, 2, 0]
    assert Phase.CLOSING == "closing"


# -- quotes and the age of the data ------------------------------------------------------------------------------------


def quote(bid: str) -> Quote:
    return Quote(SYMBOL, bid=Decimal(bid))


def test_quotes_are_streamed_only_for_who_subscribes() -> None:
    desk = told().start()
    desk.world.advance(1.0)
    assert [to for to, _ in desk.world.subscriptions] == [desk.trader.data_source]
    assert not any(isinstance(message, StillNeeded) for _, message in desk.world.casts)
    desk = told("self.subscribe_quotes(self.symbols[0])").start()
    desk.world.advance(1.0)
    assert (QUOTES, "quotes") in desk.world.subscriptions
    assert [(to, message.feeds) for to, message in desk.world.casts if isinstance(message, StillNeeded)][:1] == [
        (CONNECTION, (paths.quotes(SYMBOL),))
    ]


def test_a_quote_is_a_word_of_its_moment_and_the_newest_takes_the_place_of_what_waits() -> None:
    desk = told("self.subscribe_quotes(self.symbols[0])").start()
    desk.world.deliver(QuoteSeen(quote("166"), desk.world.now_s() - 3.0))
    desk.world.advance(0.1)
    desk.world.answer(MANAGER, Turn, OutcomeUnknown("busy"))
    desk.bars(1)
    for bid in ("167", "168", "169"):
        desk.world.deliver(QuoteSeen(quote(bid), desk.world.now_s()))
    desk.world.answer(MANAGER, Turn, lambda _: desk.answer_turn())
    desk.world.advance(1.0)
    assert desk.seen == ["quote 166", "bar", "quote 169"]
    words = [turn for turn in desk.turns if turn.word]
    assert [turn.word for turn in words] == [1, 2]
    assert words[0].as_of_utc == OPENED_UTC - 3.0


def test_stale_data_and_its_return_are_told() -> None:
    desk = told().start()
    desk.world.deliver(DataAge(SYMBOL, 60, 90.5))
    desk.world.advance(0.1)
    desk.world.deliver(DataAge(SYMBOL, 60, 0.0))
    desk.world.advance(0.1)
    assert desk.seen == [f"age {SYMBOL} 90.5", f"age {SYMBOL} 0"]
    assert [turn.word for turn in desk.turns] == [1, 2]


# -- time and errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["while True: pass", "__import__('time').sleep(60)"])
def test_a_hook_that_computes_for_too_long_is_broken_off_where_it_is(body: str) -> None:
    desk = told(on_bar=body, timing={"hook_limit_s": 0.2}).start()
    began_s = time.monotonic()
    with pytest.raises(HookTooLong) as raised:
        desk.bars(1)
    assert time.monotonic() - began_s < 5.0
    assert f"on_bar (bar {SYMBOL} 60 {OPENED_UTC + 60}) computed for more than 0.2 s (hook_limit_s)" in str(
        raised.value
    )
    assert innermost(raised.value) == "x.py:10"
    assert desk.turns == []


def test_a_loop_that_swallows_every_exception_is_broken_off_all_the_same() -> None:
    swallows = "exec('while True:\\n  try:\\n    while True: pass\\n  except Exception: pass')"
    desk = told(on_bar=swallows, timing={"hook_limit_s": 0.2}).start()
    with pytest.raises(HookTooLong):
        desk.bars(1)


def test_a_hook_that_is_quick_enough_hears_nothing_of_the_limit() -> None:
    desk = told(on_bar="__import__('time').sleep(0.25)", timing={"hook_limit_s": 2.0}).start()
    desk.bars(1, 2)
    time.sleep(0.5)  # past the first tick: the alarm is off
    assert desk.seen == ["bar", "bar"]


def test_an_error_out_of_a_library_is_told_with_the_users_line_and_logged_whole() -> None:
    desk = told(on_bar="__import__('json').loads('x')").start()
    with pytest.raises(ValueError, match="Expecting value") as raised:
        desk.bars(1)
    assert innermost(raised.value) == "x.py:10"
    assert "decoder.py" in desk.world.log.text
    assert f"bar {SYMBOL} 60 {OPENED_UTC + 60}" in desk.world.log.text


# -- verbs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "quantity", "stop", "relative"),
    [
        ("self.buy(s, 1, stop=166)", 1, 166, True),
        ("self.buy(s, 1, stop=166); self.buy(s, 2)", 3, 166, True),
        ("self.buy(s, 3); self.sell(s, 1, stop=165)", 2, 165, True),
        ("self.target(s, 2, stop=166); self.buy(s, 1)", 3, 166, False),
        ("self.buy(s, 5); self.target(s, 2, stop=166)", 2, 166, False),
        ("self.target(s, 2, stop=165); self.move_stop(s, 166)", 2, 166, False),
        ("self.move_stop(s, 166)", 0, 166, True),
        ("self.buy(s, 1); self.close(s)", 0, None, False),
    ],
)
def test_what_is_relative_adds_up_within_a_turn_and_the_last_absolute_word_counts(
    calls: str, quantity: int, stop: int | None, relative: bool
) -> None:
    desk = told(on_bar=f"s = self.symbols[0]; {calls}").start()
    desk.bars(1)
    (declared,) = desk.turns[0].declarations
    price = None if stop is None else Decimal(stop)
    assert (declared.quantity, declared.stop, declared.relative) == (Decimal(quantity), price, relative)
    assert decode(desk.turns[0].state) == {"seen": ["bar"]}


@pytest.mark.parametrize(
    ("calls", "take", "trail", "off"),
    [
        ("self.buy(s, 1, stop=166, take=170)", 170, None, ()),
        ("self.target(s, 1, take=170, trail=2); self.buy(s, 1)", 170, 2, ()),
        ("self.target(s, 1, stop=166, take=170); self.move_stop(s, 167)", 170, None, ()),
        ("self.target(s, 1, take=170, trail=2); self.sell(s, 1, take='off', trail=1)", None, 1, ("take",)),
        ("self.target(s, 1, take='off'); self.buy(s, 1)", None, None, ("take",)),
        ("self.target(s, 1, take='off'); self.buy(s, 1, take=171)", 171, None, ()),
    ],
)
def test_what_a_relative_word_leaves_out_of_take_and_trail_stays_as_the_turn_has_said_it(
    calls: str, take: int | None, trail: int | None, off: tuple[str, ...]
) -> None:
    desk = told(on_bar=f"s = self.symbols[0]; {calls}").start()
    desk.bars(1)
    (declared,) = desk.turns[0].declarations
    behind = None if declared.trail is None else declared.trail.amount
    assert (declared.take, behind, declared.off) == (take, trail, off)
