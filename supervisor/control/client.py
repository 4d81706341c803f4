"""Talking to a running supervisor from outside, over its control socket."""

from __future__ import annotations

import os
from typing import TypeVar

import zmq

from supervisor.calls import SupervisorCalls
from supervisor.errors import BadMessage
from supervisor.messages import Message, Request
from supervisor.runtime.settings import runtime_dir
from supervisor.wire.limits import OUTSIDE
from supervisor.wire.peers import CONNECT_S, GREETING_S, Peers

R = TypeVar("R", bound=Message)
CONTROL = "control"
"""The name of the process that owns the control socket."""


START_ANSWER_S = 30.0
"""A start is answered when the child is ready, an end when it is down: longer than most limits in use."""


class Client(SupervisorCalls):
    """One home's control socket. ``NoPeer`` where no supervisor runs on it; see ``supervisor.errors`` for the rest."""

    def __init__(self, home: str) -> None:
        self.home = home
        # The process's one context, never terminated by us: after a Ctrl-C in the middle of a call that would wait for
        # ever for a socket that nobody holds any more (seen).
        name = f"client-{os.getpid()}"
        self._peers = Peers(zmq.Context.instance(), runtime_dir(home), name, os.getpid(), OUTSIDE)

    def call(self, request: Request[R], timeout_s: float = 5.0, to: str = CONTROL) -> R:
        reply = self._peers.call(to, request, timeout_s)
        if not isinstance(reply, request.REPLY):
            raise BadMessage(f"{to} answered {type(request).__name__} with {type(reply).__name__}")
        return reply  # type: ignore[return-value]

    def ask(self, request: Request[R]) -> R:
        return self.call(request, timeout_s=START_ANSWER_S)

    def cast(self, to: str, message: Message) -> bool:
        """False: nobody is there for it. (Who is outside has the time to wait for one that is slow to shake hands.)"""
        return self._peers.cast(to, message, CONNECT_S, GREETING_S)

    def publish(self, group: str, message: Message) -> tuple[str, ...]:
        """Cast to each member of a group; the names of those who were there for it."""
        return tuple(name for name in self.members(group) if self.cast(name, message))

    def close(self) -> None:
        self._peers.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
