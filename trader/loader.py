"""The stored copy of a strategy's code, made into its class. Used in the trader's process only.

The copy is compiled under the name of the file it came from, so that an error shows the user's own file and line.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import msgspec

from trader.sessions import Code
from trader.strategy import Strategy

MODULE = "nightdesk_strategy"
"""A fresh module: never one that the supervisor had imported before it forked."""


class BadStrategy(Exception):
    """The code has no such strategy, or its parameters are wrong; the message says what to do."""


def load(code: Code, class_name: str) -> Strategy:
    """An instance of the class. What the code itself raises goes through, with its file and line."""
    module = ModuleType(MODULE)
    module.__file__ = code.filename
    sys.modules[MODULE] = module
    exec(compile(code.source, code.filename, "exec"), module.__dict__)  # the user's own code is what this is for
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, Strategy):
        raise BadStrategy(f"{code.filename}: {class_name} is no class derived from trader.strategy.Strategy")
    return found()


def parameters(strategy: Strategy, given: dict[str, Any]) -> msgspec.Struct:
    """The typed parameters; ``BadStrategy`` names the field, what was given and what it has."""
    try:
        return msgspec.convert(given, strategy.Parameters, strict=False)
    except msgspec.ValidationError as error:
        known = (
            ", ".join(f"{f.name}: {_type_name(f.type)}" for f in msgspec.structs.fields(strategy.Parameters)) or "none"
        )
        settings = " ".join(f"{name}={value!r}" for name, value in given.items())
        raise BadStrategy(
            f"parameters of {type(strategy).__name__}: {error}; given: {settings}; it has: {known}. "
            "Stop and remove the session, and add it again with --set KEY=VALUE that fit"
        ) from error


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
