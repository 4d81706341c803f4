"""What a person has stopped: holds and flattens as desk.db and the halt file tell them; what of it stands. PURE.

Three levels: *hold*, no new entries; *halt*, a hold that cancels working entries too; *flatten*, a
halt that closes the position and ends when the broker shows it flat. A hold stands until a person releases it by name;
a flatten happens once. Nothing here knows a store, a file or a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

HALT_FILE = "halt"
"""In the home. That it is there halts the whole desk, whatever stands in it; it also works with every process that
would store a hold dead. `nightdesk halt` writes it, and so does `touch halt`."""
HALT_BYTES_MAX = 4096
"""Of the halt file, as far as it is read: who, why, when."""
WORDS_MAX = 200
"""Characters of who and of why: they stand in `status`, in refusals and in events."""
EVERYBODY = ""
"""The session of a hold that stands for all sessions, present and future."""


class Level(StrEnum):
    HOLD = "hold"
    HALT = "halt"


class PersonHold(msgspec.Struct, frozen=True):
    """A hold as it is stored. ``session``: its name, or EVERYBODY. ``number``: of the change of desk.db's holds that
    set it. ``file``: digest of the halt file that it was taken from or set with, "" for none."""

    session: str
    level: Level
    by: str
    why: str
    since_utc: float
    number: int = 0
    file: str = ""

    def told(self) -> str:
        """For a refusal, an event or `status`."""
        who = f"{self.level} of all sessions" if self.session == EVERYBODY else self.level.value
        return f"{who} by {self.by}{f': {self.why}' if self.why else ''}"


class Holds(msgspec.Struct, frozen=True):
    """All that stands in desk.db. ``seen``: number of the newest change. ``flattens``: the newest flatten that was
    asked of each session, and whose hold was not released since."""

    seen: int = 0
    standing: tuple[PersonHold, ...] = ()
    flattens: dict[str, int] = {}


class HaltFile(msgspec.Struct, frozen=True):
    """What `nightdesk halt` writes. ``flatten``: close all positions too; done by the recorder, once for each file."""

    by: str = ""
    why: str = ""
    written: str = ""
    flatten: bool = False
    id: str = ""


class InForce(msgspec.Struct, frozen=True):
    """What stands for one session. ``flatten``: number of the newest flatten asked of it, 0 for none. ``file``: digest
    of the halt file. ``unread``: why desk.db or the file could not be read: then nobody knows, and entries are held."""

    seen: int = 0
    holds: tuple[PersonHold, ...] = ()
    flatten: int = 0
    file: str = ""
    unread: str = ""

    @property
    def held(self) -> bool:
        return bool(self.holds or self.unread)

    @property
    def halted(self) -> bool:
        return any(hold.level is Level.HALT for hold in self.holds)

    def reasons(self) -> tuple[str, ...]:
        return (*(hold.told() for hold in self.holds), *((self.unread,) if self.unread else ()))


NOTHING_STANDS = InForce()


class Taken(msgspec.Struct, frozen=True):
    """What an account manager has taken in, in its journal: its word for whoever asked. ``begun``, ``over`` and
    ``confirmed`` are numbers of flattens; one that is over and not confirmed was ended by a release."""

    seen: int = 0
    file: str = ""
    held: bool = False
    halted: bool = False
    begun: int = 0
    over: int = 0
    confirmed: int = 0
    paged: bool = False


def parse_halt_file(data: bytes) -> HaltFile:
    """Whatever it holds, it halts: who wrote it by hand need not know our form."""
    try:
        file = msgspec.json.decode(data[:HALT_BYTES_MAX], type=HaltFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return HaltFile(by="the halt file")
    return msgspec.structs.replace(file, by=words(file.by) or "the halt file", why=words(file.why))


def words(text: str) -> str:
    """One printable line of bounded length."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:WORDS_MAX]


def digest(data: bytes | None) -> str:
    """Names this very file; "" where there is none."""
    return "" if data is None else hashlib.sha256(data[:HALT_BYTES_MAX]).hexdigest()[:16]


def in_force(holds: Holds, file: bytes | None, session: str, unread: str = "") -> InForce:
    """What of all that stands for one session. A halt file that the recorder has stored already counts once."""
    mine = [each for each in holds.standing if each.session in (EVERYBODY, session)]
    mark = digest(file)
    if file is not None and not any(each.file == mark for each in mine):
        told = parse_halt_file(file)
        mine = [each for each in mine if each.session != EVERYBODY]
        mine.append(PersonHold(EVERYBODY, Level.HALT, told.by, told.why, 0.0, file=mark))
    flatten = holds.flattens.get(session, 0)
    return InForce(holds.seen, tuple(mine), flatten, mark, unread)


def stricter(before: PersonHold | None, after: PersonHold) -> bool:
    """Whether setting it changes what stands: a hold never takes away a halt."""
    return before is None or (before.level is Level.HOLD and after.level is Level.HALT)


def those_of(session: str, standing: Iterable[PersonHold]) -> PersonHold | None:
    return next((each for each in standing if each.session == session), None)
