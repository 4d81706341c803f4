"""A session whose data come from one connection and whose orders go to another, with real processes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from tests.trader.test_desk import Desk
from trader.config import read_config
from trader.sessions import Session
from trader.specs import session_spec

MORE = """
[connections.data]
api_url = "{url}"
signin_url = "{url}"
client_id = "demo-client"
login_file = "login.json"
"""


class TwoConnections(Desk):
    def start_desk(self) -> None:
        config = self.home / "nightdesk.toml"
        config.write_text(config.read_text() + MORE.format(url=self.url))
        super().start_desk()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoConnections]:
    made = TwoConnections(tmp_path_factory.mktemp("two") / "home")
    yield made
    made.close()


def test_bars_come_from_one_connection_and_the_account_is_read_by_the_other(desk: TwoConnections) -> None:
    words = ("--strategy", "breakout", "--account", "SIM100001F", "--symbol", "ESZ13")
    desk.ok("session", "add", "es", *words, "--connection", "sim", "--data-connection", "data")
    desk.ok("session", "start", "es")
    desk.until(lambda: desk.show("es")["account_manager"]["cursors"])
    up = {child.name for child in desk.tree().children if child.type == "worker" and child.state == "up"}
    assert {name for name in up if "/bars/" in name} == {"connections/data/feeds/bars/ESZ13/60"}
    accounts = ("orders/SIM100001F", "positions/SIM100001F")
    assert {f"connections/sim/feeds/{each}" for each in accounts} | {"connections/sim/books/SIM100001F"} <= up
    assert not any("SIM100001F" in name for name in up if name.startswith("connections/data"))
    assert "orders by sim, data from data" in desk.ok("session", "show", "es")


def test_a_data_connection_that_is_none_is_refused(desk: TwoConnections) -> None:
    words = ("--strategy", "breakout", "--account", "SIM100002M", "--symbol", "SPY")
    done = desk.run("session", "add", "spy", *words, "--data-connection", "nowhere")
    assert done.returncode == 2
    assert "no connection is called 'nowhere'" in done.stderr


def test_without_the_word_both_are_the_same(desk: TwoConnections) -> None:
    config = read_config(desk.home)
    session = Session("s", "x", "X", "0", "SIM100001F", ("ES",), "sim")
    by_name = {child.id: child.arguments["connection"]["name"] for child in session_spec(session, config).children}
    assert set(by_name.values()) == {"sim"}
    other = msgspec.structs.replace(session, data_connection="data")
    by_name = {child.id: child.arguments["connection"]["name"] for child in session_spec(other, config).children}
    assert by_name == {"account_manager": "sim", "data_source": "data", "trader": "data"}
