"""Several venues as what one simulated machine is connected to: who asks is answered by the one whose address it has.

Each is an emulator of its own, with its own login, accounts, book and habits; that they share market and market time is
all that they have in common. Order ids and account names come twice on purpose, as they do at venues that do not know
of each other.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from supervisor.process.world import HttpReply
from trader.simulate.outside import HOST_FROM, URL, EmulatorOutside, OpenedStream, StreamOutput


def url_of(number: int) -> str:
    """Where the venue of this number is; the first is where a lone one is."""
    return URL if not number else f"{URL.removesuffix('.invalid')}-{number + 1}.invalid"


class Venues:
    """``supervisor.sim.kernel.Outside`` over several. ``venues`` by connection, in the sequence of their addresses."""

    def __init__(self, venues: Mapping[str, EmulatorOutside]) -> None:
        self._all = tuple(venues.values())
        self._by_host = {_host(url_of(number)): number for number in range(len(self._all))}

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> HttpReply | None:
        return self._all[self._at(url)].request(method, url, headers, body, now_s)

    def open(self, url: str, headers: dict[str, str], now_s: float) -> OpenedStream:
        number = self._at(url)
        opened = self._all[number].open(url, headers, now_s)
        return msgspec.structs.replace(opened, stream=self._ours(opened.stream, number)) if opened.stream else opened

    def close(self, stream: int) -> None:
        theirs, number = divmod(stream, len(self._all))
        self._all[number].close(theirs)

    def advance(self, now_s: float) -> list[StreamOutput]:
        return [
            msgspec.structs.replace(output, stream=self._ours(output.stream, number))
            for number, venue in enumerate(self._all)
            for output in venue.advance(now_s)
        ]

    def next_due_s(self, now_s: float) -> float:
        return min(venue.next_due_s(now_s) for venue in self._all)

    def market_utc(self, now_s: float) -> float:
        return self._all[0].market_utc(now_s)

    def rate(self) -> float:
        return self._all[0].rate()

    def _at(self, url: str) -> int:
        return self._by_host[_host(url)]

    def _ours(self, stream: int, number: int) -> int:
        """Each venue counts its streams from 1 on."""
        return stream * len(self._all) + number


def _host(url: str) -> str:
    return url[HOST_FROM:].partition("/")[0]
