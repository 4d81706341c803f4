"""A bar that kills its trader, in each way that there is, with real processes: skipped after the second death, reported
with its cause; the strategy goes on with the next one. A strategy that fails for ever leaves its positions minded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trader.test_desk import Desk
from trader.hours.market_hours import utc_text

POISON = """
import os, signal, time
import msgspec
from trader.strategy import Strategy

class Poison(Strategy):
    class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        how: str

    def setup(self):
        self.subscribe(self.symbols[0])

    def on_bar(self, bar):
        bad = self.state.setdefault("bad", bar.closed_utc + 60)
        if bar.closed_utc == bad:
            if self.parameters.how == "raises":
                raise ValueError("poison")
            if self.parameters.how == "kills":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.parameters.how == "hangs":
                while True:
                    pass
            if self.parameters.how == "grows":
                kept = []
                while True:
                    kept.append(bytearray(16 << 20))
        self.state["bars"] = self.state.get("bars", 0) + 1
"""
CAUSES = {  # how: what `status` and the tree say of the death
    "raises": "ValueError: poison at poison.py:17",
    "kills": "killed by SIGKILL",
    "hangs": "HookTooLong: on_bar (bar",
    "grows": "memory",
}
WHERE = {
    "raises": ("SIM100001F", "ESZ13"),
    "kills": ("SIM100001M", "ESZ13"),
    "hangs": ("SIM100001M", "SPY"),
    "grows": ("SIM100001F", "SPY"),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Four sessions, each with its own poison, started together."""
    made = Desk(tmp_path_factory.mktemp("poison") / "home")
    path = made.home / "poison.py"
    path.write_text(POISON)
    for how, (account, symbol) in WHERE.items():
        words = ("--account", account, "--symbol", symbol, "--set", f"how={how}")
        made.ok("session", "add", how, "--strategy", str(path), *words)
    for how in WHERE:
        made.ok("session", "start", how)
    yield made
    made.close()


def rows(desk: Desk, how: str, sql: str) -> list[tuple[object, ...]]:
    store = sqlite3.connect(f"file:{desk.home / 'sessions' / how}.db?mode=ro", uri=True)
    try:
        return store.execute(sql).fetchall()
    finally:
        store.close()


@pytest.mark.parametrize("how", list(WHERE))
def test_a_bar_that_kills_the_trader_is_skipped_after_two_deaths_and_the_next_is_told(desk: Desk, how: str) -> None:
    later = "SELECT count(*) FROM turns WHERE skipped = 0 AND number > (SELECT number FROM turns WHERE skipped = 1)"
    desk.until(lambda: rows(desk, how, later) > [(2,)], 60.0)
    ((closed_utc,),) = rows(desk, how, "SELECT closed_utc FROM turns WHERE skipped = 1")
    assert rows(desk, how, "SELECT count(*) FROM deaths_told") == [(2,)]
    assert rows(desk, how, f"SELECT count(*) FROM turns WHERE closed_utc = {closed_utc}") == [(1,)]
    ((text,),) = rows(desk, how, "SELECT text FROM events WHERE kind = 'bar.skipped'")
    assert f"bar of {utc_text(float(str(closed_utc)))} killed the trader 2 times: skipped" in str(text)
    assert str(text) in desk.run("status").stdout
    deaths = [each for child in desk.client.tree(f"sessions/{how}/trader", 10).children for each in child.deaths]
    assert CAUSES[how] in " | ".join(each.why for each in deaths)
    assert CAUSES[how] in desk.ok("session", "show", how)


def test_what_hangs_names_hook_bar_limit_and_line(desk: Desk) -> None:
    def told() -> bool:
        shown = desk.ok("session", "show", "hangs")
        return "computed for more than 5 s (hook_limit_s)" in shown and "at poison.py:" in shown

    desk.until(told, 60.0)


def test_a_strategy_that_does_not_even_import_any_more_leaves_its_position_minded(desk: Desk, tmp_path: Path) -> None:
    """It needs a file that is there when it is stored and started, and gone at 2 a.m."""
    needed, path = tmp_path / "needed.txt", desk.home / "needs.py"
    needed.write_text("")
    path.write_text(
        f"open({str(needed)!r}).close()\nfrom trader.strategy import Strategy\n"
        "class Needs(Strategy):\n    def setup(self): self.subscribe(self.symbols[0])\n"
    )
    desk.ok("session", "stop", "kills")
    desk.until(lambda: desk.state("sessions/kills") == "gone")
    desk.ok("session", "rm", "kills")
    account, symbol = WHERE["kills"]
    desk.ok("session", "add", "needs", "--strategy", str(path), "--account", account, "--symbol", symbol)
    desk.ok("session", "start", "needs")
    needed.unlink()
    assert desk.kill("sessions/needs/trader")
    desk.until(lambda: "FileNotFoundError" in desk.run("status").stdout)
    desk.until(lambda: desk.state("sessions/needs/trader").startswith("held"), 60.0)
    assert desk.state("sessions/needs/account_manager").endswith("up")
    shown = desk.show("needs")
    assert shown["account_manager"]["minding"] is False
    assert "needs.py:1" in desk.ok("session", "show", "needs")
    needed.write_text("")
    desk.until(lambda: desk.state("sessions/needs/trader").endswith("up"), 60.0)
