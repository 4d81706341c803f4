"""What stands, of what a person has stopped: pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trader.holds import (
    EVERYBODY,
    HALT_BYTES_MAX,
    WORDS_MAX,
    Holds,
    Level,
    PersonHold,
    digest,
    in_force,
    parse_halt_file,
    stricter,
    words,
)

LEVELS = st.sampled_from(Level)
HOLDS = st.builds(PersonHold, st.sampled_from((EVERYBODY, "es", "nq")), LEVELS, st.just("ann"), st.text(), st.just(1.0))
FILES = st.none() | st.binary(max_size=50) | st.just(b'{"by": "ann", "flatten": true}')


@given(st.lists(HOLDS, max_size=3, unique_by=lambda hold: hold.session), FILES)
def test_halt_file_halts_every_session_and_holds_stand_for_theirs_and_for_all(
    holds: list[PersonHold], file: bytes | None
) -> None:
    stands = in_force(Holds(3, tuple(holds), {"es": 2}), file, "es")
    mine = [hold for hold in holds if hold.session in (EVERYBODY, "es")]
    assert stands.held == bool(mine or file is not None)
    assert stands.halted == (file is not None or any(hold.level is Level.HALT for hold in mine))
    assert (stands.seen, stands.flatten, stands.file) == (3, 2, digest(file))
    assert bool(stands.reasons()) == stands.held
    named = [hold for hold in mine if hold.session == "es"]
    assert [hold for hold in stands.holds if hold.session == "es"] == named, "a halt of all takes nothing from it"
    assert sum(hold.session == EVERYBODY for hold in stands.holds) <= 1


def test_halt_that_is_stored_and_in_the_file_is_told_once() -> None:
    stored = PersonHold(EVERYBODY, Level.HALT, "ann", "fire", 5.0, 1, file=digest(b"{}"))
    assert in_force(Holds(1, (stored,)), b"{}", "es").holds == (stored,)
    (other,) = in_force(Holds(1, (stored,)), b"another", "es").holds
    assert other.by == "the halt file"


def test_what_cannot_be_read_holds() -> None:
    stands = in_force(Holds(), None, "es", "disk gone")
    assert (stands.held, stands.halted, stands.reasons()) == (True, False, ("disk gone",))


def test_a_hold_is_told_with_whom_it_stops_who_set_it_and_why_if_that_was_said() -> None:
    everybody = PersonHold(EVERYBODY, Level.HALT, "ann", "cpi", 5.0)
    assert everybody.told() == "halt of all sessions by ann: cpi"
    assert PersonHold("es", Level.HOLD, "ann", "", 5.0).told() == "hold by ann"


def test_a_halt_file_that_names_nobody_is_itself_the_name() -> None:
    assert [parse_halt_file(data).by for data in (b'{"by": "ann"}', b'{"by": " \\n"}', b"{}", b"")] == [
        "ann",
        *["the halt file"] * 3,
    ]


@given(st.binary(max_size=2 * HALT_BYTES_MAX))
def test_any_bytes_are_a_halt_file(data: bytes) -> None:
    file = parse_halt_file(data)
    assert file.by
    assert len(file.by) <= WORDS_MAX
    assert len(digest(data)) == 16


@given(st.text(max_size=3 * WORDS_MAX))
def test_words_are_one_printable_line(text: str) -> None:
    line = words(text)
    assert line.isprintable()
    assert len(line) <= WORDS_MAX
    assert words(line) == line.strip()


def test_only_a_halt_is_stricter_than_a_hold() -> None:
    hold, halt = (PersonHold("es", level, "ann", "", 0.0) for level in (Level.HOLD, Level.HALT))
    assert [stricter(None, each) for each in (hold, halt)] == [True, True]
    changes = [(before, after) for before in (hold, halt) for after in (hold, halt) if stricter(before, after)]
    assert changes == [(hold, halt)]
