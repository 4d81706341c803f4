"""OTP's supervisor for operating-system processes. It has never heard of a market; docs/supervisor.md is its manual.

``Supervisor`` runs a tree in the calling process, ``Client`` talks to one that runs elsewhere, ``ChildSpec`` and
``SupervisorFlags`` describe one, ``Child`` is what a function that is a child is given, ``supervisor.core`` decides.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisor.control.client import Client
    from supervisor.runtime.body import Child
    from supervisor.runtime.inprocess import Supervisor
    from supervisor.spec import BackOff, ChildSpec, SupervisorFlags

__all__ = ["BackOff", "Child", "ChildSpec", "Client", "Supervisor", "SupervisorFlags"]

_WHERE = {
    "BackOff": "supervisor.spec",
    "Child": "supervisor.runtime.body",
    "ChildSpec": "supervisor.spec",
    "Client": "supervisor.control.client",
    "Supervisor": "supervisor.runtime.inprocess",
    "SupervisorFlags": "supervisor.spec",
}
"""Looked up when asked for: a client need not load what forks, nor a supervising process what speaks ZeroMQ."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
