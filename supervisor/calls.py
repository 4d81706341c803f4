"""What can be asked of a supervisor, as methods: the same from a child, over the control socket and in process. PURE.

Each is OTP's function of that name. A refusal raises ``Refused``, whose ``word`` is OTP's reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from supervisor.messages import (
    Children,
    ChildSpec,
    CountChildren,
    Counts,
    DeleteChild,
    EnsureChild,
    GetChildspec,
    Message,
    ReadGroup,
    ReadTree,
    Request,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
    Tree,
    WhichChildren,
)

R = TypeVar("R", bound=Message)


class SupervisorCalls(ABC):
    """A way to a supervisor. Names are paths: the root is ``""``, its children are called by their ids."""

    @abstractmethod
    def ask(self, request: Request[R]) -> R:
        """The reply. Raises ``Refused``, or ``CallFailed`` where there is a way to fail in between."""

    def start_child(self, under: str, spec: ChildSpec) -> Started:
        """Start a new child under the supervisor ``under``; returns when it is ready. Refused: ``already_started``,
        ``already_present``, ``not_found``, ``bad_spec``, ``max_children``, ``stopping``, ``stopped``, ``failed``."""
        return self.ask(StartChild(under=under, spec=spec))

    def ensure_child(self, under: str, spec: ChildSpec) -> Started:
        """``start_child`` that is content with a running child; one that is just ending is started when it is gone."""
        return self.ask(EnsureChild(under=under, spec=spec))

    def terminate_child(self, name: str) -> None:
        """End it; returns when it is down. It is not restarted; its spec is kept, but of a temporary or dynamic child.
        Fine where it is down already. Refused: ``not_found``."""
        self.ask(TerminateChild(name=name))

    def restart_child(self, name: str) -> Started:
        """Start one that has ended and whose spec is kept. Refused: ``running``, ``restarting``, ``not_found``, ..."""
        return self.ask(RestartChild(name=name))

    def delete_child(self, name: str) -> None:
        """Forget the spec of one that has ended. Refused: ``running``, ``restarting``, ``not_found``."""
        self.ask(DeleteChild(name=name))

    def which_children(self, under: str = "") -> Children:
        """The children of one supervisor, the eldest first. Refused: ``not_found``."""
        return self.ask(WhichChildren(under=under))

    def count_children(self, under: str = "") -> Counts:
        """How many specs, running children, supervisors and workers. Refused: ``not_found``."""
        return self.ask(CountChildren(under=under))

    def get_childspec(self, name: str) -> ChildSpec:
        """The spec of a child that is kept. Refused: ``not_found``."""
        return self.ask(GetChildspec(name=name))

    def tree(self, under: str = "", deaths: int = 1) -> Tree:
        """All at or below ``under``, parents first, each with its last ``deaths`` ends. Empty where nothing is."""
        return self.ask(ReadTree(under=under, deaths=deaths))

    def members(self, group: str) -> tuple[str, ...]:
        """Names of the group's members that are ready. The dead have left it."""
        return self.ask(ReadGroup(group=group)).names
