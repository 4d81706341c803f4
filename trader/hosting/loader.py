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


class UnfitStrategy(Exception):
    """The code has no such strategy, or its parameters are wrong; the message says what to do."""


def load(code: Code, class_name: str) -> Strategy:
    """An instance of the class. What the code itself raises goes through, with its file and line."""
    module = ModuleType(MODULE)
    module.__file__ = code.filename
    sys.modules[MODULE] = module
    exec(compile(code.source, code.filename, "exec"), module.__dict__)  # the user's own code is what this is for
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, Strategy):
        raise UnfitStrategy(f"{code.filename}: {class_name} is no class derived from trader.strategy.Strategy")
    return found()


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a strategy, in words."""

    name: str
    type: str
    default: str
    required: bool


def parameters_of(strategy: Strategy) -> tuple[Parameter, ...]:
    """What it may be started with."""
    return tuple(map(_parameter, msgspec.structs.fields(strategy.Parameters)))


def parameters(strategy: Strategy, given: dict[str, Any]) -> msgspec.Struct:
    """The typed parameters; ``UnfitStrategy`` names the field, what was given and what it has. What the struct's own
    ``__post_init__`` refuses (ValueError, TypeError) is told in the same way."""
    known = parameters_of(strategy)
    unknown = [name for name in given if name not in {each.name for each in known}]
    try:
        if unknown:
            raise msgspec.ValidationError(f"unknown field `{unknown[0]}`")
        return msgspec.convert(given, strategy.Parameters, strict=False)
    except msgspec.ValidationError as error:
        fitting = ", ".join(map(told, known)) or "none"
        settings = " ".join(f"{name}={value!r}" for name, value in given.items())
        raise UnfitStrategy(
            f"parameters of {type(strategy).__name__}: {error}; given: {settings}; it has: {fitting}. "
            "Give --set KEY=VALUE that fit"
        ) from error


def _parameter(field: msgspec.structs.FieldInfo) -> Parameter:
    """Its default as `--set` would take it."""
    default = field.default if field.default is not msgspec.NODEFAULT else None
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return Parameter(field.name, _type_name(field.type), str(default), field.required)


def told(parameter: Parameter) -> str:
    """``fast: int = 3``; without a default it must be given."""
    return f"{parameter.name}: {parameter.type}{'' if parameter.required else f' = {parameter.default}'}"


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
