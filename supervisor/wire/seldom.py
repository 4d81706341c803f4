"""Complaints, seldom: what others do to us as often as they like must not fill our log. PURE.

The first of a kind is told at once. Those that follow are counted and told as one line, at most once a minute.
"""

from __future__ import annotations

import msgspec

EVERY_S = 60.0
KINDS_MAX = 32
"""Kinds are words of ours, never text from outside; beyond so many they share one."""


class Counted(msgspec.Struct):
    told_s: float
    untold: int = 0
    text: str = ""


class Seldom:
    """``heard`` says whether to tell this one; ``due``, now and then, what was counted since."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._kinds: dict[str, Counted] = {}

    def heard(self, kind: str, text: str, now_s: float) -> bool:
        if kind not in self._kinds and len(self._kinds) >= KINDS_MAX:
            kind = "other"
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = Counted(now_s)
            return True
        known.untold += 1
        known.text = text
        return False

    def due(self, now_s: float) -> list[tuple[str, int, str]]:
        """(kind, how many since it was told, the last one's text). A kind that was quiet for a minute begins anew."""
        told = []
        for kind, known in list(self._kinds.items()):
            if now_s - known.told_s < self._every_s:
                continue
            if known.untold:
                told.append((kind, known.untold, known.text))
                self._kinds[kind] = Counted(now_s)
            else:
                del self._kinds[kind]
        return told
