"""Random histories of all kinds of orders under random rules: what must hold at every moment, and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.tradestation.emulator import book, orders, steps
from brokers.tradestation.emulator.app import advance
from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.state import Settings, State, rebuilt
from tests.emulator.support import FUTURES, MARGIN, START, Emulator, bar, market

MARKET = market(
    ESZ13=[
        bar(m, str(1000 + m % 7), str(1005 + m % 6), str(995 + m % 5), str(1000 + m % 5))
        for m in range(1, 700)
        if m % 29
    ],
    SPY=[bar(m, "100.01", "100.5", "99.5", f"100.{m % 9}1") for m in range(-60, 500)],
)
# From a status of a frame to those that may come next for the same order.
ALLOWED = {
    "": "ACK DON OSO REJ",
    "ACK": "ACK FPR FLL FLP STP UCN RSN OUT REJ",
    "DON": "DON ACK FPR FLL STP UCN RSN OUT REJ",
    "OSO": "OSO ACK DON UCN RSN OUT REJ",
    "STP": "STP ACK FPR FLL UCN RSN OUT REJ",
    "FPR": "FPR ACK FLL FLP UCN RSN",
    "UCN": "UCN LAT OUT FLP REJ",
    "RSN": "RSN ACK DON OSO STP FPR FLL FLP UCN OUT REJ",
    "LAT": "STP ACK FPR FLL",
    "OUT": "OUT",
    "FLP": "FLP",
    "FLL": "FLL",
    "REJ": "",
}
OVER = ("FLL", "FLP", "OUT", "REJ")
RULES = st.builds(
    Rules,
    print_quantity_futures=st.sampled_from([0, 1, 2]),
    limit_needs_through=st.booleans(),
    cancel_s=st.sampled_from([0.0, 20.0, 400.0]),
    replace_s=st.sampled_from([0.0, 20.0, 400.0]),
    cancel_ends_group=st.booleans(),
    oso_sends_on_part_fill=st.booleans(),
    stop_hit_frames=st.booleans(),
    session_hours=st.booleans(),
)
LEG = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Market", "Limit", "StopMarket", "StopLimit", "Trail"]),
        "side": st.sampled_from(["BUY", "SELL"]),
        "offset": st.integers(-7, 7),
        "quantity": st.integers(1, 4),
        "duration": st.sampled_from(["DAY", "GTC", "IOC"]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 2000)),
        st.tuples(st.just("place"), LEG),
        st.tuples(st.just("oco"), st.lists(LEG, min_size=2, max_size=3)),
        st.tuples(st.just("brk"), st.lists(LEG, min_size=2, max_size=3)),
        st.tuples(st.just("oso"), st.lists(LEG, min_size=2, max_size=3)),
        st.tuples(st.just("stock"), LEG),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("replace"), st.tuples(st.integers(0, 9), st.integers(-7, 7))),
        st.tuples(st.just("resize"), st.tuples(st.integers(0, 9), st.integers(1, 4))),
        st.tuples(st.just("part"), st.integers(0, 9)),
        st.tuples(st.just("reject"), st.integers(0, 9)),
        st.tuples(st.just("hand"), st.integers(-3, 3)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=25,
)


def body(leg: dict[str, Any], account: str = FUTURES, symbol: str = "ESZ13") -> dict[str, Any]:
    at = 1002 if symbol == "ESZ13" else 100
    price = str(at + leg["offset"])
    made: dict[str, Any] = {
        "AccountID": account,
        "Symbol": symbol,
        "Quantity": str(leg["quantity"]),
        "OrderType": "StopMarket" if leg["type"] == "Trail" else leg["type"],
        "TradeAction": leg["side"],
        "TimeInForce": {"Duration": leg["duration"]},
    }
    if leg["type"] == "Trail":
        made["AdvancedOptions"] = {"TrailingStop": {"Amount": str(1 + abs(leg["offset"]))}}
    return made | {"LimitPrice": price, "StopPrice": price}


class Play:
    def __init__(self, rules: Rules) -> None:
        self.emulator = Emulator(MARKET, Settings(rules=rules, token_lifetime_s=10_000_000))
        self.written: list[book.Entry] = []
        self.streams = [
            self.emulator.stream(f"/v3/brokerage/stream/accounts/{FUTURES},{MARGIN}/orders"),
        ]
        self.told: dict[str, list[Any]] = {}
        self.keep()

    @property
    def state(self) -> State:
        return self.emulator.state

    def run(self, history: list[tuple[str, Any]]) -> None:
        for name, argument in history:
            getattr(self, name)(argument)
            self.keep()
            self.check()
        self.wait(1)
        self.keep()
        self.check()

    def keep(self) -> None:
        self.written += self.state.take_entries()
        for frame in self.emulator.frames(self.streams[0]):
            if "OrderID" in frame:
                self.told.setdefault(frame["OrderID"], []).append(frame)

    # Steps

    def wait(self, seconds: int) -> None:
        self.emulator.pass_time(seconds)

    def place(self, leg: dict[str, Any]) -> None:
        self._post("orders", body(leg))

    def stock(self, leg: dict[str, Any]) -> None:
        self._post("orders", body(leg, MARGIN, "SPY"))

    def oco(self, legs: list[dict[str, Any]]) -> None:
        self._post("ordergroups", {"Type": "OCO", "Orders": [body(leg) for leg in legs]})

    def brk(self, legs: list[dict[str, Any]]) -> None:
        """Of one size and one side."""
        same = {"quantity": legs[0]["quantity"], "side": legs[0]["side"]}
        self._post("ordergroups", {"Type": "BRK", "Orders": [body(leg | same) for leg in legs]})

    def oso(self, legs: list[dict[str, Any]]) -> None:
        parent, *children = [body(leg) for leg in legs]
        self._post("orders", parent | {"OSOs": [{"Type": "OCO", "Orders": children}]})

    def cancel(self, number: int) -> None:
        if order_id := self._open(number):
            self.emulator.reply("DELETE", f"/v3/orderexecution/orders/{order_id}")

    def replace(self, what: tuple[int, int]) -> None:
        """Prices only: sizes of a bracket's sides are the client's business."""
        if order_id := self._open(what[0]):
            change: dict[str, Any] = {"LimitPrice": str(1002 + what[1])} if what[1] else {"OrderType": "Market"}
            self.emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", change)

    def resize(self, what: tuple[int, int]) -> None:
        order_id = self._open(what[0])
        if order_id and not self.state.ledger.orders[order_id].group:
            self.emulator.reply("PUT", f"/v3/orderexecution/orders/{order_id}", {"Quantity": str(what[1])})

    def part(self, number: int) -> None:
        order_id = self._open(number)
        if order_id and not self.state.ledger.orders[order_id].group:
            try:
                orders.fill_part(self.state, order_id, 1, self.emulator.now)
            except Refusal:
                return

    def reject(self, number: int) -> None:
        """One order, at a moment when others may be due: as a tester does, past all that the app settles first."""
        self.emulator.seconds += 40 * (number % 3)
        if order_id := self._open(number):
            event = book.OrderRejected(order_id, "thrown out", self.emulator.now.market_utc)
            self.state.record(event, self.emulator.now)

    def hand(self, quantity: int) -> None:
        body = {"account": FUTURES, "symbol": "ESZ13", "quantity": quantity}
        self.emulator.reply("POST", "/emulator/trade", body)

    def restart(self, _: None) -> None:
        """kill -9 and a new process on the same book; the streams are opened anew."""
        self.keep()
        self.emulator.state = rebuilt(self.state.settings, MARKET, self.written)
        self._open_streams()

    def reopen(self, _: None) -> None:
        """As a restart, but the emulator lives on."""
        self.keep()
        self._open_streams()

    def _open_streams(self) -> None:
        self.state.streams.clear()
        self.streams = [self.emulator.stream(f"/v3/brokerage/stream/accounts/{FUTURES},{MARGIN}/orders")]
        self.written += self.state.take_entries()
        self.emulator.frames(self.streams[0])  # the snapshot repeats what was told

    def _post(self, path: str, content: dict[str, Any]) -> None:
        self.emulator.reply("POST", f"/v3/orderexecution/{path}", content)

    def _open(self, number: int) -> str:
        open_ids = self.state.ledger.open_ids
        return open_ids[number % len(open_ids)] if open_ids else ""

    # What must hold

    def check(self) -> None:
        check_orders(self.state)
        for frames in self.told.values():
            check_frames(frames)


def check_orders(state: State) -> None:
    ledger = state.ledger
    groups: dict[int, list[Any]] = {}
    for one in ledger.orders.values():
        assert 0 <= one.filled <= one.quantity or one.status == "REJ"
        assert one.is_open == (one.order_id in ledger.open_ids) == (one.closed_utc is None)
        assert one.remaining > 0 or not one.is_open  # else its next fill would be one of nothing
        assert (one.status == "FLL") == (one.filled == one.quantity and one.filled > 0)
        assert sum(abs(fill.quantity) for fill in ledger.fills if fill.order_id == one.order_id) == one.filled
        if one.group:
            groups.setdefault(one.group, []).append(one)
    for members in groups.values():
        if any(one.linked("OCO") for one in members):
            assert sum(one.filled > 0 for one in members) <= 1
        else:
            assert sum(one.filled for one in members) <= max(one.quantity + one.reduced for one in members)
    for account in ledger.accounts.values():
        for symbol in ("ESZ13", "SPY"):
            mine = [one for one in ledger.fills if (one.account, one.symbol) == (account.account, symbol)]
            assert account.quantity(symbol) == sum(one.quantity for one in mine)


def check_frames(frames: list[Any]) -> None:
    before, executed = "", 0
    for frame in frames:
        assert frame["Status"] in ALLOWED[before].split(), (before, frame)
        now = int(frame["Legs"][0]["ExecQuantity"])
        assert now >= executed
        assert frame["Status"] not in OVER or int(frame["Legs"][0]["QuantityRemaining"]) == 0
        before, executed = frame["Status"], now


@given(RULES, STEPS)
@settings(max_examples=150)
def test_what_must_hold_at_every_moment(rules: Rules, history: list[tuple[str, Any]]) -> None:
    Play(rules).run(history)


@given(RULES, STEPS)
@settings(max_examples=60)
def test_a_restart_changes_nothing(rules: Rules, history: list[tuple[str, Any]]) -> None:
    play = Play(rules)
    play.run(history)
    again = rebuilt(play.state.settings, MARKET, book.decode(book.encode(play.written), "book").entries)
    assert again.ledger == play.state.ledger
    assert again.steps == play.state.steps
    without = Play(rules)
    without.run([("reopen", None) if name == "restart" else (name, argument) for name, argument in history])
    assert without.state.ledger.fills == play.state.ledger.fills


@given(RULES, STEPS, st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_book_cut_anywhere_goes_on_whole(rules: Rules, history: list[tuple[str, Any]], cut: int) -> None:
    """A kill between two lines of one turn: what was still due is done at the next look."""
    play = Play(rules)
    play.run(history)
    entries = play.written[: 1 + cut % len(play.written)]
    again = rebuilt(play.state.settings, MARKET, entries)
    steps.settle(again, play.emulator.now)
    advance(again, play.emulator.now)
    check_orders(again)


@given(RULES, STEPS)
@settings(max_examples=60)
def test_balances_add_up_to_the_cent(rules: Rules, history: list[tuple[str, Any]]) -> None:
    play = Play(rules)
    play.run(history)
    answer = play.emulator.get(f"/v3/brokerage/accounts/{FUTURES},{MARGIN}/balances")
    held = play.emulator.get(f"/v3/brokerage/accounts/{FUTURES},{MARGIN}/positions")["Positions"]
    for balance in answer["Balances"]:
        mine = [one for one in held if one["AccountID"] == balance["AccountID"]]
        unrealized = Decimal(balance["BalanceDetail"]["UnrealizedProfitLoss"])
        assert unrealized == sum((Decimal(one["UnrealizedProfitLoss"]) for one in mine), Decimal(0))
        assert Decimal(balance["MarketValue"]) == sum((Decimal(one["MarketValue"]) for one in mine), Decimal(0))
        realized, commissions = _of_the_fills(play.state, balance["AccountID"])
        assert Decimal(balance["Equity"]) == Decimal(100_000) + realized + unrealized - commissions


def _of_the_fills(state: State, account: str) -> tuple[Decimal, Decimal]:
    """Realized gain and commissions, reckoned anew from the fills alone."""
    fills = [fill for fill in state.ledger.fills if fill.account == account]
    paid = sum((fill.quantity * fill.price * traded(fill.symbol).point_usd for fill in fills), Decimal(0))
    cost = sum((one.cost_usd for one in state.ledger.accounts[account].positions.values()), Decimal(0))
    return cost - paid, sum((fill.commission_usd for fill in fills), Decimal(0))


def test_the_histories_of_this_file_fill_all_sorts() -> None:
    """Not by chance: one history in which each type executes and each group acts."""
    play = Play(Rules(print_quantity_futures=1))
    leg = {"side": "BUY", "quantity": 2, "duration": "GTC"}
    for kind, offset in (("Market", 0), ("Limit", -3), ("StopMarket", 3), ("StopLimit", 2), ("Trail", 1)):
        play.run([("place", leg | {"type": kind, "offset": offset}), ("wait", 900)])
        play.run([("place", leg | {"type": "Market", "offset": 0, "side": "SELL"}), ("wait", 900)])
    assert {one.order_type for one in _filled(play)} == {"Market", "Limit", "StopMarket", "StopLimit"}
    assert play.emulator.now.market_utc < START + 700 * 60
    assert msgspec.json.encode(play.written)


def _filled(play: Play) -> Iterator[Any]:
    return (one for one in play.state.ledger.orders.values() if one.status == "FLL")
