"""What the events of the book add up to: orders, fills, positions, cash, tokens, armed faults. PURE.

The same ``apply`` serves the running app and the replay at start, so that a rebuilt ledger is the ledger that was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from brokers.tradestation.emulator import book, lives
from brokers.tradestation.emulator.instruments import Instrument, instrument
from brokers.tradestation.emulator.money import Account, settle
from brokers.tradestation.emulator.order import Fill, Order
from brokers.tradestation.emulator.rules import Rules

FIRST_ORDER_ID = 1_200_000_001
FIRST_POSITION_ID = 64_000_001
ACCESS_TOKENS_MAX = 1_000  # remembered; with the usual lifetime of 20 minutes the oldest is long expired


class Ledger(msgspec.Struct):
    """Compares by value: a replayed ledger must equal the one that wrote the book."""

    number: int = 0
    accounts: dict[str, Account] = {}
    orders: dict[str, Order] = {}  # in order of birth
    open_ids: list[str] = []
    fills: list[Fill] = []
    confirm_ids: dict[str, str] = {}
    access_tokens: dict[str, float] = {}  # -> expires_s
    scopes: dict[str, str] = {}  # of tokens whose sign-in asked for another scope than usual
    refresh_tokens: list[str] = []
    revoked_tokens: list[str] = []
    refresh_lives: dict[str, book.RefreshLife] = {}
    replaced_s: dict[str, float] = {}  # refresh tokens that a newer one replaced, and when
    tokens_issued: int = 0
    positions_opened: int = 0
    requests: int = 0
    faults: list[book.FaultInjected] = []
    lose_before: int = 0
    lose_after: int = 0
    replies_lost: int = 0
    groups: int = 0
    rules: Rules | None = None
    stopped_at_utc: float | None = None

    def next_order_id(self) -> str:
        return str(FIRST_ORDER_ID + len(self.orders))

    def apply(self, entry: book.Entry) -> None:
        self.number = entry.number
        what = entry.what
        if isinstance(what, book.OfOrder):
            self._apply_to_order(what)
        else:
            _APPLY[type(what)](self, what)

    def _apply_to_order(self, event: book.OrderEvent) -> None:
        if isinstance(event, book.OrderPlaced):
            order = lives.placed(event)
            self.groups = max(self.groups, event.group)
            if event.confirm_id:
                self.confirm_ids[event.confirm_id] = event.order_id
            if order.is_open:
                self.open_ids.append(event.order_id)
        else:
            before = self.orders[event.order_id]
            order = lives.after(before, event)
            if isinstance(event, book.OrderFilled):
                self._fill(order, event, before)
            if before.is_open and not order.is_open:
                self.open_ids.remove(event.order_id)
        self.orders[event.order_id] = order

    def _fill(self, order: Order, event: book.OrderFilled, before: Order) -> None:
        quantity = order.filled - before.filled
        fill = Fill(
            order_id=order.order_id,
            account=order.account,
            symbol=order.symbol,
            quantity=quantity if order.is_buy else -quantity,
            price=event.price,
            commission_usd=event.commission_usd,
            at_utc=event.at_utc,
        )
        self.fills.append(fill)
        account = self.accounts[order.account]
        if settle(account, fill, traded(fill.symbol), str(FIRST_POSITION_ID + self.positions_opened)):
            self.positions_opened += 1


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
    if event.scope:
        ledger.scopes |= {token: event.scope for token in (event.access_token, event.refresh_token) if token}
    if len(ledger.access_tokens) > ACCESS_TOKENS_MAX:
        oldest = next(iter(ledger.access_tokens))
        ledger.access_tokens.pop(oldest)
        ledger.scopes.pop(oldest, None)
    if event.refresh_token:
        ledger.refresh_tokens.append(event.refresh_token)
        if event.life:
            ledger.refresh_lives[event.refresh_token] = event.life
    if event.revoked:
        ledger.revoked_tokens.append(event.revoked)
        if event.life:
            ledger.replaced_s[event.revoked] = event.life.issued_s


def _refresh_revoked(ledger: Ledger, event: book.RefreshRevoked) -> None:
    ledger.revoked_tokens += event.tokens
    for token in event.tokens:
        ledger.replaced_s.pop(token, None)


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


def _rules_changed(ledger: Ledger, event: book.RulesChanged) -> None:
    ledger.rules = event.rules


def _clock_stopped(ledger: Ledger, event: book.ClockStopped) -> None:
    ledger.stopped_at_utc = event.at_utc


_APPLY: dict[type, Callable[[Ledger, Any], None]] = {
    book.Opened: _opened,
    book.RequestSeen: _request_seen,
    book.TokenIssued: _token_issued,
    book.RulesChanged: _rules_changed,
    book.RefreshRevoked: _refresh_revoked,
    book.FaultInjected: _fault_injected,
    book.ReplyLost: _reply_lost,
    book.ClockStopped: _clock_stopped,
}
