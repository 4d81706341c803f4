"""Members of groups, for the tests of groups in both worlds. A module of its own: children import it by name."""

from __future__ import annotations

from typing import Any

from supervisor.messages import ChildSpec, Done, Message, Request
from supervisor.process.server import Caller, Server
from tests.supervisor.toys import worker


class Spread(Request["Spreads"], frozen=True):
    """Cast ``word`` to the group; answered with the names of those who were there for it."""

    group: str
    word: str


class Spreads(Message, frozen=True):
    names: tuple[str, ...]


Spread.REPLY = Spreads


class Move(Request[Done], frozen=True):
    REPLY = Done
    group: str
    join: bool


class Word(Message, frozen=True):
    word: str


class ReadWords(Request["Words"], frozen=True):
    pass


class Words(Message, frozen=True):
    words: tuple[str, ...]


ReadWords.REPLY = Words


class Member(Server):
    """Hears words, spreads words, joins and leaves."""

    def init(self) -> None:
        self.words: list[str] = []

    def handle_call(self, request: Request[Any], caller: Caller) -> Message | None:
        match request:
            case Spread():
                return Spreads(self.world.cast_group(request.group, Word(request.word)))
            case Move():
                (self.world.supervisor.join if request.join else self.world.supervisor.leave)(request.group)
                return Done()
            case ReadWords():
                return Words(tuple(self.words))
        return super().handle_call(request, caller)

    def handle_cast(self, message: Message) -> None:
        assert isinstance(message, Word)
        self.words.append(message.word)
        self.world.log.info(f"heard {message.word}")


def member(child_id: str, *groups: str, **fields: Any) -> ChildSpec:
    return worker(child_id, start="tests.supervisor.group_toys:Member", groups=groups, **fields)
