"""One log file per process, under its path; one readable line per event (or JSON); safe for ``tail -F``."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from io import TextIOWrapper
from logging import LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Protocol

import msgspec
from loguru import logger

from supervisor.process.printable import printable

ROTATE_BYTES = 16 * 1024 * 1024
KEEP_FILES = 5
"""16 MiB and five old ones a process: bounded disk for months, weeks of history."""


class LogSettings(Protocol):
    @property
    def log_json(self) -> bool: ...
    @property
    def log_level(self) -> str: ...


class FieldLog:
    """``log.info("text", key=value)``: fields are shown after the text and are apart in JSON."""

    def debug(self, text: str, **fields: Any) -> None:
        self._write("DEBUG", text, fields)

    def info(self, text: str, **fields: Any) -> None:
        self._write("INFO", text, fields)

    def warning(self, text: str, **fields: Any) -> None:
        self._write("WARNING", text, fields)

    def error(self, text: str, **fields: Any) -> None:
        self._write("ERROR", text, fields)

    def _write(self, level: str, text: str, fields: dict[str, Any]) -> None:
        logger.bind(**fields).log(level, text)


class SwitchedFile(RotatingFileHandler):
    """The one file that this process logs to. A forked child turns to its own by ``switch``.

    Setting loguru up anew in each child cost 6 ms and 2 MiB of memory that it had shared until then (measured); to
    open another file costs a tenth of a millisecond.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=ROTATE_BYTES, backupCount=KEEP_FILES, encoding="utf-8", delay=True)
        self._home = path.parent.parent
        self._failed = self._losing = False

    def switch(self, path: str) -> None:
        self._drop()
        self._losing = False
        self.baseFilename = path

    def emit(self, record: LogRecord) -> None:
        self._failed = False
        if self._taken_away():
            self._drop()
        super().emit(record)
        if self._losing and not self._failed:
            self._losing = False
            self._say("is written again")

    def handleError(self, record: LogRecord) -> None:
        """A log that cannot be written (a full disk) ends nobody and is told once on stderr, not with a call stack for
        each line. What is in the buffer is lost: kept, it would be written by each child that has a copy of it."""
        self._failed = True
        self._drop()
        if not self._losing:
            self._losing = True
            self._say(f"cannot be written, its lines are lost until it can: {sys.exc_info()[1]}")

    def _taken_away(self) -> bool:
        """Somebody has moved or removed the file (a person, logrotate): what is written to it nobody would find."""
        if self.stream is None:
            return False
        try:
            return not os.path.samestat(os.stat(self.baseFilename), os.fstat(self.stream.fileno()))
        except FileNotFoundError:
            # With its home moved as a whole it is found there; anew it would stand in that one's way back.
            return self._home.exists()

    def _drop(self) -> None:
        """Close it without a last write, which fails again where the one before has failed."""
        if self.stream is None:
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        self.stream.close()
        self.stream = None

    def _say(self, what: str) -> None:
        with suppress(OSError):  # a child's stderr is this very file
            sys.stderr.write(f"nightdesk: {self.baseFilename} {what}\n")
            sys.stderr.flush()

    def _open(self) -> TextIOWrapper:
        try:
            return super()._open()
        except FileNotFoundError:
            if not self._home.exists():
                raise
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return super()._open()


_files: list[SwitchedFile] = []
"""The open log of this process: one, or none yet."""


def open_log(path: Path, settings: LogSettings, *, echo: bool = False) -> FieldLog:
    """Log to ``path`` from now on, and to nothing else but stderr if ``echo``. For the supervising process."""
    logger.remove()
    for old in _files:
        old.close()
    _files[:] = [SwitchedFile(path)]
    options: dict[str, Any] = {"level": settings.log_level, "backtrace": False, "diagnose": False}
    shown = _json_line if settings.log_json else _line
    logger.add(_files[0], format=shown, **options)
    if echo:
        owner = os.getpid()  # a child inherits the echo, and is silent
        logger.add(
            sys.stderr, format=lambda record: shown(record) + "\n", filter=lambda _: os.getpid() == owner, **options
        )
    return FieldLog()


def switch_log(path: str) -> FieldLog:
    """In a child that was just forked: what it inherited is the supervisor's; from now on ``path``."""
    for file in _files:
        file.switch(path)
    return FieldLog()


def plain_line(settings: LogSettings, now_utc: float, text: str, **fields: object) -> bytes:
    """One INFO line as loguru would write it. The first line through loguru costs a forked process 0.6 MiB that it had
    shared until then (measured); a process that has nothing more to say than that it starts need not pay for it."""
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now_utc))}.{int(now_utc * 1000) % 1000:03d}"
    if settings.log_json:
        row = {"time": f"{stamp}+00:00", "level": "INFO", "text": text, **fields}
        return msgspec.json.encode(row) + b"\n"
    shown = "".join(f" {key}={_one_line(value)}" for key, value in fields.items())
    return f"{stamp}Z {'INFO': <7} {_one_line(text)}{shown}\n".encode()


def _line(record: Any) -> str:
    """``diagnose`` is off and fields are given by name: what nobody wrote here cannot leak a secret."""
    fields = "".join(f" {key}={_one_line(value)}" for key, value in record["extra"].items() if key != "shown")
    record["extra"]["shown"] = _one_line(record["message"]) + fields
    return "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {extra[shown]}"


def _json_line(record: Any) -> str:
    import json

    fields = {key: value for key, value in record["extra"].items() if key != "shown"}
    row = {
        "time": record["time"].astimezone(tz=_utc()).isoformat(),
        "level": record["level"].name,
        "text": record["message"],
        **fields,
    }
    record["extra"]["shown"] = json.dumps(row, default=str)
    return "{extra[shown]}"


def _utc() -> Any:
    from datetime import UTC

    return UTC


def _one_line(value: object) -> str:
    return printable(str(value))
