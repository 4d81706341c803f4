"""The sign-in host: authorize, token, revoke; and the check that every API call passes. PURE.

Errors here have the Auth0 shape. Statuses are those of Auth0 (the venue's were never captured). The authorize page has
no page: whoever asks for it properly is signed in. The code given at start may be used again, those of the page once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import msgspec

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.bodies import BodyError, decoded
from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Code, Now, Reply, Request
from brokers.tradestation.emulator.wire import Object

SCOPE = "openid offline_access MarketData ReadAccount Trade"
SCOPES_BY_PATH = {"/v3/marketdata": "MarketData", "/v3/brokerage": "ReadAccount", "/v3/orderexecution": "Trade"}
AUDIENCE = "https://api.tradestation.com"
SIGNIN = "https://signin.tradestation.com"
CALLBACK_HOSTS = ("localhost", "127.0.0.1")
CODE_LIFETIME_S = 600.0  # Auth0's default
UNKNOWN_TOKEN = "Unknown or invalid refresh token."


class _Denied(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description
        self.reply = Reply(status, msgspec.json.encode({"error": error, "error_description": description}))


def answer(state: State, request: Request, now: Now) -> Reply | None:
    """None: this path is none of the sign-in host's."""
    act = _ACTS.get((request.method, request.path))
    if act is None:
        return None
    try:
        return act(state, request, now)
    except _Denied as denied:
        return denied.reply


def check(state: State, request: Request, now: Now) -> float:
    """When the token of the request expires. Raises Refusal(401) unless it carries one that lives."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    given = given.strip()
    if not scheme:
        scheme, given = "bearer", request.query.get("access_token", "")  # as the API before this one had it [client 1]
    expires_s = state.ledger.access_tokens.get(given) if scheme.lower() == "bearer" else None
    if expires_s is None or now.machine_s >= expires_s:
        raise Refusal(401, "Unauthorized", "The access token is missing, unknown or expired.")
    _check_scope(state, request, given)
    return expires_s


def _check_scope(state: State, request: Request, token: str) -> None:
    """Raises Refusal(403) where the sign-in did not ask for what this path needs. Which scope a path needs is read off
    its first part [infer]; the words are ours."""
    held = state.ledger.scopes.get(token, SCOPE).split()
    needed = next((scope for path, scope in SCOPES_BY_PATH.items() if request.path.startswith(path)), None)
    if needed is not None and needed not in held:
        raise Refusal(403, "Forbidden", f"The access token does not hold the scope {needed}.")


# Authorize


def _authorize(state: State, request: Request, now: Now) -> Reply:
    """Back to the caller's address with a code, or with what is wrong [spec for the names; Auth0 for the errors]."""
    asked = request.query
    if asked.get("client_id") != state.settings.client_id:
        raise _Denied(403, "invalid_request", f"Unknown client: {asked.get('client_id', '')}")
    callback = asked.get("redirect_uri", "")
    if not _is_local(callback):
        raise _Denied(403, "invalid_request", "Callback URL mismatch. It must be an http(s) address of localhost.")
    told: Object = {"state": asked["state"]} if "state" in asked else {}
    try:
        told["code"] = _new_code(state, asked, callback, now)
    except _Denied as denied:
        told |= {"error": denied.error, "error_description": denied.description}
    joint = "&" if "?" in callback else "?"
    return Reply(302, b"", "text/plain", {"location": f"{callback}{joint}{urlencode(told)}"})


def _is_local(address: str) -> bool:
    """Also as the audience: who was pointed here may have had all addresses of the venue changed."""
    try:
        where = urlsplit(address)
        return where.scheme in ("http", "https") and where.hostname in CALLBACK_HOSTS and where.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        return False


def _new_code(state: State, asked: dict[str, str], callback: str, now: Now) -> str:
    if asked.get("response_type") != "code":
        raise _Denied(400, "unsupported_response_type", f"Unsupported response type: {asked.get('response_type', '')}")
    if asked.get("audience") != AUDIENCE and not _is_local(asked.get("audience", "")):
        raise _Denied(400, "access_denied", f"Service not found: {asked.get('audience', '')}")
    scope = asked.get("scope", "")
    if "openid" not in scope.split():
        raise _Denied(400, "invalid_scope", "The scope openid is always needed")
    challenge = asked.get("code_challenge", "")
    if challenge and asked.get("code_challenge_method") != "S256":
        raise _Denied(400, "invalid_request", "code_challenge_method must be S256")
    code = _secret(state, f"code-{len(state.codes)}-{now.machine_s}")
    state.codes[code] = Code(callback, challenge, now.machine_s + CODE_LIFETIME_S, scope)
    return code


# Tokens


def _token(state: State, request: Request, now: Now) -> Reply:
    form, settings = {**_credentials(request), **_form(request)}, state.settings
    if form.get("client_id") != settings.client_id:
        raise _Denied(401, "invalid_client", "Unknown client.")
    if form.get("client_secret", settings.client_secret) != settings.client_secret:
        raise _Denied(401, "access_denied", "Unauthorized")
    grant = form.get("grant_type")
    if grant == "refresh_token":
        granted = _refresh(state, form.get("refresh_token", ""), now)
    elif grant == "authorization_code":
        granted = _exchange(state, form, now)
    else:
        raise _Denied(403, "unsupported_grant_type", f"Unsupported grant type: {grant or '(none)'}")
    return Reply(200, msgspec.json.encode(granted))


def _refresh(state: State, given: str, now: Now) -> Object:
    """A fixed key returns no refresh token; a rotating one ends the old with the new [spec]."""
    ledger, switches = state.ledger, state.switches
    if given not in {state.settings.refresh_token, *ledger.refresh_tokens}:
        raise _Denied(403, "invalid_grant", UNKNOWN_TOKEN)
    replaced_s = ledger.replaced_s.get(given, float("-inf"))
    if given in ledger.revoked_tokens and now.machine_s - replaced_s >= switches.refresh_grace_s:
        raise _Denied(403, "invalid_grant", UNKNOWN_TOKEN)
    scope = ledger.scopes.get(given, SCOPE)
    if not state.settings.rotate_refresh_tokens:
        return _issue(state, now, scope=scope)
    life = ledger.refresh_lives.get(given) or book.RefreshLife(now.machine_s, now.machine_s)
    too_old = now.machine_s >= life.signed_in_s + switches.refresh_absolute_s > life.signed_in_s
    unused = now.machine_s >= life.issued_s + switches.refresh_lifetime_s > life.issued_s
    if too_old or unused:
        raise _Denied(403, "invalid_grant", UNKNOWN_TOKEN)
    return _issue(state, now, _secret(state, "refresh"), revoked=given, signed_in_s=life.signed_in_s, scope=scope)


def _exchange(state: State, form: dict[str, str], now: Now) -> Object:
    if not form.get("redirect_uri"):
        raise _Denied(400, "invalid_request", "Missing required parameter: redirect_uri")
    given = form.get("code", "")
    scope = SCOPE
    if given != state.settings.authorization_code:
        scope = _used_code(state, given, form, now).scope
    refresh_token = _secret(state, "refresh") if "offline_access" in scope.split() else ""
    return _issue(state, now, refresh_token, scope=scope)


def _used_code(state: State, given: str, form: dict[str, str], now: Now) -> Code:
    code = state.codes.pop(given, None)
    if code is None or now.machine_s >= code.expires_s or code.redirect_uri != form["redirect_uri"]:
        raise _Denied(403, "invalid_grant", "Invalid authorization code")
    if code.challenge and _challenge(form.get("code_verifier", "")) != code.challenge:
        raise _Denied(403, "invalid_grant", "Failed to verify code verifier")
    if not code.challenge and "client_secret" not in form:
        raise _Denied(401, "access_denied", "Unauthorized")
    return code


def _challenge(verifier: str) -> str:
    """S256 of RFC 7636."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _issue(
    state: State,
    now: Now,
    refresh_token: str = "",
    *,
    revoked: str = "",
    signed_in_s: float | None = None,
    scope: str = SCOPE,
) -> Object:
    lifetime_s = state.settings.token_lifetime_s
    access_token = _jwt(state, now, "access", {"aud": AUDIENCE, "azp": state.settings.client_id, "scope": scope})
    reply: Object = {
        "access_token": access_token,
        "id_token": _jwt(
            state, now, "id", {"aud": state.settings.client_id, "name": "Demo", "email": "demo@localhost"}
        ),
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": int(lifetime_s),
    }
    if refresh_token:
        reply["refresh_token"] = refresh_token
    life = book.RefreshLife(now.machine_s if signed_in_s is None else signed_in_s, now.machine_s)
    told_scope = "" if scope == SCOPE else scope
    event = book.TokenIssued(access_token, now.machine_s + lifetime_s, refresh_token, revoked, life, told_scope)
    state.record(event, now)
    return reply


# Revoke, log out


def _revoke(state: State, request: Request, now: Now) -> Reply:
    """One refresh token ends all of the key [spec]; access tokens live on until they expire. The parameter is called
    ``refresh_token`` in the table and ``token`` in the sample [spec]; form and JSON are both taken."""
    form = _form(request)
    given = form.get("token") or form.get("refresh_token", "")
    if not given:
        raise _Denied(400, "invalid_request", "Missing required parameter: token")
    known = {state.settings.refresh_token, *state.ledger.refresh_tokens}
    if given in known:
        state.record(book.RefreshRevoked(tuple(sorted(known))), now)
    return Reply(200, b"")


def _logout(state: State, request: Request, now: Now) -> Reply:
    """Does not invalidate tokens [spec 2026-09]."""
    return Reply(200, b"OK", "text/plain")


def _credentials(request: Request) -> dict[str, str]:
    """Client id and secret in the header: what many libraries of OAuth do unasked. The venue documents the body only
    [infer]."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError as error:
        raise _Denied(401, "invalid_client", "The header Authorization is not Basic with an id and a secret") from error
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


def _form(request: Request) -> dict[str, str]:
    """A ``null`` is a parameter that is not there."""
    if request.headers.get("content-type", "").lower().startswith("application/json"):
        try:
            body: dict[str, str | None] = decoded(request.body, dict[str, str | None])
        except BodyError as error:
            raise _Denied(400, "invalid_request", f"the body is not an object of texts: {error}") from error
        return {name: value for name, value in body.items() if value is not None}
    return {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}


def _jwt(state: State, now: Now, kind: str, claims: Object) -> str:
    """A token in the form of the venue's, which clients take apart to read its end; its key is the client's secret."""
    told = {
        "iss": f"{SIGNIN}/",
        "sub": "auth0|demo",
        "iat": int(now.machine_s),
        "exp": int(now.machine_s + state.settings.token_lifetime_s),
        "jti": _secret(state, kind),
        **claims,
    }
    parts = [_base64url(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, told)]
    signed = hmac.digest(state.settings.client_secret.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signed)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _secret(state: State, kind: str) -> str:
    """Never the same twice in one book, and the same again in a replayed simulation."""
    seed = f"{kind}:{state.settings.client_secret}:{state.ledger.tokens_issued}"
    return f"emulated-{kind.split('-')[0]}-{hashlib.sha256(seed.encode()).hexdigest()[:40]}"


_ACTS = {
    ("GET", "/authorize"): _authorize,
    ("POST", "/oauth/token"): _token,
    ("POST", "/sim/oauth/token"): _token,  # where one client looks for SIM's [client 1]
    ("POST", "/oauth/revoke"): _revoke,
    ("GET", "/v2/logout"): _logout,
}
