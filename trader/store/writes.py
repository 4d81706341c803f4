"""What one transaction of the journal is going to write, collected until its end. PURE.

A step writes the same order or declaration more than once before it is done (a fill, then what follows from it). On
disk only the last counts, so it is put into words once; and a step that writes one row needs no BEGIN and no COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from supervisor.process.world import Statement

T = TypeVar("T")


class Writes:
    """``add`` for history, in its sequence; ``put`` for the newest state of a value, by its key."""

    __slots__ = ("_added", "_newest")

    def __init__(self) -> None:
        self._added: list[Statement] = []
        self._newest: dict[Hashable, tuple[str, Callable[[Any], tuple[Any, ...]], Any]] = {}

    def add(self, sql: str, row: tuple[Any, ...]) -> None:
        self._added.append((sql, row))

    def put(self, key: Hashable, sql: str, row_of: Callable[[T], tuple[Any, ...]], value: T) -> None:
        self._newest[key] = (sql, row_of, value)

    @property
    def state_changed(self) -> bool:
        """Whether there is more in it than history."""
        return bool(self._newest)

    def take(self) -> list[Statement]:
        """All of it; from here on there is nothing to write."""
        statements, self._added = self._added, []
        if self._newest:
            statements += [(sql, row_of(value)) for sql, row_of, value in self._newest.values()]
            self._newest = {}
        return statements

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Writes) and (self._added, self._newest) == (other._added, other._newest)

    __hash__ = None  # type: ignore[assignment]
