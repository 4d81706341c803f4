"""The control socket's process: checks what comes from outside and passes typed requests on to the supervisor.

Frames that are no message of ours are dropped by the process base before they come here. An application adds its own
requests by subclassing. The socket lies in a folder of mode 0700: who may open it owns the desk; from afar people
use ssh.
"""

from __future__ import annotations

from typing import Any

from supervisor.messages import (
    DeleteChild,
    Done,
    Message,
    ReadTree,
    Request,
    RestartChild,
    StartChild,
    TerminateChild,
)
from supervisor.process.server import Caller, Server


class ControlServer(Server):
    """Answers the supervisor's requests for whoever may open the socket."""

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        supervisor = self.world.supervisor
        match request:
            case ReadTree():
                return supervisor.tree(request.under)
            case StartChild():
                return supervisor.start_child(request.under, request.spec)
            case RestartChild():
                return supervisor.restart_child(request.name)
            case TerminateChild():
                supervisor.terminate_child(request.name)
                return Done()
            case DeleteChild():
                supervisor.delete_child(request.name)
                return Done()
        return super().handle_call(request, caller)
