"""One small file that several processes may share: replaced whole and durably, mode 0600, with a lock beside it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from supervisor.errors import StoreFailed

LOCK_POLL_S = 0.02


class SharedFile:
    """See ``World.file``. ``blocking`` declares a wait to the liveness page."""

    def __init__(self, path: Path, blocking: Callable[[float], AbstractContextManager[None]]) -> None:
        self._path, self._name = path, str(path)
        self._blocking = blocking

    def read(self) -> bytes | None:
        try:
            fd = os.open(self._name, os.O_RDONLY | os.O_CLOEXEC)  # a tenth of pathlib's time where there is none
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be read: {error}") from error
        try:
            with open(fd, "rb") as opened:
                return opened.read()
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be read: {error}") from error

    def shared(self) -> str:
        try:
            mode = self._path.stat().st_mode & 0o777
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be read: {error}") from error
        return f"{mode:04o}" if mode & 0o077 else ""

    def write(self, data: bytes) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                os.fchmod(out.fileno(), 0o600)
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(new, self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise StoreFailed(f"{self._path} cannot be written: {error}. Look at the disk.") from error

    def remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise StoreFailed(f"{self._path} cannot be removed: {error}. Remove it by hand.") from error

    @contextmanager
    def locked(self, limit_s: float) -> Iterator[None]:
        lock = self._path.with_name(f"{self._path.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(f"{lock} cannot be opened: {error}. Look at the folder.") from error
        try:
            with self._blocking(limit_s):
                _take(fd, lock, limit_s)
            yield
        finally:
            os.close(fd)


def _take(fd: int, lock: Path, limit_s: float) -> None:
    until_s = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise StoreFailed(f"{lock} is held by another process for more than {limit_s:g} s") from None
            time.sleep(LOCK_POLL_S)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
