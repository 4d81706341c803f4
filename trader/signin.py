"""Signing in: the one answer of the venue's sign-in page, the exchange of its code, the token file. EDGE.

The code and the tokens go into the file and to the venue, never into an argument, a log or an error.
"""

from __future__ import annotations

import secrets
import socketserver
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

import msgspec

from brokers.errors import BadAnswer, LoginRefused
from brokers.tradestation import oauth
from feeds.config import ConnectionConfig, Timing
from feeds.venue import lent_http
from supervisor.process.clock import wall_utc
from supervisor.process.world import World
from trader.person import CommandWorld, login_content

CALLBACK_HOST = "127.0.0.1"
"""The only address that is listened on."""
IDLE_S = 5.0
"""A browser opens connections ahead and says nothing on them: such a one is left after this long."""
PAGE = b"<!doctype html><title>nightdesk</title><p>nightdesk has the answer. You can close this page.</p>"


class SignIn(msgspec.Struct, frozen=True):
    """One attempt: ``state`` ties the answer to it; ``verifier`` is "" but with PKCE."""

    redirect_uri: str
    state: str
    verifier: str = ""


class TimedOut(Exception):
    """Nobody signed in within the time."""


def new_sign_in(port: int, *, pkce: bool) -> SignIn:
    verifier = secrets.token_urlsafe(48) if pkce else ""
    return SignIn(f"http://localhost:{port}", secrets.token_urlsafe(24), verifier)


def page_url(config: ConnectionConfig, sign_in: SignIn) -> str:
    return oauth.authorize_url(
        config.signin_url, config.client_id, sign_in.redirect_uri, sign_in.state, sign_in.verifier
    )


# -- the answer ----------------------------------------------------------------------------------------------------


class _Answered(BaseHTTPRequestHandler):
    """One GET; its path holds the code, so nothing of it is logged."""

    timeout = IDLE_S

    def do_GET(self) -> None:
        cast(Callback, self.server).redirected = self.path
        self.send_response(200)
        for name, value in (("Content-Type", "text/html"), ("Content-Length", str(len(PAGE))), ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


class Callback(socketserver.TCPServer):
    """Listens for one request on 127.0.0.1 and is closed. Port 0 takes any free one."""

    allow_reuse_address = True
    redirected = ""

    def __init__(self, port: int) -> None:
        super().__init__((CALLBACK_HOST, port), _Answered)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def wait(self, limit_s: float) -> str:
        """The path that the browser was sent to. Raises ``TimedOut``."""
        until_s = time.monotonic() + limit_s
        while not self.redirected:
            self.timeout = until_s - time.monotonic()
            if self.timeout <= 0:
                raise TimedOut(f"nobody signed in within {limit_s:g} s")
            self.handle_request()
        return self.redirected

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is not the answer; the wait goes on."""


def code_in(pasted: str, sign_in: SignIn) -> str:
    """The code in what a person pasted: the whole address that the browser ended on, or the code alone (which carries
    no state; that it is theirs, the person vouches for)."""
    text = pasted.strip()
    if not text:
        raise LoginRefused("nothing was pasted")
    return oauth.code_of(text, sign_in.state) if "code=" in text or "error=" in text or "://" in text else text


# -- the tokens ----------------------------------------------------------------------------------------------------


def exchange(
    world: CommandWorld, config: ConnectionConfig, timing: Timing, sign_in: SignIn, code: str, secret: str
) -> None:
    """Code for tokens, and the token file written durably, under its lock. Raises ``BrokerError``, ``StoreFailed``."""
    request = oauth.exchange_request(
        config.signin_url, config.client_id, secret, code, sign_in.redirect_uri, sign_in.verifier
    )
    file = world.file(config.login_file)
    with file.locked(timing.http_limit_s + timing.connect_limit_s):
        asked_s = world.now_s()
        reply = lent_http(cast(World, world))(
            "POST", request.url, headers=request.headers, body=request.body, timeout_s=timing.http_limit_s
        )
        granted = oauth.granted(reply.status, reply.body)
        if not granted.refresh_token:
            raise BadAnswer("the venue gave no refresh token: is offline_access allowed for this key?")
        file.write(msgspec.json.encode(signed_in(_kept(world, config), granted, asked_s, wall_utc(), sign_in)))


def revoke(world: CommandWorld, config: ConnectionConfig, timing: Timing) -> None:
    """End all refresh tokens of the key; ours goes out of the token file. Raises ``BrokerError``, ``StoreFailed``."""
    file = world.file(config.login_file)
    with file.locked(timing.http_limit_s + timing.connect_limit_s):
        content = login_content(world, config) or {}
        token = str(content.get("refresh_token") or world.secret(config.refresh_token_name) or "")
        if not token:
            raise LoginRefused("nobody is signed in: there is no refresh token to revoke")
        secret = world.secret(config.client_secret_name) or str(content.get("client_secret", ""))
        request = oauth.revoke_request(
            config.signin_url, config.client_id, "" if content.get("pkce") else secret, token
        )
        reply = lent_http(cast(World, world))(
            "POST", request.url, headers=request.headers, body=request.body, timeout_s=timing.http_limit_s
        )
        oauth.check_revoked(reply.status, reply.body)
        ended = ("refresh_token", "access_token", "expires_s", "renewed_s", "signed_in_utc")
        file.write(msgspec.json.encode({name: value for name, value in content.items() if name not in ended}))


def _kept(world: CommandWorld, config: ConnectionConfig) -> dict[str, Any]:
    """What a person has written into the file stays, unless it is no file of ours."""
    try:
        return login_content(world, config) or {}
    except LoginRefused:
        return {}


def signed_in(
    content: dict[str, Any], granted: oauth.Granted, asked_s: float, now_utc: float, sign_in: SignIn
) -> dict[str, Any]:
    """The token file after a sign-in; whether the key rotates is not known before its first renewal."""
    kept = {name: value for name, value in content.items() if name != "rotating"}
    return kept | {
        "refresh_token": granted.refresh_token,
        "access_token": granted.access_token,
        "expires_s": asked_s + granted.expires_in,
        "renewed_s": asked_s,
        "signed_in_utc": now_utc,
        "pkce": bool(sign_in.verifier),
    }


def keep_secret(world: CommandWorld, config: ConnectionConfig, secret: str) -> None:
    """A client secret that a person typed, into the token file (0600)."""
    file = world.file(config.login_file)
    with file.locked(IDLE_S):
        file.write(msgspec.json.encode({**_kept(world, config), "client_secret": secret}))
