"""Tokens: grants, Auth0 errors, expiry, rotation."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from brokers.tradestation.emulator.app import app
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.values import Reply, Request
from tests.emulator.support import Emulator, flat_bars, market

FORM = {
    "grant_type": "refresh_token",
    "client_id": "demo-client",
    "client_secret": "demo-secret",
    "refresh_token": "demo-refresh",
}


def emulator(**settings: Any) -> Emulator:
    return Emulator(market(ESZ13=flat_bars(1, 3)), Settings(**settings))


def grant(one: Emulator, **changes: str) -> tuple[int, Any]:
    form = {name: value for name, value in {**FORM, **changes}.items() if value}
    reply = app(one.state, Request("POST", "/oauth/token", body=urlencode(form).encode()), one.now)
    assert isinstance(reply, Reply)
    return reply.status, msgspec.json.decode(reply.body)


def test_refresh_of_a_fixed_key_gives_no_refresh_token() -> None:
    status, got = grant(emulator())
    assert status == 200
    assert set(got) == {"access_token", "id_token", "token_type", "scope", "expires_in"}
    assert (got["token_type"], got["expires_in"]) == ("Bearer", 1200)


def test_each_access_token_is_another() -> None:
    one = emulator()
    assert len({grant(one)[1]["access_token"] for _ in range(10)}) == 10


def test_rotation_ends_the_old_refresh_token_with_the_new() -> None:
    one = emulator(rotate_refresh_tokens=True)
    second = grant(one)[1]["refresh_token"]
    assert grant(one)[1] == {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}
    assert grant(one, refresh_token=second)[0] == 200


def test_code_exchange_gives_a_refresh_token_that_works() -> None:
    one = emulator()
    code = {"grant_type": "authorization_code", "code": "demo-code", "redirect_uri": "http://localhost:3000/"}
    status, got = grant(one, **code, refresh_token="")
    assert status == 200
    assert grant(one, refresh_token=got["refresh_token"])[0] == 200


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_secret": "other"}, 401, "access_denied"),
        ({"refresh_token": "other"}, 403, "invalid_grant"),
        ({"grant_type": "password"}, 403, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x", "redirect_uri": "y"}, 403, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "demo-code"}, 400, "invalid_request"),
    ],
)
def test_refused_grants_have_the_auth0_shape(changes: dict[str, str], status: int, error: str) -> None:
    code, got = grant(emulator(), **changes)
    assert (code, got["error"]) == (status, error)
    assert set(got) == {"error", "error_description"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic abc"])
def test_a_call_without_a_living_token_is_unauthorized(header: str) -> None:
    one = emulator()
    reply = app(one.state, Request("GET", "/v3/brokerage/accounts", headers={"authorization": header}), one.now)
    assert isinstance(reply, Reply)
    assert reply.status == 401
    assert msgspec.json.decode(reply.body)["Error"] == "Unauthorized"


def test_a_token_lives_for_its_lifetime_of_machine_seconds() -> None:
    one = emulator(token_lifetime_s=30.0)
    one.get("/v3/brokerage/accounts")
    one.pass_time(29.9)
    one.get("/v3/brokerage/accounts")
    one.pass_time(0.1)
    assert one.reply("GET", "/v3/brokerage/accounts")[0] == 401
