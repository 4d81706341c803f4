"""The supervision tree in lines for people. PURE."""

from __future__ import annotations

from supervisor.messages import ChildInfo, Tree


def tree_lines(seen: Tree) -> list[str]:
    """One line a child, indented by its supervisors."""
    supervisors = {child.name for child in seen.children if child.type == "supervisor"}
    return [_tree_line(child, supervisors, seen.now_s) for child in seen.children]


def _tree_line(child: ChildInfo, supervisors: set[str], now_s: float) -> str:
    above = [name for name in supervisors if child.name.startswith(name + "/")]
    label = child.name[len(max(above, key=len)) + 1 :] if above else child.name
    text = f"{'  ' * len(above)}{mark(child)} {label}".ljust(44)
    text += f"{child.state:<10} {duration(max(0.0, now_s - child.since_s)):>8}"
    if child.type == "worker":
        text += f"  pid {child.pid or '-':<8}"
        expected = f" +{child.expected_restarts} expected" if child.expected_restarts else ""
        text += f"↺{child.restarts}{expected}"
    else:
        text += f"  {child.strategy}"
    if child.next_try_s:
        text += f"  next try in {duration(max(0.0, child.next_try_s - now_s))}"
    return text + (f"  last: {child.why}" if child.why else "")


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
