"""What a session's fills come to: position, profit, fees, exposure, risk at the stop. PURE, exact.

From stored rows only, folded from the first on: so neither a restart nor who looks changes a number. Profit is counted
in *points* (price times quantity) and becomes money by the instrument's point value at the end.

An adoption is no fill (order-safety 1.8): what it has gained or lost is not known. It stands as an open *gap* until
fills of others that the broker shows (a person's, by phone) account for the whole change; then they tell its profit.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby

import msgspec

from brokers.model import ZERO, Instrument, Side, Value
from trader.orders.position import Holding, after_fill, closed_by

CENT = Decimal("0.01")
NOTHING_USD = Decimal("0.00")
USD_PLACES = Decimal("0.00000001")
"""An average price may be a third of something: what it leaves beyond this is no money."""

replace = msgspec.structs.replace


class Fill(Value, frozen=True):
    """A stored fill of one of our orders."""

    number: int
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    seen_utc: float


class Fee(Value, frozen=True):
    """What was charged, of one of our orders, beyond what was charged before; below 0 it was taken back."""

    symbol: str
    fee_usd: Decimal
    seen_utc: float


class Adoption(Value, frozen=True):
    """From now on the broker's word holds. ``taken_over``: the position was somebody's before it was this session's, so
    nothing of its past is ours. ``after_fill``: the newest fill of ours before it."""

    symbol: str
    before: Decimal
    after: Decimal
    average_price: Decimal | None
    adopted_utc: float
    number: int = 0
    after_fill: int = 0
    taken_over: bool = False


class ForeignFill(Value, frozen=True):
    """A fill of an order that is not ours, as a read showed it. ``price`` None: it cannot be told."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    fee_usd: Decimal
    after_adoption: int
    seen_utc: float


class Rows(msgspec.Struct, frozen=True):
    """All stored rows of one symbol, each kind in its sequence."""

    fills: tuple[Fill, ...] = ()
    adoptions: tuple[Adoption, ...] = ()
    foreign: tuple[ForeignFill, ...] = ()
    fees: tuple[Fee, ...] = ()


class Gap(Value, frozen=True):
    """A change of the position whose profit nobody can tell yet."""

    symbol: str
    before: Decimal
    after: Decimal
    since_utc: float


class Ledger(Value, frozen=True):
    """One symbol. ``realised`` is in points, without fees; ``..._today`` since ``day_utc`` (market
    time: when the account's trading day began).

    Of the open ``gaps``: ``unexplained`` quantity, and what it has gained as far as fills of others have told.
    """

    symbol: str
    day_utc: float = 0.0
    holding: Holding = Holding()
    realised: Decimal = ZERO
    realised_today: Decimal = ZERO
    fees_usd: Decimal = ZERO
    fees_today_usd: Decimal = ZERO
    gaps: tuple[Gap, ...] = ()
    unexplained: Decimal = ZERO
    gap_points: Decimal = ZERO
    gap_fees_usd: Decimal = ZERO


def ledger(symbol: str, rows: Rows, day_utc: float = 0.0) -> Ledger:
    """All rows of a symbol, folded."""
    book = Ledger(symbol, day_utc)
    adoptions = list(rows.adoptions)
    for fill in rows.fills:
        while adoptions and adoptions[0].after_fill < fill.number:
            book = _adopted(book, adoptions.pop(0), rows.foreign)
        book = filled(book, fill)
    for adoption in adoptions:
        book = _adopted(book, adoption, rows.foreign)
    for fee in rows.fees:
        book = charged(book, fee.fee_usd, fee.seen_utc)
    return book


def filled(book: Ledger, fill: Fill) -> Ledger:
    """What a fill ends of the position is realised at the difference to the average price."""
    held = book.holding
    closed = closed_by(held, fill.side, fill.quantity)
    gained = closed * (fill.price - (held.average_price or ZERO))
    after = after_fill(held, fill.side, fill.quantity, fill.price, fill.seen_utc)
    return _gained(replace(book, holding=after), gained, fill.seen_utc)


def charged(book: Ledger, fee_usd: Decimal, at_utc: float) -> Ledger:
    today_usd = fee_usd if at_utc >= book.day_utc else ZERO
    return replace(book, fees_usd=book.fees_usd + fee_usd, fees_today_usd=book.fees_today_usd + today_usd)


def adopted(book: Ledger, adoption: Adoption) -> Ledger:
    """The broker's quantity and average hold. The value that came or went with that is what a gap has to explain."""
    before, after = book.holding, Holding(adoption.after, adoption.average_price, adoption.adopted_utc)
    book = replace(book, holding=after)
    if adoption.taken_over:
        return book
    gap = Gap(book.symbol, before.quantity, after.quantity, adoption.adopted_utc)
    return replace(
        book,
        gaps=(*book.gaps, gap),
        unexplained=book.unexplained + after.quantity - before.quantity,
        gap_points=book.gap_points + _cost(after) - _cost(before),
    )


def explained(book: Ledger, fills: Iterable[ForeignFill]) -> Ledger:
    """What others have filled between two reads. Where it accounts for all that is unexplained, the profit is known."""
    told = list(fills)
    net = sum((each.side.sign * each.quantity for each in told), ZERO)
    if not book.gaps or not net or any(each.price is None for each in told):
        return book  # nothing to explain; or what cancels itself out, and has not changed what is held
    paid = sum((each.side.sign * each.quantity * (each.price or ZERO) for each in told), ZERO)
    book = replace(
        book,
        unexplained=book.unexplained - net,
        gap_points=book.gap_points - paid,
        gap_fees_usd=book.gap_fees_usd + sum((each.fee_usd for each in told), ZERO),
    )
    if book.unexplained:
        return book
    at_utc = told[-1].seen_utc
    book = charged(_gained(book, book.gap_points, at_utc), book.gap_fees_usd, at_utc)
    return replace(book, gaps=(), gap_points=ZERO, gap_fees_usd=ZERO)


def checked(book: Ledger, stored: Holding) -> Ledger:
    """The stored position is what is acted on. A journal that took a position over before that had a row of its own
    holds what its rows do not tell: a gap, as any other."""
    if book.holding.quantity == stored.quantity:
        return book
    return adopted(
        book, Adoption(book.symbol, book.holding.quantity, stored.quantity, stored.average_price, stored.as_of_utc)
    )


# -- in money ----------------------------------------------------------------------------------------------------------


def usd(points: Decimal, instrument: Instrument | None) -> Decimal | None:
    """None where the point value is not known, unless there is nothing to be worth anything."""
    if not points:
        return NOTHING_USD
    return None if instrument is None else money(points * instrument.point_value_usd)


def money(amount_usd: Decimal) -> Decimal:
    """In cents where it is whole cents, else as exact as it is; without the noise of an average."""
    exact, cents = amount_usd.quantize(USD_PLACES), amount_usd.quantize(CENT)
    return cents if cents == exact else exact.normalize()


def open_usd(holding: Holding, price: Decimal | None, instrument: Instrument | None) -> Decimal | None:
    """What closing at ``price`` would realise; None without a price."""
    if not holding.quantity:
        return NOTHING_USD
    if price is None or holding.average_price is None:
        return None
    return usd(holding.quantity * (price - holding.average_price), instrument)


def exposure_usd(holding: Holding, price: Decimal | None, instrument: Instrument | None) -> Decimal | None:
    """Signed: what is held is worth at ``price``."""
    if not holding.quantity:
        return NOTHING_USD
    return None if price is None else usd(holding.quantity * price, instrument)


class Stop(Value, frozen=True):
    """A protective stop that works at the broker. ``quantity``: what it may still close."""

    quantity: Decimal
    price: Decimal


def risk_at_stop_usd(holding: Holding, stops: Iterable[Stop], instrument: Instrument | None) -> Decimal | None:
    """The loss from the average price if the stops fill at their prices: never below 0 (a stop in the gain risks no
    capital). None: not limited, since a part of the position has no stop."""
    left, sign = abs(holding.quantity), 1 if holding.quantity > 0 else -1
    if not left:
        return NOTHING_USD
    if holding.average_price is None:
        return None
    lost = ZERO
    for stop in stops:
        covered = min(left, stop.quantity)
        lost += covered * sign * (holding.average_price - stop.price)
        left -= covered
    return None if left else usd(max(ZERO, lost), instrument)


def slippage(side: Side, price: Decimal, intended_price: Decimal | None) -> Decimal | None:
    """In price: above 0 is worse than what was seen when it was declared."""
    return None if intended_price is None else side.sign * (price - intended_price)


def total(values: Iterable[Decimal | None]) -> Decimal | None:
    """None as soon as one is not known: a part is no total."""
    amount = ZERO
    for value in values:
        if value is None:
            return None
        amount += value
    return amount


# -- small parts -------------------------------------------------------------------------------------------------------


def _adopted(book: Ledger, adoption: Adoption, foreign: Iterable[ForeignFill]) -> Ledger:
    """An adoption, then the fills of others that reads have shown since then and before the next."""
    book = adopted(book, adoption)
    since = [each for each in foreign if each.after_adoption == adoption.number]
    for _, read in groupby(since, key=lambda each: each.seen_utc):
        book = explained(book, read)
    return book


def _gained(book: Ledger, points: Decimal, at_utc: float) -> Ledger:
    today = points if at_utc >= book.day_utc else ZERO
    return replace(book, realised=book.realised + points, realised_today=book.realised_today + today)


def _cost(holding: Holding) -> Decimal:
    return holding.quantity * (holding.average_price or ZERO)
