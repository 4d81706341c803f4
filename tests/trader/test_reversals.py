"""A reversal goes through flat: what a death in the middle of it leaves."""

from brokers.model import OrderType
from tests.trader.session_world import Desk
from trader.messages import RejectRow


def test_a_death_in_the_middle_of_a_reversal_does_not_leave_the_session_flat() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.declare(-1, "168")
    assert desk.orders["2"].type is OrderType.MARKET, "the exit is under way"
    desk.restart()
    desk.fill("2")
    desk.world.advance(2.0)
    desk.stream()
    assert desk.sent() == [], "nothing goes before a read agrees in this life"
    desk.read()
    desk.world.advance(2.0)
    assert desk.sent() == ["POST"]
    assert not any(isinstance(row, RejectRow) for row in desk.rows())


def test_the_second_half_of_a_reversal_does_not_wait_beyond_its_validity() -> None:
    desk = Desk()
    desk.long_and_covered()
    desk.declare(-1, "168")
    desk.restart()
    desk.fill("2")
    desk.world.advance(200.0)
    desk.stream()
    desk.read()
    desk.world.advance(2.0)
    assert "POST" not in desk.sent()
    (told,) = [row for row in desk.rows() if isinstance(row, RejectRow)]
    assert told.gate == "validity"
