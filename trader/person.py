"""The world of a command: what `login` and `doctor` lend to the desk's own code instead of a process's world.

It reads, asks and writes as the desk would, in this process; it records no event and keeps no log. EDGE.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec

from brokers.errors import LoginRefused
from feeds.config import ConnectionConfig
from feeds.login import parsed
from supervisor.process.clock import wall_utc
from supervisor.process.files import SharedFile
from supervisor.process.secrets import read_secret
from supervisor.process.web import Web
from supervisor.process.world import HttpReply


class Silent:
    """A ``Log`` that keeps nothing."""

    def debug(self, text: str, **fields: Any) -> None: ...
    def info(self, text: str, **fields: Any) -> None: ...
    def warning(self, text: str, **fields: Any) -> None: ...
    def error(self, text: str, **fields: Any) -> None: ...


class CommandWorld:
    """As much of ``supervisor.process.world.World`` as ``feeds.login`` and ``feeds.venue`` use. ``replies``: what HTTP
    answered, the newest last, for who wants to look at headers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = Silent()
        self.web = Web()
        self.replies: list[tuple[float, HttpReply]] = []

    def now_s(self) -> float:
        return time.monotonic()

    def random(self) -> float:
        return random.random()

    def secret(self, name: str) -> str:
        return read_secret(name)

    def file(self, path: str) -> SharedFile:
        return SharedFile(self.home / path, lambda limit_s: nullcontext())

    def event(self, *about: Any, **more: Any) -> None:
        """A person reads the output; the record is the desk's."""

    def http(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        reply = self.web.request(method, url, headers, body, timeout_s)
        self.replies.append((wall_utc(), reply))
        return reply


def login_content(world: CommandWorld, config: ConnectionConfig) -> dict[str, Any] | None:
    """What the token file holds, None where there is none. Raises ``StoreFailed`` or ``LoginRefused`` in words."""
    file = world.file(config.login_file)
    data = file.read()
    if data is None:
        return None
    try:
        content = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise LoginRefused(f"the token file {config.login_file} is not JSON") from None
    parsed(content, config.login_file)
    return content
