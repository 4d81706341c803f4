"""TradeStation's sign-in (OAuth, Auth0): the page a person is sent to, the token requests, their answers. PURE.

A refresh of a key that does not rotate returns no refresh token: the old one stays.
A rotating one returns a new one, which its owner must store before it is used.
"""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from brokers.errors import BadAnswer, LoginRefused, Unavailable
from brokers.tradestation.shapes import NO_SHAPE, decoded

ACCESS_TOKEN_LIFE_S = 1200.0
"""Seconds; what the venue documents and always says. A longer claim is not believed."""

ROTATING_LIFE_S = 86_400.0
"""A key with rotating refresh tokens: so long after its sign-in a person has to sign in again, whatever was renewed."""

AUDIENCE = "https://api.tradestation.com"
"""The same for SIM: the sign-in is shared."""
SCOPES = "openid offline_access profile MarketData ReadAccount Trade"
"""``offline_access``: without it there is no refresh token."""


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


# -- the authorization code --------------------------------------------------------------------------------------------


def authorize_url(signin_url: str, client_id: str, redirect_uri: str, state: str, verifier: str = "") -> str:
    """Where a person signs in. ``verifier``: of a PKCE login, which sends its hash here and itself at the exchange."""
    query = {
        "response_type": "code",
        "client_id": client_id,
        "audience": AUDIENCE,
        "redirect_uri": redirect_uri,
        "scope": SCOPES,
        "state": state,
    }
    if verifier:
        query |= {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
    return f"{signin_url.rstrip('/')}/authorize?{urlencode(query)}"


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def code_of(redirected: str, state: str) -> str:
    """The code in the URL that the sign-in redirected to. ``LoginRefused`` where it was refused, or is not ours."""
    try:
        query = {name: values[0] for name, values in parse_qs(urlsplit(redirected).query).items()}
    except ValueError:
        raise LoginRefused("the answer is no address") from None
    if query.get("state") != state:
        raise LoginRefused("the answer carries another state than this sign-in: it is not ours, and not used")
    if "error" in query:
        raise LoginRefused(f"{query['error']}: {query.get('error_description', '')}".rstrip(": "))
    if not query.get("code"):
        raise LoginRefused("the answer carries no code")
    return query["code"]


def exchange_request(
    signin_url: str, client_id: str, client_secret: str, code: str, redirect_uri: str, verifier: str = ""
) -> TokenRequest:
    """A code for tokens. ``verifier`` (PKCE) goes instead of the secret."""
    form = {"grant_type": "authorization_code", "client_id": client_id, "code": code, "redirect_uri": redirect_uri}
    form |= {"code_verifier": verifier} if verifier else {"client_secret": client_secret}
    return token_request(signin_url, form)


def refresh_request(signin_url: str, client_id: str, client_secret: str, refresh_token: str) -> TokenRequest:
    """``client_secret`` "" for a PKCE login, which has none."""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    if client_secret:
        form["client_secret"] = client_secret
    return token_request(signin_url, form)


def revoke_request(signin_url: str, client_id: str, client_secret: str, refresh_token: str) -> TokenRequest:
    """Ends ALL refresh tokens of the key, whichever is named. The parameter is ``refresh_token`` in the venue's table
    and ``token`` in its sample; a client that works sends ``token``."""
    form = {"client_id": client_id, "token": refresh_token}
    if client_secret:
        form["client_secret"] = client_secret
    request = token_request(signin_url, form)
    return msgspec.structs.replace(request, url=signin_url.rstrip("/") + "/oauth/revoke")


def token_request(signin_url: str, form: dict[str, str]) -> TokenRequest:
    return TokenRequest(
        url=signin_url.rstrip("/") + "/oauth/token",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
    )


# -- answers -----------------------------------------------------------------------------------------------------------


def granted(status: int, body: bytes) -> Granted:
    """The answer to a token request. Never shows a body of success in an error: it holds tokens.

    ``LoginRefused``: the venue refuses the login in words. ``Unavailable``: it could not be asked.
    """
    if status == 200:
        return checked(body)
    raise denied(status, body)


def check_revoked(status: int, body: bytes) -> None:
    """The answer to a revocation is empty. Raises as ``granted`` does."""
    if status != 200:
        raise denied(status, body)


def denied(status: int, body: bytes) -> LoginRefused | Unavailable:
    error = auth_error(body)
    if status in (400, 401, 403) and error is not None:
        return LoginRefused(f"{error.error}: {error.error_description}".rstrip(": "))
    return Unavailable(f"token request: HTTP {status}" + (f" {error.error}" if error else ""))


def checked(body: bytes) -> Granted:
    try:
        answer = msgspec.json.decode(body, type=Granted)
    except NO_SHAPE as error:
        raise BadAnswer(f"token request: an answer of {len(body)} bytes that is no token: {error}") from None
    if not answer.access_token or not answer.expires_in > 0:
        raise BadAnswer(f"token request: no token, or one that lives {answer.expires_in} s")
    return msgspec.structs.replace(answer, expires_in=min(answer.expires_in, ACCESS_TOKEN_LIFE_S))


def auth_error(body: bytes) -> AuthError | None:
    """None where the body is something else (empty, a proxy's HTML): then nothing is known about the login."""
    try:
        return decoded(body, AuthError)
    except BadAnswer:
        return None
