"""`nightdesk run`: becomes the supervising process, by replacing itself with a clean interpreter."""

from __future__ import annotations

import os
import sys

import click

from trader.cli.common import home_of
from trader.cli.main import home_option


@click.command()
@home_option
@click.pass_context
def run(context: click.Context, home: str | None) -> None:
    """Run the desk of a home in the foreground, until SIGTERM or Ctrl-C.

    Sessions that were wanted when it last ran come back by themselves.
    """
    folder = home_of(context, home)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "trader.app", str(folder)])
