"""What a person reads of a session: each thing with what to do about it, nothing twice, nothing that contradicts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.model import OrderType, Side
from supervisor.messages import ChildInfo
from trader.accounting.standing import Standing, State
from trader.cli import lines
from trader.cli import status as status_view
from trader.cli.books import aligned
from trader.cli.confirm import Word
from trader.cli.incidents import event_lines, told_by_cause
from trader.cli.logs import merged
from trader.cli.status import money_line
from trader.cli.words import bare, no_outcome, order_line, position_line, symbol_hold
from trader.incidents import Incident
from trader.messages import Hold, PositionView, SessionStatus, Unsettled, WorkingOrder

D = Decimal
LONG = PositionView("ESZ13", D(1), D("1672.25"), D(1664), 5.0, True, stop_held_by="venue", covered="regular hours")
BARE = PositionView("ESZ13", D(1), D("1672.25"), agreed=True)


def told(**more: Any) -> SessionStatus:
    base: dict[str, Any] = {
        "start_no": 1, "minding": False, "done_reason": "", "agreed_age_s": {}, "positions": (), "orders": (),
        "unsettled": (), "holds": (), "cursors": (), "foreign_orders": 0, "agreed_max_age_s": 90.0,
    }  # fmt: skip
    return SessionStatus(name="es", **base | more)


@pytest.mark.parametrize(
    ("position", "line"),
    [
        (LONG, "ESZ13 1 @ 1672.25, stop 1664 covers regular hours, agreed"),
        (BARE, "ESZ13 1 @ 1672.25, no working stop, agreed"),
        (PositionView("ESZ13", D(0), agreed=False), "ESZ13 flat, not agreed"),
    ],
)
def test_a_position_is_told_with_its_stop(position: PositionView, line: str) -> None:
    assert position_line(position) == line


def test_a_stop_that_a_person_has_removed_comes_with_the_command_that_puts_it_back() -> None:
    assert bare("es", LONG, told()) == ""
    assert bare("es", BARE, told()) == "ESZ13: 1 without a working stop"
    assert bare("es", BARE, told(stops_removed=("ESZ13",))).endswith("→ nightdesk session release es ESZ13")


@pytest.mark.parametrize(
    ("why", "end"),
    [
        ("divergence", "when you know why: nightdesk session release es ESZ13"),
        ("vanished", "when you know why: nightdesk session release es ESZ13"),
        ("found", "`session start --take-over`"),
        ("unexplained", "look at the broker"),
    ],
)
def test_a_symbol_that_the_desk_holds_comes_with_the_way_out(why: str, end: str) -> None:
    line = symbol_hold("es", Hold("ESZ13", why, 1.0))
    assert line.startswith(f"entries of ESZ13 held: {why} → ")
    assert line.endswith(end)


def test_an_instruction_without_outcome_says_what_it_was_and_what_is_being_done() -> None:
    unsettled = Unsettled(key="k-7", symbol="SPY", kind="place", purpose="entry", since_utc=1.0, why="time-out")
    assert no_outcome(unsettled) == "place entry of SPY (k-7): outcome unknown, reads settle it: time-out"


def test_a_working_order_is_told_with_size_and_price() -> None:
    order = WorkingOrder(
        order_id="7", symbol="ESZ13", purpose="stop", side=Side.SELL, type=OrderType.STOP_MARKET, quantity=D(2),
        filled_quantity=D(1), stop_price=D("1664.25"), pending="replace",
    )  # fmt: skip
    assert order_line(order) == "7 stop sell 2 ESZ13 at 1664.25, filled 1, replace on its way"


def test_an_entry_without_outcome_is_not_told_as_an_order_that_works() -> None:
    word = Word("spy", entries=1, unsettled=1)
    assert word.told() == "spy: holds nothing; 0 orders work, 0 of them entries, 1 entries without outcome"
    assert Word("spy", entries=1, orders=("1", "2")).told() == "spy: holds nothing; 2 orders work, 1 of them entries"


def event(number: int, **more: Any) -> Incident:
    skipped = {
        "incident": "",
        "kind": "bar.skipped",
        "level": "PAGE",
        "subject": "sessions/es",
        "text": f"ESZ13 bar of {number}",
    }
    return Incident(**(skipped | {"market_utc": 1_381_154_400.0 + number} | more))


def test_pages_of_one_kind_are_one_line_and_incidents_each_have_theirs_with_their_times() -> None:
    """A strategy that fails on each bar pages all night, and must not hide what else there is."""
    events = [event(n) for n in range(100)]
    events.insert(50, event(50, kind="uncovered", incident="uncovered:ES", text="no stop"))
    events.insert(10, event(9, text="SPY bar of 9"))
    events.append(event(100, subject="sessions/spy"))
    events.append(
        event(101, level="NOTIFY", incident="1", subject="sessions/es/trader", text="sessions/es/trader slows")
    )
    assert event_lines(events) == [
        "PAGE  2013-10-07 14:00:09Z  sessions/es: SPY bar of 9",
        "PAGE  2013-10-07 14:00:50Z  sessions/es: no stop",
        "PAGE  2013-10-07 14:01:39Z  sessions/es: ESZ13 bar of 99 (99 more like it before)",
        "PAGE  2013-10-07 14:01:40Z  sessions/spy: ESZ13 bar of 100",
        "NOTIFY  2013-10-07 14:01:41Z  sessions/es/trader slows",
    ]


def test_what_a_venue_has_answered_commands_no_terminal() -> None:
    (line,) = event_lines([event(1, text="SPY: HTTP 503 \x1b[2J\x07all is well")])
    assert line.isprintable()


def child(name: str, state: str, **more: Any) -> ChildInfo:
    return ChildInfo(name=name, type="worker", state=state, **more)


def test_one_that_is_slowed_down_is_told_with_what_it_does_now() -> None:
    """Its event is of the moment when that began: what has come back since must not read as if it were still away."""
    held = {"kind": "child.held", "level": "NOTIFY", "incident": "held"}
    events = [event(n, subject=name, text=f"{name} slows down", **held) for n, name in enumerate(("a", "b", "c"))]
    slowed = [child("a", "held, up", since_s=88.0), child("b", "held, waiting", next_try_s=104.0)]
    assert [line.partition("Z  ")[2] for line in event_lines(events, slowed, 100.0)] == [
        "a slows down (now up for 12.0s, over when that lasts)",
        "b slows down (now waiting, next try in 4.0s)",
        "c slows down",
    ]


def test_one_that_is_slowed_down_is_told_also_where_its_event_was_not_recorded() -> None:
    """As the recorder's own is, while it dies."""
    recorder = child("recorder", "held, up", since_s=90.0, why="killed by SIGKILL")
    assert told_by_cause([], [], [recorder], 100.0, all_of=False) == [
        "✖ recorder is slowed down: killed by SIGKILL; now up for 10.0s, over when that lasts"
    ]


def test_logs_of_several_processes_are_merged_by_time_and_a_call_stack_stays_in_one_piece() -> None:
    a, b = Path("a.log"), Path("b.log")
    shown = {
        a: [
            "    the end of an older stack",
            "2013-10-07T14:00:01.000Z ERROR   dies",
            "Traceback",
            "  File x",
            "Oops: 1",
        ],
        b: ["2013-10-07T14:00:00.500Z INFO    starts", "2013-10-07T14:00:01.001Z INFO    goes on"],
    }
    assert merged(shown) == [(b, shown[b][0]), *((a, line) for line in shown[a]), (b, shown[b][1])]


def test_logs_in_json_are_merged_by_time_to_the_millisecond() -> None:
    early, late = (f'{{"time": "2013-10-07T14:{minute}:00.000+00:00", "text": "x"}}' for minute in ("01", "59"))
    assert merged({Path("a"): [late], Path("b"): [early]}) == [(Path("b"), early), (Path("a"), late)]


def test_what_is_wider_than_a_terminal_goes_on_below_and_piped_a_line_is_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = f"  ✖ X: Unavailable: GET http://127.0.0.1/{'a' * 90}: refused"
    assert lines.wrapped(line) == [line]
    monkeypatch.setattr(lines, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    folded = lines.wrapped(line)
    assert all(len(each) <= 80 for each in folded)
    assert folded[0].startswith("  ✖ X:")
    assert "".join(each.strip() for each in folded).replace(" ", "") == line.replace(" ", "")


HELD = Standing(
    "SIM", "sim", "A", "es", "ESZ13", State.AGREES, D(1), D("1672.25"), 5.0, D(1), D(1672), 12.1, D(1664), D("412.50"),
    D(1673), D(54), D(83650), D(390), D(400), D("2.50"), D(5),
)  # fmt: skip


def test_a_position_that_is_not_known_is_told_with_what_the_broker_has() -> None:
    line = Standing("SIM", "sim", "A", "es", "ESZ13", State.OURS_UNREAD, None, theirs=D(2), read_age_s=12.1)
    assert money_line(line, None) == [
        "ESZ13",
        "position not known: its journal cannot be read",
        "the broker's 2 (12.1s old)",
    ]


def test_a_line_is_folded_at_the_terminals_width_between_its_parts_and_never_when_piped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = money_line(HELD, 4.2, LONG)
    assert status_view._folded(parts) == [
        "ESZ13  1 @ 1672.25  stop 1664  covered regular hours  risk 412.50  day 387.50  open 54 (price 12.1s old)  "
        "agreed 4.2s ago"
    ]
    monkeypatch.setattr(status_view, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert status_view._folded(parts) == [
        "ESZ13  1 @ 1672.25  stop 1664  covered regular hours",
        "  risk 412.50  day 387.50  open 54 (price 12.1s old)",
        "  agreed 4.2s ago",
    ]


def test_of_a_session_that_is_off_nobody_asks_whether_it_agrees() -> None:
    flat = Standing("SIM", "sim", "A", "es", "ESZ13", State.UNREAD)
    assert money_line(flat, None, asked=False) == ["ESZ13", "flat"]
    assert money_line(flat, None)[-1] == "not agreed"


TABLES = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.permutations([*"abcdefg", "symbol"]).map(lambda names: names[:n]),
        st.lists(st.lists(st.sampled_from(["-", "1", "1675.25", "agrees"]), min_size=n, max_size=n), min_size=1),
    )
)


@given(TABLES, st.integers(20, 120))
def test_a_table_keeps_each_cell_in_the_terminals_width_and_names_its_rows_in_each_band(
    table: tuple[list[str], list[list[str]]], width: int
) -> None:
    columns, rows = table
    lines = aligned(columns, rows, width)
    bands = "\n".join(lines).split("\n\n") if lines else []
    known = [n for n in range(len(columns)) if n == 0 or any(row[n] != "-" for row in rows)]
    names = [columns[n] for n in known if n == 0 or columns[n] == "symbol"]
    shown: list[str] = []
    for band in bands:
        head, *body = [line.split() for line in band.split("\n")]
        assert len(body) == len(rows)
        assert head[: len(names)] == names
        assert len(head) <= len(names) + 1 or max(map(len, band.split("\n"))) <= width
        for row, cells in zip(rows, body, strict=True):
            assert cells == [row[columns.index(name)] for name in head]
        shown += head[len(names) :]
    assert names + shown == names + [columns[n] for n in known if columns[n] not in names]


def test_a_table_without_rows_is_nothing() -> None:
    assert aligned(["a"], [], 80) == []
