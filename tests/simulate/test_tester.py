"""`nightdesk test`: figures checked by hand, the same twice, and what it says of bad input."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from brokers.model import ZERO, Side
from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.market import Market, Series
from supervisor.sim.kernel import START_S, Calm
from trader.cli.main import main
from trader.hosting.code import new_session
from trader.simulate.assembly import machine
from trader.simulate.figures import Fill, Ticker, exposure, money, refusals
from trader.simulate.tester import Plan, run

MORNING_UTC = 1381154400.0  # 2013-10-07T14:00:00Z
ROOT = Path(__file__).resolve().parents[2]
HEADER = "time,open,high,low,close,volume"
ONE_TRADE = '''
from trader.strategy import Bar, Strategy


class OneTrade(Strategy):
    """Buys two after the second bar, halves after the fourth, asks for an entry without a stop after the fifth."""

    def setup(self) -> None:
        self.subscribe("ESZ13")

    def on_bar(self, bar: Bar) -> None:
        n = self.state["n"] = self.state.get("n", 0) + 1
        if n == 2:
            self.target("ESZ13", 2, stop=1669)
        elif n == 4:
            self.target("ESZ13", 1, stop=1669)
'''
BARS = [  # open, high, low, close: three quiet bars, a rise, a fall through the stop at 1669
    (1670, 1671, 1670, 1670),
    (1670, 1671, 1670, 1671),
    (1672, 1673, 1671, 1672),
    (1672, 1675, 1672, 1675),
    (1676, 1676, 1674, 1674),
    (1674, 1674, 1668, 1668),
    (1668, 1668, 1667, 1667),
]


def written(folder: Path, bars: Sequence[tuple[int, ...]] = BARS, name: str = "ESZ13_1m.csv") -> Path:
    lines = [f"2013-10-07T14:{minute:02}:00Z,{','.join(map(str, bar))},10" for minute, bar in enumerate(bars, 1)]
    path = folder / name
    data = "\n".join([HEADER, *lines, ""]).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def strategy(folder: Path, source: str = ONE_TRADE) -> str:
    path = folder / "one_trade.py"
    path.write_text(source)
    return str(path)


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["test", *map(str, arguments)])


def told(*arguments: object) -> Any:
    result = ran(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def same_every_time(of: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in of.items() if not key.endswith("_s")}


# -- the figures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ESZ13_1m.csv", "ESZ13_1m.csv.gz"])
def test_fills_and_money_of_a_hand_made_file_are_those_worked_out_by_hand(tmp_path: Path, name: str) -> None:
    """Bought 2 at the third bar's open, 1672. One sold at the fifth's open, 1676. The stop at 1669 takes the other."""
    found = told(strategy(tmp_path), "--data", written(tmp_path, name=name))
    fills = [(f["side"], f["quantity"], f["price"], f["purpose"]) for f in found["fills"]]
    assert fills == [
        ("buy", "2", "1672", "entry"),
        ("sell", "1", "1676", "exit"),
        ("sell", "1", "1669", "stop"),
    ]
    (row,) = found["money"]
    assert {name: Decimal(row[name]) for name in ("realised", "open", "fees", "net", "position")} == {
        "realised": Decimal(50),  # (1676 - 1672) * 50 - (1672 - 1669) * 50
        "open": Decimal(0),
        "fees": Decimal("5"),  # four contracts at 1.25
        "net": Decimal(45),
        "position": Decimal(0),
    }
    assert (found["bars"], found["orders"], found["refusals"]) == (7, 3, [])
    assert found["exposure"]["bars"] == 3  # those that closed at 14:03, 14:04 and 14:05


def test_what_is_still_held_at_the_end_is_valued_at_the_last_close(tmp_path: Path) -> None:
    found = told(strategy(tmp_path), "--data", written(tmp_path, BARS[:4]))
    (row,) = found["money"]
    assert (row["position"], Decimal(row["realised"])) == ("1", Decimal(150))  # one sold after the last bar
    assert Decimal(row["open"]) == Decimal(150)  # (1675 - 1672) * 50


def test_only_the_bars_asked_for_reach_the_strategy(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = told(
        strategy(tmp_path), "--data", path, "--from", "2013-10-07T14:02:00Z", "--to", "2013-10-07T14:04:00+00:00"
    )
    assert (found["bars"], found["first_bar_utc"], found["last_bar_utc"]) == (
        2,
        "2013-10-07T14:03:00Z",
        "2013-10-07T14:04:00Z",
    )


def test_refusals_are_counted_by_gate(tmp_path: Path) -> None:
    source = ONE_TRADE.replace("2, stop=1669", "2").replace("1, stop=1669", "3")
    found = told(strategy(tmp_path, source), "--data", written(tmp_path))
    (refusal,) = found["refusals"]
    assert (refusal["gate"], refusal["count"]) == ("stop", 2)
    assert "needs a protective stop" in refusal["first"]


def test_parameters_reach_the_strategy_with_their_types() -> None:
    found = told(
        *("ema_cross", "--symbol", "SPY", "--from", "2013-10-07T15:00:00Z", "--to", "2013-10-07T16:00:00Z"),
        *("--set", "quantity=7", "--set", "stop_percent=0.1"),
    )
    assert found["bars"] == 60
    assert {f["quantity"] for f in found["fills"]} == {"7"}


# -- the same every time -----------------------------------------------------------------------------------------------


def test_two_interpreters_with_different_hash_seeds_tell_the_same() -> None:
    """All but what depends on the machine, and says so by its name."""
    command = [
        sys.executable,
        "-m",
        "trader.cli",
        "test",
        "ema_cross",
        "--symbol",
        "SPY",
        "--to",
        "2013-10-07",
        "--json",
    ]
    runs = []
    for seed in ("1", "2"):
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    assert same_every_time(runs[0]) == same_every_time(runs[1])
    assert set(runs[0]) - set(same_every_time(runs[0])) == {"elapsed_s", "bars_per_s"}
    assert runs[0]["fills"]


def test_a_desk_with_its_own_periods_bytes_and_every_print_makes_the_same_fills() -> None:
    """What makes a tester fast (a quiet venue, long periods, messages that stay objects, the rate) changes no trade."""
    plan = Plan("ema_cross", symbol="ESZ13", from_utc=MORNING_UTC, to_utc=MORNING_UTC + 2 * 3600)
    bars = load_market(["ESZ13"]).series("ESZ13")
    assert bars is not None
    assert plan.to_utc is not None
    session = new_session("slow", "ema_cross", account="SIM100001F", symbols=("ESZ13",), connection="")
    built = machine(
        Market([Series("ESZ13", tuple(bar for bar in bars.bars if bar.stamp_utc <= plan.to_utc))]),
        [session],
        origin_utc=MORNING_UTC,
        rate=60.0,
        begins_s=START_S + 5.0,
        chances=Calm(),
    )
    built.life(1).boot()
    built.kernel.run(START_S + 5.0 + 2 * 60.0 + 2.0)
    rows = built.store("sessions/slow.db").query("SELECT side, quantity, price FROM fills ORDER BY number")
    fast = [(str(each.side), str(each.quantity), str(each.price)) for each in run(plan).fills]
    assert len(fast) > 5
    assert fast == [(row["side"], row["quantity"], row["price"]) for row in rows]


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("breakout",), "give --data FILE or --symbol"),
        (("breakout", "--symbol", "TSLA"), "not bundled (ESH14, ESZ13, GOOG, SPY)"),
        (("breakout", "--data", "nowhere/SPY_1m.csv"), "cannot be read"),
        (("no_such", "--symbol", "SPY"), "no bundled strategy and no module is called so"),
        (("breakout", "--symbol", "SPY", "--from", "yesterday"), "--from 'yesterday': wanted"),
        (("breakout", "--symbol", "SPY", "--to", "2013-10-07T14:00:00"), "has no zone"),
        (("breakout", "--symbol", "SPY", "--from", "2020-01-01"), "no bar of SPY ends after 2020-01-01T00:00:00Z"),
        (("breakout", "--symbol", "SPY", "--set", "lookback"), "wanted KEY=VALUE"),
        (
            ("breakout", "--symbol", "SPY", "--set", "lookbak=3"),
            "unknown field `lookbak`; given: lookbak=3; it has: quantity: int = 1",
        ),
        (("breakout", "--symbol", "SPY", "--set", "lookback=many"), "Expected `int`, got `str` - at `$.lookback`"),
    ],
)
def test_what_cannot_be_tested_is_refused_before_anything_runs(arguments: tuple[str, ...], says: str) -> None:
    result = ran(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_wrong_file_is_named_by_line(tmp_path: Path) -> None:
    path = written(tmp_path, [*BARS[:2], (1670, 1660, 1669, 1670)])
    result = ran("breakout", "--data", path)
    assert result.exit_code == 2
    assert f"{path}, line 4: low, open, close and high contradict each other" in result.stderr


def test_a_file_whose_name_tells_no_symbol_needs_it_named(tmp_path: Path) -> None:
    path = written(tmp_path, name="my bars.csv")
    refused = ran(strategy(tmp_path), "--data", path)
    assert (refused.exit_code, "the name must be SYMBOL_1m.csv" in refused.stderr) == (2, True)
    assert told(strategy(tmp_path), "--data", path, "--symbol", "ESZ13")["bars"] == 7


@pytest.mark.parametrize(
    "broken", ["    def on_bar(self, bar: Bar) -> None:\n", "from trader.strategy import Bar, Strategy\n"]
)
def test_a_strategy_that_raises_is_told_with_file_and_line(tmp_path: Path, broken: str) -> None:
    """In a hook, and when its module is loaded."""
    inside = " " * 8 if "on_bar" in broken else ""
    source = ONE_TRADE.replace(broken, f"{broken}{inside}1 / 0\n")
    line = 1 + source[: source.index("1 / 0")].count("\n")
    result = ran(strategy(tmp_path, source), "--data", written(tmp_path))
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert f'{tmp_path}/one_trade.py", line {line}' in result.stderr


def test_a_strategy_that_hangs_is_told_with_hook_bar_and_line(tmp_path: Path) -> None:
    source = ONE_TRADE.replace("        n = self.state", "        while True: pass\n        n = self.state")
    result = ran(strategy(tmp_path, source), "--data", written(tmp_path))
    assert result.exit_code == 1
    assert "HookTooLong: on_bar (bar ESZ13 60 1381154460) computed for more than 5 s (hook_limit_s)" in result.stderr
    assert f'{tmp_path}/one_trade.py", line 12' in result.stderr


def test_the_tester_calls_the_same_hooks_as_the_desk_timers_and_quotes_in_virtual_time(tmp_path: Path) -> None:
    source = """
from trader.strategy import Strategy

class Told(Strategy):
    def setup(self):
        self.subscribe("ESZ13")
        self.subscribe_quotes("ESZ13")
        self.timer("t", every_s=120)

    def on_timer(self, name):
        self.state["timers"] = [*self.state.get("timers", []), int(self.now)]

    def on_quote(self, quote):
        self.state["quotes"] = self.state.get("quotes", 0) + 1
        self.state["last"] = quote.last

    def on_stop(self, reason):
        pass

    def on_bar(self, bar):
        if bar.closed_utc == 1381154820:
            raise ValueError("%s %s %s" % (self.state["timers"], self.state["quotes"] > 3, self.state["last"]))
"""
    result = ran(strategy(tmp_path, source), "--data", written(tmp_path))
    assert result.exit_code == 1
    assert "ValueError: [1381154400, 1381154520, 1381154640, 1381154760] True 1667" in result.stderr


def test_bars_of_thin_minutes_come_when_they_close_also_where_history_is_asked_for_each(tmp_path: Path) -> None:
    """Quotas are of machine time, in which 300 times the market passes here: none holds a bar back."""
    source = """
from trader.strategy import Strategy

class Punctual(Strategy):
    def setup(self):
        self.subscribe("ESZ13")

    def on_bar(self, bar):
        if self.now > bar.closed_utc + 30:
            raise ValueError("%d s late" % (self.now - bar.closed_utc))
"""
    path = tmp_path / "ESZ13_1m.csv"
    stamps = [datetime.fromtimestamp(MORNING_UTC + 120 * n, UTC) for n in range(1, 300)]
    lines = [f"{stamp:%Y-%m-%dT%H:%M:%SZ},1670,1671,1669,1670,10" for stamp in stamps]
    path.write_text("\n".join([HEADER, *lines, ""]))
    assert told(strategy(tmp_path, source), "--data", path)["bars"] == len(stamps)


# -- the pure part -----------------------------------------------------------------------------------------------------


def fill(side: Side, quantity: int, price: str, at_utc: float = 0.0, symbol: str = "ES") -> Fill:
    return Fill(at_utc, symbol, side, Decimal(quantity), Decimal(price), "entry", "1", Decimal("1.25"))


def test_money_closes_the_oldest_first_and_turns_through_flat_exactly() -> None:
    fills = [fill(Side.BUY, 2, "10"), fill(Side.BUY, 1, "13"), fill(Side.SELL, 4, "12.5"), fill(Side.BUY, 1, "12")]
    (row,) = money(fills, {"ES": Ticker(Decimal(50), Decimal(99))})
    assert row.realised == (2 * Decimal("2.5") - Decimal("0.5") + Decimal("0.5")) * 50
    assert (row.open, row.position, row.fees, row.net) == (ZERO, ZERO, Decimal(5), row.realised - 5)


def test_a_symbol_that_was_never_traded_has_a_row_of_nothing() -> None:
    (row,) = money([], {"ES": Ticker(Decimal(50), Decimal(99))})
    assert (row.realised, row.open, row.fees, row.net) == (ZERO, ZERO, ZERO, ZERO)


def test_exposure_counts_bars_and_time_with_a_position_in_any_symbol() -> None:
    fills = [
        fill(Side.BUY, 1, "1", 63.0),
        fill(Side.BUY, 1, "1", 70.0, "SPY"),
        fill(Side.SELL, 1, "1", 100.0),
        fill(Side.SELL, 1, "1", 123.25, "SPY"),
        fill(Side.SELL, 1, "1", 290.0),
    ]
    found = exposure(fills, range(60, 360, 60), [0.5, 2.25], 300.0)
    assert (found.bars, found.market_seconds) == (2, Decimal("70.250"))
    assert found.uncovered_market_seconds == Decimal("2.750")


def test_refusals_keep_the_first_text_of_each_gate() -> None:
    found = refusals([("late", "a"), ("stop", "b"), ("late", "c")])
    assert [(each.gate, each.count, each.first) for each in found] == [("late", 2, "a"), ("stop", 1, "b")]
