"""Hold, halt and flatten in an account manager: no entry while held, nothing fires after, flat by the broker's word."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from brokers.model import Order, OrderStatus, OrderType, Side
from supervisor.errors import HttpFailed, StoreFailed
from tests.scripted_parts import HttpRequest, MemoryFile
from tests.trader.session_world import ACCOUNT, NAME, SYMBOL, Desk, reply
from trader.holds import EVERYBODY, HALT_FILE, Level, PersonHold
from trader.manager import halting
from trader.manager.account import Account
from trader.messages import FillRow, HoldsChanged, ReadSessionStatus
from trader.orders.intents import IntentState, Kind, Purpose
from trader.orders.position import Holding
from trader.store import desk as desk_store
from trader.store.holds import lift, put_flatten, put_hold


class Held(Desk):
    """A person, by way of what the recorder would have stored."""

    def hold(self, level: Level = Level.HOLD, *, session: str = NAME, flatten: bool = False, tell: bool = True) -> None:
        store: Any = self.world.store(desk_store.DESK_DB)
        put_hold(store, PersonHold(session, level, "ann", "cpi", self.world.now_utc()))
        if flatten:
            put_flatten(store, NAME, session)
        if tell:
            self.world.tell(HoldsChanged())

    def flatten(self) -> None:
        self.hold(Level.HALT, flatten=True)

    def release(self, session: str = NAME) -> None:
        store: Any = self.world.store(desk_store.DESK_DB)
        lift(store, session)
        self.world.tell(HoldsChanged())

    @property
    def taken(self) -> Any:
        return self.manager.journal.taken

    @property
    def held(self) -> Decimal:
        quantity: Decimal = self.manager.journal.holding(SYMBOL).quantity
        return quantity

    def partly(self, order_id: str, filled: int) -> None:
        """The order fills in part at the venue, and the stream tells it."""
        order = self.orders[order_id]
        self.position += order.side.sign * (filled - int(order.filled_quantity))
        self.change(order_id, filled_quantity=Decimal(filled), average_fill_price=Decimal(167))
        self.stream()

    def by_hand_works(self, quantity: int, stop: str) -> str:
        """A person's own stop order, working at the venue."""
        order_id = f"hand{next(self.numbers)}"
        side = Side.BUY if quantity > 0 else Side.SELL
        self.orders[order_id] = Order(
            order_id, ACCOUNT, SYMBOL, side, OrderType.STOP_MARKET, Decimal(abs(quantity)),
            OrderStatus.WORKING, "ACK", self.world.now_utc(), stop_price=Decimal(stop),
        )  # fmt: skip
        return order_id

    def restart(self) -> None:
        self.earlier = [*self.all_requests()]
        super().restart()

    def all_requests(self) -> list[HttpRequest]:
        """Of all lives."""
        return [*getattr(self, "earlier", []), *self.world.requests]

    def entries(self) -> list[str]:
        return [row["key"] for row in self.query("SELECT key FROM intents WHERE purpose = 'entry'")]


@pytest.fixture
def desk() -> Held:
    made = Held()
    made.ready()
    return made


# -- hold --------------------------------------------------------------------------------------------------------------


def test_held_session_enters_nothing_and_says_who_held_it(desk: Held) -> None:
    desk.hold()
    desk.declare(1)
    assert desk.sent() == []
    assert (desk.rows()[-1].gate, "by ann: cpi" in desk.rows()[-1].text) == ("hold", True)
    assert desk.world.ask(ReadSessionStatus()).person_holds[0].by == "ann"
    assert (desk.taken.held, desk.taken.halted) == (True, False)


def test_hold_leaves_a_working_entry_which_is_covered_when_it_fills(desk: Held) -> None:
    desk.declare(1)
    desk.hold()
    assert desk.sent() == ["POST"]
    desk.fill("1")
    desk.stream()
    assert desk.held == 1
    assert desk.orders["2"].type is OrderType.STOP_MARKET


def test_exits_and_stop_moves_pass_while_held(desk: Held) -> None:
    desk.long_and_covered()
    desk.hold()
    desk.declare(1, "166.5")
    assert desk.orders["2"].stop_price == Decimal("166.5")
    desk.stream()
    desk.declare(0, None)
    assert desk.orders["2"].type is OrderType.MARKET


def test_reversal_while_held_stops_at_flat(desk: Held) -> None:
    desk.long_and_covered()
    desk.hold()
    desk.declare(-1, "168")
    desk.fill("2")
    desk.stream()
    desk.stream()
    desk.read()
    assert desk.held == 0
    assert len(desk.entries()) == 1


def test_hold_of_all_sessions_holds_and_that_of_another_does_not(desk: Held) -> None:
    desk.hold(session="other")
    desk.declare(1)
    assert len(desk.entries()) == 1
    desk.hold(Level.HALT, session=EVERYBODY)
    assert desk.taken.halted


def test_hold_is_read_before_the_first_entry_of_a_new_life_and_when_the_cast_was_lost(desk: Held) -> None:
    desk.hold(tell=False)
    desk.declare(1)
    assert desk.sent() == [], "read once more before the entry was sent"
    desk.restart()
    assert desk.taken.held
    desk.ready()
    desk.declare(1)
    assert desk.sent() == []


def test_entry_that_waits_for_the_venue_is_not_sent_once_held(desk: Held) -> None:
    def down(_: Any) -> Any:
        raise HttpFailed("no route", sent=False)

    desk.on_order = down
    desk.declare(1)
    tries = len(desk.sent())
    desk.on_order = None
    desk.hold(tell=False)
    desk.world.advance(10.0)
    assert (len(desk.sent()), desk.orders) == (tries, {})
    assert desk.query("SELECT state FROM intents") == [{"state": "refused"}]
    assert desk.rows()[-1].gate == "hold"


def test_after_a_release_nothing_declared_before_fires_and_the_next_word_counts(desk: Held) -> None:
    desk.hold()
    desk.declare(1)
    desk.release()
    desk.world.advance(3.0)
    assert desk.sent() == []
    desk.declare(1)
    assert desk.sent() == ["POST"]


def test_what_was_declared_before_a_short_hold_does_not_fire_after_it(desk: Held) -> None:
    """The venue was away, so nothing was planned while it was held; the validity has not ended."""
    desk.manager.no_plans_before_s = desk.world.now_s() + 3.0
    desk.declare(1)
    assert desk.sent() == []
    desk.hold()
    desk.release()
    desk.world.advance(5.0)
    assert desk.sent() == []


def test_holds_that_cannot_be_read_hold_entries(desk: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: MemoryFile) -> bytes | None:
        raise StoreFailed("halt cannot be read: Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFile, "read", unreadable)
        desk.declare(1)
        assert desk.sent() == []
        assert "cannot be read" in desk.rows()[-1].text
    desk.world.advance(1.0)
    desk.declare(1)
    assert desk.sent() == ["POST"]


# -- halt --------------------------------------------------------------------------------------------------------------


def test_halt_cancels_the_working_entry_and_keeps_position_and_stop(desk: Held) -> None:
    desk.long_and_covered()
    desk.declare(3)
    desk.stream()
    desk.hold(Level.HALT)
    assert desk.orders["3"].status is OrderStatus.CANCELLED
    assert desk.orders["2"].working
    desk.stream()
    assert desk.held == 1
    assert desk.manager.journal.declaration(SYMBOL).quantity == 1


def test_entry_that_fills_while_a_halt_cancels_it_is_kept_and_covered(desk: Held) -> None:
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lambda _: reply({"Message": "sent"}))
    desk.declare(2)
    desk.hold(Level.HALT)
    desk.partly("1", 1)
    desk.partly("1", 2)
    desk.change("1", status=OrderStatus.FILLED)
    desk.stream()
    desk.stream()
    assert desk.held == 2
    working = [order for order in desk.orders.values() if order.working]
    assert [(order.type, order.quantity) for order in working] == [(OrderType.STOP_MARKET, 2)]


@pytest.mark.parametrize("content", [b"", b"stop it", b"\xff\x00" * 5000, b'{"by": "ann", "why": "fire", "id": "1"}'])
def test_halt_file_is_honoured_within_a_second_whatever_it_holds(desk: Held, content: bytes) -> None:
    desk.declare(1)
    desk.stream()
    desk.world.files[HALT_FILE] = content
    desk.world.advance(1.0)
    assert desk.orders["1"].status is OrderStatus.CANCELLED
    assert (desk.taken.halted, desk.taken.file != "") == (True, True)


def test_halt_file_stops_an_entry_at_once_and_its_removal_alone_lets_new_ones_pass(desk: Held) -> None:
    desk.world.files[HALT_FILE] = b""
    desk.declare(1)
    assert desk.sent() == []
    desk.restart()
    desk.ready()
    assert desk.taken.halted
    del desk.world.files[HALT_FILE]
    desk.world.advance(1.0)
    assert not desk.taken.held
    desk.declare(1)
    assert desk.sent() == ["POST"]


# -- flatten -----------------------------------------------------------------------------------------------------------


def test_flatten_turns_the_stop_into_the_exit_and_is_confirmed_by_a_read_after_it(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    assert desk.orders["2"].type is OrderType.MARKET
    before_s = desk.world.now_s()
    desk.world.advance(0.1)
    desk.fill("2")
    desk.stream()
    desk.read(requested_s=before_s)
    assert desk.taken.confirmed == 0, "read before the close"
    desk.read()
    assert desk.taken.confirmed == desk.taken.begun > 0
    assert desk.events()[-1] == "flatten.confirmed"
    desk.declare(1)
    desk.world.advance(3.0)
    assert len(desk.entries()) == 1, "held until released"


def test_strategy_that_declares_on_does_not_undo_a_flatten(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    for _ in range(3):
        desk.declare(1)
        desk.stream()
    assert desk.orders["2"].type is OrderType.MARKET
    assert desk.manager.journal.declaration(SYMBOL).quantity == 0
    desk.fill("2")
    desk.stream()
    desk.declare(1)
    desk.read()
    assert desk.taken.confirmed
    assert (desk.held, len(desk.entries())) == (0, 1)


def test_flatten_with_a_working_entry_cancels_it_and_closes_what_it_filled(desk: Held) -> None:
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lambda _: reply({"Message": "sent"}))
    desk.declare(3)
    desk.flatten()
    desk.partly("1", 2)
    desk.change("1", status=OrderStatus.CANCELLED)
    for _ in range(6):
        desk.stream()
        market = [o for o in desk.orders.values() if o.working and o.order_id != "1" and o.type is OrderType.MARKET]
        for order in market:
            desk.fill(order.order_id)
        desk.world.advance(1.0)
        desk.read()
    assert (desk.position, desk.held) == (0, 0)
    assert desk.taken.confirmed
    assert not [order for order in desk.orders.values() if order.working]


def test_part_filled_exit_is_not_flat(desk: Held) -> None:
    desk.ready()
    desk.declare(3)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.flatten()
    desk.partly("2", 2)
    desk.read()
    desk.world.advance(5.0)
    assert desk.taken.confirmed == 0
    assert "1 is still open" in desk.world.ask(ReadSessionStatus()).flattening
    desk.partly("2", 3)
    desk.change("2", status=OrderStatus.FILLED)
    desk.stream()
    desk.read()
    assert desk.taken.confirmed
    assert desk.position == 0


def test_flatten_goes_on_after_each_death(desk: Held) -> None:
    desk.long_and_covered()
    desk.hold(Level.HALT, flatten=True, tell=False)
    desk.restart()
    desk.world.advance(1.0)
    desk.restart()
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.restart()
    desk.read()
    desk.restart()
    desk.world.advance(1.0)
    desk.read()
    assert desk.taken.confirmed
    assert desk.events().count("flatten.begun") == desk.events().count("flatten.confirmed") == 1
    assert [type(row) for row in desk.rows()].count(FillRow) == 2


@pytest.mark.parametrize("accepted", [True, False])
def test_flatten_whose_answer_is_lost_closes_once(desk: Held, accepted: bool) -> None:
    desk.long_and_covered()
    change: Any = desk._changed

    def lost(request: Any) -> Any:
        if accepted:
            change(request)
        desk.world.answer_http("PUT", "/orderexecution/orders/", change)
        return reply({"Error": "gateway"}, 502)

    desk.world.answer_http("PUT", "/orderexecution/orders/", lost)
    desk.flatten()
    for _ in range(8):
        desk.world.advance(4.0)
        desk.read()
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed
    assert [order.order_id for order in desk.orders.values() if order.type is OrderType.MARKET] == ["1", "2"]


def test_refused_exit_keeps_the_stop_pages_and_is_tried_again_when_asked_again(desk: Held) -> None:
    desk.long_and_covered()
    change: Any = desk._changed
    desk.world.answer_http("PUT", "/orderexecution/orders/", lambda _: reply({"Message": "closed"}, 400))
    desk.flatten()
    desk.world.advance(61.0)
    assert desk.orders["2"].type is OrderType.STOP_MARKET
    assert "exit.refused" in desk.events()
    assert desk.events().count("flatten.unconfirmed") == 1
    assert "refused" in desk.world.ask(ReadSessionStatus()).flattening
    desk.world.answer_http("PUT", "/orderexecution/orders/", change)
    desk.flatten()
    assert desk.orders["2"].type is OrderType.MARKET
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed == desk.taken.begun
    assert desk.events()[-1] == "flatten.confirmed"


def test_order_of_a_person_is_not_touched_and_does_not_hinder(desk: Held) -> None:
    desk.long_and_covered()
    theirs = desk.by_hand_works(-1, "150")
    desk.read()
    desk.flatten()
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed
    assert desk.orders[theirs].working


def test_flatten_asked_twice_closes_once_and_confirms_both(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.flatten()
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.taken.confirmed == desk.taken.begun
    assert desk.sent() == ["POST", "PUT"]


def test_flatten_closes_what_a_person_has_left_open_on_the_phone(desk: Held) -> None:
    desk.declare(2)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.by_hand(-1)
    desk.read()
    desk.flatten()
    assert desk.orders["2"].type is OrderType.STOP_MARKET, "no closing order larger than what the broker has shown"
    desk.read()
    desk.stream()
    assert (desk.orders["2"].type, desk.orders["2"].quantity) == (OrderType.MARKET, 1)
    desk.fill("2")
    desk.stream()
    desk.read()
    assert (desk.position, desk.held) == (0, 0)
    assert desk.taken.confirmed


def test_position_that_a_person_makes_after_the_flatten_is_left_to_the_person(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.fill("2")
    desk.stream()
    desk.read()
    sent = desk.sent()
    desk.by_hand(2)
    desk.read()
    desk.read()
    desk.world.advance(5.0)
    assert desk.held == 2
    assert desk.sent() == sent


def test_release_ends_a_flatten_and_the_exit_still_closes_what_it_was_for(desk: Held) -> None:
    desk.long_and_covered()
    desk.flatten()
    desk.release()
    assert "flatten.ended" in desk.events()
    assert (desk.taken.confirmed, desk.taken.over) == (0, desk.taken.begun)
    desk.fill("2")
    desk.stream()
    desk.read()
    assert desk.held == 0


def test_a_release_does_not_close_what_is_held_for_an_entry_to_the_other_side_of_unknown_fate() -> None:
    """Regression (night 471): a short position of a person, adopted; a purchase of ours that had no outcome yet."""
    entry = SimpleNamespace(
        kind=Kind.PLACE, purpose=Purpose.ENTRY, symbol=SYMBOL, state=IntentState.UNKNOWN, side=Side.BUY,
        quantity=Decimal(1),
    )  # fmt: skip
    journal = SimpleNamespace(open_intents={1: entry}, holding=lambda symbol: Holding(Decimal(-1)))
    account = cast(Account, SimpleNamespace(journal=journal, working_of=lambda symbol: []))
    assert halting._sent(account, SYMBOL, Decimal(-1)) == -1
    assert halting._sent(account, SYMBOL, Decimal(-2)) == -1
