"""How a request to TradeStation goes out: token, meter, one more try after a 401; what a status means for a read.

HTTP, token and meter are lent. Nothing is retried but a request answered 401, which was not executed. PURE beside.
"""

from __future__ import annotations

from collections.abc import Mapping

from brokers.broker import Http, HttpReply, Meter, TokenSource
from brokers.budget import Resource
from brokers.errors import BadAnswer, LoginRefused, NotAllowed, Unavailable
from brokers.tradestation.limits import retry_after_s, wanted_wait_s
from brokers.tradestation.shapes import SHOWN_BYTES, Failure, decoded

Sent = HttpReply
"""What came back of what was sent."""


class Requests:
    """``root`` is the API's address; ``timeout_s`` bounds each request."""

    def __init__(self, root: str, http: Http, token: TokenSource, timeout_s: float, meter: Meter) -> None:
        self.root, self.http, self.token, self.timeout_s, self.meter = root, http, token, timeout_s, meter

    def read(self, resource: Resource, address: str, *, goes_on: bool = False) -> HttpReply:
        """An answer of status 200; raises for every other. The meter is told how it went. ``goes_on``: a further page
        of a read that has begun."""
        self.meter.before(resource, goes_on=goes_on)
        try:
            reply = self.send("GET", address, None)
        except Unavailable as error:
            if error.sent:
                self.meter.after(resource, well=False)
            raise
        passing = is_passing(reply.status)
        self.meter.after(resource, well=not passing, wait_s=wanted_wait_s(reply.status, reply.headers))
        check_read(address, reply)
        return reply

    def send(self, method: str, address: str, body: bytes | None) -> HttpReply:
        token = self.token()
        reply = self._once(method, address, body, token)
        if reply.status == 401:
            return self._once(method, address, body, self.token(refused=token))
        return reply

    def authorization(self) -> dict[str, str]:
        return bearer(self.token())

    def _once(self, method: str, address: str, body: bytes | None, token: str) -> HttpReply:
        headers = {"Accept": "application/json", **bearer(token)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self.http(method, self.root + address, headers=headers, body=body, timeout_s=self.timeout_s)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def is_passing(status: int) -> bool:
    """The same request may go well later."""
    return status in (408, 429) or status >= 500


def check_read(address: str, reply: HttpReply) -> None:
    """Raises for every status but 200. The error body may be empty or HTML: its words are used where there are any."""
    if reply.status == 200:
        return
    text = f"{address}: HTTP {reply.status} {words(reply.body)}".rstrip()
    if reply.status == 401:
        raise LoginRefused(text)
    if is_passing(reply.status):
        raise Unavailable(text, retry_after_s=wait_of(reply.status, reply.headers))
    if 400 <= reply.status < 500:
        raise NotAllowed(text)
    raise BadAnswer(text)


def wait_of(status: int, headers: Mapping[str, str]) -> float:
    """Every reply tells when the quota is whole again; only a 429 (or a Retry-After) asks us to wait for it."""
    if status == 429:
        return retry_after_s(headers)
    return retry_after_s({"retry-after": headers.get("retry-after", "")})


def words(body: bytes) -> str:
    try:
        return decoded(body, Failure).words
    except BadAnswer:
        return repr(body[:SHOWN_BYTES]) if body else ""
