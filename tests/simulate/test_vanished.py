"""A position that is gone without a fill to show for it: what explains it later resolves it, nothing else does."""

from __future__ import annotations

from datetime import datetime

from supervisor.process.world import HttpReply
from tests.simulate.drill_world import Drill

BEFORE_MIDNIGHT_UTC = datetime.fromisoformat("2013-10-07T23:40:00+00:00").timestamp()
DAY_ENDS_UTC = BEFORE_MIDNIGHT_UTC + 1200
HISTORY = "historicalorders"


def away_over_midnight(drill: Drill) -> None:
    """The machine is off; a person closes the position by phone; the venue's day ends, and with it the record of that
    order among today's."""
    drill.held_with_stop()
    drill.desk.kill_all()
    drill.trade(-1)
    drill.until(lambda: drill.machine.outside.market_utc(drill.machine.kernel.now_s) > DAY_ENDS_UTC + 60.0, 120.0)
    drill.boot()


def test_what_a_person_closed_before_the_venues_day_ended_is_found_in_history() -> None:
    drill = Drill(begin_utc=BEFORE_MIDNIGHT_UTC)
    away_over_midnight(drill)
    drill.until(lambda: drill.ours == 0, 120.0)
    (over,) = drill.events("unexplained.over")
    assert "by history" in over["text"]
    (adopted,) = drill.events("divergence.adopted")
    assert '"explained":true' in adopted["data"]
    drill.until(lambda: not drill.stops)
    drill.run(90.0)
    assert drill.theirs == 0, "its stop has not fired, and nothing was bought back"
    drill.judge(bars=False)


def test_while_history_is_not_to_be_had_nothing_is_concluded_and_its_stop_works_on() -> None:
    drill = Drill(begin_utc=BEFORE_MIDNIGHT_UTC)
    lies = True

    def spoil(method: str, path: str, answer: HttpReply | None) -> HttpReply | None:
        return None if lies and HISTORY in path else answer

    drill.spoil = spoil
    away_over_midnight(drill)
    drill.until(lambda: drill.events("hold.unexplained"), 120.0)
    drill.run(200.0)
    assert drill.ours == 1
    assert len(drill.stops) == 1
    lies = False
    drill.until(lambda: drill.ours == 0, 900.0)
    assert drill.theirs == 0
    drill.judge(bars=False)
