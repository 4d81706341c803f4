"""Ten sessions on one account read it as one does: counted in the venue's own book, resource by resource."""

import re

import pytest

from brokers.budget import Resource
from brokers.tradestation.emulator.book import RequestSeen
from brokers.tradestation.limits import QUOTAS
from supervisor.sim.kernel import START_S
from tests.simulate.regressions import MONDAY_UTC
from trader.hosting.code import find_code
from trader.sessions import Session
from trader.simulate.assembly import Machine, machine
from trader.simulate.week import market

WATCHED_S = 600.0
RESOURCES = {
    Resource.ORDERS: r"/v3/brokerage/accounts/[^/]+/orders(/[^/]+)?",
    Resource.POSITIONS: r"/v3/brokerage/accounts/[^/]+/positions",
    Resource.BALANCES: r"/v3/brokerage/accounts/[^/]+/balances",
    Resource.SYMBOLS: r"/v3/marketdata/symbols/[^/]+",
    Resource.BARS: r"/v3/marketdata/(stream/)?barcharts/[^/]+",
}


def sessions(count: int) -> Machine:
    code, class_name = find_code("ema_cross")
    many = [
        Session(f"s{number}", "ema_cross", class_name, code.sha256, "SIM100001M", ("SPY",), "sim")
        for number in range(count)
    ]
    return machine(market(1), [(each, code) for each in many], origin_utc=float(MONDAY_UTC), rate=1.0)


def worst(built: Machine) -> dict[Resource, int]:
    """The most requests of each resource in any window of its quota's period, over the whole run."""
    built.life(1).boot()
    built.kernel.run(START_S + WATCHED_S)
    seen: dict[Resource, list[float]] = {name: [] for name in RESOURCES}
    for entry in built.outside._book:
        if isinstance(entry.what, RequestSeen):
            for name, path in RESOURCES.items():
                if re.fullmatch(path, entry.what.path):
                    seen[name].append(entry.machine_s)
    return {name: most_in(stamps, QUOTAS[name].period_s) for name, stamps in seen.items()}


def most_in(stamps: list[float], period_s: float) -> int:
    return max((sum(begin <= each < begin + period_s for each in stamps) for begin in stamps), default=0)


@pytest.mark.parametrize("count", [1, 10])
def test_sessions_on_one_account_stay_under_a_tenth_of_each_quota(count: int) -> None:
    counts = worst(sessions(count))
    assert counts[Resource.ORDERS] > 0
    for name, most in counts.items():
        assert most <= QUOTAS[name].limit / 10, counts


def test_ten_sessions_read_the_account_as_often_as_one() -> None:
    one, ten = worst(sessions(1)), worst(sessions(10))
    for name in (Resource.POSITIONS, Resource.BALANCES):
        assert ten[name] <= 2 * one[name], ten
