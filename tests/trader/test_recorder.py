"""The recorder: the one writer of desk.db."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from supervisor.errors import Refused, StoreFailed
from supervisor.messages import Done, Event, Recorded, RecordEvents, Supervision, Up
from tests.scripted_world import ScriptedWorld
from tests.trader.session_world import SessionWorld
from trader.desk.commands import AddSession, LiftHold, RemoveSession, SessionStarted, SetHold, StartSession, StopSession
from trader.desk.recorder import Recorder
from trader.holds import HALT_FILE
from trader.manager.journal import SCHEMA
from trader.messages import SetWanted
from trader.sessions import Code, Session, Wanted, journal_path
from trader.store import desk
from trader.store.holds import newest_change, read_holds

CODE = Code(sha256="aa", filename="x.py", source="class X: ...")
OTHER_CODE = Code(sha256="bb", filename="x.py", source="class X: y = 1")
ES = Session(
    name="es",
    strategy="x.py",
    class_name="X",
    code_sha256="aa",
    account="SIM1",
    symbols=("ESZ13", "SPY"),
    connection="sim",
    parameters={"a": 1},
)


def event(kind: str, incident: str = "", state: Any = "") -> Event:
    return Event(kind, "NOTIFY", "x", f"{kind} happened", 1.0, 2.0, incident, state, {"n": 1})


def rows(world: ScriptedWorld) -> list[dict[str, Any]]:
    return world.store(desk.DESK_DB).query("SELECT * FROM events ORDER BY number")


@pytest.fixture
def world() -> ScriptedWorld:
    made = SessionWorld("recorder", incarnation=5_000_001)
    made.start(Recorder, {})
    return made


def added(world: ScriptedWorld) -> Session:
    assert world.ask(AddSession(session=ES, code=CODE)) == Done()
    return desk.read_session(world.store(desk.DESK_DB), "es")


def test_added_session_is_stored_whole_with_its_code_and_is_off(world: ScriptedWorld) -> None:
    assert added(world) == ES
    assert desk.read_code(world.store(desk.DESK_DB), "aa") == CODE


def test_start_raises_the_number_and_takes_the_new_code(world: ScriptedWorld) -> None:
    added(world)
    assert world.ask(StartSession(name="es", code=OTHER_CODE)) == SessionStarted(1)
    assert world.ask(StartSession(name="es", code=OTHER_CODE)) == SessionStarted(2)
    now = desk.read_session(world.store(desk.DESK_DB), "es")
    assert (now.wanted, now.start_no, now.code_sha256) == (Wanted.TRADE, 2, "bb")
    assert desk.read_code(world.store(desk.DESK_DB), "aa") == CODE, "older copies are kept"


def test_stop_of_a_trading_session_wants_it_minded_and_of_one_that_is_off_changes_nothing(world: ScriptedWorld) -> None:
    added(world)
    world.ask(StopSession(name="es"))
    assert desk.read_session(world.store(desk.DESK_DB), "es").wanted is Wanted.OFF
    world.ask(StartSession(name="es", code=CODE))
    world.ask(StopSession(name="es"))
    assert desk.read_session(world.store(desk.DESK_DB), "es").wanted is Wanted.MIND


def test_word_of_an_older_start_does_not_end_a_newer_one(world: ScriptedWorld) -> None:
    added(world)
    world.ask(StartSession(name="es", code=CODE))
    with pytest.raises(Refused, match="was started again"):
        world.ask(SetWanted(name="es", wanted="off", start_no=0, reason="flat"))
    assert desk.read_session(world.store(desk.DESK_DB), "es").wanted is Wanted.TRADE
    world.ask(SetWanted(name="es", wanted="off", start_no=1, reason="flat"))
    assert desk.read_session(world.store(desk.DESK_DB), "es").wanted is Wanted.OFF


def test_name_and_contract_have_one_owner(world: ScriptedWorld) -> None:
    added(world)
    with pytest.raises(Refused, match="is called 'es' already"):
        world.ask(AddSession(session=ES, code=CODE))
    rival = msgspec.structs.replace(ES, name="rival", symbols=("GCZ13", "SPY"))
    with pytest.raises(Refused, match="session es owns SPY on account SIM1"):
        world.ask(AddSession(session=rival, code=CODE))
    world.ask(AddSession(session=msgspec.structs.replace(rival, account="SIM2"), code=CODE))
    small = msgspec.structs.replace(ES, name="small", symbols=("spy",))
    with pytest.raises(Refused, match="session es owns SPY on account SIM1"):
        world.ask(AddSession(session=small, code=CODE))


def test_one_account_name_at_two_venues_is_two_accounts_and_by_two_connections_to_one_it_is_refused() -> None:
    world = SessionWorld("recorder", incarnation=5_000_001)
    world.start(Recorder, {"venues": {"sim": "a", "again": "a", "elsewhere": "b"}})
    added(world)
    for connection in ("again", "gone"):  # where one that is not configured any more led to, nobody knows
        twin = msgspec.structs.replace(ES, name="twin", connection=connection, symbols=("GCZ13",))
        with pytest.raises(
            Refused, match="session es trades account SIM1 by connection sim; one connection an account"
        ):
            world.ask(AddSession(session=twin, code=CODE))
    there = msgspec.structs.replace(ES, name="there", connection="elsewhere")
    world.ask(AddSession(session=there, code=CODE))
    with pytest.raises(Refused, match="session there owns ESZ13, SPY on account SIM1"):
        world.ask(AddSession(session=msgspec.structs.replace(there, name="rival"), code=CODE))


def test_what_is_one_venue_by_todays_configuration_is_not_started_twice() -> None:
    world = SessionWorld("recorder", incarnation=5_000_001)
    world.start(Recorder, {"venues": {"sim": "a", "there": "b"}})
    added(world)
    world.ask(AddSession(session=msgspec.structs.replace(ES, name="there", connection="there"), code=CODE))
    world.ask(StartSession(name="es", code=CODE))
    world.ask(StartSession(name="there", code=CODE))
    world.ask(SetWanted(name="there", wanted="off", start_no=1, reason="flat"))
    world.start(Recorder, {"venues": {"sim": "a", "there": "a"}})
    with pytest.raises(Refused, match=r"session es trades account SIM1 by connection sim.*'there' was not started"):
        world.ask(StartSession(name="there", code=CODE))
    assert world.ask(StartSession(name="es", code=CODE)) == SessionStarted(2)


@pytest.mark.parametrize(
    ("account", "symbols", "complaint"),
    [
        ("SIM1", ("SPY 131019C170",), "symbol 'SPY 131019C170': wanted 1 to 64 of A-Z"),
        ("SIM1", ("SPY", "../../x"), "symbol '../../x': wanted"),
        ("SIM1", ("",), "symbol '': wanted"),
        ("SIM1", ("S" * 65,), "symbol 'SSS"),
        ("..", ("SPY",), r"account '\.\.': wanted"),
        ("SIM 1", ("SPY",), "account 'SIM 1': wanted"),
        ("SIM1", ("SPY", "ESZ13", "SPY"), "symbol SPY is given twice"),
    ],
)
def test_what_can_be_no_part_of_a_process_name_is_refused(
    world: ScriptedWorld, account: str, symbols: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(Refused, match=complaint):
        world.ask(AddSession(session=msgspec.structs.replace(ES, account=account, symbols=symbols), code=CODE))
    assert desk.read_sessions(world.store(desk.DESK_DB)) == []


def test_odd_characters_of_real_symbols_pass(world: ScriptedWorld) -> None:
    odd = ("BRK.B", "$SPX.X", "@ES", "EUR/USD", "ESZ13-ESH14", "BF_B", "A:B+C=D")
    world.ask(AddSession(session=msgspec.structs.replace(ES, symbols=odd), code=CODE))
    assert desk.read_session(world.store(desk.DESK_DB), "es").symbols == odd


def test_a_new_session_goes_on_with_a_removed_ones_journal_on_the_same_account_only(world: ScriptedWorld) -> None:
    added(world)
    world.ask(RemoveSession(name="es"))
    store = world.store(desk.DESK_DB)
    assert (desk.read_sessions(store), desk.read_removed(store)) == ([], [ES])
    journal = world.store(journal_path("es"), schema=SCHEMA)
    elsewhere = msgspec.structs.replace(ES, account="SIM2")
    world.ask(AddSession(session=elsewhere, code=CODE))  # the first account was mistyped: nothing has happened there
    world.ask(RemoveSession(name="es"))
    world.ask(AddSession(session=ES, code=CODE))
    world.ask(RemoveSession(name="es"))
    journal.execute(
        "INSERT INTO adoptions (symbol, before_quantity, after_quantity, read, age_s, explained, adopted_utc)"
        " VALUES ('SPY', '0', '1', 1, 0.0, 0, 1.0)"
    )
    with pytest.raises(Refused, match="a removed session es traded account SIM1 by connection sim, and its journal"):
        world.ask(AddSession(session=elsewhere, code=CODE))
    assert desk.read_removed(store) == [ES]
    later = msgspec.structs.replace(ES, symbols=("ESH14",))
    world.ask(AddSession(session=later, code=CODE))
    assert (desk.read_sessions(store), desk.read_removed(store)) == ([later], [])


def test_only_a_session_that_is_off_can_be_removed(world: ScriptedWorld) -> None:
    added(world)
    world.ask(StartSession(name="es", code=CODE))
    with pytest.raises(Refused, match="is not off"):
        world.ask(RemoveSession(name="es"))
    world.ask(SetWanted(name="es", wanted="off", start_no=1, reason="flat"))
    world.ask(RemoveSession(name="es"))
    with pytest.raises(Refused, match="no session is called 'es'"):
        world.ask(RemoveSession(name="es"))


def test_events_sent_again_are_stored_once_and_acknowledged_each_time(world: ScriptedWorld) -> None:
    batch = RecordEvents("feed", 3, 7, (event("a"), event("b")))
    world.tell(batch)
    world.tell(batch)
    world.tell(RecordEvents("feed", 4, 7, (event("c"),)))
    assert [row["kind"] for row in rows(world)] == ["a", "b", "c"]
    assert [message for _, message in world.casts] == [Recorded(8), Recorded(8), Recorded(7)]


def test_supervisor_s_events_are_stored_by_their_life(world: ScriptedWorld) -> None:
    world.deliver(Supervision(1, event("child.died")))
    world.deliver(Supervision(1, event("child.died")))
    assert [(row["sender"], row["sender_incarnation"]) for row in rows(world)] == [("nightdesk", 5)]


def test_incident_of_an_older_incarnation_ends_when_the_next_is_up(world: ScriptedWorld) -> None:
    world.tell(RecordEvents("books", 3, 1, (event("unread", "u1", "opened"), event("login", "l1", "opened"))))
    world.tell(RecordEvents("books", 3, 3, (event("login", "l1", "resolved"),)))
    world.deliver(Up("books", 3))
    assert len(rows(world)) == 3, "it is the same incarnation: still open"
    world.deliver(Up("books", 4))
    world.deliver(Up("books", 4))
    assert [(row["kind"], row["incident"], row["incident_state"]) for row in rows(world)[3:]] == [
        ("incident.superseded", "u1", "resolved")
    ]


def test_incident_of_an_older_life_of_the_supervisor_ends_with_the_new_one(world: ScriptedWorld) -> None:
    world.deliver(Supervision(1, event("child.held", "h1", "opened")))
    world.next_incarnation()
    world.start(Recorder, {})
    assert len(rows(world)) == 1, "the same life"
    later = SessionWorld("recorder", incarnation=6_000_001)
    later.stores = world.stores
    later.start(Recorder, {})
    assert [row["incident_state"] for row in rows(later)] == ["opened", "resolved"]


# -- holds -------------------------------------------------------------------------------------------------------------


def standing(world: ScriptedWorld) -> list[tuple[str, str, str]]:
    return [(each.session, each.level.value, each.by) for each in read_holds(world.store(desk.DESK_DB)).standing]


def trading(world: ScriptedWorld, name: str = "es") -> None:
    symbols = ("ESZ13", "SPY") if name == "es" else ("QQQ",)
    world.ask(AddSession(session=msgspec.structs.replace(ES, name=name, symbols=symbols), code=CODE))
    world.ask(StartSession(name=name, code=CODE))


def kinds(world: ScriptedWorld) -> list[tuple[str, str]]:
    return [(row["kind"], row["subject"]) for row in rows(world) if row["sender"] == "recorder"]


def test_hold_is_stored_with_who_and_why_and_survives_until_it_is_released_by_name(world: ScriptedWorld) -> None:
    trading(world)
    told = world.ask(SetHold(session="es", level="hold", by="ann\n", why="cpi\x00  at 8:30"))
    assert told.sessions == ("es",)
    again = world.next_incarnation()
    again.start(Recorder, {})
    (hold,) = read_holds(again.store(desk.DESK_DB)).standing
    assert (hold.session, hold.by, hold.why, hold.number) == ("es", "ann", "cpi at 8:30", told.number)
    lifted = again.ask(LiftHold(session="es", by="bob"))
    assert (lifted.lifted, lifted.number > told.number) == (hold, True)
    assert standing(again) == []
    assert kinds(again) == [("hold.set", "sessions/es"), ("hold.released", "sessions/es")]


def test_hold_that_stands_is_kept_as_it_was_set_and_a_halt_is_never_made_a_hold(world: ScriptedWorld) -> None:
    trading(world)
    world.ask(SetHold(session="es", level="hold", by="ann"))
    world.ask(SetHold(session="es", level="hold", by="bob"))
    assert standing(world) == [("es", "hold", "ann")]
    world.ask(SetHold(session="es", level="halt", by="bob"))
    world.ask(SetHold(session="es", level="hold", by="ann"))
    assert standing(world) == [("es", "halt", "bob")]
    assert [kind for kind, _ in kinds(world)] == ["hold.set", "halt.set"]


def test_flatten_is_a_halt_and_asks_those_that_run_and_its_release_ends_it(world: ScriptedWorld) -> None:
    trading(world)
    trading(world, "qq")
    world.ask(AddSession(session=msgspec.structs.replace(ES, name="off", symbols=("X",)), code=CODE))
    told = world.ask(SetHold(session="", level="halt", by="ann", flatten=True))
    assert told.sessions == ("es", "qq")
    first = read_holds(world.store(desk.DESK_DB)).flattens
    assert set(first) == {"es", "qq"}
    world.ask(SetHold(session="es", level="hold", by="ann", flatten=True))
    second = read_holds(world.store(desk.DESK_DB))
    assert second.flattens["es"] > first["es"]
    assert standing(world) == [("", "halt", "ann"), ("es", "halt", "ann")]
    world.ask(LiftHold(session="", by="ann"))
    assert standing(world) == [("es", "halt", "ann")], "held by name, released by name"
    assert read_holds(world.store(desk.DESK_DB)).flattens == {"es": second.flattens["es"]}


def test_nothing_to_release_and_unknown_names_are_refused(world: ScriptedWorld) -> None:
    trading(world)
    for request, why in (
        (LiftHold(session="es", by="ann"), "es is not held"),
        (LiftHold(session="", by="ann"), "the desk is not halted"),
        (SetHold(session="nobody", level="hold", by="ann"), "no session is called 'nobody'"),
    ):
        with pytest.raises(Refused, match=why):
            world.ask(request)


def test_halt_file_is_stored_once_for_each_file_and_release_removes_both(world: ScriptedWorld) -> None:
    trading(world)
    world.files[HALT_FILE] = b'{"by": "ann", "why": "fire", "id": "1"}'
    world.advance(1.0)
    assert standing(world) == [("", "halt", "ann")]
    seen = newest_change(world.store(desk.DESK_DB))
    world.advance(5.0)
    assert newest_change(world.store(desk.DESK_DB)) == seen
    world.files[HALT_FILE] = b'{"by": "bob", "flatten": true, "id": "2"}'
    world.advance(5.0)
    holds = read_holds(world.store(desk.DESK_DB))
    assert (set(holds.flattens), len(holds.standing)) == ({"es"}, 1)
    assert holds.seen == seen + 2, "one change for the file, one for the flatten, once"
    world.ask(LiftHold(session="", by="ann"))
    assert (HALT_FILE in world.files, standing(world)) == (False, [])
    world.advance(5.0)
    assert standing(world) == []


def test_file_that_came_with_the_command_is_not_taken_for_another_halt(world: ScriptedWorld) -> None:
    trading(world)
    world.files[HALT_FILE] = b'{"by": "ann", "flatten": true, "id": "1"}'
    world.ask(SetHold(session="", level="halt", by="ann", flatten=True))
    seen = newest_change(world.store(desk.DESK_DB))
    world.advance(5.0)
    assert newest_change(world.store(desk.DESK_DB)) == seen


def test_file_is_gone_before_the_hold_so_that_a_death_between_leaves_it_halted(
    world: ScriptedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.files[HALT_FILE] = b""
    world.advance(1.0)

    def full(*arguments: Any) -> None:
        raise StoreFailed("desk.db cannot be written: disk full")

    monkeypatch.setattr("trader.store.holds.lift", full)
    with pytest.raises(StoreFailed):
        world.ask(LiftHold(session="", by="ann"))
    again = world.next_incarnation()
    again.start(Recorder, {})
    again.advance(3.0)
    assert standing(again) == [("", "halt", "the halt file")]
