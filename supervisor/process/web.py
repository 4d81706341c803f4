"""HTTP in the real world: single requests, and long-lived streams read by a thread each.

A reader thread with a bounded queue and an eventfd, because ``select`` on the socket under ``requests`` showed
nothing for a second while data lay in its buffer, and because after a read time-out the iterator is finished
(measured). The thread only reads; what silence means is decided elsewhere. What has come while the process was busy is
given to it as one read, so that the busier it is, the fewer messages it makes of it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
import urllib3.exceptions

from supervisor.errors import HttpFailed
from supervisor.messages import Message, StreamData, StreamEnded, StreamOpened
from supervisor.process.chunks import BadChunks, Chunks
from supervisor.process.world import HttpReply

BODY_BYTES_MAX = 64 * 1024 * 1024
"""The largest answer that is read: 57,600 bars (the venue's limit for one request) are a fifth of it."""
CONNECT_LIMIT_S = 3.0
"""Of the connection alone; the limit of the whole may be shorter."""
QUEUED_BYTES_MAX = 1 << 20
"""Bytes that may wait for the process; then the thread waits, and the venue with it."""
READ_BYTES = 1 << 16
GIVEN_BYTES_MAX = 1 << 18
"""Of one ``StreamData``: half a thousand bars, a tenth of a millisecond for whoever gets them."""
RECEIVE_LIMIT_S = 120.0
"""Of one read of a stream. Silence is judged by its owner long before (three heartbeats); this is for an owner that
never asks: a half-open socket raises nothing, so no read is ever without a limit."""
ERROR_BODY_BYTES_MAX = 2000


class Web:
    """Requests of one process. No retry, no redirect, no proxy or .netrc from the environment."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        """``timeout_s`` bounds each wait for bytes, and their sum: at most twice it for a venue that dribbles."""
        until_s = time.monotonic() + timeout_s
        limits = (min(CONNECT_LIMIT_S, timeout_s), timeout_s)
        try:
            with self._session.request(
                method, url, headers=dict(headers), data=body, timeout=limits, allow_redirects=False, stream=True
            ) as answer:
                content = _read_whole(answer, until_s, url)
                return HttpReply(answer.status_code, _lower(answer.headers), content)
        except requests.RequestException as error:
            raise HttpFailed(f"{method} {url}: {_plain(error)}", sent=_was_sent(error)) from error
        except urllib3.exceptions.HTTPError as error:  # in the middle of the body
            raise HttpFailed(f"{method} {url}: {_plain(error)}", sent=True) from error

    def open(self, number: int, url: str, headers: Mapping[str, str], wake: int) -> Stream:
        return Stream(number, url, dict(headers), wake)


def _read_whole(answer: requests.Response, until_s: float, url: str) -> bytes:
    """By what has come, not by full parts: a part of a venue that dribbles may never be full, however short each of its
    silences is."""
    content = bytearray()
    while part := answer.raw.read1(65536, decode_content=True):
        content += part
        if len(content) > BODY_BYTES_MAX:
            raise HttpFailed(f"{url}: the answer is larger than {BODY_BYTES_MAX} bytes", sent=True)
        if time.monotonic() > until_s:
            raise HttpFailed(f"{url}: the answer was not complete in time", sent=True)
    return bytes(content)


def _was_sent(error: requests.RequestException) -> bool:
    """False only where the connection itself did not come about."""
    if isinstance(error, requests.ConnectTimeout):
        return False
    cause: Any = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return not isinstance(reason, urllib3.exceptions.NewConnectionError)


def _plain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Stream:
    """One long-lived GET. ``take`` gives what has come; the eventfd ``wake`` is written when something has."""

    def __init__(self, number: int, url: str, headers: dict[str, str], wake: int) -> None:
        self.number = number
        self._url = url
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._wake = wake
        self._queue: deque[Message] = deque()  # append and popleft are atomic
        self._put_bytes = self._taken_bytes = 0  # each written by one thread
        self._room = threading.Event()
        self._closed = threading.Event()
        self._answer: requests.Response | None = None
        threading.Thread(target=self._read, name=f"stream-{number}", daemon=True).start()

    def take(self) -> list[Message]:
        """Reads that follow each other come as one, up to a size."""
        taken: list[Message] = []
        parts: list[bytes] = []
        size = 0
        while self._queue:
            message = self._queue.popleft()
            if isinstance(message, StreamData) and size < GIVEN_BYTES_MAX:
                parts.append(message.data)
                size += len(message.data)
                continue
            if parts:
                taken.append(self._joined(parts))
                parts, size = [], 0
            if isinstance(message, StreamData):
                parts, size = [message.data], len(message.data)
            else:
                taken.append(message)
        if parts:
            taken.append(self._joined(parts))
        self._room.set()
        return taken

    def _joined(self, parts: list[bytes]) -> StreamData:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._taken_bytes += len(data)
        return StreamData(self.number, data)

    def close(self) -> None:
        """From outside: shutting the socket down ends a blocked read at once."""
        self._closed.set()
        self._room.set()
        if self._answer is not None:
            _shut(self._answer)

    def _put(self, message: Message, size: int = 0) -> None:
        while self._put_bytes - self._taken_bytes > QUEUED_BYTES_MAX and not self._closed.is_set():
            self._room.clear()
            if self._put_bytes - self._taken_bytes > QUEUED_BYTES_MAX:  # not taken between the look and the clearing
                self._room.wait(0.5)
        if not self._closed.is_set():
            self._put_bytes += size
            self._queue.append(message)
            os.eventfd_write(self._wake, 1)

    def _read(self) -> None:
        session = requests.Session()
        session.trust_env = False
        opened = 0
        try:
            with session.get(
                self._url,
                headers=self._headers,
                stream=True,
                timeout=(CONNECT_LIMIT_S, RECEIVE_LIMIT_S),
                allow_redirects=False,
            ) as answer:
                self._answer, opened = answer, answer.status_code
                self._pass_on(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, AttributeError, BadChunks) as error:
            # AttributeError: what urllib3 raises when the socket is shut down under its reading thread.
            self._put(StreamEnded(self.number, "reset" if opened else "error", opened, _plain(error)))

    def _pass_on(self, answer: requests.Response) -> None:
        if answer.status_code != 200:
            body = answer.raw.read(ERROR_BODY_BYTES_MAX, decode_content=True)
            self._put(StreamEnded(self.number, "refused", answer.status_code, body.decode(errors="replace")))
            return
        self._put(StreamOpened(self.number, answer.status_code, _lower(answer.headers)))
        for data in _content(answer):
            if data:
                self._put(StreamData(self.number, data), len(data))
        self._put(StreamEnded(self.number, "end", answer.status_code, "the venue ended the stream"))


def _content(answer: requests.Response) -> Iterator[bytes]:
    """What lies in the socket, a read at a time, the chunks taken off. By way of ``requests`` where the answer is not
    plainly chunked (a length, a compression) or where its innards are not what we know."""
    raw: Any = answer.raw
    read1: Callable[[int], bytes] | None = getattr(getattr(getattr(raw, "_fp", None), "fp", None), "read1", None)
    encodings = answer.headers.get("Transfer-Encoding", ""), answer.headers.get("Content-Encoding", "identity")
    if read1 is None or (encodings[0].lower(), encodings[1].lower()) != ("chunked", "identity"):
        yield from answer.iter_content(None)
        return
    chunks = Chunks()
    while not chunks.ended:
        data = read1(READ_BYTES)
        if not data:
            raise ConnectionResetError("the connection was closed inside the stream")
        yield chunks.push(data)


def _shut(answer: requests.Response) -> None:
    try:
        copy = os.dup(answer.raw.fileno())
    except (OSError, AttributeError, ValueError):
        # It is closed already, so there is no read to end.
        return
    with socket.socket(fileno=copy) as twin:
        try:
            twin.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The venue was faster.
            return
