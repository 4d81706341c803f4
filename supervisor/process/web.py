"""HTTP in the real world: single requests. (Long-lived streams have a room of their own.)"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
import urllib3.exceptions

from supervisor.errors import HttpFailed
from supervisor.process.deadline import DatedAdapter, Deadline
from supervisor.process.world import HttpReply

BODY_BYTES_MAX = 64 * 1024 * 1024
"""The largest answer that is read: 57,600 bars (the venue's limit for one request) are a fifth of it."""
CONNECT_LIMIT_S = 3.0
"""Of the connection alone; the limit of the whole may be shorter."""


class Web:
    """Requests of one process. No retry, no redirect, no cookies, no proxy or .netrc from the environment: so the
    adapter is used without the session above it, which is a fifth of the time until an order's first byte leaves."""

    def __init__(self) -> None:
        self._deadline = Deadline()
        self._adapter = DatedAdapter(self._deadline)
        self._headers = dict(requests.utils.default_headers())

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        """``timeout_s`` bounds the whole, head and body, however a venue dribbles."""
        self._deadline.until_s = time.monotonic() + timeout_s
        limits = (min(CONNECT_LIMIT_S, timeout_s), timeout_s)
        try:
            with self._adapter.send(self._prepared(method, url, headers, body), stream=True, timeout=limits) as answer:
                content = _read_whole(answer, url)
                return HttpReply(answer.status_code, lower(answer.headers), content)
        except requests.RequestException as error:
            raise HttpFailed(f"{method} {url}: {plain(error)}", sent=_was_sent(error)) from error
        except urllib3.exceptions.HTTPError as error:  # in the middle of the body
            raise HttpFailed(f"{method} {url}: {plain(error)}", sent=True) from error

    def _prepared(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        prepared = requests.PreparedRequest()
        try:
            prepared.prepare(method, url, headers={**self._headers, **headers}, data=body)
        except (requests.RequestException, ValueError) as error:  # an address or a header that is none
            raise HttpFailed(f"{method} {url}: {plain(error)}", sent=False) from error
        return prepared


def _read_whole(answer: requests.Response, url: str) -> bytes:
    """By what has come, not by full parts: a part of a venue that dribbles may never be full, however short each of its
    silences is."""
    content = bytearray()
    while part := answer.raw.read1(65536, decode_content=True):
        content += part
        if len(content) > BODY_BYTES_MAX:
            raise HttpFailed(f"{url}: the answer is larger than {BODY_BYTES_MAX} bytes", sent=True)
    return bytes(content)


def _was_sent(error: requests.RequestException) -> bool:
    """False only where the connection itself did not come about."""
    if isinstance(error, requests.ConnectTimeout):
        return False
    cause: Any = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return not isinstance(reason, urllib3.exceptions.NewConnectionError)


def plain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
