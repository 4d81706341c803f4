"""`nightdesk emulator`: the emulator of TradeStation as a process of its own, outside any desk."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from trader.cli.common import BadUsage, Failed


@click.command()
@click.option(
    "--data",
    "data",
    multiple=True,
    help="A bundled symbol (ESZ13, ESH14, SPY, GOOG), a CSV file, or SYMBOL=FILE; repeatable.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=31022, show_default=True, help="0: any free one.")
@click.option("--rate", type=float, default=1.0, show_default=True, help="Market seconds in a machine second.")
@click.option("--book", type=click.Path(dir_okay=False), required=True, help="File of all it ever did; read at start.")
@click.option("--origin", default=None, help="Market time at the first start, as 2013-10-07T14:00:00Z.")
@click.option("--heartbeat", "heartbeat_s", type=float, default=5.0, show_default=True, help="Seconds of quiet.")
@click.option("--token-lifetime", "token_lifetime_s", type=float, default=1200.0, show_default=True)
@click.option("--rotate", "rotate_refresh_tokens", is_flag=True, help="Each refresh gives a new refresh token.")
@click.option("--switch", "switches", multiple=True, metavar="NAME=VALUE", help="What nobody knows; repeatable.")
def emulator(data: tuple[str, ...], origin: str | None, switches: tuple[str, ...], **options: Any) -> None:
    """Serve TradeStation's API v3 on 127.0.0.1, replaying recorded bars.

    Accounts SIM100001F (futures) and SIM100001M (margin); client id "demo-client", secret "demo-secret", refresh
    token "demo-refresh". Its clock stands in clock.json beside the book; [desk] clock of a nightdesk.toml names it.
    """
    from brokers.tradestation.emulator.errors import EmulatorError
    from brokers.tradestation.emulator.server import Options, serve
    from brokers.tradestation.emulator.switches import turned_by

    if origin is not None:
        options["origin_utc"] = _utc(origin)
    if data:
        options["data"] = data
    try:
        turned = turned_by(switches)
        serve(Options(**options, switches=turned.switches, rules=turned.rules))
    except (EmulatorError, OSError) as error:
        raise Failed(f"emulator: {error}") from error


def _utc(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadUsage(f"--origin {text!r}: {error}; wanted: 2013-10-07T14:00:00Z") from error
    if moment.tzinfo is None:
        raise BadUsage(f"--origin {text!r} has no zone; wanted: 2013-10-07T14:00:00Z")
    return moment.timestamp()
