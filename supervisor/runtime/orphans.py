"""Processes that children leave behind, while the supervisor lives: adopted, judged, killed, reaped.

The supervisor is a subreaper: who loses his parents below it becomes its own child. Nobody tells it of that moment; so
it looks after each death of a child, and after each SIGCHLD (an adopted one has died). What is done depends on what is
there, not on what was seen before: each look ends the next generation, until none is left. A process is reaped by its
pid only where it is no child of the tree: their deaths are read once, elsewhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from supervisor.core.orphans import named, verdict
from supervisor.core.tree import NEVER_S, Record
from supervisor.runtime.mark import read_mark
from supervisor.runtime.procfs import Stat, own_children, stat

PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
DEATH_LIMIT_S = 5.0
"""A killed process that is still there after this long waits for the kernel (state D). It is told and left to it."""
AGAIN_S = 0.02
"""Whoever was killed may leave others: they are looked for after this long."""
RECHECK_S = 1.0
"""A process of which nothing is known may be in the middle of an exec, where its environment is empty: look again."""
GONE_MAX = 1000
"""Dead children whose sessions are remembered: far more than die between the death of one and a look."""

_libc = ctypes.CDLL(None, use_errno=True)


class Orphans:
    """Those of one supervisor. ``alone``: all children of this process are the tree's or adopted. Otherwise a program
    has its tree within itself, and its other children are neither ended nor reaped."""

    def __init__(self, supervisor: str, record: Callable[[Record], None]) -> None:
        self.alone = False
        self._supervisor = supervisor
        self._record = record
        self._before = set(own_children())
        self._was_subreaper = subreaper()
        self._killed: dict[int, float] = {}
        """Until when it should be dead, by pid; infinity once it was told."""
        self._unknown: set[int] = set()
        self._gone: dict[int, str] = {}
        """Children that are gone by pid, for the sake of their sessions, until all that they left is gone too."""
        self._look_s = NEVER_S
        be_subreaper(True)

    def due(self) -> None:
        """Look in this turn: somebody has died."""
        self._look_s = 0.0

    def child_gone(self, pid: int, name: str) -> None:
        self._gone[pid] = name
        if len(self._gone) > GONE_MAX:
            del self._gone[next(iter(self._gone))]
        self.due()

    def next_look_s(self) -> float:
        return self._look_s

    def look(self, living: Mapping[int, int], now_s: float) -> None:
        """``living``: incarnations of the tree's children by pid."""
        self._look_s = NEVER_S
        adopted = self._adopted(living)
        ended = self._end(adopted, living, now_s) if adopted else {}
        for maker, processes in ended.items():
            text = f"{maker or 'a child'} has ended and left {named(processes)}; killed"
            self._record(Record("child.leftovers", "DIGEST", maker, text, data={"processes": len(processes)}))
        self._tell_unkillable(now_s)
        if any(until_s != NEVER_S for until_s in self._killed.values()):
            self._look_s = min(self._look_s, now_s + AGAIN_S)
        if not adopted:
            self._gone.clear()

    def end_all(self) -> None:
        """The tree is down: what it has left is ended, whoever made it. Bounded. Then we adopt nobody any more."""
        until_s = time.monotonic() + DEATH_LIMIT_S
        ended: list[str] = []
        while (adopted := self._adopted({})) and (now_s := time.monotonic()) < until_s:
            ended += [each for processes in self._end(adopted, {}, now_s).values() for each in processes]
            if not any(each.pid in self._killed for each in adopted):
                break
            time.sleep(0.001)
        if ended:
            text = f"the tree is down, and {named(ended)} of it were still there; killed"
            self._record(Record("child.leftovers", "DIGEST", "", text, data={"processes": len(ended)}))
        self._tell_unkillable(NEVER_S)
        be_subreaper(self._was_subreaper)

    def _end(self, adopted: list[Stat], living: Mapping[int, int], now_s: float) -> dict[str, list[str]]:
        """Kill whose maker does not live; what was killed, by the maker's name."""
        ended: dict[str, list[str]] = {}
        incarnations = set(living.values())
        for found in adopted:
            if found.pid in self._killed:
                continue
            mark = read_mark(found.pid)
            what = verdict(mark, found.session, self._supervisor, incarnations, living)
            if what == "unknown" and (found.session in self._gone or (self.alone and not living)):
                what = "end"
            if what == "end":
                maker = (mark.child if mark else "") or self._gone.get(found.session, "")
                ended.setdefault(maker, []).append(str(found))
                self._kill(found.pid, now_s)
            elif what == "unknown" and found.pid not in self._unknown:
                self._unknown.add(found.pid)
                self._look_s = now_s + RECHECK_S
        return ended

    def _adopted(self, living: Mapping[int, int]) -> list[Stat]:
        """Those that live; the dead are reaped. Who died since the list was read has left us others: read it again."""
        while True:
            others = [pid for pid in own_children() if pid not in living and pid not in self._before]
            found = [each for each in map(stat, others) if each is not None]
            dead = [each for each in found if each.state in "ZX"]
            reaped = [each for each in dead if self._reap(each, living)]
            if not reaped:
                break
        alive = [each for each in found if each not in dead]
        pids = {each.pid for each in alive}
        self._killed = {pid: until_s for pid, until_s in self._killed.items() if pid in pids}
        self._unknown &= pids
        return alive

    def _reap(self, found: Stat, living: Collection[int]) -> bool:
        """If it is surely ours; whether it was."""
        ours = found.pid in self._killed or found.session in living or found.session in self._gone
        if not (self.alone or ours):
            return False
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, found.pid, os.WEXITED | os.WNOHANG) is not None
        return False

    def _kill(self, pid: int, now_s: float) -> None:
        """It is our child and not reaped, so the number is still its own."""
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        self._killed[pid] = now_s + DEATH_LIMIT_S

    def _tell_unkillable(self, now_s: float) -> None:
        late = [pid for pid, until_s in self._killed.items() if until_s <= now_s and until_s != NEVER_S]
        self._killed.update(dict.fromkeys(late, NEVER_S))
        if late:
            text = f"killed and not dead within {DEATH_LIMIT_S:g} s: {named([str(stat(pid)) for pid in late])}; left"
            self._record(Record("child.unkillable", "NOTIFY", "", text, data={"processes": len(late)}))


def subreaper() -> bool:
    value = ctypes.c_int(0)
    _libc.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(value), 0, 0, 0)
    return bool(value.value)


def be_subreaper(yes: bool) -> None:
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")
