"""Server: gen_server for OS processes. Each process of the desk is one subclass.

The world calls the handlers one at a time, in one thread of control. An exception in a handler ends the process
abnormally; its supervisor decides what follows. Handlers reach the outside through ``self.world`` only.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from supervisor.errors import Refused
from supervisor.messages import Message, Request
from supervisor.process.world import World
from supervisor.wire.limits import INSIDE, SocketLimits
from supervisor.wire.seldom import Seldom


class Caller(Message, frozen=True):
    """Who waits for a reply: kept by a handler that answers later (``Server.reply``)."""

    name: str
    incarnation: int
    number: int
    deadline_s: float


class IgnoreStart(Exception):
    """Raised by ``init``: there is nothing to do; exit 0 and do not restart (OTP's ignore)."""


class Replier(Protocol):
    """What the world lends a server to answer calls with."""

    def reply(self, caller: Caller, message: Message) -> None: ...

    def refuse(self, caller: Caller, reason: str) -> None: ...


class Server:
    """Subclass, set up in ``init``, answer in the handlers.

    ``handle_call`` returns the reply, or None to answer later with ``self.reply(caller, message)``; it raises
    ``Refused(text)`` to say no. ``handle_cast`` and ``handle_info`` return nothing.
    """

    LIMITS: ClassVar[SocketLimits] = INSIDE
    """Of its socket for calls and casts."""

    def __init__(self, world: World, arguments: dict[str, Any]) -> None:
        self.world = world
        self.arguments = arguments
        self.replier: Replier | None = None
        self._unexpected = Seldom()

    def init(self) -> None:
        """Set up. Ready is told when it returns; never wait for a remote party here."""

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        raise Refused(f"{self.world.name} does not answer {type(request).__name__}")

    def handle_cast(self, message: Message) -> None:
        self._tell_unexpected("cast that nobody expects", message)

    def handle_info(self, message: Message) -> None:
        self._tell_unexpected("message that nobody expects", message)

    def _tell_unexpected(self, text: str, message: Message) -> None:
        """Whoever may open our socket may do so as often as he likes."""
        now_s = self.world.now_s()
        for kind, count, last in self._unexpected.due(now_s):
            self.world.log.warning(kind, message=last, times_since_last_told=count)
        if self._unexpected.heard(text, type(message).__name__, now_s):
            self.world.log.warning(text, message=type(message).__name__)

    def terminate(self, reason: str) -> None:
        """Last words of an orderly end, within the child's shutdown limit. Not called when killed or crashed."""

    def reply(self, caller: Caller, message: Message) -> None:
        """Answer a call whose ``handle_call`` returned None."""
        assert self.replier is not None
        self.replier.reply(caller, message)

    def refuse(self, caller: Caller, reason: str) -> None:
        """Say no to a call whose ``handle_call`` returned None."""
        assert self.replier is not None
        self.replier.refuse(caller, reason)
