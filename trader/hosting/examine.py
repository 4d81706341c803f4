"""A strategy's code looked at before it is started, in a process of its own: imported, its class found, its parameters
read, and those that were given checked against them.

    python -m trader.hosting.examine < question.json > answer.json

No process of the desk and no command imports what a user wrote, except the trader that runs it; so a strategy that
hangs, prints or ends its interpreter at its import harms nobody here either.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

import msgspec

from trader.hosting.loader import MODULE, Parameter, load, parameters, parameters_of
from trader.sessions import Code
from trader.strategy import Strategy


class Question(msgspec.Struct, frozen=True):
    """The code, its class, and the parameters that it is to run with."""

    code: Code
    class_name: str
    settings: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True):
    """``error``: what is wrong with it, with file and line where it has one; "" if it can be started."""

    error: str = ""
    about: str = ""
    parameters: tuple[Parameter, ...] = ()


def examine(question: Question) -> Answer:
    try:
        strategy = load(question.code, question.class_name)
        about, known = _about(strategy), parameters_of(strategy)
        parameters(strategy, question.settings)
    except Exception as error:  # noqa: BLE001 - whatever the user's module does when it is imported, its line is told
        return Answer(error=f"{type(error).__name__}: {error}{_line(error, question.code.filename)}")
    return Answer(about=about, parameters=known)


def _about(strategy: Strategy) -> str:
    """What its file says first; else its class, where that says something of its own."""
    of_class = type(strategy).__doc__ if type(strategy).__doc__ != Strategy.__doc__ else None
    return (sys.modules[MODULE].__doc__ or of_class or "").strip()


def _line(error: BaseException, filename: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return f" ({filename}:{lines[-1]})" if lines else ""


def main() -> None:
    answer_to = sys.stdout.buffer
    sys.stdout = sys.stderr  # what the strategy prints is not the answer
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    answer_to.write(msgspec.json.encode(examine(question)))
    answer_to.flush()


if __name__ == "__main__":
    main()
