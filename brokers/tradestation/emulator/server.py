"""The emulator as a process: HTTP in front of a venue. EDGE; what a request means is decided in app.py.

Loopback only. ASGI cannot break a connection: for that the transports are kept by the address of the peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from brokers.tradestation.emulator.bodies import BODY_BYTES_MAX
from brokers.tradestation.emulator.book_file import BookFile
from brokers.tradestation.emulator.clock import FILE_NAME, ClockFile
from brokers.tradestation.emulator.errors import EmulatorError, OptionError
from brokers.tradestation.emulator.load import load_market, to_stderr
from brokers.tradestation.emulator.market import MINUTE_S, Market
from brokers.tradestation.emulator.state import Settings, check_settings
from brokers.tradestation.emulator.values import OpenStream, Reply, Request
from brokers.tradestation.emulator.venue import Venue
from brokers.tradestation.emulator.wire import DAY_S, time_text

HOST = "127.0.0.1"
KEEP_ALIVE_S = 120
"""A connection without a request is kept so long: clients keep theirs for a minute or so, and one that is closed under
them fails their next request."""
FAULTY = Reply(500, b'{"Error":"InternalServerError","Message":"A fault of the emulator: its stderr tells which."}')
_ADDRESS = re.compile(r"^https?://[^/]*")
ORIGIN_UTC = 1381154400.0  # 2013-10-07T14:00:00Z, half an hour into the first full day of the bundled bars


class Options(Settings, frozen=True, kw_only=True):
    """What the command gives, with all of ``Settings``. ``data``: bundled symbols or paths of bar files; ``port`` 0:
    any free one; ``rate``: market seconds per machine second. ``rate`` and ``origin_utc`` (None: by the data) count at
    the first start of a book only; later ones go on with the clock file beside it."""

    book: str
    data: tuple[str, ...] = ("ESZ13", "SPY")
    port: int = 0
    rate: float = 1.0
    origin_utc: float | None = None


def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT. Raises EmulatorError at the start (options, port, data, book, clock)."""
    check_settings(options)
    market = load_market(options.data)
    with listening(options.port) as listener, BookFile(Path(options.book)) as book_file:
        origin_utc = origin_of(market) if options.origin_utc is None else options.origin_utc
        clock_file = ClockFile(book_file.path.with_name(FILE_NAME), origin_utc, options.rate, time.time())
        if silence := silent_at(market, clock_file.clock.market_utc(time.time())):
            to_stderr(silence)
        asyncio.run(_run(Venue(options, market, book_file, clock_file), listener))


def origin_of(market: Market) -> float:
    """Where market time begins if nobody says: at ORIGIN_UTC, where all symbols trade then, else a day after the last
    of them began, so that there is a past to ask for; in the middle of data that are shorter."""
    stamps = [one.stamps for symbol in market.symbols if (one := market.series(symbol))]
    begins, ends = max(each[0] for each in stamps), max(each[-1] for each in stamps)
    if begins <= ORIGIN_UTC < min(each[-1] for each in stamps):
        return ORIGIN_UTC
    return float(min(begins + DAY_S, begins + max(0, ends - begins) // 2 // MINUTE_S * MINUTE_S))


def silent_at(market: Market, at_utc: float) -> str:
    """A warning where market time has left the data; "" where anything trades, or will within them."""
    stamps = [one.stamps for symbol in market.symbols if (one := market.series(symbol))]
    begins, ends = min(each[0] for each in stamps), max(each[-1] for each in stamps)
    if begins - MINUTE_S <= at_utc < ends:
        return ""
    data = f"the data are of {time_text(begins)} to {time_text(ends)}"
    return (
        f"market time is {time_text(at_utc)}, {data}: nothing trades. A new book begins where they are, or at --origin"
    )


class Wire:
    """ASGI to app and back; and the breaking of connections, which ASGI cannot do."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await _request(HttpRequest(scope, receive))
        except ClientDisconnect:
            return  # gone in the middle of its body: half a request is none
        try:
            answer = self._venue.answer(request)
        except EmulatorError:
            raise  # the book cannot be written: no answer at all, and the end
        except Exception:
            await self._reply(FAULTY, scope, receive, send)
            raise
        if isinstance(answer, Reply):
            await self._reply(answer, scope, receive, send)
        elif isinstance(answer, OpenStream):
            try:
                body = self._body(answer.stream_id, self._venue.chunks(answer.stream_id), scope)
                streaming = StreamingResponse(body, 200, answer.headers)
                streaming.raw_headers = _cased(streaming.raw_headers)
                await streaming(scope, receive, send)
            finally:
                self._venue.forget(answer.stream_id)
        else:
            self._break(scope, "reset")
            await receive()  # the disconnect: only then does uvicorn not miss an answer

    @staticmethod
    async def _reply(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(reply.after_s)
        response = Response(reply.body, reply.status, reply.headers, media_type=reply.content_type)
        response.raw_headers = _cased(response.raw_headers)
        await response(scope, receive, send)

    async def _body(self, stream_id: int, chunks: AsyncIterator[bytes], scope: Scope) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
        if how := self._venue.broken(stream_id):
            self._break(scope, how)

    def _break(self, scope: Scope, how: str) -> None:
        """A reset, not an end: with LINGER 0 the kernel sends RST. "half": FIN without the last chunk."""
        transport = self.transports.get(tuple(scope["client"]))
        if transport is None:
            return
        if how == "half":
            transport.close()
            return
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _request(http: HttpRequest) -> Request:
    """One byte more than the limit is read, so that the app can say what is wrong. As clients spell it: a slash behind
    the path or twice means nothing, nor does a name of the query without a value (``lastdate=``) [infer]."""
    body = b""
    async for chunk in http.stream():
        body = (body + chunk)[: BODY_BYTES_MAX + 1]
    return Request(
        method=http.method,
        path=_path(http.scope["path"]),
        query={name.lower(): value for name, value in http.query_params.multi_items() if value},
        headers={name.lower(): value for name, value in http.headers.items()},
        body=body,
    )


def _path(target: str) -> str:
    """Also of the whole address, as who goes through a proxy writes it."""
    return "/" + "/".join(part for part in _ADDRESS.sub("", target).split("/") if part)


def _cased(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Names as the venue writes them (X-RateLimit-Reset): the same to HTTP, but not to a client that copied them into
    a plain dictionary."""
    return [(name.title().replace(b"Ratelimit", b"RateLimit"), value) for name, value in headers]


def for_browsers(wire: ASGIApp) -> ASGIApp:
    """A client that is a page of another origin asks first whether it may (CORS), and may [infer: the venue documents
    a sign-in for such pages]. The admin interface, which asks for no token, is none of theirs."""
    pages = CORSMiddleware(wire, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=["*"])

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        admin = scope.get("path", "").startswith("/emulator")
        await (wire if admin else pages)(scope, receive, send)

    return either


class _Server(uvicorn.Server):
    """Says when it is ready; ends its streams first; leaves signals to us (uvicorn would raise them again)."""

    def __init__(self, config: uvicorn.Config, venue: Venue, port: int) -> None:
        super().__init__(config)
        self._venue, self._port = venue, port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"emulator listening on http://{HOST}:{self._port}\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        yield

    def _leave(self) -> None:
        self.should_exit = True
        self._venue.end_all()


def listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OptionError(
            f"port {port} of {HOST} cannot be had ({error}); give another one, 0 for any free one"
        ) from error
    return listener


async def _run(venue: Venue, listener: socket.socket) -> None:
    wire = Wire(venue)

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            wire.transports[transport.get_extra_info("peername")] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            wire.transports.pop(self.transport.get_extra_info("peername"), None)
            super().connection_lost(exc)

    config = uvicorn.Config(
        for_browsers(wire),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
    )
    server = _Server(config, venue, listener.getsockname()[1])
    pump = asyncio.create_task(venue.pump())
    pump.add_done_callback(lambda _: setattr(server, "should_exit", True))
    await server.serve([listener])
    pump.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pump
