"""Reconcile: the broker is right, but a read that is older, or flat for no reason, is not believed."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import Order, OrderStatus, OrderType, Position, Side
from trader.orders.reconcile import LAG_S, Ours, Verdict, foreign_fills, reconcile

D = Decimal
replace = msgspec.structs.replace


def verdict(ours: int, theirs: int, *, delta: int = 0, requested_s: float = 10.0, **more: object) -> Verdict:
    own = replace(Ours("SPY", True, D(ours), 5.0, (), None), **more)
    positions = [Position("A", "SPY", D(theirs), D(167))] if theirs else []
    (finding,) = reconcile([own], positions, {"SPY": D(delta)}, requested_s)
    return finding.verdict


def test_equal_positions_agree() -> None:
    assert verdict(2, 2) is Verdict.AGREES
    assert verdict(0, 0) is Verdict.AGREES


def test_the_first_difference_is_only_noticed_and_the_second_equal_one_adopted() -> None:
    assert verdict(2, 1) is Verdict.DIFFERS
    assert verdict(2, 1, differed=D(1)) is Verdict.ADOPT
    assert verdict(2, 1, differed=D(3)) is Verdict.DIFFERS


def test_a_read_requested_before_our_newest_change_changes_nothing() -> None:
    assert verdict(2, 0, differed=D(0), requested_s=4.9) is Verdict.OLDER
    assert verdict(2, 2, requested_s=4.9) is Verdict.OLDER


def test_a_position_missing_at_the_broker_is_a_difference_too() -> None:
    assert verdict(2, 0) is Verdict.DIFFERS


def test_a_position_that_vanished_without_a_closing_fill_is_never_adopted() -> None:
    assert verdict(2, 0, differed=D(0)) is Verdict.UNEXPLAINED
    assert verdict(2, 0, differed=D(0), delta=-2) is Verdict.ADOPT
    assert verdict(2, 0, differed=D(0), delta=-1) is Verdict.UNEXPLAINED


def test_an_unsettled_instruction_is_waited_for() -> None:
    assert verdict(0, 1, differed=D(1), unsettled=(D(1),)) is Verdict.UNSETTLED
    assert verdict(1, 0, differed=D(0), unsettled=(D(2), D(-1))) is Verdict.UNSETTLED


def test_what_an_unsettled_instruction_cannot_explain_does_not_wait_for_it() -> None:
    """Night 131: sold by hand while a purchase of ours had no outcome; nobody was told for a minute."""
    assert verdict(0, -1, differed=D(-1), unsettled=(D(1),)) is Verdict.ADOPT
    assert verdict(0, 2, differed=D(2), unsettled=(D(1),)) is Verdict.ADOPT


def test_what_orders_that_can_be_none_of_ours_explain_whole_does_not_wait_either() -> None:
    assert verdict(0, 1, delta=1, differed=D(1), unsettled=(D(2),), told_apart=True) is Verdict.ADOPT
    assert verdict(0, 1, delta=1, differed=D(1), unsettled=(D(2),)) is Verdict.UNSETTLED


@pytest.mark.parametrize(
    ("ours", "theirs", "delta", "unsettled", "adopted"),
    [(0, 4, 1, 3, 1), (1, 2, -1, 2, 0), (2, 0, -1, -1, 1), (0, 2, 1, 2, 1), (0, 5, 1, 3, 5)],
)
def test_beside_what_others_have_filled_the_rest_waits_for_the_placing_that_may_explain_it(
    ours: int, theirs: int, delta: int, unsettled: int, adopted: int
) -> None:
    """Night 401: the broker showed the fill of our lost entry and one by hand together. All of it was adopted, and when
    the entry was found it counted a second time."""
    for differed, expected in ((None, Verdict.DIFFERS), (D(theirs), Verdict.ADOPT)):
        own = Ours("SPY", True, D(ours), 5.0, (D(unsettled),), differed, told_apart=True)
        positions = [Position("A", "SPY", D(theirs), D(167))] if theirs else []
        (finding,) = reconcile([own], positions, {"SPY": D(delta)}, 10.0)
        assert (finding.verdict, finding.adopted) == (expected, adopted)


def test_what_a_working_order_of_ours_can_explain_is_not_adopted_while_orders_may_lag() -> None:
    lagging: dict[str, object] = {"differed": D(1), "working": (D(2), D(-1)), "since_s": 10.0 - LAG_S + 0.1}
    assert verdict(0, 1, **lagging) is Verdict.DIFFERS
    assert verdict(0, 1, **{**lagging, "since_s": 10.0 - LAG_S}) is Verdict.ADOPT
    assert verdict(0, 3, **{**lagging, "differed": D(3)}) is Verdict.ADOPT, "more than they could fill"
    assert verdict(0, 1, delta=1, **lagging) is Verdict.ADOPT, "somebody else's fills are shown for it"


def test_a_new_journal_adopts_nothing_as_its_own() -> None:
    assert verdict(0, 1, known=False) is Verdict.NOT_OURS
    assert verdict(0, 0, known=False) is Verdict.AGREES
    assert verdict(0, 0, known=False, unsettled=(D(1),)) is Verdict.NOT_OURS, "what is on its way may be there next"


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.integers(-3, 3))
def test_nothing_is_adopted_that_two_reads_in_sequence_did_not_say(reads: list[int], ours: int) -> None:
    """And never a flat without its fill."""
    differed: Decimal | None = None
    for before, theirs in zip([None, *reads], reads, strict=False):
        found = verdict(ours, theirs, differed=differed)
        if found is Verdict.ADOPT:
            assert before == theirs != ours
            assert theirs != 0
        differed = None if found is Verdict.AGREES else D(theirs)


def foreign(order_id: str, side: Side, filled: int) -> Order:
    return Order(order_id, "A", "SPY", side, OrderType.MARKET, D(9), OrderStatus.FILLED, "FLL", 0.0, D(filled))


def test_fills_of_others_count_beyond_what_is_accounted_for_and_ours_never() -> None:
    orders = [foreign("1", Side.SELL, 2), foreign("2", Side.BUY, 1), foreign("3", Side.SELL, 5)]
    assert foreign_fills(orders, ["3"], {"1": D(1)}) == {"SPY": D(0)}
    assert foreign_fills(orders, [], {"1": D(1)}) == {"SPY": D(-5)}
