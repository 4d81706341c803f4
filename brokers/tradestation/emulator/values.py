"""What goes into the pure app and what comes out of it. PURE: knows no HTTP library, no clock, no socket."""

from __future__ import annotations

import msgspec


class Now(msgspec.Struct, frozen=True):
    """Both clocks in one argument. ``machine_s`` must not start anew with the process (tokens outlive it in the book):
    the server passes wall seconds, a simulator its virtual ones."""

    machine_s: float
    market_utc: float


class Request(msgspec.Struct, frozen=True):
    """``path`` is decoded (%40ES is @ES). Names in ``query`` and ``headers`` are lower case."""

    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """``after_s``: machine seconds that it is held back; what was asked is done by then."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    after_s: float = 0.0


class OpenStream(msgspec.Struct, frozen=True):
    """Answered with 200 and these headers; its bytes come from ``advance``, the first at the next call."""

    stream_id: int
    headers: dict[str, str]


class Cut(msgspec.Struct, frozen=True):
    """The connection ends without a byte of an answer (fault: lost reply)."""


Answer = Reply | OpenStream | Cut


class StreamBytes(msgspec.Struct, frozen=True):
    stream_id: int
    data: bytes


class StreamEnd(msgspec.Struct, frozen=True):
    """``how``: "close" ends the chunked body in order, "reset" breaks the connection in the middle of it, "half" ends
    the connection but not the body."""

    stream_id: int
    how: str


Output = StreamBytes | StreamEnd


class Due(msgspec.Struct, frozen=True):
    """When ``advance`` can next have something to do, on each clock; None: never on that clock by itself."""

    machine_s: float | None
    market_utc: float | None


class Code(msgspec.Struct, frozen=True):
    """An authorization code, as the authorize page handed it out: to whom, and what must come with it."""

    redirect_uri: str
    challenge: str
    expires_s: float
    scope: str
