"""A person stops things among the faults of a night: it happens, it holds, and a desk that ignored it is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulate.regressions import night
from trader.manager import account_manager
from trader.manager.account import Account
from trader.sessions import journal_path
from trader.simulate.faults import STOPS, stops
from trader.simulate.night import Night

SEEDS = range(1, 17, 2)


def events(finished: Night, kind: str) -> int:
    count = 0
    for stand in finished.stands:
        journal = finished.machine.store(journal_path(stand.name))
        count += len(journal.query("SELECT number FROM events WHERE kind = ?", (kind,)))
    return count


def test_stops_follow_from_seed_level_and_length_and_each_kind_is_drawn() -> None:
    assert stops(1, "heavy", 3600.0) == stops(1, "heavy", 3600.0)
    assert stops(2, "heavy", 3600.0) == []
    assert {each.kind for each in stops(1, "heavy", 3600.0)} == set(STOPS)
    assert len(stops(1, "light", 36_000.0)) < len(stops(1, "heavy", 36_000.0)) / 10


def test_flattens_are_begun_and_confirmed_among_all_that_breaks() -> None:
    begun = confirmed = 0
    for seed in SEEDS:
        finished = Night(night(seed))
        count = finished.play()
        assert count.passed, count.problems
        begun += events(finished, "flatten.begun")
        confirmed += events(finished, "flatten.confirmed")
    assert begun > len(SEEDS)
    assert confirmed > begun / 2


def test_desk_that_ignored_holds_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*arguments: Any) -> None: ...

    monkeypatch.setattr(Account, "holds_of", lambda self, symbol: self.journal.holds_of(symbol))
    monkeypatch.setattr(account_manager, "impose", nothing)
    problems = [problem for seed in SEEDS for problem in Night(night(seed)).play().problems]
    assert any("while a person had stopped entries" in problem for problem in problems), problems


def test_desk_that_confirms_too_early_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trader.manager.halting.unconfirmed", lambda account: "")
    problems = [problem for seed in SEEDS for problem in Night(night(seed)).play().problems]
    assert any("a flatten was told as confirmed while the broker held" in problem for problem in problems), problems
