"""Who is in a simulation: its sessions, and an account at the venue for each beyond the first two; in nights of two
connections or of two symbols a session who of them is where. PURE but for the strategies' files, which are read."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from brokers.tradestation.emulator.book import AccountSpec
from trader.demo.script import STANDS, Stand
from trader.hosting.code import new_session
from trader.sessions import Code, Session
from trader.simulate.assembly import CONNECTION
from trader.simulate.tempers import GAMBLER
from trader.simulate.week import TWIN, TWIN_OF

CASH_USD = Decimal(100_000)
FIRST_BRACKET = 4
SHARES = 3
"""This one (the fourth) trades on the second's account, the twin of its symbol."""
CONNECTIONS = (CONNECTION, "other")
SAME_NAMES = 0.5
"""Part of the nights of two connections in which an account is called at one venue as another one is at the other."""
DATA_FROM_OTHER = 0.25
"""Part of the sessions of such nights whose bars come from the other connection."""
TWO_SYMBOLS = 0.6
"""Part of the sessions on accounts of stocks that trade two symbols, where such are asked for; at least one does."""
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


def dealt(seed: int, count: int, connections: int, symbols: int) -> tuple[Stand, ...]:
    """So many sessions on so many connections, in turn; a session of two symbols has two stands. (Drawn apart: what
    else the seed means stays what it is.)"""
    if connections == 1 and symbols == 1:
        return stands(count)
    draw = random.Random(f"cast {seed}")
    same_names, turned = draw.random() < SAME_NAMES, draw.randrange(2)
    places: list[Stand] = []
    for number in range(count):
        there, place = divmod(number, connections)
        places.append(_placed(stands(there + place * turned + 1)[-1], place, draw, connections, same_names=same_names))
    return _with_second_symbols(places, draw) if symbols > 1 else tuple(places)


def _placed(model: Stand, place: int, draw: random.Random, connections: int, *, same_names: bool) -> Stand:
    other = CONNECTIONS[1 - place] if connections > 1 and draw.random() < DATA_FROM_OTHER else ""
    placed = msgspec.structs.replace(model, connection=CONNECTIONS[place], data_connection=other)
    if not place:
        return placed
    account = model.account if same_names else model.account.replace("SIM1", "SIM2")
    return msgspec.structs.replace(placed, name=f"{model.name}-{placed.connection}", account=account)


def _with_second_symbols(places: Iterable[Stand], draw: random.Random) -> tuple[Stand, ...]:
    """The twin is traded beside the symbol whose twin it is; who traded it on that account goes to another one."""
    found: list[Stand] = []
    taken: set[tuple[str, str]] = set()
    for stand in places:
        where = (stand.connection, stand.account)
        if stand.symbol == TWIN and where in taken:
            stand = msgspec.structs.replace(stand, account=f"{stand.account[:-1]}9{stand.account[-1]}")
        found.append(stand)
        if stand.symbol == TWIN_OF and (draw.random() < TWO_SYMBOLS or not taken):
            taken.add(where)
            found.append(msgspec.structs.replace(stand, symbol=TWIN))
    return tuple(found)


def sessions(cast: Iterable[Stand]) -> dict[str, tuple[Stand, ...]]:
    """The stands of each, by its name."""
    found: dict[str, tuple[Stand, ...]] = {}
    for stand in cast:
        found[stand.name] = (*found.get(stand.name, ()), stand)
    return found


def accounts(cast: Iterable[Stand]) -> tuple[AccountSpec, ...]:
    kinds = {each.account: KINDS[each.symbol][1] for each in cast}
    return tuple(AccountSpec(account, kind, CASH_USD) for account, kind in kinds.items())


def session(
    stand: Stand, gambles: dict[str, Any] | None = None, *, symbols: tuple[str, ...] = (), **words: Any
) -> tuple[Session, Code]:
    """As ``trader.simulate.assembly`` takes it. ``words``: what it says of itself. ``gambles``: the parameters of the
    gambler that trades in its strategy's stead. ``symbols``: all that it trades, where the stand's is not the only one.
    """
    made, code = new_session(
        stand.name,
        stand.strategy if gambles is None else GAMBLER,
        account=stand.account,
        symbols=symbols or (stand.symbol,),
        connection=stand.connection,
        data_connection=stand.data_connection,
        parameters=gambles or {},
        **words,
    )
    return msgspec.structs.replace(made, strategy=stand.strategy), code
