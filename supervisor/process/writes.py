"""What one transaction is going to write, collected until its end. PURE.

A step writes the same value more than once before it is done. On disk only the last counts, so it is put into words
once; and a step that writes one row needs no BEGIN and no COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

Statement = tuple[str, Sequence[Any]]
"""SQL and its parameters."""


class Writes:
    """``add`` for history, in its sequence; ``put`` for the newest state of a value, by its key: of what was put under
    one key, the last is written. History is written first; between keys there is no order that counts. A value that is
    put must never change."""

    __slots__ = ("_added", "_newest")

    def __init__(self) -> None:
        self._added: list[Statement] = []
        self._newest: dict[Hashable, tuple[str, Callable[[Any], Sequence[Any]], Any]] = {}

    def add(self, sql: str, row: Sequence[Any]) -> None:
        self._added.append((sql, row))

    def put(self, key: Hashable, sql: str, row_of: Callable[[T], Sequence[Any]], value: T) -> None:
        self._newest[key] = (sql, row_of, value)

    def follow_with(self, later: Writes) -> None:
        """As if both were one; ``later`` is used up."""
        self._added += later._added
        if later._newest:
            self._newest.update(later._newest)

    @property
    def state_changed(self) -> bool:
        """Whether there is more in it than history."""
        return bool(self._newest)

    def statements(self) -> list[Statement]:
        return [*self._added, *((sql, row_of(value)) for sql, row_of, value in self._newest.values())]

    def __len__(self) -> int:
        return len(self._added) + len(self._newest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Writes) and (self._added, self._newest) == (other._added, other._newest)

    __hash__ = None  # type: ignore[assignment]
