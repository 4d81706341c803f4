"""HTTP in the real world: single requests. (Long-lived streams have a room of their own.)"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
import urllib3.exceptions

from supervisor.errors import HttpFailed
from supervisor.process.deadline import DatedAdapter, Deadline
from supervisor.process.printable import printable
from supervisor.process.world import HttpReply

BODY_BYTES_MAX = 64 * 1024 * 1024
"""The largest answer that is read: 57,600 bars (the venue's limit for one request) are a fifth of it."""
ERROR_CHARS_MAX = 300
"""Of an error's text: it may hold what a venue that is none has answered."""
CONNECT_LIMIT_S = 3.0
"""Of the connection alone; the limit of the whole may be shorter."""
NEVER_AGAIN = urllib3.Retry(False)
"""An error is an error at once; a redirect is an answer."""
NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationValueError,
    requests.RequestException,  # of an address, before anything is asked
    ValueError,  # of a header that is none
)
"""What is raised before a byte leaves. (Handshakes that fail are not here: it is not known of each of them.)"""
CONNECTION = re.compile(r"^\w+\(host='(?P<host>[^']*)', port=(?P<port>\d+)\): ")
"""How urllib3 names a connection."""


class Web:
    """Requests of one process. No retry, no redirect, no cookies, no proxy or .netrc from the environment: so the
    connections that ``requests`` makes are asked without what it does above them, which was a fifth of the time from a
    bar to its order's first byte."""

    def __init__(self) -> None:
        self._deadline = Deadline()
        self._adapter = DatedAdapter(self._deadline)
        self._headers = dict(requests.utils.default_headers())
        self._pools: dict[str, Any] = {}

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        """``timeout_s`` bounds the whole, head and body, however a venue dribbles."""
        self._deadline.until_s = time.monotonic() + timeout_s
        try:
            pool, target = self._where(url)
            answer = pool.urlopen(
                method,
                target,
                body,
                {**self._headers, **headers},
                retries=NEVER_AGAIN,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_LIMIT_S, timeout_s), read=timeout_s),
                preload_content=False,
            )
            return HttpReply(answer.status, lower(answer.headers), _read_whole(answer, url))
        except NOT_SENT as error:
            raise HttpFailed(f"{method} {url}: {plain(error)}", sent=False) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HttpFailed(f"{method} {url}: {plain(error)}", sent=True) from error

    def _where(self, url: str) -> tuple[Any, str]:
        """The connections to a server, checked and made with its first request, and what to ask there."""
        scheme, _, rest = url.partition("://")
        host, _, target = rest.partition("/")
        pool = self._pools.get(f"{scheme}://{host}")
        if pool is None:
            prepared = requests.Request("GET", url).prepare()
            pool = self._adapter.get_connection_with_tls_context(prepared, verify=True)
            self._adapter.cert_verify(pool, prepared.url, True, None)  # type: ignore[no-untyped-call]
            self._pools[f"{scheme}://{host}"] = pool
        return pool, f"/{target}"


def _read_whole(answer: urllib3.BaseHTTPResponse, url: str) -> bytes:
    """By what has come, not by full parts: a part of a venue that dribbles may never be full, however short each of its
    silences is. What is not read to its end is not used again."""
    content = bytearray()
    try:
        while part := answer.read1(65536, decode_content=True):
            content += part
            if len(content) > BODY_BYTES_MAX:
                raise HttpFailed(f"{url}: the answer is larger than {BODY_BYTES_MAX} bytes", sent=True)
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return bytes(content)


def plain(error: BaseException) -> str:
    """The error at the bottom: libraries wrap it, and say address and path once more at each layer."""
    inner = getattr(error, "reason", None)
    for each in (inner, *error.args):
        if isinstance(each, BaseException):
            return plain(each)
    text = CONNECTION.sub(r"\g<host>:\g<port>: ", str(error))
    return f"{type(error).__name__}: {printable(text[:ERROR_CHARS_MAX])}"


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
