"""The book: a rebuilt emulator is the one that wrote it; positions and cash add up; a torn file is told apart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.errors import BookError
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.state import Settings, rebuilt
from tests.emulator.support import FUTURES, MARGIN, START, Emulator, bar, market

MARKET = market(
    ESZ13=[
        bar(m, str(1000 + m % 7), str(1004 + m % 7), str(996 + m % 7), str(1000 + m % 5))
        for m in range(1, 200)
        if m % 29
    ],
    SPY=[bar(m, "100.01", "100.5", "99.5", f"100.{m % 9}1") for m in range(1, 200)],
)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 900)),
        st.tuples(st.just("market"), st.sampled_from([-3, -1, 1, 2])),
        st.tuples(st.just("stop"), st.integers(-12, 12).filter(bool)),
        st.tuples(st.just("stock"), st.sampled_from([-7, -2, 3, 5])),
        st.tuples(st.just("replace"), st.integers(-12, 12)),
        st.tuples(st.just("cancel"), st.just(0)),
        st.tuples(st.just("lose"), st.sampled_from([0, 1])),
        st.tuples(st.just("login"), st.just(0)),
        st.tuples(st.just("again"), st.just(0)),
    ),
    max_size=40,
)


class Trader:
    """Drives an emulator through a random history and keeps all that it wrote."""

    def __init__(self) -> None:
        self.emulator = Emulator(MARKET)
        self.written = b""
        self.keys = 0

    def run(self, steps: list[tuple[str, int]]) -> None:
        for name, number in steps:
            getattr(self, name)(number)
            self.written += book.encode(self.emulator.state.take_entries())

    def wait(self, seconds: int) -> None:
        self.emulator.pass_time(seconds)

    def _order(self, account: str, symbol: str, number: int, **fields: Any) -> None:
        self.keys += 1
        body = {
            "AccountID": account,
            "Symbol": symbol,
            "Quantity": str(abs(number)),
            "OrderType": "Market",
            "TradeAction": "BUY" if number > 0 else "SELL",
            "TimeInForce": {"Duration": "DAY"},
            "OrderConfirmID": f"k{self.keys}",
            **fields,
        }
        self.emulator.ask("POST", "/v3/orderexecution/orders", body)

    def market(self, number: int) -> None:
        self._order(FUTURES, "ESZ13", number)

    def stop(self, number: int) -> None:
        stop_price = str(1000 + number)
        self._order(FUTURES, "ESZ13", 2 if number > 0 else -2, OrderType="StopMarket", StopPrice=stop_price)

    def stock(self, number: int) -> None:
        self.emulator.reply("POST", "/emulator/trade", {"account": MARGIN, "symbol": "SPY", "quantity": number})

    def again(self, _: int) -> None:
        self.keys -= 1 if self.keys else 0
        self._order(FUTURES, "ESZ13", 1)

    def replace(self, number: int) -> None:
        for order_id in self.emulator.state.ledger.open_ids[:1]:
            body = {"StopPrice": str(1000 + number)} if number else {"OrderType": "Market"}
            self.emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", body)

    def cancel(self, _: int) -> None:
        for order_id in self.emulator.state.ledger.open_ids[:1]:
            self.emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")

    def lose(self, after: int) -> None:
        self.emulator.tell("order_reply", lose=1, when="after" if after else "before")

    def login(self, _: int) -> None:
        self.emulator.token = ""


@given(STEPS)
@settings(max_examples=150)
def test_a_rebuilt_emulator_is_the_one_that_wrote_the_book(steps: list[tuple[str, int]]) -> None:
    trader = Trader()
    trader.run([*steps, ("wait", 1)])
    state = trader.emulator.state
    again = rebuilt(state.settings, MARKET, book.decode(trader.written, "book").entries)
    assert again.ledger == state.ledger
    assert again.steps == state.steps


@given(STEPS)
@settings(max_examples=150)
def test_positions_are_the_sum_of_the_fills_and_the_cash_adds_up(steps: list[tuple[str, int]]) -> None:
    trader = Trader()
    trader.run(steps)
    ledger = trader.emulator.state.ledger
    for account in ledger.accounts.values():
        fills = [fill for fill in ledger.fills if fill.account == account.account]
        assert account.commission_usd == sum(fill.commission_usd for fill in fills)
        paid_usd = Decimal(0)
        for symbol in ("ESZ13", "SPY"):
            mine = [fill for fill in fills if fill.symbol == symbol]
            assert account.quantity(symbol) == sum(fill.quantity for fill in mine)
            about = instrument(symbol)
            assert about is not None
            paid_usd += sum((fill.quantity * fill.price * about.point_usd for fill in mine), Decimal(0))
        cost_usd = sum((position.cost_usd for position in account.positions.values()), Decimal(0))
        assert account.realized_usd == cost_usd - paid_usd  # what went in and did not come out is gain or open cost
        moved = account.realized_usd if account.kind == "Futures" else -paid_usd
        assert account.cash_usd == Decimal(100_000) + moved - account.commission_usd


@given(STEPS)
@settings(max_examples=50)
def test_no_confirm_id_ever_has_two_orders(steps: list[tuple[str, int]]) -> None:
    trader = Trader()
    trader.run(steps)
    used = [order.confirm_id for order in trader.emulator.state.ledger.orders.values() if order.confirm_id]
    assert len(used) == len(set(used))


@given(STEPS)
@settings(max_examples=30)
def test_the_same_history_gives_the_same_book(steps: list[tuple[str, int]]) -> None:
    first, second = Trader(), Trader()
    first.run(steps)
    second.run(steps)
    assert first.written == second.written


def test_a_restarted_emulator_fills_what_the_market_passed_meanwhile() -> None:
    trader = Trader()
    trader.run([("stop", -12), ("wait", 1)])  # a sell stop at 988, never reached
    trader.run([("stop", 7), ("wait", 1)])
    assert trader.emulator.state.ledger.fills == []
    again = Emulator(MARKET, seconds=trader.emulator.seconds + 3600)
    again.state = rebuilt(Settings(), MARKET, book.decode(trader.written, "book").entries)
    again.pass_time(0)
    again_fills = again.state.ledger.fills
    trader.run([("wait", 3600)])
    assert again_fills == trader.emulator.state.ledger.fills
    assert again_fills[0].at_utc < again.now.market_utc - 3000


# A book of the version before limit orders, as it was written then.
EARLIER = b"""\
{"number":1,"machine_s":1.0,"market_utc":1381154400.0,"what":{"event":"Opened","accounts":[{"account":"SIM100001F",\
"kind":"Futures","cash_usd":"100000"},{"account":"SIM100001M","kind":"Margin","cash_usd":"100000"}]}}
{"number":2,"machine_s":1.0,"market_utc":1381154400.0,"what":{"event":"OrderPlaced","order_id":"1200000001","account":\
"SIM100001F","symbol":"ESZ13","action":"SELL","quantity":2,"order_type":"StopMarket","at_utc":1381154400.0,\
"stop_price":"988","duration":"DAY","confirm_id":"k1","by_hand":false,"reason":""}}
{"number":3,"machine_s":1.0,"market_utc":1381154400.0,"what":{"event":"OrderPlaced","order_id":"1200000002","account":\
"SIM100001F","symbol":"ESZ13","action":"BUY","quantity":1,"order_type":"Market","at_utc":1381154400.0,\
"stop_price":null,"duration":"DAY","confirm_id":"k2","by_hand":false,"reason":""}}
{"number":4,"machine_s":1.0,"market_utc":1381154400.0,"what":{"event":"OrderFilled","order_id":"1200000002",\
"price":"1001","commission_usd":"1.25","at_utc":1381154400.0}}
{"number":5,"machine_s":61.0,"market_utc":1381154460.0,"what":{"event":"OrderReplaced","order_id":"1200000001",\
"quantity":2,"order_type":"StopMarket","stop_price":"990","at_utc":1381154460.0}}
"""


def test_a_book_of_an_earlier_version_opens_and_its_day_orders_end_with_their_session() -> None:
    emulator = Emulator(MARKET, seconds=60)
    emulator.state = rebuilt(Settings(), MARKET, book.decode(EARLIER, "book").entries)
    account = emulator.state.ledger.accounts[FUTURES]
    assert (account.quantity("ESZ13"), account.cash_usd) == (1, Decimal("99998.75"))
    assert emulator.state.ledger.orders["1200000002"].fill_price == Decimal(1001)
    emulator.pass_time(86_400)
    order = emulator.state.ledger.orders["1200000001"]
    assert (order.status, order.closed_utc) == ("EXP", START + 7.25 * 3600)


# The file


def written() -> bytes:
    trader = Trader()
    trader.run([("market", 1), ("stop", -12), ("wait", 60), ("market", 1)])
    return trader.written


def test_a_last_line_cut_short_by_a_kill_is_reported_and_left_out() -> None:
    text = written()
    whole = book.decode(text, "book")
    torn = book.decode(text[:-5], "book")
    assert torn.entries == whole.entries[:-1]
    assert torn.torn_bytes > 0
    assert whole.torn_bytes == 0


@pytest.mark.parametrize("line", [0, 2])
def test_garbage_elsewhere_is_an_error_that_names_the_line(line: int) -> None:
    lines = written().splitlines(keepends=True)
    lines[line] = b"what?\n"
    with pytest.raises(BookError, match=rf"mybook, line {line + 1}: not an entry"):
        book.decode(b"".join(lines), "mybook")


def test_a_missing_line_is_an_error() -> None:
    lines = written().splitlines(keepends=True)
    with pytest.raises(BookError, match="line 3: entry number 4 where 3 is due"):
        book.decode(b"".join(lines[:2] + lines[3:]), "mybook")


def test_a_book_of_other_accounts_is_refused() -> None:
    other = Settings(accounts=(book.AccountSpec("SIM7F", "Futures", Decimal(5)),))
    with pytest.raises(BookError, match="SIM7F:Futures:5"):
        rebuilt(other, MARKET, book.decode(written(), "book").entries)


def test_a_book_with_an_open_order_in_a_symbol_without_bars_is_refused() -> None:
    with pytest.raises(BookError, match="ESZ13, of which no bars"):
        rebuilt(Settings(), market(SPY=[bar(1, "1", "1", "1", "1")]), book.decode(written(), "book").entries)
