"""One cause, however many incidents follow from it: told once, and nothing of it lost."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.messages import ChildInfo
from trader.cli.incidents import told_by_cause
from trader.incidents import Cause, Incident, by_cause

FEEDS = ("orders/SIM1", "positions/SIM1", "bars/ESZ13/60")
SERVED = (*(f"connections/sim/feeds/{feed}" for feed in FEEDS), "connections/sim/books/SIM1")
TREE = [
    ChildInfo(name="connections/sim", type="supervisor", state="up"),
    ChildInfo(name="connections/sim/connection", type="worker", state="up"),
    ChildInfo(name="connections/other/books/SIM2", type="worker", state="up"),
    *(ChildInfo(name=name, type="worker", state="up") for name in SERVED),
]
FEEDS_FROM = {"es": "sim", "spy": "other"}
NO_ROUTE = "error: NewConnectionError: 127.0.0.1:31022: Connection refused"


def held(name: str, why: str = NO_ROUTE, number: int = 1) -> Incident:
    text = (
        f"{name} slows down: 6 deaths in 30 s (limit 5) below x, last: {why}. Next try in 0.{number} s; others go on."
    )
    return Incident(f"held {name} {number}", "child.held", "NOTIFY", name, text, float(number))


def unread(name: str = SERVED[-1]) -> Incident:
    text = "SIM1: not read, nothing is concluded from it: Unavailable: HTTP 503"
    return Incident(f"unread:{name}", "books.unread", "DIGEST", name, text, 5.0)


def stale(name: str) -> Incident:
    return Incident(f"stale {name} 1", "child.stale", "NOTIFY", name, f"{name} is stale: it is alive, but", 9.0)


def bars_stale(session: str = "es", feed: str = FEEDS[2]) -> Incident:
    source = f"sessions/{session}/data_source"
    return Incident(f"stale:{source}:{feed}", "data.stale", "NOTIFY", source, f"{feed}: no bar is passed on", 9.5)


def causes_of(found: list[Incident]) -> tuple[dict[str, str], list[Cause]]:
    told, causes = by_cause(found, TREE, FEEDS_FROM)
    return {each.incident: each.caused_by for each in told}, causes


def test_a_dead_venue_is_one_cause_of_all_that_its_processes_and_sessions_say() -> None:
    found = [*(held(name, number=n) for n, name in enumerate(SERVED[:3])), unread(), stale(SERVED[-1]), bars_stale()]
    told, causes = by_cause(found, TREE, FEEDS_FROM)
    assert causes == [
        Cause(
            "away sim",
            "NOTIFY",
            "connections/sim",
            "nothing of its venue is had, all 4 feeds and books fail: Unavailable: HTTP 503",
            0.0,
        )
    ]
    assert {each.caused_by for each in told} == {"away sim"}
    lines = told_by_cause(told, causes, [], 0.0, all_of=False)
    assert [line.partition("Z  ")[2] or line.strip() for line in lines] == [
        "connections/sim: nothing of its venue is had, all 4 feeds and books fail: Unavailable: HTTP 503",
        "6 incidents follow from it → nightdesk status --all",
    ]
    assert len(told_by_cause(told, causes, [], 0.0, all_of=True)) == 7


def test_a_session_that_waits_for_another_venue_is_not_put_under_it() -> None:
    found = [*(held(name, number=n) for n, name in enumerate(SERVED[:3])), unread(), bars_stale("spy")]
    assert causes_of(found)[0][bars_stale("spy").incident] == ""


def test_what_is_slowed_down_for_one_reason_while_the_books_are_read_is_one_cause() -> None:
    """As after the venue is back: the books are read again, and the feeds still have to stay well for a while."""
    found = [held(SERVED[0]), held(SERVED[1], NO_ROUTE.replace("31022", "31023"), 2), held(SERVED[2], "DualLogon", 3)]
    told, causes = by_cause(found, TREE, FEEDS_FROM)
    assert [cause.text for cause in causes] == [f"2 of its 4 feeds and books are slowed down: {NO_ROUTE}"]
    assert [bool(each.caused_by) for each in told] == [True, True, False]
    again = [ChildInfo(name=SERVED[0], type="worker", state="held, up", since_s=1.0)]
    assert "2 incidents follow from it, 1 of 2 slowed down are up again" in "\n".join(
        told_by_cause(told, causes, again, 2.0, all_of=False)
    )


def test_what_slowed_down_for_two_reasons_and_now_dies_of_one_is_one_cause() -> None:
    """A stream that broke in its middle, and one that was not opened any more: the venue had gone."""
    tree = [ChildInfo(name=name, type="worker", state="held, waiting", why=NO_ROUTE) for name in SERVED]
    found = [held(SERVED[0], "reset: the connection was closed inside the stream"), held(SERVED[1], number=2)]
    told, causes = by_cause(found, tree, FEEDS_FROM)
    assert [cause.text for cause in causes] == [f"2 of its 4 feeds and books are slowed down: {NO_ROUTE}"]
    assert all(each.caused_by for each in told)


def test_a_process_that_says_why_is_not_told_a_second_time_by_its_supervisor() -> None:
    below, causes = causes_of([unread(), stale(SERVED[-1])])
    assert below[stale(SERVED[-1]).incident] == unread().incident
    assert causes == []


def test_a_series_that_waits_for_a_feed_is_under_that_feeds_own_incident() -> None:
    refused = Incident("refused:x", "feed.refused", "NOTIFY", SERVED[2], "refused: HTTP 403", 1.0)
    assert causes_of([refused, bars_stale()])[0][bars_stale().incident] == "refused:x"


def test_a_refused_login_is_the_cause_of_what_fails_for_want_of_a_token() -> None:
    login = Incident(
        "login:sim", "connection.login_needed", "PAGE", "connections/sim/connection", "SIM sim: login needed", 1.0
    )
    below, causes = causes_of([login, *(held(name) for name in SERVED[:3]), unread()])
    assert causes == []
    assert below == {
        "login:sim": "",
        **{held(name).incident: "login:sim" for name in SERVED[:3]},
        unread().incident: "login:sim",
    }


def test_what_the_connection_itself_has_told_is_the_cause_and_not_told_a_second_time() -> None:
    away = Incident(
        "away:sim", "connection.venue_away", "NOTIFY", "connections/sim/connection", "SIM sim: nothing", 9.0
    )
    below, causes = causes_of([*(held(name) for name in SERVED[:3]), unread(), away, bars_stale()])
    assert causes == []
    assert {each for name, each in below.items() if name != "away:sim"} == {"away:sim"}


pages = st.sampled_from([
    Incident("uncovered:ES", "uncovered", "PAGE", "sessions/es", "no stop", 2.0),
    Incident("", "stop.refused", "PAGE", "sessions/es", "ESZ13 stop refused", 3.0),
    Incident("paged", "hold.found", "PAGE", SERVED[0], "a page of a feed's", 4.0),
])  # fmt: skip
others = st.one_of(
    st.builds(held, st.sampled_from(SERVED), st.sampled_from([NO_ROUTE, "silence: 15 s"])),
    st.builds(unread, st.just(SERVED[-1])),
    st.builds(stale, st.sampled_from(SERVED)),
    st.just(
        Incident("away:sim", "connection.venue_away", "NOTIFY", "connections/sim/connection", "SIM sim: nothing", 9.0)
    ),
    st.builds(bars_stale, st.sampled_from(["es", "spy", "gone"]), st.sampled_from(FEEDS)),
)


@given(st.lists(others | pages, unique_by=lambda each: each.incident, max_size=12))
def test_whatever_is_open_each_is_told_once_and_a_page_by_itself(found: list[Incident]) -> None:
    told, causes = by_cause(found, TREE, FEEDS_FROM)
    assert [each.incident for each in told] == [each.incident for each in found]
    assert not any(each.caused_by for each in told if each.level == "PAGE")
    heads = {each.incident for each in told if not each.caused_by} | {each.id for each in causes}
    assert all(each.caused_by in heads for each in told if each.caused_by)
    assert len(told_by_cause(told, causes, [], 0.0, all_of=True)) == len(found) + len(causes)
