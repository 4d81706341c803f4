"""Money on a real desk: processes killed in the middle, against the emulator's own ledger; and a person's trades."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.trader.test_desk import Desk

D = Decimal
ES, STOCKS = "SIM100001F", "SIM100001M"
TRADES = 6
STRATEGY = f"""
from trader.strategy import Bar, Fill, Strategy

class Flip(Strategy):
    "In and out by turns, then flat for good."
    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol)

    def on_bar(self, bar: Bar) -> None:
        held = self.position(bar.symbol).quantity
        if held or self.state.get("closed", 0) < {TRADES}:
            self.target(bar.symbol, 0 if held else 2, stop=bar.close / 2)

    def on_fill(self, fill: Fill) -> None:
        self.state["closed"] = self.state.get("closed", 0) + (fill.position == 0)
"""


class MoneyDesk(Desk):
    def told(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = self.run(*words, "--json")
        assert done.returncode == status, (words, done.stdout, done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def line(self, session: str) -> dict[str, Any]:
        (line,) = json.loads(self.run("positions", session, "--json").stdout)["positions"]
        return dict(line)

    def fills(self, session: str) -> int:
        return len(self.told("fills", session)["fills"])

    def begun_with(self, account: str) -> Decimal:
        """The venue's own book: what it opened the account with."""
        first = (self.home / "emulator" / "book.jsonl").read_text().splitlines()[0]
        accounts = json.loads(first)["what"]["accounts"]
        (cash,) = [D(each["cash_usd"]) for each in accounts if each["account"] == account]
        return cash

    def ok_emulator(self, path: str, body: dict[str, Any]) -> None:
        assert requests.post(f"{self.url}/emulator/{path}", json=body, timeout=5).ok

    def headers(self) -> dict[str, str]:
        token = json.loads((self.home / "login.json").read_text())["access_token"]
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoneyDesk]:
    made = MoneyDesk(tmp_path_factory.mktemp("money") / "home")
    path = made.home / "flip.py"
    path.write_text(STRATEGY)
    for name, account, symbol in (("es", ES, "ESZ13"), ("spy", STOCKS, "SPY")):
        made.ok("session", "add", name, "--strategy", str(path), "--account", account, "--symbol", symbol)
        made.ok("session", "start", name)
    yield made
    made.close()


def test_after_kills_in_the_middle_the_books_are_the_venues_to_the_cent(desk: MoneyDesk) -> None:
    desk.until(lambda: desk.fills("es") >= 2)
    desk.kill("sessions/es/account_manager")
    desk.until(lambda: desk.fills("es") >= 4)
    desk.kill_desk()
    down = {name: desk.line(name) for name in ("es", "spy")}
    desk.start_desk()
    for name, before in down.items():
        assert D(desk.line(name)["fees_usd"]) >= D(before["fees_usd"])
    desk.until(lambda: desk.fills("es") >= 2 * TRADES and desk.fills("spy") >= 2 * TRADES, 60.0)
    desk.until(lambda: all(desk.line(name)["ours"] == "0" for name in ("es", "spy")))
    desk.ok("reconcile", "--now")
    totals = {each["account"]: each for each in desk.told("positions")["totals"]}
    for account in (ES, STOCKS):
        made = totals[account]
        assert made["profit_unknown"] == []
        gained = D(made["realised_usd"]) - D(made["fees_usd"])
        assert D(made["broker_cash_usd"]) == desk.begun_with(account) + gained
        assert made["broker_equity_usd"] == made["broker_cash_usd"]
    assert D(totals[ES]["fees_usd"]) > 0


def test_a_restart_changes_no_number(desk: MoneyDesk) -> None:
    keys = ("ours", "average_price", "realised_usd", "fees_usd", "gaps")
    before = [{key: desk.line(name)[key] for key in keys} for name in ("es", "spy")]
    desk.kill_desk()
    assert [{key: desk.line(name)[key] for key in keys} for name in ("es", "spy")] == before
    desk.start_desk()
    desk.until(lambda: desk.line("es")["state"] == "agrees")
    assert [{key: desk.line(name)[key] for key in keys} for name in ("es", "spy")] == before


def test_fills_are_held_against_the_close_they_were_declared_on(desk: MoneyDesk) -> None:
    fills = desk.told("fills", "es", "--since", "2013-01-01")["fills"]
    assert {each["state"] for each in fills} <= {"agrees", "not read", "read is older"}  # it has just been restarted
    assert all(each["intended_price"] is not None and each["slippage_usd"] is not None for each in fills)
    assert all(D(each["fee_usd"]) > 0 for each in fills)


def test_status_tells_the_days_result_from_the_same_lines(desk: MoneyDesk) -> None:
    def told() -> bool:
        """Both at once: while this waits (the desk has just been restarted), another trading day may begin."""
        line = desk.line("es")
        day = D(line["realised_today_usd"]) - D(line["fees_today_usd"])
        return f"ESZ13  flat  day {day:f}  agreed" in desk.run("status").stdout

    desk.until(told)


def test_without_differences_diff_is_empty_and_exit_code_0(desk: MoneyDesk) -> None:
    desk.ok("reconcile", "--now")
    assert desk.ok("positions", "--diff") == ""
    assert desk.ok("orders", "--diff") == ""


def test_a_persons_working_order_is_shown_as_not_ours(desk: MoneyDesk) -> None:
    order = {
        "AccountID": ES, "Symbol": "ESZ13", "Quantity": "1", "OrderType": "Limit", "LimitPrice": "1000",
        "TradeAction": "BUY", "TimeInForce": {"Duration": "GTC"}, "Route": "Intelligent",
    }  # fmt: skip
    sent = requests.post(f"{desk.url}/v3/orderexecution/orders", json=order, headers=desk.headers(), timeout=5)
    order_id = sent.json()["Orders"][0]["OrderID"]
    desk.run("reconcile", "--now")
    done = desk.run("orders", "--diff")
    assert done.returncode == 5
    cells = done.stdout.rstrip("\n").split("\t")
    assert cells[:6] == ["-", "SIM", ES, "ESZ13", order_id, "not ours"]
    assert desk.told("orders", "es", "--diff", status=5)["orders"][0]["order_id"] == order_id
    assert desk.told("orders", "spy", "--diff")["orders"] == []
    cancelled = requests.delete(f"{desk.url}/v3/orderexecution/orders/{order_id}", headers=desk.headers(), timeout=5)
    assert cancelled.ok
    desk.ok("reconcile", "--now")
    assert desk.ok("orders", "--diff") == ""


def test_a_persons_position_in_a_symbol_of_nobodys_differs_over_a_restart_until_it_is_gone(desk: MoneyDesk) -> None:
    """The session that had SPY is gone; another one, which waits for its symbol, keeps the account read."""
    desk.until(lambda: len(json.loads(desk.run("fills", "spy", "--json").stdout)["fills"]) >= 2 * TRADES)
    desk.ok("session", "stop", "spy")
    desk.until(lambda: desk.state("sessions/spy") == "gone")
    desk.ok("session", "rm", "spy")
    desk.ok("session", "add", "idle", "--strategy", "ema_cross", "--account", STOCKS, "--symbol", "GOOG")
    assert desk.run("session", "start", "idle", "--timeout", "1").returncode == 1
    desk.tell_emulator("trade", account=STOCKS, symbol="SPY", quantity=1)
    desk.run("reconcile", "--now")
    done = desk.run("positions", "--diff")
    assert done.returncode == 5
    assert done.stdout.split("\t")[:8] == ["-", "SIM", STOCKS, "SPY", "not ours", "0", "-", "1"]
    desk.kill_desk()
    assert desk.run("positions", "--diff").returncode == 3
    assert desk.run("positions").returncode == 0, "the broker's side is not known, so nothing differs"
    desk.start_desk()
    desk.until(lambda: desk.run("positions", "--diff").returncode == 5)
    assert desk.told("reconcile", "--now", status=5)["symbols"][-1]["state"] == "not ours"
    desk.tell_emulator("trade", account=STOCKS, symbol="SPY", quantity=-1)
    desk.ok("reconcile", "--now")
    assert desk.ok("positions", "--diff") == ""


def test_a_persons_trade_in_our_symbol_is_adopted_and_its_profit_is_known_from_the_brokers_fills(
    desk: MoneyDesk,
) -> None:
    """There and back: two adoptions, both explained, and the account's balance is still ours to the cent."""
    for quantity in (1, -1):
        desk.tell_emulator("trade", account=ES, symbol="ESZ13", quantity=quantity)
        wanted = "1" if quantity > 0 else "0"
        desk.until(lambda wanted=wanted: desk.line("es")["ours"] == wanted)  # type: ignore[misc]
    desk.until(lambda: desk.run("reconcile", "--now").returncode == 0)
    (made,) = desk.told("positions", "es")["totals"]
    assert made["profit_unknown"] == []
    gained = D(made["realised_usd"]) - D(made["fees_usd"])
    assert D(made["broker_cash_usd"]) == desk.begun_with(ES) + gained
    others = [each for each in desk.run("fills", "es", "--diff").stdout.splitlines() if "\tnot ours\t" in each]
    assert len(others) == 2


def test_a_fresh_read_that_the_venue_refuses_is_exit_code_1_and_nothing_is_concluded(desk: MoneyDesk) -> None:
    refuse = {"fault": "status", "path": "GET /v3/brokerage/*", "when": "before", "times": 0}
    desk.ok_emulator("fault", refuse)
    done = desk.run("reconcile", "--now", "--timeout", "2")
    assert done.returncode == 1
    assert "Nothing was changed" in done.stderr
    desk.tell_emulator("heal")
    desk.until(lambda: desk.run("reconcile", "--now").returncode == 0)
