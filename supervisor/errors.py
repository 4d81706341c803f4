"""The errors of the supervisor room. Two differ only where the caller does something different.

NightdeskError
├── BadSpec            a child spec or a flag is wrong: mend the text, nothing was started
├── BadMessage         bytes that are no message of ours: dropped and counted at the edge
├── CallFailed         a call between processes has no reply
│   ├── NoPeer         nobody is there: nothing was sent
│   ├── OutcomeUnknown sent, but no reply in time: it may or may not have happened
│   └── Refused        the receiver says no, in words
├── HttpFailed         no HTTP answer: see ``sent`` (False: no byte left; True: outcome unknown)
├── StoreFailed        a store cannot be opened, read or written
└── HomeTaken          another supervisor owns this home
"""

from __future__ import annotations


class NightdeskError(Exception):
    """Root of the errors this program raises on purpose."""


class BadSpec(NightdeskError):
    """A child spec or supervisor flag is wrong; the message names the field and the value."""


class BadMessage(NightdeskError):
    """Bytes that are no message of ours."""


class CallFailed(NightdeskError):
    """A call between processes has no reply."""


class NoPeer(CallFailed):
    """The receiver is absent or full; nothing was sent."""


class OutcomeUnknown(CallFailed):
    """The request was sent and no reply came in time."""


class Refused(CallFailed):
    """The receiver answered no; the text is its reason."""


class HttpFailed(NightdeskError):
    """No HTTP answer came. ``sent`` is False only where it is certain that no byte of the request left."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class StoreFailed(NightdeskError):
    """A store cannot be opened, read or written; the message says which file and what to do."""


class HomeTaken(NightdeskError):
    """Another supervisor runs on this home."""
