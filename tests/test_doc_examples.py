"""Documents that cannot rot: what the docs show runs."""

import json
import os
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brokers.model import Bar
from supervisor.messages import Done, Subscribed
from tests.doc_finders import (
    ROOT,
    blocks,
    doc,
)
from tests.trader.session_world import ARGUMENTS, MANAGER, OPENED_UTC, SESSION, SOURCE, SYMBOL, TRADER, session_world
from trader.config import parse_config
from trader.hosting.code import find_code
from trader.hosting.runner import Trader
from trader.messages import Attach, Attached, BeginSeries, CleanBar, CleanBars, NeedBars, Turn, TurnDone
from trader.simulate.figures import utc_text
from trader.simulate.tester import Plan
from trader.simulate.tester import run as run_tester

RUN_LIMIT_S = 60.0
"""Of an example with real processes on a busy machine; alone it takes two seconds."""


@pytest.mark.parametrize("page", ["../README.md", "operating.md"])
def test_the_configuration_shown_is_accepted(page: str) -> None:
    content = tomllib.loads(blocks(doc(page), "config")["emulator"])
    assert list(parse_config(content, page).connections) == ["sim"]


def test_the_configuration_of_two_connections_is_accepted_and_they_are_one_venue() -> None:
    shown = blocks(doc("operating.md"), "config")["connections"]
    config = parse_config(tomllib.loads(shown), "operating.md")
    assert list(config.connections) == ["sim", "second"]
    assert len({each.venue for each in config.connections.values()}) == 1
    assert config.connections["second"].client_secret_name == "second.client_secret"


def test_the_limits_shown_are_accepted() -> None:
    shown = blocks(doc("operating.md"), "config")
    config = parse_config(tomllib.loads(shown["emulator"] + shown["limits"]), "operating.md")
    assert config.connections["sim"].account_limits["SIM100001F"].max_daily_loss_usd == Decimal("750.50")


@pytest.mark.parametrize(
    ("page", "example"),
    [
        ("supervisor.md", "drill.py"),
        ("supervisor-examples.md", "own.py"),
        ("supervisor-examples.md", "decisions.py"),
        ("supervisor-examples.md", "outside.py"),
    ],
)
def test_the_supervisors_examples_print_what_their_page_says(tmp_path: Path, page: str, example: str) -> None:
    text = doc(page)
    for name, source in blocks(text, "file").items():
        (tmp_path / name).write_text(source)
    assert run_python([example, str(tmp_path / "home")], tmp_path) == blocks(text, "output")[example]


def test_every_example_that_is_shown_is_run() -> None:
    shown = {name for page in ("supervisor.md", "supervisor-examples.md") for name in blocks(doc(page), "output")}
    assert shown == {"drill.py", "own.py", "decisions.py", "outside.py"}


def test_a_bench_of_the_performance_page_can_be_run_again(tmp_path: Path) -> None:
    said = run_python(["-m", "scripts.benches", "supervisor", "group", "--rounds", "2", "--json"], tmp_path)
    (row,) = [json.loads(line) for line in said.splitlines()]
    assert set(row) == {"bench", "figure", "n", "p50", "p99", "unit", "floor_p50", "ratio"}
    assert (row["bench"], row["figure"], row["n"]) == ("supervisor", "one_for_all of 3 ready", 2)


def test_the_strategy_example_trades_in_the_real_trader(tmp_path: Path) -> None:
    (tmp_path / "channel.py").write_text(blocks(doc("strategy.md"), "file")["channel.py"])
    turns = turns_of(str(tmp_path / "channel.py"), {"bars": 3}, [10, 11, 10, 13])
    assert [turn.declarations == () for turn in turns] == [True, True, True, False]
    (declared,) = turns[-1].declarations
    assert (declared.symbol, declared.quantity, declared.stop) == (SYMBOL, Decimal(1), Decimal("8.75"))


@pytest.mark.parametrize("example", ["ladder.py", "pulse.py"])
def test_the_strategies_of_the_guide_do_over_its_bars_what_it_says(tmp_path: Path, example: str) -> None:
    text = doc("strategy.md")
    for name, source in blocks(text, "file").items():
        (tmp_path / name).write_text(source)
    result = run_tester(Plan(strategy=str(tmp_path / example), data=str(tmp_path / "ESZ13_1m.csv")))
    lines = [
        f"{utc_text(each.seen_utc)[11:16]}  {each.side} {each.quantity} at {each.price}  {each.purpose}"
        for each in result.fills
    ]
    assert "\n".join([*lines, ""]) == blocks(text, "output")[example]
    assert result.refusals == ()


def test_every_strategy_of_the_guide_is_run() -> None:
    assert {name for name in blocks(doc("strategy.md"), "file") if name.endswith(".py")} == {
        "channel.py",
        "ladder.py",
        "pulse.py",
    }


def turns_of(file: str, parameters: dict[str, Any], closes: list[int]) -> list[Turn]:
    """The turns of a strategy's file over bars with these closes (range 1 each way), through the code that is used."""
    code, class_name = find_code(file)
    session = msgspec.structs.replace(SESSION, class_name=class_name, parameters=parameters)
    world = session_world(TRADER, session, code.source)
    world.answer(MANAGER, Attach, Attached(done=False))
    world.answer(MANAGER, BeginSeries, Done())
    world.answer(MANAGER, Turn, TurnDone((), ()))
    world.answer(SOURCE, NeedBars, Done())
    world.start(Trader, ARGUMENTS)
    world.deliver(Subscribed(SOURCE, "bars", 1))
    for number, close in enumerate(map(Decimal, closes), start=1):
        bar = Bar(SYMBOL, 60, OPENED_UTC + 60 * number, close, close + 1, close - 1, close, 1)
        world.deliver(CleanBars(SYMBOL, 60, OPENED_UTC + 60 * (number - 1), (CleanBar(bar, late=False),)))
        world.advance(0.01)
    return [request for _, request in world.calls if isinstance(request, Turn)]


def run_python(arguments: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_LIMIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_strategy_that_fails_fails_the_doc_test(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from trader.strategy import Strategy\n\nclass Bad(Strategy):\n    def on_bar(self, bar):\n        1 / 0\n"
    )
    with pytest.raises(ZeroDivisionError):
        turns_of(str(tmp_path / "bad.py"), {}, [1])


def test_an_example_that_fails_fails_the_doc_test(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise SystemExit('no')")
    with pytest.raises(AssertionError, match="no"):
        run_python(["bad.py"], tmp_path)
