"""`nightdesk test`: a strategy over recorded bars, by the desk itself in the simulated world."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from trader.cli.common import BadUsage, Failed, as_json, parameters_of, print_json


@click.command()
@click.argument("strategy")
@click.option("--data", "data", default="", help="A file SYMBOL_1m.csv or .csv.gz: time,open,high,low,close,volume.")
@click.option("--symbol", default="", help="Bundled bars (ESZ13, SPY); beside --data it names the file's symbol.")
@click.option("--from", "from_", default=None, help="First bars after this: 2013-10-07 or 2013-10-07T14:00:00Z.")
@click.option("--to", default=None, help="Last bars up to this; a date means its end.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy; repeatable.")
@as_json
def test(
    strategy: str, data: str, symbol: str, from_: str | None, to: str | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Test STRATEGY (as in `session add`) with the very processes that trade, and print what it did.

    Exit codes: 0 ran, 1 the strategy raised, 2 bad strategy name, data, dates or parameters.
    """
    if not data and not symbol:
        raise BadUsage("give --data FILE or --symbol SYMBOL (bundled: ESZ13, ESH14, SPY, GOOG)")
    from trader.simulate.figures import report
    from trader.simulate.tester import BadTest, Plan, StrategyFailed, run

    plan = Plan(
        strategy=strategy,
        data=data,
        symbol=symbol,
        from_utc=None if from_ is None else utc_of("--from", from_, days=0),
        to_utc=None if to is None else utc_of("--to", to, days=1),
        settings=parameters_of(settings),
    )
    try:
        result = run(plan, lambda text: click.echo(f"warning: {text}", err=True))
    except BadTest as error:
        raise BadUsage(f"test: {error}") from error
    except StrategyFailed as error:
        raise Failed(f"test: {error}") from error
    click.echo(report(result), err=as_json)
    if as_json:
        print_json(result)


def utc_of(option: str, text: str, *, days: int) -> float:
    """Epoch seconds of a UTC time, or of a date's beginning and so many days."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadUsage(f"{option} {text!r}: wanted 2013-10-07 or 2013-10-07T14:00:00Z") from error
    if len(text) <= len("2013-10-07"):
        return moment.replace(tzinfo=UTC).timestamp() + days * 86_400.0
    if moment.tzinfo is None:
        raise BadUsage(f"{option} {text!r} has no zone; wanted 2013-10-07T14:00:00Z")
    return moment.timestamp()
