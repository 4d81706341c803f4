"""Settling a supervisor: whatever must go down goes down, then whatever must come up comes up. PURE.

Level-triggered: it looks at the children as they are, so it may be called at any time and as often as one likes. Rules:
OTP 25 ``supervisor`` (start in sequence, shutdown in reverse, one at a time), ``DynamicSupervisor`` (all at once).
What a death means is decided in ``deaths.py``.
"""

from __future__ import annotations

from typing import Literal

from supervisor.core.tree import NEVER_S, Announce, AskToStop, Exit, Kill, Node, Record, Spawn
from supervisor.core.work import Work
from supervisor.messages import Started


def settle(work: Work, path: str) -> bool:
    """Bring a supervisor as near to what it should be as it can get now. True: it was to end, and all below is down."""
    sup = work.nodes[path]
    if sup.state == "stopping":
        return go_down(work, sup, 0, "ended")
    if sup.state in ("starting", "up") and regrouped(work, sup):
        go_up(work, path)
    return False


def regrouped(work: Work, sup: Node) -> bool:
    """No older incarnation of the group that is to start again is left."""
    if sup.regroup_from is None:
        return True
    if not go_down(work, sup, sup.regroup_from, "idle"):
        return False
    work.set(sup.path, regroup_from=None)
    return True


def go_down(work: Work, sup: Node, first: int, after: Literal["idle", "ended"]) -> bool:
    """End the children from place ``first`` on: in reverse, one at a time; a dynamic supervisor's all at once."""
    for path in reversed(sup.order[first:]):
        node = work.nodes[path]
        if not node.down:
            stop(work, path, after, "its supervisor ends it" if after == "ended" else "its group starts again")
            if not sup.flags.dynamic:
                return False
        elif after == "ended" and node.state != "ended":
            work.end(path, f"stopping: {sup.path or 'the root'} ends, {path} was not started")
    return all(work.nodes[path].down for path in work.nodes[sup.path].order[first:])


def attend(work: Work, path: str, parent: str | None) -> None:
    """Something has changed for a child. Its supervisor settles all of them; but where none waits for another there is
    only this one to look at, and of a dynamic supervisor's that end all at once the last one: they may be thousands."""
    if parent is None:
        return
    sup, node = work.nodes[parent], work.nodes.get(path)
    if sup.state == "up" and sup.flags.strategy == "one_for_one":
        if node is not None and node.state == "idle":
            start(work, path)
    elif not (sup.state == "stopping" and sup.flags.dynamic and node is None and sup.order):
        work.touch(parent)


def go_up(work: Work, path: str) -> None:
    """Start what is idle: in sequence, each when its elder is up; once up, one_for_one children independently."""
    sup = work.nodes[path]
    group = sup.flags.strategy != "one_for_one"
    in_sequence = not sup.flags.dynamic and (group or sup.state == "starting")
    for child in sup.order:
        if work.nodes[child].state == "idle":
            start(work, child)
        state = work.nodes[child].state
        if in_sequence and state in ("starting", "stopping"):
            return
        if group and state == "waiting":
            break
    if sup.state == "starting":
        up(work, path)


# -- one node's way up ------------------------------------------------------------------------------------------------


def start(work: Work, path: str) -> None:
    incarnation, work.next_incarnation = work.next_incarnation, work.next_incarnation + 1
    for child in work.nodes[path].order:
        work.forget(child)
    fresh = {
        "outcome": None,
        "start_failed": False,
        "gave_up": False,
        "doom": "",
        "ending": "",
        "death_times_s": (),
        "regroup_from": None,
    }
    born = {"incarnation": incarnation, "born_s": work.now_s}
    node = work.set(path, state="starting", deadline_s=NEVER_S, pid=0, **born, **fresh)
    if node.spec.type == "worker":
        work.set(path, deadline_s=work.now_s + node.spec.start_limit_s)
        work.act(Spawn(path, incarnation, node.spec))
        return
    for spec in node.spec.children:
        work.add(path, spec, kept=True)
    work.touch(path)


def up(work: Work, path: str) -> None:
    node = work.nodes[path]
    back_off = work.parent(node).flags.back_off if node.parent is not None else None
    healthy_s = work.now_s + back_off.healthy_s if node.held and back_off else NEVER_S
    work.answer_all(node.started_by, Started(path, node.incarnation, node.pid))
    work.set(path, state="up", deadline_s=healthy_s, started_by=(), kept=True)
    work.act(Announce(path, node.incarnation, up=True))
    attend(work, path, node.parent)


# -- one node's way down ----------------------------------------------------------------------------------------------


def stop(work: Work, path: str, after: Literal["idle", "ended"], reason: str) -> None:
    """Tell a living node to end. ``after``: what it becomes then; once "ended" was asked for, it stays so."""
    node = work.nodes[path]
    if node.asked:
        if after == "ended" != node.after:
            work.set(path, after=after)
    else:  # it lives, or closes by itself, for which it has no limit; from now on it has
        limit_s = node.spec.shutdown_limit_s
        deadline_s = work.now_s + limit_s if limit_s and not node.doom else NEVER_S
        work.set(path, state="stopping", after=after, outcome=None, deadline_s=deadline_s)
        tell_to_stop(work, node, reason)


def tell_to_stop(work: Work, node: Node, reason: str) -> None:
    """A supervisor ends its children by himself; one with brutal_kill is gone at once, and all below with it."""
    if node.doom:
        killed_already(work, node)
    elif node.spec.type == "supervisor":
        work.touch(node.path)
        if node.spec.shutdown_limit_s == 0:
            kill_below(work, node.path, f"killed with {node.path} (brutal_kill)")
    elif node.spec.shutdown_limit_s == 0:
        work.act(Kill(node.path, node.incarnation))
    else:
        work.act(AskToStop(node.path, node.incarnation, reason))


def killed_already(work: Work, node: Node) -> None:
    """Hung, too big or too late, and not reaped yet: its end will be taken for that of the stop, so it is told now."""
    work.act(Record("child.killed", "DIGEST", node.path, f"{node.path} {node.doom}"))


def kill_below(work: Work, path: str, why: str) -> None:
    """All workers below a supervisor at once, without a word: in OTP a killed supervisor takes its links with it."""
    for child in work.nodes[path].order:
        node = work.nodes[child]
        if node.down:
            continue
        if node.spec.type == "supervisor":
            work.set(child, state="stopping", after="ended", outcome=None, deadline_s=NEVER_S)
            work.touch(child)
            kill_below(work, child, why)
        else:
            work.set(child, state="stopping", after="ended", doom=node.doom or why, deadline_s=NEVER_S)
            if not node.doom:
                work.act(Kill(child, node.incarnation))
            elif node.state != "stopping":
                killed_already(work, node)


def close(work: Work, path: str, exit: Exit, start_failed: bool = False, gave_up: bool = False) -> None:
    """A supervisor ends by its own decision: it failed to start, gave up, or shuts down automatically."""
    sup = work.nodes[path]
    if sup.state in ("starting", "up"):
        decision = {"outcome": exit, "start_failed": start_failed, "gave_up": gave_up}
        work.set(path, state="stopping", after="idle", deadline_s=NEVER_S, **decision)
        work.touch(path)
