"""Hold and halt in an account manager: no entry while held, and nothing fires after."""

from decimal import Decimal

import pytest

from brokers.model import OrderStatus, OrderType
from supervisor.errors import StoreFailed
from tests.scripted_parts import MemoryFile
from tests.trader.bracket_words import bar
from tests.trader.held_desk import Held
from tests.trader.session_world import SYMBOL, reply
from tests.trader.settling import down
from trader.holds import EVERYBODY, HALT_FILE, Level
from trader.messages import ReadSessionStatus


@pytest.fixture
def desk() -> Held:
    made = Held()
    made.ready()
    return made


# -- hold --------------------------------------------------------------------------------------------------------------


def test_held_session_enters_nothing_and_says_who_held_it(desk: Held) -> None:
    desk.hold()
    desk.declare(1)
    assert desk.sent() == []
    assert (desk.rows()[-1].gate, "by ann: cpi" in desk.rows()[-1].text) == ("hold", True)
    assert desk.world.ask(ReadSessionStatus()).person_holds[0].by == "ann"
    assert (desk.taken.held, desk.taken.halted) == (True, False)


def test_hold_that_nobody_told_is_known_with_the_next_bar_and_no_intent_comes_of_its_turn(desk: Held) -> None:
    desk.hold(tell=False)
    bar(desk, "167")
    desk.declare(1)
    assert (desk.sent(), desk.query("SELECT * FROM intents"), desk.rows()[-1].gate) == ([], [], "hold")


def test_halt_that_nobody_told_cancels_with_the_next_bar(desk: Held) -> None:
    desk.declare(1)
    desk.stream()
    desk.hold(Level.HALT, tell=False)
    bar(desk, "167")
    assert desk.sent()[-1] == "DELETE"


def test_hold_leaves_a_working_entry_which_is_covered_when_it_fills(desk: Held) -> None:
    desk.declare(1)
    desk.hold()
    assert desk.sent() == ["POST"]
    desk.fill("1")
    desk.stream()
    assert desk.held == 1
    assert desk.orders["2"].type is OrderType.STOP_MARKET


def test_exits_and_stop_moves_pass_while_held(desk: Held) -> None:
    desk.long_and_covered()
    desk.hold()
    desk.declare(1, "166.5")
    assert desk.orders["2"].stop_price == Decimal("166.5")
    desk.stream()
    desk.declare(0, None)
    assert desk.orders["2"].type is OrderType.MARKET


def test_reversal_while_held_stops_at_flat(desk: Held) -> None:
    desk.long_and_covered()
    desk.hold()
    desk.declare(-1, "168")
    desk.fill("2")
    desk.stream()
    desk.stream()
    desk.read()
    assert desk.held == 0
    assert len(desk.entries()) == 1


def test_hold_of_all_sessions_holds_and_that_of_another_does_not(desk: Held) -> None:
    desk.hold(session="other")
    desk.declare(1)
    assert len(desk.entries()) == 1
    desk.hold(Level.HALT, session=EVERYBODY)
    assert desk.taken.halted


def test_hold_is_read_before_the_first_entry_of_a_new_life_and_when_the_cast_was_lost(desk: Held) -> None:
    desk.hold(tell=False)
    desk.declare(1)
    assert desk.sent() == [], "read once more before the entry was sent"
    desk.restart()
    assert desk.taken.held
    desk.ready()
    desk.declare(1)
    assert desk.sent() == []


def test_entry_that_waits_for_the_venue_is_not_sent_once_held(desk: Held) -> None:
    desk.on_order = down
    desk.declare(1)
    tries = len(desk.sent())
    desk.on_order = None
    desk.hold(tell=False)
    desk.world.advance(10.0)
    assert (len(desk.sent()), desk.orders) == (tries, {})
    assert desk.query("SELECT state FROM intents") == [{"state": "refused"}]
    assert desk.rows()[-1].gate == "hold"


def test_after_a_release_nothing_declared_before_fires_and_the_next_word_counts(desk: Held) -> None:
    desk.hold()
    desk.declare(1)
    desk.release()
    desk.world.advance(3.0)
    assert desk.sent() == []
    desk.declare(1)
    assert desk.sent() == ["POST"]


def test_what_was_declared_before_a_short_hold_does_not_fire_after_it(desk: Held) -> None:
    """The venue was away, so nothing was planned while it was held; the validity has not ended."""
    desk.manager.sending.paused_until_s = desk.world.now_s() + 3.0
    desk.declare(1)
    assert desk.sent() == []
    desk.hold()
    desk.release()
    desk.world.advance(5.0)
    assert desk.sent() == []


def test_what_was_declared_while_it_was_held_does_not_fire_when_the_venue_is_back_after_the_release(desk: Held) -> None:
    desk.manager.sending.paused_until_s = desk.world.now_s() + 3.0
    desk.hold()
    desk.declare(1)
    desk.release()
    desk.world.advance(5.0)
    assert desk.sent() == []


def test_holds_that_cannot_be_read_hold_entries(desk: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: MemoryFile) -> bytes | None:
        raise StoreFailed("halt cannot be read: Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFile, "read", unreadable)
        desk.declare(1)
        assert desk.sent() == []
        assert "cannot be read" in desk.rows()[-1].text
    desk.world.advance(1.0)
    desk.declare(1)
    assert desk.sent() == ["POST"]


# -- halt --------------------------------------------------------------------------------------------------------------


def test_halt_cancels_the_working_entry_and_keeps_position_and_stop(desk: Held) -> None:
    desk.long_and_covered()
    desk.declare(3)
    desk.stream()
    desk.hold(Level.HALT)
    assert desk.orders["3"].status is OrderStatus.CANCELLED
    assert desk.orders["2"].working
    desk.stream()
    assert desk.held == 1
    assert desk.manager.journal.declaration(SYMBOL).quantity == 1


def test_entry_that_fills_while_a_halt_cancels_it_is_kept_and_covered(desk: Held) -> None:
    desk.world.answer_http("DELETE", "/orderexecution/orders/", lambda _: reply({"Message": "sent"}))
    desk.declare(2)
    desk.hold(Level.HALT)
    desk.partly("1", 1)
    desk.partly("1", 2)
    desk.change("1", status=OrderStatus.FILLED)
    desk.stream()
    desk.stream()
    assert desk.held == 2
    working = [order for order in desk.orders.values() if order.working]
    assert [(order.type, order.quantity) for order in working] == [(OrderType.STOP_MARKET, 2)]


@pytest.mark.parametrize("content", [b"", b"stop it", b"\xff\x00" * 5000, b'{"by": "ann", "why": "fire", "id": "1"}'])
def test_halt_file_is_honoured_within_a_second_whatever_it_holds(desk: Held, content: bytes) -> None:
    desk.declare(1)
    desk.stream()
    desk.world.files[HALT_FILE] = content
    desk.world.advance(1.0)
    assert desk.orders["1"].status is OrderStatus.CANCELLED
    assert (desk.taken.halted, desk.taken.file != "") == (True, True)


def test_halt_file_stops_an_entry_at_once_and_its_removal_alone_lets_new_ones_pass(desk: Held) -> None:
    desk.world.files[HALT_FILE] = b""
    desk.declare(1)
    assert desk.sent() == []
    desk.restart()
    desk.ready()
    assert desk.taken.halted
    del desk.world.files[HALT_FILE]
    desk.world.advance(1.0)
    assert not desk.taken.held
    desk.declare(1)
    assert desk.sent() == ["POST"]
