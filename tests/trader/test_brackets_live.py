"""An entry with its stop over real HTTP, and the account manager killed before it has an answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.trader.test_desk import Desk

ACCOUNT = "SIM100001F"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "home")
    yield made
    made.close()


def orders(desk: Desk) -> list[dict[str, Any]]:
    return [order for order in desk.ask_emulator("orders")["Orders"] if order["AccountID"] == ACCOUNT]


def held(desk: Desk) -> int:
    fills = desk.ask_emulator("orders")["Fills"]
    return sum(int(fill["Quantity"]) for fill in fills if fill["AccountID"] == ACCOUNT)


def test_killed_between_send_and_answer_the_position_is_covered_and_nothing_is_sent_twice(desk: Desk) -> None:
    rule = {"fault": "lose_reply", "path": "POST */orders", "when": "after", "times": 1}
    requests.post(f"{desk.url}/emulator/fault", json=rule, timeout=10).raise_for_status()
    desk.ok("session", "add", "es", "--strategy", "breakout", "--account", ACCOUNT, "--symbol", "ESZ13")
    desk.ok("session", "start", "es")
    desk.until(lambda: orders(desk), 60.0)
    assert desk.kill("sessions/es/account_manager")
    sent = orders(desk)
    assert [order["OrderConfirmID"][-1:] == "s" for order in sent] == [False, True], "the entry, and its stop's key"
    if held(desk):
        (stop,) = [order for order in orders(desk) if order["Closed"] is None]
        assert stop["OrderConfirmID"].endswith("s"), "covered, with nobody there"
    desk.until(lambda: (desk.show("es")["account_manager"] or {}).get("unsettled") == [], 60.0)
    keys = [order["OrderConfirmID"] for order in orders(desk)]
    assert len(keys) == len(set(keys))

    def knows_what_works() -> bool:
        """The strategy goes on meanwhile, so that one of the two may be a bar ahead of the other."""
        status = desk.show("es")["account_manager"] or {"orders": []}
        known = {order["order_id"] for order in status["orders"]}
        return known == {order["OrderID"] for order in orders(desk) if order["Closed"] is None}

    desk.until(knows_what_works)
