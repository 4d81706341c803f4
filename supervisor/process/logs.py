"""One log file per process, under its path; one readable line per event (or JSON); safe for ``tail -F``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Protocol

from loguru import logger

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


def open_log(path: Path, settings: LogSettings, *, echo: bool = False) -> FieldLog:
    """Log to ``path`` from now on, and to nothing else but stderr if ``echo``."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    logger.remove()
    options: dict[str, Any] = {"level": settings.log_level, "backtrace": False, "diagnose": False}
    if settings.log_json:
        options |= {"format": _json_line}
    else:
        options |= {"format": _line}
    logger.add(path, rotation=ROTATE_BYTES, retention=KEEP_FILES, **options)
    if echo:
        logger.add(sys.stderr, **options)
    return FieldLog()


def _line(record: Any) -> str:
    """``diagnose`` is off and fields are given by name: what nobody wrote here cannot leak a secret."""
    fields = "".join(f" {key}={_one_line(value)}" for key, value in record["extra"].items() if key != "shown")
    record["extra"]["shown"] = _one_line(record["message"]) + fields
    return "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {extra[shown]}\n"


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
    return "{extra[shown]}\n"


def _utc() -> Any:
    from datetime import UTC

    return UTC


def _one_line(value: object) -> str:
    return " ".join(str(value).split("\n"))
