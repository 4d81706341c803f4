"""Whether a session may enter: what the gates look at, as its account knows it. Reads the account, writes nothing."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.model import Side
from feeds.trading_day import began_utc
from trader.hours.market_hours import entry_refusal as market_refusal
from trader.manager.account import Account, Now
from trader.minding.rolling import entry_refusal as expiry_refusal
from trader.minding.stop_watch import reached
from trader.orders.declaration import Declaration
from trader.orders.pairs import promised
from trader.risk.exposure import Exposure, open_risk_usd
from trader.risk.gates import EntryGates, entry_refusal
from trader.risk.usage import MINUTE_S

replace = msgspec.structs.replace


def refusal(account: Account, wanted: Declaration, now: Now, *, late: bool = False) -> tuple[str, str] | None:
    """The gate that forbids an entry towards this declaration now, and why."""
    symbol, limits, seen = wanted.symbol, account.limits, account.seen
    agreed_s = account.agreed_s.get(symbol)
    usage = account.journal.usage
    day_utc = began_utc(now.utc, seen.account.kind) if seen is not None else 0.0
    gates = EntryGates(
        limits=limits,
        agreed_max_age_s=account.timing.agreed_max_age_s,
        position_after=abs(wanted.quantity),
        live_connection=account.live_connection,
        live_session=account.session.live,
        account=seen.account if seen is not None else None,
        day_trades=account.day_trades,
        equity_usd=account.equity_usd,
        day_start_usd=seen.day_start_usd if seen is not None else None,
        placed_in_minute=usage.placed.since(now.utc - MINUTE_S),
        placed_today=usage.placed.since(day_utc),
        round_trips_today=usage.trips.since(day_utc),
        part_filled_s=_part_filled_s(account, symbol, now),
        open_risk_usd=_risk_with(account, wanted) if limits.max_open_risk_usd is not None else None,
        trading_done=account.trading_done,
        holds=account.holds_of(symbol),
        agreed_age_s=None if agreed_s is None else now.s - agreed_s,
        differs=symbol in account.differed,
        late=late,
        stop_given=wanted.stop is not None,
        quantity=_entry_quantity(account, wanted),
        instrument=account.journal.instruments.get(symbol),
        market=market_refusal(symbol, account.moment(symbol, now)),
        expiry=_expiry(account, symbol, now),
        stop_passed=_stop_passed(account, wanted),
    )
    return entry_refusal(gates)


def exposure(account: Account, wanted: Declaration) -> Exposure:
    """What the session risks in the declaration's symbol once that is filled."""
    symbol, journal = wanted.symbol, account.journal
    close = account.closes.get(symbol)
    last = None if close is None else close.price
    return Exposure(wanted.quantity, journal.holding(symbol), wanted.stop, last, journal.instruments.get(symbol))


def _risk_with(account: Account, wanted: Declaration) -> Decimal | None:
    """Of all that this session holds or is entering, with this declaration as the symbol's; None: no bound."""
    return open_risk_usd(
        exposure(account, wanted if symbol == wanted.symbol else _on_the_way(account, symbol))
        for symbol in account.session.symbols
    )


def _on_the_way(account: Account, symbol: str) -> Declaration:
    """What is declared where it adds to what is held, else what is held."""
    declared = account.journal.declaration(symbol)
    if account.entry_missing(symbol):
        return declared
    return replace(declared, quantity=account.journal.holding(symbol).quantity)


def _entry_quantity(account: Account, wanted: Declaration) -> Decimal:
    held = account.journal.holding(wanted.symbol).quantity
    return abs(wanted.quantity - held) if held * wanted.quantity > 0 else abs(wanted.quantity)


def _part_filled_s(account: Account, symbol: str, now: Now) -> float:
    bare_s = account.uncovered_s(symbol, now)
    return bare_s if bare_s and promised(account.working_of(symbol)) else 0.0


def _expiry(account: Account, symbol: str, now: Now) -> str:
    instrument, notice_utc = account.journal.instruments.get(symbol), account.first_notice_utc.get(symbol)
    return expiry_refusal(instrument, notice_utc, account.limits.last_days_without_entry, now.utc)


def _stop_passed(account: Account, wanted: Declaration) -> bool:
    """The stop declared with this exposure is behind the market already."""
    price, side = account.market.get(wanted.symbol), Side.BUY if wanted.quantity > 0 else Side.SELL
    instrument = account.journal.instruments.get(wanted.symbol)
    return price is not None and wanted.stop is not None and reached(price.price, wanted.stop, side, instrument)
