"""`nightdesk logs`: the log files of one process, or of all below a name; the end of each, and what comes."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import click

from trader.cli.common import NoSuchSession, home_of
from trader.cli.main import home_option

POLL_S = 0.2
JSON_BEGIN = '{"time": "'
TIME = re.compile(r'(\{"time": ")?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}')
"""Where a line begins, plain or as JSON; to the millisecond, as both have it."""


@click.command()
@click.argument("name", default="")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, over rotation and restarts.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="Lines of each file.")
@home_option
@click.pass_context
def logs(context: click.Context, name: str, follow: bool, lines: int, home: str | None) -> None:
    """Show the log of NAME (a path of the tree, such as sessions/es/trader) and of all below it.

    Without a name: the supervisor's own log. Lines of several files come with the name before them.
    """
    folder = home_of(context, home) / "logs"
    files = log_files(folder, name.rstrip("/") or "nightdesk")
    if not files:
        raise NoSuchSession(f"nothing is logged under {name!r} in {folder}; `nightdesk tree` shows the names")
    shown = {path: _tail(path, lines) for path in files}
    several = len(files) > 1
    for path, line in merged(shown):
        _show(folder, path, line, several)
    if follow:
        _follow(folder, files, several)


def merged(shown: Mapping[Path, Sequence[str]]) -> list[tuple[Path, str]]:
    """By time. What has none (a call stack) stays behind the line of its own file that it belongs to; the rest of one
    that was cut off in front goes before the next line of that file."""
    timed: list[tuple[str, Path, str]] = []
    for path, kept in shown.items():
        times = [found[0] if (found := TIME.match(line)) else "" for line in kept]
        at = next(filter(None, times), "")
        for line, own in zip(kept, times, strict=True):
            at = own or at
            timed.append((at, path, line))
    return [(path, line) for _, path, line in sorted(timed, key=lambda each: each[0].removeprefix(JSON_BEGIN))]


def log_files(folder: Path, name: str) -> list[Path]:
    """The file of that name, and those of all names below it."""
    own = folder / f"{name}.log"
    return ([own] if own.exists() else []) + sorted((folder / name).glob("**/*.log"))


def _tail(path: Path, count: int) -> list[str]:
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, count)]


def _show(folder: Path, path: Path, line: str, several: bool) -> None:
    name = f"{path.relative_to(folder).with_suffix('')}: " if several else ""
    click.echo(f"{name}{line}")


def _follow(folder: Path, files: list[Path], several: bool) -> None:
    opened = {path: _at_end(path) for path in files}
    while True:
        for path in files:
            for line in opened[path]:
                _show(folder, path, line.rstrip("\n"), several)
            opened[path] = _again_if_rotated(path, opened[path])
        time.sleep(POLL_S)


def _at_end(path: Path) -> TextIO:
    file = path.open(errors="replace")
    file.seek(0, 2)
    return file


def _again_if_rotated(path: Path, file: TextIO) -> TextIO:
    try:
        same = path.stat().st_ino == Path(f"/proc/self/fd/{file.fileno()}").stat().st_ino
    except FileNotFoundError:
        return file
    if same:
        return file
    file.close()
    return path.open(errors="replace")
