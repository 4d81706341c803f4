"""TradeStation's token requests (OAuth, Auth0): build them, understand the answers. PURE.

Source: tradestation v3, 1. A refresh of a key that does not rotate returns no refresh token: the old one stays.
A rotating one returns a new one, which its owner must store before it is used.
"""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from brokers.errors import BadAnswer, LoginRefused, Unavailable
from brokers.tradestation.shapes import decoded

ACCESS_TOKEN_LIFE_S = 1200.0
"""Seconds; what the venue documents and always says. A longer claim is not believed."""


class TokenRequest(msgspec.Struct, frozen=True):
    url: str
    headers: dict[str, str]
    body: bytes


class Granted(msgspec.Struct, frozen=True):
    """``refresh_token`` is "" where the old one stays valid."""

    access_token: str
    expires_in: float
    refresh_token: str = ""


class AuthError(msgspec.Struct, frozen=True):
    """The Auth0 shape of an error; not the API's."""

    error: str
    error_description: str = ""


def refresh_request(signin_url: str, client_id: str, client_secret: str, refresh_token: str) -> TokenRequest:
    """``client_secret`` "" for a PKCE login, which has none."""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    if client_secret:
        form["client_secret"] = client_secret
    return TokenRequest(
        url=signin_url.rstrip("/") + "/oauth/token",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
    )


def granted(status: int, body: bytes) -> Granted:
    """The answer to a refresh. Never shows a body of success in an error: it holds tokens.

    ``LoginRefused``: the venue refuses the login in words. ``Unavailable``: it could not be asked.
    """
    if status == 200:
        return checked(body)
    error = auth_error(body)
    if status in (400, 401, 403) and error is not None:
        raise LoginRefused(f"{error.error}: {error.error_description}".rstrip(": "))
    raise Unavailable(f"token refresh: HTTP {status}" + (f" {error.error}" if error else ""))


def checked(body: bytes) -> Granted:
    try:
        answer = msgspec.json.decode(body, type=Granted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(f"token refresh: an answer of {len(body)} bytes that is no token: {error}") from None
    if not answer.access_token or answer.expires_in <= 0:
        raise BadAnswer(f"token refresh: no token, or one that lives {answer.expires_in} s")
    return msgspec.structs.replace(answer, expires_in=min(answer.expires_in, ACCESS_TOKEN_LIFE_S))


def auth_error(body: bytes) -> AuthError | None:
    """None where the body is something else (empty, a proxy's HTML): then nothing is known about the login."""
    try:
        return decoded(body, AuthError)
    except BadAnswer:
        return None
