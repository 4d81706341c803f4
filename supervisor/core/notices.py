"""What a service manager is told of the tree, and when. PURE: ``runtime/systemd.py`` sends it.

The words are sd_notify(3)'s. Everything follows from the state of the root:

    READY=1                 once, when the root is up: all its children have had their turn (one that fails at its first
                            start is held, and is no reason to wait)
    STATUS=...              the verdict, when it changes, at most once a second; at once when the tree begins or ends
    STOPPING=1              once, when the root goes down, told to or by itself
    WATCHDOG=1              a third of the watchdog's time after the last one
    EXTEND_TIMEOUT_USEC=... while it starts or stops: the core holds every child to its own limit, so all that the
                            manager has to limit is our silence
"""

from __future__ import annotations

import msgspec

from supervisor.core.tree import NEVER_S, Node
from supervisor.core.verdict import verdict

STATUS_GAP_S = 1.0
EXTEND_S = 30.0
"""While the tree starts or stops, silence longer than this is ours (systemd counts it beyond its TimeoutStartSec and
TimeoutStopSec only)."""
EXTEND_EVERY_S = EXTEND_S / 3


class Told(msgspec.Struct, frozen=True):
    """What was told so far, and when."""

    ready: bool = False
    stopping: bool = False
    status: str = ""
    looked_s: float = -NEVER_S
    """When the verdict was made; that walks over the whole tree, and so is not done in each turn of a busy loop."""
    beat_s: float = -NEVER_S


class Notices(msgspec.Struct, frozen=True):
    """``words`` are to be sent in one message; sent, ``told`` holds; ``due_s`` is when to look again by the latest."""

    words: tuple[str, ...]
    told: Told
    due_s: float


def notices(told: Told, nodes: dict[str, Node], now_s: float, watchdog_every_s: float = NEVER_S) -> Notices:
    """``watchdog_every_s``: how often the watchdog wants to hear; infinity without one. To be asked when the tree has
    changed, and at ``due_s``."""
    root = nodes[""]
    ready = told.ready or root.state == "up"
    stopping = told.stopping or root.state in ("stopping", "ended")
    turning_point = (ready, stopping) != (told.ready, told.stopping)
    words = ["READY=1"] * (ready and not told.ready) + ["STOPPING=1"] * (stopping and not told.stopping)

    status, looked_s, look_due_s = told.status, told.looked_s, NEVER_S
    if turning_point or root.state == "ended" or now_s >= told.looked_s + STATUS_GAP_S:
        status, looked_s = verdict(nodes), now_s
        words += [f"STATUS={status}"] * (status != told.status)
    else:
        look_due_s = told.looked_s + STATUS_GAP_S

    extends = root.state != "up"
    beat_every_s = min(watchdog_every_s, EXTEND_EVERY_S if extends else NEVER_S)
    beat_s = told.beat_s
    if beat_every_s < NEVER_S and (turning_point or now_s >= beat_s + beat_every_s):
        words += ["WATCHDOG=1"] * (watchdog_every_s < NEVER_S)
        words += [f"EXTEND_TIMEOUT_USEC={EXTEND_S * 1e6:.0f}"] * extends
        beat_s = now_s
    beat_due_s = NEVER_S if beat_every_s == NEVER_S else beat_s + beat_every_s
    return Notices(tuple(words), Told(ready, stopping, status, looked_s, beat_s), min(look_due_s, beat_due_s))
