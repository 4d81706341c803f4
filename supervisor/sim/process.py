"""A simulated process: its greenlet, its mailbox, its life and its death."""

from __future__ import annotations

import traceback
from collections import deque
from typing import TYPE_CHECKING, Any

import greenlet

from supervisor.errors import Refused
from supervisor.messages import ChildSpec, Ending, Ignore, Predecessor, Ready, Stop
from supervisor.process.server import Caller, IgnoreStart, Server
from supervisor.runtime.child import last_words, resolve
from supervisor.runtime.performer import Kin
from supervisor.sim.kernel import WorldEnded
from supervisor.sim.world import SimWorld

if TYPE_CHECKING:
    from supervisor.sim.desk import SimDesk


class SimProcess(Kin):
    """One incarnation: born by the simulated supervisor, dead once and for all."""

    def __init__(self, desk: SimDesk, name: str, incarnation: int, spec: ChildSpec, before: Predecessor | None) -> None:
        super().__init__(name, incarnation, spec)
        self.desk = desk
        self.kernel = desk.kernel
        self.dead = False
        self.frozen = False
        self.note = ""
        self.fresh_until_s: float | None = None
        self.mailbox: deque[tuple[str, Any, Caller | None]] = deque()
        self.world = SimWorld(self, before)
        self._idle = False
        self._held: list[Any] = []
        """What the greenlet waited for and got while it was frozen."""
        self._greenlet = greenlet.greenlet(self._life)

    # -- running ---------------------------------------------------------------------------------------

    def start(self) -> None:
        if not self.dead:
            self.resume(None)

    def resume(self, value: Any) -> None:
        """Give the greenlet what it waits for; a frozen one has it when it thaws. Called by the kernel only."""
        if self.frozen:
            self._held.append(value)
        else:
            self._greenlet.switch(value)

    def wait(self) -> Any:
        """Let the kernel go on; comes back with what ``resume`` was given."""
        value = self._greenlet.parent.switch()
        if self.dead:
            raise WorldEnded
        return value

    def put(self, kind: str, message: Any, caller: Caller | None = None) -> None:
        """Into the mailbox; an idle process takes it at once."""
        if self.dead:
            return
        self.mailbox.append((kind, message, caller))
        if self._idle and not self.frozen:
            self._idle = False
            self._greenlet.switch(None)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        if self.dead or not self.frozen:
            return
        self.frozen = False
        if self._held:
            self.resume(self._held.pop())
        elif self._idle and self.mailbox:
            self._idle = False
            self.resume(None)

    def kill(self) -> None:
        """Dead at this moment; the greenlet is unwound with a world that refuses everything."""
        if self.dead:
            return
        self.dead = True
        self.world.release()
        if self._greenlet is greenlet.getcurrent():
            raise WorldEnded
        if self._greenlet:
            self._greenlet.throw(WorldEnded)

    def boundary(self) -> None:
        """A message is about to be sent or handled: a good moment to die at. (Not asked for on a calm machine.)"""
        if self.kernel.chances.dies_at_boundary(self.name, self.kernel.draw):
            self.desk.killed(self)

    def _life(self, _: Any) -> None:
        try:
            status = self._serve()
        except WorldEnded:
            return
        self.world.refuse_rest()
        self.dead = True
        self.world.release()
        self.desk.exited(self, status)

    def _serve(self) -> str:
        try:
            server: Server = resolve(self.spec.start)(self.world, self.spec.arguments)
            server.replier = self.world
            server.init()
            self.world.say(Ready())
            self._loop(server)
        except IgnoreStart:
            self.world.say(Ignore())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this process's death, and is told
            self.desk.crashed(self.name, error, traceback.format_exc())
            self.world.say(last_words(error))
            return "exit status 1"
        return ""

    def _loop(self, server: Server) -> None:
        world, mailbox, calm, hub = self.world, self.mailbox, self.kernel.calm, self._greenlet.parent
        while world.ending is None:
            if not mailbox or self.frozen:
                self._idle = True
                hub.switch()
                if self.dead:
                    raise WorldEnded
                continue
            if not calm:
                self.boundary()
            kind, message, caller = mailbox.popleft()
            if caller is not None:
                self._answer(server, message, caller)
            elif kind == "cast":
                server.handle_cast(message)
            elif isinstance(message, Stop):
                world.ending = ("shutdown", message.reason)
            else:
                server.handle_info(message)
        ending = world.ending
        how, reason = ending
        self.world.say(Ending(how, reason))
        server.terminate(reason)

    def _answer(self, server: Server, request: Any, caller: Caller) -> None:
        if caller.deadline_s < self.kernel.now_s:
            return
        try:
            reply = server.handle_call(request, caller)
        except Refused as no:
            self.world.refuse(caller, str(no))
            return
        if reply is not None:
            self.world.reply(caller, reply)
