"""An account manager and what ends by itself: a contract, a stop, renewed or told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import Instrument, OrderStatus
from feeds.messages import InstrumentRead, ReadInstrument
from supervisor.errors import HttpFailed
from tests.scripted_parts import HttpRequest
from tests.trader.minding_desk import desk_of, replace, working
from tests.trader.session_world import BOOKS, SYMBOL, Desk, reply
from tests.trader.test_session_hours import refused_by, write
from trader.hours.book import LOOK_EVERY_S
from trader.minding.minded import DAY_S

# -- a contract's and a stop's end -------------------------------------------------------------------------------------


def contract(ends_in_s: float) -> Desk:
    desk = desk_of()
    ends = desk.world.now_utc() + ends_in_s
    made = Instrument(SYMBOL, "FUTURE", Decimal("0.01"), Decimal(1), expires_utc=ends)
    desk.world.answer(BOOKS, ReadInstrument, InstrumentRead(made))
    return desk


def test_no_entry_in_the_last_days_before_the_contract_ends() -> None:
    desk = contract(3 * DAY_S + 100)
    desk.ready()
    desk.declare(1)
    assert len(desk.sent("POST")) == 1
    desk.world.advance(100.0)
    desk.read()
    desk.declare(2)
    assert refused_by(desk) == ["expiry"]


def test_first_notice_as_the_configuration_says_ends_entries_and_pages_before_the_contract_does() -> None:
    desk = desk_of()
    made = Instrument(SYMBOL, "FUTURE", Decimal("0.01"), Decimal(1), expires_utc=desk.world.now_utc() + 60 * DAY_S)
    desk.world.answer(BOOKS, ReadInstrument, InstrumentRead(made))
    desk.arguments["symbols"] = {SYMBOL: {"first_notice": "2013-10-11"}}
    desk.restart()
    desk.long_and_covered()
    desk.world.advance(1.0)
    assert "contract.ends" not in desk.events()
    account = desk.manager.account
    day = account.first_notice_utc[SYMBOL]
    account.first_notice_utc[SYMBOL] = desk.world.now_utc() + DAY_S
    desk.world.advance(2.0)
    assert desk.events().count("contract.ends") == 1
    assert day == 1_381_449_600
    desk.declare(2)
    assert refused_by(desk) == ["expiry"]


def test_a_position_pages_the_day_before_its_contract_ends() -> None:
    desk = contract(4 * DAY_S)
    desk.long_and_covered()
    made = desk.manager.journal.instruments[SYMBOL]
    desk.manager.journal.instruments[SYMBOL] = replace(made, expires_utc=desk.world.now_utc() + DAY_S + 50)
    desk.world.advance(48.0)
    assert "contract.ends" not in desk.events()
    desk.world.advance(5.0)
    assert desk.events().count("contract.ends") == 1


def test_the_end_of_a_stop_is_told_and_when_it_comes_the_stop_is_placed_again() -> None:
    desk = desk_of()
    desk.long_and_covered()
    (stop,) = working(desk)
    ends = desk.world.now_utc() + 2 * DAY_S
    desk.change(stop, good_till_utc=ends)
    desk.read()
    desk.world.advance(2.0)
    assert desk.events().count("stop.expires") == 1
    desk.change(stop, status=OrderStatus.EXPIRED)
    desk.read()
    (anew,) = working(desk)
    assert anew != stop
    desk.stream()
    desk.world.advance(2.0)
    assert desk.events().count("stop.expiry_over") == 1
    assert "uncovered" not in desk.events(), "it took no time that somebody must be told of"


def near_its_end(**words: Any) -> tuple[Desk, str, float]:
    """Long, its stop ends in nine days, the market trades far above it."""
    desk = desk_of(**words)
    write(desk, (-3600, 10_000))
    desk.long_and_covered()
    desk.world.advance(LOOK_EVERY_S)
    (stop,) = working(desk)
    ends_utc = float(int(desk.world.now_utc()) + 9 * DAY_S)
    desk.change(stop, good_till_utc=ends_utc)
    desk.last = Decimal("170")
    return desk, stop, ends_utc


def renewing(desk: Desk, stop: str, days: int) -> None:
    """The venue's replace gives an order so many days more."""
    changed = desk._changed

    def answer(request: HttpRequest) -> Any:
        reply = changed(request)
        till_utc = desk.orders[stop].good_till_utc
        assert till_utc is not None
        desk.change(stop, good_till_utc=till_utc + days * DAY_S)
        return reply

    desk.world.answer_http("PUT", "/orderexecution/orders/", answer)


def looks(desk: Desk, times: int = 5) -> None:
    for _ in range(times):
        desk.world.advance(2.0)
        desk.read()


def test_a_stop_is_renewed_by_replacing_it_by_itself_once() -> None:
    desk, stop, _ = near_its_end()
    renewing(desk, stop, 81)
    before = desk.sent()
    looks(desk)
    assert desk.sent() == [*before, "PUT"]
    (put,) = [request for request in desk.world.requests if request.method == "PUT"]
    assert msgspec.json.decode(put.body or b"") == {"StopPrice": "166"}
    assert working(desk) == [stop]
    assert desk.events().count("stop.renewed") == 1
    assert not {"stop.expires", "uncovered", "stop.not_renewed"} & set(desk.events())


def test_where_the_venue_keeps_the_end_it_is_told_and_not_tried_again_also_over_a_death() -> None:
    desk, stop, ends_utc = near_its_end()
    renewing(desk, stop, 0)
    looks(desk)
    assert desk.sent().count("PUT") == 1
    assert desk.events().count("stop.not_renewed") == 1
    desk.restart()
    desk.attach()
    looks(desk)
    assert desk.sent() == []
    desk.change(stop, good_till_utc=ends_utc - 7 * DAY_S)
    looks(desk, 1)
    assert desk.events().count("stop.expires") == 1


def test_a_renewal_that_the_venue_refuses_leaves_the_stop_working_and_is_no_refused_stop() -> None:
    desk, stop, _ = near_its_end()
    words = {"Error": "BadRequest", "Message": "Failed to Cancel/Replace order: nothing changes"}
    desk.world.answer_http("PUT", "/orderexecution/orders/", lambda request: reply(words, 400))
    looks(desk)
    assert desk.sent().count("PUT") == 1
    assert desk.events().count("stop.not_renewed") == 1
    assert not {"stop.refused", "uncovered", "order.refused"} & set(desk.events())
    assert working(desk) == [stop]
    desk.world.answer_http("PUT", "/orderexecution/orders/", desk._changed)
    desk.declare(1, "165")
    assert desk.orders[stop].stop_price == 165, "moved as ever"


def test_a_renewal_of_unknown_fate_is_settled_by_reads_and_never_sent_twice() -> None:
    desk, stop, _ = near_its_end()
    desk.world.answer_http("PUT", "/orderexecution/orders/", HttpFailed("time-out", sent=True))
    desk.world.advance(2.0)
    desk.read()
    desk.change(stop, good_till_utc=(desk.orders[stop].good_till_utc or 0.0) + 81 * DAY_S)
    looks(desk)
    assert desk.sent().count("PUT") == 1
    assert desk.events().count("stop.renewed") == 1


def test_a_stop_that_a_person_has_moved_is_not_renewed() -> None:
    desk, stop, _ = near_its_end()
    desk.change(stop, stop_price=Decimal("160"))
    desk.last = None
    desk.stream()
    desk.last = Decimal("170")
    looks(desk)
    assert "PUT" not in desk.sent()
    assert desk.orders[stop].stop_price == 160
