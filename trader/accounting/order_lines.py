"""Orders and fills of ours and of the broker side by side: what works, what was filled, and whose it is. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from brokers.model import ZERO, Order, OrderStatus, OrderType, Side, Value
from trader.accounting.money import Fill, money, slippage, usd
from trader.accounting.standing import Broker, Ours, Place, State, freshest, of_account, read_of, state_of
from trader.orders.intents import Intent
from trader.orders.own_order import OwnOrder
from trader.sessions import Session


class TradedOrder(msgspec.Struct, frozen=True):
    """An order with fills, and the instructions that it was made by, oldest first."""

    order: OwnOrder
    intents: tuple[Intent, ...]
    fees_usd: dict[Decimal, Decimal]
    """What was charged with each fill, by the cumulative quantity then."""

    def intended_price(self, at_utc: float) -> Decimal | None:
        """Of the instruction that was the newest at that time; of a bracket's leg its own price."""
        then = [intent for intent in self.intents if intent.written_utc <= at_utc]
        if not then:
            return None
        legs: dict[str, Decimal | None] = {leg.purpose: leg.price for leg in then[-1].legs}
        return legs.get(self.order.purpose, then[-1].intended_price)


class TheirOrder(Value, frozen=True):
    quantity: Decimal
    filled_quantity: Decimal
    stop_price: Decimal | None
    limit_price: Decimal | None
    status: OrderStatus
    venue_status: str


class OrderLine(Value, frozen=True):
    """An order that works by our book or at the broker; ours is None where it is nobody's, ``theirs`` where the
    broker's newest read does not show it."""

    environment: str
    connection: str
    account: str
    session: str
    order_id: str
    symbol: str
    side: Side
    type: OrderType
    state: State
    purpose: str = ""
    status: str = ""
    pending: str = ""
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    stop_price: Decimal | None = None
    theirs: TheirOrder | None = None
    read_age_s: float | None = None


class FillLine(Value, frozen=True):
    """A fill of ours, or all that an order of somebody else has filled. ``at_utc``: when we saw it; of others, when the
    order closed. ``slippage_usd``: above 0 is worse than the price that was seen when it was declared."""

    environment: str
    connection: str
    account: str
    session: str
    symbol: str
    order_id: str
    state: State
    side: Side
    quantity: Decimal
    price: Decimal | None
    at_utc: float
    purpose: str = ""
    fee_usd: Decimal = ZERO
    intended_price: Decimal | None = None
    slippage_usd: Decimal | None = None
    their_filled_quantity: Decimal | None = None
    read_age_s: float | None = None


# -- orders ------------------------------------------------------------------------------------------------------------


def order_lines(ours: Iterable[Ours], brokers: Iterable[Broker], places: Mapping[str, Place]) -> list[OrderLine]:
    """What works by our books or at the broker, held against each other; then what works there and is not ours."""
    ours, reads = list(ours), {(each.connection, each.account): each for each in brokers}
    lines: list[OrderLine] = []
    for each in ours:
        read = read_of(each.session, reads, places)
        shown = {order.order_id: order for order in read.content.orders} if read.content else {}
        for own in each.book.orders:
            told = shown.get(own.order_id)
            changed_utc = each.book.changed_utc.get(own.symbol, 0.0)
            # Of one that has ended by our book, a read that is older than that says nothing.
            if own.working or (told is not None and told.working and read.read_utc >= changed_utc):
                lines.append(_order_line(own, told, each.session, read, changed_utc))
    for read in freshest(reads.values()):
        lines += _foreign_lines(read, of_account(ours, read, places))
    return lines


def _order_line(own: OwnOrder, told: Order | None, session: Session, read: Broker, changed_utc: float) -> OrderLine:
    same = told is not None and told.working == own.working and _terms(told) == _terms(own)
    return OrderLine(
        environment=read.environment,
        connection=read.connection,
        account=read.account,
        session=session.name,
        order_id=own.order_id,
        symbol=own.symbol,
        side=own.side,
        type=own.type,
        state=state_of(same, read, changed_utc),
        purpose=own.purpose,
        status=own.status,
        pending=own.pending,
        quantity=own.quantity,
        filled_quantity=own.filled_quantity,
        stop_price=own.stop_price,
        read_age_s=read.age_s,
        theirs=_theirs(told),
    )


def _foreign_lines(read: Broker, ours: list[Ours]) -> list[OrderLine]:
    """One that may be of an instruction whose fate is not known yet is nobody's so far, and no difference."""
    known = {order.order_id for each in ours for order in each.book.orders}
    unsettled = {symbol for each in ours for symbol in each.book.unsettled}
    return [
        OrderLine(
            environment=read.environment,
            connection=read.connection,
            account=read.account,
            session="",
            order_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            state=State.UNSETTLED if order.symbol in unsettled else State.NOT_OURS,
            read_age_s=read.age_s,
            theirs=_theirs(order),
        )
        for order in (read.content.orders if read.content else ())
        if order.working and order.order_id not in known
    ]


def _terms(order: Order | OwnOrder) -> tuple[Decimal, Decimal, Decimal | None, OrderType]:
    """What must be the same. A market order's stop price is of the stop that it was made of."""
    stop = None if order.type is OrderType.MARKET else order.stop_price
    return order.quantity, order.filled_quantity, stop, order.type


def _theirs(order: Order | None) -> TheirOrder | None:
    if order is None:
        return None
    return TheirOrder(
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        stop_price=order.stop_price,
        limit_price=order.limit_price,
        status=order.status,
        venue_status=order.venue_status,
    )


# -- fills -------------------------------------------------------------------------------------------------------------


def fill_lines(each: Ours, fills: Iterable[tuple[Fill, TradedOrder, Decimal]], read: Broker) -> list[FillLine]:
    """Our fills. ``state`` is of the whole order: what we know it has filled against what the broker says."""
    shown = {order.order_id: order for order in read.content.orders} if read.content else {}
    lines = []
    for fill, traded, cumulative in fills:
        order, told = traded.order, shown.get(fill.order_id)
        changed_utc = each.book.changed_utc.get(fill.symbol, 0.0)
        same = told is not None and told.filled_quantity == order.filled_quantity
        intended = traded.intended_price(fill.seen_utc)
        instrument, worse = each.book.instruments.get(fill.symbol), slippage(fill.side, fill.price, intended)
        lines.append(
            FillLine(
                environment=read.environment,
                connection=read.connection,
                account=read.account,
                session=each.session.name,
                symbol=fill.symbol,
                order_id=fill.order_id,
                state=State.UNREAD if told is None else state_of(same, read, changed_utc),
                side=fill.side,
                quantity=fill.quantity,
                price=fill.price,
                at_utc=fill.seen_utc,
                purpose="exit" if order.exiting else order.purpose,
                fee_usd=money(traded.fees_usd.get(cumulative, ZERO)),
                intended_price=intended,
                slippage_usd=None if worse is None else usd(worse * fill.quantity, instrument),
                their_filled_quantity=told.filled_quantity if told else None,
                read_age_s=read.age_s,
            )
        )
    return lines


def foreign_fill_lines(read: Broker, ours: Iterable[Ours], since_utc: float, until_utc: float) -> list[FillLine]:
    """What orders that are not ours have filled, as far as the broker's newest read goes back: one line an order."""
    known = {order.order_id for each in ours for order in each.book.orders}
    lines = []
    for order in read.content.orders if read.content else ():
        at_utc = order.closed_utc or order.opened_utc
        if order.filled_quantity and order.order_id not in known and since_utc <= at_utc < until_utc:
            lines.append(
                FillLine(
                    environment=read.environment,
                    connection=read.connection,
                    account=read.account,
                    session="",
                    symbol=order.symbol,
                    order_id=order.order_id,
                    state=State.NOT_OURS,
                    side=order.side,
                    quantity=order.filled_quantity,
                    price=order.average_fill_price,
                    at_utc=at_utc,
                    fee_usd=money(order.commission_usd or ZERO),
                    their_filled_quantity=order.filled_quantity,
                    read_age_s=read.age_s,
                )
            )
    return lines
