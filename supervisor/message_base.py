"""What every message is. The messages themselves are in ``messages.py`` (one file a plane).

A ``Message`` travels as msgpack, tagged with its class name. A ``Request`` names the type of its reply, so that a
call is typed from end to end. All are frozen: a message is never changed after it was made.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from supervisor.errors import BadMessage

R = TypeVar("R", bound="Message")

MESSAGE_TYPES: dict[str, type[Message]] = {}


class Message(msgspec.Struct, frozen=True, tag=True, tag_field="message", forbid_unknown_fields=True, gc=False):
    """Base of all that is sent. Defining a subclass makes it known to the codec under its class name. ``gc``: a message
    holds plain values, in which no circle of references can be, so the garbage collector need not look at it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = MESSAGE_TYPES.get(cls.__name__)
        if known is not None and known.__module__ != cls.__module__:
            raise BadMessage(f"two messages are called {cls.__name__}: {known.__module__} and {cls.__module__}")
        MESSAGE_TYPES[cls.__name__] = cls


class Request(Message, Generic[R], frozen=True):
    """A message that wants one reply. ``REPLY`` is the reply's type; a wrong reply is a decode error at the caller."""

    REPLY: ClassVar[type[Message]]
