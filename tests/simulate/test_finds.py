"""A simulation that cannot fail proves nothing: defects are planted in the desk, and a night must find each."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.model import RefusedByVenue, Unknown
from feeds.messages import Snapshot
from supervisor.messages import Message
from tests.simulate.regressions import night
from trader.data import data_source
from trader.manager import account_manager, execution, journal, order_frames, truth, turns
from trader.manager.account import Account, Now
from trader.manager.account_manager import AccountManager
from trader.orders import lifecycle as orders
from trader.orders.intents import Intent, IntentState
from trader.risk import gates as risk
from trader.simulate.night import Night

SEEDS = range(1, 31)
"""Most nights do not meet a given defect; the seeds that did when this was written come first."""


def problems(seeds: tuple[int, ...], *wanted: str) -> str:
    """Of the first night that finds something; with ``wanted``, that finds it in these words."""
    for seed in (*seeds, *SEEDS):
        text = "\n".join(Night(night(seed)).play().problems)
        if text and (not wanted or any(words in text for words in wanted)):
            return text
    return ""


def test_unknown_taken_for_refused_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(account: Account, intent: Intent, result: Unknown, now: Now) -> None:
        execution._refused(account, intent, RefusedByVenue(reason=result.reason), now)

    monkeypatch.setattr(execution, "_unknown", refused)
    assert problems((2,), "unasked", "nobody had traded by hand")


def test_broker_that_is_not_believed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "_adopt", lambda *_: None)
    found = problems((7,))
    assert "the broker's is" in found or "were apart" in found


def test_late_bars_that_are_not_marked_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "is_late", lambda *_: False)
    monkeypatch.setattr(data_source.DataSource, "_late", lambda *_: False)
    assert "comes of a late bar" in problems((1,))


def test_intents_forgotten_by_a_restart_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_manager, "doubt_after_restart", lambda *_: None)
    assert "is still written" in problems((1,))


def test_crash_that_nobody_injected_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = account_manager.turn

    def crash_once(account: Account, request: Any, now: Now) -> None:
        monkeypatch.setattr(account_manager, "turn", turn)
        raise KeyError("planted")

    monkeypatch.setattr(account_manager, "turn", crash_once)
    assert "KeyError: 'planted'" in problems((1,))


def test_a_fee_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_charged", lambda own, frame, last_word: (own, []))
    assert "profit and fees of the venue are" in problems(())


def test_an_entry_placed_beside_one_of_unknown_fate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not seen at once is given up at once, and wanted anew."""
    monkeypatch.setattr(execution, "doubt", _given_up)
    assert problems((8,)), "in what words depends on what it meets"


def _given_up(account: Account, intent: Intent, why: str, now: Now) -> None:
    execution.settled(account, intent, IntentState.GIVEN_UP, why, now)


def test_a_blind_entry_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue answers no read of positions for a while; with its gate the same night has none."""

    def unread(seed: int) -> str:
        finished = Night(night(seed, level="light"))
        outside, kernel = finished.machine.outside, finished.machine.kernel
        where = "GET /v3/brokerage/accounts/*/positions"
        outside.tell("fault", kernel.now_s, fault="status", path=where, times=0, after_s=10.0, for_s=160.0)
        return "\n".join(finished.play().problems)

    assert not any("is blind" in unread(seed) for seed in range(1, 6))
    gates = tuple(gate for gate in risk.ENTRY_GATES if gate.name != "agreed")
    monkeypatch.setattr(risk, "ENTRY_GATES", gates)
    assert any("is blind" in unread(seed) for seed in range(1, 6))


def test_an_order_that_mends_a_divergence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    adopt = truth._adopt

    def adopt_and_mend(account: Account, *rest: Any) -> None:
        finding = rest[0]
        before = account.journal.declaration(finding.symbol)
        adopt(account, *rest)
        account.journal.declare(before)

    monkeypatch.setattr(truth, "_adopt", adopt_and_mend)
    assert "follows from an adoption alone" in problems((2,))


def test_a_fill_that_is_not_recorded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.Journal, "write_fill", lambda *_: None)
    assert "we have 0 filled, the venue 1" in problems((2,))


def test_an_order_of_a_person_that_is_cancelled_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = AccountManager.handle_info

    def tidy(self: AccountManager, message: Message) -> None:
        if isinstance(message, Snapshot):
            for order in message.content.orders:
                if order.working and not self.journal.knows_order(order.order_id):
                    self.sending.broker.cancel(order.order_id)
        handle(self, message)

    monkeypatch.setattr(AccountManager, "handle_info", tidy)
    assert "it was touched" in problems((9,))


def test_a_gap_of_cover_that_is_told_too_short_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    over = truth._covered_again

    def shorter(account: Account, symbol: str, since: Any, now: Now) -> None:
        over(account, symbol, truth.replace(since, since_s=now.s), now)

    monkeypatch.setattr(truth, "_covered_again", shorter)
    assert "gaps of cover are told as" in problems((9,))


def test_a_gap_of_cover_that_is_not_recorded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody looks late this night, so that what a person has cancelled stays away long enough."""
    monkeypatch.setattr(truth, "uncovered", lambda *_: False)
    monkeypatch.setattr("trader.simulate.night.PERSON_EVERY_S", 170.0)
    assert "and no record of it" in problems((4,), "and no record of it")


def test_what_a_restart_changes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that comes up without what its strategy had kept."""
    doubt = account_manager.doubt_after_restart

    def forget(account: Account, now: Now) -> None:
        doubt(account, now)
        account.journal.set_state(b"")

    monkeypatch.setattr(account_manager, "doubt_after_restart", forget)
    assert "changed with a mere restart" in problems(())


def test_a_stop_that_a_person_has_cancelled_and_that_is_put_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_frames, "_cancelled_by_other", lambda *_: None)
    assert "was taken for our own doing" in problems((18,))
