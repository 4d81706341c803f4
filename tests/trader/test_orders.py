"""Our orders: the table has each (state, event), and each fill counts once, however often and wherever it is told."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import ZERO, Duration, Order, OrderStatus, OrderType, Side
from tests.brokers.test_wire import order_with
from trader.accounting.money import Ledger, charged
from trader.orders.intents import Purpose
from trader.orders.lifecycle import What, next_status, seen
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding, after_fill

replace = msgspec.structs.replace
S = OrderStatus


def own(**more: object) -> OwnOrder:
    stop = Decimal(166)
    base = OwnOrder("7", 1, Purpose.STOP, "SPY", Side.SELL, OrderType.STOP_MARKET, Decimal(4), stop, S.WORKING)
    return replace(base, **more)


def frame(status: OrderStatus = S.WORKING, filled: int = 0, price: str | None = None, **more: object) -> Order:
    average = None if price is None else Decimal(price)
    base = Order(
        "7", "A", "SPY", Side.SELL, OrderType.STOP_MARKET, Decimal(4), status, "X", 0.0, Decimal(filled), average,
        Decimal(166), duration=Duration.GTC,
    )  # fmt: skip
    return replace(base, **more)


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("event", S)
def test_the_table_has_a_row_for_each_state_and_event(status: OrderStatus, event: OrderStatus) -> None:
    after, _ = next_status(status, event)
    assert not (status.terminal and not after.terminal), "a dead order never works again"
    if event is S.FILLED:
        assert after is S.FILLED
    if event is S.UNKNOWN:
        assert after is status


def test_a_fill_after_the_cancel_counts_and_is_annotated() -> None:
    after, told = seen(own(status=S.CANCELLED), frame(S.FILLED, 4, "165.9"), current=True)
    assert after.status is S.FILLED
    assert [happening.what for happening in told] == [What.ODD, What.FILLED]


def test_the_acknowledged_replace_is_confirmed_by_its_frame() -> None:
    asked = {"pending": "replace", "asked_quantity": Decimal(4), "asked_type": OrderType.STOP_MARKET}
    order = own(**asked, asked_stop_price=Decimal(167))
    same, told = seen(order, frame(), current=True)
    assert (same, told) == (order, ())
    after, told = seen(order, frame(stop_price=Decimal(167)), current=True)
    assert [happening.what for happening in told] == [What.CONFIRMED]
    assert (after.pending, after.stop_price) == ("", Decimal(167))


def test_a_change_that_we_did_not_ask_for_is_somebody_elses() -> None:
    after, told = seen(own(), frame(stop_price=Decimal(150)), current=True)
    assert [happening.what for happening in told] == [What.CHANGED_BY_OTHER]
    assert after.stop_price == Decimal(150)


def test_a_size_that_we_asked_for_is_ours_though_somebody_moves_the_price_meanwhile() -> None:
    """Regression: a stop that we had made smaller counted as made smaller by a person, and covered too little."""
    order = own(pending="replace", asked_quantity=Decimal(2), asked_stop_price=Decimal(166))
    _, (told,) = seen(order, frame(quantity=Decimal(2), stop_price=Decimal(150)), current=True)
    assert (told.what, told.quantity) == (What.CHANGED_BY_OTHER, 0)
    _, (told,) = seen(order, frame(quantity=Decimal(1), stop_price=Decimal(150)), current=True)
    assert told.quantity == -3


def test_a_frame_older_than_our_last_word_changes_no_terms_and_loses_no_fill() -> None:
    after, told = seen(own(), frame(filled=1, price="165", stop_price=Decimal(150)), current=False)
    assert [happening.what for happening in told] == [What.FILLED]
    assert after.stop_price == Decimal(166)


def test_a_cancel_that_we_did_not_ask_for_is_somebody_elses() -> None:
    _, told = seen(own(), frame(S.CANCELLED), current=True)
    assert told[0].what is What.CANCELLED_BY_OTHER
    _, told = seen(own(pending="cancel"), frame(S.CANCELLED), current=True)
    assert told[0].what is What.ENDED


@given(st.data())
def test_each_fill_counts_once_over_stream_snapshot_and_restart(data: st.DataObject) -> None:
    """A true history of part-fills, told in pieces, repeated, out of date: the sum and the money are the broker's."""
    parts = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    prices = [Decimal(data.draw(st.integers(16000, 17000))) / 100 for _ in parts]
    total = sum(parts)
    history = [frame(quantity=Decimal(total))]
    paid = ZERO
    for index, (part, price) in enumerate(zip(parts, prices, strict=True)):
        paid += part * price
        filled = sum(parts[: index + 1])
        status = S.FILLED if filled == total else S.WORKING
        history.append(frame(status, filled, str(paid / filled), quantity=Decimal(total)))
    told = [*data.draw(st.lists(st.sampled_from(history), max_size=10)), history[-1]]
    order, got, spent, held = own(quantity=Decimal(total)), ZERO, ZERO, Holding()
    for one in told:
        order, happenings = seen(order, one, current=True)
        for happening in happenings:
            if happening.what is What.FILLED:
                got += happening.quantity
                spent += happening.quantity * happening.price
                held = after_fill(held, Side.SELL, happening.quantity, happening.price, 0.0)
        order = msgspec.json.decode(msgspec.json.encode(order), type=OwnOrder)  # a restart
    assert got == total
    assert abs(spent - paid) < Decimal("1e-15")
    assert held.quantity == -total
    assert order.status is S.FILLED


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 5), st.integers(1, 100)), max_size=12))
def test_a_position_is_the_sum_of_its_fills_and_has_a_price_only_while_open(
    fills: list[tuple[Side, int, int]],
) -> None:
    held = Holding()
    for side, quantity, price in fills:
        held = after_fill(held, side, Decimal(quantity), Decimal(price), 0.0)
    assert held.quantity == sum(side.sign * quantity for side, quantity, _ in fills)
    assert (held.average_price is None) == (held.quantity == 0)


def test_reducing_leaves_the_average_price_and_crossing_zero_takes_the_new_one() -> None:
    held = after_fill(Holding(), Side.BUY, Decimal(2), Decimal(10), 0.0)
    held = after_fill(held, Side.BUY, Decimal(2), Decimal(12), 0.0)
    assert held.average_price == 11
    held = after_fill(held, Side.SELL, Decimal(3), Decimal(20), 0.0)
    assert (held.quantity, held.average_price) == (1, 11)
    held = after_fill(held, Side.SELL, Decimal(2), Decimal(9), 0.0)
    assert (held.quantity, held.average_price) == (-1, 9)


def test_a_cancel_of_somebody_else_is_his_also_where_it_was_told_as_under_way_first() -> None:
    """Regression (drill: the owner cancels the stop by phone): "Cancel Sent" on the stream made of it a cancel of ours,
    and the stop was placed again."""
    under_way, _ = seen(own(), frame(S.CANCELLING), current=True)
    _, told = seen(under_way, frame(S.CANCELLED), current=True)
    assert [each.what for each in told] == [What.CANCELLED_BY_OTHER]
    ours, _ = seen(own(pending="cancel"), frame(S.CANCELLING), current=True)
    _, told = seen(ours, frame(S.CANCELLED), current=True)
    assert [each.what for each in told] == [What.ENDED]


CHARGES = st.none() | st.integers(0, 400).map(lambda cents: Decimal(cents) / 100)
TELLINGS = st.lists(st.tuples(st.sampled_from(("stream", "read", "old read")), st.integers(0, 4), CHARGES), max_size=30)


@given(TELLINGS)
def test_fees_come_to_what_the_venue_has_said_last_whatever_it_said_before(
    tellings: list[tuple[str, int, Decimal | None]],
) -> None:
    """A stream's frame may be an old one, so it only ever adds; so does a read that is older than what we know. A
    newer read is the last word, downwards too. What is not told changes nothing; each change is a row of its own."""
    order, book, filled = own(), Ledger("SPY"), 0
    for how, more, charged_usd in tellings:
        filled = max(filled, more)
        before_usd = order.commission_usd
        told_frame = frame(S.FILLED if filled == 4 else S.WORKING, filled, "166", commission_usd=charged_usd)
        order, told = seen(order, told_frame, current=how != "old read", read=how != "stream")
        for happening in told:
            if happening.what is What.CHARGED:
                assert happening.fee_usd
                book = charged(book, happening.fee_usd, 1.0)
        assert book.fees_usd == order.commission_usd >= 0
        if charged_usd is None or not filled:
            assert order.commission_usd == before_usd
        elif how == "read":
            assert order.commission_usd == charged_usd
        else:
            assert order.commission_usd == max(before_usd, charged_usd)


def test_a_replace_that_was_given_up_may_still_arrive_so_its_size_counts() -> None:
    order = own(on_its_way=Decimal(6))
    assert (order.remaining, order.remaining_at_most) == (4, 6)


# -- what a venue really tells, from its codes on ----------------------------------------------------------------------

CLOSED = "2026-11-20T15:04:22Z"
MOVED = {"pending": "replace", "asked_quantity": Decimal(2), "asked_stop_price": Decimal(6030)}


def told_as(code: str, executed: int = 0, price: str = "0", closed: str | None = None, stop: str = "6025") -> Order:
    leg = {"QuantityOrdered": "2", "ExecQuantity": str(executed), "ExecutionPrice": price}
    changes = {"Status": code, "FilledPrice": price, "ClosedDateTime": closed, "StopPrice": stop}
    return order_with(leg, CommissionFee="0", **changes)


ODDITIES: dict[str, tuple[dict[str, object], list[Order], OrderStatus, int, list[What]]] = {
    "a fill on ACK": ({}, [told_as("ACK", 1, "6026")], S.WORKING, 1, [What.FILLED]),
    "part-fills": (
        {},
        [told_as("FPR", 1, "6026"), told_as("FPR", 1, "6026"), told_as("FLL", 2, "6027", CLOSED)],
        S.FILLED,
        2,
        [What.FILLED, What.FILLED, What.ENDED],
    ),
    "FLL twice, first without its close time": (
        {},
        [told_as("FLL", 2, "6026"), told_as("FLL", 2, "6026", CLOSED)],
        S.FILLED,
        2,
        [What.FILLED, What.ENDED],
    ),
    "FLL of less than all": ({}, [told_as("FLL", 1, "6026")], S.WORKING, 1, [What.ODD, What.FILLED]),
    "a part filled, the rest cancelled": (
        {"pending": "cancel"},
        [told_as("FLP", 1, "6026", CLOSED)],
        S.CANCELLED,
        1,
        [What.FILLED, What.ENDED],
    ),
    "OUT before its close time": ({}, [told_as("OUT")], S.CANCELLING, 0, []),
    "OUT with it": (
        {"pending": "cancel"},
        [told_as("OUT"), told_as("OUT", closed=CLOSED)],
        S.CANCELLED,
        0,
        [What.ENDED],
    ),
    "OUT after a replace ends nothing": (
        MOVED,
        [told_as("OUT"), told_as("ACK", stop="6030")],
        S.WORKING,
        0,
        [What.ODD, What.CONFIRMED],
    ),
    "a fill during a replace": (
        MOVED,
        [told_as("ACK", 1, "6026", stop="6030"), told_as("FLL", 2, "6026", CLOSED, "6030")],
        S.FILLED,
        2,
        [What.FILLED, What.CONFIRMED, What.FILLED, What.ENDED],
    ),
    "a fill after the cancel": (
        {"pending": "cancel"},
        [told_as("OUT", closed=CLOSED), told_as("FLL", 2, "6026", CLOSED)],
        S.FILLED,
        2,
        [What.ENDED, What.ODD, What.FILLED],
    ),
    "EXP with ExecQuantity": ({}, [told_as("EXP", 2, closed=CLOSED)], S.EXPIRED, 0, [What.ENDED]),
    "a code that nobody knows, told once": ({}, [told_as("NEW1"), told_as("NEW1")], S.WORKING, 0, [What.ODD]),
    "an execution undone": (
        {},
        [told_as("FLL", 2, "6026", CLOSED), told_as("BRO", 0), told_as("BRO", 0)],
        S.FILLED,
        0,
        [What.FILLED, What.ENDED, What.ODD, What.TAKEN_BACK, What.CORRECTED],
    ),
    "a fill corrected": (
        {},
        [told_as("FLL", 2, "6026", CLOSED), told_as("COR", 2, "6020"), told_as("COR", 2, "6020")],
        S.FILLED,
        2,
        [What.FILLED, What.ENDED, What.ODD, What.TAKEN_BACK, What.CORRECTED],
    ),
    "a change that was refused": ({}, [told_as("RJR", closed=CLOSED)], S.WORKING, 0, [What.ODD]),
}


@pytest.mark.parametrize("which", ODDITIES)
def test_what_is_odd_about_a_venues_frames_is_understood(which: str) -> None:
    """Each read twice over: what was told once is not told again."""
    state, frames, status, filled, kinds = ODDITIES[which]
    first = frames[0]
    order = own(order_id=first.order_id, symbol=first.symbol, side=first.side, quantity=Decimal(2), **state)
    order = replace(order, stop_price=Decimal(6025))
    told: list[What] = []
    for each in frames:
        order, happenings = seen(order, each, current=True, read=True)
        told += [happening.what for happening in happenings]
    assert (order.status, order.filled_quantity, told) == (status, filled, kinds)
    again, happenings = seen(order, frames[-1], current=True, read=True)
    assert (again, happenings) == (order, ())
