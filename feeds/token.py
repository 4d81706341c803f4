"""Tokens: how feeds, books and account managers come by an access token. Knows the connection's name, no venue.

Asked for at start, 60 s before expiry and after a 401; the last one is used until it expires, connection up or not.
No token is ever logged.
"""

from __future__ import annotations

from brokers.errors import LoginRefused, Unavailable
from feeds import paths
from feeds.config import ConnectionConfig, Timing
from feeds.messages import LOGIN_NEEDED, ReadToken, Token
from supervisor.errors import CallFailed, Refused
from supervisor.process.world import World

RENEW_BEFORE_S = 60.0
"""Of machine time before expiry: a token in use never runs out while a request is under way."""

ASK_AGAIN_S = 5.0
"""While an old token still serves, a connection that does not answer is not asked more often than this."""


class Tokens:
    """A ``brokers.broker.TokenSource`` for one process."""

    def __init__(self, world: World, config: ConnectionConfig, timing: Timing) -> None:
        self.world = world
        self.connection = paths.process(config.name)
        self.timeout_s = timing.http_limit_s + timing.connect_limit_s  # the connection may have to refresh it first
        self.token: Token | None = None
        self.not_asked_until_s = 0.0

    def __call__(self, refused: str = "") -> str:
        """A token, not ``refused``. ``LoginRefused``: a person must sign in. ``Unavailable``: not to be had now."""
        token = self.token
        now_s = self.world.now_s()
        if token is None or token.access_token == refused or token.expires_s <= now_s:
            return self._ask(refused)
        if token.expires_s - now_s <= RENEW_BEFORE_S and now_s >= self.not_asked_until_s:
            return self._ask_early(token)
        return token.access_token

    @property
    def current(self) -> str:
        """The last token given, "" if there was none."""
        return self.token.access_token if self.token else ""

    def _ask(self, refused: str) -> str:
        try:
            self.token = self.world.call(self.connection, ReadToken(refused), timeout_s=self.timeout_s)
        except Refused as error:
            if str(error).startswith(LOGIN_NEEDED):
                raise LoginRefused(str(error)) from error
            raise Unavailable(str(error), sent=False) from error
        except CallFailed as error:
            raise Unavailable(f"no token: {error}", sent=False) from error
        return self.token.access_token

    def _ask_early(self, token: Token) -> str:
        try:
            return self._ask("")
        except (LoginRefused, Unavailable) as error:
            self.not_asked_until_s = self.world.now_s() + ASK_AGAIN_S
            self.world.log.warning("no new token; the last one is used until it expires", error=str(error))
            return token.access_token
