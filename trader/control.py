"""The desk's control process: session commands and holds besides the supervisor's own requests.

A command is committed by the recorder first; then ensure_sessions is nudged. Whoever commands waits for the tree to
show it (DESIGN 5). A hold is cast to the account managers when it is stored.
"""

from __future__ import annotations

from typing import Any

from supervisor.control.server import ControlServer
from supervisor.errors import CallFailed, OutcomeUnknown, Refused
from supervisor.messages import Message, Request
from supervisor.process.server import Caller
from trader.messages import (
    AddSession,
    EnsureNow,
    HoldLifted,
    HoldsChanged,
    HoldSet,
    LiftHold,
    RemoveSession,
    SetHold,
    StartSession,
    StopSession,
)
from trader.sessions import manager_name

RECORDER = "recorder"
COMMIT_LIMIT_S = 3.0
"""One synced commit takes a millisecond; a recorder that restarts, fifty."""


class Control(ControlServer):
    """See the module's text."""

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        match request:
            case AddSession() | RemoveSession():
                return self.record(request)
            case StartSession():
                reply = self.record(request)
                self.world.cast("ensure_sessions", EnsureNow(restart=request.name if request.restart else ""))
                return reply
            case StopSession():
                reply = self.record(request)
                self.world.cast("ensure_sessions", EnsureNow())
                return reply
            case SetHold() | LiftHold():
                reply = self.record(request)
                assert isinstance(reply, HoldSet | HoldLifted)
                for session in reply.sessions:  # one that misses it looks by itself, every second
                    self.world.cast(manager_name(session), HoldsChanged())
                return reply
        return super().handle_call(request, caller)

    def record(self, request: Request[Any]) -> Message:
        try:
            reply: Message = self.world.call(RECORDER, request, timeout_s=COMMIT_LIMIT_S)
        except OutcomeUnknown as unknown:
            raise Refused(f"outcome unknown: {unknown}. Look with `session list` before you repeat it.") from unknown
        except Refused:
            raise
        except CallFailed as failed:
            raise Refused(f"not done: {failed}. The recorder is restarting; try again.") from failed
        return reply
