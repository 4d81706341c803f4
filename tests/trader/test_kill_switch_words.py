"""What the kill-switch may say and with which exit code, whoever of the desk is there to confirm it.

A home with its stores and no process: who the test says is there does its part at once, the others never.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from supervisor.process.store import SqliteStore
from tests.trader.session_world import SESSION
from trader.cli.common import Failed, NotRunning
from trader.cli.main import main
from trader.desk.commands import HoldLifted, HoldSet, LiftHold, SetHold
from trader.holds import EVERYBODY, HALT_FILE, Level, PersonHold, Taken, digest
from trader.sessions import Wanted, journal_path
from trader.store import desk
from trader.store.holds import lift, newest_change, put_flatten, put_hold, read_holds

replace = msgspec.structs.replace
ES, SPY, OFF = "es", "spy", "old"


class Home:
    """``managers``: those that take what stands. ``refuses``: what control says instead of asking the recorder.
    ``flat``: whose position the broker shows flat; ``released``: whose flatten a person has ended before that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "sessions").mkdir()
        self.desk = SqliteStore(path / desk.DESK_DB, "trader.store.desk:migrations")
        self.journals = {each: SqliteStore(path / journal_path(each), JOURNAL) for each in (ES, SPY, OFF)}
        for name in self.journals:
            wanted = Wanted.OFF if name == OFF else Wanted.TRADE
            desk.write_session(self.desk, replace(SESSION, name=name, wanted=wanted))
        self.managers: tuple[str, ...] = (ES, SPY)
        self.refuses: Exception | None = None
        self.stores_late = False
        self.flat: tuple[str, ...] = (ES, SPY)
        self.released: tuple[str, ...] = ()

    @contextmanager
    def control(self, home: Path) -> Iterator[Home]:
        assert home == self.path
        if self.refuses is not None:
            self.take()
            raise self.refuses
        yield self

    def call(self, request: Any) -> Any:
        if isinstance(request, LiftHold):
            (lifted,) = [each for each in read_holds(self.desk).standing if each.session == EVERYBODY]
            lift(self.desk, EVERYBODY)
            self.take()
            return HoldLifted(newest_change(self.desk), (ES, SPY), lifted)
        assert isinstance(request, SetHold)
        if not self.stores_late:
            hold = PersonHold(EVERYBODY, Level.HALT, request.by, request.why, 5.0, file=self.file)
            put_hold(self.desk, hold)
            for name in (ES, SPY, OFF) if request.flatten else ():
                put_flatten(self.desk, name, EVERYBODY)
        self.take()
        return HoldSet(newest_change(self.desk), (ES, SPY))

    @property
    def file(self) -> str:
        path = self.path / HALT_FILE
        return digest(path.read_bytes()) if path.exists() else ""

    def take(self) -> None:
        holds = read_holds(self.desk)
        for name in self.managers:
            begun = holds.flattens.get(name, 0)
            done = begun if name in self.flat or name in self.released else 0
            confirmed = begun if name in self.flat and name not in self.released else 0
            held = bool(self.file or holds.standing)
            self.says(name, Taken(holds.seen, self.file, held, held, begun, done, confirmed))

    def says(self, name: str, taken: Taken) -> None:
        row = ("holds_taken", msgspec.json.encode(taken).decode())
        self.journals[name].execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", row)

    def has_an_entry_without_outcome(self, name: str) -> None:
        self.journals[name].execute(
            "INSERT INTO intents (number, key, kind, purpose, symbol, side, quantity, type, order_id, written_utc,"
            " known, state, result_order_id, reason) VALUES"
            " (1, 'k', 'place', 'entry', 'SPY', 'buy', '1', 'market', '', 0, '', 'unknown', '', '')"
        )

    def run(self, *words: str, timeout: str = "0.1") -> Result:
        return CliRunner().invoke(main, ["--home", str(self.path), *words, "--timeout", timeout])


JOURNAL = "trader.store.journal:migrations"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    monkeypatch.setattr("trader.cli.halt.control", made.control)
    monkeypatch.setattr("trader.cli.halt.NOBODY_S", 0.1)
    monkeypatch.setattr("trader.cli.halt.owner_of", lambda _: 0)
    return made


# -- halt --------------------------------------------------------------------------------------------------------------


def test_a_halt_that_all_have_confirmed_says_so(home: Home) -> None:
    told = home.run("halt", "--why", "cpi")
    assert told.exit_code == 0, told.stderr
    assert "held: 2 of 2 confirmed" in told.stderr, "the one that is off has nothing to confirm"
    assert "entries cancelled: 2 of 2 confirmed" in told.stderr
    assert "HALTED by" in told.stderr
    assert "flat" not in told.stderr, "nobody asked for it"
    assert told.stdout == ""


def test_as_json_it_says_nothing_else(home: Home) -> None:
    told = home.run("halt", "--json")
    assert (told.exit_code, told.stderr) == (0, "")
    (es, spy) = json.loads(told.stdout)["sessions"]
    assert (es["session"], es["held"], es["flat"], spy["session"]) == (ES, True, None, SPY)


def test_where_the_desk_cannot_store_it_its_file_halts_and_says_so(home: Home) -> None:
    home.refuses = NotRunning("no desk runs")
    told = home.run("halt")
    assert told.exit_code == 0, told.stderr
    assert "no desk runs" in told.stderr
    assert f"The file {home.path / HALT_FILE} halts all the same" in told.stderr
    home.refuses = None
    assert "halts all the same" not in home.run("halt").stderr


@pytest.mark.parametrize(
    ("managers", "owner", "code", "words"),
    [
        ((), 0, 3, "it seems that no desk runs, so nothing enters"),
        ((), 7, 7, "the desk runs (pid 7), and none of its account managers answers"),
        ((SPY,), 0, 7, "not confirmed: held (es: holds nothing"),
    ],
)
def test_where_not_all_have_taken_the_file_it_is_said_who_has_not(
    home: Home, monkeypatch: pytest.MonkeyPatch, managers: tuple[str, ...], owner: int, code: int, words: str
) -> None:
    monkeypatch.setattr("trader.cli.halt.owner_of", lambda _: owner)
    home.refuses, home.managers = Failed("the recorder is full"), managers
    for format_ in ((), ("--json",)):
        told = home.run("halt", *format_)
        assert told.exit_code == code, told.stderr
        assert words in told.stderr
        assert "HALTED by" not in told.stderr
        assert (told.stdout != "") == bool(format_), "what is known is told also where it is not enough"


def test_who_is_held_and_not_halted_or_halted_by_an_earlier_file_has_not_taken_this_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trader.cli.halt.write_halt_file", lambda *words, **flags: "this one")
    home.managers = ()
    home.says(ES, Taken(held=True, halted=False, file="this one"))
    home.says(SPY, Taken(held=True, halted=True, file="earlier"))
    told = home.run("halt")
    assert (told.exit_code, "held: 0 of 2 confirmed" in told.stderr) == (7, True), told.stderr


def test_entries_that_may_still_fill_are_not_told_as_cancelled(home: Home) -> None:
    home.has_an_entry_without_outcome(ES)
    told = home.run("halt")
    assert told.exit_code == 7
    assert "not confirmed: entries cancelled (es: holds nothing; 0 orders work" in told.stderr
    assert "1 entries without outcome" in told.stderr


def test_a_home_that_is_none_is_not_halted(home: Home) -> None:
    told = CliRunner().invoke(main, ["--home", str(home.path / "typo"), "halt"])
    assert (told.exit_code, "nothing was halted" in told.stderr) == (2, True), told.stderr


# -- halt --flatten ----------------------------------------------------------------------------------------------------


def test_flatten_is_told_as_done_when_the_broker_shows_all_flat(home: Home) -> None:
    told = home.run("halt", "--flatten", "--yes")
    assert told.exit_code == 0, told.stderr
    assert "flat by the broker: 2 of 2 confirmed" in told.stderr
    sessions = json.loads(home.run("halt", "--flatten", "--yes", "--json").stdout)["sessions"]
    assert [each["flat"] for each in sessions] == [True, True]


def test_flatten_asks_and_without_a_terminal_does_nothing(home: Home) -> None:
    told = home.run("halt", "--flatten")
    assert (told.exit_code, "--yes" in told.stderr) == (2, True)
    assert not (home.path / HALT_FILE).exists()
    assert json.loads(home.run("halt", "--flatten", "--yes", "--json").stdout)["halted"]


def test_flatten_that_is_not_confirmed_in_time_goes_on_and_is_said_to_be_unknown(home: Home) -> None:
    home.flat = (SPY,)
    for format_ in ((), ("--json",)):
        told = home.run("halt", "--flatten", "--yes", *format_)
        assert told.exit_code == 7
        assert "not confirmed: flat by the broker (es:" in told.stderr
        assert "It is stored and goes on" in told.stderr
        assert [each["flat"] for each in json.loads(told.stdout)["sessions"]] == [False, True] if format_ else True


def test_flatten_that_a_person_has_ended_is_not_told_as_flat(home: Home) -> None:
    home.released = (ES,)
    told = home.run("halt", "--flatten", "--yes")
    assert (told.exit_code, "a person released es before" in told.stderr) == (1, True), told.stderr


@pytest.mark.parametrize("standing", [False, True], ids=["no halt is stored", "an earlier one is"])
def test_flatten_that_the_recorder_has_not_stored_is_said_not_to_have_begun(home: Home, standing: bool) -> None:
    home.stores_late = True
    if standing:
        put_hold(home.desk, PersonHold(EVERYBODY, Level.HALT, "ann", "", 1.0, file="earlier"))
        put_flatten(home.desk, ES, EVERYBODY)
    told = home.run("halt", "--flatten", "--yes")
    assert (told.exit_code, "no position is being closed" in told.stderr) == (7, True), told.stderr


def test_flatten_is_waited_for_until_the_recorder_has_stored_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def recorder_is_back(seconds: float) -> None:
        home.stores_late = False
        home.call(SetHold(EVERYBODY, "halt", "ann", flatten=True))

    home.stores_late = True
    monkeypatch.setattr("trader.cli.halt.time.sleep", recorder_is_back)
    told = home.run("halt", "--flatten", "--yes", timeout="5")
    assert told.exit_code == 0, told.stderr
    assert "flat by the broker: 2 of 2 confirmed" in told.stderr


# -- release -----------------------------------------------------------------------------------------------------------


def test_release_says_what_it_was_and_who_stays_held(home: Home) -> None:
    put_hold(home.desk, PersonHold(ES, Level.HOLD, "bob", "roll", 1.0))
    home.run("halt", "--why", "cpi")
    told = home.run("release", "--all")
    assert told.exit_code == 0, told.stderr
    assert "released; it was: halt of all sessions by" in told.stderr
    assert "still held: es: hold by bob: roll" in told.stderr
    assert told.stdout == ""
    home.run("halt", "--why", "cpi")
    told = home.run("release", "--all", "--json")
    shown = json.loads(told.stdout)
    assert (shown["lifted"]["why"], shown["still_held"][0]["session"], shown["confirmed"]) == ("cpi", ES, True)
    assert told.stderr == ""


def test_release_that_nobody_has_seen_is_stored_and_said_to_be_unknown(home: Home) -> None:
    home.run("halt")
    home.managers = ()
    told = home.run("release", "--all")
    assert (told.exit_code, "The release is stored" in told.stderr) == (7, True), told.stderr
    assert home.run("release").exit_code == 2


def test_release_as_json_tells_also_where_it_is_not_confirmed(home: Home) -> None:
    home.run("halt")
    home.managers = ()
    told = home.run("release", "--all", "--json")
    assert (told.exit_code, json.loads(told.stdout)["confirmed"]) == (7, False)
