"""The errors of the supervisor room. Two differ only where the caller does something different.

NightdeskError
├── BadSpec            a child spec or a flag is wrong: mend the text, nothing was started
├── BadMessage         bytes that are no message of ours: dropped and counted at the edge
│   └── OtherProtocol  of another version of ours: refused in words, nothing is done of it
├── CallFailed         a call between processes has no reply
│   ├── NoPeer         nobody is there: nothing was sent
│   ├── OutcomeUnknown sent, but no reply in time: it may or may not have happened
│   └── Refused        the receiver says no, in words
├── HttpFailed         no HTTP answer: see ``sent`` (False: no byte left; True: outcome unknown)
├── StoreFailed        a store cannot be opened, read or written
├── HomeTaken          another supervisor owns this home
├── StartFailed        a tree did not come up, and nothing of it is left running
└── EndsInWords        a process ends by it on purpose: the text says all, a traceback would say nothing
"""

from __future__ import annotations


class NightdeskError(Exception):
    """Root of the errors this program raises on purpose."""


class BadSpec(NightdeskError, ValueError):
    """A child spec or supervisor flag is wrong; the message names the field and the value.

    A ``ValueError`` too, so that it is a decode error where the spec came as bytes.
    """


class BadMessage(NightdeskError):
    """Bytes that are no message of ours."""


class OtherProtocol(BadMessage):
    """A peer speaks another version of the protocol. ``kind`` and ``number`` are its envelope's, to answer it with."""

    def __init__(self, theirs: int, ours: int, *, kind: str, number: int) -> None:
        super().__init__(
            f"other_protocol: the sender speaks version {theirs} of the protocol, the receiver {ours}; nothing was "
            "done. Both must be of one release: use the program that the tree was started with, or start the tree anew."
        )
        self.kind = kind
        self.number = number


class CallFailed(NightdeskError):
    """A call between processes has no reply."""


class NoPeer(CallFailed):
    """The receiver is absent or full; nothing was sent."""


class OutcomeUnknown(CallFailed):
    """The request was sent and no reply came in time."""


class Refused(CallFailed):
    """The receiver answered no; the text is its reason. A supervisor's begins with one of ``RefusalWord``."""

    @property
    def word(self) -> str:
        """What the text begins with, up to the first colon: for programs; the text is for people."""
        return str(self).partition(":")[0]


class HttpFailed(NightdeskError):
    """No HTTP answer came. ``sent`` is False only where it is certain that no byte of the request left."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class StoreFailed(NightdeskError):
    """A store cannot be opened, read or written; the message says which file and what to do."""


class HomeTaken(NightdeskError):
    """Another supervisor runs on this home."""


class StartFailed(NightdeskError):
    """The root of a tree could not start; the message says which child and why. Nothing of it is left running."""


class EndsInWords(NightdeskError):
    """By this a process ends abnormally and on purpose, to be started again; the text says all that there is to know.

    So no traceback is written: where a venue is away for a night, one at each try would bury what there is to read.
    """
