"""Intents: keys fit the venue, and one of unknown fate is settled by reads, never by hope."""

from decimal import Decimal

import msgspec
import pytest

from brokers.model import Instrument, Order, OrderStatus, OrderType, Side
from trader.orders.intents import (
    SESSION_KEY_LENGTH,
    Intent,
    Kind,
    Purpose,
    Settling,
    Verdict,
    matches,
    order_key,
    placing,
    settle,
)

D = Decimal
replace = msgspec.structs.replace
INTENT = Intent(
    1, "k-1", Kind.PLACE, Purpose.STOP, "SPY", Side.SELL, D(2), OrderType.STOP_MARKET, D(166), 1000.0, known=("5",)
)
ORDER = Order(
    "9", "A", "SPY", Side.SELL, OrderType.STOP_MARKET, D(2), OrderStatus.WORKING, "ACK", 1000.0, stop_price=D(166)
)


@pytest.mark.parametrize(
    ("purpose", "side", "short"),
    [
        (Purpose.ENTRY, Side.BUY, False),
        (Purpose.ENTRY, Side.SELL, True),
        (Purpose.STOP, Side.SELL, False),
        (Purpose.EXIT, Side.BUY, True),
    ],
)
def test_a_placing_says_whether_its_position_is_short(purpose: Purpose, side: Side, short: bool) -> None:
    spy = Instrument("SPY", "STOCK", D("0.01"), D(1))
    sent = placing(replace(INTENT, purpose=purpose, side=side), "A", spy)
    assert (sent.short, sent.kind) == (short, "STOCK")


def test_keys_fit_the_venue_for_a_hundred_million_orders_and_a_letter_for_their_legs() -> None:
    assert len(order_key("x" * SESSION_KEY_LENGTH, 99_999_999)) == 21
    with pytest.raises(ValueError, match="limit 21"):
        order_key("x" * SESSION_KEY_LENGTH, 100_000_000)


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": "5"},
        {"symbol": "ESZ13"},
        {"side": Side.BUY},
        {"quantity": D(1)},
        {"type": OrderType.MARKET},
        {"stop_price": D(165)},
        {"opened_utc": 990.0},
    ],
)
def test_an_order_that_differs_in_anything_is_not_ours(change: dict[str, object]) -> None:
    assert matches(INTENT, ORDER, ())
    assert not matches(INTENT, replace(ORDER, **change), ())


def test_one_match_is_adopted_and_several_are_ambiguous() -> None:
    settling = Settling(50.0)
    assert settle(INTENT, settling, [ORDER], (), 51.0, 10.0)[:2] == (Verdict.FOUND, ORDER)
    twin = replace(ORDER, order_id="10")
    assert settle(INTENT, settling, [ORDER, twin], (), 51.0, 10.0)[0] is Verdict.AMBIGUOUS
    assert settle(INTENT, settling, [ORDER, twin], ("10",), 51.0, 10.0)[0] is Verdict.FOUND


def test_absence_needs_two_reads_and_the_settling_time() -> None:
    settling = Settling(50.0)
    verdict, _, settling = settle(INTENT, settling, [], (), 49.0, 10.0)
    assert (verdict, settling.reads) == (Verdict.NOT_YET, 0), "requested before the doubt: proves nothing"
    verdict, _, settling = settle(INTENT, settling, [], (), 61.0, 10.0)
    assert verdict is Verdict.NOT_YET, "one read is not enough"
    assert settle(INTENT, settling, [], (), 62.0, 10.0)[0] is Verdict.ABSENT
    assert settle(INTENT, Settling(50.0, 5), [], (), 59.0, 10.0)[0] is Verdict.NOT_YET, "too early"
