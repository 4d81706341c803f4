"""The limits of a session in its account manager: each refusal reaches strategy and record, exits always pass."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.model import Bar, OrderStatus
from feeds.config import AccountLimits
from feeds.messages import Release, Reserve, Reserved, StillReserved
from supervisor.errors import HttpFailed, NoPeer, OutcomeUnknown, Refused
from supervisor.messages import Up
from tests.trader.session_world import SESSION, SOURCE, SYMBOL, Desk, reply
from trader.messages import CleanBar, CleanBars, FillRow, RejectRow, ReleaseHold
from trader.risk.limits import DEFAULTS

KEEPER = "connections/sim/limits/SIM1"


def limited(**limits: Any) -> Desk:
    made = Desk(limits=msgspec.structs.replace(DEFAULTS, **limits))
    made.ready()
    return made


def of_account(**limits: Any) -> Desk:
    made = Desk(of_account=AccountLimits(**limits))
    made.world.answer(KEEPER, Reserve, Reserved())
    made.world.peers.add(KEEPER)
    made.ready()
    return made


def gates(desk: Desk) -> list[str]:
    return [row.gate for row in desk.rows() if isinstance(row, RejectRow)]


def bar(desk: Desk, close: str) -> None:
    price = Decimal(close)
    made = Bar(SYMBOL, 60, desk.stamp + 60, price, price, price, price, 1)
    desk.world.deliver(CleanBars(SYMBOL, 60, desk.stamp, (CleanBar(made, late=False),)))


def in_and_out(desk: Desk) -> None:
    """One round trip: entry with its stop, fill, exit of the stop."""
    desk.declare(1)
    desk.fill(str(len(desk.orders) - 1))
    desk.stream()
    desk.stream()
    desk.declare(0, None)
    desk.fill(str(len(desk.orders)))
    desk.stream()
    desk.read()


# -- a session's own ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "quantity", "gate"),
    [
        ({"max_order_quantity": Decimal(1)}, 2, "max_order_quantity"),
        ({"max_position_quantity": Decimal(1)}, 2, "max_position_quantity"),
    ],
)
def test_a_refusal_reaches_on_reject_and_the_record_and_nothing_is_sent(
    limits: dict[str, Any], quantity: int, gate: str
) -> None:
    desk = limited(**limits)
    desk.declare(quantity)
    assert gates(desk) == [gate]
    assert desk.query("SELECT data FROM events WHERE kind = 'order.refused'")[0]["data"].count(gate) == 1
    assert desk.sent() == []
    assert desk.query("SELECT * FROM intents") == []


@pytest.mark.parametrize("status", ["Closing Transaction(s) Only", "Restricted", "Margin Call"])
def test_an_account_that_only_closes_takes_exits_and_stops_and_no_entry(status: str) -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.status = status
    desk.read()
    desk.declare(2)
    assert gates(desk) == ["status"]
    desk.declare(1, "166.50")
    assert desk.orders["2"].stop_price == Decimal("166.50"), "its stop is moved"
    desk.declare(0, None)
    assert desk.sent()[-1] == "PUT", "its stop becomes the exit"


def test_day_trades_used_up_refuse_an_entry() -> None:
    desk = limited()
    account = desk.manager.account
    desk.equity, desk.day_trades = Decimal(20_000), 3
    desk.read()
    seen = account.seen
    assert seen is not None
    restricted = msgspec.structs.replace(seen.account, day_trading_qualified=False)
    desk.world.deliver(msgspec.structs.replace(seen, account=restricted))
    desk.declare(1)
    assert gates(desk) == ["day_trades"]


def test_orders_of_a_minute_are_counted_and_a_restart_does_not_begin_anew() -> None:
    desk = limited(max_orders_per_minute=2, max_round_trips_per_day=None)
    in_and_out(desk)  # entry and stop: two new orders; the exit is the stop, changed
    desk.declare(1)
    assert gates(desk) == ["max_orders_per_minute"]
    desk.restart()
    desk.ready()
    desk.declare(0, None)
    desk.declare(1)
    assert gates(desk) == ["max_orders_per_minute"] * 2
    desk.world.advance(61.0)
    desk.read()
    desk.declare(0, None)
    desk.declare(1)
    assert len(gates(desk)) == 2
    assert desk.sent()[-1] == "POST"


def test_round_trips_and_orders_of_a_day_end_its_entries_and_the_next_day_begins_anew() -> None:
    desk = limited(max_round_trips_per_day=1)
    in_and_out(desk)
    desk.world.advance(3600.0)
    desk.read()
    desk.declare(1)
    assert gates(desk) == ["max_round_trips_per_day"]
    desk.restart()
    desk.ready()
    assert list(desk.manager.journal.usage.trips) == [
        row.filled_utc for row in desk.rows() if isinstance(row, FillRow) and row.position == 0
    ]
    desk.world.advance(86_400.0)
    desk.read()
    desk.declare(0, None)
    desk.declare(1)
    assert len(gates(desk)) == 1


def test_orders_of_a_day_end_its_entries_whatever_their_distance() -> None:
    desk = limited(max_orders_per_day=2, max_orders_per_minute=None, max_round_trips_per_day=None)
    in_and_out(desk)
    desk.world.advance(3600.0)
    desk.read()
    desk.declare(1)
    assert gates(desk) == ["max_orders_per_day"]


def test_of_what_is_added_only_the_addition_is_the_orders_quantity() -> None:
    desk = limited(max_order_quantity=Decimal(1))
    desk.long_and_covered()
    desk.declare(2)
    assert gates(desk) == []
    assert len(desk.sent("POST")) == 2


def test_the_gates_are_asked_again_just_before_an_entry_is_written() -> None:
    """A reversal: what was declared while the account was active is entered when the exit has filled."""
    desk = limited()
    desk.long_and_covered()
    desk.declare(-1, "180")
    assert gates(desk) == []
    desk.status = "Closing Transaction(s) Only"
    desk.read()
    desk.fill("2")
    desk.stream()
    desk.read()
    assert gates(desk) == ["status"]
    assert len(desk.sent("POST")) == 1


def test_the_days_loss_of_the_account_ends_entries_and_not_exits() -> None:
    desk = limited(max_daily_loss_usd=Decimal(500))
    desk.equity = Decimal("99500.01")
    desk.read()
    desk.declare(1)
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.equity = Decimal(99_500)
    desk.read()
    desk.declare(2)
    assert gates(desk) == ["max_daily_loss_usd"]
    desk.declare(0, None)
    assert desk.sent()[-1] == "PUT"


def test_open_risk_is_from_the_last_close_to_the_stop_and_unknown_before_a_bar() -> None:
    desk = limited(max_open_risk_usd=Decimal(10))
    assert (SOURCE, "bars") in desk.world.subscriptions
    desk.declare(10, "166")
    bar(desk, "167")
    desk.declare(11, "166")
    desk.declare(0, None)
    desk.declare(10, "166")
    assert gates(desk) == ["max_open_risk_usd"] * 2
    texts = [row.text for row in desk.rows() if isinstance(row, RejectRow)]
    assert "the last price" in texts[0]
    assert texts[1] == "open risk in USD with this entry 11, limit 10"
    assert desk.orders["1"].quantity == 10


def test_an_entry_without_stop_goes_only_where_the_session_says_so() -> None:
    desk = limited()
    desk.declare(1, None)
    assert gates(desk) == ["stop"]
    bare = limited(entry_without_stop=True)
    bare.declare(1, None)
    assert bare.orders["1"].quantity == 1


def test_a_live_connection_takes_no_entry_of_a_sim_session_nor_the_other_way() -> None:
    live = Desk(msgspec.structs.replace(SESSION, live=True))
    live.ready()
    live.declare(1)
    assert gates(live) == ["live"]


# -- refusals in a loop ------------------------------------------------------------------------------------------------


def test_refusals_in_a_loop_hold_the_session_with_one_incident_until_a_person_releases_it() -> None:
    desk = limited(max_rejects=3, rejects_within_minutes=10, max_order_quantity=Decimal(1))
    for _ in range(5):
        desk.declare(2)
    assert gates(desk) == ["max_order_quantity"] * 3 + ["hold"] * 2
    held = desk.query("SELECT * FROM events WHERE kind = 'hold.rejects'")
    assert [(row["incident"], row["incident_state"], row["level"]) for row in held] == [("s:rejects", "opened", "PAGE")]
    desk.restart()
    desk.ready()
    assert (SYMBOL, "rejects") in desk.manager.journal.holds, "stored"
    desk.world.ask(ReleaseHold(symbol=SYMBOL))
    ended = desk.query("SELECT incident, incident_state FROM events WHERE kind = 'hold.released'")
    assert [(row["incident"], row["incident_state"]) for row in ended] == [("s:rejects", "resolved")]
    desk.declare(2)
    assert (SYMBOL, "rejects") not in desk.manager.journal.holds, "a new count"
    desk.restart()
    assert len(desk.manager.journal.usage.rejects) == 1, "also after a restart"


def test_refusals_by_the_venue_count_and_those_that_pass_by_themselves_do_not() -> None:
    desk = limited(max_rejects=2)
    desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": "no", "OrderID": ""}]})
    desk.declare(1)
    for _ in range(3):
        desk.declare(0, None, late=True)
        desk.declare(1, late=True)
    assert set(gates(desk)) == {"venue", "late"}
    assert not desk.manager.journal.holds
    desk.declare(0, None)
    desk.declare(1)
    assert (SYMBOL, "rejects") in desk.manager.journal.holds


def test_refusals_far_apart_are_no_loop() -> None:
    desk = limited(max_rejects=3, rejects_within_minutes=2, max_order_quantity=Decimal(1))
    for _ in range(5):
        desk.declare(2)
        desk.world.advance(61.0)
        desk.read()
    assert not desk.manager.journal.holds


# -- the account's own -------------------------------------------------------------------------------------------------


def test_an_entry_asks_before_its_intent_is_written_and_exits_and_stops_never_ask() -> None:
    desk = of_account(max_open_risk_usd=Decimal(100))
    bar(desk, "167")
    seen: list[int] = []

    def asked(request: Reserve) -> Reserved:
        seen.append(len(desk.query("SELECT * FROM intents")))
        return Reserved()

    desk.world.answer(KEEPER, Reserve, asked)
    desk.declare(2)
    (request,) = desk.asked(Reserve)
    assert (request.key, request.quantity, request.risk_usd) == (f"{desk.manager.journal.key}-1", 2, 2)
    assert seen == [0], "nothing was on disk yet"
    desk.fill("1")
    desk.stream()
    desk.stream()
    desk.declare(2, "166.50")
    desk.declare(0, None)
    assert len(desk.asked(Reserve)) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Refused("SIM1: max_open_risk_usd of the account: 2, limit 1"), "max_open_risk_usd of the account"),
        (NoPeer(KEEPER), "gave no answer within 1 s"),
        (OutcomeUnknown("no reply"), "gave no answer within 1 s"),
    ],
)
def test_whatever_is_not_a_yes_refuses_the_entry_and_is_told(answer: Exception, text: str) -> None:
    desk = of_account()
    desk.world.answer(KEEPER, Reserve, answer)
    desk.declare(1)
    assert gates(desk) == ["account"]
    assert text in desk.rows()[0].text
    assert desk.sent() == []
    released = [message for to, message in desk.world.casts if to == KEEPER]
    assert released == ([] if isinstance(answer, Refused) else [Release(f"{desk.manager.journal.key}-1", False)])
    desk.world.answer(KEEPER, Reserve, Reserved())
    desk.declare(0, None)
    desk.declare(1)
    assert desk.orders["1"].quantity == 1, "the next declaration asks again"


def test_a_filled_entry_is_told_over_only_when_its_stop_is_there() -> None:
    desk = of_account()
    desk.refuse_leg = "StopMarket"
    desk.declare(1)
    told = [message for _, message in desk.world.casts if isinstance(message, Release)]
    assert told == []
    desk.on_order = lambda _: HttpFailed("no answer", sent=True)
    desk.fill("1")
    desk.stream()
    assert not [message for _, message in desk.world.casts if isinstance(message, Release)], "no stop yet"
    desk.on_order = None
    desk.settle()
    desk.stream()
    key = f"{desk.manager.journal.key}-1"
    assert [message for _, message in desk.world.casts if isinstance(message, Release)] == [Release(key, True)]


@pytest.mark.parametrize("how", ["refused", "cancelled"])
def test_an_entry_of_which_nothing_came_is_told_over_at_once(how: str) -> None:
    desk = of_account()
    if how == "refused":
        desk.on_order = lambda _: reply({"Orders": [{"Error": "FAILED", "Message": "no", "OrderID": ""}]})
        desk.declare(1)
    else:
        desk.declare(1)
        desk.change("1", status=OrderStatus.CANCELLED)
        desk.stream()
    key = f"{desk.manager.journal.key}-1"
    assert [message for _, message in desk.world.casts if isinstance(message, Release)] == [Release(key, False)]


def test_what_was_given_is_said_again_to_a_new_keeper_and_by_a_new_account_manager() -> None:
    desk = of_account()
    desk.declare(1)
    desk.world.deliver(Up(name=KEEPER, incarnation=2))
    desk.restart()
    said = [message for _, message in desk.world.casts if isinstance(message, StillReserved)]
    assert len(said) >= 1
    key = f"{desk.manager.journal.key}-1"
    assert {each.key for message in said for each in message.reservations} == {key}
    assert key in desk.manager.reserving.given  # type: ignore[union-attr]


def test_without_limits_of_the_account_nobody_is_asked() -> None:
    desk = limited()
    desk.declare(1)
    assert desk.asked(Reserve) == []
    assert desk.orders["1"].quantity == 1
