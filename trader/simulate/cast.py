"""Who is in a simulation: its sessions, and an account at the venue for each beyond the first two. PURE but for the
strategies' files, which are read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.tradestation.emulator.book import AccountSpec
from trader.demo.script import STANDS, Stand
from trader.hosting.code import new_session
from trader.sessions import Code, Session
from trader.simulate.tempers import GAMBLER
from trader.simulate.week import TWIN

CASH_USD = Decimal(100_000)
FIRST_BRACKET = 4
SHARES = 3
"""This one (the fourth) trades on the second's account, the twin of its symbol."""
KINDS = {"ESZ13": ("F", "Futures"), "SPY": ("M", "Margin"), TWIN: ("M", "Margin")}


def stands(count: int) -> tuple[Stand, ...]:
    """The demo's two first; then their strategies on both symbols in turn, from the fifth on ``bracket`` in every other
    pair, each on an account of its own, because one owner per account and symbol is a rule of the desk. The fourth
    shares the second's, on another symbol."""
    return tuple(_stand(number) for number in range(count))


def _stand(number: int) -> Stand:
    model = STANDS[number % 2]
    if number < len(STANDS):
        return model
    brackets = number >= FIRST_BRACKET and number // 2 % 2 == 0
    strategy = "bracket" if brackets else STANDS[(number + number // 2) % 2].strategy
    if number == SHARES:
        return Stand(f"{TWIN.lower()}-{strategy.replace('_', '-')}-{number + 1}", TWIN, model.account, strategy)
    account = f"SIM{100001 + number // 2}{KINDS[model.symbol][0]}"
    return Stand(f"{model.symbol.lower()}-{strategy.replace('_', '-')}-{number + 1}", model.symbol, account, strategy)


def accounts(cast: tuple[Stand, ...]) -> tuple[AccountSpec, ...]:
    kinds = {each.account: KINDS[each.symbol][1] for each in cast}
    return tuple(AccountSpec(account, kind, CASH_USD) for account, kind in kinds.items())


def session(stand: Stand, gambles: dict[str, Any] | None = None, **words: Any) -> tuple[Session, Code]:
    """As ``trader.simulate.assembly`` takes it. ``words``: what it says of itself. ``gambles``: the parameters of the
    gambler that trades in its strategy's stead."""
    made, code = new_session(
        stand.name,
        stand.strategy if gambles is None else GAMBLER,
        account=stand.account,
        symbols=(stand.symbol,),
        connection="",
        parameters=gambles or {},
        **words,
    )
    return msgspec.structs.replace(made, strategy=stand.strategy), code
