"""Streams in the real world: chunks are taken off whatever the reads were, and no read waits for ever."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.messages import Message, StreamData, StreamEnded, StreamOpened
from supervisor.process import web
from supervisor.process.chunks import HEAD_BYTES_MAX, BadChunks, Chunks
from supervisor.wire.rings import RING_BYTES_MAX, RING_MAX, Rings

LIMIT_S = 10.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.sampled_from([b"", b";a=b"]), st.data())
def test_any_reads_of_any_chunks_give_the_content(parts: list[bytes], extension: bytes, data: st.DataObject) -> None:
    sent = b"".join(chunk(part, extension) for part in parts) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=20)))
    chunks = Chunks()
    got = [chunks.push(sent[start:end]) for start, end in pairwise([0, *cuts, len(sent)])]
    assert (b"".join(got), chunks.ended) == (b"".join(parts), True)


@pytest.mark.parametrize("data", [b"x\r\n", b"-5\r\nabc", b"3\r\nabcd\r\n", b"\r\n", b"1" * (HEAD_BYTES_MAX + 1)])
def test_what_are_no_chunks_is_said(data: bytes) -> None:
    with pytest.raises(BadChunks):
        Chunks().push(data)


def test_a_ring_is_bounded_in_bytes_so_that_all_of_it_fits_into_one_answer() -> None:
    rings = Rings(1)
    for _ in range(100):
        rings.add("t", b"x" * (RING_BYTES_MAX // 10))
    topic = rings.topics["t"]
    assert (topic.number, len(topic.ring), topic.size) == (100, 10, 10 * (RING_BYTES_MAX // 10))
    for _ in range(2 * RING_MAX):
        rings.add("u", b"x")
    assert (len(rings.topics["u"].ring), rings.topics["u"].size) == (RING_MAX, RING_MAX)


# -- with a socket -------------------------------------------------------------------------------------------------


class Opened:
    """A stream whose venue is a function that gets the accepted socket."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.wake = os.eventfd(0, os.EFD_NONBLOCK)
        threading.Thread(target=self._serve, args=(serve,), daemon=True).start()
        url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.stream = web.Web().open(7, url, {}, self.wake)

    def _serve(self, serve: Callable[[socket.socket], None]) -> None:
        peer, _ = self.listener.accept()
        with peer:
            peer.recv(65536)
            serve(peer)

    def until_ended(self) -> list[Message]:
        told: list[Message] = []
        until_s = time.monotonic() + LIMIT_S
        while time.monotonic() < until_s:
            select.select([self.wake], [], [], 0.2)
            told += self.stream.take()
            if told and isinstance(told[-1], StreamEnded):
                return told
        raise AssertionError(f"not ended within {LIMIT_S} s: {told}")

    def close(self) -> None:
        self.stream.close()
        self.listener.close()
        os.close(self.wake)


@pytest.fixture
def opened() -> Iterator[Callable[[Callable[[socket.socket], None]], Opened]]:
    made: list[Opened] = []

    def make(serve: Callable[[socket.socket], None]) -> Opened:
        made.append(Opened(serve))
        return made[-1]

    yield make
    for each in made:
        each.close()


Open = Callable[[Callable[[socket.socket], None]], Opened]


def content(told: list[Message]) -> bytes:
    assert isinstance(told[0], StreamOpened)
    return b"".join(each.data for each in told if isinstance(each, StreamData))


def test_an_orderly_end_is_told_after_all_that_came(opened: Open) -> None:
    told = opened(lambda peer: peer.sendall(HEAD + chunk(b"a\n") + chunk(b"b\n") + b"0\r\n\r\n")).until_ended()
    assert content(told) == b"a\nb\n"
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "end"


def test_a_connection_that_ends_in_mid_object_is_a_reset(opened: Open) -> None:
    told = opened(lambda peer: peer.sendall(HEAD + chunk(b'{"a":1}\n') + b'9\r\n{"b"')).until_ended()
    assert content(told) == b'{"a":1}\n{"b"'
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "reset"


def test_chunks_that_make_no_sense_are_a_reset(opened: Open) -> None:
    told = opened(lambda peer: peer.sendall(HEAD + b"what\r\n")).until_ended()
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "reset"


def test_an_answer_with_a_length_is_read_too(opened: Open) -> None:
    told = opened(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\n")).until_ended()
    assert content(told) == b"a\n"


def test_a_silent_socket_does_not_hold_its_reader_for_ever(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "RECEIVE_LIMIT_S", 0.3)
    silent = threading.Event()
    try:
        told = opened(lambda peer: (peer.sendall(HEAD + chunk(b"a\n")), silent.wait(LIMIT_S))[0]).until_ended()
    finally:
        silent.set()
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "reset"


def test_what_came_while_nobody_took_it_is_given_as_one_and_no_more_waits_than_the_limit(opened: Open) -> None:
    """The venue sends 4 MiB in chunks of 1 KiB; nobody takes anything for a while."""
    line = b"x" * 1023 + b"\n"
    taken = opened(lambda peer: peer.sendall(HEAD + chunk(line) * 4096 + b"0\r\n\r\n"))
    time.sleep(0.5)
    first = taken.stream.take()
    waited = [each for each in first if isinstance(each, StreamData)]
    assert sum(len(each.data) for each in waited) <= web.QUEUED_BYTES_MAX + web.READ_BYTES
    assert len(waited) <= web.QUEUED_BYTES_MAX // web.GIVEN_BYTES_MAX + 2
    assert content(first + taken.until_ended()) == line * 4096
