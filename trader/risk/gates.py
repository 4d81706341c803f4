"""The gates: what must be true before an order may go. Three lists, for entries, exits and stops. PURE.

Nothing trades blind (law 3): an entry passes all of the first list, and then the account's own limits (gate
``account``, ``feeds/reservations.py``). Exits and stops need less, and the shorter lists say which. Each gate is one
function, named as the strategy is told it; its refusal says what is wrong, the limit and the value, and what to do.
The first that refuses is told. docs/order-safety.md has the lists as tables.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Generic, NamedTuple, TypeVar

from brokers.model import ZERO, Account, Instrument, Value
from trader.risk.limits import Limits

ACTIVE = "active"
"""The one word of a venue's account status with which it takes entries."""
DAY_TRADES_MAX = 3
DAY_TRADE_EQUITY_USD = Decimal(25_000)
"""FINRA 4210: with less equity a margin account has three day trades in five business days. An entry may need one: its
stop can fill the same day."""

PART_FILLED = "part_filled"
PART_FILL_S = 10.0
"""Machine seconds for which an entry may stay part-filled, its stop waiting for the rest: then the rest is cancelled,
so that what is held gets a stop of its own."""

G = TypeVar("G")


class Gate(NamedTuple, Generic[G]):
    """``refusal``: why it stays shut, None where it is open. ``waits``: it opens by itself, with time or by somebody's
    word, so that being refused by it again and again is no loop."""

    name: str
    refusal: Callable[[G], str | None]
    waits: bool = False


class EntryGates(Value, frozen=True, kw_only=True):
    """What the gates of an entry look at. ``agreed_age_s``: machine seconds since a read last agreed with our position
    of the symbol; None if none ever did. ``late``: the declaration was made on a late bar. ``quantity``: of the entry;
    ``position_after``: what is held then, without sign. ``account``: as the venue last told it. ``open_risk_usd``: of
    the session with this entry; None where it cannot be reckoned. ``part_filled_s``: for so long an entry of the symbol
    has been filled in part, while its stop waits at the venue for the rest."""

    limits: Limits
    trading_done: bool
    holds: tuple[str, ...]
    agreed_age_s: float | None
    agreed_max_age_s: float
    differs: bool
    late: bool
    stop_given: bool
    quantity: Decimal
    position_after: Decimal
    instrument: Instrument | None
    live_connection: bool = False
    live_session: bool = False
    account: Account | None = None
    day_trades: int | None = None
    equity_usd: Decimal | None = None
    day_start_usd: Decimal | None = None
    placed_in_minute: int = 0
    placed_today: int = 0
    round_trips_today: int = 0
    open_risk_usd: Decimal | None = None
    part_filled_s: float = 0.0
    market: str = ""
    """Why the market's hours forbid an entry; "" where they do not."""
    expiry: str = ""
    """Why the end of the contract does."""
    stop_passed: bool = False
    """The declared stop is behind the market by the newest price known."""


def entry_refusal(gates: EntryGates) -> tuple[str, str] | None:
    """The first gate that forbids the entry, with its reason; None when it may go."""
    return _first(ENTRY_GATES, gates)


def _first(gates: tuple[Gate[G], ...], seen: G) -> tuple[str, str] | None:
    for gate in gates:
        text = gate.refusal(seen)
        if text is not None:
            return gate.name, text
    return None


# -- entries: is the session to trade at all? --------------------------------------------------------------------------


def _done(g: EntryGates) -> str | None:
    return "trading of this session is done: positions are only looked after" if g.trading_done else None


def _live(g: EntryGates) -> str | None:
    if g.live_connection == g.live_session:
        return None
    words = "LIVE" if g.live_connection else "SIM", "LIVE" if g.live_session else "SIM"
    return f"the connection is {words[0]}, the session {words[1]}: both must say the same; `session add --live` says it"


def _hold(g: EntryGates) -> str | None:
    return f"entries are held: {', '.join(g.holds)}; released by a person" if g.holds else None


# -- entries: is it known where we stand? ------------------------------------------------------------------------------


def _diverged(g: EntryGates) -> str | None:
    if not g.differs:
        return None
    return "the last read of the broker differs from our position; a confirming read is under way"


def _agreed(g: EntryGates) -> str | None:
    if g.agreed_age_s is None:
        return "the position was never agreed with the broker yet"
    if g.agreed_age_s > g.agreed_max_age_s:
        return f"the position was agreed {g.agreed_age_s:.0f} s ago, limit {g.agreed_max_age_s:.0f} s"
    return None


def _status(g: EntryGates) -> str | None:
    """Restricted, closing transactions only, margin call, liquidation, closed: whatever is not plainly active."""
    if g.account is None:
        return "the account's status was not read from the venue yet"
    if g.account.status.strip().lower() != ACTIVE:
        return f"the account's status is {g.account.status!r}, wanted: Active; ask the broker"
    return None


def _day_trades(g: EntryGates) -> str | None:
    account, used, equity_usd = g.account, g.day_trades, g.equity_usd
    if account is None or account.day_trading_qualified is not False or used is None or equity_usd is None:
        return None
    if used < DAY_TRADES_MAX or equity_usd >= DAY_TRADE_EQUITY_USD:
        return None
    return (
        f"{used} day trades in five business days, limit {DAY_TRADES_MAX} with an equity of {equity_usd} USD (below "
        f"{DAY_TRADE_EQUITY_USD}); the stop of an entry could be one more"
    )


def _late(g: EntryGates) -> str | None:
    return "the bar came late: no entry comes of a late bar" if g.late else None


def _market(g: EntryGates) -> str | None:
    return g.market or None


def _part_filled(g: EntryGates) -> str | None:
    return part_fill_refusal(g.part_filled_s)


def part_fill_refusal(part_filled_s: float) -> str | None:
    """Also of what is at the broker already: the rest of such an entry is cancelled."""
    if part_filled_s <= PART_FILL_S:
        return None
    return f"part-filled for {part_filled_s:.0f} s, limit {PART_FILL_S:.0f} s: its stop waits for the rest, which goes"


# -- entries: this order -----------------------------------------------------------------------------------------------


def _expiry(g: EntryGates) -> str | None:
    return g.expiry or None


def _stop(g: EntryGates) -> str | None:
    if g.stop_passed:
        return "the market has passed the declared stop already: it would be closed at once"
    if g.stop_given or g.limits.entry_without_stop:
        return None
    return "an entry needs a protective stop: target(symbol, quantity, stop=price)"


def _instrument(g: EntryGates) -> str | None:
    return "the venue was not asked yet for the symbol's tick size" if g.instrument is None else None


def _step(g: EntryGates) -> str | None:
    if g.instrument is None or not g.quantity % g.instrument.quantity_step:
        return None
    return f"quantity {g.quantity} is no multiple of {g.instrument.quantity_step}"


def _max_order_quantity(g: EntryGates) -> str | None:
    return _beyond("quantity", g.quantity, g.limits.max_order_quantity)


def _max_position_quantity(g: EntryGates) -> str | None:
    return _beyond("position with this entry", g.position_after, g.limits.max_position_quantity)


# -- entries: what the session has done today --------------------------------------------------------------------------


def _max_orders_per_minute(g: EntryGates) -> str | None:
    return _used_up("new orders in the last market minute", g.placed_in_minute, g.limits.max_orders_per_minute)


def _max_orders_per_day(g: EntryGates) -> str | None:
    return _used_up("new orders this trading day", g.placed_today, g.limits.max_orders_per_day)


def _max_round_trips_per_day(g: EntryGates) -> str | None:
    return _used_up("round trips this trading day", g.round_trips_today, g.limits.max_round_trips_per_day)


def _max_daily_loss_usd(g: EntryGates) -> str | None:
    return loss_refusal(g.limits.max_daily_loss_usd, g.day_start_usd, g.equity_usd)


def _max_open_risk_usd(g: EntryGates) -> str | None:
    if g.limits.max_open_risk_usd is None:
        return None
    if g.open_risk_usd is None:
        return "the risk cannot be reckoned: it needs a stop, the last price and the symbol's point value"
    return _beyond("open risk in USD with this entry", g.open_risk_usd, g.limits.max_open_risk_usd)


def _beyond(what: str, value: Decimal, limit: Decimal | None) -> str | None:
    return None if limit is None or value <= limit else f"{what} {value}, limit {limit}"


def _used_up(what: str, count: int, limit: int | None) -> str | None:
    return None if limit is None or count < limit else f"{what}: {count}, limit {limit}"


def loss_refusal(limit_usd: Decimal | None, start_usd: Decimal | None, equity_usd: Decimal | None) -> str | None:
    """Once the account's equity has lost so much since its trading day began, entries are over for the day."""
    if limit_usd is None:
        return None
    if start_usd is None or equity_usd is None:
        return "the account's equity at the beginning of its trading day is not known yet"
    loss_usd = start_usd - equity_usd
    if loss_usd < limit_usd:
        return None
    return (
        f"the account has lost {loss_usd} USD today ({start_usd} to {equity_usd}), limit {limit_usd}; no entry before "
        "the next trading day"
    )


ENTRY_GATES: tuple[Gate[EntryGates], ...] = (
    Gate("done", _done, waits=True),
    Gate("live", _live),
    Gate("hold", _hold, waits=True),
    Gate("diverged", _diverged, waits=True),
    Gate("agreed", _agreed, waits=True),
    Gate("status", _status, waits=True),
    Gate("day_trades", _day_trades, waits=True),
    Gate("late", _late, waits=True),
    Gate("market", _market, waits=True),
    Gate(PART_FILLED, _part_filled, waits=True),
    Gate("expiry", _expiry, waits=True),
    Gate("stop", _stop),
    Gate("instrument", _instrument, waits=True),
    Gate("step", _step),
    Gate("max_order_quantity", _max_order_quantity),
    Gate("max_position_quantity", _max_position_quantity),
    Gate("max_orders_per_minute", _max_orders_per_minute, waits=True),
    Gate("max_orders_per_day", _max_orders_per_day, waits=True),
    Gate("max_round_trips_per_day", _max_round_trips_per_day, waits=True),
    Gate("max_daily_loss_usd", _max_daily_loss_usd, waits=True),
    Gate("max_open_risk_usd", _max_open_risk_usd),
)
WAITING_GATES = frozenset({gate.name for gate in ENTRY_GATES if gate.waits} | {"account"})
"""Refusals by these are not counted as rejects."""


# -- exits and stops: less ---------------------------------------------------------------------------------------------


class ExitGates(NamedTuple):
    """``closing``: how much is to go. ``sure``: how much is there by all that is known (less while a read differs)."""

    refused: bool
    closing: Decimal
    sure: Decimal


class StopGates(NamedTuple):
    """``works``: there is one at the broker, to be moved; else it is to be placed. ``removed``: by a person."""

    instrument: Instrument | None
    refused: bool
    works: bool
    declared: bool
    removed: bool


def exit_refusal(gates: ExitGates) -> tuple[str, str] | None:
    return _first(EXIT_GATES, gates)


def stop_refusal(gates: StopGates) -> tuple[str, str] | None:
    return _first(STOP_GATES, gates)


def _exit_refused(g: ExitGates) -> str | None:
    return "the venue refused it; it is tried again when the strategy declares anew" if g.refused else None


def _exit_sure(g: ExitGates) -> str | None:
    if g.closing <= max(g.sure, ZERO):
        return None
    return f"{g.closing} to close, and only {g.sure} are there for sure: an exit that finds less opens the other side"


def _stop_instrument(g: StopGates) -> str | None:
    return "the venue was not asked yet for the symbol's tick size" if g.instrument is None else None


def _stop_refused(g: StopGates) -> str | None:
    return "the venue refused it; it is tried again when the strategy declares anew" if g.refused else None


def _stop_declared(g: StopGates) -> str | None:
    return None if g.works or g.declared else "the strategy declared none"


def _stop_person(g: StopGates) -> str | None:
    if g.works or not g.removed:
        return None
    return "somebody else cancelled it, and it is not put back before a release"


EXIT_GATES: tuple[Gate[ExitGates], ...] = (Gate("refused", _exit_refused), Gate("sure", _exit_sure))
STOP_GATES: tuple[Gate[StopGates], ...] = (
    Gate("instrument", _stop_instrument),
    Gate("refused", _stop_refused),
    Gate("declared", _stop_declared),
    Gate("person", _stop_person),
)
