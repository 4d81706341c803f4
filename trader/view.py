"""The supervision tree in lines for people, and in rows for programs. PURE."""

from __future__ import annotations

from supervisor.messages import ChildInfo, Death, Tree

SILENT_S = 1.0
"""Machine seconds to its hang below which a child is shown as silent: its loop turns four times within its limit."""
ROW = ("name", "state", "for_s", "pid", "restarts", "expected", "budget_left", "next_try_s", "why")
"""Columns of a row."""


def tree_lines(seen: Tree, deaths: int = 0) -> list[str]:
    """One line a child, indented by its supervisors; below it as many of its last ends as are asked for."""
    supervisors = {child.name for child in seen.children if child.type == "supervisor"}
    labels = [_label(child, supervisors) for child in seen.children]
    column = max(map(len, labels), default=0) + 2
    lines = []
    for child, label in zip(seen.children, labels, strict=True):
        lines.append(label.ljust(column) + _tree_line(child, seen.now_s))
        depth = sum(child.name.startswith(name + "/") for name in supervisors)
        lines += [f"{'  ' * depth}    † {death_text(each, seen.now_s)}" for each in last(child, deaths)]
    return lines


def _label(child: ChildInfo, supervisors: set[str]) -> str:
    above = [name for name in supervisors if child.name.startswith(name + "/")]
    label = child.name[len(max(above, key=len)) + 1 :] if above else child.name
    return f"{'  ' * len(above)}{mark(child)} {label}"


def _tree_line(child: ChildInfo, now_s: float) -> str:
    text = f"{child.state:<10} {duration(max(0.0, now_s - child.since_s)):>8}"
    if child.type == "worker":
        text += f"  pid {child.pid or '-':<8}"
        expected = f" +{child.expected_restarts} expected" if child.expected_restarts else ""
        text += f"↺{child.restarts}{expected}"
    else:
        text += f"  {child.strategy}"
    text += "".join(f"  {fact}" for fact in facts(child, now_s))
    return text + (f"  last: {child.why}" if child.why else "")


def facts(child: ChildInfo, now_s: float) -> list[str]:
    """What of a child's life is not in its state: only what a person should know just now."""
    told = []
    if child.type == "supervisor" and child.restarts + len(child.deaths):
        told.append(f"{child.budget_left} restarts left")
    if child.next_try_s:
        told.append(f"next try in {duration(max(0.0, child.next_try_s - now_s))}")
    if child.pid and child.alive_for_s is not None and child.alive_for_s < SILENT_S:
        told.append("hung" if child.alive_for_s < 0 else f"silent, hung in {duration(child.alive_for_s)}")
    if child.pid and child.fresh_for_s is not None:
        word = "fresh for" if child.fresh_for_s >= 0 else "stale since"
        told.append(f"{word} {duration(abs(child.fresh_for_s))}")
    return told


def last(child: ChildInfo, deaths: int) -> tuple[Death, ...]:
    return child.deaths[-deaths:] if deaths > 0 else ()


def death_text(death: Death, now_s: float | None = None) -> str:
    """How one incarnation ended: reason, time alive, peak of memory, what was left of the budget."""
    ago = f", {duration(max(0.0, now_s - death.at_s))} ago" if now_s is not None else ""
    peak = f", peak {death.peak_mib:.0f} MiB" if death.peak_mib else ""
    left = f", {death.budget_left} restarts left" if death.how == "abnormal" else ""
    return f"{death.how}: {death.why} (alive {duration(death.alive_s)}{peak}{left}){ago}"


def tree_row(child: ChildInfo, now_s: float) -> str:
    """The columns of ``ROW``, separated by tabs; empty where there is nothing."""
    cells = (
        child.name,
        child.state,
        f"{max(0.0, now_s - child.since_s):.1f}",
        child.pid or "",
        child.restarts,
        child.expected_restarts,
        child.budget_left if child.type == "supervisor" else "",
        f"{max(0.0, child.next_try_s - now_s):.1f}" if child.next_try_s else "",
        " ".join(child.why.split()),
    )
    return "\t".join(map(str, cells))


def changes(before: Tree | None, now: Tree) -> list[str]:
    """What happened between two looks at the tree, one line each: name, what, and the reason, separated by tabs."""
    known = {child.name: child for child in before.children} if before else {}
    lines = []
    for child in now.children:
        was = known.pop(child.name, None)
        lines += _change(was, child, now.now_s) if before else [f"{child.name}\t{child.state}\t{_pid(child)}"]
    return lines + [f"{name}\tgone\t" for name in known]


def _change(was: ChildInfo | None, child: ChildInfo, now_s: float) -> list[str]:
    seen = was.deaths[-1].incarnation if was and was.deaths else 0
    lines = [f"{child.name}\tdied\t{death_text(each)}" for each in child.deaths if each.incarnation > seen]
    if was is None or (was.state, was.incarnation, was.next_try_s) != (
        child.state,
        child.incarnation,
        child.next_try_s,
    ):
        lines.append(f"{child.name}\t{child.state}\t{', '.join([_pid(child), *facts(child, now_s)]).strip(', ')}")
    return lines


def _pid(child: ChildInfo) -> str:
    return f"pid {child.pid}" if child.pid else ""


def mark(child: ChildInfo) -> str:
    if child.state == "up":
        return "●"
    return "○" if child.state == "ended" else "▲"


def duration(seconds: float) -> str:
    """3d04h, 5h23m, 12m04s, 9.4s: two figures that matter."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
