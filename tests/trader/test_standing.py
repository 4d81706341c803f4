"""Ours against the broker's: what agrees, what differs, what nobody can tell, and sums that never mix."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.broker import AccountSnapshot
from brokers.model import Balance, Instrument, Order, OrderStatus, OrderType, Position, Side
from trader.accounting.money import Fee, Fill, Rows
from trader.accounting.order_lines import OrderLine, foreign_fill_lines, order_lines
from trader.accounting.standing import (
    Broker,
    Ours,
    Place,
    SessionBook,
    Standing,
    State,
    of_account,
    standings,
    totals,
)
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding
from trader.sessions import Session

D = Decimal
NOW_UTC = 1_381_190_400.0
ES = Instrument("ESZ13", "FUTURE", D("0.25"), D(50))
PLACES = {
    "sim": Place("SIM", "sim-api"),
    "sim2": Place("SIM", "sim-api"),
    "live": Place("LIVE", "api"),
    "elsewhere": Place("SIM", "another"),
}
STOP = OwnOrder(
    "9", 2, Purpose.STOP, "ESZ13", Side.SELL, OrderType.STOP_MARKET, D(2), D(1664), OrderStatus.WORKING
)  # fmt: skip


def session(name: str = "es", connection: str = "sim", account: str = "A", symbol: str = "ESZ13") -> Session:
    return Session(
        name=name, strategy="x", class_name="X", code_sha256="0", account=account, symbols=(symbol,),
        connection=connection,
    )  # fmt: skip


def ours(of: Session, quantity: int = 2, *orders: OwnOrder, changed_utc: float = NOW_UTC - 60, **more: Any) -> Ours:
    """Bought at 1672.25 in one fill."""
    (symbol,) = of.symbols
    fills = (Fill(1, "1", symbol, Side.BUY, D(quantity), D("1672.25"), changed_utc),) if quantity else ()
    held = Holding(D(quantity), D("1672.25") if quantity else None, changed_utc)
    book = SessionBook(
        holdings={symbol: held},
        rows={symbol: Rows(fills=fills)},
        orders=orders,
        instruments={symbol: msgspec.structs.replace(ES, symbol=symbol)},
        changed_utc={symbol: changed_utc},
        **more,
    )
    return Ours(of, book)


def broker(
    *positions: tuple[str, int],
    orders: tuple[Order, ...] = (),
    connection: str = "sim",
    account: str = "A",
    read_utc: float = NOW_UTC - 5,
    price: str = "1673",
) -> Broker:
    held = tuple(Position(account, symbol, D(quantity), D(1672)) for symbol, quantity in positions)
    content = AccountSnapshot(
        account, orders, held, Balance(account, D(1000), D(1037)), {symbol: D(price) for symbol, _ in positions}
    )
    return Broker(PLACES[connection], connection, account, content, 5.0, read_utc)


def order(order_id: str, **changes: Any) -> Order:
    made = Order(
        order_id, "A", "ESZ13", Side.SELL, OrderType.STOP_MARKET, D(2), OrderStatus.WORKING, "ACK", NOW_UTC,
        stop_price=D(1664),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def test_today_is_the_trading_day_of_the_account_whatever_the_date_by_utc() -> None:
    """16:59 and 17:01 New York: of a futures account two days, of another one; midnight UTC is in neither's way."""
    evening_utc = 1_381_179_600.0  # 2013-10-07T21:00Z, 17:00 New York
    trade = session()
    fills = [(1, Side.BUY, 100, -120), (2, Side.SELL, 101, -60), (3, Side.BUY, 100, 60), (4, Side.SELL, 103, 120)]
    rows = Rows(
        fills=tuple(Fill(n, str(n), "ESZ13", side, D(1), D(price), evening_utc + s) for n, side, price, s in fills),
        fees=tuple(Fee("ESZ13", D(2), evening_utc + s) for _, _, _, s in fills),
    )
    book = SessionBook(rows={"ESZ13": rows}, instruments={"ESZ13": ES})

    def today(kind: str, now_utc: float) -> tuple[Decimal | None, Decimal]:
        read = msgspec.structs.replace(broker(), kind=kind)
        (line,) = standings([Ours(trade, book)], [read], PLACES, now_utc)
        return line.realised_today_usd, line.fees_today_usd

    for later_s in (180, 4 * 3600):  # the same New York evening; by UTC the second is of the next date
        assert today("Futures", evening_utc + later_s) == (150, 4)
    assert today("Margin", evening_utc + 180) == (200, 8)
    assert today("Margin", evening_utc + 4 * 3600) == (200, 8)
    assert today("Margin", evening_utc + 8 * 3600) == (0, 0)


def test_what_a_journal_that_cannot_be_read_held_is_not_known_and_nobody_elses() -> None:
    """Unknown is not flat: no agreement with a broker that has nothing, no sum without its part."""
    unread = Ours(session(), SessionBook(), unread=True)
    (line,) = lines = standings([unread], [broker(("ESZ13", 2))], PLACES, NOW_UTC)
    assert (line.state, line.ours, line.theirs) == (State.OURS_UNREAD, None, 2)
    assert one(unread, broker()).state is State.OURS_UNREAD
    (total,) = totals(lines, [broker(("ESZ13", 2))], PLACES)
    assert (total.realised_usd, total.risk_usd, total.exposure_usd) == (None, None, None)


def one(each: Ours, read: Broker) -> Standing:
    return standings([each], [read], PLACES, NOW_UTC)[0]


def test_a_line_has_both_sides_and_what_it_risks_and_is_worth() -> None:
    line = one(ours(session(), 2, STOP), broker(("ESZ13", 2)))
    assert (line.state, line.ours, line.theirs) == (State.AGREES, 2, 2)
    assert (line.average_price, line.their_average_price) == (D("1672.25"), 1672)
    assert (line.stop, line.risk_usd) == (1664, 825)
    assert (line.price, line.open_usd, line.exposure_usd) == (1673, 75, 167_300)
    assert (line.realised_usd, line.read_age_s) == (0, 5.0)


def test_another_quantity_at_the_broker_differs_and_a_symbol_that_is_missing_there_is_flat_there() -> None:
    assert one(ours(session()), broker(("ESZ13", 3))).state is State.DIFFERS
    gone = one(ours(session()), broker())
    assert (gone.state, gone.theirs) == (State.DIFFERS, 0)
    assert gone.open_usd is None, "no price: what it is worth is not known"


def test_a_read_older_than_our_newest_fill_is_no_difference() -> None:
    late = broker(("ESZ13", 3), read_utc=NOW_UTC - 61)
    assert one(ours(session()), late).state is State.OLDER
    assert not State.OLDER.difference
    assert one(ours(session(), 3), late).state is State.AGREES


def test_without_a_read_nothing_is_concluded() -> None:
    line = one(ours(session()), Broker(PLACES["sim"], "sim", "A", why="down"))
    assert (line.state, line.theirs, line.price, line.open_usd) == (State.UNREAD, None, None, None)
    assert not State.UNREAD.difference
    assert line.realised_usd == 0, "ours is stored"


def test_a_position_of_nobodys_is_shown_once_and_is_a_difference() -> None:
    both = [ours(session(), 2), ours(session("spy", symbol="SPY"), 0)]
    lines = standings(both, [broker(("ESZ13", 2), ("GOOG", 5))], PLACES, NOW_UTC)
    assert [(line.session, line.symbol, line.state) for line in lines] == [
        ("es", "ESZ13", State.AGREES),
        ("spy", "SPY", State.AGREES),
        ("", "GOOG", State.NOT_OURS),
    ]


def test_live_and_sim_and_accounts_are_never_in_one_sum() -> None:
    each = [
        ours(session("a"), 2),
        ours(session("b", symbol="SPY"), 1),
        ours(session("c", account="B"), 1),
        ours(session("d", connection="live"), 7),
    ]
    reads = [
        broker(("ESZ13", 2), ("SPY", 1), ("GOOG", 9)),
        broker(("ESZ13", 1), account="B"),
        broker(("ESZ13", 7), connection="live"),
    ]
    sums = totals(standings(each, reads, PLACES, NOW_UTC), reads, PLACES)
    assert [(s.environment, s.account, s.open_usd) for s in sums] == [
        ("SIM", "A", D("112.5")),
        ("SIM", "B", D("37.5")),
        ("LIVE", "A", D("262.5")),
    ]
    assert sums[0].broker_equity_usd == 1037
    assert sums[0].risk_usd is None, "a part has no stop: the risk is not limited"


def test_one_account_read_by_two_connections_is_counted_once_with_the_newest_read() -> None:
    each = [ours(session("a"), 2), ours(session("b", connection="sim2", symbol="SPY"), 0)]
    reads = [
        broker(("ESZ13", 2), ("GOOG", 1), read_utc=NOW_UTC - 20),
        broker(("ESZ13", 2), ("GOOG", 1), connection="sim2"),
    ]
    lines = standings(each, reads, PLACES, NOW_UTC)
    assert [line.symbol for line in lines if line.state is State.NOT_OURS] == ["GOOG"]
    assert len(totals(lines, reads, PLACES)) == 1


def test_one_account_name_at_two_venues_is_two_accounts() -> None:
    each = [ours(session("a"), 2), ours(session("b", connection="elsewhere"), 1)]
    strange = order("strange", type=OrderType.LIMIT)
    reads = [
        broker(("ESZ13", 2), orders=(strange,)),
        broker(("ESZ13", 1), ("SPY", 5), orders=(strange,), connection="elsewhere"),
    ]
    found = standings(each, reads, PLACES, NOW_UTC)
    assert [(line.session, line.connection, line.ours, line.theirs, line.state) for line in found] == [
        ("a", "sim", 2, 2, State.AGREES),
        ("b", "elsewhere", 1, 1, State.AGREES),
        ("", "elsewhere", 0, 5, State.NOT_OURS),
    ]
    sums = totals(found, reads, PLACES)
    assert [(s.connection, s.account, s.open_usd) for s in sums] == [("sim", "A", 75), ("elsewhere", "A", D("37.5"))]
    not_ours = order_lines(each, reads, PLACES)
    assert [(line.connection, line.order_id) for line in not_ours] == [("sim", "strange"), ("elsewhere", "strange")]
    strangers = [foreign_fill_lines(read, of_account(each, read, PLACES), 0.0, float("inf")) for read in reads]
    assert strangers == [[], []]
    assert [[one.session.name for one in of_account(each, read, PLACES)] for read in reads] == [["a"], ["b"]]


# -- orders ------------------------------------------------------------------------------------------------------------


def lines(each: Ours, *orders: Order, read_utc: float = NOW_UTC - 5) -> list[OrderLine]:
    return order_lines([each], [broker(("ESZ13", 2), orders=orders, read_utc=read_utc)], PLACES)


def states(each: Ours, *orders: Order, **more: Any) -> list[State]:
    return [line.state for line in lines(each, *orders, **more)]


def test_our_working_order_agrees_where_the_broker_shows_the_same_terms() -> None:
    mine = ours(session(), 2, STOP)
    assert states(mine, order("9")) == [State.AGREES]
    assert states(mine, order("9", stop_price=D(1660))) == [State.DIFFERS]
    assert states(mine, order("9", status=OrderStatus.CANCELLED)) == [State.DIFFERS]
    assert states(mine) == [State.DIFFERS], "it works by our book only"
    assert states(mine, read_utc=NOW_UTC - 61) == [State.OLDER]


def test_an_order_that_works_there_and_is_over_by_our_book_differs() -> None:
    over = msgspec.structs.replace(STOP, status=OrderStatus.CANCELLED)
    assert states(ours(session(), 2, over), order("9")) == [State.DIFFERS]
    assert states(ours(session(), 2, over), order("9", status=OrderStatus.CANCELLED)) == []


def test_of_an_order_that_has_ended_a_read_older_than_that_tells_nothing() -> None:
    over = msgspec.structs.replace(STOP, status=OrderStatus.FILLED, filled_quantity=D(2))
    assert lines(ours(session(), 0, over, changed_utc=NOW_UTC - 1), order("9")) == []


def test_an_order_of_somebody_else_is_nobodys_unless_an_instruction_of_ours_is_still_in_doubt() -> None:
    (line,) = lines(ours(session(), 2), order("77"))
    assert (line.session, line.order_id, line.state) == ("", "77", State.NOT_OURS)
    doubt = ours(session(), 2, unsettled=frozenset({"ESZ13"}))
    assert states(doubt, order("77")) == [State.UNSETTLED]
    assert not State.UNSETTLED.difference


def test_what_is_past_hides_no_position_of_somebody_else_and_is_no_difference() -> None:
    """The symbol of a removed session: the broker has a position there, and nobody of ours trades it."""
    gone = Ours(session(), ours(session(), 0).book, removed=True)
    made = SessionBook(rows={"ESZ13": Rows(fees=(Fee("ESZ13", D(2), NOW_UTC - 60),))}, instruments={"ESZ13": ES})
    past, foreign = standings([msgspec.structs.replace(gone, book=made)], [broker(("ESZ13", 3))], PLACES, NOW_UTC)
    assert (past.state, past.theirs, past.fees_today_usd) == (State.PAST, None, 2)
    assert (foreign.state, foreign.theirs, foreign.session) == (State.NOT_OURS, 3, "")
    (sums,) = totals([past, foreign], [broker(("ESZ13", 3))], PLACES)
    assert (sums.fees_today_usd, sums.open_usd) == (2, 0)
