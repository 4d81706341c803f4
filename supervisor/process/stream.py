"""A long-lived GET in the real world: opened by a thread, read by the process's own loop.

Connecting, TLS and the answer's head block, so a thread does them by way of ``requests``; it puts one message, wakes
the loop by an eventfd, and is done. From then on the socket below the library is the loop's: what the library had read
with the head is taken first (``select`` on the socket shows nothing of that: measured), then only the socket is read,
never waiting. What has come while the process was busy is given to it as one read, so that the busier it is, the fewer
messages it makes of it; what it does not take stays in the kernel, and the venue waits.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections import deque
from typing import Any

import requests
import urllib3.exceptions

from supervisor.messages import Message, StreamData, StreamEnded, StreamOpened
from supervisor.process.chunks import BadChunks, Chunks, Whole
from supervisor.process.printable import printable
from supervisor.process.web import CONNECT_LIMIT_S, lower, plain

READ_BYTES = 1 << 16
GIVEN_BYTES_MAX = 1 << 16
"""Of one ``StreamData``: some 160 bars. Four times as much falls out of a core's cache between one look and the next,
and costs a quarter more time a line (measured)."""
RECEIVE_LIMIT_S = 120.0
"""Without a byte. Silence is judged by its owner long before (three heartbeats); this is for an owner that never asks:
a half-open socket raises nothing, so no stream is ever without a limit."""
ERROR_BODY_BYTES_MAX = 2000
NOTHING_MORE = (BlockingIOError, ssl.SSLWantReadError)


class Stream:
    """``take`` gives what has come. ``fd``: to be polled for reading, -1 while there is nothing to poll; the eventfd
    ``wake`` is written when the opening has an outcome, and when more has come than one ``take`` gives."""

    def __init__(self, number: int, url: str, headers: dict[str, str], wake: int) -> None:
        self.number = number
        self.fd = -1
        self._url = url
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._wake = wake
        self._opened: deque[tuple[Message, Content | None]] = deque()  # from the thread; append and popleft are atomic
        self._content: Content | None = None  # the loop's alone
        self._closed = False
        threading.Thread(target=self._open, name=f"stream-{number}", daemon=True).start()

    def take(self) -> list[Message]:
        """What came since the last time, as one read up to a size, and how it ended if it did."""
        taken: list[Message] = []
        while self._opened and not self._closed:
            outcome, self._content = self._opened.popleft()
            taken.append(outcome)
        if self._content is not None and not self._closed:
            self.fd = self._content.fd
            taken += self._read(self._content)
        return taken

    def _read(self, content: Content) -> list[Message]:
        data, ended = content.read()
        taken: list[Message] = [StreamData(self.number, data)] if data else []
        if ended is not None:
            taken.append(StreamEnded(self.number, ended[0], 200, ended[1]))
            self.close()
        elif len(data) >= GIVEN_BYTES_MAX:
            os.eventfd_write(self._wake, 1)  # what TLS has decoded already, no poll shows
        return taken

    def overdue(self, now_s: float) -> list[Message]:
        """An end, where nothing has come for longer than any stream may be silent."""
        content = self._content
        if content is None or self._closed or now_s - content.heard_s <= RECEIVE_LIMIT_S:
            return []
        self.close()
        return [StreamEnded(self.number, "reset", 200, f"nothing came for {RECEIVE_LIMIT_S:.0f} s")]

    def close(self) -> None:
        """No more comes of it. (A thread that is still opening it finds out when it has an answer.)"""
        self._closed, self.fd = True, -1
        if self._content is not None:
            self._content.close()
        self._close_untaken()

    def _close_untaken(self) -> None:
        """By the loop and by the thread, whoever comes second: then the other has seen ``_closed`` or left it here."""
        while self._opened:
            try:
                _, content = self._opened.popleft()
            except IndexError:  # the other one was faster
                return
            if content is not None:
                content.close()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        session = requests.Session()
        session.trust_env = False
        content = None
        try:
            answer = session.get(
                self._url,
                headers=self._headers,
                stream=True,
                timeout=(CONNECT_LIMIT_S, RECEIVE_LIMIT_S),
                allow_redirects=False,
            )
            outcome, content = self._answered(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, BadContent) as error:
            outcome = StreamEnded(self.number, "error", 0, plain(error))
        self._opened.append((outcome, content))
        if self._closed:
            self._close_untaken()
        else:
            os.eventfd_write(self._wake, 1)

    def _answered(self, answer: requests.Response) -> tuple[Message, Content | None]:
        if answer.status_code != 200:
            with answer:
                body = answer.raw.read(ERROR_BODY_BYTES_MAX, decode_content=True)
            words = printable(body.decode(errors="replace"))
            return StreamEnded(self.number, "refused", answer.status_code, words), None
        content = Content(answer)
        return StreamOpened(self.number, answer.status_code, lower(answer.headers)), content


class BadContent(Exception):
    """The answer cannot be read as a stream; the text says why."""


class Content:
    """The body of an answer, read from the socket without waiting."""

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer  # its connection lives as long as it does
        encoding = answer.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            answer.close()
            raise BadContent(f"the content is encoded as {encoding!r}, though identity was asked for")
        chunked = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self._body: Chunks | Whole = Chunks() if chunked else Whole(_length(answer))
        inner: Any = answer.raw
        try:
            buffered = inner._fp.fp  # what http.client reads from; requests has no other way to it
            self._socket: Any = buffered.raw._sock
        except AttributeError as error:
            raise BadContent(f"this version of requests or urllib3 hides its socket: {error}") from error
        self._socket.settimeout(0)
        self._all_below = 0 if isinstance(self._socket, ssl.SSLSocket) else READ_BYTES
        """A shorter read was all that lay there: it is not asked again, to hear that there is no more. (TLS gives a
        record at a time.)"""
        self.heard_s = time.monotonic()
        self.fd: int = self._socket.fileno()
        self._early: bytes = _taken_from(buffered)

    def read(self) -> tuple[bytes, tuple[Any, str] | None]:
        """What lies there, up to a size; and how it ended, if it did: "end" or "reset", and in words."""
        parts: list[bytes] = []
        size = 0
        body = self._body
        try:
            if self._early:
                parts.append(body.push(self._early))
                self._early, size = b"", len(parts[0])
            while size < GIVEN_BYTES_MAX and not body.ended:
                data = self._socket.recv(READ_BYTES)
                if not data:
                    return b"".join(parts), self._closed_by_venue()
                parts.append(body.push(data))
                size += len(parts[-1])
                if len(data) < self._all_below:
                    break
        except NOTHING_MORE:
            pass
        except (OSError, BadChunks) as error:
            return b"".join(parts), ("reset", plain(error))
        if parts:
            self.heard_s = time.monotonic()
        ended = ("end", "the venue ended the stream") if body.ended else None
        return (parts[0] if len(parts) == 1 else b"".join(parts)), ended

    def _closed_by_venue(self) -> tuple[Any, str]:
        if self._body.whole:
            return "end", "the venue closed the connection"
        return "reset", "the connection was closed inside the stream"

    def close(self) -> None:
        self._answer.close()
        self._socket.close()


def _length(answer: requests.Response) -> int | None:
    text = answer.headers.get("Content-Length")
    if text is not None and not (text.isascii() and text.isdigit()):
        raise BadContent(f"a content length of {text[:40]!r}")
    return None if text is None else int(text)


def _taken_from(buffered: Any) -> bytes:
    """What the library has read beyond the head. (A peek gives all of that; where it is nothing it looks at the
    socket, once.) From then on only the socket is read."""
    try:
        return bytes(buffered.read1(len(buffered.peek())))
    except NOTHING_MORE:
        return b""
