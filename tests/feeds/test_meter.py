"""A process's part of the quotas: as the connection divides them, and without it if it is away."""

import pytest

from brokers.budget import AT_RESTART, Quota, Resource
from brokers.errors import Unavailable
from feeds.messages import ReadShares, Shares
from feeds.meter import ProcessMeter
from supervisor.errors import OutcomeUnknown
from supervisor.messages import Predecessor
from tests.feeds.parts import CONNECTION
from tests.scripted_world import ScriptedWorld

QUOTAS = {Resource.ORDERS: Quota(200, 300.0), Resource.BARS: Quota(400, 300.0)}


@pytest.fixture
def world() -> ScriptedWorld:
    return ScriptedWorld("connections/sim/books/SIM1")


@pytest.fixture
def meter(world: ScriptedWorld) -> ProcessMeter:
    return ProcessMeter(world, "sim", QUOTAS)  # type: ignore[arg-type]


def at_once(meter: ProcessMeter, resource: Resource) -> int:
    """So many requests may go out now."""
    meter.before(resource)
    count = 1
    while meter.budget.wait_s(resource, meter.world.now_s()) == 0.0:
        meter.before(resource)
        count += 1
    with pytest.raises(Unavailable) as refused:
        meter.before(resource)
    assert not refused.value.sent
    assert refused.value.retry_after_s > 0
    return count


@pytest.mark.parametrize(("shares", "orders", "bars"), [((1, 1), 25, 50), ((20, 1), 5, 50), ((1, 40), 25, 5)])
def test_books_divide_what_accounts_are_read_by_and_feeds_the_bars(
    world: ScriptedWorld, meter: ProcessMeter, shares: tuple[int, int], orders: int, bars: int
) -> None:
    world.answer(CONNECTION, ReadShares, Shares(*shares))
    assert (at_once(meter, Resource.ORDERS), at_once(meter, Resource.BARS)) == (orders, bars)


def test_the_connection_is_asked_once_a_minute_and_only_before_a_read(
    world: ScriptedWorld, meter: ProcessMeter
) -> None:
    world.answer(CONNECTION, ReadShares, Shares(1, 1))
    assert world.calls == []
    for _ in range(119):
        meter.before(Resource.SYMBOLS)
        world.advance(1.0)
    assert len(world.calls) == 2


@pytest.mark.parametrize("answer", [None, OutcomeUnknown("it hangs")])
def test_a_connection_that_is_away_holds_no_read_up(
    world: ScriptedWorld, meter: ProcessMeter, answer: Exception | None
) -> None:
    if answer is not None:
        world.answer(CONNECTION, ReadShares, answer)
    assert at_once(meter, Resource.ORDERS) == 25
    assert len(world.calls) == 1


def test_what_was_known_is_kept_when_the_connection_goes(world: ScriptedWorld, meter: ProcessMeter) -> None:
    world.answer(CONNECTION, ReadShares, Shares(20, 1))
    at_once(meter, Resource.ORDERS)
    world.answer(CONNECTION, ReadShares, OutcomeUnknown("it hangs"))
    world.advance(600.0)
    assert at_once(meter, Resource.ORDERS) == 5


def test_the_venues_word_closes_one_resource_for_its_time(world: ScriptedWorld, meter: ProcessMeter) -> None:
    meter.after(Resource.ORDERS, well=False, wait_s=42.0)
    world.advance(41.0)
    with pytest.raises(Unavailable, match=r"not asked for 1\.0 s more"):
        meter.before(Resource.ORDERS)
    meter.before(Resource.BARS)
    world.advance(1.1)
    meter.before(Resource.ORDERS)


def test_a_read_of_many_pages_that_has_begun_goes_on_when_the_part_is_spent(
    world: ScriptedWorld, meter: ProcessMeter
) -> None:
    """Held up in the middle it would have spent for its first page all that had come back, each time anew, and an
    account of more than 600 orders a day would never be read again."""
    at_once(meter, Resource.ORDERS)
    world.advance(meter.budget.wait_s(Resource.ORDERS, world.now_s()))
    meter.before(Resource.ORDERS)
    for _ in range(2):
        meter.before(Resource.ORDERS, goes_on=True)
    every_s = meter.budget.quotas[Resource.ORDERS].every_s
    assert meter.budget.wait_s(Resource.ORDERS, world.now_s()) == pytest.approx(3 * every_s), "the next read pays"
    meter.after(Resource.ORDERS, well=False, wait_s=42.0)
    with pytest.raises(Unavailable):
        meter.before(Resource.ORDERS, goes_on=True)


def test_a_process_that_follows_another_one_counts_what_that_may_have_spent(world: ScriptedWorld) -> None:
    world.predecessor = Predecessor("killed", "", abnormal=True)
    meter = ProcessMeter(world, "sim", QUOTAS)  # type: ignore[arg-type]
    world.answer(CONNECTION, ReadShares, Shares(1, 1))
    assert at_once(meter, Resource.ORDERS) == at_once(meter, Resource.BARS) == AT_RESTART
    world.advance(300.0)
    assert at_once(meter, Resource.ORDERS) == 25
