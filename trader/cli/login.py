"""`nightdesk login`: a person signs in at the broker, and the running desk goes on with it."""

from __future__ import annotations

import getpass
import sys
import time
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from brokers.errors import BrokerError, LoginRefused
from brokers.tradestation.oauth import ROTATING_LIFE_S
from feeds import paths
from feeds.config import ConnectionConfig
from feeds.messages import LoginShown, ReadLogin, TakeLogin
from supervisor.control.client import Client
from supervisor.errors import CallFailed, StoreFailed
from supervisor.process.clock import wall_utc
from trader.cli.common import BadUsage, Failed, LoginNeeded, as_json, home_of, print_json
from trader.cli.main import home_option
from trader.cli.stored import config_of
from trader.config import DeskConfig
from trader.person import CommandWorld, login_content
from trader.signin import Callback, SignIn, TimedOut, code_in, exchange, keep_secret, new_sign_in, page_url
from trader.signin import revoke as end_tokens
from trader.view import duration

ASK_LIMIT_S = 2.0
TAKE_LIMIT_S = 25.0
"""The connection may have to renew the token while we ask."""


@click.command()
@click.argument("connection", required=False)
@click.option("--status", "show", is_flag=True, help="Show each login's state, without secrets; change nothing.")
@click.option("--revoke", is_flag=True, help="End ALL refresh tokens of this key, also other programs'; sign in again.")
@click.option("--paste", is_flag=True, help="No callback: paste the address that the browser ends on (headless).")
@click.option("--pkce", is_flag=True, help="Sign in without a client secret; also where none is found.")
@click.option(
    "--ask-secret", is_flag=True, help="Ask for the client secret (stdin when piped); kept in the login file."
)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of the callback.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--timeout", "limit_s", type=click.FloatRange(1.0), default=300.0, show_default=True, help="Seconds.")
@as_json
@home_option
@click.pass_context
def login(
    context: click.Context,
    connection: str | None,
    show: bool,
    revoke: bool,
    paste: bool,
    pkce: bool,
    ask_secret: bool,
    port: int,
    no_browser: bool,
    limit_s: float,
    as_json: bool,
    home: str | None,
) -> None:
    """Sign in for CONNECTION of nightdesk.toml (default: its first), and for all that share its login.

    \b
    nightdesk login                 opens the browser, waits for its answer on 127.0.0.1
    nightdesk login --paste         on a server: open the address elsewhere, paste what it ends on
    nightdesk login --status        who is signed in, since when, and when the token is renewed
    nightdesk login --revoke        sign out everywhere: a token fell into wrong hands
    """
    folder = home_of(context, home)
    config = config_of(folder)
    chosen = _chosen(config, connection)
    if show:
        _status(folder, config, chosen.login_file if connection else "", as_json)
        return
    world = CommandWorld(folder)
    if revoke:
        _revoke(folder, config, chosen, world, as_json)
        return
    try:
        if ask_secret:
            keep_secret(world, chosen, _typed_secret())
        secret = "" if pkce else _secret(world, chosen)
        sign_in, code = _answer(chosen, port, limit_s, paste=paste, pkce=not secret, browse=not no_browser)
        exchange(world, chosen, config.timing, sign_in, code, secret)
    except TimedOut as error:
        raise LoginNeeded(f"{error}; nothing was changed") from error
    except LoginRefused as error:
        raise LoginNeeded(f"the sign-in was refused: {error}. The login file is as it was") from error
    except (BrokerError, StoreFailed) as error:
        raise Failed(f"not signed in: {error}") from error
    taken = _hand_over(folder, config, chosen)
    if as_json:
        print_json({"connection": chosen.name, "login_file": chosen.login_file, "taken_up_by": taken})
        return
    click.echo(f"● signed in: {chosen.environment} {chosen.name}, kept in {chosen.login_file} (0600)", err=True)
    told = f"taken up by {', '.join(taken)}" if taken else "no running connection uses it; it is read at the next start"
    click.echo(f"  {told}", err=True)


def _revoke(home: Path, config: DeskConfig, chosen: ConnectionConfig, world: CommandWorld, as_json: bool) -> None:
    """The running connections read the file at once and page: they go on with what access token they have."""
    try:
        end_tokens(world, chosen, config.timing)
    except LoginRefused as error:
        raise LoginNeeded(f"not revoked: {error}. The login file is as it was") from error
    except (BrokerError, StoreFailed) as error:
        raise Failed(f"not revoked: {error}. Whether the venue did it is not known; try again") from error
    told = _hand_over(home, config, chosen)
    if as_json:
        print_json({"connection": chosen.name, "login_file": chosen.login_file, "taken_up_by": told})
        return
    text = f"● revoked: all refresh tokens of the key of {chosen.environment} {chosen.name}; its access tokens end by"
    click.echo(f"{text} themselves within 20 minutes", err=True)
    click.echo(f"  → nightdesk login {chosen.name}", err=True)


def _chosen(config: DeskConfig, name: str | None) -> ConnectionConfig:
    if name is not None and name not in config.connections:
        raise BadUsage(
            f"no connection is called {name!r} in nightdesk.toml (there are: {', '.join(config.connections)})"
        )
    return config.connections[name or next(iter(config.connections))]


def _typed_secret() -> str:
    """No echo on a terminal; piped, the first line."""
    typed = getpass.getpass("client secret: ", sys.stderr) if sys.stdin.isatty() else sys.stdin.readline()
    if not typed.strip():
        raise BadUsage("no client secret was given")
    return typed.strip()


def _secret(world: CommandWorld, chosen: ConnectionConfig) -> str:
    """Laid out by whoever started us, else the file's; "" where there is none: then it is PKCE."""
    try:
        content = login_content(world, chosen) or {}
    except LoginRefused:
        content = {}  # it is about to be written anew
    found = world.secret(chosen.client_secret_name) or str(content.get("client_secret", ""))
    if not found:
        click.echo("no client secret is laid out: signing in with PKCE", err=True)
    return found


def _answer(
    chosen: ConnectionConfig, port: int, limit_s: float, *, paste: bool, pkce: bool, browse: bool
) -> tuple[SignIn, str]:
    sign_in = new_sign_in(port, pkce=pkce)
    url = page_url(chosen, sign_in)
    if paste:
        click.echo(
            f"Open this address, sign in, then paste the address that the browser ends on:\n\n  {url}\n", err=True
        )
        return sign_in, code_in(sys.stdin.readline(), sign_in)
    try:
        with Callback(port) as callback:
            click.echo(f"Open this address on this machine and sign in ({limit_s:g} s):\n\n  {url}\n", err=True)
            if browse and sys.stderr.isatty():
                webbrowser.open(url)
            return sign_in, code_in(f"http://localhost{callback.wait(limit_s)}", sign_in)
    except OSError as error:
        raise Failed(f"port {port} cannot be listened on: {error}. Give another --port, or --paste") from error


def _hand_over(home: Path, config: DeskConfig, chosen: ConnectionConfig) -> list[str]:
    """All running connections of this login read the file now."""
    taken: list[str] = []
    with Client(str(home)) as client:
        for each in config.connections.values():
            if each.login_file == chosen.login_file and _told(client, each.name, TakeLogin(), TAKE_LIMIT_S) is not None:
                taken.append(each.name)
    return taken


def _told(client: Client, name: str, request: Any, limit_s: float) -> LoginShown | None:
    try:
        return client.call(request, timeout_s=limit_s, to=paths.process(name))  # type: ignore[no-any-return]
    except CallFailed:
        return None  # nobody needs it, or no desk runs: the file is what there is


# -- status --------------------------------------------------------------------------------------------------------


class LoginState(msgspec.Struct, frozen=True):
    """A login as `--status` shows it. Seconds from now; None where it is not known."""

    connections: tuple[str, ...]
    login_file: str
    trouble: str
    running: bool
    signed_in_utc: float | None
    rotating: bool | None
    token_age_s: float | None
    token_left_s: float | None
    next_renewal_s: float | None
    sign_in_left_s: float | None


def login_states(home: Path, config: DeskConfig) -> list[LoginState]:
    by_file: dict[str, list[ConnectionConfig]] = {}
    for each in config.connections.values():
        by_file.setdefault(each.login_file, []).append(each)
    with Client(str(home)) as client:
        return [_state(CommandWorld(home), client, users) for users in by_file.values()]


def _state(world: CommandWorld, client: Client, users: list[ConnectionConfig]) -> LoginState:
    config, trouble, content = users[0], "", None
    try:
        content = login_content(world, config)
        if content is not None and (mode := world.file(config.login_file).shared()):
            trouble = f"the token file has mode {mode}; chmod 600 {config.login_file}"
    except (StoreFailed, LoginRefused) as error:
        trouble = str(error)
    facts = content or {}
    if not trouble and not (facts.get("refresh_token") or world.secret(config.refresh_token_name)):
        trouble = "nobody is signed in"
    shown = next(filter(None, (_told(client, each.name, ReadLogin(), ASK_LIMIT_S) for each in users)), None)
    now_s, now_utc = time.monotonic(), wall_utc()
    signed_in_utc = float(facts.get("signed_in_utc", 0.0)) or None
    rotating = facts.get("rotating")
    left_s = float(facts.get("expires_s", 0.0)) - now_s
    known = bool(facts.get("access_token")) and 0.0 < left_s <= 1200.0
    renewed_s = float(facts.get("renewed_s", 0.0))
    return LoginState(
        connections=tuple(each.name for each in users),
        login_file=config.login_file,
        trouble=shown.trouble if shown is not None and shown.trouble else trouble,
        running=shown is not None,
        signed_in_utc=signed_in_utc,
        rotating=rotating,
        token_age_s=max(0.0, now_s - renewed_s) if known and renewed_s else None,
        token_left_s=left_s if known else None,
        next_renewal_s=max(0.0, shown.next_renewal_s - now_s) if shown is not None else None,
        sign_in_left_s=signed_in_utc + ROTATING_LIFE_S - now_utc if rotating and signed_in_utc else None,
    )


def _status(home: Path, config: DeskConfig, login_file: str, as_json: bool) -> None:
    """Of one login, or of all where none is named."""
    states = [each for each in login_states(home, config) if login_file in ("", each.login_file)]
    if as_json:
        print_json({"logins": states})
    else:
        for each in states:
            for line in _lines(each):
                click.echo(line)
    if any(each.trouble for each in states):
        sys.exit(LoginNeeded.exit_code)


def _lines(state: LoginState) -> list[str]:
    names = ", ".join(state.connections)
    lines = [f"{'✖' if state.trouble else '●'} {state.login_file}  ({names})  {state.trouble or 'signed in'}"]
    if state.signed_in_utc is not None:
        since = datetime.fromtimestamp(state.signed_in_utc, UTC).strftime("%Y-%m-%d %H:%M UTC")
        lines.append(f"    signed in      {since}, {duration(wall_utc() - state.signed_in_utc)} ago")
    rotating = {None: "not known before the first renewal", True: "yes", False: "no"}[state.rotating]
    lines.append(f"    key rotates    {rotating}")
    if state.sign_in_left_s is not None:
        left = f"in {duration(state.sign_in_left_s)}" if state.sign_in_left_s > 0 else "now"
        lines.append(f"    sign in again  {left}: a rotating key lives a day")
    age = f"renewed {duration(state.token_age_s)} ago" if state.token_age_s is not None else "none that lives"
    left = f", valid for {duration(state.token_left_s)}" if state.token_left_s is not None else ""
    lines.append(f"    access token   {age}{left}")
    when = f"in {duration(state.next_renewal_s)}" if state.next_renewal_s is not None else "by a connection that runs"
    lines.append(f"    next renewal   {when}{'' if state.running else '; none uses this login now'}")
    if state.trouble:
        lines.append(f"    → nightdesk login {state.connections[0]}")
    return lines
