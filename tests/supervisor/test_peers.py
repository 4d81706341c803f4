"""The way to another process: who is absent, who is there, and who is there and slow to shake hands."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from supervisor.errors import NoPeer, Refused
from supervisor.messages import ReadTree
from supervisor.process.inbox import Inbox
from supervisor.wire import peers
from supervisor.wire.limits import INSIDE
from supervisor.wire.names import endpoint
from supervisor.wire.peers import Context, Peers

LIMIT_S = 15.0


@pytest.fixture
def context() -> Iterator[Context]:
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def calling(context: Context, tmp_path: Path) -> Iterator[Peers]:
    made = Peers(context, tmp_path, "calling", 1)
    yield made
    made.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Where ``slow`` is to be reached: it listens, and has not even accepted yet."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(endpoint(tmp_path, "slow", "sock").removeprefix("ipc://"))
        made.listen()
        yield made


def passed_on(listener: socket.socket, to: str, after_s: float) -> None:
    """The first connection goes on to another socket, once it has waited for so long."""
    taken, _ = listener.accept()
    time.sleep(after_s)
    with taken, socket.socket(socket.AF_UNIX) as there, suppress(OSError):
        there.connect(to)
        back = threading.Thread(target=copied, args=(there, taken))
        back.start()
        copied(taken, there)
        back.join()


def copied(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):  # one of them is closed
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


@pytest.fixture
def inbox(context: Context, tmp_path: Path, listener: socket.socket) -> Iterator[Inbox]:
    """That of ``slow``, to which it takes twice as long to shake hands as a call waits for who is not there."""
    made = Inbox(context, tmp_path, "real", 1, INSIDE, lambda *_, **__: None)
    real = endpoint(tmp_path, "real", "sock").removeprefix("ipc://")
    threading.Thread(target=passed_on, args=(listener, real, 2 * peers.CONNECT_S), daemon=True).start()
    yield made
    made.close(0)


def test_who_listens_and_is_slow_to_shake_hands_is_there_for_a_call(
    calling: Peers, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: after 0.2 s it was nobody, so on a busy machine a command said now and then that the desk is away."""
    monkeypatch.setattr(peers, "GREETING_S", LIMIT_S)
    told: list[Exception] = []

    def call() -> None:
        try:
            calling.call("slow", ReadTree(), LIMIT_S)
        except (NoPeer, Refused) as error:
            told.append(error)

    asking = threading.Thread(target=call)
    asking.start()
    for _, caller in inbox.take(1, wait_s=LIMIT_S):
        assert caller is not None
        inbox.refuse(caller, "no: heard")
    asking.join()
    assert [str(error) for error in told] == ["no: heard"]


def test_who_listens_and_is_slow_to_shake_hands_is_there_for_a_cast(calling: Peers, inbox: Inbox) -> None:
    """Regression: after 0.05 s it was nobody, so control said now and then that the recorder is not there."""
    assert calling.cast("slow", ReadTree(), greeting_s=LIMIT_S)
    ((heard, _),) = inbox.take(1, wait_s=LIMIT_S)
    assert heard == ReadTree()


def test_who_listens_and_never_shakes_hands_is_told_apart_from_nobody(
    calling: Peers, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "GREETING_S", 2 * peers.CONNECT_S)
    with pytest.raises(NoPeer, match=r"it is there and shakes no hands.*nothing was sent"):
        calling.call("slow", ReadTree(), LIMIT_S)
    listener.close()
    with pytest.raises(NoPeer, match="nobody is there; nothing was sent"):
        calling.call("absent", ReadTree(), LIMIT_S)


def test_a_cast_gives_up_on_who_never_shakes_hands(calling: Peers, listener: socket.socket) -> None:
    assert not calling.cast("slow", ReadTree())
