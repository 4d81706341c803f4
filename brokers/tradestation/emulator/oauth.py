"""Tokens: the sign-in host's token path, and the check that every API call passes. PURE.

Errors here have the Auth0 shape. Statuses are those of Auth0 (the venue's were never captured). There is no
authorize page: the one authorization code is given at start and may be used again.
"""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qs

import msgspec

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Reply, Request
from brokers.tradestation.emulator.wire import Object

SCOPE = "openid offline_access MarketData ReadAccount Trade"


class _Denied(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.reply = Reply(status, msgspec.json.encode({"error": error, "error_description": description}))


def token(state: State, request: Request, now: Now) -> Reply:
    form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
    try:
        granted = _grant(state, form, now)
    except _Denied as denied:
        return denied.reply
    return Reply(200, msgspec.json.encode(granted))


def check(state: State, request: Request, now: Now) -> None:
    """Raises Refusal(401) unless the request carries an access token that lives."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    expires_s = state.ledger.access_tokens.get(given) if scheme.lower() == "bearer" else None
    if expires_s is None or now.machine_s >= expires_s:
        raise Refusal(401, "Unauthorized", "The access token is missing, unknown or expired.")


def _grant(state: State, form: dict[str, str], now: Now) -> Object:
    settings = state.settings
    if form.get("client_id") != settings.client_id:
        raise _Denied(401, "invalid_client", "Unknown client.")
    if form.get("client_secret", settings.client_secret) != settings.client_secret:
        raise _Denied(401, "access_denied", "Unauthorized")
    grant = form.get("grant_type")
    if grant == "refresh_token":
        return _refresh(state, form.get("refresh_token", ""), now)
    if grant == "authorization_code":
        return _exchange(state, form, now)
    raise _Denied(403, "unsupported_grant_type", f"Unsupported grant type: {grant or '(none)'}")


def _refresh(state: State, given: str, now: Now) -> Object:
    """A non-rotating key returns no refresh token; a rotating one ends the old with the new."""
    if given not in _living_refresh_tokens(state):
        raise _Denied(403, "invalid_grant", "Unknown or invalid refresh token.")
    rotating = state.settings.rotate_refresh_tokens
    return _issue(state, now, _secret(state, "refresh") if rotating else "", given if rotating else "")


def _exchange(state: State, form: dict[str, str], now: Now) -> Object:
    if form.get("code") != state.settings.authorization_code:
        raise _Denied(403, "invalid_grant", "Invalid authorization code")
    if not form.get("redirect_uri"):
        raise _Denied(400, "invalid_request", "Missing required parameter: redirect_uri")
    return _issue(state, now, _secret(state, "refresh"), "")


def _issue(state: State, now: Now, refresh_token: str, revoked: str) -> Object:
    lifetime_s = state.settings.token_lifetime_s
    access_token = _secret(state, "access")
    reply: Object = {
        "access_token": access_token,
        "id_token": _secret(state, "id"),
        "token_type": "Bearer",
        "scope": SCOPE,
        "expires_in": int(lifetime_s),
    }
    if refresh_token:
        reply["refresh_token"] = refresh_token
    state.record(book.TokenIssued(access_token, now.machine_s + lifetime_s, refresh_token, revoked), now)
    return reply


def _living_refresh_tokens(state: State) -> set[str]:
    known = {state.settings.refresh_token, *state.ledger.refresh_tokens}
    return known - set(state.ledger.revoked_tokens)


def _secret(state: State, kind: str) -> str:
    """Never the same twice in one book, and the same again in a replayed simulation."""
    seed = f"{kind}:{state.settings.client_secret}:{state.ledger.tokens_issued}"
    return f"emulated-{kind}-{hashlib.sha256(seed.encode()).hexdigest()[:40]}"
