"""The control socket's process: checks what comes from outside and passes typed requests on to the supervisor.

Frames that are no message of ours are dropped by the process base before they come here. An application adds its own
requests by subclassing. The socket lies in a folder of mode 0700: who may open it owns the desk; from afar people
use ssh.
"""

from __future__ import annotations

from typing import Any, cast

from supervisor.messages import (
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

PASSED_ON = (
    ReadTree,
    WhichChildren,
    CountChildren,
    GetChildspec,
    StartChild,
    EnsureChild,
    RestartChild,
    TerminateChild,
    DeleteChild,
    ReadGroup,
)


class ControlServer(Server):
    """Answers the supervisor's requests for whoever may open the socket."""

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, PASSED_ON):
            return self.world.supervisor.ask(cast("Request[Message]", request))
        return super().handle_call(request, caller)
