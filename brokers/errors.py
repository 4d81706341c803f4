"""The errors of the brokers room: what a read from a venue can fail with. (Orders have outcomes: model.py.)

BrokerError
├── Unavailable     no answer, 5xx, a limit: the same read may go well later (``retry_after_s``)
├── LoginRefused    the token or the login is not accepted: refresh once, then a person must sign in
├── NotAllowed      the venue refuses this request in words: asking again does not help
└── BadAnswer       an answer that is no sense: nothing may be concluded from it
"""

from __future__ import annotations


class BrokerError(Exception):
    """Root of the errors of reading a venue."""


class Unavailable(BrokerError):
    """Network, time-out, 408, 429 or 5xx. ``retry_after_s``: the venue's own word, 0.0 where it gave none.
    ``sent`` is False only where surely no byte of the request left."""

    def __init__(self, text: str, *, retry_after_s: float = 0.0, sent: bool = True) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        self.sent = sent


class LoginRefused(BrokerError):
    """401, or a refused refresh."""


class NotAllowed(BrokerError):
    """400, 403, 404 or an error for one account or symbol inside a 200."""


class BadAnswer(BrokerError):
    """Unparsable or self-contradicting. Unknown is not flat, not closed, not rejected (law 6)."""
