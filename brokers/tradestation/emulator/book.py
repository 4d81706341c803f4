"""The events of the book: everything that must survive a kill of the emulator, one JSON line each. PURE.

The app decides events, the ledger is what they add up to (ledger.py), the server appends them to the file before the
reply leaves. Nothing else may change an account, an order, a token or a fault that counts.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.tradestation.emulator.errors import BookError
from brokers.tradestation.emulator.rules import Rules


class _Event(msgspec.Struct, frozen=True, tag_field="event", tag=True, forbid_unknown_fields=True, gc=False):
    pass


class AccountSpec(msgspec.Struct, frozen=True):
    """``kind`` is the venue's AccountType: Futures, Margin or Cash."""

    account: str
    kind: str
    cash_usd: Decimal


class Opened(_Event, frozen=True):
    """The first event of every book."""

    accounts: tuple[AccountSpec, ...]


class RequestSeen(_Event, frozen=True):
    method: str
    path: str
    status: int  # 0: the connection was cut without an answer


class RefreshLife(msgspec.Struct, frozen=True):
    """Of a refresh token: when its owner signed in, and when it was handed out itself (machine seconds)."""

    signed_in_s: float
    issued_s: float


class TokenIssued(_Event, frozen=True):
    """``refresh_token`` is set when one was handed out; ``revoked`` when an older one ended with it; ``scope`` where
    the sign-in asked for another one than usual."""

    access_token: str
    expires_s: float
    refresh_token: str = ""
    revoked: str = ""
    life: RefreshLife | None = None
    scope: str = ""


class RefreshRevoked(_Event, frozen=True):
    """All refresh tokens there were, ended on request."""

    tokens: tuple[str, ...]


class Trail(msgspec.Struct, frozen=True):
    """A trailing stop: so many points or per cent behind the best print; one of the two."""

    amount: Decimal | None = None
    percent: Decimal | None = None


class MarketRule(msgspec.Struct, frozen=True):
    """Holds an order back until this symbol's price is below (Lt, Lte) or above (Gt, Gte) this one."""

    symbol: str
    predicate: str
    price: Decimal
    trigger: str
    operator: str  # And, Or: how it is tied to the one before


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What AdvancedOptions say beside a trailing stop. ``time_rules``: seconds of the day of UTC."""

    all_or_none: bool = False
    show_only: int = 0
    market_rules: tuple[MarketRule, ...] = ()
    time_rules: tuple[int, ...] = ()

    @property
    def hold_back(self) -> bool:
        return bool(self.market_rules or self.time_rules)


NO_TERMS = Terms()


class OfOrder(_Event, frozen=True):
    """Of one order. After it the market is watched for that order anew, and its streams are told."""

    order_id: str


class OrderPlaced(OfOrder, frozen=True, omit_defaults=True):
    """Accepted, or refused at once with a ``reason``: either way it has an id and its confirm id is used up.
    ``status``: ACK, DON (the market is closed) or OSO (waits for its parent)."""

    account: str
    symbol: str
    action: str  # BUY, SELL, SELLSHORT, BUYTOCOVER
    quantity: int
    order_type: str  # Market, Limit, StopMarket, StopLimit
    at_utc: float
    stop_price: Decimal | None = None
    duration: str = "DAY"
    confirm_id: str = ""
    by_hand: bool = False
    renews: str = ""  # the order that goes on under this id
    reason: str = ""
    limit_price: Decimal | None = None
    trail: Trail | None = None
    good_till_day: int = 0  # days since 1970; 0: by the duration
    status: str = "ACK"
    links: tuple[tuple[str, str], ...] = ()  # (OCO, BRK, OSO or OSP, the other order's id)
    group: int = 0
    terms: Terms = NO_TERMS


class OrderActivated(OfOrder, frozen=True):
    """Its activation rules are met: the market is watched for it from now on."""

    at_utc: float
    status: str = "ACK"


class OrderSent(OfOrder, frozen=True):
    """What was held (DON) or waited for its parent (OSO) is with the market from now on."""

    at_utc: float
    status: str = "ACK"


class OrderHit(OfOrder, frozen=True):
    """The stop of a StopLimit was reached: a limit order from now on."""

    price: Decimal
    at_utc: float


class OrderReplaced(OfOrder, frozen=True, omit_defaults=True):
    quantity: int
    order_type: str
    stop_price: Decimal | None
    at_utc: float
    limit_price: Decimal | None = None
    trail: Trail | None = None
    terms: Terms | None = None  # None: as they were
    good_till_day: int = 0  # 0: as it was


class ReplaceSent(OfOrder, frozen=True):
    """A replace on its way: it takes effect at ``change.at_utc`` if nothing is faster."""

    change: OrderReplaced


class OrderReduced(OfOrder, frozen=True):
    """Made smaller by a fill of the other side of its bracket. ``quantity`` is the new total."""

    quantity: int
    reduced: int
    at_utc: float


class CancelSent(OfOrder, frozen=True):
    """A cancel on its way: it takes effect at ``due_utc`` if nothing is faster."""

    due_utc: float


class OrderCancelled(OfOrder, frozen=True, omit_defaults=True):
    """By a client, or for ``why``: group, parent, rest (of an IOC)."""

    at_utc: float
    why: str = ""
    status: str = "OUT"


class OrderExpired(OfOrder, frozen=True):
    at_utc: float


class OrderRejected(OfOrder, frozen=True):
    """A working order that could not be executed when its moment came."""

    reason: str
    at_utc: float


class OrderFilled(OfOrder, frozen=True, omit_defaults=True):
    """``quantity`` 0 is all that was left. ``at_utc`` is when the market made it, not when the emulator looked."""

    price: Decimal
    commission_usd: Decimal
    at_utc: float
    quantity: int = 0


class OrderShown(OfOrder, frozen=True):
    """A fault: the order is shown with this status, whatever it is; "" ends that."""

    status: str


class RulesChanged(_Event, frozen=True):
    rules: Rules


class FaultInjected(_Event, frozen=True):
    """``arm``: so many of the next placing requests lose their reply, before or after they are booked."""

    fault: str
    detail: str
    lose_before: int = 0
    lose_after: int = 0


class ReplyLost(_Event, frozen=True):
    when: str  # before or after the order was booked


class ClockStopped(_Event, frozen=True):
    at_utc: float


OrderEvent = (
    OrderPlaced
    | OrderSent
    | OrderActivated
    | OrderHit
    | OrderReplaced
    | ReplaceSent
    | OrderReduced
    | CancelSent
    | OrderCancelled
    | OrderExpired
    | OrderRejected
    | OrderFilled
    | OrderShown
)


Event = (
    Opened
    | RequestSeen
    | TokenIssued
    | RefreshRevoked
    | OrderEvent
    | RulesChanged
    | FaultInjected
    | ReplyLost
    | ClockStopped
)


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One line. ``number`` counts from 1 without a hole."""

    number: int
    machine_s: float
    market_utc: float
    what: Event


class Replay(msgspec.Struct, frozen=True):
    """``torn_bytes``: length of a last line that a kill cut short; its reply was never sent, so it never happened."""

    entries: list[Entry]
    torn_bytes: int = 0


_DECODER = msgspec.json.Decoder(Entry)


def encode(entries: list[Entry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def decode(text: bytes, name: str) -> Replay:
    """Raises BookError naming file, line and what is wrong; only the last line may be cut short."""
    *lines, last = text.split(b"\n")
    entries = [_entry(line, name, number) for number, line in enumerate(lines, 1)]
    if entries and not isinstance(entries[0].what, Opened):
        raise BookError(f"{name}, line 1: a book begins with its accounts (Opened), this is a {_kind(entries[0])}")
    return Replay(entries, len(last))


def _entry(line: bytes, name: str, number: int) -> Entry:
    try:
        entry = _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise BookError(
            f"{name}, line {number}: not an entry of a book ({error}): {line[:80]!r}. "
            "The file is left as it is; move it away to begin a new book."
        ) from error
    if entry.number != number:
        raise BookError(f"{name}, line {number}: entry number {entry.number} where {number} is due")
    return entry


def _kind(entry: Entry) -> str:
    return type(entry.what).__name__
