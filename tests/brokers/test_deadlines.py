"""Connecting and every read have a deadline, over real sockets; what surely never left is told apart."""

import contextlib
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from brokers.broker import HttpReply
from brokers.errors import Unavailable
from brokers.model import OrderType, Placing, Side, Unknown
from brokers.tradestation.client import TradeStation
from supervisor.errors import HttpFailed
from supervisor.process.deadline import DatedAdapter, Deadline
from supervisor.process.web import Web
from tests.brokers import golden

LIMIT_S = 0.4


def client(port: int) -> TradeStation:
    web = Web()

    def http(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float) -> HttpReply:
        try:
            return web.request(method, url, headers, body, timeout_s)
        except HttpFailed as error:
            raise Unavailable(str(error), sent=error.sent) from error

    return TradeStation(f"http://127.0.0.1:{port}", http, lambda refused="": "token", LIMIT_S)


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A venue that takes each connection, keeps what it was asked, and then does as ``answer`` says."""
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            with taken:
                asked.append(taken.recv(65_536))
                try:
                    answer(taken)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)


def silent(taken: socket.socket) -> None:
    taken.settimeout(5.0)
    taken.recv(1)


def dribbling(taken: socket.socket) -> None:
    taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        taken.sendall(b"x")
        time.sleep(LIMIT_S / 8)


def dribbling_head(taken: socket.socket) -> None:
    taken.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(100):
        taken.sendall(b"x")
        time.sleep(LIMIT_S / 8)


def dribbling_first_line(taken: socket.socket) -> None:
    for byte in b"HTTP/1.1 200 OK" * 10:
        taken.sendall(bytes([byte]))
        time.sleep(LIMIT_S / 8)


def cut_off(taken: socket.socket) -> None:
    taken.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"Accounts":[]}')


def zipped(taken: socket.socket) -> None:
    body = gzip.compress(golden.ACCOUNTS * 1)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:]))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    taken.sendall(head + chunks + b"0\r\n\r\n")


def test_an_answer_in_chunks_and_compressed_is_read_whole() -> None:
    with serving(zipped) as (port, _):
        assert [each.account for each in client(port).accounts()] == ["SIM100001M", "SIM100001F"]


def test_an_answer_that_is_cut_off_is_none() -> None:
    with serving(cut_off) as (port, _), pytest.raises(Unavailable):
        client(port).accounts()


@pytest.mark.parametrize("answer", [silent, dribbling, dribbling_head, dribbling_first_line])
def test_a_venue_that_says_nothing_or_dribbles_is_given_up_in_time(answer: Callable[[socket.socket], None]) -> None:
    with serving(answer) as (port, _):
        began_s = time.monotonic()
        with pytest.raises(Unavailable):
            client(port).accounts()
        assert time.monotonic() - began_s < LIMIT_S + 2.0


def test_an_order_without_an_answer_was_sent_once_and_is_unknown() -> None:
    placing = Placing("key", "A", "ESZ26", Side.BUY, 1, OrderType.MARKET)  # type: ignore[arg-type]
    with serving(silent) as (port, asked):
        told = client(port).place(placing)
        assert isinstance(told, Unknown)
        assert told.sent
        time.sleep(LIMIT_S)
        assert len(asked) == 1


def test_a_connection_that_does_not_come_about_has_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told = client(port).cancel("1")
    assert isinstance(told, Unknown)
    assert not told.sent


def test_a_head_that_dribbles_under_tls_is_given_up_in_time_too() -> None:
    certificate = Path(__file__).parents[1] / "supervisor" / "localhost.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            taken, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(taken, server_side=True) as secure:
                secure.recv(65_536)
                dribbling_head(secure)

        threading.Thread(target=serve, daemon=True).start()
        deadline = Deadline()
        with requests.Session() as session:
            session.mount("https://", DatedAdapter(deadline))
            began_s = time.monotonic()
            deadline.until_s = began_s + LIMIT_S
            with pytest.raises(requests.ReadTimeout):
                session.get(f"https://127.0.0.1:{listener.getsockname()[1]}/", verify=str(certificate), timeout=5.0)
            assert time.monotonic() - began_s < LIMIT_S + 2.0
