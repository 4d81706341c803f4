"""Lines for people: what is wider than the terminal goes on below. Piped, a line is a line."""

from __future__ import annotations

import textwrap
from shutil import get_terminal_size

import click

from trader.cli.books import on_terminal

LINE_MIN = 30
"""However narrow a terminal says that it is: a few words a line."""


def echo(line: str, indent: int = 6) -> None:
    """``indent``: of the lines that it goes on in."""
    for part in wrapped(line, indent):
        click.echo(part)


def wrapped(line: str, indent: int = 6) -> list[str]:
    """Broken between words; one that is too long by itself (an address) within."""
    width = max(LINE_MIN, get_terminal_size().columns)
    if not on_terminal() or len(line) <= width:
        return [line]
    words = line.lstrip()
    ahead = line[: len(line) - len(words)]
    return textwrap.wrap(words, width, initial_indent=ahead, subsequent_indent=" " * indent, break_on_hyphens=False)
