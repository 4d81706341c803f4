"""The keeper of an account's own limits, and what the books tell it: the account, its day's first equity."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.broker import AccountSnapshot
from brokers.model import Account, Balance, Side
from feeds import paths
from feeds.books import STATUS_VALID_S, Books
from feeds.config import AccountLimits
from feeds.day_start import day_start
from feeds.limits_keeper import LimitsKeeper, in_flight_s
from feeds.messages import (
    AccountSeen,
    ReadSnapshot,
    Release,
    Reserve,
    Reserved,
    Snapshot,
    SnapshotFailed,
    StillReserved,
)
from feeds.specs import BooksArguments, plain
from feeds.trading_day import began_utc, trading_day
from supervisor.errors import HttpFailed, Refused
from supervisor.messages import Predecessor, Subscribed
from tests.brokers import golden
from tests.feeds.parts import CONFIG, TIMING, ok, with_tokens
from tests.feeds.test_books import ACCOUNT as PATH
from tests.feeds.test_books import answers
from tests.scripted_world import ScriptedWorld

ACCOUNT = "SIM100001F"
BOOKS = f"connections/sim/books/{ACCOUNT}"
LIMITED = msgspec.structs.replace(CONFIG, account_limits={ACCOUNT: AccountLimits(max_open_risk_usd=Decimal(150))})
ARGUMENTS = plain(BooksArguments(LIMITED, TIMING, ACCOUNT))
SEEN = AccountSeen(Account(ACCOUNT, "Futures", "Active", "USD"), Decimal(100_000), {})


def keeper(predecessor: Predecessor | None = None) -> ScriptedWorld:
    world = ScriptedWorld(f"connections/sim/limits/{ACCOUNT}", predecessor=predecessor)
    world.peers.add(BOOKS)
    world.start(LimitsKeeper, ARGUMENTS)
    world.deliver(Subscribed(BOOKS, "snapshot", 1))
    return world


def read(world: ScriptedWorld, equity: int = 100_000) -> None:
    now_s, money = world.now_s(), Decimal(equity)
    world.deliver(Snapshot(1, now_s, AccountSnapshot(ACCOUNT, (), (), Balance(ACCOUNT, money, money))))
    world.deliver(SEEN)


def entry(key: str, risk: int = 100) -> Reserve:
    return Reserve(key, "s", "ESZ26", Side.BUY, Decimal(1), Decimal(risk))


# -- the keeper --------------------------------------------------------------------------------------------------------


def test_it_asks_for_a_read_when_it_comes_up_and_gives_nothing_before_it() -> None:
    world = keeper()
    assert (BOOKS, ReadSnapshot()) in world.casts
    with pytest.raises(Refused, match=f"{ACCOUNT}: the account was not read as a whole"):
        world.ask(entry("a-1"))
    world.deliver(SnapshotFailed(1, world.now_s(), "no answer"))
    with pytest.raises(Refused, match="was not read as a whole"):
        world.ask(entry("a-1"))
    read(world)
    assert world.ask(entry("a-1")) == Reserved()


def test_it_answers_without_asking_anybody() -> None:
    world = keeper()
    read(world)
    world.ask(entry("a-1"))
    assert (world.calls, world.requests) == ([], [])


def test_the_second_session_does_not_get_what_the_first_one_has() -> None:
    world = keeper()
    read(world)
    world.ask(entry("a-1"))
    with pytest.raises(Refused, match="open risk with this entry 200, limit 150"):
        world.ask(entry("b-1"))
    world.tell(Release("a-1", filled=False))
    assert world.ask(entry("b-1")) == Reserved()
    world.tell(Release("never given", filled=True))


def test_after_a_crash_it_waits_until_a_read_must_show_what_was_on_its_way() -> None:
    world = keeper(Predecessor("killed", "", abnormal=True))
    read(world)
    with pytest.raises(Refused, match="was not read as a whole"):
        world.ask(entry("a-1"))
    world.advance(in_flight_s(TIMING))
    read(world)
    assert world.ask(entry("a-1")) == Reserved()


def test_what_an_older_keeper_gave_counts_when_it_is_said_again() -> None:
    world = keeper()
    world.tell(StillReserved((entry("a-1"),)))
    read(world)
    with pytest.raises(Refused, match="limit 150"):
        world.ask(entry("b-1"))


# -- what the books tell -----------------------------------------------------------------------------------------------


def books(config: Any = CONFIG) -> ScriptedWorld:
    world = answers(with_tokens(ScriptedWorld(BOOKS)))
    world.answer_http("GET", "/v3/brokerage/accounts", ok(golden.ACCOUNTS))
    answers(world)
    world.answer_http("GET", "/v3/marketdata/symbols/", ok(golden.SYMBOLS))
    world.start(Books, plain(BooksArguments(config, TIMING, ACCOUNT)))
    return world


def told(world: ScriptedWorld) -> list[AccountSeen]:
    return [message for message in world.published_on("snapshot") if isinstance(message, AccountSeen)]


def test_status_and_the_days_first_equity_follow_each_snapshot() -> None:
    world = books()
    world.advance(31.0)
    first, second = told(world)
    assert (first.account.status, first.account.kind) == ("Active", "Futures")
    assert first.day_start_usd == second.day_start_usd == Decimal(100_125)
    kinds = [type(message) for message in world.published_on("snapshot")]
    assert kinds == [Snapshot, AccountSeen] * 2
    asked = [request.url for request in world.requests if request.url.endswith("/accounts")]
    assert len(asked) == 1, "the status is read seldom"
    world.advance(STATUS_VALID_S)
    assert len([request for request in world.requests if request.url.endswith("/accounts")]) == 2


def test_a_status_that_cannot_be_read_holds_no_snapshot_up_and_is_not_told() -> None:
    world = books()
    world.answer_http("GET", "/v3/brokerage/accounts", HttpFailed("no answer", sent=True))
    answers(world)
    world.advance(61.0)
    assert [type(message) for message in world.published_on("snapshot")] == [Snapshot] * 3
    world.answer_http("GET", "/v3/brokerage/accounts", ok(golden.ACCOUNTS))
    answers(world)
    world.advance(30.0)
    assert told(world)


def test_the_days_first_equity_survives_a_restart_and_a_new_day_begins_anew() -> None:
    world = books()
    world.advance(1.0)
    again = world.next_incarnation()
    again.answer_http("GET", f"{PATH}/balances", ok(golden.BALANCES.replace(b'"Equity":"100125"', b'"Equity":"99000"')))
    again.start(Books, plain(BooksArguments(CONFIG, TIMING, ACCOUNT)))
    again.advance(1.0)
    assert told(again)[-1].day_start_usd == Decimal(100_125), "what was lost is not forgotten"
    again.advance(86_400.0)
    assert told(again)[-1].day_start_usd == Decimal(99_000)


def test_the_kind_of_the_account_is_kept_with_its_day_also_where_an_older_program_began_it() -> None:
    """By it whoever looks cuts the same days, with or without a desk. The day's first equity stays."""
    world = books()
    path = paths.day_start("sim", ACCOUNT)
    world.files[path] = b'{"day":"2013-10-07","equity_usd":"98000","read_utc":1381140000.0}'
    world.advance(1.0)
    kept = day_start(world.files[path], path)
    assert kept is not None
    assert (kept.kind, kept.day, kept.equity_usd) == (told(world)[0].account.kind, "2013-10-07", Decimal(98_000))
    assert kept.kind


def test_a_garbled_day_start_is_told_once_and_nothing_is_made_up() -> None:
    world = books()
    world.files[paths.day_start("sim", ACCOUNT)] = b"garbage"
    world.advance(61.0)
    assert told(world) == []
    assert [event.kind for event in world.events] == ["books.day_start"]
    assert "Remove it when you have looked" in world.events[0].text


def test_point_values_are_read_where_open_risk_is_limited() -> None:
    world = books(LIMITED)
    world.advance(1.0)
    assert told(world)[0].point_values_usd == {"ESZ26": Decimal(50)}
    other = books()
    other.advance(1.0)
    assert told(other)[0].point_values_usd == {}


def test_the_file_of_the_day_is_named_by_connection_and_account_and_nothing_else() -> None:
    assert paths.day_start("live", "../../etc") == "accounts/live/..%2F..%2Fetc.json"


# -- the trading day ---------------------------------------------------------------------------------------------------


def utc(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("moment", "kind", "day", "began"),
    [
        ("2013-10-07T14:00:00+00:00", "Margin", "2013-10-07", "2013-10-05T04:00:00+00:00"),
        ("2013-10-08T14:00:00+00:00", "Margin", "2013-10-08", "2013-10-08T04:00:00+00:00"),
        ("2013-10-08T20:59:59+00:00", "Futures", "2013-10-08", "2013-10-07T21:00:00+00:00"),
        ("2013-10-08T21:00:00+00:00", "Futures", "2013-10-09", "2013-10-08T21:00:00+00:00"),
        ("2013-10-11T22:00:00+00:00", "Futures", "2013-10-14", "2013-10-11T21:00:00+00:00"),
        ("2013-10-13T22:30:00+00:00", "Futures", "2013-10-14", "2013-10-11T21:00:00+00:00"),
        ("2013-11-04T15:00:00+00:00", "Futures", "2013-11-04", "2013-11-01T21:00:00+00:00"),
        ("2013-11-05T15:00:00+00:00", "Futures", "2013-11-05", "2013-11-04T22:00:00+00:00"),
    ],
)
def test_a_trading_day_begins_in_new_york_and_a_weekend_belongs_to_monday(
    moment: str, kind: str, day: str, began: str
) -> None:
    assert trading_day(utc(moment), kind).isoformat() == day
    assert began_utc(utc(moment), kind) == utc(began)
