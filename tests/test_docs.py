"""Documents that cannot rot: what the code has, the docs name. What they show runs in test_doc_examples."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from brokers.tradestation.emulator import faults
from brokers.tradestation.emulator.fault_rules import FAULTS, Rule
from brokers.tradestation.emulator.switches import MEANING, ORDER_RULES, Switches
from feeds.config import ConnectionConfig, Timing
from supervisor.messages import Message
from tests.doc_finders import (
    DOCS,
    ROOT,
    all_tests,
    broken_links,
    doc,
    documented_kinds,
    documents,
    event_kinds,
    missing_tests,
    names_option,
    rows,
    sections,
    undocumented_commands,
    unmatched,
    unnamed,
    wrong_defaults,
)
from trader.arguments import SymbolConfig
from trader.cli import common
from trader.cli.main import EXIT_CODES, main
from trader.config import DeskSection
from trader.risk.limits import LimitsSection

PACKAGES = ("supervisor", "brokers", "feeds", "trader")


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


# --- the docs name what the code has


def test_every_command_and_option_is_in_operating() -> None:
    text = doc("operating.md")
    options = commands(main, "nightdesk")
    assert len(options) > 10
    emulator = {"nightdesk emulator": options.pop("nightdesk emulator")}
    assert not undocumented_commands(options, text)
    assert not undocumented_commands(emulator, text)
    assert not [each for each in ("-h", "--help", "--version", "--home") if not names_option(text, each)]


def test_every_option_of_the_emulator_is_in_its_own_page() -> None:
    options = commands(main, "nightdesk")["nightdesk emulator"]
    assert not [each for each in options if not names_option(doc("emulator.md"), each)]


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


def test_every_test_that_the_rules_of_order_safety_name_is_there() -> None:
    assert missing_tests(doc("order-safety.md"), all_tests(ROOT / "tests")) == []


def test_every_law_and_rule_that_the_code_names_by_number_is_in_its_page() -> None:
    code = "\n".join(file.read_text("utf-8") for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    laws = set(re.findall(r"^\| (\d+) \|", doc("architecture.md"), re.MULTILINE))
    numbers = re.findall(r"^\| ([\d., ]+)", doc("order-safety.md"), re.MULTILINE)
    rules = {each.strip(",") for row in numbers for each in row.split()}
    named = re.findall(r"\blaw (\d+)", code), re.findall(r"\border-safety (\d+\.\d+)", code)
    assert min(map(len, named)) > 10
    assert set(named[0]) <= laws
    assert set(named[1]) <= rules


def test_every_module_that_a_page_names_exists() -> None:
    pattern = re.compile(r"`((?:supervisor|brokers|feeds|trader|tests|docs|scripts)/[\w/.]+)`")
    named = {path for file in documents() for path in pattern.findall(file.read_text("utf-8"))}
    assert named
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]
