"""The control socket's process: checks what comes from outside and passes typed requests on to the supervisor.

Frames that are no message of ours are refused or dropped by the process base before they come here; what one client
can make us hold is in ``wire/limits.py`` (``OUTSIDE``). An application adds its own requests by subclassing. The socket
lies in a folder of mode 0700: who may open it owns the desk; from afar people use ssh.
"""

from __future__ import annotations

from typing import Any, cast

from supervisor.errors import Refused
from supervisor.messages import (
    Answered,
    CountChildren,
    DeleteChild,
    EnsureChild,
    GetChildspec,
    Message,
    ReadGroup,
    ReadTree,
    Request,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from supervisor.process.server import Caller, Server
from supervisor.wire.limits import OUTSIDE

AT_ONCE = (
    ReadTree,
    WhichChildren,
    CountChildren,
    GetChildspec,
    DeleteChild,
    ReadGroup,
)
"""The supervisor answers these from what it knows."""
LATER = (StartChild, EnsureChild, RestartChild, TerminateChild)
"""Answered when the child is ready, or down: until then everybody else is served."""
ASKED_MAX = 256
"""Starts and ends under way for people and programs outside; a group of the largest desk is started by five."""


class ControlServer(Server):
    """Answers the supervisor's requests for whoever may open the socket."""

    LIMITS = OUTSIDE

    def init(self) -> None:
        self._asked: dict[int, Caller] = {}

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, AT_ONCE):
            return self.world.supervisor.ask(cast("Request[Message]", request))
        if isinstance(request, LATER):
            if len(self._asked) >= ASKED_MAX:
                raise Refused(f"busy: {ASKED_MAX} starts and ends are under way; nothing was done")
            self._asked[self.world.supervisor.ask_later(request)] = caller
            return None
        return super().handle_call(request, caller)

    def handle_info(self, message: Message) -> None:
        if not isinstance(message, Answered):
            super().handle_info(message)
            return
        caller = self._asked.pop(message.number)
        if message.error:
            self.refuse(caller, message.error)
        else:
            self.reply(caller, message.reply)
