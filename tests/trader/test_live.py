"""LIVE against an emulator on this machine: said twice, shown everywhere, and never without its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trader.test_desk import Desk

ACCOUNT = "SIM100001F"
LIMITS = f"""
[limits.accounts.{ACCOUNT}]
max_position_quantity = 2
max_daily_loss_usd = 500
max_orders_per_day = 100
"""
ADD = ("--strategy", "breakout", "--account", ACCOUNT, "--symbol", "ESZ13")


class LiveDesk(Desk):
    """Its one connection says LIVE; its address is this machine's, so nothing leaves it."""

    def start_emulator(self) -> None:
        super().start_emulator()
        path = self.home / "nightdesk.toml"
        live = 'login_file = "login.json"\nenvironment = "LIVE"'
        path.write_text(path.read_text().replace('login_file = "login.json"', live) + LIMITS)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[LiveDesk]:
    made = LiveDesk(tmp_path / "home")
    yield made
    made.close()


def test_live_is_said_twice_shown_everywhere_and_does_not_start_without_its_limits(desk: LiveDesk) -> None:
    unsaid = desk.run("session", "add", "es", *ADD)
    assert unsaid.returncode == 78
    assert "session es is SIM, its connection sim is LIVE" in unsaid.stderr
    other = desk.run("session", "add", "m", "--live", *ADD[:2], "--account", "SIM100001M", "--symbol", "SPY")
    assert other.returncode == 78
    assert "lacks limits.accounts.SIM100001M.max_position_quantity" in other.stderr
    desk.ok("session", "add", "es", "--live", *ADD)
    desk.ok("session", "start", "es")
    desk.until(lambda: desk.show("es")["account_manager"]["cursors"])
    status = desk.run("status").stdout
    assert "nightdesk  LIVE  " in status
    assert "es  LIVE  ESZ13" in status
    assert desk.ok("session", "list").rstrip().split("\t")[-2:] == ["LIVE", "sim"]
    shown = desk.ok("session", "show", "es")
    assert "es  LIVE  wanted trade" in shown
    assert "max_daily_loss_usd=500" in shown
    assert desk.state(f"connections/sim/limits/{ACCOUNT}") == "up"
    desk.close_desk()
    path = desk.home / "nightdesk.toml"
    path.write_text(path.read_text().replace("max_daily_loss_usd = 500\n", ""))
    done = desk.run("run")
    assert done.returncode == 78
    assert f"session es is LIVE and nightdesk.toml lacks limits.accounts.{ACCOUNT}.max_daily_loss_usd" in done.stderr
    assert "Traceback" not in done.stderr
