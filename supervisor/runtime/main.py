"""Starting a supervising process: take the home, preload, freeze, run.

A forked child has whatever the parent imported, so the supervisor imports a declared list first; and it collects and
freezes once, since one full collection in a child would touch every shared page (3.2 instead of 11.8 MiB a child).
"""

from __future__ import annotations

import gc
import os
import resource
from importlib import import_module

from supervisor.messages import ChildSpec
from supervisor.runtime.home import take_home
from supervisor.runtime.leftovers import Leftovers, end_leftovers
from supervisor.runtime.loop import Runtime
from supervisor.runtime.mark import make_room, mark_self, supervisor_id
from supervisor.runtime.settings import Settings

FILES_WANTED = 65536
"""1,000 children take about four descriptors each in the supervisor, and ZeroMQ some in each child."""
INCARNATIONS_A_LIFE = 1_000_000
"""Incarnations of one supervisor's life lie between two multiples of this, so that no number comes twice in a home."""


def run(root: ChildSpec, settings: Settings, preload: tuple[str, ...] = ()) -> int:
    """Run the tree in this process until it is down; the exit status. Raises ``HomeTaken``."""
    lock, life = take_home(settings)
    try:
        left = prepare(settings, preload)
        mark_self(settings.home)
        return Runtime(root, settings, first_incarnation(life), left).run()
    finally:
        os.close(lock)


def prepare(settings: Settings, preload: tuple[str, ...]) -> Leftovers:
    """End what an earlier life has left; folders, limits, imports; then freeze what all children will share."""
    supervisor_id.cache_clear()  # a program may start one on a folder that was made anew
    left = end_leftovers(settings.home)
    prepare_folders(settings)
    raise_file_limit()
    os.umask(0o077)
    for module in preload:
        import_module(module)
    make_room()
    gc.collect()
    gc.freeze()
    return left


def first_incarnation(life: int) -> int:
    return life * INCARNATIONS_A_LIFE + 1


def prepare_folders(settings: Settings) -> None:
    """The sockets' folder, 0700 and empty: what lies there belongs to a life that is over."""
    for folder in (settings.runtime_dir, settings.log_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    for left in settings.runtime_dir.iterdir():
        if left.is_socket():
            left.unlink()


def raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
