"""`nightdesk logs`: the log files of one process, or of all below a name; the end of each, and what comes."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TextIO

import click

from trader.cli.common import NoSuchSession, home_of
from trader.cli.main import home_option

POLL_S = 0.2


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
    merged = sorted(((line, path) for path, kept in shown.items() for line in kept), key=lambda pair: pair[0][:24])
    several = len(files) > 1
    for line, path in merged if several else [(line, files[0]) for line in shown[files[0]]]:
        _show(folder, path, line, several)
    if follow:
        _follow(folder, files, several)


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
