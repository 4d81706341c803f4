"""Bytes from outside against what decodes them, and the small pure parts of a socket that cannot be hurt."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.errors import BadMessage, OtherProtocol
from supervisor.message_base import MESSAGE_TYPES
from supervisor.messages import Message, ReadTree, StartChild
from supervisor.wire.codec import MESSAGE_BYTES_MAX, decode, encode, refusal_of
from supervisor.wire.door import Guests
from supervisor.wire.envelope import PROTOCOL, Envelope, pack, unpack
from supervisor.wire.publications import joined, parted
from supervisor.wire.seldom import EVERY_S, KINDS_MAX, Seldom
from tests.supervisor.toys import worker

ENVELOPE = Envelope("call", "somebody", 3, 7, 12.5)
packed = msgspec.msgpack.encode


def spec_with(**fields: Any) -> bytes:
    """A StartChild whose spec has these values, as a hostile client would write it."""
    spec = {**msgspec.to_builtins(worker("a")), **fields}
    body = {**msgspec.to_builtins(StartChild(under="", spec=worker("a"))), "spec": spec}
    return packed(("StartChild", body))


# -- the decode path ---------------------------------------------------------------------------------------------------


def read(data: bytes, into: Any) -> Any:
    """What was understood, or None; anything else than ``BadMessage``, or a reason without end, fails the test."""
    reason = ""
    understood = None
    try:
        understood = into(data)
    except BadMessage as error:
        reason = str(error)
    assert len(reason) < 3000, "it goes into logs and answers"
    return understood


@given(st.binary(max_size=300))
def test_bytes_by_chance_are_a_message_or_bad_message_and_nothing_else(data: bytes) -> None:
    read(data, decode)
    read(data, unpack)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(MESSAGE_TYPES)), PLAIN)
def test_plain_values_by_chance_under_every_message_s_name(name: str, body: Any) -> None:
    if isinstance(body, dict):
        body = {"message": name, **body}
    message = read(packed((name, body)), decode)
    assert message is None or isinstance(message, Message)
    read(packed(body), unpack)
    read(packed((PROTOCOL, body)), unpack)


@given(st.data())
def test_a_message_with_damaged_bytes(data: st.DataObject) -> None:
    whole = bytearray(encode(StartChild(under="x", spec=worker("a", groups=("one", "two")))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read(bytes(whole[: data.draw(st.integers(0, len(whole)))]), decode)


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 100_000,
        b"\x92\xa8ReadTree" + b"\x81\xa1a" * 100_000,
        b"\xdd\xff\xff\xff\xff" * 3,
        b"\x92\xa8ReadTree\xdf\xff\xff\xff\xff",
        b"\x92\xa8ReadTree\xc6\xff\xff\xff\xff",
        b"\x92\xdb\xff\xff\xff\xff",
        b"\x92\xa2\xff\xfe\xc0",
        packed(("x" * 100_000, {})),
        packed(("ReadTree", {"message": "ReadTree", "under": 5})),
        packed(("ReadTree", {"message": "ReadTree", "deaths": 1.5})),
        b"x" * (MESSAGE_BYTES_MAX + 1),
    ],
    ids=lambda data: f"{data[:12]!r}",
)
def test_bombs_are_refused_by_the_decoder(data: bytes) -> None:
    assert read(data, decode) is None
    assert read(data, unpack) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"shutdown_s": math.nan},
        {"start_limit_s": math.inf},
        {"liveness_limit_s": -1.0},
        {"memory_max_mib": math.nan},
        {"id": "x" * 5000},
        {"id": "../../etc/passwd"},
        {"groups": ["g"] * 1000},
        {"start": "no module"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_a_spec_that_is_wrong_is_refused_as_bad_spec_naming_the_field(fields: dict[str, Any]) -> None:
    with pytest.raises(BadMessage) as caught:
        decode(spec_with(**fields))
    refusal = refusal_of(caught.value)
    assert refusal.startswith("bad_spec: ")
    assert next(iter(fields)) in refusal
    assert len(refusal) < 2000


def test_a_huge_number_of_deaths_is_only_a_number() -> None:
    assert decode(encode(ReadTree(deaths=2**62))) == ReadTree(deaths=2**62)
    assert read(packed(("ReadTree", {"message": "ReadTree", "deaths": 2**64 - 1})), decode) is not None


# -- versions ----------------------------------------------------------------------------------------------------------


def test_an_envelope_comes_back_as_it_was() -> None:
    assert unpack(pack(ENVELOPE)) == ENVELOPE


@pytest.mark.parametrize("more", [(), ("what", {"later": "versions"}, "have")])
def test_an_envelope_of_another_version_is_told_apart_by_what_all_versions_share(more: tuple[Any, ...]) -> None:
    with pytest.raises(OtherProtocol, match=f"version {PROTOCOL + 1}.*the receiver {PROTOCOL}") as caught:
        unpack(packed((PROTOCOL + 1, ("call", "somebody", 3, 7, *more))))
    assert (caught.value.kind, caught.value.number) == ("call", 7)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.binary(), st.binary())
def test_a_publication_s_one_frame_is_parted_as_it_was_joined(topic: str, head: bytes, body: bytes) -> None:
    assert parted(joined(topic, head, body)) == (topic, head, body)


@given(st.binary(max_size=64))
def test_a_frame_by_chance_is_parted_into_what_is_an_envelope_or_said_to_be_none(frame: bytes) -> None:
    _, head, _ = parted(frame)
    read(head, unpack)


def test_a_sender_s_name_has_an_end() -> None:
    with pytest.raises(BadMessage, match="5000 characters"):
        unpack(pack(Envelope("call", "x" * 5000, 1, 1)))


# -- complaints --------------------------------------------------------------------------------------------------------


def test_the_first_of_a_kind_is_told_at_once_and_the_rest_once_a_minute_with_their_number() -> None:
    seldom = Seldom()
    assert [seldom.heard("frames", f"text {n}", 10.0 + n / 1000) for n in range(1000)] == [True] + [False] * 999
    assert seldom.heard("message", "other", 11.0)
    assert seldom.due(10.0 + EVERY_S - 0.1) == []
    assert seldom.due(10.0 + EVERY_S) == [("frames", 999, "text 999")]
    assert not seldom.heard("frames", "again", 10.0 + EVERY_S + 1)
    assert seldom.due(11.0 + EVERY_S) == [], "the only other was told, and the minute of the first began anew"


def test_a_kind_that_was_quiet_is_told_at_once_again_and_forgotten_meanwhile() -> None:
    seldom = Seldom()
    seldom.heard("frames", "", 0.0)
    assert seldom.due(EVERY_S) == []
    assert seldom.heard("frames", "", EVERY_S + 1)


@given(st.lists(st.tuples(st.integers(0, 80), st.floats(0, 30)), max_size=300))
def test_each_is_told_or_counted_once_and_no_kind_twice_within_a_minute(heard: list[tuple[int, float]]) -> None:
    seldom, now_s, told, counted = Seldom(), 0.0, 0, 0
    last_s: dict[str, float] = {}
    for kind, wait_s in heard:
        now_s += wait_s
        for word, count, _ in seldom.due(now_s):
            counted += count
            assert now_s - last_s[word] >= EVERY_S
            last_s[word] = now_s
        if seldom.heard(f"kind {kind}", "", now_s):
            told += 1
            word = f"kind {kind}" if f"kind {kind}" in seldom._kinds else "other"
            assert now_s - last_s.get(word, -math.inf) >= EVERY_S
            last_s[word] = now_s
        assert len(seldom._kinds) <= KINDS_MAX + 1
    counted += sum(count for _, count, _ in seldom.due(now_s + EVERY_S + 1.0))
    assert told + counted == len(heard)


# -- the door ----------------------------------------------------------------------------------------------------------


def test_the_longest_silent_guest_goes_first_and_one_that_spoke_only_when_nobody_else_is_left() -> None:
    guests = Guests(3)
    assert [guests.came(fd) for fd in (1, 2, 3)] == [None, None, None]
    guests.spoke(1)
    assert [guests.came(fd) for fd in (4, 5, 6)] == [2, 3, 4], "1 has spoken"
    guests.spoke(5)
    guests.spoke(6)
    assert guests.came(7) == 1, "all others have spoken since"
    guests.left(5)
    assert guests.came(8) is None


def test_a_guest_whose_words_are_read_before_its_coming_is_known_from_the_start() -> None:
    guests = Guests(2)
    guests.spoke(1)
    assert len(guests) == 0
    assert [guests.came(fd) for fd in (1, 2, 3)] == [None, None, 2]


@given(st.lists(st.tuples(st.sampled_from(["came", "spoke", "left"]), st.integers(1, 30))))
def test_there_are_never_more_guests_than_there_is_room_and_the_newest_is_in(steps: list[tuple[str, int]]) -> None:
    guests, inside = Guests(5), set[int]()
    for what, fd in steps:
        if what == "came":
            gone = guests.came(fd)
            assert gone != fd
            inside = (inside | {fd}) - {gone or 0}
        elif what == "spoke":
            guests.spoke(fd)
        else:
            guests.left(fd)
            inside.discard(fd)
        assert len(guests) == len(inside) <= 5


def test_frames_of_the_line_are_unhurt_by_what_they_declare() -> None:
    from supervisor.runtime.frames import Unframer

    with pytest.raises(BadMessage, match="limit"):
        list(Unframer().feed(struct.pack("!I", 2**32 - 1)))
