"""A supervisor in the calling process, without a control socket: for programs, notebooks and tests.

The tree is one thread's work, and that thread is the caller's: children are started, watched and restarted while one
of these methods runs (``run``, ``work``, ``until``, or any request), and only then. The judge of silence excuses the
time between. For a daemon use ``supervisor.runtime.main.run``, which does nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from supervisor.calls import SupervisorCalls
from supervisor.core import ShutDown
from supervisor.errors import Refused, StartFailed
from supervisor.messages import Message, ReadGroup, Request
from supervisor.runtime.home import take_home
from supervisor.runtime.loop import Runtime
from supervisor.runtime.main import first_incarnation, prepare
from supervisor.runtime.settings import Settings
from supervisor.spec import ChildSpec

R = TypeVar("R", bound=Message)


class Supervisor(SupervisorCalls):
    """``with Supervisor(spec, home) as supervisor: ...``: starts the tree, and ends it in order.

    ``spec`` is a supervisor's ``ChildSpec``, the root; ``home`` a folder for its lock, its sockets and its logs. Use it
    from one thread, the main one: children die with the *thread* that forked them. Raises ``HomeTaken`` if another
    supervisor has this home.
    """

    def __init__(self, spec: ChildSpec, home: str | Path, *, preload: tuple[str, ...] = (), **settings: object) -> None:
        self.settings = Settings(home=str(home), **settings)  # type: ignore[arg-type]
        self._spec = spec
        self._preload = preload
        self._runtime: Runtime | None = None
        self._lock = -1

    def start(self) -> Supervisor:
        """Start the tree; returns when all its static children are ready (or held, where there is back-off).

        Raises ``StartFailed``, with nothing left running, where the root could not start: OTP's ``start_link``.
        """
        self._lock, life = take_home(self.settings)
        left = prepare(self.settings, self._preload)
        self._runtime = Runtime(self._spec, self.settings, first_incarnation(life), left)
        self._runtime.begin()
        self.until(lambda: self.finished or self.runtime.tree.nodes[""].state == "up")
        if self.runtime.finished is not None:
            why = self.runtime.finished.why
            self._release()
            raise StartFailed(f"the root of {self.settings.home} did not start: {why}. Nothing is left running.")
        return self

    @property
    def runtime(self) -> Runtime:
        if self._runtime is None:
            raise Refused("not_started: this supervisor is not running; call start() first")
        return self._runtime

    @property
    def finished(self) -> bool:
        """The tree is down: it was told to end, gave up, or shut itself down."""
        return self._runtime is None or self._runtime.finished is not None

    def ask(self, request: Request[R]) -> R:
        """Put a request to the tree and work until it is answered."""
        self.work(0.0)
        if self.finished:
            raise Refused("finished: this tree is down")
        if isinstance(request, ReadGroup):
            return self.runtime.members(request.group)  # type: ignore[return-value]
        came: list[tuple[object, str]] = []
        self.runtime.ask(request, lambda answer, error: came.append((answer, error)))
        while not came:
            self._turn(None)
        answer, error = came[0]
        if answer is None:
            raise Refused(error)
        return answer  # type: ignore[return-value]

    def work(self, for_s: float) -> None:
        """Mind the tree for so many seconds; 0: do what is due now."""
        until_s = time.monotonic() + for_s
        while not self.finished:
            self._turn(max(0.0, until_s - time.monotonic()))
            if time.monotonic() >= until_s:
                return

    def until(self, condition: Callable[[], bool], limit_s: float | None = None) -> bool:
        """Mind the tree until the condition holds (True), or for ``limit_s`` seconds (False)."""
        until_s = float("inf") if limit_s is None else time.monotonic() + limit_s
        while not condition():
            if self.finished or time.monotonic() >= until_s:
                return condition()
            self._turn(max(0.0, min(LOOK_S, until_s - time.monotonic())))
        return True

    def run(self) -> int:
        """Mind the tree until it is down; the exit status. SIGTERM and SIGINT end it in order."""
        runtime = self.runtime
        runtime.take_signals()
        while runtime.finished is None:
            runtime.turn()
        status = runtime.end()
        self._release()
        return status

    def stop(self) -> None:
        """End the tree in reverse sequence; returns when it is down. Fine where it is down already."""
        if not self.finished:
            self.runtime.feed(ShutDown("told to stop"))
            while not self.finished:
                self._turn(None)
        self._release()

    def __enter__(self) -> Supervisor:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _turn(self, limit_s: float | None) -> None:
        if self.finished:
            raise Refused("finished: this tree is down")
        self.runtime.came_back()
        if limit_s is None:
            self.runtime.turn()
        else:
            self.runtime.turn(limit_s)

    def _release(self) -> None:
        if self._runtime is not None:
            self._runtime.end()
            self._runtime = None
            os.close(self._lock)


LOOK_S = 0.05
"""``until`` looks at its condition after each turn, and at least this often: it may depend on more than the tree."""
