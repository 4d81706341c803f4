"""What ensure_sessions does about what is wanted and what runs."""

from __future__ import annotations

import msgspec
import pytest

from supervisor.messages import ChildInfo, Tree
from trader.desk.plan import EndOf, RestartTrader, StartOf, Step, Terminate, in_its_way, plan_sessions
from trader.sessions import Session, Wanted


def session(wanted: Wanted, name: str = "es") -> Session:
    return Session(
        name=name,
        strategy="breakout",
        class_name="Breakout",
        code_sha256="",
        account="SIM1",
        symbols=("ESZ13",),
        connection="sim",
        wanted=wanted,
        start_no=1,
    )


def tree(group: str | None, trader: str | None = None) -> Tree:
    children = []
    if group is not None:
        children.append(ChildInfo(name="sessions/es", type="supervisor", state=group))
    if trader is not None:
        children.append(ChildInfo(name="sessions/es/trader", type="worker", state=trader))
    return Tree(now_s=0.0, pid=1, children=tuple(children))


@pytest.mark.parametrize("wanted", [Wanted.TRADE, Wanted.MIND])
@pytest.mark.parametrize("group", [None, "ended"])
def test_wanted_session_that_does_not_run_is_started(wanted: Wanted, group: str | None) -> None:
    assert plan_sessions([session(wanted)], tree(group), frozenset()) == [StartOf(session(wanted))]


@pytest.mark.parametrize("group", [None, "ended", "up"])
def test_session_that_is_off_is_left_to_itself(group: str | None) -> None:
    assert plan_sessions([session(Wanted.OFF)], tree(group, "up"), frozenset()) == []


def test_minding_session_that_was_started_again_gets_its_trader_back() -> None:
    one = session(Wanted.TRADE)
    assert plan_sessions([one], tree("up", "ended"), frozenset()) == [RestartTrader(one)]


@pytest.mark.parametrize("trader", ["up", "starting", "held, up", "held, waiting"])
def test_trading_that_is_not_wanted_is_ended_by_way_of_the_account_manager(trader: str) -> None:
    one = session(Wanted.MIND)
    assert plan_sessions([one], tree("up", trader), frozenset()) == [EndOf(one)]


@pytest.mark.parametrize(
    ("wanted", "trader"), [(Wanted.TRADE, "up"), (Wanted.TRADE, "held, waiting"), (Wanted.MIND, "ended")]
)
def test_what_is_as_wanted_is_left_alone(wanted: Wanted, trader: str) -> None:
    assert plan_sessions([session(wanted)], tree("up", trader), frozenset()) == []


def test_restarted_session_ends_first_and_is_started_at_the_next_look() -> None:
    one = session(Wanted.TRADE)
    first: list[Step] = plan_sessions([one], tree("up", "up"), frozenset({"es"}))
    assert first == [Terminate(one)]
    assert plan_sessions([one], tree(None), frozenset({"es"})) == [StartOf(one)]


def test_of_two_sessions_that_a_configuration_brings_to_one_account_one_runs_whoever_is_there_goes_on() -> None:
    """Each was added where its account was another one: their connections led to two venues then."""
    first, second = session(Wanted.TRADE), msgspec.structs.replace(session(Wanted.MIND, "other"), connection="other")
    both, apart, together = [first, second], {"sim": "a", "other": "b"}, {"sim": "a", "other": "a"}
    nobody, runs = tree(None), Tree(0.0, 1, (ChildInfo(name="sessions/other", type="supervisor", state="up"),))
    assert [in_its_way(each, both, nobody, apart) for each in both] == [None, None]
    assert in_its_way(first, both, nobody, together) is None
    assert "session es trades account SIM1 by connection sim" in (in_its_way(second, both, nobody, together) or "")
    assert "session other trades account SIM1 by connection other" in (in_its_way(first, both, runs, together) or "")
    off = [msgspec.structs.replace(first, wanted=Wanted.OFF), second]
    assert in_its_way(second, off, nobody, together) is None
