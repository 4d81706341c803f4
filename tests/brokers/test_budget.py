"""The budget: never above its part in any window, never starved, jittered pauses, the venue's word obeyed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.budget import AT_RESTART, BACK_OFF_MAX_S, LEAST_PARTS, Budget, Quota, Resource, admitted
from brokers.errors import Unavailable
from brokers.tradestation.client import TradeStation
from brokers.tradestation.limits import QUOTAS, retry_after_s, wanted_wait_s
from tests.brokers import golden
from tests.brokers.test_client import Reply, Venue

ORDERS = Resource.ORDERS


def budget(quota: Quota) -> Budget:
    return Budget({ORDERS: quota})


@settings(max_examples=300, deadline=None)
@given(
    limit=st.integers(2, 60),
    gaps_s=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 40.0), st.floats(0.0, 400.0)), max_size=200),
)
def test_in_no_window_more_than_the_limit_goes_out(limit: int, gaps_s: list[float]) -> None:
    quota, spent, now_s = Quota(limit, 300.0), budget(Quota(limit, 300.0)), 0.0
    times_s: list[float] = []
    for gap_s in gaps_s:
        now_s += gap_s
        if spent.wait_s(ORDERS, now_s) == 0.0:
            spent = spent.sent(ORDERS, now_s)
            times_s.append(now_s)
    for begin_s in times_s:
        assert sum(begin_s <= each < begin_s + quota.period_s for each in times_s) <= limit


@given(st.integers(2, 500))
def test_a_greedy_asker_gets_nearly_all_of_it(limit: int) -> None:
    spent, now_s, count = budget(Quota(limit, 300.0)), 0.0, 0
    while now_s < 300.0:
        wait_s = spent.wait_s(ORDERS, now_s)
        if wait_s:
            now_s += wait_s + 1e-6
            continue
        spent, count = spent.sent(ORDERS, now_s), count + 1
    assert limit - 1 <= count <= limit


def test_the_rhythm_of_the_books_goes_on_whatever_was_spent_before() -> None:
    """Their part, all of it spent at once, and then a read each 30 s: none is held up."""
    spent = budget(QUOTAS[ORDERS].part(1))
    while spent.wait_s(ORDERS, 0.0) == 0.0:
        spent = spent.sent(ORDERS, 0.0)
    for number in range(1, 100):
        assert spent.wait_s(ORDERS, number * 30.0) == 0.0
        spent = spent.sent(ORDERS, number * 30.0)


@given(limit=st.integers(20, 5000), parts=st.integers(0, 300))
def test_all_parts_together_are_the_quota_at_the_most_and_one_is_a_quarter(limit: int, parts: int) -> None:
    part = Quota(limit, 300.0).part(parts)
    assert part.limit <= max(2, limit // LEAST_PARTS)
    if part.limit > 2:
        assert part.limit * max(parts, LEAST_PARTS) <= limit


def test_failures_pause_longer_each_time_with_jitter_and_a_limit() -> None:
    failing, waits = Budget({}), []
    for _ in range(10):
        failing = failing.answered(ORDERS, 1000.0, well=False, wait_s=0.0, chance=1.0)
        waits.append(failing.wait_s(ORDERS, 1000.0))
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == BACK_OFF_MAX_S
    early = Budget({}).answered(ORDERS, 1000.0, well=False, wait_s=0.0, chance=0.0)
    assert early.wait_s(ORDERS, 1000.0) == 0.25


def test_a_good_answer_ends_the_failures() -> None:
    failing = Budget({}).answered(ORDERS, 0.0, well=False, wait_s=0.0, chance=1.0)
    well = failing.answered(ORDERS, 10.0, well=True, wait_s=0.0, chance=1.0)
    assert well.wait_s(ORDERS, 10.0) == 0.0
    assert well.answered(ORDERS, 20.0, well=False, wait_s=0.0, chance=1.0).wait_s(ORDERS, 20.0) == 0.5


def test_the_venues_word_is_obeyed_to_the_second_and_only_for_what_it_was_about() -> None:
    told = Budget({}).answered(ORDERS, 0.0, well=False, wait_s=42.0, chance=0.5)
    assert told.wait_s(ORDERS, 0.0) == 42.0
    assert told.wait_s(Resource.BARS, 0.0) == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "42"}, 42.0),
        ({"rate-limit-reset": "7"}, 7.0),
        ({"retry-after": "3"}, 3.0),
        ({"x-ratelimit-reset": "1795186860"}, 600.0),
        ({"x-ratelimit-reset": "soon"}, 0.0),
        ({"x-ratelimit-reset": "-5"}, 0.0),
        ({}, 0.0),
    ],
)
def test_reset_is_seconds(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(headers) == seconds


def test_an_answer_that_spent_the_last_request_closes_the_resource_too() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}
    assert wanted_wait_s(200, headers) == 12.0
    assert wanted_wait_s(200, headers | {"x-ratelimit-remaining": "5"}) == 0.0


class Counted:
    """A meter that keeps what it is told, and can be shut."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []
        self.shut = False

    def before(self, resource: Resource, *, goes_on: bool = False) -> None:
        if self.shut:
            raise Unavailable("spent", retry_after_s=3.0, sent=False)
        self.seen.append(("before", resource))

    def after(self, resource: Resource, *, well: bool, wait_s: float = 0.0) -> None:
        self.seen.append(("after", (resource, well, wait_s)))


@pytest.fixture
def venue() -> Venue:
    return Venue()


def test_each_read_is_counted_once_and_told_how_it_went(venue: Venue) -> None:
    meter = Counted()
    client = TradeStation("https://sim.example/", venue, venue.token, 7.0, meter)
    well = Reply(200, golden.ACCOUNTS)
    venue.answers["GET /v3/brokerage/accounts"] = [well, Reply(404), Reply(503), Reply(401), well]
    client.accounts()
    for error in (Exception, Unavailable):
        with pytest.raises(error):
            client.accounts()
    client.accounts()
    afters = [what for kind, what in meter.seen if kind == "after"]
    accounts = Resource.ACCOUNTS
    assert afters == [(accounts, well, 0.0) for well in (True, True, False, True)]
    assert len(meter.seen) == 8


def test_a_429_closes_its_resource_for_as_long_as_it_says(venue: Venue) -> None:
    meter = Counted()
    client = TradeStation("https://sim.example/", venue, venue.token, 7.0, meter)
    venue.answers["GET /v3/brokerage/accounts"] = Reply(429, b"", {"x-ratelimit-reset": "42"})
    with pytest.raises(Unavailable):
        client.accounts()
    assert meter.seen[-1] == ("after", (Resource.ACCOUNTS, False, 42.0))


def test_a_read_beyond_the_part_never_leaves_and_an_order_always_does(venue: Venue) -> None:
    meter = Counted()
    meter.shut = True
    client = TradeStation("https://sim.example/", venue, venue.token, 7.0, meter)
    with pytest.raises(Unavailable) as refused:
        client.accounts()
    assert (refused.value.sent, refused.value.retry_after_s, venue.asked) == (False, 3.0, [])
    venue.answers["DELETE /v3/orderexecution/orders/1"] = Reply(200, golden.CANCELLED)
    client.cancel("1")
    assert len(venue.asked) == 1


@given(
    names=st.sets(st.sampled_from([f"{kind}/{n}" for kind in ("orders", "positions", "bars") for n in range(8)])),
    running=st.sets(st.sampled_from([f"orders/{n}" for n in range(8)]), max_size=3),
    most=st.integers(1, 5),
)
def test_of_limited_streams_no_more_are_admitted_and_what_runs_stays(
    names: set[str], running: set[str], most: int
) -> None:
    wanted = [(name, name.split("/")[0]) for name in names]
    let_in = admitted(wanted, running, {"orders": most, "positions": most})
    assert let_in <= names
    for kind in ("orders", "positions"):
        those = {name for name, its in wanted if its == kind}
        assert len(let_in & those) == min(most, len(those))
    assert {name for name in names if name.startswith("bars")} <= let_in
    assert len(let_in & running) == min(most, len(names & running))


@given(quota=st.builds(Quota, st.integers(2, 500), st.just(300.0)))
def test_after_a_restart_a_few_go_out_at_once_and_the_pace_goes_on(quota: Quota) -> None:
    spent, count = budget(quota).restarted(0.0), 0
    while spent.wait_s(ORDERS, 0.0) == 0.0:
        spent, count = spent.sent(ORDERS, 0.0), count + 1
    assert min(quota.burst, AT_RESTART) - 1 <= count <= AT_RESTART, "one less where a float is rounded down"
    assert spent.wait_s(ORDERS, 0.0) <= quota.every_s + 1e-6
