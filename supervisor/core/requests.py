"""What can be asked of the supervisor: OTP's functions, and ``ensure_child``. PURE; part of ``step``.

A refusal begins with one word for it. OTP's: not_found, already_started, already_present, running, restarting. Ours:
bad_spec, max_children, stopping (its supervisor starts nothing now), stopped (told to end before it was ready), failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor.core.deaths import ending
from supervisor.core.settle import attend, stop
from supervisor.core.tree import Asked, Node, Reply
from supervisor.core.views import children_view, counts_view, presence, tree_view
from supervisor.core.work import Work, child_path
from supervisor.errors import BadSpec
from supervisor.messages import (
    CountChildren,
    DeleteChild,
    Done,
    EnsureChild,
    GetChildspec,
    ReadTree,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
    WhichChildren,
)
from supervisor.spec import CHILDREN_MAX, ChildSpec, check_child_of


def answer(work: Work, event: Asked) -> None:
    """Answer now, or note the token where the answer will come from. Never raises: a bad request is refused."""
    handler = ANSWERS.get(type(event.request))
    if handler is None:
        refuse(work, event.token, f"bad_request: {type(event.request).__name__} is no request to a supervisor")
        return
    try:
        handler(work, event.token, event.request)
    except BadSpec as bad:
        refuse(work, event.token, f"bad_spec: {bad}")


def refuse(work: Work, token: int, error: str) -> None:
    work.act(Reply(token, None, error))


def read_tree(work: Work, token: int, request: ReadTree) -> None:
    work.act(Reply(token, tree_view(work.nodes, request.under, work.now_s, request.deaths)))


def which_children(work: Work, token: int, request: WhichChildren) -> None:
    sup = supervisor_named(work, token, request.under)
    if sup is not None:
        work.act(Reply(token, children_view(work.nodes, sup)))


def count_children(work: Work, token: int, request: CountChildren) -> None:
    sup = supervisor_named(work, token, request.under)
    if sup is not None:
        work.act(Reply(token, counts_view(work.nodes, sup)))


def get_childspec(work: Work, token: int, request: GetChildspec) -> None:
    node = named(work, token, request.name)
    if node is not None:
        work.act(Reply(token, node.spec))


def start_child(work: Work, token: int, request: StartChild) -> None:
    sup = starting_supervisor(work, token, request.under, request.spec)
    if sup is None:
        return
    node = work.nodes.get(child_path(sup.path, request.spec.id))
    if node is None:
        begin(work, token, sup, request.spec)
    elif presence_asked(node) == "running":
        refuse(work, token, f"already_started: {node.path} is {node.state}")
    else:
        refuse(work, token, f"already_present: {node.path} is {node.state}; start_child is for new ones")


def ensure_child(work: Work, token: int, request: EnsureChild) -> None:
    """Content with a child that is up or that its supervisor brings up by itself; never two starts of one child."""
    sup = starting_supervisor(work, token, request.under, request.spec)
    if sup is None:
        return
    node = work.nodes.get(child_path(sup.path, request.spec.id))
    if node is None:
        begin(work, token, sup, request.spec)
    elif node.state == "ended":
        work.renew(node.path, request.spec, (token,))
        attend(work, node.path, sup.path)
    elif node.state == "stopping" and (node.after == "ended" or node.outcome is not None):
        wait_for_its_end(work, node, request.spec, token)
        work.set(node.path, after="ended", outcome=None)
    elif ending(work, node):
        wait_for_its_end(work, node, request.spec, token)
    elif node.started_by:
        work.set(node.path, started_by=(*node.started_by, token))
    else:
        work.act(Reply(token, Started(node.path, node.incarnation, node.pid, already=True)))


def wait_for_its_end(work: Work, node: Node, spec: ChildSpec, token: int) -> None:
    """It is started again when it is gone; then all who asked meanwhile have their answer."""
    tokens = node.again[1] if node.again else ()
    work.set(node.path, again=(spec, (*tokens, token)))


def starting_supervisor(work: Work, token: int, under: str, spec: ChildSpec) -> Node | None:
    """The supervisor that is asked to start a child of this spec; None: refused. Raises ``BadSpec``."""
    sup = supervisor_named(work, token, under)
    if sup is None:
        return None
    if sup.state not in ("starting", "up"):
        refuse(work, token, f"stopping: {under or 'the root'} is {sup.state} and starts nothing")
        return None
    check_child_of(sup.flags, sup.spec.id, spec, namesakes(work, sup, spec))
    size, limit = len(sup.order), sup.flags.max_children if sup.flags.dynamic else CHILDREN_MAX
    if size >= limit and child_path(under, spec.id) not in work.nodes:
        refuse(work, token, f"max_children: {under or 'the root'} has {size} children, its limit is {limit}")
        return None
    return sup


def namesakes(work: Work, sup: Node, spec: ChildSpec) -> list[ChildSpec]:
    """Siblings whose names may collide with its own or its children's: those whose id its own begins with, and, if it
    is a supervisor, all. (Thousands of workers may be started in a row: not all are asked for each.)"""
    parts = spec.id.split("/")
    elders = [work.nodes.get(child_path(sup.path, "/".join(parts[:end]))) for end in range(1, len(parts))]
    siblings = [work.nodes[path] for path in sup.order] if spec.type == "supervisor" else elders
    return [each.spec for each in siblings if each is not None and each.parent == sup.path]


def begin(work: Work, token: int, sup: Node, spec: ChildSpec) -> None:
    node = work.add(sup.path, spec, started_by=(token,))
    attend(work, node.path, sup.path)


def terminate_child(work: Work, token: int, request: TerminateChild) -> None:
    """The later word counts: an ensure_child that still waits for the end is refused."""
    node = named(work, token, request.name)
    if node is None:
        return
    error = f"stopped: {node.path} was terminated before it was ready"
    if node.down:
        work.end(node.path, error)
        work.act(Reply(token, Done()))
        attend(work, node.path, node.parent)
        return
    if node.again is not None:
        work.answer_all(node.again[1], None, error)
    work.set(node.path, stopped_by=(*node.stopped_by, token), again=None)
    stop(work, node.path, "ended", "terminate_child")


def restart_child(work: Work, token: int, request: RestartChild) -> None:
    node = named(work, token, request.name)
    if node is None:
        return
    sup = work.parent(node)
    if sup.state not in ("starting", "up"):
        refuse(work, token, f"stopping: {sup.path or 'the root'} is {sup.state} and starts nothing")
    elif node.state == "ended":
        work.set(node.path, state="idle", started_by=(token,))
        attend(work, node.path, node.parent)
    else:
        refuse(work, token, f"{presence_asked(node)}: {node.path} is {node.state}")


def delete_child(work: Work, token: int, request: DeleteChild) -> None:
    node = named(work, token, request.name)
    if node is None:
        return
    if node.state == "ended":
        work.forget(node.path)
        work.act(Reply(token, Done()))
    else:
        refuse(work, token, f"{presence_asked(node)}: {node.path} is {node.state}; terminate_child it first")


def presence_asked(node: Node) -> str:
    """As ``presence``; but a start that somebody waits for is as good as done: OTP would answer when it is."""
    return "running" if node.state == "starting" and node.started_by else presence(node)


def supervisor_named(work: Work, token: int, under: str) -> Node | None:
    sup = work.nodes.get(under)
    if sup is None or sup.spec.type != "supervisor":
        refuse(work, token, f"not_found: no supervisor is called {under!r}")
        return None
    return sup


def named(work: Work, token: int, name: str) -> Node | None:
    """The child of that name; the root is nobody's child."""
    node = work.nodes.get(name) if name else None
    if node is None:
        refuse(work, token, f"not_found: no child is called {name!r}")
    return node


ANSWERS: dict[type, Callable[[Any, int, Any], None]] = {
    ReadTree: read_tree,
    WhichChildren: which_children,
    CountChildren: count_children,
    GetChildspec: get_childspec,
    StartChild: start_child,
    EnsureChild: ensure_child,
    TerminateChild: terminate_child,
    RestartChild: restart_child,
    DeleteChild: delete_child,
}
