"""The checks of one connection at its venue: a dozen reads, with the desk's own code and the token that it has.

A token is renewed only if none lives, under the file's lock and written before it is used, as the desk would at its
start: so a rotating refresh token is not spent for a look. EDGE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from brokers.errors import BrokerError, LoginRefused, Unavailable
from brokers.tradestation.client import TradeStation
from feeds import paths
from feeds.config import ConnectionConfig, Timing
from feeds.login import Login
from feeds.messages import LOGIN_NEEDED, LoginShown, ReadLogin, Token
from feeds.venue import lent_http
from supervisor.control.client import Client
from supervisor.errors import CallFailed, HttpFailed, Refused, StoreFailed
from supervisor.process.clock import wall_utc
from supervisor.process.secrets import exposed, source_of
from supervisor.process.world import World
from trader.doctor import findings
from trader.doctor.findings import Finding
from trader.person import CommandWorld, login_content
from trader.sessions import Session
from trader.view import duration

ASK_LIMIT_S = 2.0
SHOWN = 160


def plain(error: Exception) -> str:
    """Libraries wrap one cause into several others and repeat the address: a person wants the last."""
    text = str(error)
    return text if len(text) <= SHOWN else text.rpartition(": ")[2].strip(" )'\"")[:SHOWN]


class VenueChecks:
    """``findings`` yields one after the other, and ends early where nothing more can be known."""

    def __init__(self, home: Path, config: ConnectionConfig, timing: Timing, sessions: Iterable[Session]) -> None:
        self.home, self.config, self.timing = home, config, timing
        self.sessions = [each for each in sessions if config.name in (each.connection, each.feeds_from)]
        self.traders = [each for each in self.sessions if each.connection == config.name]
        self.world = CommandWorld(home)
        self.login = Login(cast(World, self.world), config, timing)
        http = lent_http(cast(World, self.world))
        self.broker = TradeStation(config.api_url, http, self._token, timing.http_limit_s)
        self.running = self._ask_connection()

    def findings(self) -> Iterator[Finding]:
        for each in self._all():
            yield Finding(each.check, each.state, each.text, each.fix, self.config.name)

    def _all(self) -> Iterator[Finding]:
        secrets = self._secrets()
        yield secrets
        if secrets.state == "error":
            return
        reachable = self._reachable()
        yield reachable
        if reachable.state == "error":
            return
        token = self._login()
        yield token
        yield self._rotation()
        if token.state == "error":
            return
        yield from self._accounts()
        yield from self._symbols()
        yield findings.clock(self._offset_s())
        yield findings.quotas(reply.headers for _, reply in self.world.replies)

    # -- the login ---------------------------------------------------------------------------------------------------

    def _ask_connection(self) -> LoginShown | None:
        try:
            with Client(str(self.home)) as client:
                return client.call(ReadLogin(), timeout_s=ASK_LIMIT_S, to=paths.process(self.config.name))
        except CallFailed:
            return None  # nobody needs it now, or no desk runs

    def _secrets(self) -> Finding:
        path, fix = self.config.login_file, f"nightdesk login {self.config.name}"
        try:
            content = login_content(self.world, self.config)
            mode = self.world.file(path).shared() if content is not None else ""
        except (StoreFailed, LoginRefused) as error:
            return Finding("secrets", "error", str(error), fix)
        if mode:
            return Finding("secrets", "error", f"{path} has mode {mode}, others may use it", f"chmod 600 {path}")
        if shown := exposed(self.config.client_secret_name) or exposed(self.config.refresh_token_name):
            return Finding("secrets", "error", f"every user may read {shown}", f"chmod 600 {shown}")
        facts = content or {}
        token = path if facts.get("refresh_token") else source_of(self.config.refresh_token_name)
        if not token and self.running is not None and not self.running.trouble:
            return Finding("secrets", "ok", "the running desk has them; from here they are not to be seen")
        if not token:
            return Finding("login", "error", f"nobody is signed in: no refresh token in {path} or laid out", fix)
        secret = source_of(self.config.client_secret_name) or (path if facts.get("client_secret") else "")
        if not secret and not facts.get("pkce") and self.running is None:
            text = f"refresh token from {token}; no client secret is to be seen from here, which only PKCE goes without"
            return Finding("secrets", "warning", text, f"{fix} --ask-secret, or lay it out for the desk")
        told = f"client secret from {secret}" if secret and not facts.get("pkce") else "no client secret from here"
        return Finding("secrets", "ok", f"refresh token from {token}; {told}")

    def _reachable(self) -> Finding:
        url = self.config.signin_url
        try:
            reply = self.world.http("GET", url, headers={}, body=None, timeout_s=self.timing.http_limit_s)
        except HttpFailed as error:
            return Finding("sign-in host", "error", f"{url}: {plain(error)}", f"curl -sI {url}")
        return Finding("sign-in host", "ok", f"{url} answers ({reply.status})")

    def _login(self) -> Finding:
        fix = f"nightdesk login {self.config.name}"
        if self.running is not None and self.running.trouble.startswith(LOGIN_NEEDED):
            return Finding("login", "error", self.running.trouble, fix)
        try:
            token = self.login.read()
        except Refused as error:
            needed = str(error).startswith(LOGIN_NEEDED)
            return Finding("login" if needed else "token", "error", str(error), fix if needed else "nightdesk doctor")
        return Finding("login", "ok", self._token_text(token))

    def _token_text(self, token: Token) -> str:
        left = f"a token for {duration(token.expires_s - self.world.now_s())} more"
        if self.login.refreshed_s > 0:
            return f"{left}, renewed just now and stored, as the desk does at its start"
        return f"{left}, renewed {duration(max(0.0, self.world.now_s() - self.login.facts.renewed_s))} ago"

    def _rotation(self) -> Finding:
        facts, config = self.login.facts, self.config
        return findings.rotation(facts.rotating, config.environment, facts.signed_in_utc, wall_utc(), config.name)

    def _token(self, refused: str = "") -> str:
        try:
            return self.login.read(refused).access_token
        except Refused as error:
            if str(error).startswith(LOGIN_NEEDED):
                raise LoginRefused(str(error)) from error
            raise Unavailable(str(error), sent=False) from error

    # -- accounts, symbols -------------------------------------------------------------------------------------------

    def _accounts(self) -> Iterator[Finding]:
        try:
            accounts = self.broker.accounts()
        except BrokerError as error:
            yield self._failed("accounts", error)
            return
        yield Finding("accounts", "ok", ", ".join(f"{each.account} ({each.kind})" for each in accounts) or "none")
        for name in sorted({each.account for each in self.traders}):
            users = ", ".join(each.name for each in self.traders if each.account == name)
            known = findings.account(name, users, accounts)
            yield known
            if known.state != "error":
                yield self._books(name)

    def _books(self, account: str) -> Finding:
        try:
            read = self.broker.snapshot(account)
        except BrokerError as error:
            return self._failed("books", error)
        working = sum(order.working for order in read.orders)
        text = (
            f"{account}: {working} working orders, {len(read.positions)} positions, equity ${read.balance.equity_usd}"
        )
        return Finding("books", "ok", text)

    def _symbols(self) -> Iterator[Finding]:
        names = sorted({symbol for each in self.sessions for symbol in each.symbols})
        if not names:
            yield Finding("symbols", "skipped", "no session uses this connection yet", "nightdesk session add NAME ...")
        for name in names:
            yield self._looked_up("symbol", lambda name=name: findings.symbol(name, self.broker.instrument(name)))
            yield self._looked_up("data", lambda name=name: findings.data(self.broker.quotes([name])[0]))

    def _looked_up(self, check: str, look: Any) -> Finding:
        try:
            found: Finding = look()
        except BrokerError as error:
            return self._failed(check, error)
        return found

    def _failed(self, check: str, error: BrokerError) -> Finding:
        if isinstance(error, LoginRefused):
            return Finding("login", "error", str(error), f"nightdesk login {self.config.name}")
        fix = "nightdesk doctor, in a minute" if isinstance(error, Unavailable) else "the words say what; then again"
        return Finding(check, "error", f"{type(error).__name__}: {plain(error)}", fix)

    def _offset_s(self) -> float | None:
        """The smallest: a slow answer only adds to it."""
        told = [findings.offset_of(reply.headers.get("date", ""), at_utc) for at_utc, reply in self.world.replies]
        return min((each for each in told if each is not None), key=abs, default=None)
