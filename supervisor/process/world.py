"""The world: all that process code may know of the outside (docs/architecture.md, "One code, one seam").

A process written against this protocol runs unchanged as an OS process (``real.py``) and, later, on a virtual clock
in one interpreter. So this file holds promises only: no clock, no socket, no file.

What a process may rely on:

* Its code runs in one thread of control. Every method that waits (``call``, ``http``, ``File.locked``, a request to
  the supervisor) blocks this process only; what arrives meanwhile waits in its mailbox, in the sequence of arrival.
* Each waiting method has a limit, and declares it to the liveness page itself. Code that computes for longer than a
  second declares it with ``blocking``.
* ``handle_info`` receives what the world tells: the messages given to ``after``, publications, ``Subscribed``,
  ``StreamOpened``/``StreamData``/``StreamEnded``, ``Up``/``Down`` of watched names, ``Answered``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from supervisor.messages import ChildSpec, Level, Message, Predecessor, Request, Started, Tree
from supervisor.process.writes import Writes

R = TypeVar("R", bound=Message)


class HttpReply(msgspec.Struct, frozen=True):
    """An HTTP answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Timer(Protocol):
    """A message that is still to come."""

    def cancel(self) -> None: ...


class Log(Protocol):
    """One readable line per call. Fields are added as ``key=value``; secrets are never given to it."""

    def debug(self, text: str, **fields: Any) -> None: ...
    def info(self, text: str, **fields: Any) -> None: ...
    def warning(self, text: str, **fields: Any) -> None: ...
    def error(self, text: str, **fields: Any) -> None: ...


class Store(Protocol):
    """One SQLite file. WAL, synchronous=FULL; one process writes it, others open it read-only.

    ``transaction`` is BEGIN IMMEDIATE .. COMMIT: on return it is on disk; an exception inside rolls it back. ``write``
    is the same for what is known already: all of it, or nothing.
    Raises ``StoreFailed`` with the file, the cause and what to do.
    """

    def transaction(self) -> AbstractContextManager[None]: ...
    def write(self, writes: Writes) -> None: ...
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int: ...
    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...


class File(Protocol):
    """One small file that several processes may share (a token file, a halt file)."""

    def read(self) -> bytes | None:
        """The content, None where there is no file."""

    def shared(self) -> str:
        """The file's mode in octal where group or others may read or write it, "" where only its owner may."""

    def write(self, data: bytes) -> None:
        """Replace the content at once and durably (new file, fsync, rename, fsync of the folder); mode 0600."""

    def remove(self) -> None:
        """Durably; nothing where there is none."""

    def locked(self, limit_s: float) -> AbstractContextManager[None]:
        """Hold the file's lock (flock); ``StoreFailed`` when it is not to be had within ``limit_s``."""


class SupervisorClient(Protocol):
    """The supervisor as its children see it. A refusal in words raises ``Refused``; no answer, ``OutcomeUnknown``."""

    def ask(self, request: Request[R]) -> R: ...

    def ask_later(self, request: Request[Any]) -> int:
        """Ask and do not wait: ``Answered`` with this number comes to ``handle_info``, once. For what takes long."""

    def tree(self, under: str = "", deaths: int = 1) -> Tree: ...
    def start_child(self, under: str, spec: ChildSpec) -> Started: ...
    def ensure_child(self, under: str, spec: ChildSpec) -> Started: ...
    def restart_child(self, name: str) -> Started: ...
    def terminate_child(self, name: str) -> None: ...
    def delete_child(self, name: str) -> None: ...
    def members(self, group: str) -> tuple[str, ...]: ...
    def join(self, group: str) -> None: ...
    def leave(self, group: str) -> None: ...
    def watch(self, under: str) -> None: ...
    def follow_record(self, after: int) -> None: ...


class World(Protocol):
    """See the module's text for what may be relied on."""

    name: str
    incarnation: int
    predecessor: Predecessor | None
    """How the last incarnation of this name ended and the note it left; None for the first."""

    @property
    def log(self) -> Log: ...

    @property
    def supervisor(self) -> SupervisorClient: ...

    def now_s(self) -> float:
        """Machine time: monotonic seconds, the same in all processes of this machine. Never goes back."""

    def now_utc(self) -> float:
        """Market time in UTC epoch seconds. For stamps and market limits, never for time-outs."""

    def market_rate(self) -> float:
        """Market seconds that pass in a machine second: 1.0 in production, more with the emulator."""

    def call(self, to: str, request: Request[R], *, timeout_s: float) -> R:
        """Ask ``to`` and wait. ``NoPeer``: nothing was sent. ``OutcomeUnknown``: no reply in time. ``Refused``: no."""

    def cast(self, to: str, message: Message) -> bool:
        """Send and do not wait. False: the receiver is absent or full and the message is dropped, now."""

    def cast_group(self, group: str, message: Message) -> tuple[str, ...]:
        """Cast to each member of a group that is ready; the names of those who were there for it."""

    def publish(self, topic: str, message: Message) -> None:
        """To all subscribers of this process's ``topic``."""

    def subscribe(self, to: str, topic: str) -> None:
        """From now on ``Subscribed``, and what ``to`` publishes on ``topic``, come to ``handle_info``, without gaps:
        missed messages are fetched; a new incarnation of the publisher is told by another ``Subscribed``."""

    def unsubscribe(self, to: str, topic: str) -> None: ...

    def after(self, delay_s: float, message: Message) -> Timer:
        """Give ``message`` to ``handle_info`` after so many machine seconds."""

    def http(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        """One request, no retry, no redirect. ``timeout_s`` bounds the whole. Raises ``HttpFailed``."""

    def stream(self, url: str, *, headers: Mapping[str, str]) -> int:
        """Open a long-lived GET; what happens to it is told by ``StreamOpened``, ``StreamData``, ``StreamEnded``."""

    def close_stream(self, stream: int) -> None:
        """No message of this stream comes after this."""

    def store(self, path: str, *, schema: str | None = None) -> Store:
        """The SQLite file ``path`` below the home. ``schema`` names the migrations that bring it up to date
        (``"package.module:migrations"``) and makes it writable; None opens it for reading only."""

    def secret(self, name: str) -> str:
        """A secret laid out by whoever started us: a systemd credential of this name, else the environment variable
        (NAME in upper case, the rest underscores), else "". Read anew each time; never logged, never stored."""

    def file(self, path: str) -> File:
        """The file ``path`` below the home (or an absolute path)."""

    def blocking(self, limit_s: float) -> AbstractContextManager[None]:
        """Declare that the loop may not turn for ``limit_s`` seconds."""

    def alarm(self, limit_s: float) -> AbstractContextManager[None]:
        """To run code that is not ours: ``TooLong`` (``supervisor/process/alarm.py``) is raised in what runs inside
        when it computes for longer than this. Made once, used for each."""

    def note(self, text: str) -> None:
        """A short note (at most 100 bytes) in our liveness slot: what we were doing, told to the next incarnation."""

    def fresh(self, for_s: float) -> None:
        """What we deliver is recent enough for so many machine seconds from now; infinity: until we say otherwise.
        Past them the supervisor calls us *stale*: told as an incident, never a reason to kill. Without a call, never.
        """

    def event(
        self,
        kind: str,
        level: Level,
        text: str,
        *,
        incident: str = "",
        opened: bool = False,
        resolved: bool = False,
        **data: Any,
    ) -> None:
        """Put an event into the record (through the recorder; kept here until it has it) and into the log."""

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def new_id(self) -> str:
        """22 characters, never the same twice. Never for order keys (order-safety 3.2)."""

    def end(self, reason: str = "normal", *, expected: bool = False, shutdown: bool = False) -> None:
        """End this process in an orderly way after the current message: exit 0, ``terminate`` is called.
        ``expected``: restarted at once and not charged. ``shutdown``: as if told to stop."""
