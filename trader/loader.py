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
    """The typed parameters; ``BadStrategy`` names the field and the value's type."""
    try:
        return msgspec.convert(given, strategy.Parameters, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(strategy.Parameters.__struct_fields__) or "none"
        raise BadStrategy(f"parameters of {type(strategy).__name__}: {error}; it has: {known}") from error
