"""Nights in which the venue's orders lag behind its positions: within the desk's patience, and beyond it.

Whose doing a difference is nobody can tell while orders lag for longer than that, so such a night is not judged by its
adoptions. No order may come of it: no position crosses zero or grows unasked, and at the end the books agree.
"""

from __future__ import annotations

import random
from functools import partial

import pytest

from trader.orders.reconcile import LAG_S
from trader.simulate.faults import Fault
from trader.simulate.night import DAY_S, RATE, Night, Plan

DAYS = 0.2
LAGS_EVERY_S = 25.0
"""Mean machine seconds between two fills from which on orders lag."""


def lagging(seed: int, least_s: float, most_s: float) -> Night:
    night = Night(Plan(DAYS, 2, "light", seed, believed=True))
    draw = random.Random(f"lags {seed}")
    at_s = 2.0
    while at_s < DAYS * DAY_S / RATE - most_s:
        lag_s = least_s + draw.random() * (most_s - least_s)
        fault = Fault(at_s, "quirk", draw.random(), "orders_lag", seconds=lag_s, number=1)
        night.machine.kernel.after(at_s, partial(night._inject, fault))
        at_s += draw.expovariate(1 / LAGS_EVERY_S)
    return night


@pytest.mark.parametrize(("least_s", "most_s"), [(6.0, 25.0), (LAG_S + 1.0, 2 * LAG_S)])
def test_orders_that_lag_make_no_order_of_ours_that_turns_a_position(least_s: float, most_s: float) -> None:
    night = lagging(5, least_s, most_s)
    count = night.play()
    assert count.broker_orders > 10
    assert count.books_agree
    assert not [each for each in count.problems if "unasked" in each or "crashed" in each]
