"""Documents that cannot rot: what the code has, the docs name; what the docs show, runs.

Each finder takes text and gives what is missing, so that the tests at the end can show it a sample that it must report.
"""

import ast
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from brokers.model import Bar
from brokers.tradestation.emulator import faults
from brokers.tradestation.emulator.fault_rules import FAULTS, Rule
from brokers.tradestation.emulator.switches import MEANING, ORDER_RULES, Switches
from feeds.config import ConnectionConfig, Timing
from supervisor.messages import Done, Message, Subscribed
from tests.trader.session_world import ARGUMENTS, MANAGER, OPENED_UTC, SESSION, SOURCE, SYMBOL, TRADER, session_world
from trader.arguments import SymbolConfig
from trader.cli import common
from trader.cli.main import EXIT_CODES, main
from trader.config import DeskSection, parse_config
from trader.hosting.code import find_code
from trader.hosting.runner import Trader
from trader.messages import Attach, Attached, BeginSeries, CleanBar, CleanBars, NeedBars, Turn, TurnDone
from trader.risk.limits import LimitsSection
from trader.simulate.figures import utc_text
from trader.simulate.tester import Plan
from trader.simulate.tester import run as run_tester

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGES = ("supervisor", "brokers", "feeds", "trader")
LEVELS = {"PAGE", "NOTIFY", "DIGEST", "LOG"}
EMITTERS = {"event", "Event", "Record", "record_death", "_crash", "_end_by_routine", "_hold_off", "Change", "Told"}
"""Functions whose first text argument is the kind of an event (or, handed on by them, its level)."""
RUN_LIMIT_S = 60.0
"""Of an example with real processes on a busy machine; alone it takes two seconds."""


# --- finders: what of these is missing in this text?


def unnamed(names: Iterable[str], text: str) -> list[str]:
    """Names that do not stand in backticks."""
    quoted = set(re.findall(r"`([^`\n]+)`", text))
    words = {word for span in quoted for word in re.findall(r"[\w.]+", span)}
    return sorted(name for name in names if name not in quoted and name not in words)


def sections(text: str) -> dict[str, str]:
    """Bodies by heading, backticks dropped; each ends at the next heading."""
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {title.replace("`", "").strip(): body for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> list[list[str]]:
    """Cells of all table rows, without heads' rulers."""
    lines = (line.strip() for line in text.splitlines())
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|"))
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


def undocumented_commands(commands: dict[str, list[str]], text: str) -> list[str]:
    """Commands without a heading of their own, and options that their section does not name."""
    found = sections(text)
    missing: list[str] = []
    for command, options in commands.items():
        bodies = [body for title, body in found.items() if re.fullmatch(rf"{command}( \[?[A-Z]+\]?)?", title)]
        missing += [f"{command}: no section"] if not bodies else []
        missing += [f"{command} {each}" for body in bodies for each in options if not _names(body, each)]
    return missing


def _names(text: str, option: str) -> bool:
    return re.search(rf"`{re.escape(option)}[ `]", text) is not None


def wrong_defaults(defaults: dict[str, float], text: str) -> list[str]:
    """Rows ``| `key` | default |`` that are missing or tell another number."""
    told = {row[0].strip("`"): row[1] for row in rows(text) if len(row) > 1}
    return [f"{key}: {told.get(key)}" for key, value in defaults.items() if told.get(key) != f"{value:g}"]


def event_kinds(source: str) -> set[str]:
    """Kinds that this code emits, as regular expressions (an f-string's holes are words)."""
    kinds: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _called(node) in EMITTERS:
            texts = [_pattern(each) for each in node.args if isinstance(each, ast.JoinedStr) or _text(each)]
            kinds |= {each for each in texts[:1] if each not in LEVELS and r"\ " not in each}  # a kind has no spaces
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "kind" for t in node.targets):
            kinds |= {re.escape(_text(each)) for each in ast.walk(node.value) if "." in _text(each)}
    return kinds


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _pattern(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(re.escape(_text(part)) if _text(part) else r"\w+" for part in node.values)
    return re.escape(_text(node))


def documented_kinds(text: str) -> set[str]:
    return {kind for row in rows(text) for kind in re.findall(r"`([a-z_.]+)`", row[0])}


def unmatched(patterns: Iterable[str], kinds: set[str]) -> list[str]:
    return sorted(each for each in patterns if not any(re.fullmatch(each, kind) for kind in kinds))


def broken_links(file: Path, text: str) -> list[str]:
    """Relative links whose file or heading is not there."""
    broken: list[str] = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        if not target.is_file():
            broken.append(f"{file.name}: {link}: no such file")
        elif anchor and anchor not in {slug(title) for title in sections(target.read_text("utf-8"))}:
            broken.append(f"{file.name}: {link}: no such heading")
    return broken


def slug(title: str) -> str:
    """A heading's anchor, as the usual hosts make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def blocks(text: str, marker: str) -> dict[str, str]:
    """Fenced blocks by the name that a comment before them gives: ``<!-- marker: name -->``."""
    found = re.findall(rf"<!-- {marker}: (\S+) -->\n```\w*\n(.*?)```", text, flags=re.DOTALL)
    return dict(found)


# --- what the code has


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        yield importlib.import_module(package)
        for found in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not found.name.endswith("__main__"):  # importing that one runs it
                yield importlib.import_module(found.name)


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def messages() -> set[str]:
    list(modules())
    return {each.__name__ for each in subclasses(Message) if each.__module__.split(".")[0] in PACKAGES}


def commands(command: click.Command, name: str) -> dict[str, list[str]]:
    """Options by command; a group's own options are told with its first section."""
    if not isinstance(command, click.Group):
        return {name: [option for each in command.params if isinstance(each, click.Option) for option in each.opts]}
    found: dict[str, list[str]] = {}
    context = click.Context(command)
    for each in command.list_commands(context):
        child = command.get_command(context, each)
        assert child is not None
        found |= commands(child, f"{name} {each}")
    return found


def exit_codes() -> set[str]:
    """Of the help text, of the click exceptions, of the EXIT_ constants, and of sys.exit with a number."""
    codes = set(re.findall(r"\b(\d+) [a-z]", EXIT_CODES))
    codes |= {str(each.exit_code) for each in vars(common).values() if hasattr(each, "exit_code")}
    for file in (ROOT / "trader").rglob("*.py"):
        source = file.read_text("utf-8")
        codes |= set(re.findall(r"^EXIT_[A-Z_]+ = (\d+)", source, flags=re.MULTILINE))
        codes |= set(re.findall(r"sys\.exit\((\d+)\)", source))
    return codes


def error_classes() -> set[str]:
    found = [each for each in modules() if each.__name__.split(".")[-1] == "errors"]
    assert len(found) == 3, found
    return {
        name for module in found for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__
    }  # fmt: skip


def emitted() -> set[str]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return {kind for file in files for kind in event_kinds(file.read_text("utf-8"))}


def doc(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


# --- the docs name what the code has


def test_every_command_and_option_is_in_operating() -> None:
    text = doc("operating.md")
    options = commands(main, "nightdesk")
    assert len(options) > 10
    emulator = {"nightdesk emulator": options.pop("nightdesk emulator")}
    assert not undocumented_commands(options, text)
    assert not undocumented_commands(emulator, text)
    assert not [each for each in ("-h", "--help", "--version", "--home") if not _names(text, each)]


def test_every_option_of_the_emulator_is_in_its_own_page() -> None:
    options = commands(main, "nightdesk")["nightdesk emulator"]
    assert not [each for each in options if not _names(doc("emulator.md"), each)]


def test_no_section_tells_of_a_command_that_is_not_there() -> None:
    known = set(commands(main, "nightdesk"))
    told = {re.sub(r" \[?[A-Z]+\]?$", "", title) for title in sections(doc("operating.md")) if "nightdesk " in title}
    assert told == known


@pytest.mark.parametrize("section", [DeskSection, ConnectionConfig, Timing, LimitsSection, SymbolConfig])
def test_every_configuration_key_is_in_operating(section: type[msgspec.Struct]) -> None:
    keys = {row[0].strip("`") for row in rows(doc("operating.md"))}
    assert not set(section.__struct_fields__) - keys


def test_the_defaults_of_timing_are_told_right() -> None:
    defaults = {name: getattr(Timing(), name) for name in Timing.__struct_fields__}
    assert not wrong_defaults(defaults, sections(doc("operating.md"))["[timing], optional"])


def test_every_message_is_in_messages() -> None:
    names = messages()
    assert len(names) > 80
    assert not unnamed(names, doc("messages.md"))


def test_every_error_is_in_some_page() -> None:
    text = "\n".join(file.read_text("utf-8") for file in documents())
    assert not unnamed(error_classes(), text)


def test_the_exit_codes_are_those_of_the_code() -> None:
    told = {row[0] for row in rows(sections(doc("operating.md"))["Exit codes"]) if row[0].isdigit()}
    assert told == exit_codes()


def test_every_kind_of_event_is_in_events_and_no_other() -> None:
    told = documented_kinds(doc("events.md"))
    kinds = emitted()
    assert len(kinds) > 30
    assert not unmatched(kinds, told)
    assert not [kind for kind in told if not any(re.fullmatch(pattern, kind) for pattern in kinds)]


def test_every_switch_and_fault_of_the_emulator_is_in_its_page() -> None:
    text = doc("emulator.md")
    assert not unnamed([*MEANING, *ORDER_RULES, *FAULTS, *Rule.__struct_fields__], text)
    told = {row[0].strip("`"): row[1] for row in rows(sections(text)["What nobody knows"]) if len(row) == 4}
    words = {True: "on", False: "off"}
    defaults = msgspec.structs.asdict(Switches())
    right = {
        n: words[v] if isinstance(v, bool) else f"{v:g}" if isinstance(v, float) else str(v)
        for n, v in defaults.items()
    }
    assert {name: told.get(name) for name in right} == right


def test_every_admin_path_of_the_emulator_is_in_its_page() -> None:
    paths = {f"POST /emulator/{name}" for name in faults._ACTIONS}
    paths |= {f"GET /emulator/{name}" for name in faults._QUESTIONS}
    told = {row[0].strip("`") for row in rows(sections(doc("emulator.md"))["The admin interface"])}
    assert paths == {each for each in told if "/emulator/" in each}


def test_every_decision_is_in_their_list() -> None:
    pages = {file.name for file in (DOCS / "decisions").glob("0*.md")}
    assert pages == set(re.findall(r"\]\((0\d{3}-[\w-]+\.md)\)", doc("decisions/README.md")))


def test_all_links_resolve() -> None:
    found = [each for file in documents() for each in broken_links(file, file.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_every_module_that_a_page_names_exists() -> None:
    pattern = re.compile(r"`((?:supervisor|brokers|feeds|trader|tests|docs|scripts)/[\w/.]+)`")
    named = {path for file in documents() for path in pattern.findall(file.read_text("utf-8"))}
    assert named
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


# --- what the docs show runs


@pytest.mark.parametrize("page", ["../README.md", "operating.md"])
def test_the_configuration_shown_is_accepted(page: str) -> None:
    content = tomllib.loads(blocks(doc(page), "config")["emulator"])
    assert list(parse_config(content, page).connections) == ["sim"]


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


# --- the finders find


def test_a_name_that_is_not_in_backticks_is_reported() -> None:
    assert unnamed(["Turn", "Rows", "Row"], "`Turn` → `Row`, and Rows") == ["Rows"]


def test_a_command_without_section_and_an_option_without_mention_are_reported() -> None:
    text = "### `nightdesk run`\n`--home`\n### `nightdesk logs [NAME]`\n`-n 5` lines\n"
    options = {"nightdesk run": ["--home"], "nightdesk logs": ["-n", "--lines"], "nightdesk halt": []}
    assert undocumented_commands(options, text) == ["nightdesk logs --lines", "nightdesk halt: no section"]


def test_a_default_that_differs_or_is_missing_is_reported() -> None:
    text = "| key | default |\n|---|---|\n| `a_s` | 15 |\n| `b_s` | 2 |\n"
    assert wrong_defaults({"a_s": 15.0, "b_s": 3.0, "c_s": 1.0}, text) == ["b_s: 2", "c_s: None"]


def test_the_kinds_of_events_are_found_in_their_forms() -> None:
    source = """
def emit(world, account, now, why, kind):
    world.event("feed.end", "DIGEST", "text")
    account.event(now, f"hold.{why}", "PAGE", "text")
    world.event(kind, "DIGEST", "text")
    end(_crash(kind, f"{why} in words"))
    work.act(Record("child.held", level, path, "text"))
    kind = "child.died" if why else "child.ended"
"""
    kinds = event_kinds(source)
    assert unmatched(kinds, {"feed.end", "hold.found", "child.held", "child.died"}) == [re.escape("child.ended")]
    assert len(kinds) == 5


def test_documented_kinds_are_those_of_the_first_cells() -> None:
    assert documented_kinds("| `a.b`, `c` | `d.e` |\n") == {"a.b", "c"}


def test_a_link_to_nowhere_is_reported(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# What is there\n")
    text = "[a](there.md) [b](there.md#what-is-there) [c](there.md#not) [d](gone.md) [e](https://example.org)"
    assert len(broken_links(tmp_path / "page.md", text)) == 2


def test_a_marked_block_is_found_by_its_name() -> None:
    text = "<!-- file: a.py -->\n```python\nx = 1\n```\n```python\ny = 2\n```\n"
    assert blocks(text, "file") == {"a.py": "x = 1\n"}


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
