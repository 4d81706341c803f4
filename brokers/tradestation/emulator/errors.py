"""The errors of the emulator: what it cannot start with, and what an HTTP caller did wrong.

EmulatorError
├── DataError      a bar file that cannot be read as it stands (file, line, value)
├── BookError      a book that cannot be replayed, belongs to other accounts, or is held by another emulator
├── ClockError     a clock file that says nothing we can use
├── OptionError    a value it cannot be started with
└── Refusal        an HTTP request that is answered with an error body; never leaves the app
"""

from __future__ import annotations


class EmulatorError(Exception):
    """Root of the emulator's errors."""


class DataError(EmulatorError):
    """Bars that cannot be served: nothing is repaired, left out or guessed."""


class BookError(EmulatorError):
    """A book that cannot be trusted. The file is left as it is."""


class ClockError(EmulatorError):
    """A clock file that cannot be trusted. The file is left as it is."""


class OptionError(EmulatorError):
    """An option out of its bounds; nothing was opened or written yet."""


class Refusal(EmulatorError):
    """An answer that is not 200: status, the venue's error word, and its message."""

    def __init__(self, status: int, error: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message
        self.headers = headers or {}


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def not_found(message: str) -> Refusal:
    return Refusal(404, "NotFound", message)
