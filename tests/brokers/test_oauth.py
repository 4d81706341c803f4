"""Token requests and the answers to them."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brokers.errors import BadAnswer, LoginRefused, Unavailable
from brokers.tradestation.oauth import authorize_url, challenge, code_of, exchange_request, granted, refresh_request
from tests.brokers import golden


def test_a_refresh_is_a_form() -> None:
    request = refresh_request("https://signin.example/", "client", "secret&", "refresh+1")
    assert request.url == "https://signin.example/oauth/token"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["client"],
        "client_secret": ["secret&"],
        "refresh_token": ["refresh+1"],
    }


def test_a_pkce_login_sends_no_secret() -> None:
    assert b"client_secret" not in refresh_request("https://signin.example", "client", "", "r").body


def test_without_rotation_no_refresh_token_comes() -> None:
    answer = granted(200, golden.TOKEN)
    assert (answer.access_token, answer.refresh_token, answer.expires_in) == ("eyJ.new", "", 1200)


def test_with_rotation_a_new_one_comes() -> None:
    assert granted(200, golden.TOKEN_ROTATED).refresh_token == "refresh-2"


def test_a_longer_life_than_documented_is_not_believed() -> None:
    assert granted(200, golden.TOKEN.replace(b"1200", b"86400")).expires_in == 1200


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_login_is_refused_in_words(status: int) -> None:
    with pytest.raises(LoginRefused, match=r"invalid_grant: Unknown or invalid refresh token\."):
        granted(status, golden.INVALID_GRANT)


@pytest.mark.parametrize(
    ("status", "body"), [(403, b"<html>proxy</html>"), (400, b""), (429, golden.INVALID_GRANT), (503, b"")]
)
def test_what_may_come_from_a_proxy_says_nothing_about_the_login(status: int, body: bytes) -> None:
    with pytest.raises(Unavailable):
        granted(status, body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"access_token":"","expires_in":1200}', b'{"access_token":"a"}'])
def test_a_200_without_a_token_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        granted(200, body)


def test_no_secret_is_in_an_error() -> None:
    with pytest.raises(BadAnswer) as caught:
        granted(200, b'{"access_token":"eyJ.secret","expires_in":"soon"}')
    assert "eyJ.secret" not in str(caught.value)


# -- the authorization code ----------------------------------------------------------------------------------------


def test_the_page_is_asked_for_as_documented() -> None:
    url = urlsplit(authorize_url("https://signin.example/", "me", "http://localhost:3000", "st&ate"))
    assert (url.netloc, url.path) == ("signin.example", "/authorize")
    query = parse_qs(url.query)
    assert {"openid", "offline_access", "MarketData", "ReadAccount", "Trade"} <= set(query.pop("scope")[0].split())
    assert query == {
        "response_type": ["code"],
        "client_id": ["me"],
        "audience": ["https://api.tradestation.com"],
        "redirect_uri": ["http://localhost:3000"],
        "state": ["st&ate"],
    }


def test_the_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_verifier_goes_instead_of_the_secret() -> None:
    body = exchange_request("https://signin.example", "me", "secret", "c", "http://localhost:3000", "verifier").body
    assert b"client_secret" not in body
    assert parse_qs(body.decode())["code_verifier"] == ["verifier"]


@given(st.text(max_size=60), st.text(min_size=1, max_size=20))
def test_a_code_with_our_state_is_found_whatever_it_is(code: str, state: str) -> None:
    redirected = f"http://localhost:3000/?state={quote(state)}&code={quote(code)}"
    if code:
        assert code_of(redirected, state) == code
    else:
        with pytest.raises(LoginRefused):
            code_of(redirected, state)


@given(st.text(max_size=80))
@example("http://[")
@example("http://localhost:3000/?code=c&state=")
def test_any_other_text_is_no_answer(text: str) -> None:
    with pytest.raises(LoginRefused):
        code_of(text, "the-state")
