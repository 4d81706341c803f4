"""nightdesk.toml: wrong keys and values are refused, with the place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from feeds.config import ConnectionConfig
from supervisor.process.store import SqliteStore
from trader import app
from trader.config import BadConfig, read_config
from trader.risk.limits import limits_of, live_refusal
from trader.sessions import Session, Wanted
from trader.store import desk

GOOD = """
[connections.sim]
api_url = "http://127.0.0.1:1"
signin_url = "http://127.0.0.1:1"
client_id = "c"
login_file = "login.json"
"""


def configured(folder: Path, text: str) -> Path:
    (folder / "nightdesk.toml").write_text(text)
    return folder


def test_connection_is_named_by_its_section_and_is_sim_by_default(tmp_path: Path) -> None:
    config = read_config(configured(tmp_path, GOOD))
    assert config.connections["sim"].name == "sim"
    assert config.connections["sim"].environment == "SIM"
    assert config.timing.snapshot_every_s == 30.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "at least one connection"),
        ("connections = 3", "at least one connection"),
        ("[connections]\nsim = 3", "connections"),
        (GOOD + "api = 3", "api"),
        (GOOD + "[timing]\nsnapshot_every_s = 'often'", "snapshot_every_s"),
        (GOOD + "[timing]\nsnapshot_every = 3.0", "snapshot_every"),
        (GOOD + "[timing]\nsnapshot_every_s = 0.0", r"timing\.snapshot_every_s is 0\.0"),
        (GOOD + "[timing]\nhttp_limit_s = nan", r"timing\.http_limit_s is nan"),
        (GOOD + "[dsk]\nclock = ''", "dsk"),
        (GOOD + "[symbols.SPY]\nfirst_notice = '2013-11-29'", "SPY is no dated contract"),
        (GOOD + "[symbols.'@GC']\nfirst_notice = '2013-11-29'", "@GC is no dated contract"),
        (GOOD + "[symbols.GCZ13]\nfirst_notice = 'soon'", "first_notice"),
        ("[connections.sim]\nclient_id = 'c'", "api_url"),
        (GOOD.replace("]", "", 1), r"nightdesk\.toml"),
        (GOOD + "environment = 'LIVE'", "environment is LIVE, and no account has limits"),
        (GOOD.replace("http://127.0.0.1:1", "https://api.tradestation.com", 1), "its environment is SIM"),
        (
            GOOD.replace("http://127.0.0.1:1", "https://sim-api.tradestation.com", 1) + "environment = 'LIVE'",
            r"its environment is LIVE; wanted for LIVE: https://api\.tradestation\.com",
        ),
        (
            GOOD.replace("http://127.0.0.1:1", "http://api.tradestation.com", 1) + "environment = 'LIVE'",
            "is not https",
        ),
        (GOOD.replace("http://127.0.0.1:1", "http://[::1", 1), "api_url 'http://.*Invalid IPv6"),
        (GOOD + "[limits]\nmax_position = 3", "max_position"),
        (GOOD + "[limits]\nmax_daily_loss_usd = -1", r"limits\.max_daily_loss_usd is -1, wanted"),
        (GOOD + "[limits]\nmax_daily_loss_usd = nan", r"limits\.max_daily_loss_usd is NaN, wanted"),
        (GOOD + "[limits]\nmax_orders_per_day = 0", r"limits\.max_orders_per_day is 0, wanted: a whole number"),
        (GOOD + "[limits]\nmax_orders_per_day = 1.5", "max_orders_per_day"),
        (GOOD + "[limits]\nmax_rejects = 10001", "from 1 to 10000"),
        (GOOD + "[limits]\nrejects_within_minutes = 1441", "from 1 to 1440"),
        (GOOD + "[limits]\nentry_without_stop = true", "only a session can say so"),
        (GOOD + "[limits.accounts.A]\nentry_without_stop = true", "entry_without_stop"),
        (GOOD + "[limits.accounts.A]\nmax_open_risk_usd = 'much'", "max_open_risk_usd"),
        (GOOD + "[limits.sessions.s]\nmax_order_quantity = 0", r"limits\.sessions\.s\.max_order_quantity is 0"),
        (GOOD + "[limits]\naccounts = 3", "accounts"),
        (GOOD + "[connections.sim.account_limits.A]\nmax_orders_per_day = 3", r"write \[limits\.accounts\.ID\]"),
        (GOOD + "environment = 'PAPER'", "environment"),
        (GOOD + "key_sharers = 1", r"connections\.sim\.key_sharers is counted"),
        (GOOD.replace("sim", "'../../etc'"), "connection name '../../etc': wanted"),
        (
            GOOD + GOOD.replace("sim", "more").replace('"c"', '"d"'),
            r"\.sim and connections\.more share login_file 'login\.json', and their client_id is not the same",
        ),
        (
            GOOD
            + GOOD.replace("sim", "more").replace('signin_url = "http://127.0.0.1:1', 'signin_url = "http://other'),
            "share login_file 'login.json', and their signin_url is not the same: one file holds one login",
        ),
        ("x = " + "[" * 100_000, "nested too deep"),
        ("# " + "x" * 1_000_000, "larger than 1000000 bytes"),
    ],
)
def test_wrong_configuration_is_refused_naming_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadConfig, match=complaint):
        read_config(configured(tmp_path, text))


@pytest.mark.parametrize("content", [GOOD.encode("utf-16"), b"# caf\xe9\n" + GOOD.encode(), bytes(range(256))])
def test_other_encodings_are_refused_with_the_place(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "nightdesk.toml"
    path.write_bytes(content)
    with pytest.raises(BadConfig, match=r"nightdesk\.toml: byte \d+ is not UTF-8"):
        read_config(tmp_path)


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.toml").mkdir()
    with pytest.raises(BadConfig, match="Is a directory"):
        read_config(tmp_path)


def test_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=str(tmp_path)):
        read_config(tmp_path)


def test_connections_of_one_key_are_told_how_many_they_are(tmp_path: Path) -> None:
    more = GOOD.replace("sim", "more") + GOOD.replace("sim", "other").replace('"c"', '"d"').replace(
        "login.json", "d.json"
    )
    config = read_config(configured(tmp_path, GOOD + more))
    assert {name: each.key_sharers for name, each in config.connections.items()} == {"sim": 2, "more": 2, "other": 1}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://127.0.0.1:31022", "http://localhost:31022", True),
        ("http://127.0.0.1:31022", "http://127.0.0.1:31023", False),
        ("https://api.tradestation.com", "https://API.tradestation.com:443/", True),
        ("https://api.tradestation.com", "https://sim-api.tradestation.com", False),
    ],
)
def test_an_account_name_means_one_account_at_one_venue_only(one: str, other: str, same: bool) -> None:
    venues = {ConnectionConfig("x", url, "http://127.0.0.1:1", "c", "login.json").venue for url in (one, other)}
    assert (len(venues) == 1) is same


def test_a_sessions_limits_are_its_own_word_then_the_desks_then_the_default(tmp_path: Path) -> None:
    text = GOOD + (
        "[limits]\nmax_orders_per_day = 50\nmax_daily_loss_usd = 300.10\n"
        "[limits.sessions.es]\nmax_orders_per_day = 60\nentry_without_stop = true\n"
        "[limits.accounts.SIM1]\nmax_open_risk_usd = 500\n"
    )
    config = read_config(configured(tmp_path, text))
    mine, others = (limits_of(config.limits, name) for name in ("es", "spy"))
    assert (mine.max_orders_per_day, others.max_orders_per_day) == (60, 50)
    assert (mine.entry_without_stop, others.entry_without_stop) == (True, False)
    assert mine.max_daily_loss_usd == Decimal("300.10"), "exact, as it was written"
    assert mine.max_order_quantity == 1000
    assert config.connections["sim"].account_limits["SIM1"].max_open_risk_usd == 500


LIVE = GOOD + "environment = 'LIVE'\n[limits.accounts.12345678]\nmax_position_quantity = 1\n"


def test_live_is_allowed_where_the_account_has_its_limits_and_names_what_is_missing(tmp_path: Path) -> None:
    config = read_config(configured(tmp_path, LIVE))
    assert config.connections["sim"].environment == "LIVE", "an emulator on this machine may play LIVE"
    live = Session("s", "x", "X", "0", "12345678", ("ES",), "sim", live=True)
    assert live_refusal(live, "LIVE", config.limits) == (
        "session s is LIVE and nightdesk.toml lacks limits.accounts.12345678.max_daily_loss_usd, "
        "limits.accounts.12345678.max_orders_per_day"
    )
    whole = read_config(configured(tmp_path, LIVE + "max_daily_loss_usd = 500\nmax_orders_per_day = 20\n"))
    assert live_refusal(live, "LIVE", whole.limits) is None
    assert "is LIVE, its connection sim is SIM" in (live_refusal(live, "SIM", whole.limits) or "")
    sim = msgspec.structs.replace(live, live=False)
    assert "is SIM, its connection sim is LIVE" in (live_refusal(sim, "LIVE", whole.limits) or "")


def test_a_desk_with_a_live_session_that_lacks_limits_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, LIVE)
    store = SqliteStore(tmp_path / desk.DESK_DB, "trader.store.desk:migrations")
    wanted = Session("s", "x", "X", "0", "12345678", ("ES",), "sim", live=True, wanted=Wanted.TRADE)
    with store.transaction():
        desk.write_session(store, wanted)
    store.close()
    assert app.main(tmp_path) == 78
    assert "lacks limits.accounts.12345678.max_daily_loss_usd" in capsys.readouterr().err
