"""What is open, as `status` shows it: of the record and of each session's journal, told by cause."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from supervisor.errors import StoreFailed
from supervisor.messages import ChildInfo
from supervisor.process.printable import printable
from supervisor.process.store import SqliteStore
from trader.cli.stored import moment
from trader.incidents import Cause, Incident
from trader.store import desk
from trader.view import duration

PAGE_SHOWN_S = 12 * 3600.0
"""Machine seconds for which a page without an incident (a skipped bar, a refused stop) is shown: over a night."""
HELD_UP = "held, up"
"""It was slowed down and runs: that has to last."""


def open_pages(home: Path, unread: list[str], now_s: float) -> list[Incident]:
    """Incidents that were opened and not resolved, and pages of the last hours that are no incident and so never end
    by themselves; newest last, of desk.db and of the sessions' journals. What cannot
    be read goes to ``unread``: a store that is broken must not hide the others' troubles."""
    rows: list[dict[str, Any]] = []
    for path in [home / desk.DESK_DB, *sorted((home / "sessions").glob("*.db"))]:
        try:
            rows += _open_incidents(path, now_s)
        except StoreFailed as error:
            if str(error) not in unread:
                unread.append(str(error))
    newest = {row["incident"] or number: row for number, row in enumerate(rows)}  # one that became louder is one
    return sorted((Incident(**row) for row in newest.values()), key=lambda each: each.market_utc)


def _open_incidents(path: Path, now_s: float) -> list[dict[str, Any]]:
    if not path.exists():
        # Nothing was recorded yet.
        return []
    with closing(SqliteStore(path, None)) as store:
        return store.query(
            "SELECT incident, kind, level, subject, text, market_utc FROM events"
            " WHERE level = 'PAGE' AND incident = '' AND machine_s BETWEEN ? AND ? UNION ALL"
            " SELECT incident, kind, level, subject, text, market_utc FROM events AS opened"
            " WHERE incident_state = 'opened'"
            " AND NOT EXISTS (SELECT 1 FROM events AS later WHERE later.incident = opened.incident"
            " AND later.incident_state = 'resolved' AND later.number > opened.number)",
            (now_s - PAGE_SHOWN_S, now_s),
        )


def doing_now(child: ChildInfo, now_s: float) -> str:
    """What one that was slowed down does at this moment: its event tells of the moment when that began."""
    if child.state == HELD_UP:
        return f"now up for {duration(max(0.0, now_s - child.since_s))}, over when that lasts"
    if child.next_try_s:
        return f"now waiting, next try in {duration(max(0.0, child.next_try_s - now_s))}"
    return f"now {child.state}"


def told_by_cause(
    found: Sequence[Incident], causes: Sequence[Cause], slowed: Sequence[ChildInfo], now_s: float, *, all_of: bool
) -> list[str]:
    """A line for each cause, oldest first, with what follows from it counted; ``all_of``: each of these as well."""
    heads = {each.incident for each in found if each.incident} | {each.id for each in causes}
    below: dict[str, list[Incident]] = {}
    for each in found:
        if each.caused_by in heads:
            below.setdefault(each.caused_by, []).append(each)
    first = [each for each in found if each.caused_by not in heads]
    first += [Incident(c.id, "", c.level, c.subject, c.text, c.market_utc) for c in causes]
    lines: list[str] = []
    for line, head in _lines(sorted(first, key=lambda each: each.market_utc), slowed, now_s):
        lines.append(f"✖ {line}")
        follow = below.get(head.incident, []) if head.incident else []
        for told, _ in _lines(follow, slowed, now_s) if all_of else ():
            lines.append(f"    └ {told}")
        if follow and not all_of:
            lines.append(f"    {_counted(follow, slowed)} → nightdesk status --all")
    recorded = {each.subject for each in found if each.kind == "child.held"}
    unrecorded = [child for child in slowed if child.name not in recorded]  # the recorder itself, or while it was away
    return lines + [f"✖ {c.name} is slowed down: {c.why}; {doing_now(c, now_s)}" for c in unrecorded]


def _counted(follow: Sequence[Incident], slowed: Sequence[ChildInfo]) -> str:
    """``6 incidents follow from it (4 of 6 slowed down are up again)``: what has come back must not read as away."""
    number = f"{len(follow)} incidents follow" if len(follow) > 1 else "1 incident follows"
    held = {each.subject for each in follow if each.kind == "child.held"}
    up = sum(child.name in held and child.state == HELD_UP for child in slowed)
    return f"{number} from it" + (f", {up} of {len(held)} slowed down are up again" if up else "")


def event_lines(events: Sequence[Incident], slowed: Sequence[ChildInfo] = (), now_s: float = 0.0) -> list[str]:
    """When, by whom and what, newest last."""
    return [line for line, _ in _lines(events, slowed, now_s)]


def _lines(events: Sequence[Incident], slowed: Sequence[ChildInfo], now_s: float) -> list[tuple[str, Incident]]:
    """Pages of one kind and about one thing (a text begins with it: ``ESZ13 bar``) that end by nothing are one line:
    the newest, and how many there were before it. Of those that are slowed down also what they do now."""
    now = {child.name: f" ({doing_now(child, now_s)})" for child in slowed}
    newest: dict[tuple[str, ...], tuple[Incident, int]] = {}
    for event in events:
        about = event.incident or " ".join(event.text.split()[:2])
        key = (event.subject, event.kind, about)
        _, before = newest.pop(key, (event, 0))
        newest[key] = event, before + 1
    lines = []
    for event, number in newest.values():
        more = f" ({number - 1} more like it before)" if number > 1 else ""
        subject, told = event.subject, event.text
        told = printable(told if told.startswith(subject) else f"{subject}: {told}")
        more += now.get(subject, "") if event.kind == "child.held" else ""
        lines.append((f"{event.level}  {moment(event.market_utc)}  {told}{more}", event))
    return lines
