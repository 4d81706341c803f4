"""The gates, one by one: what opens them, what they say, and that exits and stops need less."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brokers.model import Account, Instrument
from tests.doc_finders import rows, sections
from trader.risk.gates import (
    ENTRY_GATES,
    EXIT_GATES,
    STOP_GATES,
    WAITING_GATES,
    EntryGates,
    ExitGates,
    Gate,
    StopGates,
    entry_refusal,
    exit_refusal,
    stop_refusal,
)
from trader.risk.limits import DEFAULTS, Limits

DOC = Path(__file__).resolve().parents[2] / "docs" / "order-safety.md"
SPY = Instrument("SPY", "STOCK", Decimal("0.01"), Decimal(1), Decimal(5))
ACTIVE = Account("SIM1", "Margin", "Active", "USD", day_trading_qualified=False)
LIMITS = msgspec.structs.replace(
    DEFAULTS,
    max_order_quantity=Decimal(10),
    max_position_quantity=Decimal(15),
    max_orders_per_minute=3,
    max_orders_per_day=9,
    max_round_trips_per_day=4,
    max_daily_loss_usd=Decimal("500.10"),
    max_open_risk_usd=Decimal(100),
)
OPEN = EntryGates(
    limits=LIMITS,
    trading_done=False,
    holds=(),
    agreed_age_s=90.0,
    agreed_max_age_s=90.0,
    differs=False,
    late=False,
    stop_given=True,
    quantity=Decimal(10),
    position_after=Decimal(15),
    instrument=SPY,
    account=ACTIVE,
    day_trades=2,
    equity_usd=Decimal("9499.91"),
    day_start_usd=Decimal(10_000),
    placed_in_minute=2,
    placed_today=8,
    round_trips_today=3,
    open_risk_usd=Decimal(100),
    part_filled_s=10.0,
)
"""At every limit and beyond none."""

SHUT: list[tuple[str, dict[str, Any], str]] = [
    ("done", {"trading_done": True}, "only looked after"),
    ("live", {"live_connection": True}, "the connection is LIVE, the session SIM"),
    ("live", {"live_session": True}, "the connection is SIM, the session LIVE"),
    ("hold", {"holds": ("divergence", "found")}, "divergence, found; released by a person"),
    ("diverged", {"differs": True}, "a confirming read is under way"),
    ("agreed", {"agreed_age_s": None}, "never agreed"),
    ("agreed", {"agreed_age_s": 91.0}, "agreed 91 s ago, limit 90 s"),
    ("status", {"account": None}, "not read from the venue yet"),
    ("status", {"account": Account("A", "Margin", "Closing Transaction(s) Only", "USD")}, "Closing Transaction"),
    ("status", {"account": Account("A", "Margin", "Margin Call", "USD")}, "'Margin Call', wanted: Active"),
    ("status", {"account": Account("A", "Margin", "", "USD")}, "wanted: Active"),
    ("day_trades", {"day_trades": 3}, "3 day trades in five business days, limit 3"),
    ("late", {"late": True}, "no entry comes of a late bar"),
    ("market", {"market": "the market is closed"}, "the market is closed"),
    ("part_filled", {"part_filled_s": 11.0}, "part-filled for 11 s, limit 10 s: its stop waits for the rest"),
    ("expiry", {"expiry": "ESZ13 ends 2013-12-20, no entry in the last 3 days before"}, "ESZ13 ends"),
    ("stop", {"stop_passed": True}, "has passed the declared stop"),
    ("stop", {"stop_given": False}, "an entry needs a protective stop"),
    ("instrument", {"instrument": None}, "tick size"),
    ("step", {"quantity": Decimal(7)}, "quantity 7 is no multiple of 5"),
    ("max_order_quantity", {"quantity": Decimal(15)}, "quantity 15, limit 10"),
    ("max_position_quantity", {"position_after": Decimal(20)}, "position with this entry 20, limit 15"),
    ("max_orders_per_minute", {"placed_in_minute": 3}, "new orders in the last market minute: 3, limit 3"),
    ("max_orders_per_day", {"placed_today": 9}, "new orders this trading day: 9, limit 9"),
    ("max_round_trips_per_day", {"round_trips_today": 4}, "round trips this trading day: 4, limit 4"),
    ("max_daily_loss_usd", {"equity_usd": Decimal("9499.90")}, "has lost 500.10 USD today .*limit 500.10"),
    ("max_daily_loss_usd", {"day_start_usd": None}, "not known yet"),
    ("max_daily_loss_usd", {"equity_usd": None}, "not known yet"),
    ("max_open_risk_usd", {"open_risk_usd": Decimal("100.01")}, "with this entry 100.01, limit 100"),
    ("max_open_risk_usd", {"open_risk_usd": None}, "it needs a stop, the last price"),
]


def test_an_entry_at_every_limit_and_beyond_none_may_go() -> None:
    assert entry_refusal(OPEN) is None


@pytest.mark.parametrize(("gate", "change", "text"), SHUT, ids=lambda part: part if isinstance(part, str) else "")
def test_each_gate_shuts_for_its_own_reason_and_says_it(gate: str, change: dict[str, Any], text: str) -> None:
    refusal = entry_refusal(msgspec.structs.replace(OPEN, **change))
    assert refusal is not None
    assert refusal[0] == gate
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(refusal[1])


def test_no_gate_is_without_a_case() -> None:
    assert {gate.name for gate in ENTRY_GATES} == {gate for gate, _, _ in SHUT}


def test_without_limits_nothing_is_counted_but_what_is_always_needed() -> None:
    worst = msgspec.structs.replace(
        OPEN,
        limits=Limits(),
        quantity=Decimal(10**9),
        position_after=Decimal(10**9),
        placed_in_minute=10**6,
        placed_today=10**6,
        round_trips_today=10**6,
        equity_usd=Decimal(-1),
        day_start_usd=None,
        open_risk_usd=None,
    )
    assert entry_refusal(worst) is None


def test_day_trades_are_free_where_the_account_qualifies_or_has_the_equity_or_the_venue_does_not_say() -> None:
    used = msgspec.structs.replace(OPEN, day_trades=9, limits=Limits())
    assert entry_refusal(used) is not None
    qualified = msgspec.structs.replace(ACTIVE, day_trading_qualified=True)
    unsaid = msgspec.structs.replace(ACTIVE, day_trading_qualified=None)
    for free in ({"account": qualified}, {"account": unsaid}, {"equity_usd": Decimal(25_000)}, {"day_trades": None}):
        assert entry_refusal(msgspec.structs.replace(used, **free)) is None


@pytest.mark.parametrize(
    ("gate", "unknown"), [("day_trades", "account"), ("day_trades", "equity_usd"), ("step", "instrument")]
)
def test_what_was_not_told_yet_is_for_the_gate_to_refuse_that_asks_for_it(gate: str, unknown: str) -> None:
    (asked,) = [each for each in ENTRY_GATES if each.name == gate]
    worst: dict[str, Any] = {"day_trades": 9, "quantity": Decimal(7), unknown: None}
    assert asked.refusal(msgspec.structs.replace(OPEN, **worst)) is None


def test_a_session_may_say_that_it_enters_without_a_stop() -> None:
    bare = msgspec.structs.replace(OPEN, stop_given=False)
    allowed = msgspec.structs.replace(LIMITS, entry_without_stop=True, max_open_risk_usd=None)
    assert entry_refusal(msgspec.structs.replace(bare, limits=allowed)) is None


def test_an_exit_needs_only_that_it_is_not_refused_and_finds_what_it_closes() -> None:
    assert exit_refusal(ExitGates(False, Decimal(2), Decimal(2))) is None
    assert exit_refusal(ExitGates(True, Decimal(2), Decimal(2))) == ("refused", EXIT_REFUSED)
    gate, text = exit_refusal(ExitGates(False, Decimal(2), Decimal(1))) or ("", "")
    assert (gate, "2 to close, and only 1" in text) == ("sure", True)


EXIT_REFUSED = "the venue refused it; it is tried again when the strategy declares anew"


def test_a_stop_that_works_is_moved_with_less_than_one_that_is_placed() -> None:
    placed = StopGates(SPY, refused=False, works=False, declared=True, removed=False)
    assert stop_refusal(placed) is None
    for change, gate in (
        ({"instrument": None}, "instrument"),
        ({"refused": True}, "refused"),
        ({"declared": False}, "declared"),
        ({"removed": True}, "person"),
    ):
        shut = stop_refusal(placed._replace(**change))  # type: ignore[arg-type]
        assert shut is not None
        assert shut[0] == gate
        moved = stop_refusal(placed._replace(works=True, **change))  # type: ignore[arg-type]
        assert (moved is None) == (gate in ("declared", "person"))


@pytest.mark.parametrize(("heading", "gates"), [("Entries", ENTRY_GATES), ("Exits", EXIT_GATES), ("Stops", STOP_GATES)])
def test_the_tables_of_gates_are_those_of_the_code(heading: str, gates: tuple[Gate[Any], ...]) -> None:
    told = rows(sections(DOC.read_text("utf-8"))[heading])
    assert [row[0].strip("`") for row in told[1:]] == [gate.name for gate in gates]
    if gates is ENTRY_GATES:
        assert {row[0].strip("`") for row in told[1:] if row[2] == "yes"} | {"account"} == WAITING_GATES
