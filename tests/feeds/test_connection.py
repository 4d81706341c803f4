"""The connection process: leases in, feeds and books up and down, its own end, tokens."""

import json

import msgspec
import pytest

from feeds.connection import Connection, PruneLeases
from feeds.messages import ReadLeases, ReadLogin, ReadShares, ReadToken, Shares, StillNeeded, TakeLogin
from feeds.specs import ConnectionArguments, plain
from supervisor.errors import OutcomeUnknown, Refused
from supervisor.messages import Predecessor
from supervisor.process.world import HttpReply
from tests.brokers import golden
from tests.feeds.parts import CONFIG, CONNECTION, TIMING, ok
from tests.scripted_parts import Ended
from tests.scripted_world import ScriptedWorld

ARGUMENTS = plain(ConnectionArguments(CONFIG, TIMING))
BARS = "connections/sim/feeds/bars/SPY/60"
ORDERS = "connections/sim/feeds/orders/SIM1"
BOOKS = "connections/sim/books/SIM1"
MANAGER = StillNeeded("sessions/a/account_manager", ("orders/SIM1",), ("SIM1",))
SOURCE = StillNeeded("sessions/a/data_source", ("bars/SPY/60",), ())


@pytest.fixture
def world() -> ScriptedWorld:
    world = ScriptedWorld(CONNECTION)
    world.supervisor.dynamic = ("connections/sim/feeds/",)
    world.files["login.json"] = json.dumps({"refresh_token": "refresh-1"}).encode()
    world.answer_http("POST", "/oauth/token", ok(golden.TOKEN))
    return world


@pytest.fixture
def connection(world: ScriptedWorld) -> Connection:
    return world.start(Connection, ARGUMENTS)


def renewed_by(world: ScriptedWorld, *words: StillNeeded, seconds: int) -> None:
    for _ in range(seconds // 15):
        for word in words:
            world.tell(word)
        world.advance(15.0)


@pytest.mark.usefixtures("connection")
class TestLeases:
    def test_what_is_needed_is_started_where_it_belongs(self, world: ScriptedWorld) -> None:
        world.tell(MANAGER)
        world.tell(SOURCE)
        assert set(world.supervisor.children) == {BARS, ORDERS, BOOKS}

    def test_what_runs_is_not_asked_for_at_each_word(self, world: ScriptedWorld) -> None:
        for _ in range(5):
            world.tell(SOURCE)
        assert world.supervisor.requests == [("ensure_child", BARS)]

    def test_what_nobody_renews_is_ended_after_its_time(self, world: ScriptedWorld) -> None:
        world.tell(SOURCE)
        renewed_by(world, MANAGER, seconds=45)
        assert BARS in world.supervisor.children
        renewed_by(world, MANAGER, seconds=30)
        assert ("terminate_child", BARS) in world.supervisor.requests
        assert ("terminate_child", ORDERS) not in world.supervisor.requests

    def test_books_are_ended_and_forgotten(self, world: ScriptedWorld) -> None:
        world.tell(MANAGER)
        renewed_by(world, SOURCE, seconds=120)
        assert BOOKS not in world.supervisor.children
        assert ("delete_child", BOOKS) in world.supervisor.requests

    def test_a_child_that_is_gone_without_our_doing_is_had_again_at_the_next_prune(self, world: ScriptedWorld) -> None:
        world.tell(SOURCE)
        del world.supervisor.children[BARS]
        renewed_by(world, SOURCE, seconds=30)
        assert BARS in world.supervisor.children

    def test_one_that_cannot_be_started_is_tried_again_and_harms_no_other(self, world: ScriptedWorld) -> None:
        def refuse_bars(name: str) -> None:
            if name == BARS:
                raise OutcomeUnknown("no reply")

        world.supervisor.answers["ensure_child"] = refuse_bars
        both = StillNeeded("sessions/a/data_source", ("bars/SPY/60", "orders/SIM1"), ())
        world.tell(both)
        assert set(world.supervisor.children) == {ORDERS}
        del world.supervisor.answers["ensure_child"]
        world.tell(both)
        assert BARS in world.supervisor.children

    def test_a_lease_on_nonsense_is_passed_over_and_the_rest_of_it_holds(self, world: ScriptedWorld) -> None:
        world.tell(StillNeeded("sessions/a/data_source", ("ticks/SPY", "bars/SPY/60"), ()))
        assert set(world.supervisor.children) == {BARS}
        assert "'ticks/SPY' is no feed" in world.log.text

    def test_a_lease_on_what_can_be_no_process_harms_nobody_else(self, world: ScriptedWorld) -> None:
        """Regression: an option's symbol (it has a space) ended the connection, and with it all others' feeds."""
        world.tell(MANAGER)
        option = ("bars/SPY 131019C170/60", "bars/../../x/60", "bars/SPY/60")
        world.tell(StillNeeded("sessions/b/data_source", option, ("SIM 2", "..", "SIM1")))
        assert set(world.supervisor.children) == {BARS, ORDERS, BOOKS}
        assert "bars/SPY 131019C170/60" in world.log.text
        assert "books/SIM 2" in world.log.text

    def test_leases_can_be_read(self, world: ScriptedWorld) -> None:
        world.tell(MANAGER)
        world.advance(10.0)
        leases = world.ask(ReadLeases())
        assert leases.feeds == {"orders/SIM1": {"sessions/a/account_manager": 50.0}}
        assert leases.books == {"SIM1": {"sessions/a/account_manager": 50.0}}

    def test_that_nothing_of_the_venue_is_had_is_told_once_and_over_with_the_first_that_is_well(
        self, world: ScriptedWorld
    ) -> None:
        world.tell(MANAGER)
        world.tell(SOURCE)
        states = world.supervisor.states
        states |= {BARS: "held, waiting", ORDERS: "held, up", BOOKS: "up"}
        renewed_by(world, MANAGER, SOURCE, seconds=60)
        assert world.event_kinds() == []  # the account is read: the venue answers
        states[BOOKS] = "up, stale"
        renewed_by(world, MANAGER, SOURCE, seconds=90)
        assert world.event_kinds() == ["connection.venue_away"]
        assert "all 3 feeds and books fail" in world.events[0].text
        states[ORDERS] = "up"
        renewed_by(world, MANAGER, SOURCE, seconds=60)
        assert world.event_kinds() == ["connection.venue_away", "connection.venue_back"]
        assert [each.incident_state for each in world.events] == ["opened", "resolved"]
        assert "1 of 3 feeds and books are well" in world.events[1].text

    def test_a_venue_that_nobody_needs_any_more_is_not_away_for_ever(self, world: ScriptedWorld) -> None:
        world.tell(SOURCE)
        world.supervisor.states[BARS] = "held, waiting"
        renewed_by(world, SOURCE, seconds=60)
        world.advance(60.0)
        assert world.event_kinds()[:3] == ["connection.venue_away", "connection.venue_back", "connection.child_ended"]
        assert "nobody needs" in world.events[1].text

    def test_feeds_that_are_only_starting_are_no_sign_of_a_venue_that_is_away(self, world: ScriptedWorld) -> None:
        world.tell(SOURCE)
        world.supervisor.states[BARS] = "starting"
        renewed_by(world, SOURCE, seconds=60)
        assert world.event_kinds() == []

    def test_it_ends_itself_normally_when_nobody_needs_it(self, world: ScriptedWorld) -> None:
        renewed_by(world, MANAGER, SOURCE, seconds=300)
        assert world.ended is None
        world.advance(59.0)
        assert world.ended is None
        world.advance(1.0)
        assert world.ended == Ended("normal")
        assert world.supervisor.children == {}

    def test_a_word_that_waits_in_the_mailbox_at_the_end_keeps_it(self, world: ScriptedWorld) -> None:
        world.deliver(PruneLeases(world.now_s()))
        world.tell(SOURCE)
        world.advance(0.0)
        assert world.ended is None
        assert "staying" in world.log.text

    def test_a_stall_of_the_machine_ends_nothing(self, world: ScriptedWorld) -> None:
        world.tell(SOURCE)
        world.stall(300.0)
        assert BARS in world.supervisor.children
        assert world.ended is None
        assert world.event_kinds().count("machine.late") == 1


def test_after_a_crash_no_feed_is_ended_before_all_had_time_to_speak(world: ScriptedWorld) -> None:
    world.start(Connection, ARGUMENTS)
    world.tell(MANAGER)
    world.tell(SOURCE)
    after = world.next_incarnation(Predecessor(why="killed by signal 9", note="", abnormal=True))
    after.start(Connection, ARGUMENTS)
    after.advance(59.0)
    assert set(after.supervisor.children) == {BARS, ORDERS, BOOKS}
    assert after.ended is None
    after.tell(SOURCE)
    after.advance(31.0)
    assert set(after.supervisor.children) == {BARS}


def test_ready_needs_no_network(world: ScriptedWorld) -> None:
    world.http_answers.clear()
    world.start(Connection, ARGUMENTS)
    assert world.requests == []
    assert world.trace == []


@pytest.mark.usefixtures("connection")
class TestTokens:
    def test_a_token_is_given(self, world: ScriptedWorld) -> None:
        assert world.ask(ReadToken()).access_token == "eyJ.new"

    def test_it_is_renewed_before_the_callers_need_it(self, world: ScriptedWorld) -> None:
        renewed_by(world, SOURCE, seconds=1140)
        assert len(world.requests) == 2
        world.ask(ReadToken())
        assert len(world.requests) == 2

    def test_without_a_login_it_says_so_and_lives(self, world: ScriptedWorld) -> None:
        del world.files["login.json"]
        with pytest.raises(Refused, match="login needed"):
            world.ask(ReadToken())
        renewed_by(world, SOURCE, seconds=600)
        assert world.ended is None
        assert [event.level for event in world.events] == ["PAGE"]

    def test_a_new_login_is_noticed_by_itself(self, world: ScriptedWorld) -> None:
        content = world.files.pop("login.json")
        renewed_by(world, SOURCE, seconds=300)
        world.files["login.json"] = content
        renewed_by(world, SOURCE, seconds=75)
        assert world.event_kinds() == ["connection.login_needed", "connection.login_accepted"]


@pytest.mark.usefixtures("connection")
class TestShares:
    def test_quotas_go_into_as_many_parts_as_there_are_books_and_feeds_of_bars(self, world: ScriptedWorld) -> None:
        assert world.ask(ReadShares()) == Shares(books=0, bars=0)
        for number in range(10):  # ten sessions, one account
            world.tell(StillNeeded(f"sessions/s{number}/account_manager", ("orders/SIM1", "positions/SIM1"), ("SIM1",)))
            world.tell(StillNeeded(f"sessions/s{number}/data_source", (f"bars/S{number}/60",), ()))
        assert world.ask(ReadShares()) == Shares(books=1, bars=10)


@pytest.mark.usefixtures("connection")
class TestLogin:
    def test_it_is_shown_without_secrets(self, world: ScriptedWorld) -> None:
        world.advance(0.1)
        shown = world.ask(ReadLogin())
        assert (shown.trouble, shown.rotating, shown.expires_s - shown.next_renewal_s) == ("", False, 90.0)
        assert "refresh-1" not in str(shown)
        assert "eyJ" not in str(shown)

    def test_what_a_person_signed_in_with_ends_the_trouble_at_once(self, world: ScriptedWorld) -> None:
        world.answer_http("POST", "/oauth/token", HttpReply(403, {}, golden.INVALID_GRANT))
        world.advance(0.1)
        assert world.ask(ReadLogin()).trouble.startswith("login needed")
        signed_in = {"refresh_token": "refresh-9", "access_token": "eyJ.9", "expires_s": world.now_s() + 1200.0}
        world.files["login.json"] = json.dumps(signed_in).encode()
        assert world.ask(TakeLogin()).trouble == ""
        assert world.ask(ReadToken()).access_token == "eyJ.9"
        assert [event.incident_state for event in world.events] == ["opened", "resolved"]

    def test_a_sign_in_that_does_not_serve_says_so(self, world: ScriptedWorld) -> None:
        world.files["login.json"] = b"{}"
        assert "no refresh_token" in world.ask(TakeLogin()).trouble


def test_no_more_streams_of_a_kind_are_had_than_the_venue_allows(world: ScriptedWorld) -> None:
    world.start(Connection, ARGUMENTS)
    accounts = tuple(f"SIM{number:02}" for number in range(41))
    many = StillNeeded("sessions/a/account_manager", tuple(f"orders/{each}" for each in accounts), accounts)
    world.tell(many)
    world.tell(many)
    feeds = [name for name in world.supervisor.children if "/feeds/orders/" in name]
    books = [name for name in world.supervisor.children if "/books/" in name]
    assert (len(feeds), len(books)) == (40, 41)
    (event,) = [event for event in world.events if event.kind == "connection.streams_full"]
    assert "orders/SIM40" in event.text
    world.tell(StillNeeded(many.holder, many.feeds[1:], many.accounts))
    assert "connection.streams_had" in world.event_kinds()
    assert "connections/sim/feeds/orders/SIM40" in world.supervisor.children


def test_connections_of_one_key_divide_its_streams(world: ScriptedWorld) -> None:
    shared = plain(ConnectionArguments(msgspec.structs.replace(CONFIG, key_sharers=2), TIMING))
    world.start(Connection, shared)
    world.tell(StillNeeded("sessions/a/account_manager", tuple(f"orders/SIM{n}" for n in range(30)), ()))
    assert sum("/feeds/orders/" in name for name in world.supervisor.children) == 20
