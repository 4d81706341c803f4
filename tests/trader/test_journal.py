"""The journal in a real file: what was committed is there again, all of it, and what was not is not."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from brokers.model import Instrument, OrderStatus, OrderType, Side
from supervisor.messages import Event
from supervisor.process.store import SqliteStore
from supervisor.process.writes import Writes
from trader.manager.image import DEAD_ORDERS_KEPT, Uncovered
from trader.manager.journal import SCHEMA, Journal
from trader.messages import Cursor, RejectRow, Turn
from trader.orders.declaration import Declaration
from trader.orders.intents import Intent, IntentState, Kind, Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding

D = Decimal
INTENT = Intent(
    1, "k-1", Kind.PLACE, Purpose.STOP, "SPY", Side.SELL, D("2.50"), OrderType.STOP_MARKET, D("166.10"), 5.0,
    known=("a", "b"),
)  # fmt: skip
ORDER = OwnOrder("9", 1, Purpose.STOP, "SPY", Side.SELL, OrderType.STOP_MARKET, D("2.50"), D("166.10"))


def opened(path: Path) -> Journal:
    return Journal(SqliteStore(path / "s.db", SCHEMA), lambda: "0123456789abcdefghijkl")


def fill_in(journal: Journal) -> None:
    with journal.transaction():
        journal.turn(Turn(1, b"\x00state", 0, Cursor("SPY", 60, 120)), 1.0, 120.5, late=False)
        journal.declare(Declaration("SPY", D("2.50"), D("166.1"), refused=(Purpose.STOP,)))
        journal.write_intent(INTENT)
        journal.write_order(ORDER)
        journal.hold_position("SPY", Holding(D("2.50"), D("167.005"), 7.0))
        journal.add_row(RejectRow("SPY", "hold", "held", D(1), 1.0))
        journal.add_hold("SPY", "divergence", 8.0)
        journal.set_uncovered("SPY", Uncovered(1.0, 2.0, True))
        journal.write_instrument(Instrument("SPY", "STOCK", D("0.01"), D(1)))
        journal.set_done(3, "stop")
        journal.write_event(Event("x", "LOG", "s", "text", 1.0, 2.0, data={"a": 1}))


def image(journal: Journal) -> dict[str, object]:
    return {name: value for name, value in vars(journal).items() if name not in ("_store", "is_new")}


def test_the_image_after_reopening_is_the_image_before(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert journal.is_new
    fill_in(journal)
    again = opened(tmp_path)
    assert not again.is_new
    assert image(again) == image(journal)
    assert again.rows_after(0) == journal.rows_after(0)
    (event,) = SqliteStore(tmp_path / "s.db", SCHEMA).query("SELECT kind, text, machine_s, data FROM events")
    assert event == {"kind": "x", "text": "text", "machine_s": 1.0, "data": '{"a":1}'}
    assert again.next_key() == (2, "abcdefghijkl-2")


def write_and_fail(journal: Journal) -> None:
    with journal.transaction():
        journal.write_intent(INTENT)
        raise ZeroDivisionError


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail(opened(tmp_path))
    assert opened(tmp_path).open_intents == {}


def test_settled_intents_and_closed_orders_leave_the_working_set(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    fill_in(journal)
    with journal.transaction():
        journal.write_intent(msgspec.structs.replace(INTENT, state=IntentState.GIVEN_UP))
        journal.write_order(msgspec.structs.replace(ORDER, status=OrderStatus.FILLED))
    again = opened(tmp_path)
    assert again.open_intents == {}
    assert list(again.given_up) == [1]
    assert not again.orders["9"].working


def test_a_new_file_gets_a_new_key(tmp_path: Path) -> None:
    keys = iter(["a" * 22, "b" * 22])
    for name in ("one.db", "two.db"):
        Journal(SqliteStore(tmp_path / name, SCHEMA), lambda: next(keys))
    assert Journal(SqliteStore(tmp_path / "two.db", SCHEMA), lambda: "c" * 22).key == "b" * 12


def test_series_begins_once_and_its_beginning_is_found_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.transaction():
        journal.begin(Cursor("SPY", 60, 600))
        journal.begin(Cursor("SPY", 60, 540))
    assert opened(tmp_path).cursors == {("SPY", 60): 600}


def test_the_newest_turn_of_a_series_is_its_cursor_also_after_reopening(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number, (symbol, closed_utc) in enumerate([("SPY", 120), ("ES", 120), ("SPY", 180), ("SPY", 240)]):
        with journal.transaction():
            journal.turn(Turn(1, b"", 0, Cursor(symbol, 60, closed_utc)), number, closed_utc, late=False)
    with journal.transaction():
        journal.skip(1, Cursor("SPY", 60, 300), 9.0, 301.0)
    assert opened(tmp_path).cursors == journal.cursors == {("SPY", 60): 300, ("ES", 60): 120}


def test_rows_wait_until_a_turn_has_consumed_them_also_after_reopening(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal.transaction():
        for _ in range(3):
            journal.add_row(RejectRow("SPY", "hold", "held", D(1), 1.0))
    with journal.transaction():
        journal.turn(Turn(1, b"", 0, row=2), 1.0, 1.0, late=False)
    for each in (journal, opened(tmp_path)):
        assert each.last_row == 2
        assert [row.number for row in each.rows_after(each.last_row)] == [3]
        assert [row.number for row in each.rows_after(0)] == [1, 2, 3], "what was consumed is read from the file"


def test_dead_orders_are_bounded_in_memory_and_working_ones_never_leave(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    dead = msgspec.structs.replace(ORDER, status=OrderStatus.FILLED)
    with journal.transaction():
        journal.write_order(ORDER)
        for number in range(DEAD_ORDERS_KEPT + 2):
            journal.write_order(msgspec.structs.replace(dead, order_id=f"d{number}", intent=number + 2))
    assert list(journal.working) == ["9"]
    assert len(journal.orders) == DEAD_ORDERS_KEPT + 1
    assert ("d0" in journal.orders, "d1" in journal.orders, "d2" in journal.orders) == (False, False, True)
    assert journal.knows_order("d0")
    assert opened(tmp_path).orders.keys() == journal.orders.keys()


class Counting(SqliteStore):
    """Notes how many statements each commit had."""

    counts: list[int]

    def write(self, writes: Writes) -> None:
        self.counts.append(len(writes))
        super().write(writes)


def test_what_changes_twice_in_a_step_is_written_once_as_it_is_last(tmp_path: Path) -> None:
    store = Counting(tmp_path / "s.db", SCHEMA)
    store.counts = []
    journal = Journal(store, lambda: "k" * 22)
    with journal.transaction():
        journal.turn(Turn(1, b"", 0, Cursor("SPY", 60, 120)), 1.0, 1.0, late=False)
        for status in (OrderStatus.WORKING, OrderStatus.FILLED):
            journal.write_order(msgspec.structs.replace(ORDER, status=status))
        journal.add_hold("SPY", "divergence", 8.0)
        journal.drop_holds("SPY")
    assert store.counts[-1] == 4, "the turn, where its series begins, the order, and no hold"
    with journal.transaction():
        journal.turn(Turn(1, b"", 0, Cursor("SPY", 60, 180)), 2.0, 2.0, late=False)
    assert store.counts[-1] == 1, "a calm turn is one row"
    with journal.transaction():
        pass
    assert len(store.counts) == 3, "a step that writes nothing has no transaction"
    again = opened(tmp_path)
    assert again.orders["9"].status is OrderStatus.FILLED
    assert again.holds == {}


def test_an_order_is_known_also_where_the_file_alone_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trader.manager.image.IDS_KEPT", 2)
    for journal in (opened(tmp_path), opened(tmp_path)):
        with journal.transaction():
            for number in range(4):
                journal.write_order(msgspec.structs.replace(ORDER, order_id=f"o{number}", intent=number + 1))
        assert [journal.knows_order(f"o{number}") for number in range(5)] == [True, True, True, True, False]
