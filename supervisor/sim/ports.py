"""What a simulated process reaches besides its peers: the supervisor, its log, and what outlives it on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from supervisor.errors import OutcomeUnknown, Refused, StoreFailed
from supervisor.messages import ChildRequest, Message, Request, SupervisorReply
from supervisor.process.store import SqliteStore
from supervisor.process.writes import Writes
from supervisor.runtime.line import checked
from supervisor.sim.disk import new_disk
from supervisor.sim.kernel import WorldEnded
from supervisor.wire.codec import decode, encode

if TYPE_CHECKING:
    from supervisor.sim.world import SimWorld

R = TypeVar("R", bound=Message)

LOCK_POLL_S = 0.02
NO_ANSWER = object()
"""What a wait comes back with at its limit."""
BROKEN = object()
"""What a wait comes back with when the one who was asked has ended."""


class SimLine:
    """A simulated child's way to the supervisor."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world

    def ask(self, request: Request[R], limit_s: float) -> R:
        number = self._world.next_number()
        self._world.say(ChildRequest(number, encode(request)))
        reply = self._world.wait_for_reply(limit_s)
        if reply is NO_ANSWER:
            raise OutcomeUnknown(f"the supervisor did not answer {type(request).__name__} within {limit_s:g} s")
        assert isinstance(reply, SupervisorReply)
        if reply.error:
            raise Refused(reply.error)
        return checked(decode(reply.body), request)

    def ask_later(self, request: Request[Any]) -> int:
        number = self._world.next_number()
        self._world.asked_later[number] = request
        self._world.say(ChildRequest(number, encode(request)))
        return number


class SimLog:
    """Kept only if somebody reads it."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world

    def _write(self, level: str, text: str, fields: dict[str, Any]) -> None:
        log = self._world.process.desk.log_lines
        if log is not None:
            told = "".join(f" {key}={value}" for key, value in fields.items())
            log.append(f"{self._world.kernel.now_s:.4f} {level} {self._world.name}: {text}{told}")

    def debug(self, text: str, **fields: Any) -> None:
        self._write("DEBUG", text, fields)

    def info(self, text: str, **fields: Any) -> None:
        self._write("INFO", text, fields)

    def warning(self, text: str, **fields: Any) -> None:
        self._write("WARNING", text, fields)

    def error(self, text: str, **fields: Any) -> None:
        self._write("ERROR", text, fields)


class SimStore(SqliteStore):
    """The real store over a database in memory that outlives the process."""

    def __init__(self, world: SimWorld, path: str, schema: str | None) -> None:
        connection = world.kernel.disks.get(path)
        if connection is None:
            if schema is None:
                raise StoreFailed(f"store {path} cannot be opened: there is none")
            connection = world.kernel.disks[path] = new_disk()
        self._world, self._disk, self._calm = world, connection, world.kernel.calm
        super().__init__(path, schema, connection)

    def write(self, writes: Writes) -> None:
        """On a calm machine the disk takes its time; whoever reads it does not notice."""
        if self._calm:
            self._disk.write_later(writes)
        else:
            super().write(writes)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """What a statement makes last (a COMMIT, or one that is a transaction by itself) is a moment to die at."""
        lasts = sql == "COMMIT" or not (self._connection.in_transaction or sql.startswith("BEGIN"))
        if self._calm or not lasts:
            return super().execute(sql, parameters)
        self._world.at_moment("commits", self._path)
        changed = super().execute(sql, parameters)
        self._world.at_moment("committed", self._path)
        return changed

    def out_of_reach(self) -> None:
        """Its process is dead: whatever the unwinding code still wants of it ends in ``WorldEnded``. (So the living
        need not be asked at each statement whether they live.)"""
        self._calm, self._connection = False, cast(sqlite3.Connection, NoDisk())

    def close(self) -> None:
        """The file stays; there is nothing else to close."""


class NoDisk:
    """What a dead process's store leads to."""

    in_transaction = False

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> NoReturn:
        raise WorldEnded


class SimFile:
    """A shared small file in memory."""

    def __init__(self, world: SimWorld, path: str) -> None:
        self._world = world
        self._path = path

    def read(self) -> bytes | None:
        self._world.check_alive()
        return self._world.kernel.files.get(self._path)

    def shared(self) -> str:
        """On the simulated disk each file has the mode it was written with: its owner's alone."""
        return ""

    def write(self, data: bytes) -> None:
        self._world.at_moment("writes", self._path)
        self._world.kernel.files[self._path] = data
        self._world.at_moment("written", self._path)

    def remove(self) -> None:
        self._world.check_alive()
        self._world.kernel.files.pop(self._path, None)

    @contextmanager
    def locked(self, limit_s: float) -> Iterator[None]:
        locks, process = self._world.kernel.locks, self._world.process
        until_s = self._world.now_s() + limit_s
        while self._path in locks:
            if self._world.now_s() > until_s:
                raise StoreFailed(f"{self._path} is held by another process for more than {limit_s:g} s")
            self._world.next_number()
            self._world.wait_for_reply(LOCK_POLL_S)
        locks[self._path] = process
        self._world.held_locks.append(self._path)
        try:
            yield
        finally:
            if not process.dead:
                self._world.held_locks.remove(self._path)
                del locks[self._path]
