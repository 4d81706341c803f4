"""What an account manager looks after besides what is declared: the scene of each symbol, put before the rules.

Level-triggered: each step asks every rule again, so that a death between any two steps changes nothing. Acts inside a
transaction of the journal, before the planner; sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from feeds.messages import Snapshot
from trader.hours.market_hours import UNKNOWN_HOURS, Phase
from trader.manager.account import Account, Now
from trader.manager.halting import not_flat
from trader.manager.protection import outside
from trader.minding import closing, stop_watch
from trader.minding.closing import flat_at_close, overnight_margin
from trader.minding.cover import bare_outside
from trader.minding.minded import Act, Minded, Price, Scene, Words
from trader.minding.renewal import renew, stop_expires
from trader.minding.rolling import contract_ends
from trader.minding.stop_watch import stop_inert, stop_passed

RULES: tuple[Callable[[Scene, Minded], Act | None], ...] = (
    stop_passed,
    stop_inert,
    flat_at_close,
    overnight_margin,
    bare_outside,
    renew,
    stop_expires,
    contract_ends,
)
"""In this sequence: what closes comes before what only tells."""


def mind(account: Account, now: Now) -> None:
    """Inside a step: what the rules want is done. Each is asked about what those before it have left."""
    for symbol in account.session.symbols:
        seen = looked_at(account, symbol, now)
        for rule in RULES:
            act = rule(seen, account.journal.minded(symbol))
            if act is not None:
                _do(account, symbol, act, now)
                seen = scene(account, symbol, now)


def due(account: Account, now: Now, symbols: Iterable[str]) -> bool:
    """Whether a rule wants something done, so that a step is worth it. Changes nothing that is stored."""
    for symbol in symbols:
        seen, minded = looked_at(account, symbol, now), account.journal.minded(symbol)
        if any(rule(seen, minded) is not None for rule in RULES):
            return True
    return False


def wants_read(account: Account, now: Now) -> bool:
    """A rule waits for the broker's word."""
    for symbol in account.session.symbols:
        seen, minded = scene(account, symbol, now), account.journal.minded(symbol)
        if stop_watch.wants_read(seen, minded) or closing.wants_read(seen, minded):
            return True
    return False


def told_by_read(account: Account, snapshot: Snapshot, now: Now) -> None:
    """What a good read says besides orders and positions. Its last price of what is held is as new as they are."""
    balance = snapshot.content.balance
    account.equity_usd, account.day_trades = balance.equity_usd, balance.day_trades
    account.margin_usd, account.overnight_free_usd = balance.overnight_margin_usd, balance.overnight_free_usd
    account.read_utc = max(account.read_utc, now.utc - (now.s - snapshot.requested_s) * now.rate)
    for symbol, price in snapshot.content.last_prices.items():
        account.price_told(symbol, Price(price, now.utc))


def looked_at(account: Account, symbol: str, now: Now) -> Scene:
    """The scene, with since when the market is beyond a working stop: of this life only, a new one counts anew."""
    seen = scene(account, symbol, now)
    found = stop_watch.overrun(seen, seen.overrun)
    if found is seen.overrun:
        return seen
    account.overrun[symbol] = found
    return msgspec.structs.replace(seen, overrun=found)


def scene(account: Account, symbol: str, now: Now) -> Scene:
    journal, session = account.journal, account.session
    holding, hours = journal.holding(symbol), account.hours.get(symbol, UNKNOWN_HOURS)
    moment = account.moment(symbol, now)
    opened = moment.phase in (Phase.OPEN, Phase.CLOSING)
    return Scene(
        words=Words(
            session.stop_passed,
            session.inert_stop,
            session.flat_at_close_min,
            account.capabilities.gtc_days_max,
            account.capabilities.renews_by_replace,
            account.capabilities.extended_stops,
            account.timing.late_machine_s,
        ),
        declaration=journal.declaration(symbol),
        held=holding.quantity,
        orders=account.working_of(symbol),
        now_utc=now.utc,
        rate=now.rate,
        unsettled=account.unsettled(symbol),
        flattening=account.flattening,
        instrument=journal.instruments.get(symbol),
        first_notice_utc=account.first_notice_utc.get(symbol),
        price=account.price_of(symbol),
        overrun=account.overrun.get(symbol),
        read_utc=account.read_utc,
        moment=moment,
        outside=outside(account, symbol, now),
        closes_utc=hours.next_close(now.utc) if opened else None,
        not_flat=not_flat(account, symbol, 0.0) if journal.minded(symbol).close_utc else "",
        equity_usd=account.equity_usd,
        margin_usd=account.margin_usd,
        overnight_free_usd=account.overnight_free_usd,
    )


def _do(account: Account, symbol: str, act: Act, now: Now) -> None:
    journal, told = account.journal, act.told
    journal.mind(symbol, act.minded)
    if act.declaration is not None:
        journal.declare(act.declaration)
    if act.hold:
        journal.add_hold(symbol, act.hold, now.utc)
    if told is not None:
        incident = f"{told.incident}:{symbol}" if told.incident else ""
        about = {"order_id": told.order_id} if told.order_id else {}
        account.event(now, told.kind, told.level, told.text, incident=incident, state=told.state, **about)
