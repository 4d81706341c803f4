"""What the events of the book add up to: orders, fills, positions, cash, tokens, armed faults. PURE.

The same ``apply`` serves the running app and the replay at start, so that a rebuilt ledger is the ledger that was.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.instruments import Instrument, instrument

FIRST_ORDER_ID = 1_200_000_001
FIRST_POSITION_ID = 64_000_001
ACCESS_TOKENS_MAX = 1_000  # remembered; with the usual lifetime of 20 minutes the oldest is long expired
_DAY_S = 86_400
# A share of a total cost is cut here, so that money stays finite decimals and adds up exactly at flat.
_CENT_FRACTION = Decimal("0.00000001")

OPEN_STATUSES = ("ACK",)
BUYS = ("BUY", "BUYTOCOVER")


class Order(msgspec.Struct, frozen=True, gc=False):
    """``armed_utc``: from when on the market is watched for it, the acceptance or the last replace."""

    order_id: str
    account: str
    symbol: str
    action: str
    quantity: int
    order_type: str
    stop_price: Decimal | None
    duration: str
    confirm_id: str
    by_hand: bool
    opened_utc: float
    armed_utc: float
    status: str = "ACK"
    closed_utc: float | None = None
    fill_price: Decimal | None = None
    commission_usd: Decimal = Decimal(0)
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def signed_quantity(self) -> int:
        return self.quantity if self.action in BUYS else -self.quantity


class Fill(msgspec.Struct, frozen=True, gc=False):
    order_id: str
    account: str
    symbol: str
    quantity: int  # signed
    price: Decimal
    commission_usd: Decimal
    at_utc: float


class Position(msgspec.Struct, frozen=True):
    """``cost_usd`` is signed like ``quantity``: what the open quantity was bought (sold) for, point value included."""

    position_id: str
    symbol: str
    quantity: int
    cost_usd: Decimal
    at_utc: float


class Account(msgspec.Struct):
    """``cash_usd``: of a futures account changed by gains and commissions, of the others by what was paid and got."""

    account: str
    kind: str
    cash_usd: Decimal
    positions: dict[str, Position] = {}
    realized_usd: Decimal = Decimal(0)
    commission_usd: Decimal = Decimal(0)
    # Of the day (UTC) of the last fill:
    day: int = 0
    day_realized_usd: Decimal = Decimal(0)
    day_commission_usd: Decimal = Decimal(0)

    def quantity(self, symbol: str) -> int:
        position = self.positions.get(symbol)
        return position.quantity if position else 0


class Ledger(msgspec.Struct):
    """Compares by value: a replayed ledger must equal the one that wrote the book."""

    number: int = 0
    accounts: dict[str, Account] = {}
    orders: dict[str, Order] = {}  # in order of birth
    open_ids: list[str] = []
    fills: list[Fill] = []
    confirm_ids: dict[str, str] = {}
    access_tokens: dict[str, float] = {}  # -> expires_s
    refresh_tokens: list[str] = []
    revoked_tokens: list[str] = []
    tokens_issued: int = 0
    positions_opened: int = 0
    requests: int = 0
    faults: list[book.FaultInjected] = []
    lose_before: int = 0
    lose_after: int = 0
    replies_lost: int = 0
    stopped_at_utc: float | None = None

    def next_order_id(self) -> str:
        return str(FIRST_ORDER_ID + len(self.orders))

    def apply(self, entry: book.Entry) -> None:
        self.number = entry.number
        _APPLY[type(entry.what)](self, entry.what)


def traded(symbol: str) -> Instrument:
    """The instrument of a symbol that was checked before an order of it was booked."""
    about = instrument(symbol)
    if about is None:
        raise LookupError(f"an order of {symbol} is in the book, but no instrument of that name is known")
    return about


def _opened(ledger: Ledger, event: book.Opened) -> None:
    ledger.accounts = {one.account: Account(one.account, one.kind, one.cash_usd) for one in event.accounts}


def _request_seen(ledger: Ledger, event: book.RequestSeen) -> None:
    ledger.requests += 1


def _token_issued(ledger: Ledger, event: book.TokenIssued) -> None:
    ledger.tokens_issued += 1
    ledger.access_tokens[event.access_token] = event.expires_s
    if len(ledger.access_tokens) > ACCESS_TOKENS_MAX:
        ledger.access_tokens.pop(next(iter(ledger.access_tokens)))
    if event.refresh_token:
        ledger.refresh_tokens.append(event.refresh_token)
    if event.revoked:
        ledger.revoked_tokens.append(event.revoked)


def _order_placed(ledger: Ledger, event: book.OrderPlaced) -> None:
    refused = bool(event.reason)
    ledger.orders[event.order_id] = Order(
        order_id=event.order_id,
        account=event.account,
        symbol=event.symbol,
        action=event.action,
        quantity=event.quantity,
        order_type=event.order_type,
        stop_price=event.stop_price,
        duration=event.duration,
        confirm_id=event.confirm_id,
        by_hand=event.by_hand,
        opened_utc=event.at_utc,
        armed_utc=event.at_utc,
        status="REJ" if refused else "ACK",
        closed_utc=event.at_utc if refused else None,
        reason=event.reason,
    )
    if event.confirm_id:
        ledger.confirm_ids[event.confirm_id] = event.order_id
    if not refused:
        ledger.open_ids.append(event.order_id)


def _order_replaced(ledger: Ledger, event: book.OrderReplaced) -> None:
    ledger.orders[event.order_id] = msgspec.structs.replace(
        ledger.orders[event.order_id],
        quantity=event.quantity,
        order_type=event.order_type,
        stop_price=event.stop_price,
        armed_utc=event.at_utc,
    )


def _order_cancelled(ledger: Ledger, event: book.OrderCancelled) -> None:
    _close(ledger, event.order_id, status="OUT", closed_utc=event.at_utc)


def _order_rejected(ledger: Ledger, event: book.OrderRejected) -> None:
    _close(ledger, event.order_id, status="REJ", closed_utc=event.at_utc, reason=event.reason)


def _order_filled(ledger: Ledger, event: book.OrderFilled) -> None:
    order = _close(
        ledger,
        event.order_id,
        status="FLL",
        closed_utc=event.at_utc,
        fill_price=event.price,
        commission_usd=event.commission_usd,
    )
    fill = Fill(
        order_id=order.order_id,
        account=order.account,
        symbol=order.symbol,
        quantity=order.signed_quantity,
        price=event.price,
        commission_usd=event.commission_usd,
        at_utc=event.at_utc,
    )
    ledger.fills.append(fill)
    _settle(ledger, ledger.accounts[order.account], fill)


def _fault_injected(ledger: Ledger, event: book.FaultInjected) -> None:
    ledger.faults.append(event)
    ledger.lose_before += event.lose_before
    ledger.lose_after += event.lose_after


def _reply_lost(ledger: Ledger, event: book.ReplyLost) -> None:
    ledger.replies_lost += 1
    if event.when == "before":
        ledger.lose_before -= 1
    else:
        ledger.lose_after -= 1


def _clock_stopped(ledger: Ledger, event: book.ClockStopped) -> None:
    ledger.stopped_at_utc = event.at_utc


def _close(ledger: Ledger, order_id: str, **changes: Any) -> Order:
    order = msgspec.structs.replace(ledger.orders[order_id], **changes)
    ledger.orders[order_id] = order
    ledger.open_ids.remove(order_id)
    return order


def _settle(ledger: Ledger, account: Account, fill: Fill) -> None:
    """Book one fill: position, cash, realized gain, commission."""
    about = traded(fill.symbol)
    held = account.positions.get(fill.symbol)
    quantity, cost_usd = (held.quantity, held.cost_usd) if held else (0, Decimal(0))
    closing = _closing(quantity, fill.quantity)
    closed_cost_usd = _share(cost_usd, closing, quantity)
    realized_usd = closing * fill.price * about.point_usd - closed_cost_usd
    opening = fill.quantity + closing
    cost_usd += opening * fill.price * about.point_usd - closed_cost_usd

    if quantity + fill.quantity == 0:
        account.positions.pop(fill.symbol)
    else:
        position_id = held.position_id if held else _next_position_id(ledger)
        account.positions[fill.symbol] = Position(
            position_id, fill.symbol, quantity + fill.quantity, cost_usd, fill.at_utc
        )
    paid_usd = -realized_usd if about.is_future else fill.quantity * fill.price * about.point_usd
    account.cash_usd -= paid_usd + fill.commission_usd
    _count(account, realized_usd, fill)


def _closing(held: int, traded_quantity: int) -> int:
    """How much of the position (signed like it) this trade ends."""
    if held * traded_quantity >= 0:
        return 0
    return held if abs(traded_quantity) >= abs(held) else -traded_quantity


def _share(cost_usd: Decimal, part: int, whole: int) -> Decimal:
    if part == whole:
        return cost_usd
    return (cost_usd * part / whole).quantize(_CENT_FRACTION)


def _next_position_id(ledger: Ledger) -> str:
    ledger.positions_opened += 1
    return str(FIRST_POSITION_ID + ledger.positions_opened - 1)


def _count(account: Account, realized_usd: Decimal, fill: Fill) -> None:
    day = int(fill.at_utc // _DAY_S)
    if day != account.day:
        account.day, account.day_realized_usd, account.day_commission_usd = day, Decimal(0), Decimal(0)
    account.realized_usd += realized_usd
    account.commission_usd += fill.commission_usd
    account.day_realized_usd += realized_usd
    account.day_commission_usd += fill.commission_usd


_APPLY: dict[type, Callable[[Ledger, Any], None]] = {
    book.Opened: _opened,
    book.RequestSeen: _request_seen,
    book.TokenIssued: _token_issued,
    book.OrderPlaced: _order_placed,
    book.OrderReplaced: _order_replaced,
    book.OrderCancelled: _order_cancelled,
    book.OrderRejected: _order_rejected,
    book.OrderFilled: _order_filled,
    book.FaultInjected: _fault_injected,
    book.ReplyLost: _reply_lost,
    book.ClockStopped: _clock_stopped,
}
