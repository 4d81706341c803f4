"""Two connections to two venues that call their accounts by the same names, and sessions on all four: one of two
symbols, one with data from the other connection. Real processes; nothing of one account is under another."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from brokers.tradestation.emulator.load import BUNDLED
from tests.trader.test_desk import Desk
from trader.cli.main import main
from trader.config import read_config
from trader.demo.stage import Stage
from trader.sessions import Session
from trader.specs import session_spec

OTHER = """
[connections.other]
api_url = "{url}"
signin_url = "{url}"
client_id = "demo-client"
login_file = "other/login.json"
quotas = "off"
"""
CHANGES = {
    "still_needed_every_s = 2.0": "still_needed_every_s = 0.4",
    "lease_valid_s = 8.0": "lease_valid_s = 1.6",
    "prune_every_s = 4.0": "prune_every_s = 0.4",
    "listen_after_crash_s = 8.0": "listen_after_crash_s = 1.6",
    "snapshot_every_s = 2.0": "snapshot_every_s = 1.0",
}
"""Shorter periods than the demo's, so that what nobody needs is seen to end."""
STRATEGY = """
from trader.strategy import Strategy

class Eager(Strategy):
    '''Wants so many of each of its symbols on each bar, whatever happens.'''
    class Parameters(msgspec.Struct, frozen=True):
        quantity: int = 1
    def setup(self) -> None:
        for symbol in self.symbols:
            self.subscribe(symbol, minutes=1)
    def on_bar(self, bar) -> None:
        self.target(bar.symbol, self.parameters.quantity, stop=bar.close - 20)
"""
FUTURES, MARGIN = "SIM100001F", "SIM100001M"
TWIN = "IVV"
HELD = {
    "es": ("sim", FUTURES, {"ESZ13": 2}),
    "funds": ("sim", MARGIN, {"SPY": 3, TWIN: 3}),
    "es-there": ("other", FUTURES, {"ESZ13": 1}),
    "spy-there": ("other", MARGIN, {"SPY": 5}),
}
"""Of each session: its connection, its account, and what it is to hold."""
DATA_FROM = {"spy-there": "sim"}


class OtherVenue(Stage):
    """An emulator of its own on the other's clock; its refresh tokens rotate, so that no token is good for both."""

    emulator_words = ("--rotate",)


class TwoVenues(Desk):
    def __init__(self, home: Path) -> None:
        twin = home.parent / f"{TWIN}_1m.csv"
        twin.write_bytes(gzip.decompress((BUNDLED / "SPY_1m.csv.gz").read_bytes()))
        self.emulator_words = ("--data", "ESZ13", "--data", "SPY", "--data", str(twin))
        self.other = OtherVenue(home / "other", rate=60)
        super().__init__(home)

    def start_emulator(self) -> None:
        super().start_emulator()
        (self.other.home / "emulator").mkdir(parents=True, mode=0o700)
        clock = (self.home / "emulator" / "clock.json").read_bytes()
        (self.other.home / "emulator" / "clock.json").write_bytes(clock)
        self.other.start_emulator()
        path = self.home / "nightdesk.toml"
        config = path.read_text()
        for old, new in CHANGES.items():
            assert old in config
            config = config.replace(old, new)
        path.write_text(config + OTHER.format(url=self.other.url))

    def close(self) -> None:
        super().close()
        self.other.close()

    def venue(self, connection: str) -> Stage:
        return self if connection == "sim" else self.other

    def invoke(self, *words: str) -> tuple[int, str]:
        """A command in this process: its exit code, and all that it says."""
        done = CliRunner().invoke(main, ["--home", str(self.home), *words])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def told(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            CliRunner().invoke(main, ["--home", str(self.home), *words, "--json"]).stdout
        )
        return found

    def begin(self) -> None:
        path = self.home / "eager.py"
        path.write_text(f"import msgspec\n{STRATEGY}")
        for name, (connection, account, held) in HELD.items():
            words = ["--strategy", str(path), "--account", account, "--connection", connection]
            words += [word for symbol in held for word in ("--symbol", symbol)]
            words += ["--set", f"quantity={next(iter(held.values()))}"]
            words += ["--data-connection", DATA_FROM[name]] if name in DATA_FROM else []
            for command in (("add", name, *words), ("start", name)):
                code, output = self.invoke("session", *command)
                assert code == 0, output

    def theirs(self, connection: str, account: str) -> dict[str, int]:
        """By the venue's own book: what is held, and by how much its working stops cover it."""
        told = self.venue(connection).ask_emulator("orders")
        held: dict[str, int] = {}
        for fill in told["Fills"]:
            if fill["AccountID"] == account:
                held[fill["Symbol"]] = held.get(fill["Symbol"], 0) + int(fill["Quantity"])
        return {symbol: quantity for symbol, quantity in held.items() if quantity}

    def stops(self, connection: str, account: str) -> set[str]:
        told = self.venue(connection).ask_emulator("orders")["Orders"]
        return {o["Symbol"] for o in told if o["AccountID"] == account and o["Closed"] is None and not o["ByHand"]}

    def all_hold(self, *names: str) -> bool:
        wanted = [HELD[name] for name in names or HELD]
        return all(
            self.theirs(connection, account) == held and self.stops(connection, account) == set(held)
            for connection, account, held in wanted
        )

    def all_well(self) -> bool:
        return self.all_hold() and all(line["state"] == "agrees" for line in self.told("positions")["positions"])

    def held(self, name: str) -> list[str]:
        """Why a person has stopped it, by its account manager's word; ["nobody answers"] while there is none."""
        return [hold["why"] for hold in self.manager(name).get("person_holds", [{"why": "nobody answers"}])]

    def manager(self, name: str) -> dict[str, Any]:
        """Its status; empty while it does not answer."""
        status: dict[str, Any] = self.told("session", "show", name)["account_manager"] or {}
        return status

    def pids(self, *below: str) -> dict[str, int]:
        """Of all processes that are one of these, or below one."""
        return {
            child.name: child.pid
            for child in self.tree().children
            if child.pid and any(child.name == each or child.name.startswith(f"{each}/") for each in below)
        }


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoVenues]:
    made = TwoVenues(tmp_path_factory.mktemp("two") / "home")
    try:
        made.begin()
        yield made
    finally:
        made.close()


def test_all_trade_and_no_view_has_anything_of_one_account_under_another(desk: TwoVenues) -> None:
    desk.until(desk.all_well)
    assert desk.invoke("positions", "--diff")[0] == 0
    found = desk.told("positions")
    lines = {(line["session"], line["symbol"]): line for line in found["positions"]}
    assert set(lines) == {(name, symbol) for name, (_, _, held) in HELD.items() for symbol in held}
    for (name, symbol), line in lines.items():
        connection, account, held = HELD[name]
        assert (line["connection"], line["account"], int(line["ours"])) == (connection, account, held[symbol])
        assert (int(line["theirs"]), line["state"]) == (held[symbol], "agrees")
    sums = {(each["connection"], each["account"]): each for each in found["totals"]}
    assert set(sums) == {(connection, account) for connection, account, _ in HELD.values()}
    for (connection, account), total in sums.items():
        of = [line for line in lines.values() if (line["connection"], line["account"]) == (connection, account)]
        for key in ("open_usd", "exposure_usd", "risk_usd", "fees_usd"):
            assert Decimal(total[key]) == sum(Decimal(line[key]) for line in of), (connection, account, key)
        assert Decimal(total["fees_usd"]) > 0 or account == MARGIN
    keys: dict[str, set[str]] = {}
    for connection in ("sim", "other"):
        told = desk.venue(connection).ask_emulator("orders")["Orders"]
        keys[connection] = {order["OrderConfirmID"] for order in told if not order["ByHand"]}
        shown = [line for line in desk.told("orders")["orders"] if line["connection"] == connection]
        assert {line["order_id"] for line in shown} <= {order["OrderID"] for order in told}
        assert {line["session"] for line in shown} == {name for name in HELD if HELD[name][0] == connection}
        filled = [line for line in desk.told("fills")["fills"] if line["connection"] == connection]
        assert {line["session"] for line in filled} == {line["session"] for line in shown}
    assert not keys["sim"] & keys["other"]
    for words in (("orders", "--diff"), ("fills", "--diff"), ("reconcile",), ("orders", "es-there")):
        code, output = desk.invoke(*words)
        assert code == 0, output
    assert [line["session"] for line in desk.told("fills", "es-there")["fills"]] == ["es-there"]


def test_status_show_and_doctor_tell_all_of_them_with_their_connections(desk: TwoVenues) -> None:
    desk.until(lambda: desk.all_hold() and desk.invoke("status")[0] == 0)
    output = desk.invoke("status")[1]
    assert f"es  ESZ13  {FUTURES} by sim  wanted trade, trader up" in output
    assert f"es-there  ESZ13  {FUTURES} by other  wanted trade, trader up" in output
    assert f"funds  SPY, {TWIN}  {MARGIN} by sim  wanted trade, trader up" in output
    assert "orders by other, data from sim" in desk.invoke("session", "show", "spy-there")[1]
    code, output = desk.invoke("doctor", "--json")
    found = json.loads(output)["findings"]
    checked = [(each.get("about"), each["text"].partition(":")[0]) for each in found if each["check"] == "account"]
    assert checked == [
        ("sim", f"{FUTURES} (es)"),
        ("sim", f"{MARGIN} (funds)"),
        ("other", f"{FUTURES} (es-there)"),
        ("other", f"{MARGIN} (spy-there)"),
    ]
    assert not [each for each in found if each["state"] == "error"], found
    assert code in (0, 5), "of the machine that runs the tests"


def test_bars_come_from_one_connection_and_the_account_is_read_by_the_other(desk: TwoVenues) -> None:
    desk.until(desk.all_well)
    up = set(desk.pids("connections"))
    assert {name for name in up if "/bars/" in name} == {
        "connections/sim/feeds/bars/ESZ13/60",
        "connections/sim/feeds/bars/SPY/60",
        f"connections/sim/feeds/bars/{TWIN}/60",
        "connections/other/feeds/bars/ESZ13/60",
    }
    for connection, account, _ in HELD.values():
        of = (f"feeds/orders/{account}", f"feeds/positions/{account}", f"books/{account}")
        assert {f"connections/{connection}/{each}" for each in of} <= up


def test_a_connection_and_books_that_are_killed_leave_the_others_processes_untouched(desk: TwoVenues) -> None:
    desk.until(desk.all_well)
    sessions = desk.pids("sessions")
    here, feeds = desk.pids("connections/sim"), desk.pids("connections/other/feeds")
    killed = ("connections/other/connection", f"connections/other/books/{FUTURES}")
    before = desk.pids(*killed)
    assert all(desk.kill(name) for name in killed)
    desk.until(lambda: all(desk.pids(*killed).get(name, pid) != pid for name, pid in before.items()))
    assert (desk.pids("connections/sim"), desk.pids("connections/other/feeds")) == (here, feeds)
    read_before = time.monotonic()
    desk.until(lambda: desk.invoke("reconcile", "--now")[0] == 0)
    ages = [each["read_age_s"] for each in desk.told("positions")["accounts"]]
    assert max(ages) < time.monotonic() - read_before + 1.5, "all four accounts are read again"
    assert desk.pids("sessions") == sessions
    assert desk.all_hold()


def test_halt_release_and_flatten_do_what_they_say_over_both(desk: TwoVenues) -> None:
    desk.until(desk.all_well)
    hung = desk.pids("sessions")["sessions/es-there/account_manager"]
    os.kill(hung, signal.SIGSTOP)
    try:
        code, output = desk.invoke("halt", "--why", "drill", "--timeout", "1.5")
    finally:
        os.kill(hung, signal.SIGCONT)
    assert code == 7, output
    assert "es-there" in output.partition("not confirmed")[2], output
    code, output = desk.invoke("halt")
    assert code == 0, output
    desk.until(lambda: all(desk.held(name) == ["drill"] for name in HELD))
    assert desk.all_hold(), "positions and their stops are kept"
    code, output = desk.invoke("session", "flatten", "es-there", "--yes")
    assert code == 0, output
    assert desk.theirs("other", FUTURES) == {}
    assert desk.stops("other", FUTURES) == set()
    assert desk.all_hold("es", "funds", "spy-there")
    code, output = desk.invoke("release", "--all")
    assert code == 0, output
    assert "still held: es-there" in output
    desk.until(lambda: not any(desk.held(name) for name in ("es", "funds", "spy-there")))
    assert desk.held("es-there")
    code, output = desk.invoke("session", "release", "es-there")
    assert code == 0, output
    desk.until(desk.all_well)


def test_a_persons_trade_at_one_venue_is_adopted_there_and_nowhere_else(desk: TwoVenues) -> None:
    desk.until(desk.all_well)
    desk.other.tell_emulator("trade", account=FUTURES, symbol="ESZ13", quantity=2)
    desk.until(lambda: desk.manager("es-there").get("holds"))
    desk.until(lambda: desk.manager("es").get("holds") == [])
    lines = {line["session"]: line for line in desk.told("positions")["positions"] if line["symbol"] == "ESZ13"}
    assert (lines["es"]["ours"], lines["es-there"]["ours"]) == ("2", "3")
    desk.other.tell_emulator("trade", account=FUTURES, symbol="ESZ13", quantity=-2)
    desk.until(lambda: desk.told("positions", "es-there")["positions"][0]["ours"] == "1")
    desk.until(lambda: desk.invoke("session", "release", "es-there")[0] == 0)
    desk.until(desk.all_well)


def test_a_removed_session_frees_its_own_feeds_and_the_last_one_the_connection(desk: TwoVenues) -> None:
    """Runs on the last session of the other connection, whatever the tests before it have left."""
    desk.until(desk.all_well)
    here, there = desk.pids("connections/sim"), desk.pids("connections/other")
    gone = {name for name in there if MARGIN in name}
    remove(desk, "spy-there")
    desk.until(lambda: not set(desk.pids("connections/other")) & gone)
    assert desk.pids("connections/other") == {name: pid for name, pid in there.items() if name not in gone}
    assert desk.pids("connections/sim") == here, "the bars that it had from there are needed by another session"
    remove(desk, "es-there")
    desk.until(lambda: not desk.pids("connections/other"))
    assert desk.pids("connections/sim") == here
    assert desk.all_hold("es", "funds")
    remove(desk, "funds")
    gone = {name for name in here if MARGIN in name or name.endswith(("/SPY/60", f"/{TWIN}/60"))}
    desk.until(lambda: not set(desk.pids("connections/sim")) & gone)
    assert desk.pids("connections/sim") == {name: pid for name, pid in here.items() if name not in gone}
    assert desk.all_hold("es")
    made = {(each["connection"], each["account"]) for each in desk.told("positions")["totals"]}
    assert made == {(connection, account) for connection, account, _ in HELD.values()}, "what they made still counts"


def remove(desk: TwoVenues, name: str) -> None:
    for words in (("flatten", name, "--yes"), ("stop", name)):
        code, output = desk.invoke("session", *words)
        assert code == 0, output
    desk.until(lambda: desk.told("session", "show", name)["session"]["wanted"] == "off")
    code, output = desk.invoke("session", "rm", name)
    assert code == 0, output


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (("--account", FUTURES, "--symbol", "ESZ13"), 1, f"session es owns ESZ13 on account {FUTURES}"),
        (("--account", "SIM3F", "--symbol", "SPY", "--data-connection", "nowhere"), 2, "no connection is called"),
        (("--account", "SIM3F", "--symbol", "SPY 131019C170"), 2, "symbol 'SPY 131019C170': wanted 1 to 64 of"),
        (("--account", "SIM3F", "--symbol", "../../x"), 2, "symbol '../../x': wanted"),
        (("--account", "SIM3F/..", "--symbol", "SPY"), 2, "account 'SIM3F/..': wanted"),
        (("--account", "SIM3F", "--symbol", "SPY", "--symbol", "SPY"), 2, "symbol SPY is given twice"),
    ],
)
def test_what_would_mix_or_lead_out_is_refused(
    desk: TwoVenues, words: tuple[str, ...], status: int, complaint: str
) -> None:
    code, output = desk.invoke("session", "add", "more", "--strategy", "breakout", *words)
    assert (code, complaint in output) == (status, True), output


def test_one_symbol_on_two_accounts_is_two_sessions(desk: TwoVenues) -> None:
    words = ("--strategy", "breakout", "--account", "SIM3F", "--symbol", "ESZ13", "--symbol", "EUR/USD")
    code, output = desk.invoke("session", "add", "third", *words)
    assert code == 0, output
    assert desk.invoke("session", "rm", "third")[0] == 0


def test_without_the_word_data_and_orders_have_one_connection(desk: TwoVenues) -> None:
    config = read_config(desk.home)
    session = Session("s", "x", "X", "0", FUTURES, ("ES",), "sim")
    by_name = {child.id: child.arguments["connection"]["name"] for child in session_spec(session, config).children}
    assert set(by_name.values()) == {"sim"}
    other = msgspec.structs.replace(session, data_connection="other")
    by_name = {child.id: child.arguments["connection"]["name"] for child in session_spec(other, config).children}
    assert by_name == {"account_manager": "sim", "data_source": "other", "trader": "other"}
