"""The desk's figures: memory of each role, and how fast the simulated world runs.

scripts/bench desk [memory|simulated] [--json]
"""

import argparse
import datetime
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brokers.tradestation.emulator.load import load_market
from scripts.bench_tools import Figure, figure, run, say
from scripts.bench_venue import MINUTE_S, SYMBOL
from supervisor.sim.kernel import START_S
from trader.demo.script import STANDS
from trader.demo.stage import Stage
from trader.hosting.code import new_session
from trader.sessions import journal_path
from trader.simulate.assembly import machine

BENCH = "desk"
RATE = 60.0
MEMORY_AFTER_S = 15.0
"""Of trading, before memory is looked at: every role has worked by then."""

DAY_BEGINS = datetime.datetime(2013, 10, 8, 13, 30, tzinfo=datetime.UTC).timestamp()
DAY_ENDS = datetime.datetime(2013, 10, 8, 20, 0, tzinfo=datetime.UTC).timestamp()
"""A regular day of SPY in the bundled bars."""
DAYS = 3
PARTS = ("memory", "simulated")


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench desk", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    return run(measure, options)


def measure(chosen: argparse.Namespace) -> Iterator[Figure]:
    parts = {"memory": memory, "simulated": simulated}
    unknown = set(chosen.parts) - set(parts)
    if unknown:
        sys.exit(f"bench desk: no part is called {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    for name in chosen.parts or parts:
        yield from parts[name]()


# -- memory ------------------------------------------------------------------------------------------------------------


def memory() -> Iterator[Figure]:
    """PSS of a demo that trades, by role; shared pages are counted in parts, so the sum is what the desk costs."""
    stage = Stage(None, RATE)
    try:
        stage.start_emulator()
        stage.start_desk()
        for stand in STANDS:
            stage.trade(stand)
        say(f"memory: two sessions trade for {MEMORY_AFTER_S:g} s")
        time.sleep(MEMORY_AFTER_S)
        found = pss_by_role(stage)
    finally:
        stage.close()
        stage.remove()
    for role in sorted(found):
        yield figure(BENCH, f"pss {role}", found[role], "MiB", digits=1)
    total = sum(map(sum, found.values()))
    yield figure(BENCH, "pss of all processes", [total], "MiB", digits=1)


def pss_by_role(stage: Stage) -> dict[str, list[float]]:
    tree = stage.tree()
    found: dict[str, list[float]] = defaultdict(list)
    found["supervisor"].append(pss_mib(tree.pid))
    for child in tree.children:
        if child.type == "worker" and child.pid:
            found[role(child.name)].append(pss_mib(child.pid))
    return found


def role(name: str) -> str:
    """``sessions/es/trader`` is a trader, ``connections/sim/feeds/bars/SPY/60`` a feed of bars."""
    parts = name.split("/")
    if parts[0] == "connections":
        return f"{parts[3]} feed" if parts[2] == "feeds" else parts[2]
    return parts[-1]


def pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup tells no Pss")


# -- the simulated world -----------------------------------------------------------------------------------------------


def simulated() -> Iterator[Figure]:
    """At market rate 1, so with all the machine periods that a real day has."""
    market = load_market([SYMBOL])
    say(f"simulated: {DAYS} times one session over one regular {SYMBOL} day")
    days = [simulated_day(market) for _ in range(DAYS)]
    yield figure(BENCH, "simulated session-days an hour", [3600 / each for each in days], "1/h", digits=1)


def simulated_day(market: Any) -> float:
    """Seconds of this machine."""
    session = new_session("day", "ema_cross", account="SIM100001M", symbols=(SYMBOL,), connection="")
    began_s = time.monotonic()
    built = machine(market, [session], origin_utc=DAY_BEGINS, rate=1.0)
    built.life(1).boot()
    built.kernel.run(START_S + DAY_ENDS - DAY_BEGINS)
    taken_s = time.monotonic() - began_s
    (turns,) = built.store(journal_path("day")).query("SELECT count(*) AS bars FROM turns WHERE closed_utc IS NOT NULL")
    wanted = int(DAY_ENDS - DAY_BEGINS) // MINUTE_S - 1
    if turns["bars"] < wanted:
        raise SystemExit(f"bench desk: the simulated day had {turns['bars']} bars, wanted {wanted}")
    return taken_s


if __name__ == "__main__":
    sys.exit(main())
