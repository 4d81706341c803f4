"""Login and doctor beside a running desk with real processes: they show its state and do not disturb it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from feeds.messages import TakeLogin
from supervisor.control.client import Client
from tests.trader.test_desk import Desk

CONNECTION = "connections/sim/connection"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("login") / "home")
    made.ok("session", "add", "es", "--strategy", "breakout", "--account", "SIM100001F", "--symbol", "ESZ13")
    made.ok("session", "start", "es")
    yield made
    made.close()


def pids(desk: Desk) -> dict[str, int | None]:
    return {child.name: child.pid for child in desk.tree().children}


def test_status_of_a_running_desks_login(desk: Desk) -> None:
    shown = json.loads(desk.ok("login", "--status", "--json"))["logins"][0]
    assert (shown["trouble"], shown["running"], shown["rotating"]) == ("", True, False)
    assert shown["next_renewal_s"] > 0


def test_doctor_finds_a_running_desk_well_and_leaves_it_alone(desk: Desk) -> None:
    before, file = pids(desk), (desk.home / "login.json").read_bytes()
    done = desk.run("doctor", "--json")
    found = json.loads(done.stdout)["findings"]
    assert not [each for each in found if each["state"] == "error"], done.stdout
    assert {"books", "symbol", "data", "clock"} <= {each["check"] for each in found if each["state"] == "ok"}
    assert (pids(desk), (desk.home / "login.json").read_bytes()) == (before, file)
    assert desk.run("status").returncode == 0


def test_a_login_that_stops_serving_is_told_and_taken_up_again_without_a_restart(desk: Desk) -> None:
    before, good = pids(desk), (desk.home / "login.json").read_bytes()
    (desk.home / "login.json").write_text('{"client_secret": "demo-secret", "refresh_token": "revoked"}')
    with Client(str(desk.home)) as client:
        assert client.call(TakeLogin(), timeout_s=20.0, to=CONNECTION).trouble.startswith("login needed")
        assert desk.run("login", "--status").returncode == 8
        assert desk.run("doctor").returncode == 8
        (desk.home / "login.json").write_bytes(good)
        assert client.call(TakeLogin(), timeout_s=20.0, to=CONNECTION).trouble == ""
    desk.until(lambda: desk.run("login", "--status").returncode == 0)
    desk.until(lambda: desk.run("status").returncode == 0)
    assert pids(desk) == before
