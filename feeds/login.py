"""Login: the one owner of a login's tokens in this connection: refreshes them, stores them, says when it cannot.

The token file is shared with other connections of the same login: it is read and refreshed only under its lock,
read again first, and written durably before a token is used or given (a rotating refresh token exists only once).
A refused login is a state, *login needed*, with one incident; it is tried again with back-off, for ever. Secrets
go into the file and to the venue, never into an error, a log or an event.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec

from brokers.errors import BrokerError, LoginRefused, Unavailable
from feeds.config import ConnectionConfig, Timing
from feeds.messages import LOGIN_NEEDED, LoginShown, Token
from feeds.venue import refreshed
from supervisor.errors import Refused, StoreFailed
from supervisor.process.world import World

RENEW_BEFORE_S = 60.0
"""A token this close to its expiry is given to nobody; the same as the callers' own limit (token.py)."""

REFRESH_EVERY_MIN_S = 10.0
"""The venue forbids a new token per request: one that it refuses so soon is not replaced by another at once."""

TRY_AGAIN_S = 1.0
TRY_AGAIN_MAX_S = 60.0
"""First and longest wait after a refresh that failed; doubled, with jitter, so that no two fall in step."""


class LoginFile(msgspec.Struct, frozen=True):
    """What we read of the token file. ``expires_s`` and ``renewed_s`` are machine time, ``signed_in_utc`` is the wall
    clock's. ``pkce``: signed in without a client secret, so none is sent. ``rotating``: whether a renewal replaces the
    refresh token, once that was seen. Other fields are kept as they are."""

    refresh_token: str = ""
    client_secret: str = ""
    access_token: str = ""
    expires_s: float = 0.0
    renewed_s: float = 0.0
    signed_in_utc: float = 0.0
    pkce: bool = False
    rotating: bool | None = None


class Login:
    """``read`` is all that others need; ``trouble`` is "" while all is well, otherwise why there is no token."""

    def __init__(self, world: World, config: ConnectionConfig, timing: Timing) -> None:
        self.world, self.config, self.timing = world, config, timing
        self.file = world.file(config.login_file)
        self.incident = f"login:{config.name}"
        self.token: Token | None = None
        self.facts = LoginFile()  # as last read or written, without its secrets
        self.refreshed_s = float("-inf")
        self.trouble = ""
        self.failures = 0
        self.try_again_s = 0.0

    def read(self, refused: str = "", *, margin_s: float = RENEW_BEFORE_S) -> Token:
        """A token valid for more than ``margin_s`` that is not ``refused``; raises ``Refused`` in words."""
        now_s = self.world.now_s()
        if usable(self.token, refused, now_s, margin_s):
            return self.token
        if now_s < self.try_again_s:
            return self._last_resort(refused, now_s)
        try:
            self.token = self._renewed(refused, margin_s)
        except LoginRefused as error:
            self._login_needed(f"{LOGIN_NEEDED}: {error}")
        except (BrokerError, StoreFailed) as error:
            self._failed(f"no token: {error}")
        else:
            self._well()
            return self.token
        return self._last_resort(refused, self.world.now_s())

    def forget(self) -> None:
        """The file was written by somebody else: it counts, and no back-off of what was before it."""
        self.token, self.try_again_s, self.failures, self.refreshed_s = None, 0.0, 0, float("-inf")

    def shown(self, renew_early_s: float) -> LoginShown:
        expires_s = self.token.expires_s if self.token else 0.0
        next_s = self.try_again_s if self.trouble else max(0.0, expires_s - renew_early_s)
        facts = self.facts
        return LoginShown(self.trouble, facts.renewed_s, expires_s, next_s, facts.rotating, facts.signed_in_utc)

    def _last_resort(self, refused: str, now_s: float) -> Token:
        """The last token, until it expires."""
        if usable(self.token, refused, now_s, 0.0):
            return self.token
        raise Refused(f"{self.trouble}; tried again in {max(0.0, self.try_again_s - now_s):.0f} s")

    # -- the refresh, under the file's lock ------------------------------------------------------------------

    def _renewed(self, refused: str, margin_s: float) -> Token:
        """Single flight: in this process by its one thread, among connections by the lock and reading again."""
        with self.file.locked(self.timing.http_limit_s + self.timing.connect_limit_s):
            content = self._content()
            login = parsed(content, self.config.login_file)
            self.facts = msgspec.structs.replace(login, refresh_token="", client_secret="", access_token="")
            stored = Token(login.access_token, login.expires_s)
            if login.access_token and usable(stored, refused, self.world.now_s(), margin_s):
                return stored
            return self._refreshed(content, login, refused)

    def _refreshed(self, content: dict[str, Any], login: LoginFile, refused: str) -> Token:
        age_s = self.world.now_s() - self.refreshed_s
        if refused and age_s < REFRESH_EVERY_MIN_S:
            raise Unavailable(f"the venue refuses a token that is {age_s:.0f} s old")
        asked_s = self.world.now_s()  # its life counts from before the request: never longer than the venue's count
        granted = refreshed(self.world, self.config, self.timing, *self._secrets(login))
        token = Token(granted.access_token, asked_s + granted.expires_in)
        rotated = {"refresh_token": granted.refresh_token} if granted.refresh_token else {}
        kept = {"access_token": token.access_token, "expires_s": token.expires_s, "renewed_s": asked_s}
        self.file.write(msgspec.json.encode(content | kept | rotated | {"rotating": bool(rotated)}))
        self.facts = msgspec.structs.replace(self.facts, renewed_s=asked_s, rotating=bool(rotated))
        self.refreshed_s = asked_s
        self.world.log.info("token renewed", life_s=granted.expires_in, rotated=bool(rotated))
        return token

    def _secrets(self, login: LoginFile) -> tuple[str, str]:
        """Client secret and refresh token. A secret laid out by whoever started us goes before the file's; a refresh
        token after it, for the file's is the newer one where they rotate."""
        secret = "" if login.pkce else self.world.secret(self.config.client_secret_name) or login.client_secret
        token = login.refresh_token or self.world.secret(self.config.refresh_token_name)
        if not token:
            raise LoginRefused(f"the token file {self.config.login_file} does not serve: no refresh_token; sign in")
        return secret, token

    def _content(self) -> dict[str, Any]:
        data = self.file.read()
        if data is None and self.world.secret(self.config.refresh_token_name):
            return {}
        if data is None:
            raise LoginRefused(f"the token file {self.config.login_file} is not there: sign in")
        if mode := self.file.shared():
            path = self.config.login_file
            raise LoginRefused(f"the token file {path} has mode {mode}, others may use it: not used; chmod 600 {path}")
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise LoginRefused(f"the token file {self.config.login_file} is not JSON: sign in again") from None

    # -- trouble ---------------------------------------------------------------------------------------------

    def _login_needed(self, why: str) -> None:
        if not self.trouble.startswith(LOGIN_NEEDED):
            name = self.config.name
            cure = f"mend that, or sign in with `nightdesk login {name}`"
            until = "What runs goes on with the token that it has, 20 minutes at most; then no feed or order works"
            text = f"{self.config.environment} {name}: {why}. To do: {cure}. {until}"
            self.world.event("connection.login_needed", "PAGE", text, incident=self.incident, opened=True)
        self._failed(why)

    def _failed(self, why: str) -> None:
        wait_s = min(TRY_AGAIN_MAX_S, TRY_AGAIN_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
        self.try_again_s = self.world.now_s() + wait_s * (0.5 + self.world.random() / 2)
        # Once known that a person must sign in, a network failure in between does not end that.
        if not self.trouble.startswith(LOGIN_NEEDED) or why.startswith(LOGIN_NEEDED):
            self.trouble = why
        self.world.log.warning("token refresh failed", why=why, failures=self.failures)

    def _well(self) -> None:
        if self.trouble.startswith(LOGIN_NEEDED):
            text = f"{self.config.environment} {self.config.name}: the login is accepted again"
            self.world.event("connection.login_accepted", "NOTIFY", text, incident=self.incident, resolved=True)
        self.trouble, self.failures, self.try_again_s = "", 0, 0.0


def parsed(content: dict[str, Any], path: str) -> LoginFile:
    try:
        return msgspec.convert(content, LoginFile)
    except msgspec.ValidationError as error:
        raise LoginRefused(f"the token file {path} does not serve: {error}") from None


def usable(token: Token | None, refused: str, now_s: float, margin_s: float) -> TypeGuard[Token]:
    """A stored token of an earlier boot can look fresh (machine time began anew); its first 401 unmasks it."""
    return token is not None and token.access_token != refused and token.expires_s - now_s > margin_s
