"""Ours and the broker's side by side: what each session holds, risks and has made, and where the two differ. PURE.

A read of the broker that is older than our newest fill or instruction is no difference (order-safety 1.3), and one that
failed is none either. A symbol or an order that no session of ours has is *not ours*: shown, and a difference. What a
session has made in a symbol that it trades no more, or before it was removed, is *past*: the account's money all the
same, so it is in every sum, and shown while it counts for today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from brokers.broker import AccountSnapshot
from brokers.model import ZERO, Instrument, Value
from feeds.trading_day import began_utc
from trader.accounting.money import (
    Gap,
    Ledger,
    Rows,
    Stop,
    checked,
    exposure_usd,
    ledger,
    money,
    open_usd,
    risk_at_stop_usd,
    total,
    usd,
)
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding
from trader.sessions import Session


class State(StrEnum):
    AGREES = "agrees"
    DIFFERS = "differs"
    OLDER = "read is older"
    UNREAD = "not read"
    UNSETTLED = "may be ours"
    OURS_UNREAD = "ours not read"
    PAST = "past"
    NOT_OURS = "not ours"

    @property
    def difference(self) -> bool:
        return self in (State.DIFFERS, State.NOT_OURS)


class Place(msgspec.Struct, frozen=True):
    """Where a connection leads. The same account name is the same account only at one ``venue``, in one
    ``environment``."""

    environment: str
    venue: str


Spot = tuple[str, str, str]
"""An account: environment, venue, name."""


def place_of(places: Mapping[str, Place], connection: str) -> Place:
    """Of one that is not configured any more nothing is known: it stands by itself."""
    return places.get(connection) or Place("?", connection)


def spot(places: Mapping[str, Place], connection: str, account: str) -> Spot:
    place = place_of(places, connection)
    return place.environment, place.venue, account


class Broker(msgspec.Struct, frozen=True):
    """The broker's side of one account: the newest whole read that the desk has, or ``why`` there is none.
    ``read_utc``: market time at which it was requested; ``age_s``: machine seconds since. ``kind``: the venue's kind of
    the account, by which its trading days are cut; "" where no read has told it yet."""

    place: Place
    connection: str
    account: str
    content: AccountSnapshot | None = None
    age_s: float | None = None
    read_utc: float = 0.0
    why: str = ""
    kind: str = ""

    @property
    def environment(self) -> str:
        return self.place.environment

    @property
    def spot(self) -> Spot:
        return self.place.environment, self.place.venue, self.account


class SessionBook(msgspec.Struct, frozen=True):
    """What a journal tells. ``orders``: those that work, and those that were asked for. ``unsettled``: symbols of which
    a placing has no outcome. ``changed_utc``: our newest fill or instruction, by symbol (market time)."""

    holdings: dict[str, Holding] = {}
    rows: dict[str, Rows] = {}
    orders: tuple[OwnOrder, ...] = ()
    unsettled: frozenset[str] = frozenset()
    instruments: dict[str, Instrument] = {}
    changed_utc: dict[str, float] = {}

    def ledger(self, symbol: str, day_utc: float) -> Ledger:
        """From the stored rows, held against the stored position."""
        book = ledger(symbol, self.rows.get(symbol, Rows()), day_utc)
        return checked(book, self.holdings.get(symbol, Holding()))


class Ours(msgspec.Struct, frozen=True):
    """A session and what its journal tells. ``removed``: by a person, and its journal is still there. ``unread``: it
    cannot be read, so what it holds is not known; that is not flat."""

    session: Session
    book: SessionBook
    removed: bool = False
    unread: bool = False

    @property
    def symbols(self) -> tuple[str, ...]:
        """Those that it trades; the others that its journal tells of are past."""
        return () if self.removed else self.session.symbols


class Standing(Value, frozen=True):
    """One symbol of one session (``session`` "": nobody's). ``ours`` None: its journal cannot be read. ``price``: the
    broker's last of the position, as old as its read. Money is None where it cannot be told: no price, no point value,
    no stop; profit is without fees."""

    environment: str
    connection: str
    account: str
    session: str
    symbol: str
    state: State
    ours: Decimal | None = ZERO
    average_price: Decimal | None = None
    as_of_utc: float = 0.0
    theirs: Decimal | None = None
    their_average_price: Decimal | None = None
    read_age_s: float | None = None
    stop: Decimal | None = None
    risk_usd: Decimal | None = ZERO
    price: Decimal | None = None
    open_usd: Decimal | None = ZERO
    exposure_usd: Decimal | None = ZERO
    realised_today_usd: Decimal | None = ZERO
    realised_usd: Decimal | None = ZERO
    fees_today_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    gaps: tuple[Gap, ...] = ()

    @property
    def shown(self) -> bool:
        """What is past and made nothing today is in the sums only."""
        today = self.realised_today_usd != 0 or self.fees_today_usd != 0
        return self.state is not State.PAST or today or self.ours != 0 or bool(self.gaps)


class AccountTotal(Value, frozen=True):
    """Over the sessions of one account, removed ones too; neither LIVE and SIM nor two venues are ever in one.
    ``connection``: by which it is read. ``profit_unknown``: symbols with an adoption that nothing explains yet.
    ``exposure_usd``: long and short alike. The broker's figures are as old as its read."""

    environment: str
    connection: str
    account: str
    realised_today_usd: Decimal | None
    realised_usd: Decimal | None
    fees_today_usd: Decimal
    fees_usd: Decimal
    open_usd: Decimal | None
    exposure_usd: Decimal | None
    risk_usd: Decimal | None
    profit_unknown: tuple[str, ...]
    broker_cash_usd: Decimal | None
    broker_equity_usd: Decimal | None
    read_age_s: float | None


# -- positions ---------------------------------------------------------------------------------------------------------


def standings(
    ours: Iterable[Ours], brokers: Iterable[Broker], places: Mapping[str, Place], now_utc: float
) -> list[Standing]:
    """A line for each symbol of each session, then one for each position that is nobody's. ``places``: of all
    connections."""
    ours, reads = list(ours), {(each.connection, each.account): each for each in brokers}
    lines: list[Standing] = []
    for each in ours:
        read = read_of(each.session, reads, places)
        past = [symbol for symbol in each.book.rows if symbol not in each.symbols]
        lines += [_standing(each, symbol, read, now_utc) for symbol in (*each.symbols, *past)]
    known = {
        (spot(places, line.connection, line.account), line.symbol) for line in lines if line.state is not State.PAST
    }
    for read in freshest(reads.values()):
        for position in read.content.positions if read.content else ():
            if (read.spot, position.symbol) not in known:
                lines.append(
                    Standing(
                        environment=read.environment,
                        connection=read.connection,
                        account=read.account,
                        session="",
                        symbol=position.symbol,
                        state=State.NOT_OURS,
                        theirs=position.quantity,
                        their_average_price=position.average_price,
                        read_age_s=read.age_s,
                        price=read.content.last_prices.get(position.symbol) if read.content else None,
                    )
                )
    return lines


def read_of(session: Session, reads: Mapping[tuple[str, str], Broker], places: Mapping[str, Place]) -> Broker:
    """Of its account, by its connection; ``reads`` by both."""
    connection, account = session.connection, session.account
    return reads.get((connection, account)) or Broker(place_of(places, connection), connection, account)


NOT_KNOWN: dict[str, object] = {
    "state": State.OURS_UNREAD,
    "ours": None,
    "risk_usd": None,
    "open_usd": None,
    "exposure_usd": None,
    "realised_today_usd": None,
    "realised_usd": None,
}
"""Of a session whose journal cannot be read the broker's side is told alone; no sum of the account knows its part."""


def _standing(each: Ours, symbol: str, read: Broker, now_utc: float) -> Standing:
    book, instrument = each.book, each.book.instruments.get(symbol)
    made = book.ledger(symbol, began_utc(now_utc, read.kind))
    held, content = made.holding, read.content
    position = next((p for p in content.positions if p.symbol == symbol), None) if content else None
    theirs = None if content is None else position.quantity if position else ZERO
    price = content.last_prices.get(symbol) if content else None
    stops = stops_of(book.orders, symbol)
    state = state_of(theirs == held.quantity, read, book.changed_utc.get(symbol, 0.0))
    if symbol not in each.symbols:
        state, position, theirs = State.PAST, None, None  # whoever trades it now has the broker's side
    line = Standing(
        environment=read.environment,
        connection=read.connection,
        account=read.account,
        session=each.session.name,
        symbol=symbol,
        state=state,
        theirs=theirs,
        their_average_price=position.average_price if position else None,
        read_age_s=read.age_s,
    )
    if each.unread:
        return msgspec.structs.replace(line, **NOT_KNOWN)
    return msgspec.structs.replace(
        line,
        ours=held.quantity,
        average_price=held.average_price,
        as_of_utc=held.as_of_utc,
        stop=stops[0].price if stops else None,
        risk_usd=risk_at_stop_usd(held, stops, instrument),
        price=price,
        open_usd=open_usd(held, price, instrument),
        exposure_usd=exposure_usd(held, price, instrument),
        realised_today_usd=usd(made.realised_today, instrument),
        realised_usd=usd(made.realised, instrument),
        fees_today_usd=money(made.fees_today_usd),
        fees_usd=money(made.fees_usd),
        gaps=made.gaps,
    )


def state_of(same: bool, read: Broker, changed_utc: float) -> State:
    """Equal is equal, however old; what is not is believed of a read that knows what we know."""
    if read.content is None:
        return State.UNREAD
    if same:
        return State.AGREES
    return State.OLDER if read.read_utc < changed_utc else State.DIFFERS


def stops_of(orders: Iterable[OwnOrder], symbol: str) -> list[Stop]:
    """Those that protect: the broker says that they work."""
    return [
        Stop(order.remaining, order.stop_price)
        for order in orders
        if order.symbol == symbol and order.protecting and order.stop_price is not None
    ]


def freshest(brokers: Iterable[Broker]) -> list[Broker]:
    """One read an account, where several connections have read it."""
    newest: dict[Spot, Broker] = {}
    for each in brokers:
        if each.spot not in newest or each.read_utc > newest[each.spot].read_utc:
            newest[each.spot] = each
    return list(newest.values())


def of_account(ours: Iterable[Ours], read: Broker, places: Mapping[str, Place]) -> list[Ours]:
    """The sessions that trade the account of this read."""
    return [each for each in ours if spot(places, each.session.connection, each.session.account) == read.spot]


def totals(lines: Iterable[Standing], brokers: Iterable[Broker], places: Mapping[str, Place]) -> list[AccountTotal]:
    """By account, in the sequence in which they come."""
    reads = {each.spot: each for each in freshest(brokers)}
    found: dict[Spot, list[Standing]] = {}
    firsts: dict[Spot, Standing] = {}
    for line in lines:
        where = spot(places, line.connection, line.account)
        firsts.setdefault(where, line)
        of = found.setdefault(where, [])
        if line.state is not State.NOT_OURS:
            of.append(line)
    return [_total(firsts[where], of, reads.get(where)) for where, of in found.items()]


def _total(first: Standing, of: list[Standing], read: Broker | None) -> AccountTotal:
    """``first``: the line that named the account first."""
    content = read.content if read else None
    exposures = [None if each.exposure_usd is None else abs(each.exposure_usd) for each in of]
    return AccountTotal(
        environment=first.environment,
        connection=read.connection if read else first.connection,
        account=first.account,
        realised_today_usd=total(each.realised_today_usd for each in of),
        realised_usd=total(each.realised_usd for each in of),
        fees_today_usd=sum((each.fees_today_usd for each in of), ZERO),
        fees_usd=sum((each.fees_usd for each in of), ZERO),
        open_usd=total(each.open_usd for each in of),
        exposure_usd=total(exposures),
        risk_usd=total(each.risk_usd for each in of),
        profit_unknown=tuple(each.symbol for each in of if each.gaps),
        broker_cash_usd=content.balance.cash_usd if content else None,
        broker_equity_usd=content.balance.equity_usd if content else None,
        read_age_s=read.age_s if read else None,
    )
