"""Two sessions with real processes on one account, again and again after the same last dollar of its open risk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.process.store import SqliteStore
from tests.trader.test_desk import Desk
from trader.sessions import journal_path

ACCOUNT = "SIM100001F"
SYMBOLS = {"z": "ESZ13", "h": "ESH14"}
KEEPER = f"connections/sim/limits/{ACCOUNT}"
LIMITS = f"""
[limits]
last_days_without_entry = 1

[limits.accounts.{ACCOUNT}]
max_open_risk_usd = 150
"""
"""One contract with a stop 2 points away risks 100 USD: room for one, never for two."""
STRATEGY = """
from trader.strategy import Bar, Strategy

class Eager(Strategy):
    def setup(self) -> None:
        self.subscribe(self.symbols[0], minutes=1)

    def on_bar(self, bar: Bar) -> None:
        held = self.state.get("held", 0) + 1 if self.position(bar.symbol).quantity else 0
        self.state["held"] = held
        if held > 1:
            self.close(bar.symbol)
        elif not held:
            self.close(bar.symbol)
            self.target(bar.symbol, 1, stop=bar.close - 2)
"""


class Race(Desk):
    """The emulator has two contracts of which both have bars in these days."""

    def _spawn(self, module: str, arguments: list[str], output: str) -> subprocess.Popen[bytes]:
        if arguments[0] == "emulator":
            arguments = [*arguments, "--origin", "2013-12-18T15:00:00Z"]
            for symbol in SYMBOLS.values():
                arguments += ["--data", symbol]
        return super()._spawn(module, arguments, output)

    def start_emulator(self) -> None:
        super().start_emulator()
        with (self.home / "nightdesk.toml").open("a") as file:
            file.write(LIMITS)

    def entries(self, name: str) -> int:
        return self.journal(name, "SELECT count(*) AS n FROM intents WHERE purpose = 'entry' AND state = 'accepted'")

    def refusals(self, name: str) -> int:
        return self.journal(
            name, "SELECT count(*) AS n FROM rows WHERE json_extract(body, '$.content.gate') = 'account'"
        )

    def journal(self, name: str, sql: str) -> int:
        store = SqliteStore(self.home / journal_path(name), None)
        try:
            return int(store.query(sql)[0]["n"])
        finally:
            store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Race]:
    made = Race(tmp_path / "home")
    yield made
    made.close()


def most_held(orders: list[dict[str, Any]]) -> int:
    """How many contracts of the account were held at once, by the emulator's own book; of two fills in one second, the
    one that opens is taken first."""
    filled = [order for order in orders if order["Status"] == "FLL"]
    signs = {"BUY": 1, "SELL": -1}
    fills = sorted((o["Closed"], -signs[o["TradeAction"]] * int(o["Quantity"])) for o in filled)
    held = most = 0
    for _, minus in fills:
        held -= minus
        most = max(most, held)
    return most


def raced(desk: Race) -> bool:
    """Each was refused because of the other, and each entered."""
    return all(desk.refusals(name) and desk.entries(name) for name in SYMBOLS)


def test_two_sessions_never_pass_the_same_last_dollar_and_a_killed_keeper_gives_none_away(desk: Race) -> None:
    (desk.home / "eager.py").write_text(STRATEGY)
    for name, symbol in SYMBOLS.items():
        words = ("--strategy", str(desk.home / "eager.py"), "--account", ACCOUNT, "--symbol", symbol)
        desk.ok("session", "add", name, *words)
        desk.ok("session", "start", name)
    desk.until(lambda: raced(desk), 60.0)
    desk.killed_and_back(KEEPER)
    before = sum(desk.refusals(name) for name in SYMBOLS)
    desk.until(lambda: sum(desk.refusals(name) for name in SYMBOLS) > before + 2)
    assert most_held(desk.ask_emulator("orders")["Orders"]) == 1
    shown = desk.ok("session", "show", "z")
    assert "max_open_risk_usd=150" in shown
