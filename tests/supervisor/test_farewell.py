"""The end of a process: what happened last is recorded, also where the recorder is slow to shake hands."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
import zmq

from supervisor.messages import ChildSpec, Recorded, RecordEvents
from supervisor.process import real
from supervisor.process.inbox import Inbox
from supervisor.process.logs import open_log
from supervisor.runtime.child import Birth
from supervisor.runtime.line import Line
from supervisor.runtime.page import Page
from supervisor.runtime.pulse import Pulse
from supervisor.runtime.settings import Settings
from supervisor.wire.limits import INSIDE
from supervisor.wire.names import endpoint
from supervisor.wire.peers import CAST_CONNECT_S, Peers
from tests.supervisor.test_peers import passed_on

LIMIT_S = 15.0


def test_the_last_event_of_a_short_life_reaches_a_recorder_that_is_slow_to_shake_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: it was given 0.05 s, so of one that died at once on a busy machine the record did not tell why."""
    monkeypatch.setattr(real, "FAREWELL_S", LIMIT_S)
    settings = Settings(home=str(tmp_path), record_to="recorder")
    settings.runtime_dir.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(endpoint(settings.runtime_dir, "recorder", "sock").removeprefix("ipc://"))
    listener.listen()
    context = zmq.Context()
    recorder = Inbox(context, settings.runtime_dir, "slow", 1, INSIDE, lambda *_, **__: None)
    way = endpoint(settings.runtime_dir, "slow", "sock").removeprefix("ipc://")
    threading.Thread(target=passed_on, args=(listener, way, 4 * CAST_CONNECT_S), daemon=True).start()
    recorded: list[str] = []

    def record() -> None:
        peers = Peers(context, settings.runtime_dir, "recorder", 1)
        for message, _ in recorder.take(1, wait_s=LIMIT_S):
            assert isinstance(message, RecordEvents)
            recorded.extend(event.kind for event in message.events)
            peers.cast("short", Recorded(message.first + len(message.events) - 1))
        peers.close()

    recording = threading.Thread(target=record)
    recording.start()
    ours, theirs = socket.socketpair()
    page = Page()
    spec = ChildSpec(id="short", start="tests.supervisor.toys:Counter")
    birth = Birth(name="short", incarnation=1, parent_pid=0, spec=spec, settings=settings, predecessor=None)
    log = open_log(tmp_path / "short.log", settings)
    world = real.RealWorld(birth, Line(ours), Pulse(page, page.take(time.monotonic() + LIMIT_S), LIMIT_S), log)
    world.event("toy.died", "DIGEST", "at once")
    began_s = time.monotonic()
    world.farewell()
    recording.join()
    recorder.close(0)
    context.destroy(linger=0)
    for each in (ours, theirs, listener):
        each.close()
    assert recorded == ["toy.died"]
    assert time.monotonic() - began_s < LIMIT_S, "and then it did not wait any longer"
