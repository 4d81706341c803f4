"""Which open incidents have one cause: told once, with what follows from it counted. PURE.

Who opens an incident knows what happens to itself: six feeds that die of one dead venue are six incidents of the
supervisor, and no process knows of the other five. Whoever reads the record does. An incident is put under a cause by
what is known, never by a guess:

    a refused login              all that is below its connection
    nothing of a connection      every one of its feeds and books has an incident: its venue is not had (the connection
                                 tells that too, up to two minutes later)
    one reason                   several of its feeds are slowed down, and died of the same last
    a position without attention its session is slowed down and holds something: told by that, once
    the same process             it is stale, or slowed down, and has said why itself
    the feed of a series         the bars of a session's symbol wait for a feed that has one

A page is never put under anything: somebody has to act on it. What is under a cause is as open as before: it ends by
itself, is in the record, and is shown where it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from feeds import paths
from supervisor.messages import ChildInfo

RANK = {"LOG": 0, "DIGEST": 1, "NOTIFY": 2, "PAGE": 3}
NUMBERS = re.compile(r"\d+")
"""Of a wait, a port, a try: no difference between two reasons."""
ROOTS = ("connection.login_needed", "connection.venue_away")
"""What a connection says of itself."""
BY_SUPERVISOR = ("child.held", "child.stale")
"""What a process's supervisor tells of it: the process itself knows better."""


class Incident(msgspec.Struct, frozen=True):
    """One that is open, or a page that belongs to none (``incident`` ""). ``caused_by``: the id of another one, or of a
    ``Cause``."""

    incident: str
    kind: str
    level: str
    subject: str
    text: str
    market_utc: float
    caused_by: str = ""


class Cause(msgspec.Struct, frozen=True):
    """What nobody has told as an incident of its own, because it shows only in several. ``market_utc``: since when."""

    id: str
    level: str
    subject: str
    text: str
    market_utc: float


def by_cause(
    found: Sequence[Incident], children: Sequence[ChildInfo], feeds_from: Mapping[str, str]
) -> tuple[list[Incident], list[Cause]]:
    """The incidents, each with what it is ``caused_by``, and the causes that are none themselves. ``children``: the
    tree. ``feeds_from``: the connection of each session's bars."""
    below: dict[str, str] = {}  # by id of an incident
    causes: list[Cause] = []
    foldable = [each for each in found if each.incident and each.level != "PAGE"]
    for each in foldable:
        own = (o.incident for o in foldable if o.subject == each.subject and o.kind not in BY_SUPERVISOR)
        if each.kind in BY_SUPERVISOR and (why := next(own, "")):
            below[each.incident] = why
        session = each.subject.split("/")[1] if each.subject.startswith("sessions/") else ""
        if each.kind == "child.held" and any(o.incident == f"unattended:{session}" for o in found):
            below[each.incident] = f"unattended:{session}"
    for connection in dict.fromkeys(_connection_of(each.subject) for each in found):
        members = [each for each in foldable if connection and _serves(each.subject, connection)]
        root = next((o for o in found if o.kind in ROOTS and _connection_of(o.subject) == connection), None)
        if root is not None:
            below |= {each.incident: root.incident for each in members}
            continue
        for cause, concerned in _causes(connection, members, children):
            causes.append(cause)
            below |= {each.incident: cause.id for each in concerned}
    for each in foldable:
        if feed := _feed_waited_for(each, feeds_from):
            first = next((o for o in foldable if o.subject == feed), None)
            if first is not None:
                below[each.incident] = below.get(first.incident, first.incident)
    return [msgspec.structs.replace(each, caused_by=below.get(each.incident, "")) for each in found], causes


def _causes(
    connection: str, members: list[Incident], children: Sequence[ChildInfo]
) -> Iterable[tuple[Cause, list[Incident]]]:
    """Of one connection: that nothing of it is had; or else, for each reason that slows several of its feeds down."""
    served = [child.name for child in children if child.type == "worker" and _serves(child.name, connection)]
    failing = {each.subject for each in members}
    if len(served) > 1 and failing.issuperset(served):
        why = next((r for each in members if each.kind == "books.unread" and (r := reason(each.text))), "")
        text = f"nothing of its venue is had, all {len(served)} feeds and books fail: {why or reason(members[0].text)}"
        yield _cause(connection, "away", text, members), members
        return
    newest = {child.name: child.why for child in children}
    alike: dict[str, list[Incident]] = {}
    for each in members:
        if each.kind == "child.held":
            alike.setdefault(NUMBERS.sub("", newest.get(each.subject) or reason(each.text)), []).append(each)
    for why, same in alike.items():
        if len(same) > 1:
            words = newest.get(same[0].subject) or reason(same[0].text)
            text = f"{len(same)} of its {len(served)} feeds and books are slowed down: {words}"
            slowed = {each.subject for each in same}
            yield _cause(connection, why, text, same), [o for o in members if o in same or _stale_of(o, slowed)]


def _stale_of(each: Incident, slowed: set[str]) -> bool:
    return each.kind == "child.stale" and each.subject in slowed


def _cause(connection: str, what: str, text: str, members: Sequence[Incident]) -> Cause:
    """As old as the oldest of what follows from it, and as loud as the loudest."""
    level = max((each.level for each in members), key=RANK.__getitem__)
    since_utc = min(each.market_utc for each in members)
    return Cause(f"{what} {connection}", level, paths.supervisor(connection), text, since_utc)


def _serves(name: str, connection: str) -> bool:
    """A feed or books, by the names that a connection gives them."""
    return name.startswith((paths.feed(connection, ""), paths.books(connection, "")))


def _connection_of(subject: str) -> str:
    """The connection that a process belongs to, "" for none."""
    room, _, rest = subject.partition("/")
    return rest.partition("/")[0] if room == paths.CONNECTIONS else ""


def _feed_waited_for(each: Incident, feeds_from: Mapping[str, str]) -> str:
    """``stale:sessions/es/data_source:bars/ESZ13/60``: the name of the feed that this series comes from."""
    if each.kind != "data.stale":
        return ""
    session = each.subject.split("/")[1] if "/" in each.subject else ""
    feed = each.incident.removeprefix(f"stale:{each.subject}:")
    return paths.feed(feeds_from[session], feed) if session in feeds_from else ""


def reason(text: str) -> str:
    """The last words of whoever died, or what a read failed with, out of what was told of it."""
    for before, after in ((", last: ", ". Next try in "), ("nothing is concluded from it: ", "")):
        _, found, told = text.partition(before)
        if found:
            return told.rpartition(after)[0] if after and after in told else told
    return text
