"""Nights of two connections, each to a venue of its own, and of sessions of two symbols: the oracle judges each symbol
of each account at its own venue, and finds what is mixed."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.simulate.regressions import night
from trader.config import DeskConfig
from trader.desk import ensure
from trader.manager import truth
from trader.sessions import Session, journal_path
from trader.simulate import cast
from trader.simulate.night import Night, Plan
from trader.simulate.week import TWIN

SEEDS = (1, 2, 4)


def wide(seed: int, connections: int = 2, symbols: int = 2, sessions: int = 4, hours: float = 0.5) -> Plan:
    return msgspec.structs.replace(night(seed, hours, sessions), connections=connections, symbols=symbols)


def test_heavy_nights_over_both_keep_all_invariants() -> None:
    fills: Counter[tuple[str, str]] = Counter()
    for seed in SEEDS:
        finished = Night(wide(seed))
        count = finished.play()
        assert count.passed, f"{count.problems}\nagain: {finished.plan.command()}"
        for name, venue in finished.machine.venues.items():
            fills.update((name, fill.symbol) for fill in venue.state.ledger.fills)
    assert all(fills[name, symbol] for name in cast.CONNECTIONS for symbol in ("ESZ13", "SPY", TWIN)), fills


def test_who_is_where_follows_from_the_seed_alone_and_each_account_and_symbol_has_one_owner() -> None:
    drawn: Counter[str] = Counter()
    for seed in range(60):
        for count in range(1, 7):
            stands = cast.dealt(seed, count, 2, 2)
            assert stands == cast.dealt(seed, count, 2, 2)
            assert len(cast.sessions(stands)) == count
            assert len({(s.connection, s.account, s.symbol) for s in stands}) == len(stands)
            assert {s.connection for s in stands} == set(cast.CONNECTIONS[:count])
        by_name = cast.sessions(stands).values()
        assert all(len({(s.connection, s.account) for s in theirs}) == 1 for theirs in by_name)
        accounts = {name: {s.account for s in stands if s.connection == name} for name in cast.CONNECTIONS}
        drawn["same names"] += bool(accounts["sim"] & accounts["other"])
        drawn["own names"] += not accounts["sim"] & accounts["other"]
        drawn["two symbols"] += any(len(theirs) == 2 for theirs in by_name)
        drawn["data from the other"] += any(s.data_connection for s in stands)
    assert all(drawn[what] > 10 for what in ("same names", "own names", "two symbols", "data from the other")), drawn


def test_one_connection_and_one_symbol_are_the_nights_that_there_always_were() -> None:
    assert all(cast.dealt(seed, count, 1, 1) == cast.stands(count) for seed in range(5) for count in range(1, 8))
    assert "--connections" not in Plan(1.0, 2, "heavy", 1).command()
    assert Plan(1.0, 2, "heavy", 1, connections=2, symbols=2).command().endswith(" --connections 2 --symbols 2")


def test_orders_that_go_by_the_wrong_connection_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its account is called the same there, and nothing but the venue's own book tells."""
    spec = ensure.session_spec

    def by_the_first(session: Session, config: DeskConfig) -> Any:
        return spec(msgspec.structs.replace(session, connection="sim"), config)

    monkeypatch.setattr(ensure, "session_spec", by_the_first)
    seed = next(s for s in range(60) if {one.account for one in cast.dealt(s, 2, 2, 1)} == {"SIM100001F"})
    problems = Night(wide(seed, symbols=1, sessions=2)).play().problems
    assert any("-other: our position is" in each for each in problems), problems


def test_a_second_symbol_that_nobody_looks_at_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = truth._ours
    monkeypatch.setattr(
        truth, "_ours", lambda account, symbol: ours(account, account.session.symbols[0] if symbol == TWIN else symbol)
    )
    problems: list[str] = []
    for seed in SEEDS:
        problems += Night(wide(seed, connections=1)).play().problems
        if problems:
            break
    assert problems, "the twin's position was never held against the broker's"


def test_a_session_of_two_symbols_is_judged_symbol_by_symbol() -> None:
    finished = Night(wide(2, connections=1, sessions=2))
    assert finished.play().passed
    (both,) = [theirs for theirs in finished.sessions.values() if len(theirs) == 2]
    whole = finished.machine.store(journal_path(both[0].name))
    tables = ("intents", "fills", "positions", "adoptions")
    for table in tables:
        rows = whole.query(f"SELECT * FROM {table}")
        parts = [finished._journal(stand).query(f"SELECT * FROM {table}") for stand in both]
        assert all(row["symbol"] == stand.symbol for stand, part in zip(both, parts, strict=True) for row in part)
        assert sum(map(len, parts)) == len(rows)
    assert {row["symbol"] for row in whole.query("SELECT symbol FROM fills")} == {stand.symbol for stand in both}
    assert all(Decimal(row["quantity"]) > 0 for row in whole.query("SELECT quantity FROM fills"))
