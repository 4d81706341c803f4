"""`positions`, `orders` and `fills` on a stored desk that does not run: ours is told, the broker's is not made up."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from brokers.model import Instrument, OrderStatus, OrderType, Side
from feeds import paths
from feeds.day_start import DayStart
from supervisor.process.store import SqliteStore
from trader.accounting.money import Adoption
from trader.cli import books
from trader.cli.main import main
from trader.manager.journal import SCHEMA, Journal
from trader.orders.intents import Intent, IntentState, Kind, Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding
from trader.sessions import Session, journal_path
from trader.store import desk

D = Decimal
FILLED_UTC = 1_381_154_400.0
CONFIG = """
[connections.sim]
api_url = "http://127.0.0.1:9"
signin_url = "http://127.0.0.1:9"
client_id = "c"
login_file = "login.json"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Session ``es``: bought 2, sold 1, a stop works; ``spy`` has never run."""
    (tmp_path / "nightdesk.toml").write_text(CONFIG)
    store = SqliteStore(tmp_path / desk.DESK_DB, "trader.store.desk:migrations")
    for name, symbol in (("es", "ESZ13"), ("spy", "SPY")):
        session = Session(
            name=name, strategy="x", class_name="X", code_sha256="0", account="SIM1", symbols=(symbol,),
            connection="sim",
        )  # fmt: skip
        desk.write_session(store, session)
    store.close()
    journal = opened(tmp_path)
    with journal.transaction():
        journal.write_instrument(Instrument("ESZ13", "FUTURE", D("0.25"), D(50)))
        filled(journal, 1, Purpose.ENTRY, Side.BUY, 2, "1672.25", intended="1672.00")
        filled(journal, 2, Purpose.EXIT, Side.SELL, 1, "1674.25", intended="1674.50")
        stop = OwnOrder(
            "o3", 3, Purpose.STOP, "ESZ13", Side.SELL, OrderType.STOP_MARKET, D(1), D(1664), OrderStatus.WORKING
        )  # fmt: skip
        journal.write_intent(intent(3, Purpose.STOP, Side.SELL, 1, "1664"))
        journal.write_order(stop)
        journal.hold_position("ESZ13", Holding(D(1), D("1672.25"), FILLED_UTC + 2))
    return tmp_path


def opened(home: Path) -> Journal:
    return Journal(SqliteStore(home / journal_path("es"), SCHEMA), lambda: "0123456789abcdefghijkl")


def intent(number: int, purpose: Purpose, side: Side, quantity: int, intended: str) -> Intent:
    return Intent(
        number, f"k-{number}", Kind.PLACE, purpose, "ESZ13", side, D(quantity), OrderType.MARKET, None,
        FILLED_UTC, state=IntentState.ACCEPTED, result_order_id=f"o{number}", intended_price=D(intended),
    )  # fmt: skip


def filled(
    journal: Journal, number: int, purpose: Purpose, side: Side, quantity: int, price: str, *, intended: str
) -> None:
    amount = D(quantity)
    order = OwnOrder(
        f"o{number}", number, purpose, "ESZ13", side, OrderType.MARKET, amount, None, OrderStatus.FILLED, amount
    )
    journal.write_intent(intent(number, purpose, side, quantity, intended))
    journal.write_order(order)
    journal.write_fill(order, amount, D(price), FILLED_UTC + number)
    journal.write_fee(order, D("1.50") * amount, FILLED_UTC + number)


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), *words])


def now_at(monkeypatch: pytest.MonkeyPatch, now_utc: float) -> None:
    monkeypatch.setattr("supervisor.process.clock.Clock.market_utc", lambda _: now_utc)


def told(home: Path, *words: str) -> dict[str, Any]:
    result = run(home, *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["schema"] == 1
    return found


def test_positions_tell_our_side_from_the_store_and_that_nobody_asks_the_broker(home: Path) -> None:
    found = told(home, "positions")
    es, spy = found["positions"]
    assert (es["session"], es["symbol"], es["state"]) == ("es", "ESZ13", "not read")
    assert (es["ours"], es["average_price"], es["stop"]) == ("1", "1672.25", "1664")
    assert (es["realised_usd"], es["fees_usd"], es["risk_usd"]) == ("100.00", "4.50", "412.50")
    assert es["theirs"] is es["price"] is es["open_usd"] is None
    assert (spy["ours"], spy["realised_usd"], spy["open_usd"]) == ("0", "0.00", "0.00")
    assert found["accounts"][0]["why"] == "no desk runs: nobody asks the broker"
    assert found["totals"][0]["realised_usd"] == "100.00"
    assert found["totals"][0]["broker_equity_usd"] is None


def test_piped_output_is_one_row_a_line_with_all_columns_between_tabs(home: Path) -> None:
    result = run(home, "positions", "es")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    cells = line.split("\t")
    assert cells[:8] == ["es", "SIM", "SIM1", "ESZ13", "not read", "1", "1672.25", "-"]
    assert "no desk runs" in result.stderr
    (orders,) = run(home, "orders").stdout.splitlines()
    assert orders.split("\t")[3:10] == ["ESZ13", "o3", "not read", "stop", "sell", "stop_market", "1"]
    assert len(run(home, "fills").stdout.splitlines()) == 2


def test_fills_have_intended_price_slippage_and_fee(home: Path) -> None:
    bought, sold = told(home, "fills")["fills"]
    assert (bought["purpose"], bought["price"], bought["intended_price"]) == ("entry", "1672.25", "1672.00")
    assert (bought["slippage_usd"], bought["fee_usd"]) == ("25.00", "3.00")
    assert (sold["slippage_usd"], sold["fee_usd"]) == ("12.50", "1.50")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--since", "2013-10-07 14:00:02"), 1),
        (("--until", "2013-10-07 14:00:02"), 1),
        (("-S", "2013-10-07", "-U", "2013-10-08"), 2),
        (("--since", "-2h"), 0),
        (("es",), 2),
        (("spy",), 0),
    ],
)
def test_fills_of_a_window_or_a_session(home: Path, words: tuple[str, ...], count: int) -> None:
    assert len(told(home, "fills", *words)["fills"]) == count


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("positions", "--diff"), 3, "no desk runs on"),
        (("orders", "--diff"), 3, "no desk runs on"),
        (("fills", "--diff"), 3, "no desk runs on"),
        (("reconcile",), 3, "no desk runs on"),
        (("reconcile", "--now"), 3, "no desk runs on"),
        (("positions", "nobody"), 4, "no session is called 'nobody'"),
        (("orders", "nobody"), 4, "no session is called 'nobody'"),
        (("reconcile", "nobody"), 4, "no session is called 'nobody'"),
        (("fills", "--since", "soon"), 2, "'soon' is no moment"),
    ],
)
def test_what_cannot_be_told_has_its_exit_code(home: Path, words: tuple[str, ...], status: int, complaint: str) -> None:
    result = run(home, *words)
    assert result.exit_code == status, result.output
    assert complaint in result.stderr
    assert result.stdout == ""


def test_today_is_the_trading_day_of_the_account_also_where_no_desk_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kind is on disk beside the day's first equity."""
    start = DayStart("2013-10-07", D(100_000), FILLED_UTC, "Futures")
    path = home / paths.day_start("sim", "SIM1")
    path.parent.mkdir(parents=True)
    for hours, kind, today in ((1, "Futures", "100.00"), (8, "Futures", "0.00"), (8, "Margin", "100.00")):
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(start, kind=kind)))
        now_at(monkeypatch, FILLED_UTC + hours * 3600)
        found = told(home, "positions")
        assert (found["positions"][0]["realised_today_usd"], found["totals"][0]["realised_today_usd"]) == (today, today)
        assert len(told(home, "fills", "-S", "today")["fills"]) == (0 if today == "0.00" else 2)
        assert found["accounts"][0]["day"] == ("2013-10-08" if today == "0.00" else "2013-10-07")
    path.write_bytes(b"garbage")
    garbled = run(home, "positions")
    assert garbled.exit_code == 1
    assert "when the trading day of SIM1 began is not known" in garbled.stderr


def test_what_a_removed_session_made_is_in_its_accounts_sums_and_shown_while_it_is_of_today(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(home / desk.DESK_DB, "trader.store.desk:migrations")
    desk.remove_session(store, "es")
    now_at(monkeypatch, FILLED_UTC + 3600)
    found = told(home, "positions")
    es, spy = sorted(found["positions"], key=lambda line: str(line["session"]))
    assert (es["session"], es["state"], es["realised_today_usd"], es["theirs"]) == ("es", "past", "100.00", None)
    assert (spy["session"], spy["realised_today_usd"]) == ("spy", "0.00")
    (sums,) = found["totals"]
    assert (sums["realised_today_usd"], sums["realised_usd"], sums["fees_usd"]) == ("100.00", "100.00", "4.50")
    assert len(told(home, "fills", "-S", "today")["fills"]) == 2
    assert told(home, "positions", "es")["positions"] == [es]

    journal = opened(home)
    with journal.transaction():
        journal.hold_position("ESZ13", Holding(D(0), None, FILLED_UTC + 3))
        filled(journal, 4, Purpose.EXIT, Side.SELL, 1, "1672.25", intended="1672.25")
    now_at(monkeypatch, FILLED_UTC + 3 * 86_400)
    found = told(home, "positions")
    assert [line["session"] for line in found["positions"]] == ["spy"]
    assert (found["totals"][0]["realised_today_usd"], found["totals"][0]["realised_usd"]) == ("0.00", "100.00")

    (home / journal_path("es")).unlink()
    assert told(home, "positions")["totals"][0]["realised_usd"] == "0.00"
    assert run(home, "positions", "es").exit_code == 4


def test_what_a_session_made_in_a_symbol_that_it_trades_no_more_counts_too(home: Path) -> None:
    """Removed, and added again under its name for the next contract: the journal goes on."""
    store = SqliteStore(home / desk.DESK_DB, "trader.store.desk:migrations")
    (es,) = [each for each in desk.read_sessions(store) if each.name == "es"]
    desk.remove_session(store, "es")
    desk.write_session(store, msgspec.structs.replace(es, symbols=("ESH14",)))
    assert not desk.read_removed(store)
    found = told(home, "positions")
    assert [(line["symbol"], line["state"]) for line in found["positions"]][:2] == [
        ("ESH14", "not read"),
        ("ESZ13", "past"),
    ]
    assert found["totals"][0]["realised_usd"] == "100.00"


def test_an_unexplained_adoption_is_told_with_what_it_changed(home: Path) -> None:
    journal = opened(home)
    with journal.transaction():
        adoption = Adoption("ESZ13", D(1), D(3), D(1670), FILLED_UTC + 9)
        journal.write_adoption(adoption, read=1, age_s=0.1, explained=False)
        journal.hold_position("ESZ13", Holding(D(3), D(1670), FILLED_UTC + 9))
    found = told(home, "positions", "es")
    (line,) = found["positions"]
    assert (line["ours"], line["realised_usd"]) == ("3", "100.00")
    assert [(gap["before"], gap["after"]) for gap in line["gaps"]] == [("1", "3")]
    assert found["totals"][0]["profit_unknown"] == ["ESZ13"]
    assert line["risk_usd"] is None, "the stop covers one of three"
    assert run(home, "positions", "es").stdout.rstrip("\n").endswith("1->3\tsim")


def test_a_journal_that_cannot_be_read_is_said_and_the_others_are_told(home: Path) -> None:
    (home / journal_path("spy")).write_bytes(b"this is no database, " * 500)
    result = run(home, "positions")
    assert result.exit_code == 1
    assert "spy.db cannot be read" in result.stderr
    assert result.stdout.startswith("es\t")
    cells = result.stdout.splitlines()[1].split("\t")
    assert cells[:6] == ["spy", "SIM", "SIM1", "SPY", "ours not read", "-"], "what nobody could read is not flat"


def test_an_instruction_without_outcome_is_said_beside_what_may_be_too_little(home: Path) -> None:
    journal = opened(home)
    with journal.transaction():
        doubted = intent(7, Purpose.ENTRY, Side.BUY, 1, "1672")
        journal.write_intent(msgspec.structs.replace(doubted, state=IntentState.UNKNOWN, result_order_id=""))
    for command in ("positions", "orders", "fills"):
        assert "es: an instruction of ESZ13 has no outcome" in run(home, command).stderr
        assert told(home, command)["unsettled"] == [{"session": "es", "symbol": "ESZ13"}]
    assert told(home, "positions", "spy")["unsettled"] == []


def test_looking_changes_nothing_on_disk(home: Path) -> None:
    def dumped() -> list[str]:
        store = SqliteStore(home / journal_path("es"), None)
        tables = [row["name"] for row in store.query("SELECT name FROM sqlite_master WHERE type = 'table'")]
        content = [repr(store.query(f"SELECT * FROM {table}")) for table in tables]
        store.close()
        return content

    before = dumped()
    for command in ("positions", "orders", "fills"):
        assert run(home, command).exit_code == 0
    assert dumped() == before


def test_on_a_terminal_there_are_heads_sums_and_ages(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "on_terminal", lambda: True)
    out = run(home, "positions", "es").stdout
    assert out.splitlines()[0].split()[:4] == ["session", "symbol", "env", "account"]
    assert "SIM SIM1  realised today 0.00  in all 100.00  fees 4.50" in out
    assert "broker read absent: no desk runs" in out


@pytest.mark.parametrize("command", ["positions", "orders", "fills"])
def test_what_the_journal_knows_is_shown_below_the_complaint_of_a_configuration_that_cannot_be_read(
    home: Path, command: str
) -> None:
    before = run(home, command)
    (home / "nightdesk.toml").write_text("garbage = = [\n")
    after = run(home, command)
    assert (before.exit_code, after.exit_code) == (0, 78)
    assert after.stdout == before.stdout
    first, *_ = after.stderr.splitlines()
    assert "nightdesk.toml" in first
    assert "what is stored is shown without it" in first


def test_a_configuration_that_cannot_be_read_is_in_the_json_too(home: Path) -> None:
    (home / "nightdesk.toml").unlink()
    told = json.loads(run(home, "positions", "--json").stdout)
    assert "does not exist" in told["misconfigured"]
    assert [(each["symbol"], each["ours"]) for each in told["positions"]] == [("ESZ13", "1"), ("SPY", "0")]


def test_limits_are_not_known_where_the_configuration_cannot_be_read(home: Path) -> None:
    (home / "nightdesk.toml").write_text("garbage = = [\n")
    shown = run(home, "session", "show", "es")
    assert shown.exit_code == 78
    assert "limits  not known" in shown.stdout
    assert shown.stderr.startswith("nightdesk: ")


def test_status_of_a_desk_that_does_not_run_tells_what_it_has_left_open(home: Path) -> None:
    told = run(home, "status")
    assert told.exit_code == 3
    assert told.stdout.splitlines() == ["  ▲ es  ESZ13  1 @ 1672.25  stop 1664  risk 412.50  day 0.00"]
    assert "no desk runs" in told.stderr
