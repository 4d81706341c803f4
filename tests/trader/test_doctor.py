"""`nightdesk doctor`: each thing that could stop a night is found, told with its remedy, and nothing is disturbed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from brokers.model import Account, Instrument, OrderType, Quote, Side
from supervisor.process.store import SqliteStore
from tests.brokers import golden
from tests.trader.scripted_venue import ACCOUNT, ScriptedVenue
from trader.cli.main import main
from trader.desk.commands import WriteMarketHours
from trader.doctor import findings, machine
from trader.doctor.findings import Finding, exit_code
from trader.manager.journal import SCHEMA, Journal
from trader.orders.intents import Intent, IntentState, Kind, Purpose
from trader.sessions import Code, Session, journal_path
from trader.store import desk
from trader.store.hours import write_hours

SECRETS = ("very-secret", "refresh-1", "refresh-2", "eyJ.new", "eyJ.old")


class Home:
    def __init__(self, folder: Path, venue: ScriptedVenue) -> None:
        self.folder, self.venue = folder, venue
        folder.mkdir(mode=0o700)
        (folder / "nightdesk.toml").write_text(
            f'[connections.sim]\napi_url = "{venue.url}"\nsignin_url = "{venue.url}"\nclient_id = "me"\n'
            'login_file = "login.json"\n'
        )
        (folder / "nightdesk.toml").chmod(0o600)
        self.login()
        store = SqliteStore(folder / desk.DESK_DB, "trader.store.desk:migrations")
        with store.transaction():
            desk.write_code(store, Code("0" * 64, "x.py", ""))
            desk.write_session(store, Session("es", "x", "X", "0" * 64, "SIM100001F", ("ESZ26",), "sim"))
        store.close()
        (folder / desk.DESK_DB).chmod(0o600)

    def login(self, mode: int = 0o600, **changes: object) -> None:
        content = {"client_secret": "very-secret", "refresh_token": "refresh-1", "access_token": "eyJ.old"}
        now_s = time.monotonic()
        times = {"expires_s": now_s + 900.0, "renewed_s": now_s - 300.0, "rotating": False}
        file = self.folder / "login.json"
        file.write_text(json.dumps({**content, **times, **changes}))
        file.chmod(mode)

    def doctor(self, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and findings by check (the worst of each)."""
        done = CliRunner().invoke(main, ["--home", str(self.folder), "doctor", "--json", *words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert not [secret for secret in SECRETS if secret in done.output]
        found: dict[str, dict[str, Any]] = {}
        worst = ["skipped", "ok", "warning", "error"]
        for each in json.loads(done.stdout)["findings"]:
            known = found.get(each["check"])
            if known is None or worst.index(each["state"]) > worst.index(known["state"]):
                found[each["check"]] = each
        return done.exit_code, found

    def lines(self) -> list[str]:
        return CliRunner().invoke(main, ["--home", str(self.folder), "doctor"]).stdout.splitlines()


@pytest.fixture
def venue() -> Iterator[ScriptedVenue]:
    made = ScriptedVenue()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, venue: ScriptedVenue, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    units = tmp_path / "units"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / "nightdesk.service").write_text(f"[Service]\nExecStart=/opt/nightdesk run --home {tmp_path / 'home'}\n")
    (units / "multi-user.target.wants" / "nightdesk.service").touch()
    monkeypatch.setattr("trader.doctor.machine.UNIT_FOLDERS", (units,))
    monkeypatch.setattr("trader.doctor.machine.systemd.__defaults__", ((units,),))
    return Home(tmp_path / "home", venue)


def test_all_is_well_and_a_living_token_is_not_renewed(home: Home) -> None:
    code, found = home.doctor()
    bad = {name: each for name, each in found.items() if each["state"] in ("warning", "error")}
    assert set(bad) <= {"disk", "limits"}, bad  # of the machine that runs the tests
    assert code in (0, 5)
    expected = {"configuration", "home", "desk", "limits", "disk", "systemd", "secrets", "sign-in host", "login", "key"}
    expected |= {"accounts", "account", "books", "symbol", "data", "clock", "quotas", "market", "orders"}
    assert set(found) == expected
    assert home.venue.forms == []
    assert not [asked for asked in home.venue.asked if not asked.startswith("GET ")]
    assert len(home.venue.asked) == 7


def test_a_token_that_has_run_out_is_renewed_once_and_stored_before_it_is_used(home: Home) -> None:
    home.login(access_token="", expires_s=0.0, rotating=None)
    _, found = home.doctor()
    assert "renewed just now and stored" in found["login"]["text"]
    assert len(home.venue.forms) == 1
    stored = json.loads((home.folder / "login.json").read_text())
    assert (stored["refresh_token"], stored["rotating"]) == ("refresh-2", True)
    assert (found["key"]["state"], "sign in again" in found["key"]["text"]) == ("warning", True)
    home.doctor()
    assert len(home.venue.forms) == 1


def test_lines_have_a_sign_and_the_command_that_mends(home: Home) -> None:
    home.login(0o644)
    done = CliRunner().invoke(main, ["--home", str(home.folder), "doctor"])
    assert "✔ configuration" in done.output
    assert "✖ sim: secrets" in done.output
    assert "→ chmod 600 login.json" in done.output


@pytest.mark.parametrize(
    ("what", "answer", "check", "says", "code"),
    [
        ("POST /oauth/token", (403, golden.INVALID_GRANT), "login", "invalid_grant", 8),
        ("GET /v3/brokerage/accounts", (503, b""), "accounts", "HTTP 503", 1),
        ("GET /v3/brokerage/accounts", (200, b'{"Accounts":[]}'), "account", "SIM100001F (es) is not among none", 1),
        (f"GET {ACCOUNT}/orders", (403, b'{"Error":"Forbidden","Message":"no"}'), "books", "NotAllowed", 1),
        (f"GET {ACCOUNT}/balances", (200, golden.PARTIAL), "books", "NotAllowed", 1),
        ("GET /v3/marketdata/symbols/ESZ26", (404, b""), "symbol", "HTTP 404", 1),
        (
            "GET /v3/marketdata/quotes/ESZ26",
            (200, golden.QUOTES.replace(b'"IsDelayed":false', b'"IsDelayed":true')),
            "data",
            "delayed",
            1,
        ),
    ],
)
def test_what_the_venue_refuses_is_an_error_with_its_words(
    home: Home, what: str, answer: tuple[int, bytes], check: str, says: str, code: int
) -> None:
    home.login(access_token="", expires_s=0.0)
    home.venue.answers[what] = answer
    returned, found = home.doctor()
    assert returned == code
    assert (found[check]["state"], says in found[check]["text"]) == ("error", True), found[check]
    assert found[check]["fix"]


def test_a_secret_that_is_not_to_be_seen_is_a_warning_but_for_pkce(home: Home) -> None:
    home.login(client_secret="")
    assert home.doctor()[1]["secrets"]["state"] == "warning"
    home.login(client_secret="", pkce=True)
    assert home.doctor()[1]["secrets"]["state"] == "ok"


def test_a_credential_that_everybody_may_read_is_an_error(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "nightdesk.client_secret"
    file.write_text("very-secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    file.chmod(0o644)
    assert home.doctor()[1]["secrets"]["fix"] == f"chmod 600 {file}"
    file.chmod(0o600)
    assert "credential nightdesk.client_secret" in home.doctor()[1]["secrets"]["text"]


def test_a_login_file_that_is_not_there_is_login_needed(home: Home) -> None:
    (home.folder / "login.json").unlink()
    code, found = home.doctor()
    assert (code, found["login"]["fix"]) == (8, "nightdesk login sim")
    assert home.venue.asked == []


def test_a_sign_in_host_that_does_not_answer_ends_the_checks_of_the_connection(home: Home) -> None:
    home.venue.close()
    code, found = home.doctor()
    assert (code, found["sign-in host"]["state"]) == (1, "error")
    assert "accounts" not in found


def test_a_bad_configuration_is_78_and_nothing_else_is_looked_at(home: Home) -> None:
    (home.folder / "nightdesk.toml").write_text("[connections.sim]\nx = 1\n")
    code, found = home.doctor()
    assert (code, list(found)) == (78, ["configuration"])


def test_a_home_that_others_may_write_is_an_error(home: Home) -> None:
    home.folder.chmod(0o777)
    code, found = home.doctor()
    assert (code, found["home"]["state"], found["home"]["fix"]) == (1, "error", f"chmod go-rwx {home.folder}")


def test_a_clock_that_is_apart_and_a_quota_nearly_spent_are_told(home: Home) -> None:
    home.venue.headers = {
        "Date": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True),
        "X-RateLimit-Limit": "250",
        "X-RateLimit-Remaining": "10",
        "X-RateLimit-Resource": "positions",
    }
    _, found = home.doctor()
    assert (found["clock"]["state"], "behind" in found["clock"]["text"]) == ("error", True)
    assert (found["quotas"]["state"], found["quotas"]["text"]) == ("warning", "4% left of positions")


def test_the_next_open_of_each_market_is_told_with_holidays_and_short_days(home: Home) -> None:
    code, found = home.doctor()
    assert (code, found["market"]["state"]) == (0, "skipped"), "a desk that never ran has written none"
    now = int(time.time())
    day = now // 86_400 * 86_400
    store = SqliteStore(home.folder / desk.DESK_DB, "trader.store.desk:migrations")
    opens = tuple(day + number * 86_400 for number in range(-5, 9))
    written = WriteMarketHours("CMES", opens, tuple(at + 80_000 for at in opens), opens[0], opens[-1], "test")
    with store.transaction():
        write_hours(store, written, float(now))
        desk.write_session(store, Session("corn", "x", "X", "0" * 64, "SIM100001F", ("ZCZ26",), "sim"))
    store.close()
    _, found = home.doctor()
    assert (found["market"]["state"], found["market"]["text"].split(":")[0]) == ("warning", "ZCZ26")
    told = [line for line in home.lines() if "ESZ26 (CMES): market" in line]
    assert len(told) == 1
    assert "no holiday, no short day within 7 days" in told[0]


def test_an_unknown_connection_is_a_mistake_of_usage(home: Home) -> None:
    assert CliRunner().invoke(main, ["--home", str(home.folder), "doctor", "nobody"]).exit_code == 2


# -- judgements ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rotating", "environment", "state"),
    [(True, "LIVE", "error"), (True, "SIM", "warning"), (False, "LIVE", "ok"), (None, "LIVE", "skipped")],
)
def test_a_key_that_rotates_is_an_error_for_live(rotating: bool | None, environment: str, state: str) -> None:
    found = findings.rotation(rotating, environment, 1000.0, 1000.0 + 23 * 3600, "live")
    assert found.state == state
    if rotating:
        assert "in 1.0 h" in found.text


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((("a", "ok"), ("b", "skipped")), 0),
        ((("a", "ok"), ("b", "warning")), 5),
        ((("a", "warning"), ("b", "error")), 1),
        ((("books", "error"), ("login", "error")), 8),
        ((("configuration", "error"),), 78),
    ],
)
def test_the_worst_finding_decides(states: tuple[tuple[str, findings.State], ...], code: int) -> None:
    assert exit_code([Finding(check, state, "") for check, state in states]) == code


def test_judgements_of_what_was_read() -> None:
    closed = Account("A", "Margin", "Closing Transaction(s) Only", "USD")
    assert findings.account("A", "s", [closed]).state == "warning"
    assert findings.data(Quote("X", delayed=None)).state == "warning"
    assert findings.data(Quote("X", delayed=False, halted=True)).state == "warning"
    assert findings.symbol("@ES", Instrument("ESZ26", "FUTURE", Decimal("0.25"), Decimal(50))).text.startswith(
        "@ES → ESZ26"
    )
    assert findings.symbol("X", Instrument("X", "STOCK", Decimal(0), Decimal(1))).state == "error"
    assert [findings.disk(size, "/x").state for size in (10**11, 10**9, 10**8)] == ["ok", "warning", "error"]
    assert [findings.files(limit, "x").state for limit in (65536, 1024, 256)] == ["ok", "warning", "error"]
    assert findings.offset_of("no date", 0.0) is None


def test_a_unit_that_is_not_there_or_not_enabled_is_told(tmp_path: Path) -> None:
    assert "no unit" in machine.systemd(Path("/var/lib/nightdesk"), [tmp_path]).text
    (tmp_path / "nightdesk.service").write_text(
        "ExecStart=/opt/nightdesk/.venv/bin/nightdesk run --home %S/nightdesk\n"
    )
    found = machine.systemd(Path("/var/lib/nightdesk"), [tmp_path])
    assert (found.state, found.fix) == ("warning", "systemctl enable nightdesk")


# -- instructions without outcome -------------------------------------------------------------------------------------


def journal_with(folder: Path, *intents: Intent, held: str = "") -> None:
    (folder / "sessions").mkdir(exist_ok=True, mode=0o700)
    store = SqliteStore(folder / journal_path("es"), SCHEMA)
    journal = Journal(store, lambda: "A" * 22)
    with journal.transaction():
        for intent in intents:
            journal.write_intent(intent)
        if held:
            journal.add_hold("ESZ26", held, 0.0)
    store.close()


def doubtful(state: IntentState, number: int = 1) -> Intent:
    return Intent(
        number=number, key=f"KEY-{number}", kind=Kind.PLACE, purpose=Purpose.STOP, symbol="ESZ26", side=Side.SELL,
        quantity=Decimal(1), type=OrderType.STOP_MARKET, stop_price=Decimal(6000), written_utc=time.time() - 125.0,
        valid_until_utc=None, state=state, reason="no answer within 10 s",
    )  # fmt: skip


def test_each_instruction_without_outcome_is_named_with_what_is_being_done(home: Home) -> None:
    journal_with(home.folder, doubtful(IntentState.UNKNOWN), doubtful(IntentState.UNSENT, 2))
    code, found = home.doctor()
    lines = [line for line in home.lines() if line.startswith("▲ orders")]
    assert code == 5
    assert found["orders"]["state"] == "warning"
    assert len(lines) == 2
    for words in ("es: place stop KEY-1 of ESZ26", "2m05s old", "reads, then history", "no answer within 10 s"):
        assert words in lines[0]
    assert "KEY-2" in lines[1]
    assert "tried again each second" in lines[1]


def test_one_that_no_read_can_decide_is_an_error_with_the_command_that_ends_it(home: Home) -> None:
    journal_with(home.folder, doubtful(IntentState.UNKNOWN), held="unsettled")
    code, found = home.doctor()
    assert code == 1
    assert "ESZ26 is held (unsettled)" in found["orders"]["text"]
    assert "nightdesk session release es" in found["orders"]["fix"]


def test_where_all_is_settled_that_is_said(home: Home) -> None:
    assert home.doctor()[1]["orders"] == {
        "check": "orders", "state": "ok", "text": "no instruction is without outcome", "fix": "", "about": ""
    }  # fmt: skip
