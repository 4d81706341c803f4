"""What a page lacks: each finder takes text and gives what is missing in it. test_doc_finders shows each a sample."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
LEVELS = {"PAGE", "NOTIFY", "DIGEST", "LOG"}
EMITTERS = {"event", "Event", "Record", "record_death", "_crash", "_end_by_routine", "_hold_off", "Change", "Told"}
"""Functions whose first text argument is the kind of an event (or, handed on by them, its level)."""


def doc(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def unnamed(names: Iterable[str], text: str) -> list[str]:
    """Names that do not stand in backticks."""
    quoted = set(re.findall(r"`([^`\n]+)`", text))
    words = {word for span in quoted for word in re.findall(r"[\w.]+", span)}
    return sorted(name for name in names if name not in quoted and name not in words)


def named_tests(text: str) -> list[tuple[str, str]]:
    """Of tables: a test's file, and words of its name; of "`test_orders`: a fill on ACK, FLL twice" there are two."""
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    named = re.findall(r"`(test_\w+)(?:\.py)?`: ([^;`|(]+)", tables)
    return [(file, words.strip()) for file, several in named for words in several.split(", ")]


def all_tests(folder: Path) -> dict[str, list[str]]:
    """The tests of each file, without their prefix."""
    found: dict[str, list[str]] = {}
    for file in folder.rglob("test_*.py"):
        found.setdefault(file.stem, []).extend(re.findall(r"^ *def test_(\w+)", file.read_text("utf-8"), re.M))
    return found


def missing_tests(text: str, tests: dict[str, list[str]]) -> list[str]:
    """Tests that are named and not there."""

    def there(file: str, words: str) -> bool:
        name = re.sub(r"\W+", "_", words.lower().replace("'", "")).strip("_")
        return any(name in each for each in tests.get(file, ()))

    return [f"{file}: {words}" for file, words in named_tests(text) if not there(file, words)]


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
        missing += [f"{command} {each}" for body in bodies for each in options if not names_option(body, each)]
    return missing


def names_option(text: str, option: str) -> bool:
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
