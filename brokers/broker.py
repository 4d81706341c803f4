"""The behaviour that every venue promises, with declared capabilities. No process, no clock: HTTP is lent.

A broker here is a translator: it builds requests, has them carried by the ``Http`` it was given, and
understands the answers. Whoever owns it (a feed, books, an account manager) lends the HTTP and the token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from brokers.model import (
    Account,
    Balance,
    Bar,
    Change,
    Instrument,
    Order,
    Outcome,
    Placing,
    Position,
    Value,
)


class HttpReply(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Http(Protocol):
    """One request without retry. Where no answer comes it raises ``Unavailable``, with ``sent`` False only if
    surely no byte left. (The owner turns the error of its world into ours, so brokers know no world.)"""

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply: ...


class TokenSource(Protocol):
    """Gives a valid access token; ``refused`` is one that the venue has just answered 401 to, so another is
    wanted. Raises ``LoginRefused``, or ``Unavailable`` (sent False)."""

    def __call__(self, refused: str = "") -> str: ...


class Capabilities(msgspec.Struct, frozen=True):
    """What a venue can do; callers decide by this and never by a broker's name."""

    id_dedupe: Literal["forever", "window", "none"]
    """Whether the venue refuses a client key that it saw before; ``window``: for a limited or unknown time."""
    replace_to_market: bool
    key_length_max: int


class StreamRequest(msgspec.Struct, frozen=True):
    """A long-lived GET that the owner opens."""

    url: str
    headers: dict[str, str]


class AccountSnapshot(Value, frozen=True):
    """Orders, positions and balance of one account, read together. Only ever whole: a part is an error."""

    account: str
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    balance: Balance


# What a line of a stream can mean. Lines that mean nothing (blank) give no item.


class BarItem(Value, frozen=True):
    """A bar of the stream; ``closed`` False is the forming one."""

    bar: Bar
    closed: bool


class OrderItem(Value, frozen=True):
    """One order; of an order with several legs (a spread, placed by hand) one ``Order`` for each."""

    orders: tuple[Order, ...]


class PositionItem(Value, frozen=True):
    position_id: str
    position: Position


class PositionGone(Value, frozen=True):
    """The position with this id is closed."""

    position_id: str


class Heartbeat(Value, frozen=True):
    pass


class EndSnapshot(Value, frozen=True):
    """Items before this were a snapshot; what was believed open and is absent must be looked up."""


class GoAway(Value, frozen=True):
    """The venue is about to stop this stream: close and reopen, by routine."""


class StreamError(Value, frozen=True):
    """The venue ends the stream with an error. Not ``retryable``: to ask again at once does not help."""

    text: str
    retryable: bool


StreamItem = BarItem | OrderItem | PositionItem | PositionGone | Heartbeat | EndSnapshot | GoAway | StreamError


class Broker(Protocol):
    """One venue in one environment. Reads raise ``brokers.errors``; instructions return an ``Outcome``.

    Nothing is tried twice, but for one thing: a 401 proves that the request was not executed, so it is sent
    once more with another token.
    """

    capabilities: Capabilities

    def accounts(self) -> tuple[Account, ...]: ...

    def instrument(self, symbol: str) -> Instrument:
        """``NotAllowed`` where the venue does not know the symbol."""

    def bars_since(self, symbol: str, interval_s: int, after_utc: int, until_utc: int) -> tuple[Bar, ...]:
        """Closed bars with ``after_utc < closed_utc <= until_utc``, in order."""

    def recent_bars(self, symbol: str, interval_s: int, count: int) -> tuple[Bar, ...]:
        """The last ``count`` closed bars, in order."""

    def snapshot(self, account: str) -> AccountSnapshot: ...

    def orders_by_id(self, account: str, order_ids: Iterable[str]) -> tuple[Order, ...]: ...

    def place(self, placing: Placing) -> Outcome: ...

    def replace(self, order: Order, change: Change) -> Outcome: ...

    def cancel(self, order_id: str) -> Outcome: ...

    def bars_stream(self, symbol: str, interval_s: int, back: int) -> StreamRequest: ...

    def orders_stream(self, account: str) -> StreamRequest: ...

    def positions_stream(self, account: str) -> StreamRequest: ...

    def bars_item(self, symbol: str, interval_s: int, line: bytes) -> StreamItem | None:
        """What a line of the bars stream means. Raises ``BadAnswer``."""

    def account_item(self, line: bytes) -> StreamItem | None:
        """What a line of the orders or positions stream means. Raises ``BadAnswer``."""
