"""`nightdesk demo`: the whole desk in two minutes, on recorded data, breaking and repairing itself."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

import click
import msgspec

from trader.cli.common import BadUsage, Failed, print_json

LENGTH_S_MIN = 20.0
"""Shorter, the last fault would have no time to heal."""


@click.command()
@click.option("--for", "length", default="60s", show_default=True, help="How long it trades: 45s, 2m.")
@click.option("--rate", type=click.FloatRange(1, 600), default=60.0, show_default=True, help="Market seconds a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Draws what breaks when.")
@click.option("--home", type=click.Path(file_okay=False), default=None, help="Left for reading; must be empty.")
@click.option("--json", "as_json", is_flag=True, help="The last line on stdout is one JSON object.")
def demo(length: str, rate: float, seed: int, home: str | None, as_json: bool) -> None:
    """Run emulator and desk on a scratch home, break things on purpose, and count.

    Exit code 0 only if books agree, no bar is missing or doubled and no order was sent twice.
    """
    from trader.demo.play import Plan, play
    from trader.demo.report import report
    from trader.demo.script import BY_A_PERSON, script, told
    from trader.demo.show import Show
    from trader.demo.stage import Alarm
    from trader.demo.stage import Failed as NotUp

    plan = Plan(length_s=_seconds(length), rate=rate, seed=seed, home=_empty(home))
    alarm = Alarm()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, alarm)
    out = sys.stderr if as_json else sys.stdout
    live = _live(out) if out.isatty() else None
    show = Show(out, draw=live and (lambda text: live.update(text, refresh=True)))
    try:
        result = play(plan, show, alarm)
    except NotUp as error:
        raise Failed(f"demo: {error}") from error
    except KeyboardInterrupt:
        click.echo("interrupted; nothing is left running", err=True)
        sys.exit(130)
    finally:
        if live is not None:
            live.stop()
    broke = [
        f"{fault.at_s:5.1f}s  {told(fault)}"
        for fault in script(plan.seed, plan.length_s)
        if fault.kind not in BY_A_PERSON
    ]
    click.echo(report(result, broke), err=as_json)
    if as_json:
        print_json(msgspec.to_builtins(result))
    sys.exit(0 if result.passed else 1)


def _live(out: TextIO) -> Any:
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(file=out, markup=False, highlight=False), auto_refresh=False)
    live.start()
    return live


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m)?", text)
    if found is None:
        raise BadUsage(f"--for {text!r}: wanted seconds or minutes, such as 45s or 2m")
    seconds = float(found[1]) * (60 if found[2] == "m" else 1)
    if seconds < LENGTH_S_MIN:
        raise BadUsage(f"--for {text!r}: at least {LENGTH_S_MIN:g} s, else the last fault has no time to heal")
    return seconds


def _empty(home: str | None) -> Path | None:
    if home is None:
        return None
    folder = Path(home).expanduser().resolve()
    if folder.exists() and any(folder.iterdir()):
        raise BadUsage(f"--home {folder} is not empty; a demo wants a home of its own")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
