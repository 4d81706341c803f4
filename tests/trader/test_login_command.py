"""`nightdesk login`: a browser's answer on 127.0.0.1, or a pasted one, becomes a token file; what `--status` shows."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from brokers.errors import LoginRefused
from brokers.tradestation.oauth import challenge
from tests.brokers import golden
from tests.trader.scripted_venue import ScriptedVenue
from trader.signin import Callback, SignIn, TimedOut, code_in

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("very-secret", "refresh-1", "refresh-2", "eyJ.new", "the-code", "from-the-environment")
LIMIT_S = 30.0


class Home:
    def __init__(self, folder: Path, venue: ScriptedVenue) -> None:
        self.folder, self.venue = folder, venue
        self.file = folder / "login.json"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTDESK")}
        connection = (
            f'api_url = "{venue.url}"\nsignin_url = "{venue.url}"\nclient_id = "me"\nlogin_file = "login.json"\n'
        )
        (folder / "nightdesk.toml").write_text(f"[connections.sim]\n{connection}[connections.more]\n{connection}")

    def write(self, mode: int = 0o600, **content: object) -> None:
        self.file.write_text(json.dumps(content))
        self.file.chmod(mode)

    @property
    def stored(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.file.read_text())
        return content

    def command(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "trader.cli", "--home", str(self.folder), "login", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *words: str, typed: str = "") -> tuple[int, str]:
        done = self.command(*words)
        out, err = done.communicate(typed, timeout=LIMIT_S)
        assert not [secret for secret in SECRETS if secret in out + err]
        return done.returncode, out + err

    def paste(self, *words: str, answer: str = "http://localhost:3000/?code=the-code&state={state}") -> tuple[int, str]:
        """As a person does it: reads the address, signs in elsewhere, pastes where the browser ended."""
        done = self.command("--paste", *words)
        assert done.stderr is not None
        shown = ""
        while "/authorize?" not in shown:
            line = done.stderr.readline()
            assert line, "no address was shown"
            shown += line
        self.page = query_of(shown)
        out, err = done.communicate(answer.format(state=self.page["state"]) + "\n", timeout=LIMIT_S)
        assert not [secret for secret in SECRETS if secret in shown + out + err]
        return done.returncode, shown + out + err


def free_port() -> int:
    """Nobody's, and below those that the kernel gives to others' connections meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def query_of(shown: str) -> dict[str, str]:
    found = re.search(r"\S+/authorize\?\S+", shown)
    assert found
    return {name: values[0] for name, values in parse_qs(urlsplit(found.group()).query).items()}


@pytest.fixture
def venue() -> Iterator[ScriptedVenue]:
    made = ScriptedVenue()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, venue: ScriptedVenue) -> Home:
    return Home(tmp_path, venue)


# -- signing in ----------------------------------------------------------------------------------------------------


def test_a_pasted_address_becomes_a_token_file(home: Home) -> None:
    home.write(client_secret="very-secret", comment="mine")
    code, told = home.paste()
    assert code == 0, told
    assert home.venue.forms == [
        {
            "grant_type": "authorization_code",
            "client_id": "me",
            "client_secret": "very-secret",
            "code": "the-code",
            "redirect_uri": "http://localhost:3000",
        }
    ]
    assert "offline_access" in home.page["scope"].split()
    assert (home.page["response_type"], home.page["audience"]) == ("code", "https://api.tradestation.com")
    kept = home.stored
    assert (kept["refresh_token"], kept["access_token"], kept["pkce"]) == ("refresh-2", "eyJ.new", False)
    assert (kept["client_secret"], kept["comment"]) == ("very-secret", "mine")
    assert abs(kept["signed_in_utc"] - time.time()) < LIMIT_S
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o600


def test_without_a_secret_it_is_pkce(home: Home) -> None:
    code, told = home.paste()
    assert code == 0, told
    (form,) = home.venue.forms
    assert "client_secret" not in form
    assert home.page["code_challenge_method"] == "S256"
    assert home.page["code_challenge"] == challenge(form["code_verifier"])
    assert 43 <= len(form["code_verifier"]) <= 128
    assert home.stored["pkce"] is True


def test_pkce_can_be_asked_for_though_there_is_a_secret(home: Home) -> None:
    home.write(client_secret="very-secret")
    home.paste("--pkce")
    assert "client_secret" not in home.venue.forms[0]


def test_a_secret_of_the_environment_is_used_and_not_stored(home: Home) -> None:
    home.environment["NIGHTDESK_CLIENT_SECRET"] = "from-the-environment"
    home.paste()
    assert home.venue.forms[0]["client_secret"] == "from-the-environment"
    assert "client_secret" not in home.stored


def test_a_credential_of_systemd_goes_before_the_environment(home: Home, tmp_path: Path) -> None:
    (tmp_path / "nightdesk.client_secret").write_text("very-secret\n")
    home.environment |= {"NIGHTDESK_CLIENT_SECRET": "other", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    home.paste()
    assert home.venue.forms[0]["client_secret"] == "very-secret"


def test_a_typed_secret_comes_by_stdin_and_is_kept(home: Home) -> None:
    code, _ = home.run("--paste", "--ask-secret", typed="very-secret\nthe-code\n")
    assert code == 0
    assert home.venue.forms[0]["client_secret"] == "very-secret"
    assert home.stored["client_secret"] == "very-secret"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("http://localhost:3000/?code=the-code&state=forged", "another state"),
        ("http://localhost:3000/?code=the-code", "another state"),
        ("http://localhost:3000/?error=access_denied&error_description=No&state={state}", "access_denied: No"),
        ("http://localhost:3000/?state={state}", "no code"),
        ("", "nothing was pasted"),
    ],
)
def test_an_answer_that_is_not_ours_or_a_no_changes_nothing(home: Home, answer: str, why: str) -> None:
    home.write(client_secret="very-secret", refresh_token="refresh-1")
    before = home.file.read_bytes()
    code, told = home.paste(answer=answer)
    assert code == 8
    assert why in told
    assert (home.file.read_bytes(), home.venue.forms) == (before, [])


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [
        ((403, golden.INVALID_GRANT), 8, "invalid_grant"),
        ((503, b""), 1, "HTTP 503"),
        ((200, golden.TOKEN), 1, "no refresh token"),
        ((200, b"<html>"), 1, "no token"),
    ],
)
def test_a_code_that_the_venue_does_not_take_changes_nothing(
    home: Home, answer: tuple[int, bytes], code: int, why: str
) -> None:
    home.write(client_secret="very-secret", refresh_token="refresh-1")
    before = home.file.read_bytes()
    home.venue.answers["POST /oauth/token"] = answer
    returned, told = home.paste()
    assert returned == code
    assert why in told
    assert home.file.read_bytes() == before


def test_the_browsers_answer_on_127_0_0_1_is_taken(home: Home) -> None:
    home.write(client_secret="very-secret")
    port = free_port()
    done = home.command("--port", str(port), "--no-browser")
    assert done.stderr is not None
    shown = ""
    while "/authorize?" not in shown:
        shown += done.stderr.readline()
    page = query_of(shown)
    assert page["redirect_uri"] == f"http://localhost:{port}"
    answer = f"http://127.0.0.1:{port}/?code=the-code&state={page['state']}"
    assert b"close this page" in urllib.request.urlopen(answer, timeout=10).read()
    _, err = done.communicate(timeout=LIMIT_S)
    assert done.returncode == 0, err
    assert "the-code" not in shown + err
    assert home.stored["refresh_token"] == "refresh-2"


def test_nobody_who_signs_in_is_login_needed(home: Home) -> None:
    code, told = home.run("--port", str(free_port()), "--no-browser", "--timeout", "1")
    assert code == 8
    assert "nobody signed in within 1 s" in told


def test_an_unknown_connection_is_a_mistake_of_usage(home: Home) -> None:
    code, told = home.run("nobody")
    assert (code, "there are: sim, more" in told) == (2, True)


# -- the callback --------------------------------------------------------------------------------------------------


def test_a_connection_that_says_nothing_is_not_the_answer() -> None:
    """Browsers open some ahead."""
    with Callback(0) as callback:
        with socket.create_connection(("127.0.0.1", callback.port)) as idle:
            idle.close()
        said = threading.Thread(
            target=lambda: urllib.request.urlopen(f"http://127.0.0.1:{callback.port}/?code=c&state=s", timeout=10)
        )
        said.start()
        assert callback.wait(10.0) == "/?code=c&state=s"
        said.join()
        assert callback.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", callback.port), timeout=1)


def test_the_callback_has_a_limit() -> None:
    with Callback(0) as callback, pytest.raises(TimedOut):
        callback.wait(0.1)


def test_a_bare_code_is_taken_as_it_is() -> None:
    assert code_in(" abc-123\n", SignIn("http://localhost:3000", "s")) == "abc-123"
    with pytest.raises(LoginRefused):
        code_in("?code=abc-123&state=t", SignIn("http://localhost:3000", "s"))


# -- --status ------------------------------------------------------------------------------------------------------


def test_status_of_a_login_that_is_not_there_is_login_needed(home: Home) -> None:
    code, told = home.run("--status")
    assert code == 8
    assert "nobody is signed in" in told
    assert "→ nightdesk login sim" in told


def test_status_tells_age_and_rotation_and_no_secret(home: Home) -> None:
    now_s = time.monotonic()
    home.write(
        client_secret="very-secret", refresh_token="refresh-1", access_token="eyJ.new", expires_s=now_s + 600.0,
        renewed_s=now_s - 600.0, signed_in_utc=time.time() - 7200.0, rotating=True,
    )  # fmt: skip
    code, told = home.run("--status")
    assert code == 0
    assert "(sim, more)" in told
    assert "renewed 10m" in told
    assert "sign in again  in 21h59m" in told
    shown = json.loads(home.run("--status", "--json")[1])["logins"][0]
    assert (shown["connections"], shown["rotating"], shown["running"]) == (["sim", "more"], True, False)
    assert 600.0 - (time.monotonic() - now_s) < shown["token_left_s"] <= 600.0


def test_status_of_a_connection_that_there_is_not_is_refused_and_of_one_is_that_logins(home: Home) -> None:
    home.write(refresh_token="refresh-1")
    code, told = home.run("nobody", "--status")
    assert (code, "no connection is called 'nobody'" in told) == (2, True)
    assert home.run("more", "--status") == home.run("--status")


def test_status_of_a_file_that_others_may_read_is_login_needed(home: Home) -> None:
    home.write(0o644, refresh_token="refresh-1")
    code, told = home.run("--status")
    assert (code, "chmod 600 login.json" in told) == (8, True)


def test_status_of_an_earlier_boot_does_not_boast_of_its_token(home: Home) -> None:
    home.write(refresh_token="refresh-1", access_token="eyJ.new", expires_s=time.monotonic() + 9e6)
    code, told = home.run("--status")
    assert (code, "none that lives" in told) == (0, True)


# -- revoking ------------------------------------------------------------------------------------------------------


def test_revoking_ends_the_refresh_token_and_keeps_the_rest_of_the_file(home: Home) -> None:
    home.venue.answers["POST /oauth/revoke"] = (200, b"")
    home.write(client_secret="very-secret", comment="mine", refresh_token="refresh-1", access_token="eyJ.new")
    code, told = home.run("--revoke")
    assert (code, "all refresh tokens" in told) == (0, True)
    assert home.venue.forms == [{"client_id": "me", "client_secret": "very-secret", "token": "refresh-1"}]
    assert home.stored == {"client_secret": "very-secret", "comment": "mine"}
    assert home.run("--status")[0] == 8


@pytest.mark.parametrize(
    ("answer", "code"),
    [((403, b'{"error":"invalid_client","error_description":"no"}'), 8), ((503, b""), 1), ((200, b""), 0)],
)
def test_what_is_not_revoked_stays(home: Home, answer: tuple[int, bytes], code: int) -> None:
    home.venue.answers["POST /oauth/revoke"] = answer
    home.write(client_secret="very-secret", refresh_token="refresh-1")
    assert home.run("--revoke", "--json")[0] == code
    assert ("refresh_token" in home.stored) == (code != 0)


def test_where_nobody_is_signed_in_there_is_nothing_to_revoke(home: Home) -> None:
    code, told = home.run("--revoke")
    assert (code, "nobody is signed in" in told) == (8, True)
    assert home.venue.asked == []
