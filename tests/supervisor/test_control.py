"""The control socket against whoever may open it: garbage, floods, silence, slow requests, its own death."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from supervisor.control.client import Client
from supervisor.errors import CallFailed, OutcomeUnknown, Refused
from supervisor.messages import Done, GetChildspec, ReadGroup, ReadTree, StartChild
from supervisor.wire.codec import encode
from supervisor.wire.envelope import PROTOCOL
from supervisor.wire.limits import OUTSIDE
from tests.supervisor.test_processes import LIMIT_S, Desk
from tests.supervisor.toys import GATE_LIMIT_S, Add, worker

CONNECTIONS = 10_000
GROWTH_MAX_MIB = 64
"""Of control under 10,000 connections: 128 of 23 KiB, 2,000 that wait for the door, and what Python keeps."""
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
packed = msgspec.msgpack.encode


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "home")
    yield made
    made.client.close()
    made.process.terminate()
    assert made.process.wait(LIMIT_S) == 0
    assert made.process.stderr is not None
    made.process.stderr.close()


def control_socket(desk: Desk) -> str:
    return f"{desk.home}/run/control.sock"


@contextmanager
def dealer(desk: Desk) -> Iterator[Any]:
    """A bare ZeroMQ client of the control socket."""
    with zmq.Context() as context:
        made = context.socket(zmq.DEALER)
        made.set(zmq.LINGER, 0)
        made.connect(f"ipc://{control_socket(desk)}")
        yield made
        context.destroy(linger=0)


def call_frames(body: bytes, protocol: int = PROTOCOL, number: int = 1, sender: str = "test") -> list[bytes]:
    return [packed((protocol, ("call", sender, 1, number, time.monotonic() + 60.0, ""))), body]


def answer(dealer: Any, frames: list[bytes]) -> tuple[str, str]:
    """(kind, error) of what comes back."""
    dealer.send_multipart(frames)
    assert dealer.poll(5000), "no answer within 5 s"
    head, _ = dealer.recv_multipart()
    _, envelope = msgspec.msgpack.decode(head)
    return envelope[0], envelope[5]


def warnings(desk: Desk, words: str) -> int:
    return (desk.home / "logs" / "control.log").read_text().count(words)


def memory_mib(pid: int) -> float:
    (line,) = (each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def round_trips(client: Client, count: int = 200) -> list[float]:
    """Seconds of each call, the shortest first."""
    took = []
    for _ in range(count):
        began = time.monotonic()
        client.tree("control")
        took.append(time.monotonic() - began)
    return sorted(took)


def p99(took: list[float]) -> float:
    return took[int(len(took) * 0.99)]


# -- who may open it ---------------------------------------------------------------------------------------------------


def test_the_folder_is_0700_and_every_socket_in_it_0600(desk: Desk) -> None:
    run = desk.home / "run"
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    sockets = [path for path in run.iterdir() if path.is_socket()]
    assert len(sockets) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o600}


# -- refused in words --------------------------------------------------------------------------------------------------


def test_a_client_of_another_version_is_told_so_and_nothing_is_done_of_it(desk: Desk) -> None:
    start = encode(StartChild(under="spare", spec=worker("never")))
    with dealer(desk) as socket:
        for _ in range(20):
            kind, error = answer(socket, call_frames(start, protocol=PROTOCOL + 1))
            assert kind == "refusal"
            assert error.startswith("other_protocol: ")
            assert f"version {PROTOCOL + 1} " in error
            assert f"receiver {PROTOCOL};" in error
            assert "start the tree anew" in error
    assert desk.state("spare/never") == "gone"
    assert warnings(desk, "other_protocol") == 1


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"garbage", "bad_request: no message"),
        (packed(("NoSuchMessage", {})), "bad_request: unknown message 'NoSuchMessage'"),
        (packed(("Ready", {"message": "Ready"})), "bad_request: Ready is not a request"),
        (packed(("ReadTree", {"message": "ReadTree", "depth": 3})), "bad_request: ReadTree: Object contains unknown"),
        (b"\x92\xa8ReadTree" + b"\x81\xa1a" * 100_000, "bad_request: "),
        (b"\x92\xa8ReadTree\xdf\xff\xff\xff\xff", "bad_request: "),
        (
            packed(
                ("StartChild", {"message": "StartChild", "under": "", "spec": {"message": "ChildSpec", "id": ".."}})
            ),
            "bad_spec: StartChild: child spec '..': id is '..', wanted",
        ),
    ],
    ids=["garbage", "unknown", "no request", "unknown field", "deep", "giant length", "bad spec"],
)
def test_a_call_that_makes_no_sense_is_refused_at_once(desk: Desk, body: bytes, refusal: str) -> None:
    pid = desk.pid("control")
    with dealer(desk) as socket:
        kind, error = answer(socket, call_frames(body))
    assert kind == "refusal"
    assert error.startswith(refusal)
    assert desk.pid("control") == pid


def test_what_a_client_cannot_ask_for_is_refused_before_it_is_sent(desk: Desk) -> None:
    huge = StartChild(under="spare", spec=worker("huge", arguments={"text": "x" * OUTSIDE.message_bytes_max}))
    with pytest.raises(Refused, match=r"too_large: StartChild has .* nothing was sent"):
        desk.client.call(huge)


def test_any_number_of_deaths_may_be_asked_for(desk: Desk) -> None:
    assert desk.client.call(ReadTree(deaths=2**62)).children


# -- garbage -----------------------------------------------------------------------------------------------------------


def test_garbage_is_dropped_told_once_and_nobody_notices(desk: Desk) -> None:
    before = desk.pids()
    head, body = call_frames(encode(ReadTree()))
    bad_heads = [
        b"",
        os.urandom(300),
        packed((PROTOCOL, ("shout", "x", 1, 1))),
        call_frames(body, sender="x" * 9999)[0],
    ]
    with dealer(desk) as socket:
        for _ in range(500):
            for frames in ([b""], [head], [head, body, body], [b"x"] * 50, *([bad, body] for bad in bad_heads)):
                socket.send_multipart(frames)
        socket.send(b"z" * (OUTSIDE.message_bytes_max + 1))
        assert desk.client.tree().pid == desk.process.pid
    assert desk.pids() == before
    assert warnings(desk, "dropped what is no message of ours") == 1


@pytest.mark.parametrize("name", ["control", "one/permanent"])
def test_casts_that_nobody_expects_are_told_once(desk: Desk, name: str) -> None:
    for _ in range(300):
        assert desk.client._peers.cast(name, Done())
    with suppress(Refused):
        desk.client.call(Add(number=1), to=name)  # comes after them all
    log = (desk.home / "logs" / f"{name}.log").read_text()
    assert log.count("cast that nobody expects") == 1


def test_bytes_by_chance_on_the_bare_socket(desk: Desk) -> None:
    """Before and after the handshake, whole and cut: 2,000 connections with another seed each."""
    before = desk.pids()
    for seed in range(2000):
        noise = bytes((seed * 2654435761 + place * place * 40503) >> 7 & 0xFF for place in range(seed % 97))
        start = (b"", GREETING[: seed % 64], GREETING, GREETING + READY)[seed % 4]
        with socket.socket(socket.AF_UNIX) as raw, suppress(OSError):
            raw.settimeout(1.0)
            raw.connect(control_socket(desk))
            raw.sendall(start + noise)
    assert desk.client.tree().pid == desk.process.pid
    assert desk.pids() == before


@pytest.mark.parametrize("seed", range(3))
def test_frames_by_chance_from_a_proper_peer(desk: Desk, seed: int) -> None:
    """Sound requests with damaged bytes, frames that are missing or doubled, and noise: 3,000 messages."""
    before, draw = desk.pid("control"), random.Random(seed)
    others = set(desk.pids()) - {before}
    bodies = [
        encode(each)
        for each in (
            ReadTree(deaths=3),
            GetChildspec("all/a"),
            ReadGroup("traders"),
            StartChild(under="spare", spec=worker("x", start="no_such_module:Thing", restart="temporary")),
        )
    ]
    with dealer(desk) as socket:
        for number in range(3000):
            frames = [bytearray(each) for each in call_frames(draw.choice(bodies), number=number)]
            for _ in range(draw.randrange(4)):
                damaged = draw.choice(frames)
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            if draw.random() < 0.2:
                frames = draw.choices([*frames, bytearray(draw.randbytes(50))], k=draw.randrange(1, 5))
            socket.send_multipart(frames)
            while socket.poll(0):
                socket.recv_multipart()
    assert desk.client.tree().pid == desk.process.pid
    assert desk.pid("control") == before
    assert others <= set(desk.pids())
    assert warnings(desk, "dropped what is no message of ours") == 1


def shake_hands(raw: socket.socket, desk: Desk) -> None:
    """Become a ZeroMQ peer by hand. What is sent before the other side's READY has come breaks the protocol."""
    raw.settimeout(5.0)
    raw.connect(control_socket(desk))
    raw.sendall(GREETING + READY)
    came = b""
    while not came.endswith(b"Identity\0\0\0\0"):
        came += raw.recv(500)


# -- floods ------------------------------------------------------------------------------------------------------------


def crowd(path: str, count: int, words: bytes) -> list[socket.socket]:
    """So many connections that say this and no more; those that are hung up on stay ours."""
    made = []
    for _ in range(count):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(5.0)
        with suppress(OSError):
            raw.connect(path)
            raw.sendall(words)
        made.append(raw)
    return made


@pytest.mark.parametrize("words", [b"", GREETING + READY], ids=["silent", "handshaken"])
def test_ten_thousand_connections_are_bounded_and_a_good_client_is_served(desk: Desk, words: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard - 500)
    pid, pids = desk.pid("control"), desk.pids()
    start_mib, start_cpu_s = memory_mib(pid), cpu_s(pid)
    path, trips, done = control_socket(desk), list[float](), threading.Event()

    def work() -> None:
        with Client(str(desk.home)) as good:
            while not done.is_set():
                trips.extend(round_trips(good, 5))

    worker_thread = threading.Thread(target=work)
    worker_thread.start()
    desk.until(lambda: trips)
    began = time.monotonic()
    guests = crowd(path, count, words)
    took_s = time.monotonic() - began
    try:
        with Client(str(desk.home)) as newcomer:
            newcomer.tree("control")
        done.set()
        worker_thread.join()
        during = p99(sorted(trips))
        peak_mib = memory_mib(pid)
        desk.until(lambda: descriptors(pid) < OUTSIDE.connections_max + 100)
        idle_cpu_s, idle_from = cpu_s(pid), time.monotonic()
        held = round_trips(desk.client)
        idle = (cpu_s(pid) - idle_cpu_s) / (time.monotonic() - idle_from)
    finally:
        done.set()
        for guest in guests:
            guest.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    after = round_trips(desk.client)
    print(
        f"\n{count} connections in {took_s:.2f} s: control {start_mib:.1f} -> {peak_mib:.1f} MiB, "
        f"{descriptors(pid)} fds, {idle_cpu_s - start_cpu_s:.2f} s cpu; "
        f"p99 {during * 1000:.2f} ms of {len(trips)} calls while they came, "
        f"{p99(held) * 1000:.2f} held ({idle:.2f} cpu), {p99(after) * 1000:.2f} after"
    )
    assert desk.pids() == pids, "neither control nor anybody else has died"
    assert peak_mib - start_mib < GROWTH_MAX_MIB
    assert warnings(desk, "hung up on the most silent") == 1


def test_connections_that_never_shake_hands_are_hung_up_on(desk: Desk) -> None:
    guests = crowd(control_socket(desk), 50, b"")
    began = time.monotonic()
    for guest in guests:
        guest.settimeout(OUTSIDE.handshake_s + 5.0)
        while guest.recv(100):
            pass
    assert time.monotonic() - began < OUTSIDE.handshake_s + 3.0


def test_a_client_that_never_reads_does_not_make_control_grow_or_wait(desk: Desk) -> None:
    pid = desk.pid("control")
    before_mib = memory_mib(pid)
    with socket.socket(socket.AF_UNIX) as deaf:
        shake_hands(deaf, desk)
        deaf.settimeout(0.5)
        head, body = call_frames(encode(ReadTree(deaths=10)))
        question = b"\x01" + bytes([len(head)]) + head + b"\x00" + bytes([len(body)]) + body
        sent = 0
        with suppress(OSError):
            for _ in range(20_000):
                deaf.sendall(question)
                sent += 1
        assert sent > 500
        round_trips(desk.client)  # each is answered; how quickly is for scripts/bench: here it measures the neighbours
        assert memory_mib(pid) - before_mib < 32
        assert warnings(desk, "no way back") <= 1
    assert desk.pid("control") == pid


def test_a_message_without_end_is_ended_by_the_ceiling_and_costs_nobody_else_anything(desk: Desk) -> None:
    """ZeroMQ keeps the frames of one message until the last has come, without any limit of its own. At the ceiling it
    hangs up; if our own next allocation is the one that fails, control dies of it and is back."""
    pid, others = desk.pid("control"), set(desk.pids())
    frame = b"\x03" + struct.pack("!Q", 500_000) + bytes(500_000)
    peak_mib = 0.0
    sent = 0
    with socket.socket(socket.AF_UNIX) as raw, suppress(OSError):
        shake_hands(raw, desk)
        while sent < 4000:
            raw.sendall(frame)
            sent += 1
            with suppress(OSError, ValueError):
                peak_mib = max(peak_mib, memory_mib(pid))
    assert 100 < sent < 1000, "it was taken for a while, and then no more"
    assert peak_mib < OUTSIDE.memory_mib + 64
    desk.until(lambda: desk.state("control") == "up")
    assert memory_mib(desk.pid("control")) < 100
    assert others - {pid} <= set(desk.pids())


# -- slow requests -----------------------------------------------------------------------------------------------------


def test_others_are_answered_while_control_waits_for_a_slow_start(desk: Desk) -> None:
    outcome: list[Any] = []
    gate = desk.home / "gate"
    spec = worker("slow", start_limit_s=GATE_LIMIT_S, arguments={"gate": str(gate)})

    def start_slowly() -> None:
        with Client(str(desk.home)) as client:
            outcome.append(client.start_child("spare", spec))

    thread = threading.Thread(target=start_slowly)
    thread.start()
    desk.until(lambda: desk.state("spare/slow") == "starting")
    took = round_trips(desk.client, 300)
    assert desk.state("spare/slow") == "starting", "all that was while it was being started"
    print(f"\nround trip p50 {took[150] * 1000:.2f} ms, p99 {p99(took) * 1000:.2f} ms, longest {took[-1] * 1000:.2f}")
    gate.touch()
    thread.join()
    assert outcome[0].name == "spare/slow"
    assert desk.client.call(Add(number=1), to="spare/slow").total == 1


def test_a_start_that_fails_is_answered_later_with_its_reason(desk: Desk) -> None:
    with pytest.raises(Refused, match=r"failed: .*no_such_module") as caught:
        desk.client.start_child("spare", worker("bad", start="no_such_module:Thing"))
    assert caught.value.word == "failed"


# -- the death of control ----------------------------------------------------------------------------------------------


def test_control_that_is_killed_while_it_holds_a_request_leaves_its_caller_in_no_doubt_for_long(desk: Desk) -> None:
    pid = desk.pid("control")
    told: list[CallFailed] = []
    gate = desk.home / "gate"
    spec = worker("half", start_limit_s=GATE_LIMIT_S, arguments={"gate": str(gate)})

    def ask() -> None:
        with Client(str(desk.home)) as client:
            try:
                client.start_child("spare", spec)
            except CallFailed as failed:
                told.append(failed)

    thread = threading.Thread(target=ask)
    thread.start()
    desk.until(lambda: desk.state("spare/half") == "starting")
    os.kill(pid, signal.SIGKILL)
    thread.join()
    assert isinstance(told[0], OutcomeUnknown)
    assert "it ended before it replied" in str(told[0]), "by its end, and not by the limit of the call"
    desk.again("control", pid)
    gate.touch()
    desk.until(lambda: desk.state("spare/half") == "up")
    assert desk.client.ensure_child("spare", spec).already, "it had happened: ensure_child is what to ask then"
