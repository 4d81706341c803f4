"""A deadline for a whole answer, its head included: each read waits no longer than what is left of it. EDGE.

A time-out of ``requests`` bounds one read; a venue that sends its headers a byte at a time never runs into it.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from socket import socket
from typing import Any

import requests.adapters
import urllib3.connection
import urllib3.connectionpool


class Deadline:
    """Of the request that is under way; machine time. One for each session of one thread."""

    def __init__(self) -> None:
        self.until_s = float("inf")

    def left_s(self) -> float:
        """Raises ``TimeoutError`` where nothing is left."""
        left_s = self.until_s - time.monotonic()
        if left_s <= 0.0:
            raise TimeoutError("the answer was not complete in time")
        return left_s


class _DatedReads(io.RawIOBase):
    """The bytes of one answer."""

    def __init__(self, peer: socket, deadline: Deadline) -> None:
        self._peer, self._deadline = peer, deadline
        self._bytes = peer.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._peer.settimeout(self._deadline.left_s())
        return self._bytes.readinto(buffer)

    def fileno(self) -> int:
        return self._bytes.fileno()

    def close(self) -> None:
        self._bytes.close()
        super().close()


class DatedAdapter(requests.adapters.HTTPAdapter):
    """To be mounted on a session: its answers are read under ``deadline``."""

    def __init__(self, deadline: Deadline) -> None:
        class Answer(HTTPResponse):
            def __init__(self, sock: socket, *arguments: Any, **named: Any) -> None:
                super().__init__(sock, *arguments, **named)
                self.fp.close()
                self.fp = io.BufferedReader(_DatedReads(sock, deadline))

        class Plain(urllib3.connection.HTTPConnection):
            response_class = Answer

        class Secure(urllib3.connection.HTTPSConnection):
            response_class = Answer

        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = self._pools
