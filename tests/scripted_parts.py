"""What a ``ScriptedWorld`` is made of: a log, stores and files in memory, timers, streams, a supervisor that notes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from supervisor.errors import Refused, StoreFailed
from supervisor.messages import (
    ChildInfo,
    ChildSpec,
    Message,
    Started,
    Tree,
)
from supervisor.process.writes import Writes

if TYPE_CHECKING:
    from tests.scripted_world import ScriptedWorld

Answer = Any
"""A value to give, an exception to raise, or a function of the request that does either."""


def answer_of(answer: Answer, *arguments: Any) -> Any:
    value = answer(*arguments) if callable(answer) and not isinstance(answer, type) else answer
    if isinstance(value, BaseException):
        raise value
    return value


class Ended(msgspec.Struct, frozen=True):
    """How the process ended itself (world.end)."""

    reason: str
    expected: bool = False
    shutdown: bool = False


class HttpRequest(msgspec.Struct, frozen=True):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout_s: float


class OpenStream(msgspec.Struct):
    url: str
    headers: dict[str, str]
    closed: bool = False


class ScriptedTimer(msgspec.Struct):
    message: Message
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class RecordedLog:
    """Lines as (level, text, fields). ``text`` joins them, to prove that a secret is not there."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, text: str, **fields: Any) -> None:
        self.lines.append(("debug", text, fields))

    def info(self, text: str, **fields: Any) -> None:
        self.lines.append(("info", text, fields))

    def warning(self, text: str, **fields: Any) -> None:
        self.lines.append(("warning", text, fields))

    def error(self, text: str, **fields: Any) -> None:
        self.lines.append(("error", text, fields))

    @property
    def text(self) -> str:
        return "\n".join(f"{level} {text} {fields}" for level, text, fields in self.lines)


class MemoryStore:
    """A Store in memory that outlives the process, as a file would (``ScriptedWorld.next_incarnation``)."""

    def __init__(self, path: str, trace: list[tuple[str, str]]) -> None:
        self.path, self.trace = path, trace
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        self.trace.append(("commit", self.path))

    def write(self, writes: Writes) -> None:
        with self.transaction():
            for sql, parameters in writes.statements():
                self.execute(sql, parameters)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self.connection.execute(sql, parameters).rowcount

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return [dict(row) for row in self.connection.execute(sql, parameters)]

    def close(self) -> None:
        """The content stays: it is the test's."""


class MemoryFile:
    def __init__(self, path: str, world: ScriptedWorld) -> None:
        self.path, self.world = path, world

    def read(self) -> bytes | None:
        return self.world.files.get(self.path)

    def shared(self) -> str:
        return self.world.modes.get(self.path, "")

    def write(self, data: bytes) -> None:
        self.world.files[self.path] = data
        self.world.trace.append(("write", self.path))

    def remove(self) -> None:
        self.world.files.pop(self.path, None)
        self.world.trace.append(("remove", self.path))

    @contextmanager
    def locked(self, limit_s: float) -> Iterator[None]:
        if self.path in self.world.locked_files:
            raise StoreFailed(f"{self.path}: its lock was not to be had within {limit_s} s")
        self.world.locked_files.add(self.path)
        self.world.trace.append(("lock", self.path))
        try:
            yield
        finally:
            self.world.locked_files.discard(self.path)
            self.world.trace.append(("unlock", self.path))


class ScriptedSupervisor:
    """Keeps the specs of what was started; ``answers[method]`` is given or raised before a method acts."""

    def __init__(self, world: ScriptedWorld) -> None:
        self.world = world
        self.children: dict[str, ChildSpec] = {}
        self.states: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.watched: list[str] = []
        self.dynamic: tuple[str, ...] = ()  # beginnings of names whose supervisor forgets what was terminated
        self.answers: dict[str, Answer] = {}

    def tree(self, under: str = "") -> Tree:
        self._asked("tree", under)
        infos = (
            ChildInfo(name=name, type=spec.type, state=self.states.get(name, "up"), incarnation=1)
            for name, spec in self.children.items()
            if not under or name == under or name.startswith(under + "/")
        )
        return Tree(now_s=self.world.now_s(), pid=1, children=tuple(infos))

    def start_child(self, under: str, spec: ChildSpec) -> Started:
        name = f"{under}/{spec.id}" if under else spec.id
        self._asked("start_child", name)
        if name in self.children:
            raise Refused(f"{name} is there already")
        self.children[name] = spec
        return Started(name=name, incarnation=1)

    def ensure_child(self, under: str, spec: ChildSpec) -> Started:
        name = f"{under}/{spec.id}" if under else spec.id
        self._asked("ensure_child", name)
        already = name in self.children
        self.children.setdefault(name, spec)
        return Started(name=name, incarnation=1, already=already)

    def restart_child(self, name: str) -> Started:
        self._asked("restart_child", name)
        return Started(name=name, incarnation=2)

    def terminate_child(self, name: str) -> None:
        self._asked("terminate_child", name)
        if name not in self.children:
            raise Refused(f"{name} is not there")
        if name.startswith(self.dynamic):
            del self.children[name]

    def delete_child(self, name: str) -> None:
        self._asked("delete_child", name)
        self.children.pop(name, None)

    def watch(self, under: str) -> None:
        self.watched.append(under)

    def follow_record(self, after: int) -> None:
        self._asked("follow_record", str(after))

    def _asked(self, method: str, name: str) -> None:
        self.requests.append((method, name))
        self.world.trace.append((method, name))
        if method in self.answers:
            answer_of(self.answers[method], name)
