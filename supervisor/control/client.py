"""Talking to a running supervisor from outside, over its control socket."""

from __future__ import annotations

import os
from typing import TypeVar

import zmq

from supervisor.errors import BadMessage
from supervisor.messages import Message, ReadTree, Request, Tree
from supervisor.runtime.settings import runtime_dir
from supervisor.wire.peers import Peers

R = TypeVar("R", bound=Message)
CONTROL = "control"
"""The name of the process that owns the control socket."""


class Client:
    """One home's control socket. ``NoPeer`` where no supervisor runs on it; see ``supervisor.errors`` for the rest."""

    def __init__(self, home: str) -> None:
        # The process's one context, never terminated by us: after a Ctrl-C in the middle of a call that would wait for
        # ever for a socket that nobody holds any more (seen).
        self._peers = Peers(zmq.Context.instance(), runtime_dir(home), f"client-{os.getpid()}", os.getpid())

    def call(self, request: Request[R], timeout_s: float = 5.0, to: str = CONTROL) -> R:
        reply = self._peers.call(to, request, timeout_s)
        if not isinstance(reply, request.REPLY):
            raise BadMessage(f"{to} answered {type(request).__name__} with {type(reply).__name__}")
        return reply  # type: ignore[return-value]

    def tree(self, under: str = "") -> Tree:
        return self.call(ReadTree(under=under))

    def close(self) -> None:
        self._peers.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
