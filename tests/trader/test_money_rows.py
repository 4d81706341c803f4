"""What an account manager keeps so that money can be told from its journal alone: fees, prices, explanations."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from supervisor.errors import HttpFailed, StoreFailed
from supervisor.process.store import SqliteStore, migrate
from supervisor.process.world import Store
from tests.trader.session_world import JOURNAL, SESSION, SYMBOL, Desk
from trader.accounting.money import Ledger
from trader.manager.journal import SCHEMA
from trader.messages import Cursor, Declared, Turn
from trader.store.books import read_book, read_fills
from trader.store.journal import migrations

D = Decimal
ALWAYS = float("inf")


def store(desk: Desk) -> Store:
    return desk.world.stores[JOURNAL]  # type: ignore[return-value]


def book(desk: Desk) -> Ledger:
    return read_book(store(desk), JOURNAL).ledger(SYMBOL, 0.0)


def fills(desk: Desk) -> list[tuple[Any, ...]]:
    """Side, price, intended price and fee of each."""
    return [
        (str(fill.side), fill.price, order.intended_price(fill.seen_utc), order.fees_usd.get(cumulative))
        for fill, order, cumulative in read_fills(store(desk), JOURNAL, 0.0, ALWAYS)
    ]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def declared(desk: Desk, quantity: int, price: str) -> None:
    """On a bar that closed at this price."""
    desk.stamp += 60
    wanted = Declared(SYMBOL, D(quantity), D(166), D(price))
    desk.world.ask(
        Turn(1, b"", desk.manager.journal.newest_row, Cursor(SYMBOL, 60, desk.stamp), declarations=(wanted,))
    )


def test_a_fill_has_its_fee_the_difference_of_what_was_charged_so_far(desk: Desk) -> None:
    desk.ready()
    desk.declare(2)
    desk.change("1", filled_quantity=D(1), average_fill_price=D(167), commission_usd=D("1.50"))
    desk.stream()
    desk.fill("1")
    desk.change("1", commission_usd=D("3.00"))
    desk.stream()
    assert [fee for *_, fee in fills(desk)] == [D("1.50"), D("1.50")]
    assert book(desk).fees_usd == 3


def test_a_commission_that_is_told_after_the_fill_is_not_lost_and_an_older_frame_takes_nothing_back(desk: Desk) -> None:
    desk.ready()
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    assert book(desk).fees_usd == 0
    desk.change("1", commission_usd=D("1.50"))
    desk.stream()
    desk.change("1", commission_usd=D(0))
    desk.stream()
    assert book(desk).fees_usd == D("1.50")
    desk.change("1", commission_usd=None)
    desk.read()
    assert book(desk).fees_usd == D("1.50"), "what is left out is not 0"
    assert [fee for *_, fee in fills(desk)] == [D("1.50")]


def test_a_commission_that_the_venue_has_corrected_downwards_is_what_the_last_read_says_also_over_a_restart(
    desk: Desk,
) -> None:
    desk.ready()
    desk.declare(1)
    desk.fill("1")
    desk.change("1", commission_usd=D("2.50"))
    desk.stream()
    desk.change("1", commission_usd=D("1.20"))
    desk.read()
    assert book(desk).fees_usd == D("1.20")
    assert [fee for *_, fee in fills(desk)] == [D("1.20")]
    desk.restart()
    desk.read()
    desk.change("1", commission_usd=D(0))
    desk.read()
    assert book(desk).fees_usd == 0
    desk.change("1", commission_usd=D("0.80"))
    desk.stream()
    assert book(desk).fees_usd == D("0.80")


def test_fees_are_counted_once_over_a_restart(desk: Desk) -> None:
    desk.ready()
    desk.declare(1)
    desk.fill("1")
    desk.change("1", commission_usd=D("1.50"))
    desk.stream()
    before = book(desk)
    desk.restart()
    desk.stream()
    desk.read()
    assert book(desk) == before
    assert before.fees_usd == D("1.50")


def test_an_entry_is_held_against_the_close_it_was_declared_on_and_a_stop_against_its_price(desk: Desk) -> None:
    desk.ready()
    declared(desk, 1, "166.90")
    desk.fill("1", "167")
    desk.stream()
    desk.stream()
    desk.fill("2", "165.80")
    desk.stream()
    assert fills(desk) == [("buy", 167, D("166.90"), None), ("sell", D("165.80"), 166, None)]
    assert book(desk).realised == D("-1.20")


def test_a_stop_that_was_made_the_exit_is_held_against_the_close_of_that_decision(desk: Desk) -> None:
    desk.long_and_covered()
    declared(desk, 0, "168.10")
    desk.stream()
    desk.fill("2", "168")
    desk.stream()
    assert fills(desk)[-1][:3] == ("sell", 168, D("168.10"))


def test_an_exit_whose_answer_was_lost_is_held_against_its_decision_all_the_same(desk: Desk) -> None:
    """The stop was made the exit and has filled, and no frame ever showed it working as such."""
    desk.long_and_covered()

    def lost(request: Any) -> Any:
        desk._changed(request)
        raise HttpFailed("time-out", sent=True)

    desk.world.answer_http("PUT", "/orderexecution/orders/", lost)
    declared(desk, 0, "168.10")
    desk.fill("2", "168")
    desk.read()
    assert fills(desk)[-1][:3] == ("sell", 168, D("168.10"))


def test_the_same_declaration_again_keeps_the_price_of_the_decision(desk: Desk) -> None:
    desk.ready()
    declared(desk, 1, "166.90")
    declared(desk, 1, "169")
    desk.fill("1", "167")
    desk.stream()
    assert fills(desk)[0][2] == D("166.90")


def test_a_persons_close_that_the_broker_shows_is_known_profit(desk: Desk) -> None:
    desk.long_and_covered()
    desk.by_hand(-1)
    desk.change("hand3", average_fill_price=D("168.5"), commission_usd=D(1))
    desk.read()
    desk.read()
    made = book(desk)
    assert "divergence.adopted" in desk.events()
    assert (made.holding.quantity, made.gaps) == (0, ())
    assert (made.realised, made.fees_usd) == (D("1.5"), 1)


def test_a_change_without_an_order_to_show_is_a_gap_until_the_order_shows_also_over_a_restart(desk: Desk) -> None:
    desk.long_and_covered()
    desk.by_hand(1, shown=False)
    desk.read()
    desk.read()
    assert [(gap.before, gap.after) for gap in book(desk).gaps] == [(1, 2)]
    desk.restart()
    desk.ready()
    desk.position -= 1
    desk.by_hand(1)
    desk.read()
    made = book(desk)
    assert (made.holding.quantity, made.gaps, made.realised) == (2, (), 0)


def test_orders_of_others_before_any_adoption_are_not_kept_as_explanations(desk: Desk) -> None:
    desk.ready()
    desk.by_hand(1)
    desk.by_hand(-1)
    desk.read()
    assert desk.query("SELECT * FROM foreign_fills") == []


def test_a_position_that_was_taken_over_is_told_by_a_row_and_is_no_gap() -> None:
    desk = Desk(msgspec.structs.replace(SESSION, take_over=True))
    desk.position = 3
    desk.ready()
    made = book(desk)
    assert made.holding.quantity == 3
    assert made.holding.average_price == 167
    assert made.gaps == ()
    assert "divergence.adopted" not in desk.events()


def test_a_journal_of_before_gets_the_place_of_its_adoptions_among_the_fills(tmp_path: Path) -> None:
    """By their times, which is all that was known then."""
    old = sqlite3.connect(tmp_path / "s.db")
    migrate(old, migrations[:1])
    old.executescript(
        """
        INSERT INTO fills (order_id, symbol, side, quantity, price, cumulative, seen_utc)
            VALUES ('1', 'SPY', 'buy', '2', '100', '2', 10.0), ('2', 'SPY', 'sell', '1', '103', '1', 30.0);
        INSERT INTO adoptions (symbol, before_quantity, after_quantity, average_price, read, age_s, explained,
            adopted_utc) VALUES ('SPY', '2', '1', '100', 1, 0.1, 1, 20.0);
        INSERT INTO positions VALUES ('SPY', '0', NULL, 30.0);
        """
    )
    old.close()
    with pytest.raises(StoreFailed, match="an older nightdesk"):
        read_book(SqliteStore(tmp_path / "s.db", None), "s.db")
    made = read_book(SqliteStore(tmp_path / "s.db", SCHEMA), "s.db").ledger("SPY", 0.0)
    assert made.holding.quantity == 0
    assert made.realised == 3
    assert [(gap.before, gap.after) for gap in made.gaps] == [(2, 1)], "what it cost was not kept then"
