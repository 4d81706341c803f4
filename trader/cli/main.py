"""The command `nightdesk`: which commands there are, and where each lives. Nothing is imported before it is needed."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "run": "trader.cli.run:run",
    "demo": "trader.cli.demo:demo",
    "emulator": "trader.cli.emulator:emulator",
    "test": "trader.cli.test:test",
    "simulate": "trader.cli.simulate:simulate",
    "login": "trader.cli.login:login",
    "doctor": "trader.cli.doctor:doctor",
    "status": "trader.cli.status:status",
    "positions": "trader.cli.positions:positions",
    "orders": "trader.cli.orders:orders",
    "fills": "trader.cli.fills:fills",
    "reconcile": "trader.cli.reconcile:reconcile",
    "tree": "trader.cli.tree:tree",
    "child": "trader.cli.child:child",
    "session": "trader.cli.session:session",
    "strategy": "trader.cli.strategy:strategy",
    "halt": "trader.cli.halt:halt",
    "release": "trader.cli.halt:release",
    "logs": "trader.cli.logs:logs",
}
EXIT_INTERRUPTED = 130
EXIT_CODES = """
\b
Exit codes: 0 ok · 1 failed · 2 usage · 3 supervisor not running · 4 no such session or process
5 running but degraded · 6 refused by a safety gate · 7 outcome unknown: look at the broker
8 login needed · 78 bad configuration
"""


class LazyGroup(click.Group):
    """Commands are loaded by name, so that `status` does not pay for the emulator."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Ctrl-C is exit code 130 wherever it comes; the rest as click does it."""
        try:
            result = super().main(*arguments, **{**options, "standalone_mode": False})
        except click.Abort:
            sys.exit(EXIT_INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        sys.exit(result if isinstance(result, int) else 0)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(click.style(EXIT_CODES.replace("\b\n", "")))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", envvar="NIGHTDESK_HOME", type=click.Path(), help="Folder of nightdesk.toml, stores and logs.")
@click.version_option(package_name="nightdesk", prog_name="nightdesk")
@click.pass_context
def main(context: click.Context, home: str | None) -> None:
    """An unattended live-trading desk.

    \b
    Examples:
      nightdesk demo                      the whole desk in two minutes, on recorded data
      nightdesk test breakout --symbol SPY   a strategy over recorded bars, by the desk itself
      nightdesk --home ~/desk run         run the desk of that home in the foreground
      nightdesk session add es --strategy breakout --account SIM1F --symbol ESZ26
      nightdesk status
      nightdesk halt                      stop everything: no entries, working ones cancelled
    """
    context.obj = home


def home_option(command: Any) -> Any:
    """--home is accepted after the command too."""
    return click.option("--home", "home", type=click.Path(), default=None, help="As before the command.")(command)
