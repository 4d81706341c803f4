"""Secrets that whoever started us has laid out: systemd credentials, else environment variables. EDGE.

A credential is a file of that name in ``$CREDENTIALS_DIRECTORY``; the variable is the name in upper case, all that is
no letter or digit an underscore. What is given this way is never written anywhere by us.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SECRET_BYTES_MAX = 65_536
FOLDER = "CREDENTIALS_DIRECTORY"


def read_secret(name: str) -> str:
    """ "" where there is neither. One line end behind it is not part of it."""
    return _credential(name) or os.environ.get(variable(name), "").rstrip("\r\n")


def source_of(name: str) -> str:
    """Where it comes from, in words; "" where it is not there."""
    if _credential(name):
        return f"credential {name}"
    return f"environment variable {variable(name)}" if os.environ.get(variable(name)) else ""


def exposed(name: str) -> str:
    """The path of a credential that every user of this machine may read; "" where it is not so. (systemd's own have
    rights for a group, which stand for an access list.)"""
    folder = os.environ.get(FOLDER)
    if not folder or "/" in name:
        return ""
    path = Path(folder) / name
    try:
        return str(path) if path.stat().st_mode & 0o007 else ""
    except OSError:
        return ""


def variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _credential(name: str) -> str:
    folder = os.environ.get(FOLDER)
    if not folder or "/" in name:
        return ""
    try:
        with (Path(folder) / name).open("rb") as file:
            return file.read(SECRET_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        # Not laid out for us; who needs it says what is missing.
        return ""
