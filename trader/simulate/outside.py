"""The emulator's pure app as what a simulated machine is connected to. No clock, no socket: the kernel says when."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from brokers.tradestation.emulator.app import advance, app, drop_stream, next_due
from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.state import Settings, new_state
from brokers.tradestation.emulator.values import Cut, Now, OpenStream, Reply, Request, StreamBytes
from supervisor.process.world import HttpReply
from supervisor.sim.kernel import START_S

URL = "http://venue.invalid"
"""Never looked up: the simulated machine has no other network."""
CHUNK_S = 0.01
"""A stream sends at most one chunk in this time, as the served emulator does."""


class OpenedStream(msgspec.Struct, frozen=True):
    """``supervisor.sim.kernel.Opened``."""

    stream: int
    status: int
    headers: dict[str, str]
    body: bytes


class StreamOutput(msgspec.Struct, frozen=True):
    """``supervisor.sim.kernel.Output``."""

    stream: int
    data: bytes
    end: str


class EmulatorOutside:
    """``supervisor.sim.kernel.Outside`` over an emulator whose market time is ``origin + rate * machine time``."""

    def __init__(self, settings: Settings, market: Market, origin_utc: float, rate: float) -> None:
        self._origin_utc = origin_utc
        self._rate = rate
        self.state = new_state(settings, market, self._now(START_S))
        self.state.take_entries()

    def market_utc(self, now_s: float) -> float:
        shown = self._origin_utc + self._rate * (now_s - START_S)
        stopped = self._stopped_at_utc
        return shown if stopped is None else min(shown, stopped)

    def rate(self) -> float:
        return self._rate

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> HttpReply | None:
        answer = self._ask(method, url, headers, body, now_s)
        if isinstance(answer, Cut):
            return None
        assert isinstance(answer, Reply), "a stream is opened by open()"
        return HttpReply(answer.status, {"content-type": answer.content_type}, answer.body)

    def open(self, url: str, headers: dict[str, str], now_s: float) -> OpenedStream:
        answer = self._ask("GET", url, headers, b"", now_s)
        if isinstance(answer, OpenStream):
            return OpenedStream(answer.stream_id, 200, answer.headers, b"")
        if isinstance(answer, Reply):
            return OpenedStream(0, answer.status, {}, answer.body)
        return OpenedStream(0, 0, {}, b"")

    def close(self, stream: int) -> None:
        drop_stream(self.state, stream)

    def advance(self, now_s: float) -> list[StreamOutput]:
        outputs = advance(self.state, self._now(now_s))
        self.state.take_entries()
        return [
            StreamOutput(each.stream_id, each.data, "")
            if isinstance(each, StreamBytes)
            else StreamOutput(each.stream_id, b"", "end" if each.how == "close" else "reset")
            for each in outputs
        ]

    def next_due_s(self, now_s: float) -> float:
        due = next_due(self.state, self._now(now_s))
        moments = [float("inf")]
        if due.machine_s is not None:
            moments.append(due.machine_s)
        if due.market_utc is not None and self._stopped_at_utc is None:
            moments.append(START_S + (due.market_utc - self._origin_utc) / self._rate)
        return max(min(moments), now_s + CHUNK_S)

    # -- the tester's door ---------------------------------------------------------------------------

    def tell(self, path: str, now_s: float, **body: Any) -> Any:
        """POST /emulator/...; raises ValueError with the emulator's sentence where it refuses."""
        return self._admin("POST", f"{URL}/emulator/{path}", msgspec.json.encode(body), now_s)

    def ask(self, path: str, now_s: float, **query: Any) -> Any:
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return self._admin("GET", f"{URL}/emulator/{path}?{words}", b"", now_s)

    def _admin(self, method: str, url: str, body: bytes, now_s: float) -> Any:
        reply = self.request(method, url, {}, body, now_s)
        if reply is None or reply.status != 200:
            raise ValueError(f"{method} {url}: {reply.body.decode() if reply else 'cut'}")
        return msgspec.json.decode(reply.body)

    # -- how -------------------------------------------------------------------------------------------

    @property
    def _stopped_at_utc(self) -> float | None:
        state = getattr(self, "state", None)
        return None if state is None else state.ledger.stopped_at_utc

    def _now(self, now_s: float) -> Now:
        return Now(machine_s=now_s, market_utc=self.market_utc(now_s))

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> Any:
        parts = urlsplit(url)
        query = {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
        lower = {name.lower(): value for name, value in headers.items()}
        answer = app(self.state, Request(method, unquote(parts.path), query, lower, body), self._now(now_s))
        self.state.take_entries()
        return answer
