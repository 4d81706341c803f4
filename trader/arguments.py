"""What the three processes of a session are started with. PURE."""

from __future__ import annotations

from typing import Literal

import msgspec

from feeds.config import ConnectionConfig, Timing

Protection = Literal["venue", "desk"]
"""Who sees to takes and trails where the venue could as well. Stops are always orders at the venue."""


class SessionArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``session`` is the name; the rest of it is read from desk.db at each start."""

    session: str
    connection: ConnectionConfig
    timing: Timing
    protection: Protection = "venue"
