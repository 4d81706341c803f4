"""Every message of the feeds' plane: between sessions, connections, feeds and books.

Names: ``connections/<connection>/connection``, ``.../books/<account>``, ``.../limits/<account>``, and below
``.../feeds/`` ``bars/<symbol>/<interval_s>``, ``orders/<account>``, ``positions/<account>``. ``paths.py`` builds them.
"""

from __future__ import annotations

from decimal import Decimal

from brokers.broker import AccountSnapshot
from brokers.model import Account, Bar, Instrument, Order, Position, Quote, Side
from supervisor.messages import Message, Request

# -- the connection --------------------------------------------------------------------------------


class StillNeeded(Message, frozen=True):
    """The lease (cast): ``holder`` needs these feeds and the books of these accounts, for the lease's time.

    ``feeds`` are the ends of the names, such as ``bars/SPY/60`` and ``orders/SIM1``. Each cast replaces what the
    holder said before; one that names nothing gives the lease back.
    """

    holder: str
    feeds: tuple[str, ...]
    accounts: tuple[str, ...]


class Token(Message, frozen=True):
    """An access token and the machine second at which it expires. Never logged."""

    access_token: str
    expires_s: float


LOGIN_NEEDED = "login needed"
"""A refused ``ReadToken`` that begins with this can only be cured by a person."""


class LoginShown(Message, frozen=True):
    """A login as its connection knows it, without secrets. ``trouble``: "" while all is well. ``rotating``: None before
    the first renewal has shown it. Machine times are 0.0 where there is none; ``signed_in_utc`` is wall time."""

    trouble: str
    renewed_s: float
    expires_s: float
    next_renewal_s: float
    rotating: bool | None
    signed_in_utc: float


class ReadLogin(Request[LoginShown], frozen=True):
    REPLY = LoginShown


class TakeLogin(Request[LoginShown], frozen=True):
    """A person has signed in: read the token file again, now, whatever back-off is running."""

    REPLY = LoginShown


class ReadToken(Request[Token], frozen=True):
    """A valid access token. ``refused``: the token that the venue has just answered 401 to ("" for none).
    Refused with ``LOGIN_NEEDED`` when the login is not accepted, otherwise when the venue cannot be asked."""

    REPLY = Token
    refused: str = ""


class Shares(Message, frozen=True):
    """Among how many processes the venue's quotas are divided: books of accounts, feeds of bars."""

    books: int
    bars: int


class ReadShares(Request[Shares], frozen=True):
    REPLY = Shares


class Leases(Message, frozen=True):
    """Who needs what, and for how many more seconds: ``{holder: seconds}`` by feed."""

    feeds: dict[str, dict[str, float]]
    books: dict[str, dict[str, float]]
    listening_until_s: float


class ReadLeases(Request[Leases], frozen=True):
    REPLY = Leases


# -- bars ------------------------------------------------------------------------------------------


class BarsClosed(Message, frozen=True):
    """Published on topic "bars": closed bars in order, as they came in one read. May repeat bars after a
    reconnect; the data source keys them by stamp. ``received_s``: when the bytes came."""

    bars: tuple[Bar, ...]
    received_s: float


class Bars(Message, frozen=True):
    """Closed bars in order. ``complete_until_utc``: up to here the venue's history was read; a minute without a
    bar up to then had no trade."""

    bars: tuple[Bar, ...]
    complete_until_utc: int


OPENING_S = 1.0
"""Machine seconds. So long after a stream was asked for its first bars may still come, and answer what follows."""


class ReadHistory(Request[Bars], frozen=True):
    """Closed bars with ``after_utc < closed_utc``: from what the feed remembers, where that begins early enough and
    reaches to ``until_utc``, else up to now, from the venue's history. Refused when that fails."""

    REPLY = Bars
    after_utc: int
    until_utc: int = 0


class ReadRecent(Request[Bars], frozen=True):
    """The last ``count`` closed bars (warm-up), remembered or from the venue's history."""

    REPLY = Bars
    count: int


class Signs(Message, frozen=True):
    """What the stream has shown beside closed bars. ``heard_s``: machine second of its last byte, 0 before the first.
    ``forming_utc``: the end of the newest bar seen in the making; ``newest_utc``: of the newest closed one; 0: none."""

    heard_s: float
    forming_utc: int
    newest_utc: int


class ReadSigns(Request[Signs], frozen=True):
    """Is an overdue bar missing, or was there no trade? Answered from memory: the venue is not asked."""

    REPLY = Signs


class Listing(Message, frozen=True):
    """What a symbol is now. ``contract``: the dated one of a continuous symbol (@ES), else the symbol itself.
    ``delayed``: this login gets late prices only."""

    contract: str
    delayed: bool


class ReadListing(Request[Listing], frozen=True):
    """Two reads of the venue. Refused when one fails."""

    REPLY = Listing


# -- accounts --------------------------------------------------------------------------------------


class OrdersSeen(Message, frozen=True):
    """Published on ``paths.orders_topic``: what came in one read of one symbol's orders. ``snapshot``: part of the
    stream's own replay."""

    orders: tuple[Order, ...]
    snapshot: bool
    received_s: float


class QuoteSeen(Message, frozen=True):
    """Published on topic "quotes": the newest quote, all that the stream has told of it. Best effort."""

    quote: Quote
    received_s: float


class PositionsSeen(Message, frozen=True):
    """Published on topic "positions": the whole state after one read. Never sent before EndSnapshot."""

    positions: tuple[Position, ...]
    received_s: float


class Snapshot(Message, frozen=True):
    """Published on topic "snapshot" by books: the account read by REST. ``requested_s``: when the read began;
    what happened after that may be missing from it (order-safety 1.3)."""

    read: int
    requested_s: float
    content: AccountSnapshot


class AccountSeen(Message, frozen=True):
    """Published on topic "snapshot" by books, after each good one: what a snapshot does not say of its account.

    ``day_start_usd``: its equity at the first read of the account's trading day, stored.
    ``point_values_usd``: of what is held or ordered there, where open risk is limited; what was not read is missing.
    """

    account: Account
    day_start_usd: Decimal
    point_values_usd: dict[str, Decimal]


class Reserved(Message, frozen=True):
    """The entry may go. Its part of the account's limits is kept until it is over."""


class Reserve(Request[Reserved], frozen=True):
    """An account manager wants to write an entry: may the account bear it? Refused in words. ``key``: its order key.
    Asked again under the same key, the new word replaces the old. ``risk_usd``: distance to the stop x quantity x point
    value; None where it cannot be reckoned."""

    REPLY = Reserved
    key: str
    holder: str
    symbol: str
    side: Side
    quantity: Decimal
    risk_usd: Decimal | None


class StillReserved(Message, frozen=True):
    """Cast to a keeper that has come up: these were given by an older one, and are not over. Never refused."""

    reservations: tuple[Reserve, ...]


class Release(Message, frozen=True):
    """Cast: the entry is over. ``filled``: it has left a position, so its part is kept until a read shows that."""

    key: str
    filled: bool


class SnapshotFailed(Message, frozen=True):
    """Published on topic "snapshot" instead: a read failed, and so changes nothing (law 6)."""

    read: int
    requested_s: float
    reason: str


class ReadSnapshot(Message, frozen=True):
    """Cast to books: read again ``after_s`` machine seconds from now, outside the rhythm (a confirming read)."""

    after_s: float = 0.0


class LastSnapshot(Request[Snapshot], frozen=True):
    """The newest good snapshot; refused where there is none yet."""

    REPLY = Snapshot


class OrdersRead(Message, frozen=True):
    """Orders by id: an answer, or published on topic "asked" by books."""

    requested_s: float
    orders: tuple[Order, ...]


class ReadOrders(Request[OrdersRead], frozen=True):
    """Orders by id, read now (an order in flight is overdue). Refused when the read fails."""

    REPLY = OrdersRead
    order_ids: tuple[str, ...]


class AskOrders(Message, frozen=True):
    """Cast to books: read these orders by id soon (they are overdue); ``OrdersRead`` is published on topic "asked"."""

    order_ids: tuple[str, ...]


class AskHistory(Message, frozen=True):
    """Cast to books: read the orders that closed before the venue's today, since this moment (market time) or a few
    hours before; ``HistoryRead`` is published on topic "asked"."""

    since_utc: float


class HistoryRead(Message, frozen=True):
    """Published on topic "asked" by books: all closed orders since then. Never a part."""

    requested_s: float
    since_utc: float
    orders: tuple[Order, ...]


class InstrumentRead(Message, frozen=True):
    instrument: Instrument


class ReadInstrument(Request[InstrumentRead], frozen=True):
    """Tick size and point value of a symbol. Refused when the venue does not know it or cannot be asked."""

    REPLY = InstrumentRead
    symbol: str
