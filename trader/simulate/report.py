"""A simulated night in words and as one object: the demo's count, and what only a simulation can say. PURE."""

from __future__ import annotations

from typing import Any

import msgspec

from trader.demo.verify import Count
from trader.simulate.measure import DIVERGENCE_MAX_S
from trader.simulate.night import Night


def result(night: Night, count: Count) -> dict[str, Any]:
    """The demo's keys, and: what was asked for, the longest time that book and broker were apart (looked at each
    machine second), the fingerprint of the whole record, and the command that repeats a failure ("" otherwise)."""
    plan = night.plan
    counted: dict[str, Any] = msgspec.to_builtins(count)
    return counted | {
        "days": plan.days,
        "sessions": plan.sessions,
        "fault_level": plan.level,
        "seed": plan.seed,
        "max_divergence_s": night.watch.divergence.max_s,
        "record_sha256": night.fingerprint(),
        "repeat": "" if count.passed else plan.command(),
    }


def report(night: Night, count: Count) -> str:
    """A page for a person."""
    plan = night.plan
    verdict = "PASSED: nothing lost, nothing sent twice, books agree" if count.passed else "FAILED"
    days = f"{plan.days:g} day{'' if plan.days == 1 else 's'}"
    lines = [
        f"{days} of {plan.sessions} sessions, {plan.level} faults, seed {plan.seed}: in {count.seconds:.1f} s   SIM",
        f"{'●' if count.passed else '✖'} {verdict}",
        *(f"  ✖ {problem}" for problem in count.problems),
        *([] if count.passed else [f"  again: {plan.command()}"]),
        "",
        f"  faults     {count.faults} injected; {count.restarts} restarts ({count.expected_restarts} expected); "
        f"{count.supervisor_starts} lives of the supervisor",
        f"  bars       expected {count.bars_expected}  seen {count.bars_seen}  "
        f"missing {count.bars_missing}  doubled {count.bars_doubled}",
        f"  orders     intents {count.intents}  at the broker {count.broker_orders}  sent twice {count.orders_twice}  "
        f"by hand {count.foreign_orders}",
        f"  divergence longest {night.watch.divergence.max_s:.0f} s; with nothing in the way at most "
        f"{DIVERGENCE_MAX_S:g} s are allowed; {count.divergences} adopted from the broker",
        f"  uncovered  {count.uncovered_s:.3f} s in all",
    ]
    return "\n".join(lines)
