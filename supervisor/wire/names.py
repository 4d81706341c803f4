"""A name is a path, and the path is the address: names become endpoints. PURE.

Unix socket paths are limited to 107 bytes, so the file's name is a short hash of the process's name.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def endpoint(runtime_dir: Path, name: str, plane: str) -> str:
    """``plane``: "c" for calls and casts, "p" for publications."""
    return f"ipc://{runtime_dir}/{short(name)}.{plane}"


def short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]
