"""The behaviour that every venue promises, with declared capabilities. No process, no clock: HTTP is lent.

A broker here is a translator: it builds requests, has them carried by the ``Http`` it was given, and
understands the answers. Whoever owns it (a feed, books, an account manager) lends the HTTP and the token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from brokers.budget import Resource
from brokers.model import (
    Account,
    Balance,
    Bar,
    Change,
    Duration,
    Estimate,
    Group,
    GroupKind,
    GroupOutcome,
    Instrument,
    Order,
    Outcome,
    Placing,
    Position,
    Quote,
    Route,
    Trigger,
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


class Meter(Protocol):
    """Counts the reads of this process and says when one has to wait."""

    def before(self, resource: Resource, *, goes_on: bool = False) -> None:
        """A request goes out now. Raises ``Unavailable`` (sent False, ``retry_after_s``) where it may not. ``goes_on``:
        it is a further page of a read that has begun, which waits for the venue's word alone."""

    def after(self, resource: Resource, *, well: bool, wait_s: float = 0.0) -> None:
        """``well``: the venue answered, if only by a no. ``wait_s``: it wants to be left alone for so long."""


class Unmetered:
    """A ``Meter`` for who asks once, such as a person's command."""

    def before(self, resource: Resource, *, goes_on: bool = False) -> None:
        pass

    def after(self, resource: Resource, *, well: bool, wait_s: float = 0.0) -> None:
        pass


class Capabilities(msgspec.Struct, frozen=True):
    """What a venue can do; callers decide by this and never by a broker's name."""

    id_dedupe: Literal["forever", "window", "none"]
    """Whether the venue surely refuses a client key that it saw before; ``window``: for ``id_dedupe_window_s`` after
    the first request arrived; ``none``: also where nobody knows."""
    replace_to_market: bool
    durations: tuple[Duration, ...] = tuple(Duration)
    gtc_days_max: int | None = None
    """A GTC order ends by itself after so many days; None: never."""
    renews_by_replace: bool | None = None
    """A replace gives it that many new ones, also one that changes nothing; None: nobody knows."""
    extended_stops: bool | None = None
    """A stop-market order with a duration for extended hours fires in these, too; None: nobody knows."""
    extended_market: bool = True
    """Market orders may have such a duration; where not, a stop that has one cannot be turned into one."""
    trailing_native: bool = False
    """The venue moves a trailing stop itself."""
    groups: tuple[GroupKind, ...] = ()
    """Orders of which a fill cancels the others at the venue, whether we live or not."""
    children: bool = False
    """Orders that the venue itself sends when another one is filled."""
    children_early: bool | None = None
    """They are sent at its first part-fill, of its whole size; None: nobody knows."""
    id_dedupe_window_s: float = 0.0


class StreamRequest(msgspec.Struct, frozen=True):
    """A long-lived GET that the owner opens."""

    url: str
    headers: dict[str, str]


class AccountSnapshot(Value, frozen=True):
    """Orders, positions and balance of one account, read together. Only ever whole: a part is an error.

    ``last_prices``: the market's last price of what is held, by symbol, where the venue tells it with a position."""

    account: str
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    balance: Balance
    last_prices: dict[str, Decimal] = msgspec.field(default_factory=dict)


# What a line of a stream can mean. Lines that mean nothing (blank) give no item.


class BarItem(Value, frozen=True):
    """A bar of the stream; ``closed`` False is the forming one."""

    bar: Bar
    closed: bool


class BarsRead(Value, frozen=True):
    """What a read of nothing but bars means: the closed ones as they came, and the stamp of the newest forming one
    (0 where there was none)."""

    closed: tuple[Bar, ...]
    forming_utc: int


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


class QuoteItem(Value, frozen=True):
    """A quote, whole or what changed of it (``Quote.merged``); or ``error``, the venue's word about this symbol."""

    symbol: str
    quote: Quote | None = None
    error: str = ""


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

    def instruments(self, symbols: Iterable[str]) -> tuple[Instrument, ...]:
        """As ``instrument``, of many at once and in their sequence. All or an error."""

    def quotes(self, symbols: Iterable[str]) -> tuple[Quote, ...]:
        """The market now, in the sequence of the symbols. All or an error."""

    def delayed(self, symbol: str) -> bool:
        """Whether the venue gives this login delayed prices only. ``Unavailable`` where it does not say."""

    def bars_since(self, symbol: str, interval_s: int, after_utc: int, until_utc: int) -> tuple[Bar, ...]:
        """Closed bars with ``after_utc < closed_utc <= until_utc``, in order."""

    def recent_bars(self, symbol: str, interval_s: int, count: int) -> tuple[Bar, ...]:
        """The last ``count`` closed bars, in order."""

    def snapshot(self, account: str) -> AccountSnapshot: ...

    def orders(self, account: str) -> tuple[Order, ...]:
        """Today's, and all open ones."""

    def positions(self, account: str) -> tuple[Position, ...]: ...

    def balance(self, account: str) -> Balance: ...

    def balances(self, accounts: Iterable[str]) -> tuple[Balance, ...]:
        """In the sequence of the accounts. All or an error."""

    def orders_by_id(self, account: str, order_ids: Iterable[str]) -> tuple[Order, ...]: ...

    def historical_orders(self, account: str, since_utc: float, order_ids: Iterable[str] = ()) -> tuple[Order, ...]:
        """Closed before today, since a date (UTC); all, or those with these ids."""

    def place(self, placing: Placing) -> Outcome:
        """One order, without children."""

    def place_with_children(self, placing: Placing) -> GroupOutcome:
        """One order, and those that the venue sends once it is filled."""

    def place_group(self, group: Group) -> GroupOutcome: ...

    def confirm(self, placing: Placing) -> tuple[Estimate, ...]:
        """What the venue expects of an order and of each child; nothing is placed. ``NotAllowed`` where it would
        refuse it."""

    def confirm_group(self, group: Group) -> tuple[Estimate, ...]: ...

    def routes(self) -> tuple[Route, ...]: ...

    def activation_triggers(self) -> tuple[Trigger, ...]: ...

    def replace(self, order: Order, change: Change) -> Outcome: ...

    def cancel(self, order_id: str) -> Outcome: ...

    def bars_stream(self, symbol: str, interval_s: int, back: int) -> StreamRequest: ...

    def orders_stream(self, account: str) -> StreamRequest: ...

    def orders_by_id_stream(self, account: str, order_ids: Iterable[str]) -> StreamRequest: ...

    def positions_stream(self, account: str) -> StreamRequest: ...

    def quotes_stream(self, symbols: Iterable[str]) -> StreamRequest: ...

    def bars_item(self, symbol: str, interval_s: int, line: bytes) -> StreamItem | None:
        """What a line of the bars stream means. Raises ``BadAnswer``."""

    def bars_read(self, symbol: str, interval_s: int, lines: bytes) -> BarsRead | None:
        """Whole lines that are bars and nothing else, at once; None where they have to be looked at one by one
        (a heartbeat, an end, garbage). Says the same as ``bars_item`` of each."""

    def account_item(self, line: bytes) -> StreamItem | None:
        """What a line of the orders or positions stream means. Raises ``BadAnswer``."""

    def quotes_item(self, line: bytes) -> QuoteItem | StreamItem | None:
        """What a line of the quotes stream means. Raises ``BadAnswer``."""
