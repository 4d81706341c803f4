"""A name is a path, and the path is the address: names become endpoints. PURE.

Unix socket paths are limited to 107 bytes, so a long name's file is called by a short hash of it; the names of the
root's own processes (``control``) are short and stand as they are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

PLAIN_LENGTH_MAX = 16


def endpoint(runtime_dir: Path, name: str, plane: str) -> str:
    """``plane``: "sock" for calls and casts, "pub" for publications."""
    return f"ipc://{runtime_dir}/{short(name)}.{plane}"


def short(name: str) -> str:
    if "/" not in name and len(name) <= PLAIN_LENGTH_MAX:
        return name
    return hashlib.sha256(name.encode()).hexdigest()[:12]
