"""An account's own limits: two sessions never pass the same last dollar, whatever comes when."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from brokers.broker import AccountSnapshot
from brokers.model import Account, Balance, Link, Order, OrderStatus, OrderType, Position, Side
from feeds.config import AccountLimits
from feeds.messages import AccountSeen, Reserve
from feeds.reservations import Standing

ACCOUNT = "SIM1"
NOW_UTC = 1_381_154_400.0
POINT = Decimal(50)
SEEN = AccountSeen(Account(ACCOUNT, "Futures", "Active", "USD"), Decimal(100_000), {"ES": POINT, "NQ": POINT})


def order(order_id: str, symbol: str, side: Side, quantity: int, **more: object) -> Order:
    told: dict[str, object] = {"type": OrderType.MARKET, "status": OrderStatus.WORKING, "opened_utc": NOW_UTC, **more}
    return Order(order_id, ACCOUNT, symbol, side, quantity=Decimal(quantity), venue_status="", **told)  # type: ignore[arg-type]


def stop(order_id: str, symbol: str, quantity: int, price: int, side: Side = Side.SELL) -> Order:
    return order(order_id, symbol, side, quantity, type=OrderType.STOP_MARKET, stop_price=Decimal(price))


def content(
    orders: tuple[Order, ...] = (), positions: tuple[tuple[str, int, int], ...] = (), equity: int = 100_000
) -> AccountSnapshot:
    held = tuple(Position(ACCOUNT, symbol, Decimal(q), Decimal(price)) for symbol, q, price in positions)
    return AccountSnapshot(ACCOUNT, orders, held, Balance(ACCOUNT, Decimal(equity), Decimal(equity)))


def standing(read: AccountSnapshot | None = None, **limits: object) -> Standing:
    made = Standing(AccountLimits(**limits), 90.0, 145.0, 0.0, seen=SEEN)  # type: ignore[arg-type]
    return made.read_again(10.0, read if read is not None else content())


def entry(key: str = "k-1", symbol: str = "ES", quantity: int = 1, risk: int | None = 100) -> Reserve:
    return Reserve(key, "s", symbol, Side.BUY, Decimal(quantity), None if risk is None else Decimal(risk))


def refused(standing: Standing, asked: Reserve, now_s: float = 11.0) -> str:
    return standing.refusal(asked, now_s, NOW_UTC) or ""


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_nothing_is_given_before_a_whole_read_and_after_an_old_one() -> None:
    bare = Standing(AccountLimits(), 90.0, 145.0, 0.0)
    assert "was not read as a whole" in refused(bare, entry())
    assert "was not read as a whole" in refused(bare.read_again(10.0, content()), entry()), "the status is part of it"
    assert refused(standing(), entry(), 100.0) == ""
    assert refused(standing(), entry(), 101.0) == "the account was read 91 s ago, limit 90 s"


def test_a_read_requested_too_early_after_a_crash_tells_too_little() -> None:
    again = Standing(AccountLimits(), 90.0, 145.0, 85.0, seen=SEEN)
    assert "was not read as a whole" in refused(again.read_again(84.9, content()), entry(), 86.0)
    assert refused(again.read_again(85.0, content()), entry(), 86.0) == ""


def test_a_read_requested_before_the_last_one_changes_nothing() -> None:
    newer = standing().read_again(20.0, content((), (("ES", 1, 100),)))
    assert newer.read_again(19.9, content()) == newer


def test_what_is_promised_to_one_is_not_there_for_another() -> None:
    one = standing(max_open_risk_usd=Decimal(150)).taken(entry("a-1"), 11.0)
    assert "max_open_risk_usd of the account: open risk with this entry 200, limit 150" in refused(one, entry("b-1"))
    assert refused(one, entry("a-1", risk=150)) == "", "its own older word is replaced"
    assert refused(one.released("a-1", 12.0, filled=False), entry("b-1"), 12.0) == ""


def test_a_filled_entry_counts_until_a_read_requested_later_shows_it() -> None:
    filled = standing(max_open_risk_usd=Decimal(150)).taken(entry("a-1"), 11.0).released("a-1", 20.0, filled=True)
    assert refused(filled.read_again(19.9, content()), entry("b-1"), 21.0)
    shown = content((stop("2", "ES", 1, 98),), (("ES", 1, 100),))
    after = filled.read_again(20.0, shown)
    assert after.given == {}
    assert after.open_risk_usd() == 2 * POINT
    assert refused(after, entry("b-1", risk=50), 21.0) == ""


def test_one_whose_holder_died_is_given_up_when_a_late_read_shows_no_working_order_of_it() -> None:
    one = standing().taken(entry("a-1"), 11.0)
    assert one.read_again(155.9, content()).given
    assert one.read_again(156.0, content((order("1", "ES", Side.BUY, 1),))).given
    assert not one.read_again(156.0, content()).given


def test_the_position_at_worst_counts_what_works_and_what_is_promised() -> None:
    read = content((order("1", "ES", Side.BUY, 2), stop("2", "ES", 3, 98)), (("ES", 3, 100),))
    one = standing(read, max_position_quantity=Decimal(7)).taken(entry("a-1"), 11.0)
    assert one.worst_position("ES", Side.BUY) == 6
    assert one.worst_position("ES", Side.SELL) == 0, "the stop closes, it does not open"
    assert refused(one, entry("b-1", quantity=1)) == ""
    tied = msgspec.structs.replace(stop("2", "ES", 3, 98), links=(Link("BRK", "3"),))
    take = order("3", "ES", Side.SELL, 3, type=OrderType.LIMIT, limit_price=Decimal(104), links=(Link("BRK", "2"),))
    assert standing(content((tied, take), (("ES", 3, 100),))).worst_position("ES", Side.SELL) == 0, "one or the other"
    assert "ES at worst, with this entry 8, limit 7" in refused(one, entry("b-1", quantity=2))


def test_orders_of_the_day_are_the_venues_by_whomever_and_one_for_each_promise() -> None:
    yesterday = order("0", "ES", Side.BUY, 1, opened_utc=NOW_UTC - 4 * 86_400, status=OrderStatus.FILLED)
    read = content((yesterday, order("1", "ES", Side.BUY, 1, status=OrderStatus.FILLED, opened_utc=NOW_UTC - 100)))
    assert refused(standing(read, max_orders_per_day=2), entry()) == ""
    full = standing(read, max_orders_per_day=2).taken(entry("a-1"), 11.0)
    assert "max_orders_per_day of the account: new orders this trading day: 2, limit 2" in refused(full, entry("b-1"))
    quick = standing(read, max_orders_per_minute=1)
    assert refused(quick, entry()) == "", "the one of the day is 100 s old"
    assert "max_orders_per_minute" in refused(quick.taken(entry("a-1"), 11.0), entry("b-1"))


def test_the_days_loss_is_the_accounts_and_ends_its_entries() -> None:
    assert refused(standing(content(equity=99_501), max_daily_loss_usd=Decimal(500)), entry()) == ""
    text = refused(standing(content(equity=99_500), max_daily_loss_usd=Decimal(500)), entry())
    assert text.startswith("max_daily_loss_usd of the account: 500 lost today (100000 to 99500), limit 500")


def test_what_has_no_stop_is_at_risk_with_its_whole_price_and_what_is_not_known_lets_nothing_pass() -> None:
    limits = {"max_open_risk_usd": Decimal(10_000)}
    assert standing(content((), (("ES", 1, 100),)), **limits).open_risk_usd() == 100 * POINT
    half = content((stop("2", "ES", 1, 98),), (("ES", 2, 100),))
    assert standing(half, **limits).open_risk_usd() == (2 + 100) * POINT
    short = content((stop("2", "ES", 1, 103, Side.BUY),), (("ES", -1, 100),))
    assert standing(short, **limits).open_risk_usd() == 3 * POINT
    profit = content((stop("2", "ES", 1, 105),), (("ES", 1, 100),))
    assert standing(profit, **limits).open_risk_usd() == 0
    assert "point value of CL was not read" in refused(standing(content((), (("CL", 1, 60),)), **limits), entry())
    by_hand = content((order("1", "ES", Side.BUY, 1),))
    assert "an order of ES that opens has no price" in refused(standing(by_hand, **limits), entry(symbol="NQ"))
    assert "the entry's risk is not known" in refused(standing(content(), **limits), entry(risk=None))


def test_an_order_larger_than_the_accounts_limit_is_refused() -> None:
    assert "max_order_quantity of the account: quantity 3, limit 2" in refused(
        standing(max_order_quantity=Decimal(2)), entry(quantity=3)
    )


# -- random histories --------------------------------------------------------------------------------------------------

LIMIT = Decimal(400)
STOP_POINTS = (1, 2)
VALID_S = 85.0
SYMBOLS = ("ES", "NQ")


class Life(msgspec.Struct):
    """One entry of one session, as it truly is. ``state``: reserved, sent, filled, covered, told, gone."""

    asked: Reserve
    points: int
    made_s: float
    state: str = "reserved"


class TwoSessions(RuleBasedStateMachine):
    """Each session has one symbol. What is true at the venue is ``lives``; the keeper sees only what it is told: words
    of the sessions, and reads whose three parts may be older than their arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.standing = standing(max_open_risk_usd=LIMIT)
        self.now_s = 11.0
        self.lives: list[Life] = []
        self.reading: tuple[float, AccountSnapshot] | None = None

    def of(self, symbol: str, *states: str) -> list[Life]:
        return [life for life in self.lives if life.asked.symbol == symbol and life.state in states]

    @rule(seconds=st.sampled_from((0.001, 1.0, 30.0)))
    def time_passes(self, seconds: float) -> None:
        """An entry that could not be sent in its time never is: its account manager gives it up."""
        self.now_s += seconds
        for life in self.lives:
            if life.state == "reserved" and self.now_s > life.made_s + VALID_S:
                self.standing = self.standing.released(life.asked.key, self.now_s, filled=False)
                life.state = "gone"

    @rule(symbol=st.sampled_from(SYMBOLS), quantity=st.sampled_from((1, 3, 4)), points=st.sampled_from(STOP_POINTS))
    def a_session_wants_to_enter(self, symbol: str, quantity: int, points: int) -> None:
        if self.of(symbol, "reserved", "sent", "filled", "covered"):
            return  # an unsettled symbol takes no second entry
        if self.of(symbol, "told"):
            return  # nor does a position that is open: this model adds to none
        key, risk_usd = f"{symbol}-{len(self.lives)}", quantity * points * POINT
        asked = Reserve(key, symbol, symbol, Side.BUY, Decimal(quantity), risk_usd)
        if self.standing.refusal(asked, self.now_s, NOW_UTC) is None:
            self.standing = self.standing.taken(asked, self.now_s)
            self.lives.append(Life(asked, points, self.now_s))

    @rule(symbol=st.sampled_from(SYMBOLS), steps=st.sampled_from((1, 2, 4)))
    def it_goes_on(self, symbol: str, steps: int) -> None:
        """Sent, filled, its stop placed, and only then the keeper is told; the position ends by its stop."""
        following = {"reserved": "sent", "sent": "filled", "filled": "covered"}
        for life in self.of(symbol, *following, "covered", "told"):
            for _ in range(steps):
                self.now_s += 0.001
                if life.state == "covered":
                    self.standing = self.standing.released(life.asked.key, self.now_s, filled=True)
                    life.state = "told"
                else:
                    life.state = following.get(life.state, "gone")

    @rule(symbol=st.sampled_from(SYMBOLS))
    def the_venue_refuses_it(self, symbol: str) -> None:
        for life in self.of(symbol, "reserved", "sent"):
            self.standing = self.standing.released(life.asked.key, self.now_s, filled=False)
            life.state = "gone"

    @precondition(lambda self: self.reading is None)
    @rule()
    def a_read_begins(self) -> None:
        self.reading = (self.now_s, self.as_it_is())

    @precondition(lambda self: self.reading is not None)
    @rule()
    def the_venue_answers_later(self) -> None:
        """What the read shows may be newer than its request, never older."""
        assert self.reading is not None
        self.reading = (self.reading[0], self.as_it_is())

    @precondition(lambda self: self.reading is not None)
    @rule()
    def the_read_arrives(self) -> None:
        assert self.reading is not None
        self.standing = self.standing.read_again(*self.reading)
        self.reading = None

    @precondition(lambda self: self.reading is None)
    @rule(symbol=st.sampled_from(SYMBOLS), steps=st.sampled_from((1, 2, 4)))
    def much_happens_while_it_is_read(self, symbol: str, steps: int) -> None:
        self.a_read_begins()
        self.it_goes_on(symbol, steps)
        self.the_read_arrives()

    def as_it_is(self) -> AccountSnapshot:
        orders: list[Order] = []
        positions: list[tuple[str, int, int]] = []
        for life in self.lives:
            asked = life.asked
            if life.state == "sent":
                orders.append(order(asked.key, asked.symbol, asked.side, int(asked.quantity)))
            if life.state in ("filled", "covered", "told"):
                positions.append((asked.symbol, int(asked.quantity), 100))
            if life.state in ("covered", "told"):
                orders.append(stop(asked.key + "s", asked.symbol, int(asked.quantity), 100 - life.points))
        return content(tuple(orders), tuple(positions))

    @invariant()
    def the_account_never_bears_more_than_its_limit(self) -> None:
        borne = [life.asked.risk_usd or Decimal(0) for life in self.lives if life.state != "gone"]
        assert sum(borne, Decimal(0)) <= LIMIT


TestTwoSessions = TwoSessions.TestCase
TestTwoSessions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
