"""A child's end of its socketpair."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, nullcontext

import pytest

from supervisor.errors import OutcomeUnknown, Refused
from supervisor.messages import ChildRequest, Done, Message, Stop, SupervisorReply, Up, Watch
from supervisor.runtime.frames import Unframer, frame
from supervisor.runtime.line import Line
from supervisor.wire.codec import encode


class NoPage:
    def blocking(self, limit_s: float) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture
def ends() -> tuple[socket.socket, Line]:
    ours, theirs = socket.socketpair()
    return ours, Line(theirs)


def test_what_is_told_together_with_a_reply_waits_and_is_not_forgotten(ends: tuple[socket.socket, Line]) -> None:
    supervisor, line = ends
    told: list[Message] = [Up("peer", 1), SupervisorReply(1, encode(Done())), Up("other", 2)]
    supervisor.sendall(b"".join(frame(message) for message in told))
    line.client(NoPage()).watch("peer")
    assert line.waiting, "the descriptor is not readable any more: the loop must look here"
    assert line.read() == [Up("peer", 1), Up("other", 2)]
    assert not line.waiting


def test_process_that_waits_for_the_supervisor_hears_that_it_shall_stop(ends: tuple[socket.socket, Line]) -> None:
    supervisor, line = ends
    supervisor.sendall(frame(Stop("shutdown")))
    with pytest.raises(Refused, match="told to stop"):
        line.ask(Watch(under="a"), 10.0)
    assert line.read() == [Stop("shutdown")]


def test_refusal_carries_the_reason_in_words(ends: tuple[socket.socket, Line]) -> None:
    supervisor, line = ends
    supervisor.sendall(frame(SupervisorReply(1, b"", "not_found: nobody")))
    with pytest.raises(Refused, match="not_found: nobody"):
        line.client(NoPage()).terminate_child("nobody")


def test_late_reply_is_not_taken_for_another_request(ends: tuple[socket.socket, Line]) -> None:
    supervisor, line = ends
    with pytest.raises(OutcomeUnknown):
        line.ask(Watch(under="a"), 0.05)
    supervisor.sendall(frame(SupervisorReply(1, b"", "too late")) + frame(SupervisorReply(2, encode(Done()))))
    assert line.ask(Watch(under="b"), 1.0) == Done()
    requests = list(Unframer().feed(supervisor.recv(65536)))
    assert [each.number for each in requests if isinstance(each, ChildRequest)] == [1, 2]
