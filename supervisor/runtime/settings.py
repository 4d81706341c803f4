"""Where a supervised tree lives and how its processes log. Plain values, inherited by every child over the fork."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import msgspec

SOCKET_PATH_MAX = 107
"""Bytes of a unix socket's path on Linux."""


class Settings(msgspec.Struct, frozen=True):
    """``clock_file``: a scaled clock (process/clock.py) or "" for the wall clock. ``record_to``: the name of the
    process that keeps the record, "" for none. ``title`` stands before each name in ``ps``."""

    home: str
    title: str = "nightdesk"
    clock_file: str = ""
    record_to: str = ""
    log_json: bool = False
    log_level: str = "INFO"
    echo: bool = False
    """The supervisor's own log also goes to stderr."""

    @property
    def log_dir(self) -> Path:
        return Path(self.home) / "logs"

    def log_file(self, name: str) -> str:
        """A text, not a ``Path``: every child asks for it between its fork and its first instruction."""
        return f"{self.home}/logs/{name}.log"

    @property
    def runtime_dir(self) -> Path:
        return runtime_dir(self.home)


def runtime_dir(home: str) -> Path:
    """Folder of the sockets: ``run`` in the home, or a short one of this user's where that would be too long."""
    below = Path(home).resolve() / "run"
    if len(os.fsencode(below)) + 20 <= SOCKET_PATH_MAX:
        return below
    short = hashlib.sha256(os.fsencode(below)).hexdigest()[:12]
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"nightdesk-{os.getuid()}-{short}"
