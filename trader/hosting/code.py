"""A strategy's code as the user names it: found, read and checked for syntax, but never imported here.

It is imported in the trader's process alone, from the stored copy (strategy-api: a half-saved edit never goes live).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from trader.sessions import Code, Session

BUNDLED = "trader.strategies"
OURS = "trader"
SOURCE_BYTES_MAX = 1024 * 1024
"""A strategy is a page of code; a megabyte is something else."""


class BadStrategy(Exception):
    """The strategy cannot be found or is no Python; the message says where and what to do."""


def find_code(strategy: str) -> tuple[Code, str]:
    """The code and the class's name, for ``file.py``, ``package.module`` or a bundled name, ``:Class`` optional."""
    where, _, class_name = strategy.partition(":")
    path = Path(where).expanduser() if where.endswith(".py") else _module_file(where)
    try:
        data = path.read_bytes()
        source = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadStrategy(f"strategy {strategy!r}: {path} cannot be read: {error}") from error
    if len(data) > SOURCE_BYTES_MAX:
        raise BadStrategy(f"strategy {strategy!r}: {path} has {len(data)} bytes, limit {SOURCE_BYTES_MAX}")
    try:
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", "?")
        raise BadStrategy(f"strategy {strategy!r}: {path}:{line}: {error}. Nothing was stored or started.") from error
    _one_file(tree, path, strategy)
    code = Code(sha256=hashlib.sha256(data).hexdigest(), filename=str(path.resolve()), source=source)
    return code, _class_of(tree, class_name, strategy)


def new_session(
    name: str, strategy: str, *, account: str, symbols: tuple[str, ...], connection: str, **words: Any
) -> tuple[Session, Code]:
    """A session of the strategy as its file is now, and that code. ``words``: what else it says of itself."""
    code, class_name = find_code(strategy)
    named = Session(name, strategy, class_name, code.sha256, account, symbols, connection)
    return msgspec.structs.replace(named, **words), code


def _one_file(tree: ast.Module, path: Path, strategy: str) -> None:
    """One file is stored: what it imports from its own folder would be missing at night, or be another than the one
    that was started. Installed packages are imported as they are installed."""
    for line, name in _imports(tree):
        top = name.partition(".")[0]
        beside = (path.parent / f"{top}.py").exists() or (path.parent / top / "__init__.py").exists()
        if not top or (beside and top != OURS):
            raise BadStrategy(
                f"strategy {strategy!r}: {path}:{line}: it imports {name} from its own folder, and a strategy is stored"
                " as one file. Put all of it into that file, or what it shares into a package that you install."
                " Nothing was stored or started."
            )


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def _module_file(name: str) -> Path:
    for candidate in (f"{BUNDLED}.{name}", name):
        try:
            spec = importlib.util.find_spec(candidate)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            return Path(spec.origin)
    raise BadStrategy(f"strategy {name!r}: no bundled strategy and no module is called so; a file's name ends in .py")


def _class_of(tree: ast.Module, wanted: str, strategy: str) -> str:
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    if wanted:
        if wanted not in {node.name for node in classes}:
            raise BadStrategy(f"strategy {strategy!r}: no class {wanted} in it")
        return wanted
    strategies = [node.name for node in classes if any(_is_strategy(base) for base in node.bases)]
    if len(strategies) != 1:
        found = ", ".join(strategies) or "none"
        raise BadStrategy(
            f"strategy {strategy!r}: wanted one class that derives from Strategy, found {found}; add :Class"
        )
    return strategies[0]


def _is_strategy(base: ast.expr) -> bool:
    name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
    return name == "Strategy"
