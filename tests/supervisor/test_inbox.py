"""The answering side of a process: an answer arrives, or its process says that it has no way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from supervisor.messages import ReadTree
from supervisor.process.inbox import Inbox
from supervisor.wire.codec import encode
from supervisor.wire.envelope import Envelope, pack
from supervisor.wire.limits import OUTSIDE
from supervisor.wire.names import endpoint

CALLS = 100
LONG = "x" * 100_000
"""A few of these fill the kernel's buffer of a connection whose other end does not read."""
LIMIT_MS = 5000


class Answering:
    """An inbox, what it complained of, and a bare client of it."""

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self._context = zmq.Context(io_threads=2)
        self.inbox = Inbox(self._context, folder, "answering", 1, OUTSIDE, self._complain)
        self.client = self._context.socket(zmq.DEALER)
        self.client.connect(endpoint(folder, "answering", "sock"))

    def _complain(self, kind: str, text: str, **fields: Any) -> None:
        self.complaints.append(f"{kind}: {text}: {fields['error']}")

    def ask(self, count: int) -> None:
        for number in range(count):
            self.client.send_multipart([pack(Envelope("call", "client", 1, number, 1e12)), encode(ReadTree())])

    def refuse(self, count: int, reason: str) -> None:
        while count:
            assert self.inbox.socket.poll(LIMIT_MS)
            for _, caller in self.inbox.take(count):
                assert caller is not None
                self.inbox.refuse(caller, reason)
                count -= 1

    def answers(self, count: int) -> int:
        """How many come, of so many."""
        came = 0
        while came < count and self.client.poll(LIMIT_MS):
            self.client.recv_multipart()
            came += 1
        return came

    def close(self) -> None:
        self.inbox.close(0)
        self._context.destroy(linger=0)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    made = Answering(tmp_path)
    yield made
    made.close()


def test_who_asks_one_thing_at_a_time_is_always_answered_however_quickly(answering: Answering) -> None:
    for _ in range(CALLS):
        answering.ask(1)
        answering.refuse(1, "no")
        assert answering.answers(1) == 1
    assert not answering.complaints


def test_each_answer_to_a_client_that_does_not_read_is_sent_or_complained_of(answering: Answering) -> None:
    answering.ask(CALLS)
    answering.refuse(CALLS, LONG)
    assert answering.complaints
    assert set(answering.complaints) == {f"reply: a reply has no way back: {OUTSIDE.queue_max} replies wait for it"}
    assert answering.answers(CALLS - len(answering.complaints)) + len(answering.complaints) == CALLS


def test_an_answer_to_a_client_that_is_gone_is_complained_of(answering: Answering) -> None:
    answering.ask(1)
    (heard,) = answering.inbox.take(1, wait_s=LIMIT_MS / 1000)
    assert heard[1] is not None
    answering.client.close(0)
    for _ in range(LIMIT_MS // 10):
        answering.inbox.socket.poll(10)
        answering.inbox.refuse(heard[1], "no")
        if answering.complaints:
            break
    assert answering.complaints == ["reply: a reply has no way back: Host unreachable"]
