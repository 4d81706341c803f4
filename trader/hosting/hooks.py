"""A strategy's hooks as the trader calls them: within a time, and with the user's own line where they fail.

What a hook raises goes on to end the trader; only its traceback is cut below the user's last line, so that ``status``,
``session show`` and the log tell that line also where the error came from a verb or a library.
"""

from __future__ import annotations

import traceback
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from supervisor.process.alarm import TooLong
from supervisor.process.world import World
from trader.strategy import Strategy


class HookTooLong(Exception):
    """A hook computed for longer than its limit; the message names hook, limit and what it was told."""


class Hooks:
    """``call`` runs one hook. ``about`` is what it is told, for the note and for messages."""

    def __init__(self, strategy: Strategy, filename: str, world: World, limit_s: float) -> None:
        self._strategy, self._filename, self._world, self._limit_s = strategy, filename, world, limit_s
        self._alarm: AbstractContextManager[None] = world.alarm(limit_s)
        self.about = ""

    def call(self, hook: str, *told: Any) -> Any:
        try:
            with self._alarm:
                return getattr(self._strategy, hook)(*told)
        except TooLong as slow:
            raise self._too_long(hook).with_traceback(self._cut(slow)) from None
        except Exception as error:
            self._world.log.error(
                f"{hook} raised; its turn is not committed, and comes again",
                about=self.about,
                trace=traceback.format_exc(),
            )
            error.__traceback__ = self._cut(error)
            raise

    def _too_long(self, hook: str) -> HookTooLong:
        about = f" ({self.about})" if self.about else ""
        return HookTooLong(
            f"{hook}{about} computed for more than {self._limit_s:g} s (hook_limit_s). Nothing of its turn counts, and "
            "what it was told comes again; told in vain twice, it is skipped"
        )

    def _cut(self, error: BaseException) -> TracebackType | None:
        """The traceback up to the innermost frame in the user's file; as it is where there is none."""
        found = None
        frame = error.__traceback__
        while frame is not None:
            found = frame if frame.tb_frame.f_code.co_filename == self._filename else found
            frame = frame.tb_next
        if found is not None:
            found.tb_next = None
        return error.__traceback__
