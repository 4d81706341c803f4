"""The desk's control process: session commands and holds besides the supervisor's own requests.

A command is committed by the recorder first; then ensure_sessions is nudged, or the account managers are told to look
at the holds. Whoever commands waits for the tree, or the journals, to show it. The recorder is asked without
waiting, so that one that hangs keeps nobody else from being served.
"""

from __future__ import annotations

from typing import Any

from supervisor.control.server import ASKED_MAX, ControlServer
from supervisor.errors import Refused
from supervisor.messages import Message, Request
from supervisor.process.server import Caller
from trader.desk.commands import (
    AddSession,
    Commands,
    Commit,
    Committed,
    EnsureNow,
    HoldLifted,
    HoldSet,
    LiftHold,
    RemoveSession,
    SetHold,
    StartSession,
    StopSession,
)
from trader.messages import HoldsChanged
from trader.sessions import manager_name

RECORDER = "recorder"
COMMIT_LIMIT_S = 3.0
"""One synced commit takes a millisecond; a recorder that restarts, fifty."""
NUMBERS_A_LIFE = 1_000_000
"""Commands of one incarnation, numbered apart from the last one's: its answers are not ours."""


class GiveUp(Message, frozen=True):
    """Timer: the recorder has had its time."""

    number: int


class Control(ControlServer):
    """See the module's text."""

    def init(self) -> None:
        super().init()
        self.waiting: dict[int, tuple[Commands, Caller]] = {}
        self.last_number = self.world.incarnation * NUMBERS_A_LIFE

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        if isinstance(request, AddSession | RemoveSession | StartSession | StopSession | SetHold | LiftHold):
            self.commit(request, caller)
            return None
        return super().handle_call(request, caller)

    def handle_cast(self, message: Message) -> None:
        if not isinstance(message, Committed):
            super().handle_cast(message)
            return
        request, caller = self.waiting.pop(message.number, (None, None))
        if request is None or caller is None:
            return  # too late: whoever asked was told that the outcome is unknown
        if message.reply is None:
            self.refuse(caller, message.refused)
            return
        self.tell_others(request, message.reply)
        self.reply(caller, message.reply)

    def handle_info(self, message: Message) -> None:
        if not isinstance(message, GiveUp):
            super().handle_info(message)
            return
        request, caller = self.waiting.pop(message.number, (None, None))
        if request is not None and caller is not None:
            self.tell_others(request, None)  # it may be stored all the same
            text = f"outcome unknown: the recorder has not answered within {COMMIT_LIMIT_S:g} s."
            self.refuse(caller, f"{text} Look with `session list` and `status` before you repeat it.")

    def commit(self, request: Commands, caller: Caller) -> None:
        if len(self.waiting) >= ASKED_MAX:
            raise Refused(f"busy: {ASKED_MAX} commands wait for the recorder; nothing was done")
        self.last_number += 1
        number = self.last_number
        if not self.world.cast(RECORDER, Commit(number, self.world.now_s() + COMMIT_LIMIT_S, request)):
            raise Refused("not done: the recorder is not there. It is restarting; try again.")
        self.waiting[number] = request, caller
        self.world.after(COMMIT_LIMIT_S, GiveUp(number))

    def tell_others(self, request: Commands, reply: Message | None) -> None:
        """Casts; who misses one looks by itself."""
        if isinstance(request, StartSession | StopSession):
            restart = request.name if isinstance(request, StartSession) and request.restart and reply else ""
            self.world.cast("ensure_sessions", EnsureNow(restart=restart))
        elif isinstance(reply, HoldSet | HoldLifted):
            for session in reply.sessions:
                self.world.cast(manager_name(session), HoldsChanged())
