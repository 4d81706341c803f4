"""Money from stored fills: equal to the venue's own ledger, however the fills are split, and honest over adoptions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Instrument, OrderStatus, OrderType, Side
from brokers.tradestation.emulator import instruments
from brokers.tradestation.emulator import money as venue
from brokers.tradestation.emulator.order import Fill as VenueFill
from tests.scripted_parts import MemoryStore
from trader.accounting.money import (
    Adoption,
    Fee,
    Fill,
    ForeignFill,
    Ledger,
    Rows,
    Stop,
    adopted,
    checked,
    exposure_usd,
    ledger,
    money,
    open_usd,
    risk_at_stop_usd,
    slippage,
    total,
    usd,
)
from trader.manager.journal import Journal
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding, after_fill, price_of_new
from trader.store import journal as schema
from trader.store.books import read_book

D = Decimal
ES = Instrument("ESZ13", "FUTURE", D("0.25"), D(50))
TRADES = st.lists(
    st.tuples(st.integers(-5, 5).filter(bool), st.integers(6_000, 7_200).map(lambda ticks: D(ticks) / 4)), max_size=40
)


def fill(number: int, quantity: int, price: Decimal | int, at_utc: float | None = None) -> Fill:
    side = Side.BUY if quantity > 0 else Side.SELL
    at = float(number) if at_utc is None else at_utc
    return Fill(number, str(number), "ESZ13", side, D(abs(quantity)), D(price), at)


def foreign(
    quantity: int, price: Decimal | int | None, adoption: int, at_utc: float, fee_usd: str = "0"
) -> ForeignFill:
    side = Side.BUY if quantity > 0 else Side.SELL
    paid = None if price is None else D(price)
    return ForeignFill("ESZ13", side, D(abs(quantity)), paid, D(fee_usd), adoption, at_utc)


def of(*fills: Fill, **rows: Any) -> Ledger:
    return ledger("ESZ13", Rows(fills=fills, **rows))


@given(TRADES)
def test_average_realised_profit_and_fees_are_those_of_the_venues_own_ledger(trades: list[tuple[int, Decimal]]) -> None:
    account = venue.Account("SIM1F", "Futures", D(100_000))
    about = instruments.instrument("ESZ13")
    assert about is not None
    fills: list[Fill] = []
    fees: list[Fee] = []
    for number, (quantity, price) in enumerate(trades, start=1):
        fee_usd = about.commission_usd * abs(quantity)
        venue.settle(account, VenueFill(str(number), "SIM1F", "ESZ13", quantity, price, fee_usd, number), about, "1")
        fills.append(fill(number, quantity, price))
        fees.append(Fee("ESZ13", fee_usd, number))
        book = ledger("ESZ13", Rows(fills=tuple(fills), fees=tuple(fees)))
        held = account.positions.get("ESZ13")
        assert book.holding.quantity == account.quantity("ESZ13")
        if held is not None:
            average = held.cost_usd / held.quantity / about.point_usd
            assert book.holding.average_price is not None
            assert abs(book.holding.average_price - average) < D("1e-6")
        gained_usd = usd(book.realised, ES)
        assert gained_usd is not None
        assert abs(gained_usd - account.realized_usd) < D("1e-5")
        assert abs(D(100_000) + gained_usd - book.fees_usd - account.cash_usd) < D("0.005"), "the balance, to the cent"
        if held is None:
            assert gained_usd == account.realized_usd, "flat: exact"


@given(st.lists(st.tuples(st.sampled_from(["ESZ13", "NQZ13", "MESZ13"]), st.integers(-5, 5).filter(bool)), max_size=40))
def test_the_sum_over_the_sessions_of_an_account_is_the_accounts_balance_to_the_cent(
    trades: list[tuple[str, int]],
) -> None:
    """A session a symbol, all on one account; each ends flat or is worth what it is at the last price."""
    account = venue.Account("SIM1F", "Futures", D(100_000))
    fills: dict[str, list[Fill]] = {}
    fees: dict[str, list[Fee]] = {}
    for number, (symbol, quantity) in enumerate(trades, start=1):
        about, price = instruments.instrument(symbol), D(6_700 + 7 * number) / 4
        assert about is not None
        fee_usd = about.commission_usd * abs(quantity)
        venue.settle(account, VenueFill(str(number), "SIM1F", symbol, quantity, price, fee_usd, number), about, "1")
        one = msgspec.structs.replace(fill(number, quantity, price), symbol=symbol)
        fills.setdefault(symbol, []).append(one)
        fees.setdefault(symbol, []).append(Fee(symbol, fee_usd, number))
    made = D(100_000)
    for symbol in fills:
        about = instruments.instrument(symbol)
        assert about is not None
        book = ledger(symbol, Rows(fills=tuple(fills[symbol]), fees=tuple(fees[symbol])))
        gained_usd = usd(book.realised, Instrument(symbol, "FUTURE", about.tick, about.point_usd))
        assert gained_usd is not None
        made += gained_usd - book.fees_usd
    assert abs(made - account.cash_usd) < D("0.005")


@given(TRADES, st.lists(st.integers(0, 40), max_size=6))
def test_any_split_of_the_fills_over_restarts_gives_the_same_numbers(
    trades: list[tuple[int, Decimal]], restarts: list[int]
) -> None:
    def played(restarts: list[int]) -> Ledger:
        store: Any = MemoryStore("s.db", [])
        for script in schema.migrations:
            store.connection.executescript(script)
        store.connection.execute(f"PRAGMA user_version = {len(schema.migrations)}")
        journal = Journal(store, lambda: "0123456789abcdefghijkl")
        for number, (quantity, price) in enumerate(trades, start=1):
            if number in restarts:
                journal = Journal(store, lambda: "never again")
            trade(journal, number, quantity, price)
        return read_book(store, "s.db").ledger("ESZ13", 7.0)

    assert played(restarts) == played([])


def trade(journal: Journal, number: int, quantity: int, price: Decimal) -> None:
    """As execution does it: order, fill, fee, position, in one transaction."""
    side = Side.BUY if quantity > 0 else Side.SELL
    amount = D(abs(quantity))
    order = OwnOrder(
        str(number), number, Purpose.ENTRY, "ESZ13", side, OrderType.MARKET, amount, None, OrderStatus.FILLED, amount
    )
    with journal.transaction():
        journal.write_order(order)
        journal.write_fill(order, amount, price, float(number))
        journal.write_fee(order, D("1.50") * amount, float(number))
        journal.hold_position("ESZ13", after_fill(journal.holding("ESZ13"), side, amount, price, float(number)))


@given(TRADES, st.integers(6_000, 7_200))
def test_realised_and_open_profit_are_what_was_paid_and_what_it_is_worth(
    trades: list[tuple[int, Decimal]], ticks: int
) -> None:
    price = D(ticks) / 4
    book = of(*[fill(number, *each) for number, each in enumerate(trades, start=1)])
    paid = sum((quantity * at for quantity, at in trades), D(0))
    worth = book.holding.quantity * price
    opened = open_usd(book.holding, price, ES)
    gained = usd(book.realised, ES)
    assert opened is not None
    assert gained is not None
    assert abs(opened + gained - (worth - paid) * 50) < D("1e-5")


def test_what_is_of_today_is_what_was_seen_since_the_day_began() -> None:
    day_utc = 1_381_190_400.0
    rows = Rows(
        fills=(
            fill(1, 1, 100, day_utc - 20),
            fill(2, -1, 101, day_utc - 10),
            fill(3, -1, 103),
            fill(4, 1, 101, day_utc),
        ),
        fees=(Fee("ESZ13", D(2), day_utc - 10), Fee("ESZ13", D(3), day_utc)),
    )
    book = ledger("ESZ13", rows, day_utc)
    assert (book.realised, book.realised_today) == (3, 2)
    assert (book.fees_usd, book.fees_today_usd) == (5, 3)


# -- adoptions ---------------------------------------------------------------------------------------------------------


def test_profit_over_an_adoption_is_unknown_and_no_fill_is_invented() -> None:
    book = of(fill(1, 2, 100), adoptions=(Adoption("ESZ13", D(2), D(1), D(100), 5.0, 1, 1),))
    assert book.holding == Holding(D(1), D(100), 5.0)
    assert [(gap.before, gap.after) for gap in book.gaps] == [(2, 1)]
    assert book.realised == 0


def test_fills_that_the_broker_shows_explain_an_adoption_and_its_profit_is_known() -> None:
    book = of(
        fill(1, 2, 100),
        adoptions=(Adoption("ESZ13", D(2), D(1), D(100), 5.0, 1, 1),),
        foreign=(foreign(-1, 104, 1, 5.0, "1.50"),),
    )
    assert book.gaps == ()
    assert (book.realised, book.fees_usd) == (4, D("1.50"))


def test_the_explanation_may_come_in_a_later_read() -> None:
    adoptions = (Adoption("ESZ13", D(2), D(1), D(100), 5.0, 1, 1), Adoption("ESZ13", D(1), D(0), None, 7.0, 2, 1))
    some = of(fill(1, 2, 100), adoptions=adoptions, foreign=(foreign(-1, 104, 1, 6.0),))
    assert len(some.gaps) == 1, "the first is explained, the second is not"
    assert some.realised == 4
    both = of(fill(1, 2, 100), adoptions=adoptions, foreign=(foreign(-1, 104, 1, 6.0), foreign(-1, 90, 2, 9.0)))
    assert both.gaps == ()
    assert both.realised == 4 - 10


def test_what_cancels_itself_out_between_two_reads_explains_nothing() -> None:
    trips = (foreign(1, 100, 1, 6.0), foreign(-1, 190, 1, 6.0))
    book = of(fill(1, 2, 100), adoptions=(Adoption("ESZ13", D(2), D(1), D(100), 5.0, 1, 1),), foreign=trips)
    assert len(book.gaps) == 1
    assert book.realised == 0


def test_a_fill_of_others_whose_price_cannot_be_told_explains_nothing() -> None:
    book = of(
        fill(1, 2, 100),
        adoptions=(Adoption("ESZ13", D(2), D(1), D(100), 5.0, 1, 1),),
        foreign=(foreign(-1, None, 1, 5.0),),
    )
    assert len(book.gaps) == 1


def test_a_position_taken_over_counts_from_the_brokers_average_on() -> None:
    taken = Adoption("ESZ13", D(0), D(3), D(100), 5.0, 1, 0, taken_over=True)
    book = of(fill(1, -3, 102), adoptions=(taken,))
    assert (book.holding.quantity, book.realised, book.gaps) == (0, 6, ())


@given(TRADES.filter(bool), st.data())
def test_a_persons_trades_that_the_broker_shows_leave_the_profit_that_the_account_made(
    trades: list[tuple[int, Decimal]], data: st.DataObject
) -> None:
    """Some of the fills are a person's: adopted one by one with the venue's average, each with the fill to show."""
    by_hand = data.draw(st.sets(st.integers(1, len(trades))))
    held, fills, adoptions, others = Holding(), [], [], []
    for number, (quantity, price) in enumerate(trades, start=1):
        after = after_fill(held, Side.BUY if quantity > 0 else Side.SELL, D(abs(quantity)), price, number)
        if number in by_hand:
            newest = fills[-1].number if fills else 0
            index = len(adoptions) + 1
            adoptions.append(
                Adoption("ESZ13", held.quantity, after.quantity, after.average_price, number, index, newest)
            )
            others.append(foreign(quantity, price, index, number))
        else:
            fills.append(fill(number, quantity, price))
        held = after
    mixed = of(*fills, adoptions=tuple(adoptions), foreign=tuple(others))
    alone = of(*[fill(number, *each) for number, each in enumerate(trades, start=1)])
    assert mixed.holding.quantity == alone.holding.quantity
    assert mixed.gaps == ()
    assert abs(mixed.realised - alone.realised) < D("1e-9")


def test_a_stored_position_that_the_rows_do_not_tell_is_a_gap() -> None:
    book = of(fill(1, 1, 100))
    assert checked(book, book.holding) == book
    other = checked(book, Holding(D(2), D(99), 9.0))
    assert other.holding.quantity == 2
    assert [(gap.before, gap.after) for gap in other.gaps] == [(1, 2)]
    assert adopted(book, Adoption("ESZ13", D(1), D(2), D(99), 9.0)).gaps == other.gaps


# -- in money ----------------------------------------------------------------------------------------------------------


def test_exposure_and_open_profit_need_a_price_and_are_signed() -> None:
    short = Holding(D(-2), D(100), 1.0)
    assert exposure_usd(short, D(99), ES) == -9_900
    assert open_usd(short, D(99), ES) == 100
    assert exposure_usd(short, None, ES) is open_usd(short, None, ES) is None
    assert open_usd(short, D(99), None) is None, "no point value"
    assert exposure_usd(Holding(), None, None) == open_usd(Holding(), None, None) == 0


@pytest.mark.parametrize(
    ("quantity", "stops", "risk"),
    [
        (2, [Stop(D(2), D(98))], 200),
        (-2, [Stop(D(2), D(101))], 100),
        (2, [Stop(D(1), D(98)), Stop(D(1), D(99))], 150),
        (2, [Stop(D(2), D(103))], 0),
        (2, [Stop(D(1), D(98))], None),
        (2, [], None),
        (0, [], 0),
    ],
)
def test_risk_at_the_stop_is_the_loss_from_the_average_and_unknown_where_a_part_is_bare(
    quantity: int, stops: list[Stop], risk: int | None
) -> None:
    held = Holding(D(quantity), D(100) if quantity else None, 1.0)
    assert risk_at_stop_usd(held, stops, ES) == risk


def test_slippage_is_above_zero_where_it_is_worse() -> None:
    assert slippage(Side.BUY, D(101), D(100)) == 1
    assert slippage(Side.SELL, D(101), D(100)) == -1
    assert slippage(Side.BUY, D(101), None) is None


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert total([D(1), D(2)]) == 3
    assert total([D(1), None]) is None
    assert total([]) == 0


def test_money_has_no_noise_behind_the_cents() -> None:
    assert str(money(D(100) / 3 * 3)) == "100.00"
    assert str(money(D("387.5"))) == "387.50"
    assert str(money(D("1E+3"))) == "1000.00"
    assert str(money(D("0.00625"))) == "0.00625", "never rounded"


def test_the_price_of_what_is_new_makes_both_averages_true() -> None:
    assert price_of_new(D(0), None, D(2), D(100)) == 100
    assert price_of_new(D(1), D(100), D(2), D(101)) == 102
    assert price_of_new(D(1), None, D(2), D(101)) is None
    assert price_of_new(D(2), D(101), D(2), D(101)) is None
