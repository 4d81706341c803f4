"""The tree in one line, for whoever has only one: a service manager's status. PURE.

About processes alone: what a child does well or badly while it is up, its own application has to say. The line holds no
number that counts by itself (an age, a time left), so it changes only when something has happened.
"""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.core.tree import Node

WHY_CHARS_MAX = 160
"""Characters of the last end's reason: the line is for a screen, the log has it whole."""


def verdict(nodes: dict[str, Node]) -> str:
    """One word, a colon, and what it rests on: starting, ok, degraded, stopping or ended."""
    root = nodes[""]
    if root.state == "stopping":
        return f"stopping: {_living(nodes)}"
    if root.state == "ended":
        return f"ended: {_one_line(root.why)}"
    workers = [node for node in _in_sequence(nodes, "") if node.spec.type == "worker" and node.state != "ended"]
    count = f"{sum(node.state == 'up' for node in workers)} of {len(workers)} up"
    troubles = [node for node in _in_sequence(nodes, "") if node.held or node.stale or node.state == "waiting"]
    if root.state != "up":
        next_up = next((node.path for node in workers if node.state == "starting"), "")
        return f"starting: {count}" + (f", waiting for {next_up}" if next_up else "")
    if troubles:
        return f"degraded: {count}; {_trouble(troubles[0])}{_more(len(troubles) - 1)}"
    return f"ok: {count}"


def _in_sequence(nodes: dict[str, Node], path: str) -> Iterator[Node]:
    """All below this one, in the order in which they are started."""
    for child in nodes[path].order:
        yield nodes[child]
        yield from _in_sequence(nodes, child)


def _living(nodes: dict[str, Node]) -> str:
    """The first that is waited for: the one that was told to end, or else the next that will be."""
    living = [node for node in _in_sequence(nodes, "") if node.spec.type == "worker" and not node.down]
    told = [node for node in living if node.state == "stopping"]
    first = (told or living)[-1:]
    return f"waiting for {first[0].path}{_more(len(living) - 1)}" if first else "all are down"


def _trouble(node: Node) -> str:
    """Of a held child the tries and not what it does just now: that changes with each of them."""
    if node.stale and not node.held:
        return f"{node.path} stale"
    what = f"held, try {node.held}" if node.held else node.state
    return f"{node.path} {what}" + (f": {_one_line(node.why)}" if node.why else "")


def _more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WHY_CHARS_MAX else line[: WHY_CHARS_MAX - 3] + "..."
