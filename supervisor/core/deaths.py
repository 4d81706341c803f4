"""What follows when a child is down: OTP's table of restart types, strategies, intensity, auto-shutdown. PURE.

And, where a supervisor declares ``back_off``, the one that fails is held, not its elders. ``settle.py`` then does it.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from supervisor.core.restart import EXPECTED_GAP_S, add_restart, back_off_s, budget_left, intensity
from supervisor.core.settle import attend, close
from supervisor.core.tree import NEVER_S, Announce, Exit, Finished, Node, Record, TreeState
from supervisor.core.work import Work
from supervisor.messages import Death, Done, Level, Started

DEATHS_KEPT = 10
"""Ends of a child that are kept: enough for a bad night of one child, a few kilobytes each in the largest tree."""
TRIES_TOLD = 4
"""So many tries of a held child are told one by one."""
NUMBER = re.compile(r"[\d.]+")


def gone(work: Work, path: str, exit: Exit) -> None:
    """A node is down: what follows is its supervisor's decision. ``node`` is it as it was just before."""
    node = work.nodes[path]
    if node.doom:
        exit = replace(exit, how="abnormal", why=node.doom)
    work.unstale(path, f"{path} has ended: {exit.why}")
    work.set(path, pid=0, why=exit.why, deadline_s=NEVER_S, state="ended")
    work.act(Announce(path, node.incarnation, up=False, why=exit.why))
    if node.parent is None:
        work.act(Finished(gave_up=node.gave_up and not node.asked, why=exit.why))
        return
    if node.asked:
        stopped(work, node, exit)
    elif work.parent(node).state == "stopping":
        record_death(work, node, exit)
        work.end(path, f"stopping: {node.parent or 'the root'} ends, and {path} ended: {exit.why}")
    elif in_regroup(work, node):
        died_with_its_group(work, node, exit)
    elif exit.how == "ignore" and node.state == "starting":
        ignored(work, node)
    elif node.state == "starting" or node.start_failed:
        start_failed(work, node, exit)
    else:
        died(work, node, exit)
    attend(work, path, node.parent)
    for waited_for in (path, node.parent):
        content(work, waited_for)


def content(work: Work, path: str) -> None:
    """Somebody waits for the end of a child that had declared it, and it is brought back anyway: that will do."""
    node = work.nodes.get(path)
    if node is None or node.again is None or node.state == "stopping" or ending(work, node):
        return
    work.answer_all(node.again[1], Started(path, node.incarnation, node.pid, already=True))
    work.set(path, again=None)


def ending(tree: Work | TreeState, node: Node) -> bool:
    """It lives, but has declared an end after which nobody would start it again; or its supervisor is one that will
    shut itself down for the end that a significant child has declared."""
    if node.down:
        return False
    if node.spec.type == "worker":
        stays_down = {"permanent": False, "transient": node.ending != "expected", "temporary": True}
        return bool(node.ending) and stays_down[node.spec.restart]
    significant = [tree.nodes[path] for path in node.order if tree.nodes[path].spec.significant]
    if node.flags.auto_shutdown == "any_significant":
        return any(ending(tree, each) for each in significant)
    living = [each for each in significant if lives_on(each)]
    return node.flags.auto_shutdown == "all_significant" and bool(living) and all(ending(tree, each) for each in living)


def lives_on(node: Node) -> bool:
    """For all_significant: it is not ended, nor told to end for good (OTP, which waits for that, would find it ended).
    One that is being restarted lives on."""
    for_good = node.asked and node.after == "ended" and node.again is None
    return node.state != "ended" and not for_good


def stopped(work: Work, node: Node, exit: Exit) -> None:
    """It ended because it was told to."""
    if exit.how == "abnormal" and not node.doom and node.spec.shutdown_limit_s > 0:
        record_death(work, node, exit)
    else:
        keep_death(work, node, exit)
    error = f"stopped: {node.path} was stopped before it was ready"
    if node.again is not None:
        begin_again(work, node, error)
    elif node.after == "idle" and node.spec.restart != "temporary":
        work.set(node.path, state="idle")
    else:
        work.end(node.path, error)


def begin_again(work: Work, node: Node, error: str) -> None:
    """Somebody has asked for it while it was ending."""
    assert node.again is not None
    spec, tokens = node.again
    work.answer_all(node.started_by, None, error)
    work.answer_all(node.stopped_by, Done())
    work.unhold(node.path, f"{node.path} has ended and is started again on request")
    work.set(node.path, stopped_by=(), again=None)
    work.renew(node.path, spec, tokens)


def died_with_its_group(work: Work, node: Node, exit: Exit) -> None:
    """It was to be ended and started again anyway. OTP finds it dead while it ends the group, and charges nothing."""
    record_death(work, node, exit)
    if node.spec.restart == "temporary":
        work.end(node.path, f"failed: {node.path} ended: {exit.why}")
    else:
        work.set(node.path, state="idle")


def ignored(work: Work, node: Node) -> None:
    """OTP's ignore: the start answers ok, without a process (incarnation 0); the spec is kept as after any end, also
    when a restart_child that comes later fails."""
    work.answer_all(node.started_by, Started(node.path, 0))
    work.set(node.path, started_by=(), kept=True)
    work.end(node.path, "")


def start_failed(work: Work, node: Node, exit: Exit) -> None:
    """It was not ready. Where the start was asked for the answer is all; where it was the supervisor's, he goes on."""
    sup = work.parent(node)
    text = f"{node.path} failed to start: {exit.why}"
    asked, first = bool(node.started_by), sup.state == "starting"
    if not asked and not first and node.spec.restart != "temporary":
        restart(work, node, exit, "child.start_failed")
        return
    record_death(work, node, exit, "child.start_failed")
    if asked:
        work.end(node.path, f"failed: {text}")
        if not node.kept and node.path in work.nodes:
            work.forget(node.path)
    elif first and sup.flags.back_off is None:
        work.end(node.path, "")
        close(work, sup.path, Exit("abnormal", text), start_failed=True, gave_up=True)
    elif node.spec.restart == "temporary":
        work.end(node.path, "")
    else:
        work.set(node.path, restarts=node.restarts + 1)
        hold(work, work.nodes[node.path], exit, "its first start failed")


def died(work: Work, node: Node, exit: Exit) -> None:
    """OTP's table (``do_restart/3``): permanent always; transient after an abnormal end (or an expected one);
    temporary never."""
    again = {"permanent": True, "transient": exit.how in ("abnormal", "expected"), "temporary": False}
    if again[node.spec.restart] and exit.how != "expected":
        restart(work, node, exit)
        return
    record_death(work, node, exit)
    if again[node.spec.restart]:
        restart_expected(work, node)
    elif node.again is not None:
        begin_again(work, node, f"failed: {node.path} ended before it was ready: {exit.why}")
    else:
        work.end(node.path, f"failed: {node.path} ended before it was ready: {exit.why}")
        auto_shutdown(work, node, exit)


def auto_shutdown(work: Work, node: Node, exit: Exit) -> None:
    """OTP's ``do_auto_shutdown/2``: only who ended by itself and is not restarted comes here."""
    sup = work.parent(node)
    if not node.spec.significant or sup.flags.auto_shutdown == "never":
        return
    others = [work.nodes[path] for path in sup.order if path != node.path]
    if sup.flags.auto_shutdown == "all_significant" and any(
        each.spec.significant and lives_on(each) for each in others
    ):
        return
    close(work, sup.path, Exit("shutdown", f"{node.path} ended: {exit.why}"))


# -- restarts ---------------------------------------------------------------------------------------------------------


def restart_expected(work: Work, node: Node) -> None:
    """Routine: at once, at most one a second, counted apart, not charged."""
    due_s = node.expected_at_s + EXPECTED_GAP_S
    wait = due_s > work.now_s
    work.set(
        node.path,
        state="waiting" if wait else "idle",
        deadline_s=due_s if wait else NEVER_S,
        expected_restarts=node.expected_restarts + 1,
        expected_at_s=max(due_s, work.now_s),
    )
    regroup(work, node)


def restart(work: Work, node: Node, exit: Exit, kind: str = "") -> None:
    """OTP's ``restart/2``, for a death as for a start that failed: each is charged. Within the intensity at once;
    beyond it, as the supervisor declares, back off or give up."""
    sup = work.parent(node)
    work.set(node.path, restarts=node.restarts + 1)
    if node.held:
        then = f"; next try, number {node.held + 1}, in {wait_s(work, node):.1f} s"
        record_death(work, node, exit, kind, then, again=tells_nothing(node, exit))
        hold(work, work.nodes[node.path], exit, "")
        return
    times_s, too_many = add_restart(sup.death_times_s, work.now_s, sup.flags)
    work.set(sup.path, death_times_s=times_s)
    again = "it starts again" if sup.flags.strategy == "one_for_one" else "its group starts again"
    record_death(work, node, exit, kind, "" if too_many else f"; {again}")
    deaths = f"{len(times_s)} deaths in {sup.flags.period_s:g} s (limit {intensity(sup.flags)})"
    if not too_many:
        work.set(node.path, state="idle")
        regroup(work, node)
    elif sup.flags.back_off is not None:
        of_whom = f", {own_of(work, node)} of them its own" if len(sup.order) > 1 else ""
        hold(work, work.nodes[node.path], exit, f"{deaths} below {sup.path or 'the root'}{of_whom}")
    else:
        text = f"{sup.path or 'the root'} gives up: {deaths}, last {node.path}: {exit.why}"
        work.act(Record("supervisor.gave_up", "PAGE", sup.path, text))
        work.end(node.path, f"failed: {text}")
        close(work, sup.path, Exit("shutdown", text), start_failed=sup.state == "starting", gave_up=True)


def hold(work: Work, node: Node, exit: Exit, deaths: str) -> None:
    """Slow the failing child down; its elders and, under one_for_one, all others do not notice."""
    sup = work.parent(node)
    due_s = wait_s(work, node)
    incident = node.incident or f"held {node.path} {node.incarnation}"
    held = {"held": node.held + 1, "incident": incident}
    work.set(node.path, state="waiting", deadline_s=work.now_s + due_s, **held)
    if node.held == 0:
        text = (
            f"{node.path} slows down: {deaths}, last: {exit.why}. "
            f"Next try in {due_s:.1f} s; others go on. Mend the cause; it is tried again by itself."
        )
        work.act(Record("child.held", "NOTIFY", node.path, text, incident, "opened"))
        work.set(sup.path, death_times_s=())
    regroup(work, work.nodes[node.path])


def wait_s(work: Work, node: Node) -> float:
    """Until the next try of one that is held, or is to be."""
    back_off = work.parent(node).flags.back_off
    assert back_off is not None
    return back_off_s(back_off, node.held, f"{node.path} {node.incarnation}")


def own_of(work: Work, node: Node) -> int:
    """How many of the deaths within the period were this child's: with many siblings the last one may be unlucky."""
    since_s = work.now_s - work.parent(node).flags.period_s
    return sum(each.how == "abnormal" and each.at_s >= since_s for each in work.nodes[node.path].deaths)


def regroup(work: Work, node: Node) -> None:
    """What a child's death means for its siblings, by the strategy. Ended ones start again with the group
    (``restart_multiple_children/3``)."""
    sup = work.parent(node)
    if sup.flags.strategy == "one_for_one":
        return
    first = 0 if sup.flags.strategy == "one_for_all" and not node.held else sup.order.index(node.path)
    already = len(sup.order) if sup.regroup_from is None else sup.regroup_from
    for path in sup.order[first:already]:
        if work.nodes[path].state == "ended":
            work.set(path, state="idle")
    work.set(sup.path, regroup_from=first)


def in_regroup(work: Work, node: Node) -> bool:
    """It belongs to the part of its group that is on the way down to be started again."""
    sup = work.parent(node)
    return sup.regroup_from is not None and sup.order.index(node.path) >= sup.regroup_from


# -- what is kept of it -----------------------------------------------------------------------------------------------


def tells_nothing(node: Node, exit: Exit) -> bool:
    """One more try of many that has ended as the one before: of a night without a broker the first few tries are worth
    reading, then each doubling of their number. Numbers in the reason (a wait, a price) are no difference."""
    few, doubled = node.held < TRIES_TOLD, node.held & (node.held - 1) == 0
    same = bool(node.deaths) and NUMBER.sub("", node.deaths[-1].why) == NUMBER.sub("", exit.why)
    return same and not (few or doubled)


def record_death(work: Work, node: Node, exit: Exit, kind: str = "", then: str = "", *, again: bool = False) -> None:
    """Into the history of the child and into the record: why, how long it had lived, its memory, the budget left, and
    in words what follows from it (``then``). ``again``: nobody need read it."""
    death = keep_death(work, node, exit)
    level: Level = "LOG" if again or exit.how in ("normal", "shutdown") else "DIGEST"
    kind = kind or ("child.died" if exit.how == "abnormal" else "child.ended")
    data: dict[str, object] = {
        "incarnation": node.incarnation,
        "how": exit.how,
        "up_s": round(work.now_s - node.since_s, 3) if node.state == "up" else 0.0,
        "alive_s": round(death.alive_s, 3),
        "peak_mib": death.peak_mib,
        "budget_left": death.budget_left,
        "held": node.held,
    }
    work.act(Record(kind, level, node.path, f"{node.path} ended ({exit.how}): {exit.why}{then}", data=data))


def keep_death(work: Work, node: Node, exit: Exit) -> Death:
    sup = work.parent(node)
    death = Death(
        incarnation=node.incarnation,
        how=exit.how,
        why=exit.why,
        at_s=work.now_s,
        alive_s=work.now_s - node.born_s,
        peak_mib=exit.peak_mib,
        budget_left=budget_left(sup.death_times_s, work.now_s, sup.flags),
    )
    work.set(node.path, deaths=(*node.deaths, death)[-DEATHS_KEPT:])
    return death
