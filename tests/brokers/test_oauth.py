"""Token requests and the answers to them."""

from urllib.parse import parse_qs

import pytest

from brokers.errors import BadAnswer, LoginRefused, Unavailable
from brokers.tradestation.oauth import granted, refresh_request
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
