"""The streams of one process, polled with all else that its loop waits for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import zmq

from supervisor.messages import Message
from supervisor.process.stream import Stream


class Streams:
    """Registers with ``poller`` what of its streams there is to wait for."""

    def __init__(self, poller: zmq.Poller) -> None:
        self._poller = poller
        self._numbers = itertools.count(1)
        self._streams: dict[int, Stream] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        poller.register(self._wake, zmq.POLLIN)

    def open(self, url: str, headers: Mapping[str, str]) -> int:
        """Its number. How the opening went is a message."""
        number = next(self._numbers)
        self._streams[number] = Stream(number, url, dict(headers), self._wake)
        return number

    def close(self, number: int) -> None:
        """No more comes of it."""
        opened = self._streams.pop(number, None)
        if opened is not None:
            self._poll(opened.fd, -1)
            opened.close()

    def take(self, ready: Mapping[Any, int]) -> Iterator[Message]:
        """What has come, of those that the poller found ready."""
        woken = self._wake in ready
        if woken:
            os.eventfd_read(self._wake)
        for stream in self._streams.values():
            before = stream.fd
            if woken or before in ready:
                yield from stream.take()
                self._poll(before, stream.fd)

    def overdue(self, now_s: float) -> Iterator[Message]:
        """The ends of those that were silent for longer than any stream may be."""
        for stream in self._streams.values():
            before = stream.fd
            yield from stream.overdue(now_s)
            self._poll(before, stream.fd)

    def _poll(self, before: int, now: int) -> None:
        """A stream's socket: from the moment it is open until it is closed."""
        if before != now and before >= 0:
            self._poller.unregister(before)
        if before != now and now >= 0:
            self._poller.register(now, zmq.POLLIN)
