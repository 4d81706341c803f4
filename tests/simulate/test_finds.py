"""A simulation that cannot fail proves nothing: defects are planted in the desk, and a night must find each."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.model import RefusedByVenue, Unknown
from tests.simulate.regressions import night
from trader import account_manager, data_source, execution, orders, truth, turns
from trader.account import Account, Now
from trader.intents import Intent
from trader.simulate.night import Night

SEEDS = range(1, 31)
"""Most nights do not meet a given defect; the seeds that did when this was written come first."""


def problems(seeds: tuple[int, ...]) -> str:
    """Of the first night that finds something."""
    for seed in (*seeds, *SEEDS):
        count = Night(night(seed)).play()
        if count.problems:
            return "\n".join(count.problems)
    return ""


def test_unknown_taken_for_refused_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(account: Account, intent: Intent, result: Unknown, now: Now) -> None:
        execution._refused(account, intent, RefusedByVenue(reason=result.reason), now)

    monkeypatch.setattr(execution, "_unknown", refused)
    found = problems((2,))
    assert "unasked" in found or "nobody had traded by hand" in found


def test_broker_that_is_not_believed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "_adopt", lambda *_: None)
    found = problems((7, 8))
    assert "the broker's is" in found or "were apart" in found


def test_late_bars_that_are_not_marked_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "is_late", lambda *_: False)
    monkeypatch.setattr(data_source.DataSource, "_late", lambda *_: False)
    assert "comes of a late bar" in problems((11, 13))


def test_intents_forgotten_by_a_restart_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_manager, "doubt_after_restart", lambda *_: None)
    assert "is still written" in problems((4,))


def test_crash_that_nobody_injected_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = account_manager.turn

    def crash_once(account: Account, request: Any, now: Now) -> None:
        monkeypatch.setattr(account_manager, "turn", turn)
        raise KeyError("planted")

    monkeypatch.setattr(account_manager, "turn", crash_once)
    assert "KeyError: 'planted'" in problems((1,))


def test_a_fee_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_charged", lambda own, frame: (own, []))
    assert "profit and fees of the venue are" in problems(())
