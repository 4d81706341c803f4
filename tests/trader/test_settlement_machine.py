"""Settlement against a venue whose habits nobody knows: random histories of declarations, lost answers, requests that
arrive late, part-fills, reads that are old, days that end, and our own deaths. After each step: at most one order of an
intent, and a position that never crosses zero nor exceeds what was declared. At the end nothing is unknown without a
word, and the books are the venue's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from brokers.broker import AccountSnapshot, Capabilities
from brokers.model import Account as VenueAccount
from brokers.model import Balance, GroupOutcome, Instrument, OrderType, Outcome, Position, Unknown
from feeds.config import Timing
from feeds.messages import AccountSeen, Snapshot
from tests.scripted_parts import MemoryStore
from tests.trader.forgetful_venue import PRICE, ForgetfulVenue
from tests.trader.session_world import ACCOUNT, SESSION, SYMBOL
from trader.manager.account import Account, Now
from trader.manager.execution import doubt_after_restart, expire, outcome, overdue, send_again, write_plans
from trader.manager.inquiry import Inquiry
from trader.manager.journal import Journal
from trader.manager.order_frames import frames
from trader.manager.settlement import settle_by_history
from trader.manager.truth import coverage, read
from trader.manager.turns import declare
from trader.manager.unsettled import held_when_overdue
from trader.messages import Declared
from trader.orders.intents import Intent, IntentState, Kind, Memory, Purpose, change, placing
from trader.risk.limits import Limits
from trader.store.journal import migrations

TIMING = Timing()
SPY = Instrument(SYMBOL, "STOCK", Decimal("0.01"), Decimal(1))
START_UTC = 1_381_154_400.0
SEEN = AccountSeen(VenueAccount(ACCOUNT, "Margin", "Active", "USD"), Decimal(0), {})
MOST = Decimal(2)
"""The largest exposure that is ever declared."""
MEMORIES: dict[str, tuple[Memory, float]] = {
    "forever": ("forever", inf),
    "long window": ("window", 90.0),
    "short window": ("window", 20.0),
    "none": ("none", 0.0),
}
"""What the venue says of its memory for keys, and for how many seconds it lasts: a long window is one in which a key
may go again, a short one is over while the first request may still be on its way."""
Request = Callable[[], Outcome | GroupOutcome]


def store() -> MemoryStore:
    made = MemoryStore("s.db", [])
    for sql in migrations:
        made.connection.executescript(sql)
    return made


class Settlement(RuleBasedStateMachine):
    fates_drawn = st.lists(
        st.sampled_from(
            ["answered", "answer lost", "request lost", "late", "late", "not sent", "killed before", "killed after"]
        ),
        max_size=3,
    )

    @initialize(
        memory=st.sampled_from(list(MEMORIES)),
        keeps_id=st.booleans(),
        fates=st.sampled_from([["answered", "late"], ["answered", "answer lost"], ["late"], ["answered"], []]),
    )
    def begin(self, memory: str, keeps_id: bool, fates: Sequence[str] = ()) -> None:
        """Each history begins with an entry, or the loss of it or of its stop."""
        said, lasts_s = MEMORIES[memory]
        can = Capabilities(said, True, id_dedupe_window_s=lasts_s)
        self._begin(ForgetfulVenue(lasts_s, keeps_id, ACCOUNT), can)
        if fates:
            self.the_strategy_declares(2, "165", list(fates[:1]))
            self.the_books_are_read(list(fates[1:]))

    def _begin(self, venue: ForgetfulVenue, can: Capabilities) -> None:
        self.s, self.venue, self.can = 1000.0, venue, can
        self.store, self.reads = store(), itertools.count(1)
        self.flying: list[tuple[float, Request]] = []
        self.fates: list[str] = []
        self.old: Snapshot | None = None
        self._live()
        self._read(self._look())
        with self.journal.transaction():
            self.journal.write_instrument(SPY)

    def _live(self) -> None:
        keys = itertools.count(1)
        self.journal = Journal(self.store, lambda: f"{next(keys):012d}")  # type: ignore[arg-type]
        self.account = Account(SESSION, self.journal, TIMING, Limits(), self.can)
        self.account.seen = SEEN
        self.inquiry = Inquiry()
        with self.journal.transaction():
            doubt_after_restart(self.account, self.now)

    @property
    def now(self) -> Now:
        return Now(self.s, START_UTC + self.s, 1.0)

    # -- the desk, put together as the account manager does ----------------------------------------------------------

    def _step(self, what: Callable[[Now], Any]) -> None:
        """One transaction; then what follows from it is sent, each intent to its drawn fate."""
        with self.journal.transaction():
            sending = what(self.now) or []
            sending += write_plans(self.account, self.now)
            coverage(self.account, self.now)
        while sending:
            intent = self.journal.open_intents.get(sending.pop(0).number)
            if intent is not None and intent.state is IntentState.WRITTEN:
                sending += self._send(intent)

    def _send(self, intent: Intent) -> list[Intent]:
        if overdue(intent, self.now):
            with self.journal.transaction():
                expire(self.account, intent, self.now)
            return []
        fate = self.fates.pop(0) if self.fates else "answered"
        request = self._request(intent)
        if fate == "killed before":
            self._live()
            return []
        result: Outcome | GroupOutcome = Unknown("no route", sent=False)
        if fate in ("answered", "answer lost", "killed after"):
            result = request()
        if fate == "killed after":
            self._live()
            return []
        if fate == "late":
            self.flying.append((self.s + TIMING.on_its_way_s, request))
        if fate in ("late", "answer lost", "request lost"):
            result = Unknown("time-out")
        with self.journal.transaction():
            outcome(self.account, intent, result, self.now)
            return write_plans(self.account, self.now) if fate != "not sent" else []

    def _request(self, intent: Intent) -> Request:
        if intent.kind is Kind.PLACE:
            order = placing(intent, ACCOUNT, SPY)
            return lambda: self.venue.place(order, self.now.utc)
        if intent.kind is Kind.CANCEL:
            return lambda: self.venue.cancel(intent.order_id)
        had = self.journal.orders[intent.order_id]
        changed = change(intent, had.quantity if had.group or had.on_its_way is None else None)
        return lambda: self.venue.change(intent.order_id, changed, self.now.utc)

    def _look(self) -> Snapshot:
        held = self.venue.position
        position = (Position(ACCOUNT, SYMBOL, held, PRICE),) if held else ()
        content = AccountSnapshot(
            ACCOUNT, self.venue.shown(self.venue.orders), position, Balance(ACCOUNT, Decimal(0), Decimal(0))
        )
        return Snapshot(next(self.reads), self.s, content)

    def _read(self, snapshot: Snapshot) -> None:
        self._step(lambda now: read(self.account, snapshot, now))

    # -- what happens ------------------------------------------------------------------------------------------------

    @rule(quantity=st.sampled_from([1, 2, 0, 2, 1]), stop=st.sampled_from(["165", "166"]), fates=fates_drawn)
    def the_strategy_declares(self, quantity: int, stop: str, fates: list[str]) -> None:
        self.s += 0.5
        self._read(self._look())
        self.fates = fates
        declared = (Declared(SYMBOL, Decimal(quantity), Decimal(stop)),)
        self._step(lambda now: declare(self.account, declared, now, now.utc, tell=False))

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0, 31.0, 62.0]), fates=fates_drawn)
    def time_passes(self, seconds: float, fates: list[str]) -> None:
        """And the books are read meanwhile, as they are while something is in doubt."""
        self.fates = fates
        until_s = self.s + seconds
        while self.s < until_s:
            self.s += min(6.0, until_s - self.s)
            self._step(self._tick)
            self._read(self._look())

    def _tick(self, now: Now) -> list[Intent]:
        held_when_overdue(self.account, now)
        return send_again(self.account, now)

    @rule(fates=fates_drawn)
    def the_books_are_read(self, fates: list[str]) -> None:
        self.s += 1.0
        self.fates = fates
        self._read(self._look())

    @rule()
    def the_books_look_and_are_slow_to_tell(self) -> None:
        self.s += 0.1
        self.old = self._look()

    @precondition(lambda self: self.old is not None)
    @rule()
    def the_slow_read_is_told(self) -> None:
        assert self.old is not None
        self.s += 0.1
        snapshot, self.old = self.old, None
        self._read(snapshot)

    @rule()
    def the_stream_tells_all_orders(self) -> None:
        self.s += 0.1
        orders = self.venue.shown(self.venue.orders)
        self._step(lambda now: frames(self.account, orders, now))

    @rule()
    def the_books_answer_what_was_asked(self) -> None:
        self.s += 0.1
        self._answer()

    def _answer(self) -> None:
        ask = self.inquiry.due(self.account, self.now)
        asked = tuple(each for each in self.venue.shown(self.venue.orders) if each.order_id in ask.order_ids)
        self._step(lambda now: frames(self.account, asked, now, now.s))
        if ask.since_utc is not None:
            since_utc, closed = ask.since_utc, self.venue.shown(self.venue.history)
            self._step(lambda now: settle_by_history(self.account, closed, since_utc, now))

    @precondition(lambda self: self.flying)
    @rule(place=st.integers(0, 5))
    def a_late_request_arrives(self, place: int) -> None:
        self.s += 0.1
        until_s, request = self.flying.pop(place % len(self.flying))
        if self.s <= until_s:
            request()

    @precondition(lambda self: self.venue.working)
    @rule(place=st.integers(0, 5), whole=st.booleans())
    def a_stop_fires(self, place: int, whole: bool) -> None:
        self.s += 0.1
        working = sorted(self.venue.working)
        self.venue.fill(working[place % len(working)], None if whole else Decimal(1))

    @rule()
    def the_venues_day_ends(self) -> None:
        self.s += 0.1
        self.venue.next_day()

    @rule()
    def we_die(self) -> None:
        self.s += 1.0
        self._live()

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def at_most_one_order_comes_of_an_intent(self) -> None:
        twice = {key: number for key, number in self.venue.placed.items() if number > 1}
        assert not twice

    @invariant()
    def the_position_never_crosses_zero_and_never_exceeds_what_was_declared(self) -> None:
        assert all(0 <= held <= MOST for held in self.venue.positions), self.venue.positions

    @invariant()
    def nothing_is_given_up_or_forgotten_that_is_there(self) -> None:
        for intent in self.journal.open_intents.values():
            assert intent.state.open

    def teardown(self) -> None:
        """Nothing is on its way any more, and the venue answers: all is settled within the bound, and agrees."""
        if not hasattr(self, "venue"):
            return
        self.fates, self.flying = [], []
        for _ in range(40):
            self.s += 5.0
            self._fill_at_market()
            self._step(self._tick)
            self._read(self._look())
            self.s += 0.1
            self._answer()
        self._is_settled()
        self._is_covered()

    def _fill_at_market(self) -> None:
        for order_id, order in self.venue.working.items():
            if order.type is OrderType.MARKET:
                self.venue.fill(order_id)

    def _is_settled(self) -> None:
        held = self.journal.holds_of(SYMBOL)
        unknown = [i for i in self.journal.open_intents.values() if i.state is IntentState.UNKNOWN]
        assert not unknown or {"ambiguous", "unsettled"} & set(held), unknown
        assert not held
        assert self.journal.holding(SYMBOL).quantity == self.venue.position
        assert set(self.journal.working) == set(self.venue.working)

    def _is_covered(self) -> None:
        position, declaration = self.venue.position, self.journal.declaration(SYMBOL)
        stops = [order for order in self.venue.working.values() if order.type is OrderType.STOP_MARKET]
        events = {row["kind"] for row in self.store.query("SELECT kind FROM events")}
        assert not self._alarms & events, "nobody but us trades here"
        covered = sum(stop.remaining for stop in stops)
        if not position:
            assert not self.venue.working
        elif Purpose.STOP in declaration.refused:
            assert covered <= position
            assert "stop.refused" in events, "a page says what is missing"
        else:
            assert covered == position
            assert SYMBOL not in self.journal.uncovered

    @property
    def _alarms(self) -> set[str]:
        return {"order.changed_by_other", "order.cancelled_by_other", "divergence.adopted", "hold.ambiguous"}


def test_the_machine_trades() -> None:
    """A gate that came later had refused each of its entries, unseen: a history without orders proves nothing."""
    machine = Settlement()
    machine.begin(memory="none", keeps_id=True)
    machine.the_strategy_declares(quantity=2, stop="165", fates=[])
    machine.the_books_are_read(fates=[])
    assert (machine.venue.position, [o.stop_price for o in machine.venue.working.values()]) == (2, [165])
    machine.the_strategy_declares(quantity=1, stop="166", fates=[])
    machine.teardown()
    assert (machine.venue.position, [o.stop_price for o in machine.venue.working.values()]) == (1, [166])


def random_histories(usual: int) -> settings:
    """Others each time. A longer run: ``NIGHTDESK_HISTORIES=5000``."""
    return settings(
        max_examples=int(os.environ.get("NIGHTDESK_HISTORIES", usual)),
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_settlement_is_right_whichever_way_the_venue_is() -> None:
    run_state_machine_as_test(Settlement, settings=random_histories(400))


@pytest.mark.parametrize("memory", ["forever", "long window"])
def test_what_is_sent_again_may_have_been_sent_also_when_we_die_of_it(memory: str) -> None:
    machine = Settlement()
    machine.begin(memory=memory, keeps_id=False)
    machine.the_strategy_declares(quantity=1, stop="165", fates=[])
    machine.time_passes(seconds=31.0, fates=["request lost", "killed after"])
    told = [row["text"] for row in machine.store.query("SELECT text FROM events WHERE kind = 'intent.unknown'")]
    assert told[-1].endswith("our own death")
    machine.teardown()
