"""Streams in the real world: chunks are taken off whatever the reads were, and no read waits for ever."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from supervisor.messages import Message, StreamData, StreamEnded, StreamOpened
from supervisor.process import stream
from supervisor.process.chunks import HEAD_BYTES_MAX, BadChunks, Chunks
from supervisor.wire.rings import RING_BYTES_MAX, RING_MAX, Rings

LIMIT_S = 10.0
CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""For 127.0.0.1, signed by itself, with its key: of use to nobody. Valid for a hundred years."""
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
        self.stream = stream.Stream(7, url, {}, self.wake)

    def _serve(self, serve: Callable[[socket.socket], None]) -> None:
        peer, _ = self.listener.accept()
        with peer:
            peer.recv(65536)
            serve(peer)

    def until_ended(self) -> list[Message]:
        told: list[Message] = []
        until_s = time.monotonic() + LIMIT_S
        while time.monotonic() < until_s:
            polled = [self.wake] if self.stream.fd < 0 else [self.wake, self.stream.fd]
            ready, _, _ = select.select(polled, [], [], 0.05)
            if self.wake in ready:
                os.eventfd_read(self.wake)
            told += self.stream.take() if ready else self.stream.overdue(time.monotonic())
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


def test_a_silent_socket_is_not_waited_for_for_ever(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECEIVE_LIMIT_S", 0.3)
    silent = threading.Event()
    try:
        told = opened(lambda peer: (peer.sendall(HEAD + chunk(b"a\n")), silent.wait(LIMIT_S))[0]).until_ended()
    finally:
        silent.set()
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "reset"


def test_an_answer_until_the_connection_closes_ends_with_it(opened: Open) -> None:
    told = opened(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\n\r\na\nb")).until_ended()
    assert content(told) == b"a\nb"
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "end"


def test_an_answer_shorter_than_it_says_is_a_reset(opened: Open) -> None:
    told = opened(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na\n")).until_ended()
    assert content(told) == b"a\n"
    assert isinstance(told[-1], StreamEnded)
    assert told[-1].how == "reset"


def test_a_compressed_answer_is_said_to_be_none_that_was_asked_for(opened: Open) -> None:
    head = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    (told,) = opened(lambda peer: peer.sendall(head + chunk(b"?"))).until_ended()
    assert isinstance(told, StreamEnded)
    assert (told.how, "'gzip'" in told.detail) == ("error", True)


@pytest.mark.parametrize("length", ["abc", "-1", "1e3"])
def test_a_length_that_is_none_is_said(opened: Open, length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    (told,) = opened(lambda peer: peer.sendall(head + b"a\n")).until_ended()
    assert isinstance(told, StreamEnded)
    assert (told.how, length in told.detail) == ("error", True)


def test_nothing_is_taken_of_a_stream_before_its_opening_is_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another stream's wake makes the loop look at this one too, in the middle of its opening."""
    answered, looked, lower = threading.Event(), threading.Event(), stream.lower

    def slow(headers: Any) -> dict[str, str]:
        answered.set()
        assert looked.wait(LIMIT_S)
        return lower(headers)

    monkeypatch.setattr(stream, "lower", slow)
    made = opened(lambda peer: peer.sendall(HEAD + chunk(b"a\n") + b"0\r\n\r\n"))
    assert answered.wait(LIMIT_S)
    assert made.stream.take() == []
    looked.set()
    assert content(made.until_ended()) == b"a\n"


def test_a_stream_closed_while_it_opens_lets_its_connection_go(opened: Open) -> None:
    gone = threading.Event()

    def serve(peer: socket.socket) -> None:
        peer.sendall(HEAD + chunk(b"a\n"))
        if peer.recv(1) == b"":
            gone.set()

    opened(serve).stream.close()
    assert gone.wait(LIMIT_S), "the venue sees the end of it"


def test_what_came_while_nobody_took_it_is_given_in_few_reads_of_a_limited_size(opened: Open) -> None:
    """The venue sends chunks of 1 KiB until it has to wait, since nobody takes any. (How many MiB the kernel keeps of a
    connection is another number on each machine, and each time.)"""
    line = b"x" * 1023 + b"\n"
    piece, pieces, waits = chunk(line) * 1024, 0, threading.Event()

    def serve(peer: socket.socket) -> None:
        nonlocal pieces
        peer.sendall(HEAD)
        peer.settimeout(0.3)
        left = b""
        while pieces < 256 and not waits.is_set():
            pieces += not left
            left = left or piece
            try:
                left = left[peer.send(left) :]
            except TimeoutError:
                waits.set()
        peer.settimeout(LIMIT_S)
        peer.sendall(left + b"0\r\n\r\n")

    taken = opened(serve)
    assert waits.wait(LIMIT_S)
    told = taken.until_ended()
    sizes = [len(each.data) for each in told if isinstance(each, StreamData)]
    assert content(told) == line * 1024 * pieces
    assert max(sizes) < stream.GIVEN_BYTES_MAX + stream.READ_BYTES


def test_of_tls_nothing_is_left_lying_that_no_poll_shows() -> None:
    """A record of TLS is decoded whole: what ``take`` leaves of it is not in the socket any more."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(CERTIFICATE)
    body = b"y" * (3 * stream.GIVEN_BYTES_MAX)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with serving.wrap_socket(peer, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(HEAD + chunk(body[:9]) + chunk(body[9:]) + b"0\r\n\r\n")
                secure.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with requests.get(address, stream=True, timeout=LIMIT_S, verify=str(CERTIFICATE)) as answer:
            read = stream.Content(answer)
            got, ended, until_s = bytearray(), None, time.monotonic() + LIMIT_S
            while ended is None and time.monotonic() < until_s:
                data, ended = read.read()
                got += data
                if len(data) < stream.GIVEN_BYTES_MAX and ended is None:
                    select.select([read.fd], [], [], LIMIT_S)
            assert (bytes(got), ended and ended[0]) == (body, "end")
