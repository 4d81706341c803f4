"""Tokens: grants, Auth0 errors, expiry, rotation."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.app import app
from brokers.tradestation.emulator.state import Settings, rebuilt
from brokers.tradestation.emulator.switches import Switches
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


# The sign-in page, lives of tokens, revoke

ASKED = {
    "response_type": "code",
    "client_id": "demo-client",
    "audience": "https://api.tradestation.com",
    "redirect_uri": "http://localhost:3000/back",
    "scope": "openid offline_access MarketData",
    "state": "x y",
}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # of RFC 7636, appendix B


def authorize(one: Emulator, **changes: str) -> dict[str, str]:
    """What comes back in the address."""
    asked = {name: value for name, value in {**ASKED, **changes}.items() if value}
    reply = app(one.state, Request("GET", "/authorize", asked), one.now)
    assert isinstance(reply, Reply)
    assert reply.status == 302, reply.body
    address, _, query = reply.headers["location"].partition("?")
    assert address == ASKED["redirect_uri"]
    return dict(parse_qsl(query))


def exchange(one: Emulator, code: str, **changes: str) -> tuple[int, Any]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": ASKED["redirect_uri"], **changes}
    return grant(one, refresh_token="", **form)


def test_the_page_gives_a_code_of_one_use_with_the_state() -> None:
    one = emulator()
    back = authorize(one)
    assert back["state"] == "x y"
    status, got = exchange(one, back["code"])
    assert (status, got["scope"]) == (200, "openid offline_access MarketData")
    assert grant(one, refresh_token=got["refresh_token"])[0] == 200
    assert exchange(one, back["code"])[1]["error"] == "invalid_grant"


def test_pkce_needs_the_verifier_and_no_secret() -> None:
    one = emulator()
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    assert exchange(one, authorize(one, **pkce)["code"], client_secret="", code_verifier=VERIFIER)[0] == 200
    status, got = exchange(one, authorize(one, **pkce)["code"], code_verifier="wrong")
    assert (status, got["error_description"]) == (403, "Failed to verify code verifier")
    assert exchange(one, authorize(one)["code"], client_secret="")[0] == 401


def test_without_offline_access_there_is_no_refresh_token() -> None:
    one = emulator()
    status, got = exchange(one, authorize(one, scope="openid MarketData")["code"])
    assert status == 200
    assert "refresh_token" not in got


def test_a_code_is_for_its_address_and_for_ten_minutes() -> None:
    one = emulator()
    assert exchange(one, authorize(one)["code"], redirect_uri="http://localhost:1/")[0] == 403
    code = authorize(one)["code"]
    one.pass_time(600)
    assert exchange(one, code)[0] == 403


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"audience": ""}, "access_denied"),
        ({"scope": "offline_access"}, "invalid_scope"),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_wrong_question_comes_back_as_an_error(changes: dict[str, str], error: str) -> None:
    assert authorize(emulator(), **changes)["error"] == error


@pytest.mark.parametrize("changes", [{"client_id": "x"}, {"redirect_uri": "https://evil.example/"}])
def test_a_stranger_is_sent_nowhere(changes: dict[str, str]) -> None:
    one = emulator()
    reply = app(one.state, Request("GET", "/authorize", {**ASKED, **changes}), one.now)
    assert isinstance(reply, Reply)
    assert reply.status == 403
    assert "location" not in reply.headers


def rotating(**switches: Any) -> Emulator:
    return emulator(rotate_refresh_tokens=True, switches=Switches(**switches))


def test_rotating_tokens_end_a_day_after_the_sign_in_however_often_renewed() -> None:
    one = rotating()
    token = grant(one)[1]["refresh_token"]
    for _ in range(71):
        one.seconds += 1200
        status, got = grant(one, refresh_token=token)
        assert status == 200
        token = got["refresh_token"]
    one.seconds += 1200
    assert grant(one, refresh_token=token)[0] == 403


def test_a_rotating_token_that_is_not_used_dies_and_a_fixed_one_never() -> None:
    for lifetime_s in (1800.0, 2400.0):
        one = rotating(refresh_lifetime_s=lifetime_s)
        token = grant(one)[1]["refresh_token"]
        one.seconds += lifetime_s
        assert grant(one, refresh_token=token)[0] == 403
    fixed = emulator()
    fixed.seconds += 10 * 86_400
    assert grant(fixed)[0] == 200


def test_a_replayed_token_is_refused_or_has_grace() -> None:
    one = rotating(refresh_grace_s=10)
    assert grant(one)[0] == 200
    one.seconds += 9
    assert grant(one)[0] == 200
    one.seconds += 10
    assert grant(one)[0] == 403


@pytest.mark.parametrize("name", ["token", "refresh_token"])
def test_revoking_one_refresh_token_ends_all_of_the_key(name: str) -> None:
    one = emulator()
    other = exchange(one, "demo-code")[1]["refresh_token"]
    request = Request("POST", "/oauth/revoke", body=urlencode({**FORM, name: other}).encode())
    if name == "token":
        body = msgspec.json.encode({"token": other})
        request = Request("POST", "/oauth/revoke", headers={"content-type": "application/json"}, body=body)
    one.login()
    reply = app(one.state, request, one.now)
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert [grant(one, refresh_token=token)[0] for token in (other, "demo-refresh")] == [403, 403]


def test_lives_of_tokens_are_in_the_book() -> None:
    one = rotating()
    grant(one)
    one.seconds += 5
    entries = book.decode(book.encode(one.state.fresh), "book").entries
    again = rebuilt(one.state.settings, one.state.market, entries)
    assert again.ledger == one.state.ledger


def test_logging_out_ends_no_token() -> None:
    one = emulator()
    one.get("/v3/brokerage/accounts")
    reply = app(one.state, Request("GET", "/v2/logout"), one.now)
    assert isinstance(reply, Reply)
    assert reply.status == 200
    one.get("/v3/brokerage/accounts")
