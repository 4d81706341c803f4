"""Keeps the architecture: who may import whom, which files are pure, where process code meets its world.

Reads source text by ast and imports none of the packages. Each rule is a function from (path, source text) to
findings, so that the tests at the end can show each one a violation that it must report.
"""

import ast
import subprocess
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("supervisor", "brokers", "feeds", "trader")

# In all patterns "*" also crosses "/": a room that grows into a folder stays under its rule.
PURE_FILES = (
    "supervisor/core/*.py",
    "supervisor/messages.py",
    "supervisor/errors.py",
    "supervisor/process/outbox.py",
    "supervisor/process/server.py",
    "supervisor/process/world.py",
    "supervisor/process/writes.py",
    "supervisor/wire/codec.py",
    "supervisor/wire/envelope.py",
    "supervisor/wire/follow.py",
    "supervisor/wire/limits.py",
    "supervisor/wire/seldom.py",
    "brokers/model.py",
    "brokers/broker.py",
    "brokers/errors.py",
    "brokers/tradestation/wire.py",
    "brokers/tradestation/frames.py",
    "brokers/tradestation/instructions.py",
    "brokers/tradestation/oauth.py",
    "brokers/tradestation/shapes.py",
    "brokers/tradestation/statuses.py",
    "brokers/budget.py",
    "brokers/tradestation/addresses.py",
    "brokers/tradestation/client.py",
    "brokers/tradestation/limits.py",
    "brokers/tradestation/requests.py",
    "brokers/tradestation/emulator/app.py",
    "brokers/tradestation/emulator/matching.py",
    "brokers/tradestation/emulator/trailing.py",
    "brokers/tradestation/emulator/steps.py",
    "brokers/tradestation/emulator/hours.py",
    "brokers/tradestation/emulator/expiry.py",
    "brokers/tradestation/emulator/rules.py",
    "brokers/tradestation/emulator/order.py",
    "brokers/tradestation/emulator/lives.py",
    "brokers/tradestation/emulator/money.py",
    "brokers/tradestation/emulator/bodies.py",
    "brokers/tradestation/emulator/checks.py",
    "brokers/tradestation/emulator/placing.py",
    "brokers/tradestation/emulator/confirm.py",
    "brokers/tradestation/emulator/order_wire.py",
    "brokers/tradestation/emulator/order_frames.py",
    "brokers/tradestation/emulator/orders.py",
    "brokers/tradestation/emulator/market.py",
    "brokers/tradestation/emulator/streams.py",
    "brokers/tradestation/emulator/book.py",
    "brokers/tradestation/emulator/instruments.py",
    "brokers/tradestation/emulator/ledger.py",
    "brokers/tradestation/emulator/state.py",
    "brokers/tradestation/emulator/values.py",
    "brokers/tradestation/emulator/wire.py",
    "brokers/tradestation/emulator/balances.py",
    "brokers/tradestation/emulator/day_start.py",
    "brokers/tradestation/emulator/brokerage.py",
    "brokers/tradestation/emulator/marketdata.py",
    "brokers/tradestation/emulator/query.py",
    "brokers/tradestation/emulator/oauth.py",
    "brokers/tradestation/emulator/faults.py",
    "brokers/tradestation/emulator/errors.py",
    "brokers/tradestation/emulator/chart_news.py",
    "brokers/tradestation/emulator/distort.py",
    "brokers/tradestation/emulator/fault_rules.py",
    "brokers/tradestation/emulator/limits.py",
    "brokers/tradestation/emulator/mishaps.py",
    "brokers/tradestation/emulator/paging.py",
    "brokers/tradestation/emulator/quotes.py",
    "brokers/tradestation/emulator/renewal.py",
    "brokers/tradestation/emulator/series.py",
    "brokers/tradestation/emulator/steering.py",
    "brokers/tradestation/emulator/stream_ends.py",
    "brokers/tradestation/emulator/switches.py",
    "brokers/tradestation/emulator/ticks.py",
    "brokers/tradestation/emulator/trading_days.py",
    "feeds/staleness.py",
    "feeds/lines.py",
    "feeds/leases.py",
    "feeds/paths.py",
    "feeds/specs.py",
    "feeds/messages.py",
    "feeds/config.py",
    "feeds/recent.py",
    "feeds/reservations.py",
    "feeds/trading_day.py",
    "trader/messages.py",
    "trader/desk/commands.py",
    "trader/hours/market_hours.py",
    "trader/data/bars.py",
    "trader/holds.py",
    "trader/incidents.py",
    "trader/manager/inquiry.py",
    "trader/moments.py",
    "trader/desk/plan.py",
    "trader/desk/unattended.py",
    "trader/hosting/notes.py",
    "trader/hosting/state.py",
    "trader/hosting/timers.py",
    "trader/hosting/waiting.py",
    "trader/hosting/words.py",
    "trader/orders/*.py",
    "trader/risk/*.py",
    "trader/minding/*.py",
    "trader/accounting/*.py",
    "trader/specs.py",
    "trader/sessions.py",
    "trader/demo/report.py",
    "trader/doctor/findings.py",
    "trader/simulate/check.py",
    "trader/simulate/figures.py",
)
PROCESS_FILES = (
    "feeds/*.py",
    "trader/manager/*.py",
    "trader/data/*.py",
    "trader/hours/*.py",
    "trader/hosting/*.py",
    "trader/desk/*.py",
    "supervisor/control/server.py",
)

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "supervisor": frozenset({"supervisor"}),
    "brokers": frozenset({"brokers"}),
    "feeds": frozenset({"feeds", "brokers", "supervisor"}),
    "trader": frozenset({"trader", "feeds", "brokers", "supervisor"}),
}
OURS = frozenset({*PACKAGES, "tests", "scripts"})

# What the world gives to process code (now, after, http, stream, store, random, new_id), by its usual names.
BEHIND_THE_WORLD = frozenset(
    {"time", "socket", "threading", "zmq", "requests", "sqlite3", "random", "uuid", "os"}
    | {"asyncio", "http.client", "secrets", "select", "sqlite_utils", "subprocess", "urllib.request"}
)
NOT_PURE = BEHIND_THE_WORLD | {"io", "logging", "loguru", "pathlib", "shutil", "signal", "tempfile"}
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})  # of datetime and date
EFFECTS = frozenset({"open", "print", "input"})

# Rooms of trader/ that know only each other and the words beside them: what decides knows nothing of who asks it.
DECIDING_ROOMS = ("orders", "risk", "minding", "accounting")
WORDS = frozenset({"holds", "messages", "sessions", "strategy", "hours"})

# A library is loaded only in the process that needs it: the files that may import it.
ONLY_IN: Mapping[str, str] = {
    "click": "trader/cli/*.py",
    "exchange_calendars": "trader/hours/calendars.py",
    "pandas": "trader/hours/calendars.py",
    "rich": "trader/cli/*.py",
    "starlette": "brokers/tradestation/emulator/server.py",
    "uvicorn": "brokers/tradestation/emulator/server.py",
    "multiprocess": "supervisor/runtime/spawn.py",
    "multiprocessing": "supervisor/runtime/spawn.py",
}

# Rooms whose objects own each other (a simulated process and its world, the emulator's state and its parts): there a
# module may name another for its types that imports it. Nowhere else.
CIRCLES_WITHIN = ("supervisor/sim/*.py", "brokers/tradestation/emulator/*.py")

MAX_LINES = 499  # far above the 80 to 300 a file should have: here a second room is overdue

# Places outside the project. Put together from parts, so that this file does not name them either.
OUTSIDE = tuple(
    "".join(parts)
    for parts in (
        *((".", "./shared"), (".", "library"), ("/wor", "k/"), ("/tmp", "/w/")),
        *(
            ("(DES", "IGN"),
            ("tradestation-", "v3"),
            ("tradestation ", "v3"),
        ),  # papers that no reader of the project has
    )
)

Rule = Callable[[str, str], list[str]]


# --- the rules: (path from the root, source text) -> findings


def import_directions(path: str, source: str) -> list[str]:
    """Rule: trader -> feeds -> brokers, trader and feeds -> supervisor; never the other way."""
    package = path.partition("/")[0]
    allowed = MAY_IMPORT[package]
    return [
        f"{path}:{line}: {package} must not import {module}"
        for line, module in imports(path, source)
        if module.partition(".")[0] in OURS - allowed
    ]


def deciding_rooms(path: str, source: str) -> list[str]:
    """Rule: what decides of orders, risk, minding and money imports no process, no store and no command."""
    room = path.removeprefix("trader/").partition("/")[0]
    if room not in DECIDING_ROOMS:
        return []
    return [
        f"{path}:{line}: trader/{room} must not import {module}"
        for line, module in imports(path, source)
        if module.startswith("trader.") and module.split(".")[1] not in WORDS.union(DECIDING_ROOMS)
    ]


def purity(path: str, source: str) -> list[str]:
    """Rule: what decides has no clock, no socket, no file and no log."""
    if not matches(path, PURE_FILES):
        return []
    return (
        forbidden_imports(path, source, NOT_PURE, "a pure file")
        + clock_readings(path, source)
        + [
            f"{path}:{call.lineno}: a pure file must not call {call.func.id}()"
            for call in calls(path, source)
            if isinstance(call.func, ast.Name) and call.func.id in EFFECTS
        ]
    )


def seam(path: str, source: str) -> list[str]:
    """Rule: process code reaches what is outside itself through its world only."""
    if not matches(path, PROCESS_FILES):
        return []
    return forbidden_imports(path, source, BEHIND_THE_WORLD, "process code") + clock_readings(path, source)


def libraries_in_their_place(path: str, source: str) -> list[str]:
    """Rule: an import stays in the process that needs it."""
    return [
        f"{path}:{line}: {owned} is imported in {ONLY_IN[owned]} only"
        for line, module in imports(path, source)
        if (owned := module.partition(".")[0]) in ONLY_IN and not fnmatchcase(path, ONLY_IN[owned])
    ]


def circle(sources: Mapping[str, str]) -> list[str]:
    """Rule: no module imports itself through others, nor for types only. Gives the circle, [] where there is none."""
    graph: dict[str, set[str]] = {}
    for path, source in sources.items():
        known = {module_file(name, sources) for _, name in imports(path, source)} - {"", path}
        within = matches(path, CIRCLES_WITHIN)
        graph[path] = {each for each in known if not (within and matches(each, CIRCLES_WITHIN))}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def module_file(name: str, files: Mapping[str, str]) -> str:
    """The file of what is imported: of ``from a.b import c`` it is the module c, or b where c is a name in it."""
    for module in (name, name.rpartition(".")[0]):
        place = module.replace(".", "/")
        for file in (f"{place}.py", f"{place}/__init__.py"):
            if file in files:
                return file
    return ""


def size(path: str, source: str) -> list[str]:
    """Rule: a file stays a room."""
    lines = len(source.splitlines())
    return [f"{path}: {lines} lines, at most {MAX_LINES}: find a second room"] if lines > MAX_LINES else []


def nothing_outside(path: str, text: str) -> list[str]:
    """Rule: no file of the project names a place outside it."""
    return [
        f"{path}:{number}: names {place!r}, which is outside the project"
        for number, line in enumerate(text.splitlines(), start=1)
        for place in OUTSIDE
        if place in line
    ]


SOURCE_RULES: tuple[Rule, ...] = (import_directions, deciding_rooms, purity, seam, libraries_in_their_place, size)


# --- what the rules are made of


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Each imported name, absolute and dotted, with its line: at the top, inside functions, relative too."""
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.split("/")[: -node.level] if node.level else []
            module = ".".join([*package, *filter(None, [node.module])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def forbidden_imports(path: str, source: str, forbidden: frozenset[str], what: str) -> list[str]:
    return [
        f"{path}:{line}: {what} must not import {module}"
        for line, module in imports(path, source)
        if any(module == name or module.startswith(name + ".") for name in forbidden)
    ]


def clock_readings(path: str, source: str) -> list[str]:
    """Calls of datetime.now and its kin; any object's, since datetime can be imported under any name."""
    return [
        f"{path}:{call.lineno}: time is an argument here, not {ast.unparse(call.func)}()"
        for call in calls(path, source)
        if isinstance(call.func, ast.Attribute) and call.func.attr in CLOCK_METHODS
    ]


def calls(path: str, source: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(source, path)) if isinstance(node, ast.Call))


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


# --- the project keeps the rules


def package_files() -> list[str]:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def project_files() -> list[str]:
    """What git tracks, or would track if it were added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.decode().strip()}")
    return sorted(name for name in set(listed.stdout.decode().split("\0")) if (ROOT / name).is_file())


@pytest.mark.parametrize("rule", SOURCE_RULES, ids=lambda rule: rule.__name__)
def test_the_packages_keep_the_rule(rule: Rule) -> None:
    files = package_files()
    assert {name.partition("/")[0] for name in files} == set(PACKAGES)
    findings = [finding for name in files for finding in rule(name, (ROOT / name).read_text("utf-8"))]
    assert not findings, "\n".join(findings)


def test_no_module_imports_itself_through_others() -> None:
    assert circle({name: (ROOT / name).read_text("utf-8") for name in package_files()}) == []


def test_a_circle_of_imports_is_reported() -> None:
    one, other = "from feeds.b import f", "if TYPE_CHECKING:\n    from feeds.a import g"
    assert set(circle({"feeds/a.py": one, "feeds/b.py": other})) == {"feeds/a.py", "feeds/b.py"}
    assert circle({"feeds/a.py": one, "feeds/b.py": "import msgspec"}) == []
    assert (
        circle({"supervisor/sim/a.py": "import supervisor.sim.b", "supervisor/sim/b.py": "import supervisor.sim.a"})
        == []
    )


def test_no_file_of_the_project_names_a_place_outside_it() -> None:
    findings: list[str] = []
    for name in project_files():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:  # git's own sign of a binary file
            findings += nothing_outside(name, content.decode("utf-8", errors="replace"))
    assert not findings, "\n".join(findings)


# --- the rules see what breaks them, and nothing else

BROKEN = [
    (import_directions, "supervisor/core/tree.py", "import feeds.stream"),
    (import_directions, "supervisor/messages.py", "from trader.events import Event"),
    (import_directions, "brokers/broker.py", "from supervisor import messages"),
    (import_directions, "feeds/bars.py", "def f():\n    import trader"),
    (import_directions, "feeds/bars.py", "from ..trader import events"),
    (import_directions, "trader/app.py", "from tests import helpers"),
    (deciding_rooms, "trader/risk/gates.py", "from trader.manager.account import Account"),
    *((purity, name.replace("*", "x"), "import time") for name in PURE_FILES),
    *((purity, "trader/risk/gates.py", f"import {name}") for name in sorted(NOT_PURE)),
    (purity, "trader/risk/gates.py", "from os import path"),
    (purity, "trader/risk/gates.py", "from urllib import request"),
    (purity, "trader/risk/gates.py", "import datetime as d\nx = d.datetime.now()"),
    (purity, "trader/risk/gates.py", "from datetime import datetime as D\nx = D.utcnow()"),
    (purity, "trader/risk/gates.py", "x = open('f')"),
    (purity, "trader/risk/gates.py", "print('x')"),
    *((seam, name.replace("*", "x"), "import zmq") for name in PROCESS_FILES),
    *((seam, "feeds/bars.py", f"import {name}") for name in sorted(BEHIND_THE_WORLD)),
    (seam, "trader/manager/orders.py", "from time import monotonic"),
    (seam, "trader/hosting/runner.py", "def f():\n    import zmq.green"),
    (seam, "feeds/bars.py", "x = datetime.now(UTC)"),
    (libraries_in_their_place, "trader/app.py", "import click"),
    (libraries_in_their_place, "trader/report/page.py", "from rich.table import Table"),
    (libraries_in_their_place, "brokers/tradestation/emulator/app.py", "import starlette.routing"),
    (libraries_in_their_place, "trader/cli/main.py", "import uvicorn"),
    (libraries_in_their_place, "trader/hours/writer.py", "import exchange_calendars"),
    (libraries_in_their_place, "supervisor/runtime/loop.py", "import multiprocess"),
    (size, "trader/app.py", "\n" * (MAX_LINES + 1)),
    *((nothing_outside, "docs/page.md", f"see {place}x") for place in OUTSIDE),
]
KEPT = [
    (
        import_directions,
        "trader/app.py",
        "import trader.events, feeds.bars, brokers.model, supervisor.messages",
    ),
    (
        import_directions,
        "feeds/bars.py",
        "from brokers.model import Bar\nfrom supervisor.process import World",
    ),
    (import_directions, "supervisor/core/tree.py", "import msgspec\nfrom . import spec"),
    (
        purity,
        "trader/sessions.py",
        "from datetime import datetime\nfrom urllib.parse import quote\nimport timeit",
    ),
    (purity, "trader/risk/gates.py", "def f(book, now):\n    return book.open(now)"),
    (purity, "trader/desk/recorder.py", "import loguru"),
    (seam, "trader/app.py", "import os, time, zmq"),
    (seam, "trader/cli/status.py", "import os"),
    (seam, "feeds/bars.py", "x = world.now_s()"),
    (libraries_in_their_place, "trader/cli/tree.py", "import click\nfrom rich.tree import Tree"),
    (libraries_in_their_place, "brokers/tradestation/emulator/server.py", "import starlette, uvicorn"),
    (libraries_in_their_place, "supervisor/runtime/spawn.py", "import multiprocess"),
    (size, "trader/app.py", "\n" * MAX_LINES),
    (nothing_outside, "docs/page.md", "see shared/x, library, and work"),
]


@pytest.mark.parametrize(("rule", "path", "source"), BROKEN)
def test_a_broken_rule_is_reported(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source)


@pytest.mark.parametrize(("rule", "path", "source"), KEPT)
def test_what_keeps_the_rule_is_not_reported(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source) == []
